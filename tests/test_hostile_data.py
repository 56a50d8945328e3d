"""A short part of the campaign with data that nobody cleaned, and what it has found."""

import itertools

import hostile_data
import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from gplvm import (
    GPLVM,
    BayesianGPLVM,
    LinearAutoencoder,
    SwishMLPClassifier,
    _gplvm,
    _growing_fit,
)
from gplvm._optimize import BadStartError
from gplvm.kernels import Linear

# Cases of each estimator.
CASES = {
    "LinearAutoencoder": 70,
    "SwishMLPClassifier": 70,
    "GPLVM": 60,
    "BayesianGPLVM": 60,
}


@pytest.mark.parametrize("kind", CASES)
def test_each_case_fits_or_is_refused(kind):
    counts, failures = hostile_data.run(CASES[kind], seed=2026, kinds=[kind])
    assert not failures
    assert set(counts) == {(kind, "fitted"), (kind, "refused")}


def test_a_case_is_told_by_its_number():
    first, second = (hostile_data.case(3, 14) for _ in range(2))
    assert first.name == second.name
    assert_array_equal(first.y, second.y)
    assert_array_equal(first.new_rows, second.new_rows)


def test_the_campaign_finds_what_is_wrong(monkeypatch):
    def fit(self, X, y=None):
        self.components_ = np.full((1, 1), np.nan)
        return self

    def transform(self, X):
        return np.full((1, 1), np.nan)

    monkeypatch.setattr(LinearAutoencoder, "fit", fit)
    monkeypatch.setattr(LinearAutoencoder, "transform", transform)
    counts, failures = hostile_data.run(10, seed=0, kinds=["LinearAutoencoder"])
    assert counts["LinearAutoencoder", "wrong"] == len(failures) > 0


def _table(n=12, p=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, p)) * [3.0, 2.0, 0.5, 0.1]


SOLVERS = ["lbfgs", "adam", "eigen", "partial_fit"]
FORMS = [np.asarray, sparse.csr_array]


def _learn(solver, X):
    if solver == "partial_fit":
        return LinearAutoencoder(2).partial_fit(X[:7]).partial_fit(X[7:])
    return LinearAutoencoder(2, solver=solver, tol=1e-3, random_state=0).fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("power", [-1000, -500, -30, 30, 500])
def test_the_autoencoder_does_not_depend_on_the_unit(power, solver, form):
    # A power of two is exact, so that the same numbers come out.
    X, unit = _table(), np.ldexp(1.0, power)
    plain, moved = _learn(solver, form(X)), _learn(solver, form(X * unit))
    assert_allclose(moved.components_, plain.components_, rtol=1e-7, atol=1e-9)
    assert_allclose(moved.mean_ / unit, plain.mean_, rtol=1e-12, atol=1e-15)
    codes = moved.transform(form(X * unit)) / unit
    assert_allclose(codes, plain.transform(form(X)), rtol=1e-7, atol=1e-8)
    if power > -500:  # there, its square has no digits
        assert_allclose(moved.loss_ / unit**2, plain.loss_, rtol=1e-9)


def test_batches_of_very_different_size():
    X = _table(40)
    for order in ([1e-140, 1e140], [1e140, 1e-140]):
        batches = [X[:20] * order[0], X[20:] * order[1]]
        model = LinearAutoencoder(2)
        for batch in batches:
            model.partial_fit(batch)
        expected = LinearAutoencoder(2, solver="eigen").fit(np.vstack(batches))
        assert_allclose(model.components_, expected.components_, atol=1e-9)
        assert_allclose(model.loss_, expected.loss_, rtol=1e-9)


def test_after_a_fit_batches_may_have_another_size():
    X = _table(40)
    model = LinearAutoencoder(4, solver="eigen").fit(X * 1e-140)
    expected = LinearAutoencoder(4, solver="eigen").fit(
        np.vstack([X * 1e-140, X * 1e140])
    )
    model.partial_fit(X * 1e140)
    assert_allclose(model.components_, expected.components_, atol=1e-9)


@pytest.mark.parametrize("model", [LinearAutoencoder(), SwishMLPClassifier()])
@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float64, 1e160), (np.float32, 1e38)], ids=str
)
def test_what_overflows_is_refused_before_any_work(model, dtype, size):
    X, y = (_table() * size / 8).astype(dtype), np.arange(12) % 3
    with pytest.raises(ValueError, match=r"squares of the data overflow.*Divide the"):
        clone(model).fit(X, y)
    args = (y, [0, 1, 2]) if isinstance(model, SwishMLPClassifier) else ()
    with pytest.raises(ValueError, match="squares of the data overflow"):
        clone(model).partial_fit(X, *args)


