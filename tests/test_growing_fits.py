"""Large fits of the Bayesian model, with batches and without, and streams.

The judge is the collapsed bound, and the fit of all rows from the beginning.
"""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning

import gplvm
from gplvm import _batch_fitting, _growing_fit, _placement, _stochastic_fit
from gplvm._bayesian import BayesianLikelihood
from gplvm._bayesian_gplvm import BayesianGPLVM
from gplvm._optimize import BadStartError
from gplvm._row_stream import RowStream


@pytest.fixture
def few_rows(monkeypatch):
    """For hundreds of rows: 60 begin, 120 join, and the rest is met in passes."""
    monkeypatch.setattr(_growing_fit, "_FIRST_ROWS", 60)
    monkeypatch.setattr(_growing_fit, "_ROWS_PER_POINT", 5)
    monkeypatch.setattr(_batch_fitting, "_JOINT_PARAMETERS", 480)
    monkeypatch.setattr(_stochastic_fit, "_FEWEST_BATCHES", 20)


def _data(n=300, seed=0, dtype=float):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, size=(n, 1))
    Y = np.hstack([np.sin(x), np.cos(x), x / 2, np.sin(2 * x)])
    return (Y + 0.1 * rng.normal(size=Y.shape)).astype(dtype)


def _estimator(**parameters):
    defaults = {"n_components": 2, "n_inducing": 10, "random_state": 0}
    return BayesianGPLVM(**defaults | parameters)


@pytest.mark.parametrize("n_joint", [480, 1200])
def test_comes_near_the_collapsed_fit(few_rows, monkeypatch, n_joint):
    monkeypatch.setattr(_batch_fitting, "_JOINT_PARAMETERS", 4 * n_joint)
    monkeypatch.setattr(_stochastic_fit, "_FEWEST_BATCHES", 500)
    X = _data(1200)
    collapsed = _estimator().fit(X)
    stochastic = _estimator(batch_size=50).fit(X)
    # The judge is the same function of the fitted parameters.
    assert_allclose(stochastic.elbo(), stochastic.elbo_, rtol=1e-9)
    likelihood = BayesianLikelihood(stochastic.kernel_, X - X.mean(axis=0))
    assert_allclose(likelihood.elbo(**stochastic._blocks), stochastic.elbo_, rtol=1e-6)
    assert stochastic.elbo_ > collapsed.elbo_ - 0.02 * abs(collapsed.elbo_)
    assert stochastic.relevance_[0] > 10 * stochastic.relevance_[1]


def test_a_fit_that_grows_ends_higher(few_rows, monkeypatch):
    X = _data()
    grown = _estimator().fit(X)
    monkeypatch.setattr(_growing_fit, "_FIRST_ROWS", 300)
    assert grown.elbo_ > _estimator().fit(X).elbo_ + 100


def test_attributes_and_new_rows(few_rows):
    X = _data(dtype=np.float32)
    model = _estimator(batch_size=64).fit(X)
    assert model.embedding_.shape == model.embedding_std_.shape == (300, 2)
    assert model.embedding_.dtype == np.float32
    assert model.n_iter_ == len(model.loss_curve_)
    mean, std = model.transform(X, return_std=True)
    off = np.abs(mean[:, 0] - model.embedding_[:, 0]) / std[:, 0]
    assert np.median(off) < 0.2
    restored = model.inverse_transform(mean)
    assert np.mean((restored - X) ** 2) < 0.03


def test_memory_mapped_rows_are_neither_copied_nor_changed(few_rows, tmp_path):
    X = _data()
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model, other = (
            _estimator(batch_size=50, max_iter=2).fit(data) for data in (mapped, X)
        )
    assert_array_equal(model.embedding_, other.embedding_)
    stream = model._likelihood.Y
    assert isinstance(stream, RowStream)
    assert np.shares_memory(stream._X, mapped)
    assert_array_equal(mapped, X)


def test_missing_values_are_refused_with_a_way_out():
    X = _data(50)
    X[3, 1] = np.nan
    with pytest.raises(ValueError, match="batch_size=None"):
        _estimator(batch_size=10).fit(X)
    with pytest.raises(ValueError, match="batch_size=None"):
        _estimator().partial_fit(X)
    with pytest.raises(ValueError, match="partial_fit needs complete rows"):
        _estimator(max_iter=50, tol=1e3).fit(X).partial_fit(_data(10))


def test_fits_that_are_cut_short_are_told(few_rows):
    with pytest.warns(ConvergenceWarning, match="max_iter reached"):
        model = _estimator(batch_size=60, max_iter=1).fit(_data())
    assert model.n_iter_ == 2  # one of the last climb, and a pass
    with pytest.warns(ConvergenceWarning, match="after 1 iterations .* max_iter"):
        model = _estimator(max_iter=1).fit(_data())
    assert model.n_iter_ == 1


