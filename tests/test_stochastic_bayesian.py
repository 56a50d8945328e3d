"""Batches against the collapsed bound, finite differences, and the collapsed fit."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.callback import ScoringMonitor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import kernels as sk

import gplvm
from gplvm import _batch_fitting, _stochastic_fit
from gplvm._bayesian import BayesianLikelihood
from gplvm._bayesian_gplvm import BayesianGPLVM
from gplvm._projection import nearest_rows
from gplvm._row_stream import RowStream, stream_rows
from gplvm._stochastic_bayesian import (
    BatchLikelihood,
    StochasticModel,
    StreamLikelihood,
    _scales,
)
from gplvm._stochastic_fit import Anchors
from gplvm.gradients import check_gradient
from gplvm.kernels import Linear

KERNELS = {
    "ard": sk.ConstantKernel(1.3) * sk.RBF([0.8, 1.4]),
    "sum": sk.ConstantKernel(0.6) * sk.RBF(1.1) + Linear(0.5) + sk.WhiteKernel(0.1),
}


def _problem(n=40, m=6, d=3, seed=0, kernel="ard"):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    Y = np.sin(x @ rng.normal(size=(2, d))) + 0.3 * rng.normal(size=(n, d))
    blocks = {
        "embedding": x,
        "embedding_std": rng.uniform(0.2, 0.8, size=(n, 2)),
        "inducing_points": rng.normal(size=(m, 2)),
        "theta": np.append(KERNELS[kernel].theta, np.log(0.2)),
    }
    return KERNELS[kernel], Y - Y.mean(axis=0), blocks


def _model(kernel, blocks, Y):
    bounds = np.tile([-10.0, 10.0], (len(blocks["theta"]), 1))
    return StochasticModel(kernel, blocks, Y, variance=Y.var(), theta_bounds=bounds)


def _part(blocks, rows):
    return {k: v[rows] if "embedding" in k else v for k, v in blocks.items()}


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_at_the_best_posterior_it_is_the_collapsed_bound(kernel):
    kernel, Y, blocks = _problem(kernel=kernel)
    expected, slopes = BayesianLikelihood(kernel, Y).elbo(**blocks, eval_gradient=True)
    batch = BatchLikelihood(kernel, Y)
    batch.elbo(**blocks)  # one natural step of length 1
    value, gradient = batch.elbo(**blocks, eval_gradient=True)
    assert_allclose(value, expected, rtol=1e-9)
    for name, slope in slopes.items():
        assert_allclose(gradient[name], slope, rtol=1e-6, atol=1e-6, err_msg=name)


def test_gradient_with_the_posterior_held():
    kernel, Y, blocks = _problem(n=12, m=3, kernel="sum")
    some = _part(blocks, slice(0, 8))
    batch = BatchLikelihood(kernel, Y[:8])
    batch.elbo(**some)
    batch.take(Y)
    batch.rate, batch.weight = 0.0, 2.5

    def function(**point):
        return batch.elbo(**point, eval_gradient=True)

    assert check_gradient(function, blocks) < 1e-5


def test_a_partition_of_batches_has_the_whole_gradient():
    kernel, Y, blocks = _problem()
    batch = BatchLikelihood(kernel, Y[:10])
    batch.elbo(**_part(blocks, slice(0, 10)))
    batch.rate = 0.0
    batch.take(Y)
    whole, slopes = batch.elbo(**blocks, eval_gradient=True)
    total, sums = 0.0, {"inducing_points": 0.0, "theta": 0.0}
    for start in range(0, 40, 10):
        rows = slice(start, start + 10)
        batch.take(Y[rows])
        batch.weight = 4.0
        value, gradient = batch.elbo(**_part(blocks, rows), eval_gradient=True)
        total += value
        for name in sums:
            sums[name] = sums[name] + gradient[name]
        assert_allclose(gradient["embedding"], slopes["embedding"][rows])
    assert_allclose(total, whole)
    for name, expected in sums.items():
        assert_allclose(expected, slopes[name], rtol=1e-8, atol=1e-8, err_msg=name)


def test_rows_of_a_stream_are_those_of_an_array():
    kernel, Y, blocks = _problem()
    X = (Y + np.array([5.0, -3.0, 0.0])).astype(np.float32)
    rows, mean, variance = stream_rows(X, "none")
    centred = X.astype(float) - X.mean(axis=0, dtype=float)
    assert_allclose(mean, X.mean(axis=0, dtype=float))
    assert_allclose(variance, centred.var(axis=0).mean())
    stream, array = (
        StreamLikelihood(kernel, rows),
        BayesianLikelihood(kernel, centred),
    )
    assert_allclose(stream.elbo(**blocks), array.elbo(**blocks))
    predictions = [
        likelihood.posterior(**blocks).predict(blocks["embedding"])
        for likelihood in (stream, array)
    ]
    for one, other in zip(*predictions, strict=True):
        assert_allclose(one, other, atol=1e-10)


def test_moments_of_a_stream_in_blocks():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200_000, 8)) * np.arange(8) + np.linspace(-1e4, 1e4, 8)
    _, mean, variance = stream_rows(X, "none")
    assert_allclose(mean, X.mean(axis=0), rtol=1e-12)
    assert_allclose(variance, X.var(axis=0).mean(), rtol=1e-10)


def test_functions_of_all_rows_at_once_are_the_collapsed_ones():
    kernel, Y, blocks = _problem(kernel="sum")
    mu, S = blocks["embedding"], blocks["embedding_std"] ** 2
    known = BayesianLikelihood(kernel, Y).posterior(**blocks)
    ours, theirs = (
        bound(mu, S, np.arange(len(Y)))[0]
        for bound in (_model(kernel, blocks, Y).row_bound(Y), known.row_bound(Y))
    )
    assert_allclose(ours, theirs, rtol=1e-6)


def test_amplitude_is_the_best_for_the_functions_as_they_are():
    # Judged by the dense bound of u = R^-1 v at other amplitudes.
    kernel, Y, blocks = _problem()
    batch = BatchLikelihood(kernel, Y)
    batch.elbo(**blocks)
    natural, best = batch.natural, np.log(batch.scale)
    batch.rate = 0.0

    def bound(way):
        batch.natural = np.exp(way) * natural[0], np.exp(0.5 * way) * natural[1]
        theta = blocks["theta"].copy()
        theta[0] += way
        return batch.elbo(**blocks | {"theta": theta})

    step = 1e-3
    slope = (bound(best + step) - bound(best - step)) / (2 * step)
    assert bound(best) > max(bound(best + 0.1), bound(best - 0.1))
    assert abs(slope) < 1e-4 * abs(bound(0.0))


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (sk.ConstantKernel() * sk.RBF([1.0, 2.0]), [1, 0, 0]),
        (sk.RBF([1.0, 2.0]) * sk.ConstantKernel(), [0, 0, 1]),
        (Linear([1.0, 2.0]), [1, 1]),
        (sk.ConstantKernel() * Linear([1.0, 2.0]) + sk.ConstantKernel(), [1, 0, 0, 1]),
        (sk.RBF(), None),
        (sk.ConstantKernel(1.0, "fixed") * sk.RBF(), None),
        (sk.ConstantKernel() * sk.RBF() + sk.RBF(), None),
    ],
)
def test_what_multiplies_the_kernel(kernel, expected):
    scales = _scales(kernel)
    if expected is None:
        assert scales is None
        return
    assert_array_equal(scales, np.array(expected, dtype=bool))
    X = np.random.default_rng(0).normal(size=(4, 2))
    doubled = kernel.clone_with_theta(kernel.theta + scales * np.log(2.0))
    assert_allclose(doubled(X), 2.0 * kernel(X))


# --- As an estimator ---------------------------------------------------------------


@pytest.fixture
def few_rows(monkeypatch):
    """For hundreds of rows: 60 begin, 120 join, and the rest is met in passes."""
    monkeypatch.setattr(_stochastic_fit, "_FIRST_ROWS", 60)
    monkeypatch.setattr(_stochastic_fit, "_ROWS_PER_POINT", 5)
    monkeypatch.setattr(_stochastic_fit, "_JOINT_PARAMETERS", 480)


def _data(n=300, seed=0, dtype=float):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-2, 2, size=(n, 1))
    Y = np.hstack([np.sin(x), np.cos(x), x / 2, np.sin(2 * x)])
    return (Y + 0.1 * rng.normal(size=Y.shape)).astype(dtype)


def _estimator(**parameters):
    defaults = {"n_components": 2, "n_inducing": 10, "random_state": 0}
    return BayesianGPLVM(**defaults | parameters)


@pytest.mark.parametrize("all_join", [True, False])
def test_comes_near_the_collapsed_fit(few_rows, monkeypatch, all_join):
    if all_join:
        monkeypatch.setattr(_stochastic_fit, "_JOINT_PARAMETERS", 4 * 300)
    X = _data()
    collapsed = _estimator().fit(X)
    stochastic = _estimator(batch_size=50).fit(X)
    # The judge is the same function of the fitted parameters.
    assert_allclose(stochastic.elbo(), stochastic.elbo_, rtol=1e-9)
    likelihood = BayesianLikelihood(stochastic.kernel_, X - X.mean(axis=0))
    assert_allclose(likelihood.elbo(**stochastic._blocks), stochastic.elbo_, rtol=1e-6)
    assert stochastic.elbo_ > collapsed.elbo_ - 0.02 * abs(collapsed.elbo_)
    assert stochastic.relevance_[0] > 10 * stochastic.relevance_[1]


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
    with pytest.warns(ConvergenceWarning, match="after 3 iterations .* max_iter"):
        model = _estimator(batch_size=60, max_iter=1).fit(_data())
    assert model.n_iter_ == 3  # one in each of two climbs, and a pass


def test_best_of_the_first_fits_goes_on(few_rows):
    model, ends = _estimator(batch_size=60), []
    climb = model._climb

    def seen(likelihood, *args, **kwargs):
        blocks, minimum = climb(likelihood, *args, **kwargs)
        minimum.fun = [2.0, 1.0, 3.0][len(ends)]
        ends.append((likelihood.Y, minimum.loss_curve))
        return blocks, minimum

    model._climb = seen
    model.fit(_data())
    assert not np.array_equal(ends[0][0], ends[1][0])
    best = ends[1][1]
    assert model.loss_curve_[: len(best)] == best


def test_interrupted_first_fits_end_the_fit(few_rows):
    model, ends = _estimator(batch_size=60), []
    climb = model._climb

    def second_is_interrupted(*args, **kwargs):
        blocks, minimum = climb(*args, **kwargs)
        ends.append(minimum)
        minimum.interrupted = len(ends) == 2
        minimum.fun = float(len(ends))  # the first is the better one
        return blocks, minimum

    model._climb = second_is_interrupted
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        model.fit(_data())
    assert len(ends) == 2
    assert model.loss_curve_ == ends[0].loss_curve
    assert model.embedding_.shape == (300, 2)


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


def test_callbacks_see_every_stage_and_may_stop_it(few_rows):
    X, endless = _data(), Patience(np.inf)
    monitor = ScoringMonitor(scoring=lambda fitted, X, y: fitted.score(X[:10]))
    whole = _estimator(batch_size=60).set_callbacks(endless, monitor).fit(X)
    early = _estimator(batch_size=60).set_callbacks(Patience(5)).fit(X)
    assert early.n_iter_ == 5
    assert early.embedding_.shape == (300, 2)
    # The last calls are those of three passes and of the fit.
    passing = _estimator(batch_size=60).set_callbacks(Patience(endless.calls - 3))
    assert passing.fit(X).n_iter_ == whole.n_iter_ - 2
    assert_array_equal(passing.loss_curve_, whole.loss_curve_[:-2])


def test_first_batch_of_a_stream_takes_so_many_iterations():
    short = _estimator(max_iter=3).partial_fit(_data(100))
    with pytest.warns(ConvergenceWarning, match="after 3 iterations"):
        whole = _estimator(max_iter=3).fit(_data(100))
    assert_allclose(short.elbo_, whole.elbo_)


def test_few_rows_are_fitted_as_without_batches():
    # The walk over whole data leaves out digits that single precision does not hold.
    X = _data(200).astype(np.float32).astype(float)
    whole, batches = _estimator().fit(X), _estimator(batch_size=50).fit(X)
    assert_allclose(batches.elbo_, whole.elbo_, rtol=1e-9)
    assert_allclose(batches.embedding_, whole.embedding_, atol=1e-6)


@pytest.mark.parametrize("init", [np.zeros((299, 2)), np.zeros((301, 2))])
def test_start_has_to_be_of_all_rows(few_rows, init):
    with pytest.raises(ValueError, match=r"expected .* = \(300, 2\)"):
        _estimator(batch_size=60, init=init).fit(_data())


def test_how_many_rows_climb_together():
    sizes = _stochastic_fit.level_sizes((1_000_000, 50), 5, 50)
    assert sizes[0] == 1000
    assert sizes[-1] == 100_000
    assert max(np.divide(sizes[1:], sizes[:-1])) <= 4.01
    # All of them, if they are not more.
    assert _stochastic_fit.level_sizes((20_000, 50), 10, 50)[-1] == 20_000
    assert _stochastic_fit.level_sizes((300, 5), 2, 50) == [300]
    # Many inducing points need many rows, and wide rows are fewer.
    assert _stochastic_fit.level_sizes((50_000, 50), 5, 200)[0] == 4000
    assert _stochastic_fit.level_sizes((50_000, 50_000), 5, 50) == [1000]


def test_rows_that_end_low_start_elsewhere_too():
    # A helix, whose next turn is an optimum too, and a low one.
    x = np.linspace(-2.0, 2.0, 40)[:, None]
    Y = np.hstack([np.sin(3 * x), np.cos(3 * x), 0.3 * x])
    kernel = sk.ConstantKernel() * sk.RBF(0.7)
    blocks = {
        "embedding": x,
        "embedding_std": np.full(x.shape, 0.05),
        "inducing_points": np.linspace(-2.2, 2.2, 12)[:, None],
        "theta": np.append(kernel.theta, np.log(0.001)),
    }
    model = _model(kernel, blocks, Y)
    # The nearest anchors, the row itself among them, are taken for the next turn.
    near = nearest_rows(Y[:1], Y, 10)[0]
    mean, std = x.copy(), blocks["embedding_std"]
    mean[near[:5]] += 2.0 * np.pi / 3.0
    place, *starts = Anchors(Y, mean, std).place, mean[near], std[near]
    bound = model.row_bound(Y[:1])
    values = bound.settle(*starts, 10, np.zeros(10, dtype=int))[2]
    lost, best = values[:5].max(), values.max()
    found = place(Y[:1], model)
    value = bound(found[0], found[1] ** 2, np.zeros(1, dtype=int))[0]
    assert_allclose(value, best, rtol=1e-6)
    assert best > lost + 1.0
    # A row that is already high stays where it is.
    again = Anchors(Y, mean, std).settle(Y[:1], model, *found)
    assert bound.settle(*again, 0)[2] >= best - 1e-9


@pytest.mark.parametrize("where", ["place", "settle_again", "run_passes"])
def test_interrupted_fits_have_all_rows(few_rows, monkeypatch, where):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(_batch_fitting, where, interrupt)
    X = _data()
    with pytest.warns(ConvergenceWarning, match="Ctrl-C"):
        model = _estimator(batch_size=60).fit(X)
    assert model.embedding_.shape == (300, 2)
    assert np.isfinite(model.elbo_)
    # Those that were not met are where their neighbours are.
    restored = model.inverse_transform(model.embedding_)
    assert np.mean((restored - X) ** 2) < 0.1


def test_warm_start(few_rows):
    X = _data()
    model = _estimator(batch_size=50, warm_start=True).fit(X)
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


def test_partial_fit_goes_on_from_a_fit():
    X = _data()
    for batch_size in (None, 300):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = _estimator(batch_size=batch_size, max_iter=60).fit(X)
        before = model.score(X[:50])
        model.partial_fit(_data(50, seed=1))
        assert model.score(X[:50]) > before - 0.1