def test_squares_that_underflow_are_refused():
    with pytest.raises(ValueError, match="squares of the data underflow"):
        LinearAutoencoder(activation="tanh").fit(_table() * 1e-170)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_new_rows_far_outside_are_refused_and_not_infinite():
    X, y = _table(), np.arange(12) % 3
    far = np.full((2, 4), 1.7e308)
    autoencoder = LinearAutoencoder().fit(X)
    with pytest.raises(ValueError, match="too far from the training data"):
        autoencoder.transform(far)
    with pytest.raises(ValueError, match="overflow"):
        autoencoder.score(far)
    classifier = SwishMLPClassifier(3, max_iter=3, random_state=0).fit(X / 1e10, y)
    for method in ("transform", "predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(ValueError, match="too far from the training data"):
            getattr(classifier, method)(far)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_only_the_ratios_of_weights_count():
    X, y = _table(), np.arange(12) % 3
    weight = np.random.default_rng(0).uniform(1.0, 2.0, size=12)
    model = SwishMLPClassifier(3, max_iter=3, random_state=0)
    expected = clone(model).fit(X, y, weight).predict_proba(X)
    for unit in (2.0**-1000, 2.0**1020):
        found = clone(model).fit(X, y, weight * unit).predict_proba(X)
        assert_allclose(found, expected, rtol=1e-9)
        by_class = clone(model).set_params(class_weight=dict.fromkeys(range(3), unit))
        found = by_class.fit(X, y, weight * unit).predict_proba(X)
        assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("weight", [np.nan, np.inf, "heavy", None, -1.0])
def test_bad_class_weights_are_refused(weight):
    model = SwishMLPClassifier(3, class_weight={0: weight, 1: 1.0, 2: 1.0})
    with pytest.raises((ValueError, TypeError)):
        model.fit(_table(), np.arange(12) % 3)


def test_a_step_that_must_diverge_is_refused():
    model = SwishMLPClassifier(3, solver="sgd", alpha=1e4, learning_rate_init=1e-3)
    with pytest.raises(ValueError, match="their product must be below"):
        model.fit(_table(), np.arange(12) % 3)


@pytest.mark.parametrize(
    "model", [LinearAutoencoder(), SwishMLPClassifier(), GPLVM(), BayesianGPLVM()]
)
def test_infinities_of_both_signs_have_no_warning(model):
    X = _table()
    X[0, 0], X[1, 1] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.fit(X, np.arange(12) % 3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model", [LinearAutoencoder(), SwishMLPClassifier(2), GPLVM(), BayesianGPLVM(2)]
)
def test_masks_dates_and_integers_beyond_floating_point_are_refused(model):
    X, y = _table(), np.arange(12) % 3
    masked = np.ma.masked_greater(X, 1.0)
    beyond = X.astype(object)
    beyond[0, 0] = 10**400
    model = clone(model).set_params(max_iter=3).fit(np.ma.masked_array(X), y)
    dates = np.arange(X.size).reshape(X.shape)
    for wrong, error, message in (
        (masked, ValueError, "Masked"),
        (beyond, ValueError, "too large for double"),
        (dates.astype("M8[D]"), TypeError, "Dates"),
        (dates.astype("m8[s]"), TypeError, "Dates"),
    ):
        for method in ("fit", "transform", "impute"):
            if hasattr(model, method):
                with pytest.raises(error, match=message):
                    getattr(model, method)(wrong, *[y] * (method == "fit"))
    if hasattr(model, "inverse_transform"):
        with pytest.raises(ValueError, match="Masked"):
            model.inverse_transform(np.ma.masked_equal(np.eye(2), 0))
    else:
        with pytest.raises(ValueError, match="Masked"):
            model.fit(X, y, sample_weight=np.ma.masked_equal(y, 0))
        with pytest.raises(ValueError, match="holds NaN"):
            clone(model).partial_fit(X, y, classes=[0.0, 1.0, 2.0, np.nan])


SPARSE = [
    GPLVM(kernel="linear"),
    LinearAutoencoder(random_state=0),
    SwishMLPClassifier(2, max_iter=20, random_state=0),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", SPARSE)
@pytest.mark.parametrize("form", ["csr", "csc"])
def test_duplicates_of_sparse_data_are_summed_in_a_copy(model, form):
    X, y = _table(), np.arange(12) % 3
    rows, columns = np.indices(X.shape).reshape(2, -1)[:, ::-1]
    values = X[rows, columns]
    parts = np.concatenate([0.25 * values, 0.75 * values])
    twice = sparse.coo_array((parts, (np.tile(rows, 2), np.tile(columns, 2))), X.shape)
    order = np.argsort(twice.row if form == "csr" else twice.col, kind="stable")
    major, minor = (twice.row, twice.col) if form == "csr" else (twice.col, twice.row)
    counts = np.bincount(major)
    kind = {"csr": sparse.csr_array, "csc": sparse.csc_array}[form]
    ends = np.concatenate([[0], np.cumsum(counts)])
    twice = kind((parts[order], minor[order], ends), shape=X.shape)
    before = [part.copy() for part in (twice.data, twice.indices, twice.indptr)]
    found = clone(model).fit(twice, y).transform(twice)
    assert_allclose(found, clone(model).fit(X, y).transform(X), atol=1e-6)
    after = twice.data, twice.indices, twice.indptr
    for one, other in zip(before, after, strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("model", SPARSE)
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "bsr"])
def test_indices_of_sparse_data_beyond_their_shape_are_refused(model, form):
    X = sparse.csr_array(_table()).asformat(form)
    if form == "coo":
        X.coords[0][-1] = 50
    else:
        X.indices[-1] = 50
    with pytest.raises(ValueError, match=r"must be < |exceeds matrix dimension"):
        clone(model).fit(X, np.arange(12) % 3)


# --- Gaussian-process models ----------------------------------------------------------


def _curve(n=14):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 2)) @ rng.normal(size=(2, 5))
    X += 0.1 * rng.normal(size=(n, 5))
    X[:, 1] = np.sin(X[:, 0])
    return X


