"""GPLVM against its closed form, dense algebra and scikit-learn's manners."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joblib import parallel_config
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.sparse import random_array as sparse_random
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.gaussian_process import kernels as sk
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gplvm import GPLVM
from gplvm._centred import centred, mean_variance
from gplvm._likelihoods import DenseLikelihood
from gplvm._starts import Dilation
from gplvm.gradients import check_gradient


# On pure noise, as some checks have it, the likelihood rises without end.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([GPLVM(max_iter=100), GPLVM(kernel="linear")])
def test_scikit_learn_conformance(estimator, check):
    check(estimator)


def _optimum(data, q):
    """Lawrence 2005: the linear optimum from the eigenvalues of Y Y' / D."""
    n, d = data.shape
    singular = np.linalg.svd(data - data.mean(axis=0), compute_uv=False)
    eigenvalues = np.zeros(n)
    eigenvalues[: len(singular)] = singular**2 / d
    noise = eigenvalues[q:].sum() / (n - q)
    log_det = np.log(eigenvalues[:q]).sum() + (n - q) * np.log(noise)
    value = -n * d / 2 * (np.log(2 * np.pi) + 1) - d / 2 * log_det
    return value, noise, np.sqrt(eigenvalues[:q] - noise)


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(n_class=5, return_X_y=True)
    order = np.random.default_rng(0).permutation(len(X))
    return X[order], y[order]


@pytest.fixture(scope="module")
def rbf(digits):
    return GPLVM(tol=1e-3).fit(digits[0][:250])


LINEAR_DATA = {
    "tall": lambda rng: rng.normal(size=(300, 20)) * np.linspace(3, 0.3, 20),
    "wide": lambda rng: rng.normal(size=(25, 300)),
    "little noise": lambda rng: (
        rng.normal(size=(200, 3)) @ rng.normal(size=(3, 15))
        + 1e-3 * rng.normal(size=(200, 15))
    ),
    "huge": lambda rng: 1e8 * rng.normal(size=(60, 5)) * [5, 4, 3, 2, 1],
    "tiny": lambda rng: 1e-8 * rng.normal(size=(60, 5)) * [5, 4, 3, 2, 1],
    "columns of all units": lambda rng: load_wine().data,
    "outlier": lambda rng: np.vstack([rng.normal(size=(99, 8)), np.full(8, 1e5)]),
    "four rows": lambda rng: rng.normal(size=(4, 7)),
}


@pytest.mark.parametrize("name", LINEAR_DATA)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("q", [1, 2, 5])
def test_linear_reaches_the_closed_form_from_a_random_start(name, seed, q):
    data = LINEAR_DATA[name](np.random.default_rng(seed))
    q = min(q, min(data.shape) - 2)  # noise must be left
    best, noise, spread = _optimum(data, q)
    model = GPLVM(q, kernel="linear", init="random", random_state=seed).fit(data)
    gap = (best - model.log_likelihood_) / len(data)
    assert -1e-9 < gap < 1e-6
    assert_allclose(model.noise_variance_, noise, rtol=1e-3)
    # X = U (Lambda - noise)^(1/2), and the orientation is that of the axes.
    norms = np.linalg.norm(model.embedding_, axis=0)
    if name in ("huge", "tiny", "little noise"):  # well separated axes
        assert_allclose(norms, spread, rtol=1e-2)


def test_linear_subspace_is_pcas():
    X = load_iris().data
    model = GPLVM(kernel="linear").fit(X)
    scores = PCA(2).fit_transform(X)
    for ours, theirs in zip(model.embedding_.T, scores.T, strict=True):
        assert np.corrcoef(ours, theirs)[0, 1] > 1 - 1e-8  # signs too


def test_linear_never_forms_an_n_by_n_matrix():
    # 60,000 rows would need 27 GiB for one such matrix.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60_000, 3)) * [3, 2, 1]
    model = GPLVM(1, kernel="linear", init="random", random_state=0).fit(X)
    assert model.transform(X[:5] + 0.1).shape == (5, 1)


def test_objective_is_public_and_its_gradient_right(digits):
    X = digits[0][:12, 20:30]
    for kernel in ("linear", "rbf", sk.RBF([1.0, 2.0]) + sk.WhiteKernel(1.0)):
        model = GPLVM(kernel=kernel, tol=1.0).fit(X)
        assert_allclose(model.log_likelihood(), model.log_likelihood_, rtol=1e-12)

        def function(model=model, **point):
            return model.log_likelihood(**point, eval_gradient=True)

        rng = np.random.default_rng(0)
        point = {
            "embedding": model.embedding_ + 0.1 * rng.normal(size=(12, 2)),
            "theta": model.theta_ + 0.1,
        }
        assert check_gradient(function, point) < 1e-6
        value, _ = function(**point)
        kernel_there = model.kernel_.clone_with_theta(point["theta"][:-1])
        K = kernel_there(point["embedding"]) + np.exp(point["theta"][-1]) * np.eye(12)
        Y = X - X.mean(axis=0)
        dense = -0.5 * (
            Y.size * np.log(2 * np.pi)
            + Y.shape[1] * np.linalg.slogdet(K)[1]
            + np.trace(np.linalg.solve(K, Y @ Y.T))
        )
        assert_allclose(value, dense, rtol=1e-9)