@pytest.fixture
def first_fits(monkeypatch):
    """What each of the first fits gives; `change` may change how it went."""

    class Fits(list):
        def change(self, minimum):
            pass

    fits, climb = Fits(), _growing_fit.climb

    def seen(estimator, likelihood, *args, **kwargs):
        blocks, minimum = climb(estimator, likelihood, *args, **kwargs)
        fits.append((likelihood.Y, blocks, minimum))
        fits.change(minimum)
        return blocks, minimum

    monkeypatch.setattr(_growing_fit, "climb", seen)
    return fits


@pytest.mark.parametrize("batch_size", [None, 60])
def test_best_of_the_first_fits_goes_on(few_rows, first_fits, monkeypatch, batch_size):
    starts, ascend = [], _growing_fit.ascend

    def change(minimum):
        minimum.fun = [2.0, 1.0, 3.0][len(first_fits) - 1]

    def seen(start, **kwargs):
        starts.append(start)
        return ascend(start, **kwargs)

    first_fits.change = change
    monkeypatch.setattr(_growing_fit, "ascend", seen)
    _estimator(batch_size=batch_size).fit(_data())
    assert not np.array_equal(first_fits[0][0], first_fits[1][0])
    # The three first fits climb too.
    assert_array_equal(starts[3]["theta"], first_fits[1][1]["theta"])
    of_best = first_fits[1][1]["embedding"]
    assert np.isin(of_best, starts[3]["embedding"]).all()
    assert len(starts[3]["embedding"]) == (120 if batch_size else 134)


@pytest.mark.parametrize("batch_size", [None, 60])
def test_interrupted_first_fits_end_the_fit(few_rows, first_fits, batch_size):
    def second_is_interrupted(minimum):
        minimum.interrupted = len(first_fits) == 2
        minimum.fun = float(len(first_fits))  # the first is the better one

    first_fits.change = second_is_interrupted
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = _estimator(batch_size=batch_size).fit(_data())
    assert len(first_fits) == 2
    assert model.loss_curve_ == first_fits[0][2].loss_curve
    assert model.embedding_.shape == (300, 2)
    assert_allclose(model.elbo(), model.elbo_)


def test_a_first_fit_without_a_way_is_passed_over(few_rows, monkeypatch):
    climb, calls = _growing_fit.climb, []

    def first_fails(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise BadStartError("not finite")
        return climb(*args, **kwargs)

    monkeypatch.setattr(_growing_fit, "climb", first_fails)
    model = _estimator().fit(_data())
    assert len(calls) == 3
    assert np.isfinite(model.elbo_)


class Patience:
    """A callback that says stop after so many iterations."""

    def __init__(self, n_calls):
        self.calls, self.n_calls = 0, n_calls

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context, **kwargs):
        pass

    def on_fit_task_end(self, estimator, context, **kwargs):
        self.calls += 1
        return self.calls == self.n_calls


class Shapes(Patience):
    """A callback that looks at the embedding as it is."""

    seen = ()

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "iteration":
            self.seen = {*self.seen, fitted_estimator.embedding_.shape}
        return super().on_fit_task_end(estimator, context)


class Rows(Patience):
    """A callback that looks at the rows of the model as it is."""

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name == "iteration":
            self.seen = fitted_estimator._training_rows + fitted_estimator._mean
        return super().on_fit_task_end(estimator, context)


@pytest.mark.parametrize("batch_size", [None, 60])
@pytest.mark.parametrize("n_calls", [5, np.inf])
def test_callbacks_see_all_the_digits(few_rows, batch_size, n_calls):
    X, watch = _data(), Rows(n_calls)
    _estimator(batch_size=batch_size).set_callbacks(watch).fit(X)
    assert_allclose(watch.seen, X[cdist(watch.seen, X).argmin(axis=1)], rtol=1e-12)


def test_callbacks_see_every_stage_and_may_stop_it(few_rows):
    X, endless = _data(), Patience(np.inf)
    monitor = ScoringMonitor(scoring=lambda fitted, X, y: fitted.score(X[:10]))
    whole = _estimator(batch_size=60).set_callbacks(endless, monitor).fit(X)
    early = _estimator(batch_size=60).set_callbacks(Patience(5)).fit(X)
    assert early.n_iter_ == 5
    assert early.embedding_.shape == (300, 2)
    # The last calls are those of four passes and of the fit.
    passing = _estimator(batch_size=60).set_callbacks(Patience(endless.calls - 3))
    assert passing.fit(X).n_iter_ == whole.n_iter_ - 2
    assert_array_equal(passing.loss_curve_, whole.loss_curve_[:-2])


class Impatience(Patience):
    """One that raises instead."""

    def on_fit_task_end(self, estimator, context, **kwargs):
        if super().on_fit_task_end(estimator, context):
            raise StopIteration