def _objective(model):
    return model.elbo if isinstance(model, BayesianGPLVM) else model.log_likelihood


GP_MODELS = {
    "exact": GPLVM(2, max_iter=20),
    "linear": GPLVM(2, kernel="linear", max_iter=20),
    "sparse": GPLVM(2, n_inducing=5, max_iter=20, random_state=0),
    "bayesian": BayesianGPLVM(2, n_inducing=6, max_iter=20, random_state=0),
    "bayesian linear": BayesianGPLVM(
        2, kernel="linear", n_inducing=6, max_iter=20, random_state=0
    ),
}
gp_models = pytest.mark.parametrize("name", GP_MODELS)
short = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:A covariance matrix was numerically singular",
)


@short
@gp_models
def test_a_gaussian_process_does_not_depend_on_the_unit(name):
    X = _curve()
    plain = clone(GP_MODELS[name]).fit(X)
    rows = plain.inverse_transform(plain.embedding_)
    for power in (-200, 200):
        unit = np.ldexp(1.0, power)
        moved = clone(GP_MODELS[name]).fit(X * unit)
        # Densities of the same rows in another unit, p(u y) = p(y) / u^D.
        shift = X.size * power * np.log(2.0)
        expected = _objective(plain)()
        assert_allclose(_objective(moved)() + shift, expected, rtol=1e-7, atol=1e-5)
        found = moved.inverse_transform(moved.embedding_) / unit
        assert_allclose(found, rows, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("factor", [1e-150, 1e-80, 1e80, 1e150])
@pytest.mark.parametrize("way", ["fit", "batches", "partial_fit"])
def test_a_unit_beyond_floating_point_is_refused(way, factor):
    model = BayesianGPLVM(2, batch_size=5 if way == "batches" else None)
    learn = model.partial_fit if way == "partial_fit" else model.fit
    with pytest.raises(ValueError, match=r"[Dd]ivide the data by a constant"):
        learn(factor * _curve())


@pytest.mark.parametrize("model", [GPLVM(2), BayesianGPLVM(2)])
@pytest.mark.parametrize(("unit", "noise"), [(1.0, 1e-80), (1.0, 1e80), (1e60, 0.1)])
def test_a_noise_far_from_the_data_is_refused(model, unit, noise):
    with pytest.raises(ValueError, match="too far from the data's mean variance"):
        clone(model).set_params(noise_variance=noise).fit(unit * _curve())


def test_positions_to_start_from_that_are_far_from_the_prior_are_refused():
    init = np.random.default_rng(0).normal(size=(14, 2))
    with pytest.raises(ValueError, match=r"init holds entries.*divide it"):
        BayesianGPLVM(2, init=1e9 * init).fit(_curve())


@short
@pytest.mark.parametrize("power", [-600, 600])
def test_the_scale_of_positions_to_start_from_does_not_count(power):
    init = np.random.default_rng(0).normal(size=(14, 2))
    plain = GPLVM(2, init=init, max_iter=5).fit(_curve())
    moved = GPLVM(2, init=np.ldexp(init, power), max_iter=5).fit(_curve())
    assert_array_equal(moved.embedding_, plain.embedding_)


@short
def test_tiny_positions_start_within_the_bounds_of_the_kernel():
    init = np.random.default_rng(0).normal(size=(14, 2))
    model = BayesianGPLVM(2, kernel="linear", max_iter=5)
    model.set_params(init=1e-150 * init).fit(_curve())
    assert np.isfinite(model.elbo())
    with pytest.raises(ValueError, match="choose another init"):  # no squares
        model.set_params(init=1e-158 * init).fit(_curve())


@short
@pytest.mark.parametrize("way", ["fit", "batches"])
def test_rows_of_constant_columns_are_found_again(way):
    # The mean of a constant rounds, to far more than the unit of the rest.
    X = _curve()
    X[:, 2] = 1e20 / 3.0
    for model in (GPLVM(2, max_iter=5), BayesianGPLVM(2, max_iter=5, random_state=0)):
        if way == "batches":
            if isinstance(model, GPLVM):
                continue
            model.set_params(batch_size=7)
        model.fit(X)
        assert_array_equal((X - model._mean)[:, 2], 0.0)
        positions = model.transform(X)
        assert_allclose(positions, model.embedding_, atol=1e-6 if way == "fit" else 1.0)


@short
@gp_models
def test_a_public_function_is_finite_or_refuses(name):
    model = clone(GP_MODELS[name]).fit(_curve())
    objective, Z = _objective(model), model.embedding_
    for far in (1e170, 1e300):
        with pytest.raises(ValueError, match="a position is too far"):
            model.inverse_transform(far * Z, return_std=True)
        with pytest.raises(ValueError, match="an argument is too far"):
            objective(embedding=far * Z, eval_gradient=True)
        with pytest.raises(ValueError, match="too far from the training data"):
            model.transform(far * _curve())
    for theta in (model.theta_ - 800.0, model.theta_ + 800.0):
        with pytest.raises(ValueError, match=r"not finite|positive"):
            objective(theta=theta, eval_gradient=True)
    if "bayesian" in name:
        for std in (1e-200, 1e200):
            with pytest.raises(ValueError, match="not finite"):
                objective(embedding_std=np.full(Z.shape, std), eval_gradient=True)
        # Somewhere at all, an RBF's function has its prior's moments.
        uncertain = {"return_std": True, "latent_std": np.full(Z.shape, 1e200)}
        if "linear" in name:
            with pytest.raises(ValueError, match="a position is too far"):
                model.inverse_transform(Z, **uncertain)
        else:
            mean, std = model.inverse_transform(Z, **uncertain)
            variance = model.kernel_.diag(Z) + model.noise_variance_
            assert_allclose(mean - model.mean_, 0.0, atol=1e-12)
            assert_allclose(std**2, np.broadcast_to(variance[:, None], std.shape))


@short
def test_single_precision_that_is_too_narrow_is_refused():
    model = BayesianGPLVM(2, max_iter=5, random_state=0).fit(1e50 * _curve())
    with pytest.raises(ValueError, match=r"not finite in float32: .* too narrow"):
        model.inverse_transform(model.embedding_.astype(np.float32))
    with pytest.raises(ValueError, match="squares of the data overflow"):
        GPLVM(2).fit(np.float32(1e37) * _curve().astype(np.float32))


@short
@gp_models
def test_single_precision_gives_what_double_gives(name):
    X = _curve().astype(np.float32)
    X[3, 1] = np.nan
    single, double = (clone(GP_MODELS[name]).fit(X.astype(t)) for t in ("f4", "f8"))
    assert single.embedding_.dtype == single.transform(X).dtype == np.float32
    assert_allclose(single.embedding_, double.embedding_, rtol=1e-6, atol=1e-6)
    assert_allclose(_objective(single)(), _objective(double)(), rtol=1e-12)
    assert_allclose(single.score_samples(X), double.score_samples(X), rtol=1e-6)
    filled = single.impute(X)
    assert_allclose(filled, double.impute(X.astype(float)), rtol=1e-5, atol=1e-5)


@short
@pytest.mark.parametrize("estimator", [GPLVM, BayesianGPLVM])
def test_functions_that_single_precision_cannot_hold_are_refused(estimator):
    X = _curve(20).astype(np.float32)
    wide = ConstantKernel(1e100, "fixed") * RBF()
    model = estimator(2, kernel=wide, noise_variance=1.0, max_iter=2, tol=1e9)
    with pytest.raises(ValueError, match="which float32, the precision of X, cannot"):
        model.fit(X)
    assert np.isfinite(model.fit(X.astype(float)).embedding_).all()


@short
@pytest.mark.parametrize("factor", [1e9, 1e15, 1e49, 1e60])
def test_a_stream_learns_from_rows_or_refuses_them(factor):
    X = 1e-50 * _curve(20)
    model = BayesianGPLVM(2, kernel="linear", n_inducing=5, random_state=0, tol=0.1)
    model.partial_fit(X)
    new = (
        factor * np.sqrt(model.noise_variance_) * np.array([[-0.3, 0.9, 0.7, 0.5, 0.1]])
    )
    if factor > 1e10:
        with pytest.raises(ValueError, match="row 0 of X is too far"):
            model.partial_fit(new)
    else:
        model.partial_fit(new)
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.elbo_)