def test_fit_ends_at_a_stationary_point(rbf):
    _, gradient = rbf.log_likelihood(eval_gradient=True)
    start = rbf.log_likelihood(embedding=0.5 * rbf.embedding_)
    assert rbf.log_likelihood_ > start
    assert np.abs(gradient["theta"]).max() < 0.05 * abs(start - rbf.log_likelihood_)


def test_rbf_separates_what_pca_does_not(digits, rbf):
    X, y = digits
    new, labels = X[250:500], y[250:500]
    classify = KNeighborsClassifier(1).fit(rbf.embedding_, y[:250])
    ours = classify.score(rbf.transform(new), labels)
    pca = PCA(2).fit(X[:250])
    classify = KNeighborsClassifier(1).fit(pca.transform(X[:250]), y[:250])
    assert 1 - ours < (1 - classify.score(pca.transform(new), labels)) / 3
    error = np.mean((rbf.inverse_transform(rbf.transform(new)) - new) ** 2)
    pca_error = np.mean((pca.inverse_transform(pca.transform(new)) - new) ** 2)
    assert error < 0.7 * pca_error


@pytest.mark.parametrize("kernel", ["linear", "rbf"])
def test_new_rows_one_by_one_in_a_batch_and_in_any_order(digits, kernel):
    X = digits[0]
    model = GPLVM(kernel=kernel, tol=1e-2).fit(X[:120])
    batch = model.transform(X[120:160])
    alone = np.vstack([model.transform(row[None]) for row in X[120:160]])
    assert_allclose(alone, batch, atol=1e-7)
    assert_allclose(model.transform(X[120:160][::-1])[::-1], batch, atol=1e-9)
    assert_allclose(model.score_samples(X[120:160]).mean(), model.score(X[120:160]))


def test_new_rows_are_at_a_maximum_of_their_density(digits, rbf):
    X = digits[0][250:280]
    positions = rbf.transform(X)
    best, _ = rbf._posterior.log_density(positions, X - rbf.mean_)
    rng = np.random.default_rng(0)
    for _ in range(10):
        moved = positions + 1e-2 * rng.normal(size=positions.shape)
        density, _ = rbf._posterior.log_density(moved, X - rbf.mean_)
        assert np.all(density < best + 1e-9)


def test_training_rows_get_their_embedding(digits, rbf):
    X = digits[0][:250]
    assert_array_equal(rbf.transform(X), rbf.embedding_)
    # Almost a training row lands almost there.
    nearly = rbf.transform(X[:50] + 1e-6)
    spread = rbf.embedding_.std()
    assert np.median(np.abs(nearly - rbf.embedding_[:50])) < 0.02 * spread


def test_reconstruction_has_its_uncertainty(digits, rbf):
    Z = np.vstack([rbf.embedding_[:5], np.full((1, 2), 1e3)])
    mean, std = rbf.inverse_transform(Z, return_std=True)
    assert mean.shape == std.shape == (6, 64)
    assert np.all(std[:5] < std[5])
    # Far from everything the prediction is the prior: the mean, signal plus noise.
    assert_allclose(mean[5], digits[0][:250].mean(axis=0))
    signal = rbf.kernel_.k1.constant_value
    assert_allclose(std[5] ** 2, signal + rbf.noise_variance_)
    assert np.all(std**2 >= rbf.noise_variance_)
    with pytest.raises(ValueError, match="read-only"):
        std[0, 0] = 0.0


def test_predicted_standard_deviations_are_calibrated():
    # A curve in 5 dimensions with known noise, all of the model's making.
    rng = np.random.default_rng(0)
    t = np.linspace(0, 6, 150)[:, None]
    data = np.sin(t + np.arange(5)) + 0.1 * rng.normal(size=(150, 5))
    model = GPLVM(1, tol=1e-5).fit(data[::2])
    assert_allclose(np.sqrt(model.noise_variance_), 0.1, rtol=0.2)
    mean, std = model.inverse_transform(model.transform(data[1::2]), return_std=True)
    inside = np.mean(np.abs(mean - data[1::2]) < 2 * std)
    assert 0.90 < inside <= 1.0