@pytest.mark.parametrize("callback", [Patience, Impatience])
@pytest.mark.parametrize("batch_size", [None, 60])
@pytest.mark.parametrize("n_calls", [3, 200])
def test_stop_is_for_all_that_is_left(few_rows, callback, batch_size, n_calls):
    model, once = _estimator(batch_size=batch_size, n_restarts=3), callback(n_calls)
    model.set_callbacks(once).fit(_data())
    assert once.calls == n_calls + 1  # and the end of the fit
    assert model.embedding_.shape == (300, 2)
    assert_allclose(model.elbo(), model.elbo_)


@pytest.mark.parametrize("where", ["settle_again", "settle"])
def test_ctrl_c_after_a_stop_keeps_what_there_is(few_rows, monkeypatch, where):
    model = _estimator().set_callbacks(Patience(5))
    usual = getattr(_growing_fit, where)

    def ctrl_c(*args):
        if where == "settle_again" or len(args[0]["embedding"]) == 300:
            raise KeyboardInterrupt
        return usual(*args)

    monkeypatch.setattr(_growing_fit, where, ctrl_c)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(_data())
    assert model.embedding_.shape == (300, 2)
    assert len(model.loss_curve_) == model.n_iter_ > 0


def test_callbacks_of_a_growing_fit_see_all_rows(few_rows, monkeypatch):
    monkeypatch.setattr(_placement, "_ANCHORS", 20)
    X, shapes = _data(), Shapes(np.inf)
    whole = _estimator().set_callbacks(shapes).fit(X)
    assert shapes.seen == {(300, 2)}
    # Whether somebody looks makes no difference.
    assert_array_equal(whole.embedding_, _estimator().fit(X).embedding_)
    early = _estimator().set_callbacks(Patience(5)).fit(X)
    # Rows that had no part by then have found their places.
    restored = early.inverse_transform(early.embedding_)
    assert np.mean((restored - X) ** 2) < 0.1
    assert_allclose(early.loss_curve_, [-early.elbo_ / 300])


def test_the_last_climb_of_a_growing_fit_is_monotone(few_rows):
    model = _estimator().fit(_data())
    assert model.n_iter_ == len(model.loss_curve_)
    assert (np.diff(model.loss_curve_) <= 1e-9).all()
    assert_allclose(model.loss_curve_[-1], -model.elbo_ / 300)


def test_growing_fits_have_their_rows_at_the_optima_of_their_bounds(few_rows):
    X = _data()
    model = _estimator().fit(X)
    mean, std = model.transform(X + 1e-9, return_std=True)
    assert np.median(np.abs(mean - model.embedding_) / std) < 0.02


def test_fits_from_a_start_for_all_rows_do_not_grow(few_rows, first_fits):
    X = _data()
    start = (X - X.mean(axis=0))[:, :2]
    model = _estimator(init=start, max_iter=30, tol=1.0).fit(X)
    assert [len(fit[0]) for fit in first_fits] == [300]
    assert model.embedding_.shape == (300, 2)


def test_fits_of_rows_with_holes_grow(few_rows, first_fits, monkeypatch):
    X, rng = _data(), np.random.default_rng(1)
    hidden = rng.random(X.shape) < 0.2
    hidden[:, 3] = True
    hidden[[3, 200], 3] = False  # most first fits see nothing of this column
    hidden[hidden.all(axis=1), 0] = False
    X[hidden] = np.nan
    model = _estimator().fit(X)
    assert [len(fit[0]) for fit in first_fits] == [60, 60, 60]
    assert any(np.isnan(fit[0][:, 3]).all() for fit in first_fits)
    assert_allclose(model.loss_curve_[-1], -model.elbo_ / 300)
    monkeypatch.setattr(_growing_fit, "_FIRST_ROWS", 300)
    assert model.elbo_ > _estimator().fit(X).elbo_


def test_first_batch_of_a_stream_takes_so_many_iterations():
    short = _estimator(max_iter=3).partial_fit(_data(100))
    with pytest.warns(ConvergenceWarning, match="after 3 iterations"):
        whole = _estimator(max_iter=3).fit(_data(100))
    assert_allclose(short.elbo_, whole.elbo_)


@pytest.mark.parametrize("n_samples", [100, 300])
def test_rows_that_all_climb_make_no_difference_to_batches(
    few_rows, monkeypatch, n_samples
):
    monkeypatch.setattr(_batch_fitting, "_JOINT_PARAMETERS", 4 * n_samples)
    X = _data(n_samples)
    whole, batches = _estimator().fit(X), _estimator(batch_size=50).fit(X)
    assert_allclose(batches.elbo_, whole.elbo_, rtol=1e-9)
    assert_allclose(batches.embedding_, whole.embedding_, atol=1e-6)
    assert_allclose(batches.loss_curve_[-1], -batches.elbo_ / n_samples, rtol=1e-9)