@short
def test_a_stream_refuses_rows_that_are_far_and_keeps_what_it_knows():
    X = _curve(20)
    model = BayesianGPLVM(2, n_inducing=5, random_state=0).partial_fit(X[:10])
    before = model.transform(X)
    with pytest.raises(ValueError, match="row 1 of X is too far"):
        model.partial_fit(X[10:] * np.where(np.arange(10) == 1, 1e60, 1.0)[:, None])
    assert_array_equal(model.transform(X), before)
    assert np.isfinite(model.partial_fit(X[10:]).elbo_)


@short
@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_failed_restart_does_not_fail_the_fit(monkeypatch, n_jobs):
    """Every second start is at a place where the objective is not finite."""

    def half(walk):
        numbers = itertools.count()

        def walk_or_fail(start, **problem):
            if next(numbers) % 2:
                raise BadStartError("not finite")
            return walk(start, **problem)

        return walk_or_fail

    monkeypatch.setattr(_gplvm, "maximize", half(_gplvm.maximize))
    monkeypatch.setattr(_growing_fit, "ascend", half(_growing_fit.ascend))
    with parallel_config("threading"):
        for name in ("exact", "bayesian"):
            model = clone(GP_MODELS[name]).set_params(n_restarts=3, n_jobs=n_jobs)
            assert np.isfinite(model.fit(_curve()).score(_curve()))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_there_are_no_more_processes_than_restarts(monkeypatch):
    asked, genuine = [], _gplvm.Parallel

    def parallel(n_jobs):
        asked.append(n_jobs)
        return genuine(n_jobs=1)

    monkeypatch.setattr(_gplvm, "Parallel", parallel)
    model = GPLVM(1, n_restarts=3, n_jobs=10**4, max_iter=3, random_state=0)
    model.fit(_curve())
    assert asked == [3]