@pytest.mark.parametrize("parameters", [
    {"kernel": "rbf"},
    {"kernel": "matern32"},
    {"kernel": "linear"},
    {"kernel": "rbf", "latent_prior": "normal"},
    {"kernel": "linear", "latent_prior": "normal"},
    {"kernel": "rbf", "n_inducing": 10},
    {"kernel": "rbf", "back_constraint": "kernel"},
])  # fmt: skip
def test_the_scale_of_the_start_does_not_matter(parameters):
    X = load_iris().data[::5]
    start = PCA(2).fit_transform(X)
    values = [
        GPLVM(init=c * start, random_state=0, tol=0.1, **parameters)
        .fit(X)
        .log_likelihood_
        for c in (1e-3, 1.0, 1e3)
    ]
    assert_allclose(values, values[0], atol=1e-6 * len(X))


@pytest.mark.parametrize("kernel", ["rbf", "matern52"])
@pytest.mark.parametrize("latent_prior", [None, "normal"])
def test_an_optimum_given_as_the_start_stays(kernel, latent_prior):
    X = load_iris().data[::5]
    first = GPLVM(kernel=kernel, latent_prior=latent_prior, tol=1e-5).fit(X)
    for again in (kernel, first.kernel_):
        second = GPLVM(
            init=first.embedding_, kernel=again, latent_prior=latent_prior, tol=1e-5
        ).fit(X)
        spread = first.embedding_.std()
        assert_allclose(second.embedding_, first.embedding_, atol=0.02 * spread)
        assert_allclose(
            second.log_likelihood_, first.log_likelihood_, atol=0.01 * len(X)
        )
        assert second.n_iter_ < first.n_iter_


def test_a_dilation_is_differentiated():
    rng = np.random.default_rng(0)
    shape, G = rng.normal(size=(2, 5, 2))
    mapping = Dilation(shape)

    def function(parameters):
        positions, pull = mapping.pullback(parameters)
        return np.vdot(G, positions), pull(G)

    assert check_gradient(function, np.array([0.3])) < 1e-7
    assert_allclose(mapping.pullback(np.zeros(1))[0], shape)


@pytest.mark.parametrize("factor", [1e-8, 1e8])
def test_the_unit_of_the_data_does_not_matter(factor):
    X = load_iris().data[::3]
    start = PCA(2).fit_transform(X)
    model, scaled = (GPLVM(init=start, tol=1e-6).fit(data) for data in (X, factor * X))
    shifted = scaled.log_likelihood_ + X.size * np.log(factor)
    assert_allclose(shifted, model.log_likelihood_, atol=0.01 * len(X))


def test_fixed_noise_and_fixed_hyperparameters_stay():
    X = load_iris().data[::5]
    kernel = sk.ConstantKernel(2.0, "fixed") * sk.RBF(1.0, (0.5, 2.0))
    model = GPLVM(kernel=kernel, noise_variance=0.05, tol=1e-2).fit(X)
    assert model.noise_variance_ == pytest.approx(0.05)
    assert model.kernel_.k1.constant_value == 2.0
    assert 0.5 <= model.kernel_.k2.length_scale <= 2.0
    assert model.theta_.shape == (2,)
    assert kernel.k2.length_scale == 1.0  # the user's kernel is untouched


def test_warm_start_continues():
    X = load_iris().data[::3]
    model = GPLVM(warm_start=True, max_iter=5, tol=0.0)
    with pytest.warns(ConvergenceWarning, match="max_iter reached"):
        before = model.fit(X).log_likelihood_
    with pytest.warns(ConvergenceWarning):
        assert model.fit(X).log_likelihood_ > before
    with pytest.warns(ConvergenceWarning):
        assert model.fit(X[:-3]).embedding_.shape == (47, 2)  # cold: other rows


def test_interruption_leaves_a_fitted_model():
    class Impatient:
        def setup(self, estimator, context):
            self.calls = 0

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context):
            self.calls += 1
            if self.calls == 4:
                raise KeyboardInterrupt

    X = load_iris().data[::3]
    model = GPLVM().set_callbacks(Impatient())
    with pytest.warns(ConvergenceWarning, match="interrupted after 4 iterations"):
        model.fit(X)
    assert model.n_iter_ == 4
    assert model.transform(X[:3] + 0.01).shape == (3, 2)


def test_callbacks_see_a_working_estimator():
    shapes = []

    class Watcher:
        def setup(self, estimator, context):
            pass

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
            shapes.append(fitted_estimator.transform(X[:2]).shape)

    X = load_iris().data[::5]
    GPLVM(tol=1.0).set_callbacks(Watcher()).fit(X)
    assert len(shapes) > 3 and set(shapes) == {(2, 2)}


def test_scoring_monitor_in_a_pipeline():
    X = load_iris().data[::5]
    monitor = ScoringMonitor(scoring={"density": lambda model, X, y: model.score(X)})
    model = GPLVM(tol=1e-2).set_callbacks(monitor)
    # scikit-learn's monitor scores only where there is a y.
    make_pipeline(StandardScaler(), model).fit(X, np.zeros(len(X)))
    scores = [entry["density"] for entry in monitor.get_logs().data]
    assert len(scores) > 5 and scores[-1] > scores[1]  # scores[0]: the whole fit