@pytest.mark.parametrize("init", [np.zeros((299, 2)), np.zeros((301, 2))])
def test_start_has_to_be_of_all_rows(few_rows, init):
    with pytest.raises(ValueError, match=r"expected .* = \(300, 2\)"):
        _estimator(batch_size=60, init=init).fit(_data())


def test_how_many_passes_there_are():
    assert _stochastic_fit.n_passes(1_000_000, 1000) == 3
    assert _stochastic_fit.n_passes(100_000, 1000) == 5
    assert _stochastic_fit.n_passes(1999, 1000) == 250


def test_how_many_rows_climb_together():
    sizes = _batch_fitting.joint_sizes((1_000_000, 50), 5, 50)
    assert sizes[0] == 1000
    assert sizes[-1] == 100_000
    assert max(np.divide(sizes[1:], sizes[:-1])) <= 4.01
    # All of them, if they are not more.
    assert _batch_fitting.joint_sizes((20_000, 50), 10, 50)[-1] == 20_000
    assert _batch_fitting.joint_sizes((300, 5), 2, 50) == [300]
    # Many inducing points need many rows, and wide rows are fewer.
    assert _batch_fitting.joint_sizes((50_000, 50), 5, 200)[0] == 4000
    assert _batch_fitting.joint_sizes((50_000, 50_000), 5, 50) == [1000]
    # Without batches it is all of them; a few more than the first begin at once.
    assert _growing_fit.level_sizes(1_000_000, 50)[-1] == 1_000_000
    assert _growing_fit.level_sizes(1900, 50) == [1900]
    assert _growing_fit.level_sizes(2000, 50) == [1000, 2000]


@pytest.mark.parametrize(
    ("room", "where", "batch_size"),
    [
        (_growing_fit, "place", 60),
        (_growing_fit, "settle_again", 60),
        (_batch_fitting, "run_passes", 60),
        (_growing_fit, "place", None),
        (_growing_fit, "settle_again", None),
    ],
)
def test_interrupted_fits_have_all_rows(few_rows, monkeypatch, room, where, batch_size):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(room, where, interrupt)
    X = _data()
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = _estimator(batch_size=batch_size).fit(X)
    assert model.embedding_.shape == (300, 2)
    assert np.isfinite(model.elbo_)
    # Those that were not met are where their neighbours are.
    restored = model.inverse_transform(model.embedding_)
    assert np.mean((restored - X) ** 2) < 0.1


@pytest.mark.parametrize("batch_size", [None, 50])
def test_warm_start(few_rows, batch_size):
    X = _data()
    model = _estimator(batch_size=batch_size, warm_start=True).fit(X)
    before = model.elbo_
    model.fit(X)
    assert model.elbo_ > before - 0.01 * abs(before)


def test_partial_fit_follows_a_stream():
    X, new = _data(600), _data(200, seed=1)
    model = _estimator()
    for start in range(0, 600, 100):
        model.partial_fit(X[start : start + 100])
        if start == 0:
            first = model.score(new)
    assert model.embedding_.shape == (100, 2)
    assert_allclose(model.mean_, X[:100].mean(axis=0))
    assert model.score(new) > first
    assert_allclose(model.elbo(), model.elbo_)
    assert len(model.loss_curve_) == model.n_iter_ == 6
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(new[:, :2])


@pytest.mark.parametrize("way", ["fit", "stream", "both"])
def test_saved_models_go_on(few_rows, tmp_path, way):
    X, new = _data(), _data(40, seed=1)
    model = _estimator(batch_size=60)
    if way != "stream":
        model.fit(X)
    if way != "fit":
        model.partial_fit(X[:100]).partial_fit(X[100:150])
    gplvm.save(model, tmp_path / "model.gplvm")
    again = gplvm.load(tmp_path / "model.gplvm")
    for _ in range(2):
        assert_array_equal(again.transform(new), model.transform(new))
        assert_array_equal(again.embedding_, model.embedding_)
        assert again.elbo() == model.elbo()
        for one in (model, again):
            one.partial_fit(new[:20])


def test_what_is_no_stream_is_begun_anew():
    # As a forged file may have it.
    models = [_estimator(tol=0.1).partial_fit(_data(60)) for _ in range(2)]
    models[0]._stream = "text"
    for model in models:
        model.partial_fit(_data(20, seed=1))
    assert_array_equal(models[0].embedding_, models[1].embedding_)


def test_partial_fit_goes_on_from_a_fit():
    X = _data()
    for batch_size in (None, 300):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = _estimator(batch_size=batch_size, max_iter=60).fit(X)
        before = model.score(X[:50])
        model.partial_fit(_data(50, seed=1))
        assert model.score(X[:50]) > before - 0.1