@short
def test_a_fit_without_any_way_says_so(monkeypatch):
    def fail(start, **problem):
        raise BadStartError("The objective is not finite at the start.")

    monkeypatch.setattr(_gplvm, "maximize", fail)
    monkeypatch.setattr(_growing_fit, "ascend", fail)
    for name in ("exact", "bayesian"):
        with pytest.raises(ValueError, match="not finite at the start"):
            clone(GP_MODELS[name]).set_params(n_restarts=2).fit(_curve())


@short
@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        BayesianGPLVM(2, kernel="linear"),
        BayesianGPLVM(2),
        GPLVM(2, kernel=Linear(), n_inducing=3),
        GPLVM(2, kernel="linear", n_inducing=3),
        GPLVM(2, n_inducing=3),
    ],
)
def test_constant_data_have_a_model(model, holes):
    X = np.full((6, 3), 7.0)
    if holes:
        X[0, 1] = X[3, 2] = np.nan
    model = clone(model).set_params(max_iter=10, random_state=0).fit(X)
    mean, std = model.inverse_transform(model.transform(X), return_std=True)
    assert_allclose(mean, 7.0, atol=1e-6)
    assert (std > 0).all()


def test_a_constant_kernel_alone_is_a_model():
    X = _curve()
    model = GPLVM(1, kernel=ConstantKernel(), max_iter=20).fit(X)
    K = model.kernel_.constant_value + model.noise_variance_ * np.eye(len(X))
    expected = multivariate_normal(cov=K).logpdf((X - model.mean_).T).sum()
    assert_allclose(model.log_likelihood(), expected)


@pytest.mark.parametrize("batch_size", [None, 5])
def test_positions_to_start_from_of_another_shape_are_refused(batch_size):
    model = BayesianGPLVM(2, init=np.zeros((9, 2)), batch_size=batch_size)
    with pytest.raises(ValueError, match=r"init has shape \(9, 2\), expected"):
        model.fit(_curve())