def test_verbose_prints_the_loss(capsys):
    GPLVM(tol=1.0, verbose=2).fit(load_iris().data[::5])
    assert "Iteration 1, loss = " in capsys.readouterr().out


def test_pipeline_grid_search_pandas_clone_and_pickle():
    X, y = load_iris(return_X_y=True, as_frame=True)
    X, y = X[::2], y[::2]
    pipeline = make_pipeline(StandardScaler(), GPLVM(tol=1e-2), KNeighborsClassifier(1))
    search = GridSearchCV(pipeline, {"gplvm__kernel": ["linear", "rbf"]}, cv=3)
    assert search.fit(X, y).best_score_ > 0.85
    model = GPLVM(kernel="linear").set_output(transform="pandas").fit(X)
    assert list(model.transform(X[:3]).columns) == ["gplvm0", "gplvm1"]
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.transform(X), model.transform(X))
    assert clone(model).get_params() == model.get_params()


def test_equal_seeds_and_data_give_equal_embeddings():
    X = load_iris().data[::3]
    first = GPLVM(init="random", random_state=3, tol=1e-2).fit_transform(X)
    second = GPLVM(init="random", random_state=3, tol=1e-2).fit_transform(X)
    assert_array_equal(first, second)


def test_float32_stays_and_agrees():
    X = load_iris().data[::3]
    wide = GPLVM(tol=1e-4).fit(X)
    narrow = GPLVM(tol=1e-4).fit(X.astype(np.float32))
    new = X[:5] + 0.01
    assert narrow.transform(new.astype(np.float32)).dtype == np.float32
    assert narrow.inverse_transform(narrow.embedding_).dtype == np.float32
    assert_allclose(narrow.log_likelihood_, wide.log_likelihood_, rtol=1e-2)


# Where the likelihood rises without end, a warning says so; the fit is still usable.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@given(
    n=st.integers(2, 8),
    d=st.integers(1, 6),
    kind=st.sampled_from(
        ["normal", "duplicates", "constant column", "constant", "one"]
    ),
    kernel=st.sampled_from(["linear", "rbf"]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_awkward_data_fit_or_say_why(n, d, kind, kernel, seed):
    X = np.random.default_rng(seed).normal(size=(n, d))
    if kind == "duplicates":
        X[n // 2 :] = X[0]
    elif kind == "constant column":
        X[:, 0] = 7.0
    elif kind == "constant":
        X[:] = 3.0
    elif kind == "one":
        X[1:] = 0.0
    model = GPLVM(1, kernel=kernel, tol=1e-2, max_iter=50).fit(X)
    new = model.transform(X + 0.1)
    mean, std = model.inverse_transform(new, return_std=True)
    for array in (model.embedding_, new, mean, std, model.score_samples(X)):
        assert np.all(np.isfinite(array))


@pytest.mark.parametrize("parameters, error, message", [
    ({"n_components": 5}, ValueError, r"n_components=5 .* n_features=4"),
    ({"kernel": sk.PairwiseKernel()}, NotImplementedError, "Supported kernels are"),
    ({"kernel": sk.RBF([1.0, 1.0, 1.0])}, ValueError, "expected 1 or n_components=2"),
    ({"kernel": sk.RBF() ** 0.5}, NotImplementedError, "Exponentiation to 0.5"),
    ({"kernel": sk.DotProduct(0.0)}, ValueError, "fix it"),
    ({"kernel": sk.CompoundKernel([sk.RBF()])}, NotImplementedError, "Supported"),
    ({"kernel": "cubic"}, ValueError, "'kernel' parameter"),
    ({"init": np.ones((3, 2))}, ValueError, r"expected .* \(150, 2\)"),
    ({"noise_variance": -1.0}, ValueError, "'noise_variance' parameter"),
    ({"max_iter": 0}, ValueError, "'max_iter' parameter"),
])  # fmt: skip
def test_bad_parameters(parameters, error, message):
    with pytest.raises(error, match=message):
        GPLVM(**parameters).fit(load_iris().data)


def test_too_many_rows_are_refused_before_any_work(monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 100)
    with pytest.raises(MemoryError, match="GiB"):
        GPLVM(n_inducing=None).fit(load_iris().data)
    GPLVM(kernel="linear", n_inducing=None).fit(load_iris().data)


def test_constant_data_are_constant_to_the_bit():
    # The mean of a constant column rounds: what is left of it is not data.
    X = np.full((6, 3), 0.1)
    assert_allclose(GPLVM(max_iter=5, tol=1.0).fit(X)._likelihood.Y, 0.0, atol=0.0)


def test_data_whose_squares_overflow_are_refused():
    with pytest.raises(ValueError, match="squares of the data overflow"):
        GPLVM().fit(1e160 * load_iris().data)


@pytest.mark.parametrize("factor", [1e-150, 1e-80, 1e80, 1e150])
def test_a_unit_beyond_floating_point_is_refused(factor):
    with pytest.raises(ValueError, match="divide the data by a constant"):
        GPLVM().fit(factor * load_iris().data)


HOSTILE = ["duplicates", "constant column", "wide", "three", "two", 1e-60, 1e-8, 1e8,
           1e60, "mixed", "offset", "outlier", "constant", "diagonal"]  # fmt: skip


def _hostile(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 2)) @ rng.normal(size=(2, 4)) + 0.1 * rng.normal(
        size=(8, 4)
    )
    if isinstance(kind, float):
        return kind * X
    return {
        "duplicates": np.repeat(X[:3], 3, axis=0),
        "constant column": X * [1.0, 0.0, 1.0, 1.0] + 7.0,
        "wide": rng.normal(size=(5, 30)),
        "three": X[:3],
        "two": X[:2],
        "mixed": X * [1e-8, 1.0, 1e4, 1e8],
        "offset": X + 1e10,
        "outlier": np.vstack([X, np.full((1, 4), 1e6)]),
        "constant": np.full((6, 3), 0.1),
        "diagonal": np.eye(6, 4),
    }[kind]


# Where noise vanishes beside duplicates, the likelihood rises without end: said so.
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:A covariance matrix was numerically singular")
@pytest.mark.parametrize("kernel, kind", [
    *((kernel, kind) for kernel in ("rbf", "linear") for kind in HOSTILE),
    *((kernel, kind) for kernel in ("matern32", "matern52", "rational_quadratic")
      for kind in ("duplicates", "mixed")),
])  # fmt: skip
def test_hostile_data_fit_with_finite_results(monkeypatch, kernel, kind):
    monkeypatch.setattr("gplvm._starts._RACE_ITERATIONS", (3, 2))
    for missing in (False, True):
        X = _hostile(kind)
        if missing:
            X[0, 0] = X[1, -1] = np.nan
        for n_inducing in (None, len(X) // 2):
            model = GPLVM(
                kernel=kernel,
                n_inducing=n_inducing,
                max_iter=5,
                tol=0.1,
                random_state=0,
            ).fit(X)
            new, std = model.transform(1.1 * X, return_std=True)
            results = [
                model.embedding_,
                new,
                std,
                *model.inverse_transform(new, return_std=True),
                model.score_samples(X),
                model.sample(2, random_state=0),
                model.log_likelihood_,
            ]
            assert all(np.all(np.isfinite(result)) for result in results)
            if kind == "constant":
                continue
            # A duplicate may get its twin's position.
            spread = model.embedding_.std()
            assert_allclose(model.transform(X), model.embedding_, atol=1e-2 * spread)


def test_float32_is_the_same_data_in_another_type():
    X = load_iris().data[::4].astype(np.float32)
    new = load_iris().data[1:20:4].astype(np.float32)
    narrow, wide = GPLVM(tol=1e-3).fit(X), GPLVM(tol=1e-3).fit(X.astype(float))
    assert_allclose(narrow.embedding_, wide.embedding_, atol=1e-5)
    assert_allclose(narrow.log_likelihood_, wide.log_likelihood_, rtol=1e-6)
    assert_allclose(narrow.transform(new), wide.transform(new.astype(float)), atol=1e-5)
    assert_allclose(narrow.score(new), wide.score(new.astype(float)), rtol=1e-5)


def test_the_number_of_jobs_changes_nothing():
    X = load_iris().data[::5]
    parameters = {"n_restarts": 3, "tol": 1e-2, "random_state": 0}
    with parallel_config(backend="threading"):
        fits = [GPLVM(n_jobs=n, **parameters).fit(X) for n in (None, 2, 3)]
    for fit in fits[1:]:
        assert_array_equal(fit.embedding_, fits[0].embedding_)


def test_units_far_apart_are_no_worse_than_the_linear_model():
    # Unscaled columns: PCA's map is nearly all there is to find.
    X = load_wine().data
    train, new = X[::2], X[1::2]
    model, pca = GPLVM(tol=1e-3).fit(train), PCA(2).fit(train)
    error = np.mean((model.inverse_transform(model.transform(new)) - new) ** 2)
    pca_error = np.mean((pca.inverse_transform(pca.transform(new)) - new) ** 2)
    assert error < 1.2 * pca_error
    alone = np.vstack([model.transform(row[None]) for row in new])
    assert_allclose(alone, model.transform(new), atol=1e-7)


def test_parameters_set_after_the_fit_change_nothing():
    X = load_iris().data[::5]
    model = GPLVM(kernel="linear").fit(X)
    positions = model.transform(X + 0.1)
    model.set_params(n_components=3, kernel="rbf", latent_prior="normal")
    assert_array_equal(model.transform(X + 0.1), positions)
    assert model.inverse_transform(positions).shape == X.shape


def test_wrong_shapes_after_the_fit():
    X = load_iris().data[::5]
    model = GPLVM(kernel="linear").fit(X)
    with pytest.raises(ValueError, match="Z has 3 columns, expected n_components=2"):
        model.inverse_transform(np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"embedding has shape \(3, 2\), expected"):
        model.log_likelihood(embedding=np.ones((3, 2)))
    with pytest.raises(ValueError, match="theta holds NaN or infinity"):
        model.log_likelihood(theta=np.full(1, np.nan))
    with pytest.raises(ValueError, match="embedding holds NaN or infinity"):
        model.log_likelihood(embedding=np.full(model.embedding_.shape, np.inf))
    with pytest.raises(NotFittedError):
        GPLVM().inverse_transform(np.ones((2, 2)))


# --- Inducing points, restarts, the prior, uncertainty of projection -----------------


def test_sparse_model_is_near_the_exact_one_and_below_it(digits):
    X = digits[0][:200]
    exact = GPLVM(tol=1e-2).fit(X)
    sparse = GPLVM(n_inducing=60, tol=1e-2, random_state=0).fit(X)
    assert sparse.inducing_points_.shape == (60, 2)
    same = {"embedding": sparse.embedding_, "theta": sparse.theta_}
    assert sparse.log_likelihood_ < exact.log_likelihood(**same)
    neighbours = KNeighborsClassifier(1).fit(sparse.embedding_, digits[1][:200])
    new = digits[0][200:350]
    accuracy = neighbours.score(sparse.transform(new), digits[1][200:350])
    assert accuracy > 0.85
    assert_array_equal(sparse.transform(X), sparse.embedding_)


def test_sparse_objective_is_public():
    X = load_iris().data[::5]
    model = GPLVM(n_inducing=6, tol=0.1, random_state=0).fit(X)
    assert_allclose(model.log_likelihood(), model.log_likelihood_)

    def function(**point):
        return model.log_likelihood(**point, eval_gradient=True)

    point = {
        "embedding": model.embedding_,
        "inducing_points": model.inducing_points_,
        "theta": model.theta_,
    }
    assert check_gradient(function, point) < 1e-5
    with pytest.raises(ValueError, match="exact and has no inducing points"):
        GPLVM(tol=1.0).fit(X).log_likelihood(inducing_points=np.ones((6, 2)))


def test_auto_is_exact_for_few_rows_and_sparse_for_many(monkeypatch):
    X = load_iris().data
    assert not hasattr(GPLVM(tol=1.0).fit(X), "inducing_points_")
    monkeypatch.setattr("gplvm._gplvm._EXACT_ROWS", 100)
    assert GPLVM(tol=1.0).fit(X).inducing_points_.shape == (100, 2)
    assert not hasattr(GPLVM(kernel="linear").fit(X), "inducing_points_")
    with pytest.raises(
        ValueError, match="n_inducing=151 must not exceed n_samples=150"
    ):
        GPLVM(n_inducing=151).fit(X)


def test_restarts_keep_the_best():
    X = load_iris().data[::3]
    one = GPLVM(tol=1e-2, random_state=0).fit(X)
    several = GPLVM(tol=1e-2, n_restarts=3, random_state=0).fit(X)
    assert several.log_likelihood_ >= one.log_likelihood_
    again = GPLVM(tol=1e-2, n_restarts=3, random_state=0, n_jobs=2).fit(X)
    assert_allclose(again.embedding_, several.embedding_, atol=1e-6)


def test_prior_keeps_positions_near_the_origin():
    X = load_iris().data[::3]
    free = GPLVM(tol=1e-3).fit(X)
    kept = GPLVM(tol=1e-3, latent_prior="normal").fit(X)
    assert np.vdot(kept.embedding_, kept.embedding_) < np.vdot(
        free.embedding_, free.embedding_
    )
    # New rows maximise the density times the prior.
    new = X[:20] + 0.05
    positions = kept.transform(new)

    def posterior(Z):
        density, _ = kept._posterior.log_density(Z, new - kept.mean_)
        return density - 0.5 * (Z**2).sum(axis=1)

    rng = np.random.default_rng(0)
    for _ in range(20):
        moved = positions + 1e-3 * rng.normal(size=positions.shape)
        assert np.all(posterior(moved) < posterior(positions) + 1e-9)


def test_projection_uncertainty_grows_with_what_is_hidden(digits, rbf):
    X = digits[0][250:290].copy()
    positions, std = rbf.transform(X, return_std=True)
    assert positions.shape == std.shape == (40, 2) and np.all(std > 0)
    X[:, 10:] = np.nan
    _, wider = rbf.transform(X, return_std=True)
    assert np.median(wider / std) > 1.5
    assert np.all(wider <= rbf.embedding_.std(axis=0).max() * (1 + 1e-9))


@pytest.mark.parametrize("latent_prior", [None, "normal"])
def test_log_density_integrates_positions_out(latent_prior):
    # The judge draws positions as `sample` does, and averages p(y | x) over them.
    X = load_iris().data[::2, :2]
    model = GPLVM(1, latent_prior=latent_prior, tol=1e-3).fit(X)
    rng = np.random.default_rng(0)
    positions = rng.normal(size=(20_000, 1))
    if latent_prior is None:
        cloud = model.embedding_[rng.integers(len(X), size=20_000)]
        positions = cloud + 0.1 * model.embedding_.std() * positions
    new = load_iris().data[1:60:4, :2]
    expected = []
    for row in new - model.mean_:
        rows = np.broadcast_to(row, (20_000, 2))
        density, _ = model._posterior.log_density(positions, rows)
        expected.append(logsumexp(density) - np.log(20_000))
    # Laplace's approximation around one mode: not an identity, and too low for a row
    # that could lie in two places.
    error = model.score_samples(new) - expected
    assert np.median(np.abs(error)) < 0.2
    assert abs(np.mean(error)) < 0.3


def test_samples_come_from_the_model(rbf):
    rows = rbf.sample(300, random_state=0)
    assert rows.shape == (300, 64)
    assert_array_equal(rows, rbf.sample(300, random_state=0))
    # Their first two moments are the data's, within the error of 300 draws.
    assert np.abs(rows.mean(axis=0) - rbf.mean_).mean() < 1.0
    data = rbf._likelihood.Y
    assert_allclose(rows.var(axis=0).sum(), data.var(axis=0).sum(), rtol=0.2)


@pytest.mark.parametrize("kernel", ["matern32", "matern52", "rational_quadratic"])
def test_string_shortcuts(digits, kernel):
    model = GPLVM(kernel=kernel, tol=0.1).fit(digits[0][:60])
    assert model.transform(digits[0][60:63]).shape == (3, 2)


def test_nested_kernel_object(digits):
    kernel = sk.ConstantKernel(10.0) * sk.Matern([1.0, 2.0], nu=2.5) + sk.WhiteKernel()
    model = GPLVM(kernel=kernel, tol=0.1).fit(digits[0][:60])
    assert len(model.theta_) == 5
    assert model.kernel_.k2.noise_level > 0


# --- Sparse matrices -----------------------------------------------------------------


@pytest.mark.parametrize("shape", [(200, 30), (30, 200)])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_sparse_data_reach_the_closed_form_without_being_dense(shape, init):
    X = sparse_random(shape, density=0.1, random_state=0, format="csr")
    best, _, _ = _optimum(X.toarray(), 3)
    model = GPLVM(3, kernel="linear", init=init, random_state=0).fit(X)
    assert -1e-9 < (best - model.log_likelihood_) / shape[0] < 1e-6
    dense = GPLVM(3, kernel="linear").fit(X.toarray())
    assert_allclose(model.log_likelihood_, dense.log_likelihood_, rtol=1e-9)
    new = sparse_random((5, shape[1]), density=0.1, random_state=1, format="csc")
    positions = model.transform(new)
    assert_allclose(model.transform(new.toarray()), positions, atol=1e-9)
    assert_array_equal(model.transform(X), model.embedding_)
    assert_array_equal(model.transform(X.toarray()), model.embedding_)


@pytest.mark.parametrize("unit", [1.0, 1e120])
@pytest.mark.parametrize("n_samples", [7, 1000])
def test_constant_columns_are_zero(unit, n_samples):
    # The mean of seven times 0.1 is not 0.1, and that of a thousand even less.
    X = unit * np.tile([0.1, 0.0, -0.7], (n_samples, 1))
    Y, mean = centred(csr_array(X))
    dense, of_dense = centred(X)
    assert_array_equal([mean, of_dense], X[:2])
    assert_array_equal(Y.rows(np.arange(n_samples)), 0.0)
    assert_array_equal(dense, 0.0)
    assert mean_variance(Y) == mean_variance(dense) == 1.0


def test_a_large_constant_column_changes_nothing_of_sparse_data():
    X = np.random.default_rng(0).normal(size=(200, 6))
    likelihoods = []
    for constant in (0.0, 1e8):
        X[:, 0] = constant
        model = GPLVM(2, kernel="linear").fit(csr_array(X))
        assert_array_equal(model.mean_[0], constant)
        likelihoods.append(model.log_likelihood_)
    assert_allclose(likelihoods[1], likelihoods[0], rtol=1e-12)


def test_large_sparse_data_fit_in_memory():
    # Dense, they would take 16 GB.
    shape = (1_000_000, 2000)
    rng = np.random.default_rng(0)
    rows, columns = rng.integers(shape[0], size=10**4), rng.integers(50, size=10**4)
    X = csr_array((rng.normal(size=10**4), (rows, columns)), shape=shape)
    model = GPLVM(1, kernel="linear", tol=1.0).fit(X)
    assert model.embedding_.shape == (1_000_000, 1)


@pytest.mark.parametrize("parameters", [{"kernel": "rbf"}, {}, {"kernel": sk.RBF()}])
def test_sparse_data_are_refused_by_other_kernels(parameters):
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        GPLVM(**parameters).fit(sparse_random((20, 5), density=0.5, format="csr"))


# --- What a review broke -------------------------------------------------------------


@pytest.mark.parametrize(
    "kernel",
    [
        sk.ConstantKernel() * (sk.RBF() + sk.WhiteKernel(0.1)),
        sk.ConstantKernel() * (sk.RBF() * sk.RationalQuadratic()),
        sk.ConstantKernel() * sk.RBF() ** 2,
        sk.ConstantKernel() * (sk.ConstantKernel() * sk.RBF([1.0, 2.0])),
        sk.ConstantKernel() * sk.WhiteKernel(),
        sk.RBF() * sk.ConstantKernel(),
        sk.DotProduct() * sk.DotProduct() + sk.RBF(),
    ],
    ids=str,
)
def test_the_model_is_the_end_of_the_walk(kernel):
    # Orientation must not change the likelihood that the walk ended with.
    X = load_iris().data[::3]
    model = GPLVM(kernel=kernel, tol=0.1).fit(X)
    assert_allclose(model.log_likelihood_ / len(X), -min(model.loss_curve_), rtol=1e-6)


@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("init", ["pca", "random"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_linear_kernel_on_data_of_lower_rank(rank, init):
    rng = np.random.default_rng(0)
    X = 1.0 + rng.normal(size=(40, rank)) @ rng.normal(size=(rank, 6))
    model = GPLVM(3, kernel="linear", init=init, random_state=0).fit(X)
    assert model.embedding_.shape == (40, 3)
    reconstruction = model.inverse_transform(model.embedding_)
    assert_allclose(reconstruction, X, atol=1e-3)


class _Interrupt:
    """Raises KeyboardInterrupt in the n-th evaluation of a likelihood."""

    def __init__(self, monkeypatch, likelihood_class, at):
        self.calls, evaluate = 0, likelihood_class.evaluate

        def interrupted(likelihood, *arguments):
            self.calls += 1
            if self.calls == at:
                raise KeyboardInterrupt
            return evaluate(likelihood, *arguments)

        monkeypatch.setattr(likelihood_class, "evaluate", interrupted)


@pytest.mark.parametrize("at", [5, 40])
def test_interruption_of_the_race_leaves_a_model(monkeypatch, at):
    interrupt = _Interrupt(monkeypatch, DenseLikelihood, at)
    X = load_iris().data[::3]
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = GPLVM().fit(X)
    assert interrupt.calls == at
    assert model.transform(X[:2] + 0.1).shape == (2, 2)


def test_interruption_ends_all_restarts(monkeypatch):
    X = load_iris().data[::3]
    interrupt = _Interrupt(monkeypatch, DenseLikelihood, 8)
    model = GPLVM(n_restarts=5, init=PCA(2).fit_transform(X))
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(X)
    assert interrupt.calls == 8
    assert model.transform(X).shape == (50, 2)


def test_restarts_report_their_iterations(capsys):
    X = load_iris().data[::5]
    GPLVM(n_restarts=2, tol=0.1, random_state=0, verbose=2).fit(X)
    assert capsys.readouterr().out.count("Iteration") > 10


@pytest.fixture(scope="module")
def wine():
    """Wine, standardised."""
    return StandardScaler().fit_transform(load_wine().data)


def test_copies_of_rows_do_not_end_in_islands(wine):
    X = np.vstack([wine, wine[:89]])
    with pytest.warns(ConvergenceWarning, match="89 of 267 rows of X are copies"):
        model = GPLVM(random_state=0).fit(X)
    copies, originals = model.embedding_[178:], model.embedding_[:89]
    spread = model.embedding_.std()
    assert np.abs(copies - originals).max() < 0.01 * spread
    assert np.abs(model.transform(X) - model.embedding_).max() < 0.01 * spread
    assert spread < 10.0


@pytest.mark.parametrize("dead", [[0, 1], [1]])
def test_an_array_with_a_dead_column_comes_to_life(wine, dead):
    init = wine[:, :2].copy()
    init[:, dead] = 3.0
    model = GPLVM(init=init, random_state=0).fit(wine)
    assert model.embedding_.std(axis=0).min() > 0.1
    # What the start lacks, the fit finds: no worse than the linear model.
    assert model.log_likelihood_ > GPLVM(kernel="linear").fit(wine).log_likelihood_


def test_random_starts_find_the_linear_regime_and_restarts_draw_anew(wine):
    linear = GPLVM(kernel="linear").fit(wine).log_likelihood_
    one = GPLVM(init="random", random_state=0).fit(wine)
    best = GPLVM(init="random", n_restarts=3, random_state=0).fit(wine)
    assert one.log_likelihood_ > linear
    assert best.log_likelihood_ >= one.log_likelihood_
