"""BayesianGPLVM against Monte Carlo, limits and scikit-learn's manners."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.gaussian_process import kernels as sk
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gplvm import GPLVM, BayesianGPLVM, _growing_fit, kernels
from gplvm._diagnostics import relevance
from gplvm.gradients import check_gradient


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([BayesianGPLVM(max_iter=15, n_inducing=None)])
def test_scikit_learn_conformance(estimator, check):
    check(estimator)


def _curves(n, q, d, seed, noise=0.1, length_scale=2.0):
    """Data of the model's own making, from q latent dimensions."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, q))
    K = sk.RBF(length_scale)(X) + 1e-8 * np.eye(n)
    Y = np.linalg.cholesky(K) @ rng.normal(size=(n, d))
    return Y + noise * rng.normal(size=Y.shape)


@pytest.fixture(scope="module")
def data():
    return _curves(110, 2, 8, seed=0)


@pytest.fixture(scope="module")
def model(data):
    return BayesianGPLVM(4, n_inducing=25, tol=1e-4, random_state=0).fit(data[:80])


def test_objective_is_public_and_its_gradient_right(data, model):
    assert_allclose(model.elbo(), model.elbo_, rtol=1e-12)
    assert_allclose(-model.elbo_ / 80, min(model.loss_curve_), rtol=1e-9)
    model = BayesianGPLVM(2, n_inducing=4, tol=0.1, random_state=0).fit(data[:10])
    rng = np.random.default_rng(0)
    point = {
        "embedding": model.embedding_ + 0.1 * rng.normal(size=(10, 2)),
        "embedding_std": model.embedding_std_ * np.exp(0.1 * rng.normal(size=(10, 2))),
        "inducing_points": model.inducing_points_,
        "theta": model.theta_ + 0.1,
    }

    def function(**point):
        return model.elbo(**point, eval_gradient=True)

    assert check_gradient(function, point) < 1e-5


def test_bound_is_below_the_marginal_likelihood():
    # One dimension known to be linear: log p(Y) = sum_d log N(y_d | 0, v x x' + s2 I),
    # integrated over x by Monte Carlo, exceeds the bound.
    rng = np.random.default_rng(0)
    Y = np.outer([1.0, -0.5, 0.3], [1.0, -1.0]) + 0.3 * rng.normal(size=(3, 2))
    model = BayesianGPLVM(1, kernel="linear", n_inducing=2, tol=1e-6).fit(Y)
    v, s2 = model.kernel_.variances, model.noise_variance_
    X = rng.normal(size=(200_000, 3))
    centred = Y - Y.mean(axis=0)
    # |v x x' + s2 I| = s2^2 (s2 + v |x|^2), and its inverse by Sherman-Morrison.
    squares = (X**2).sum(axis=1)
    projected = ((X @ centred) ** 2).sum(axis=1)
    log_p = -0.5 * (
        6 * np.log(2 * np.pi)
        + 2 * (2 * np.log(s2) + np.log(s2 + v * squares))
        + ((centred**2).sum() - v * projected / (s2 + v * squares)) / s2
    )
    exact = np.logaddexp.reduce(log_p) - np.log(len(X))
    assert model.elbo_ < exact + 0.02
    assert model.elbo_ > exact - 3.0


def test_fit_ends_at_a_stationary_point(model):
    _, gradient = model.elbo(eval_gradient=True)
    # In the walk's units: a posterior standard deviation, and logarithms.
    assert np.abs(gradient["embedding"] * model.embedding_std_).max() < 0.5
    assert np.abs(gradient["embedding_std"] * model.embedding_std_).max() < 0.5


@pytest.mark.parametrize("seed", range(10))
def test_finds_three_dimensions_of_ten(seed):
    data = _curves(200, 3, 12, seed=100 + seed)
    model = BayesianGPLVM(10, n_inducing=30, tol=1e-2, random_state=seed).fit(data)
    assert model.n_relevant_ == 3


def test_dimensions_that_are_off_keep_the_prior(model):
    assert model.n_relevant_ == 2
    assert_allclose(model.embedding_[:, 2:], 0.0, atol=0.05)
    assert_allclose(model.embedding_std_[:, 2:], 1.0, atol=0.05)


def test_relevance_is_the_inverse_square_of_the_length_scale(model):
    scales = model.kernel_.k2.length_scale
    assert_allclose(model.relevance_, scales**-2.0)
    assert np.all(np.diff(model.relevance_) <= 0)


def test_relevance_of_sums_is_the_mean_squared_slope():
    kernel = 2.0 * sk.RBF([1.0, 2.0]) + kernels.Linear([0.5, 3.0]) + sk.RBF(4.0)
    h, X = 1e-4, np.zeros((2, 2))
    for q, value in enumerate(relevance(kernel, 2)):
        X[:] = 0.0
        X[1, q] = h
        K = kernel(X)
        slope = (K[0, 0] + K[1, 1] - 2 * K[0, 1]) / h**2
        assert_allclose(value, slope / 3.0, rtol=1e-4)  # in units of the amplitudes
    assert_allclose(relevance(kernels.Linear([0.5, 3.0]), 2), [0.5, 3.0])


def test_new_rows_one_by_one_in_a_batch_and_in_any_order(data, model):
    new = data[80:]
    mean, std = model.transform(new, return_std=True)
    for row in range(0, 30, 7):
        alone, alone_std = model.transform(new[row : row + 1], return_std=True)
        assert_allclose(alone[0], mean[row], atol=1e-7)
        assert_allclose(alone_std[0], std[row], atol=1e-7)
    assert_allclose(model.transform(new[::-1])[::-1], mean, atol=1e-7)
    scores = model.score_samples(new)
    assert_allclose(scores.mean(), model.score(new))


def test_new_rows_are_at_a_maximum_of_their_bound(data, model):
    new = data[80:]
    mean, std = model.transform(new, return_std=True)
    best = model.score_samples(new)
    centred = new - model.mean_
    rng = np.random.default_rng(0)
    for _ in range(10):
        moved = mean + 0.1 * std * rng.normal(size=mean.shape)
        wider = std * np.exp(0.1 * rng.normal(size=std.shape))
        row_bound = model._posterior.row_bound(centred)
        bound, _, _ = row_bound(moved, wider**2, np.arange(len(centred)))
        assert np.all(bound < best + 1e-7)


def test_score_is_a_bound_on_the_density():
    # p(y) = E_{x ~ N(0, I)} p(y | x), and p(y | x) by the prediction at a point, whose
    # functions' uncertainty only widens it.
    data = _curves(60, 1, 5, seed=1)
    model = BayesianGPLVM(1, n_inducing=15, random_state=0).fit(data[:50])
    Z = np.linspace(-6, 6, 4001)[:, None]
    mean, std = model.inverse_transform(Z, return_std=True)
    log_prior = -0.5 * (Z[:, 0] ** 2 + np.log(2 * np.pi)) + np.log(12 / 4000)
    for y, bound in zip(data[50:], model.score_samples(data[50:]), strict=True):
        log_p = -0.5 * (((y - mean) / std) ** 2 + np.log(2 * np.pi * std**2)).sum(1)
        exact = np.logaddexp.reduce(log_p + log_prior)
        assert exact - 1.5 < bound < exact + 0.05


def test_training_rows_have_their_posterior_and_nearly_equal_rows_nearly(data, model):
    mean, std = model.transform(data[:80], return_std=True)
    assert_array_equal(mean, model.embedding_)
    assert_array_equal(std, model.embedding_std_)
    # The same by inference: not equal to the bit, so that they count as new.
    nearly, nearly_std = model.transform(data[:80] + 1e-9, return_std=True)
    assert_allclose(nearly, mean, atol=1e-2)
    assert_allclose(nearly_std, std, atol=1e-2)


def test_uncertain_positions_by_monte_carlo(data, model):
    mean, std = model.transform(data[80:83], return_std=True)
    std = std + 0.2
    ours, ours_std = model.inverse_transform(mean, return_std=True, latent_std=std)
    rng = np.random.default_rng(0)
    for row in range(3):
        Z = mean[row] + std[row] * rng.normal(size=(100_000, 4))
        at, at_std = model.inverse_transform(Z, return_std=True)
        assert_allclose(ours[row], at.mean(axis=0), atol=0.02)
        total = np.sqrt((at_std**2).mean(axis=0) + at.var(axis=0))
        assert_allclose(ours_std[row], total, rtol=0.02)
    point = model.inverse_transform(mean, return_std=True)
    sharp = model.inverse_transform(mean, return_std=True, latent_std=0 * std)
    assert_allclose(sharp[0], point[0], atol=1e-8)
    assert_allclose(sharp[1], point[1], rtol=1e-5)


def test_predicted_standard_deviations_are_calibrated(data, model):
    mean, std = model.transform(data[80:], return_std=True)
    rows, rows_std = model.inverse_transform(mean, return_std=True, latent_std=std)
    inside = np.mean(np.abs(rows - data[80:]) < 2 * rows_std)
    assert 0.9 < inside <= 1.0


def test_missing_values_in_training_and_new_rows(data):
    rng = np.random.default_rng(0)
    holes = np.where(rng.random(data.shape) < 0.15, np.nan, data)
    model = BayesianGPLVM(3, n_inducing=20, random_state=0).fit(holes[:80])
    assert_array_equal(model.transform(holes[:80]), model.embedding_)
    mean, std = model.transform(holes[80:], return_std=True)
    filled = model.inverse_transform(mean, latent_std=std)
    missing = np.isnan(holes[80:])
    error = np.sqrt(np.mean((filled - data[80:])[missing] ** 2))
    assert error < 0.5 * data[80:][missing].std()
    alone = model.transform(holes[85:86])
    assert_allclose(alone[0], mean[5], atol=1e-7)
    # More is known of a row of which more is observed.
    half = data[80:].copy()
    half[:, ::2] = np.nan
    _, vague = model.transform(half, return_std=True)
    _, sure = model.transform(data[80:], return_std=True)
    assert vague[:, 0].mean() > sure[:, 0].mean()
    with pytest.raises(ValueError, match="row 0 of X has no observed entry"):
        model.transform(np.full((1, 8), np.nan))


def test_linear_kernel_is_bayesian_pca():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(80, 2)) @ rng.normal(size=(2, 8)) * 2
    data += 0.3 * rng.normal(size=data.shape)
    model = BayesianGPLVM(5, kernel="linear", n_inducing=10, tol=1e-5).fit(data)
    assert model.n_relevant_ == 2
    scores = PCA(2).fit_transform(data)
    plane = np.column_stack([model.embedding_[:, :2], np.ones(80)])
    residual = scores - plane @ np.linalg.lstsq(plane, scores)[0]
    assert np.abs(residual).max() < 0.05 * np.abs(scores).max()
    assert_allclose(model.noise_variance_, 0.09, rtol=0.2)


def test_small_variances_approach_the_model_of_points(data):
    # Without its divergence, and as S -> 0, the bound is that of positions as points.
    Y = data[:40]
    model = BayesianGPLVM(2, n_inducing=10, tol=0.01, random_state=0).fit(Y)
    points = GPLVM(2, kernel=model.kernel_, n_inducing=10, tol=1.0, max_iter=50)
    points.fit(Y)
    mu, tiny = model.embedding_, np.full((40, 2), 1e-5)
    divergence = 0.5 * np.sum(tiny**2 + mu**2 - 1 - np.log(tiny**2))
    bound = model.elbo(embedding_std=tiny) + divergence
    expected = points.log_likelihood(
        embedding=mu, inducing_points=model.inducing_points_, theta=model.theta_
    )
    assert_allclose(bound, expected, rtol=1e-3)


def test_signs_and_order_are_those_of_the_data(data):
    fits = [
        BayesianGPLVM(3, n_inducing=15, init=init, tol=1e-3, random_state=0)
        for init in (PCA(3).fit_transform(data[:60]), -PCA(3).fit_transform(data[:60]))
    ]
    first, second = (fit.fit(data[:60]).embedding_ for fit in fits)
    for ours, theirs in zip(first.T[:2], second.T[:2], strict=True):
        assert np.corrcoef(ours, theirs)[0, 1] > 0.9


def test_a_kernel_of_the_users_own(data):
    kernel = sk.ConstantKernel(1.0) * sk.RBF(np.ones(3)) + kernels.Linear(np.ones(3))
    model = BayesianGPLVM(
        3, kernel=kernel, n_inducing=12, noise_variance=0.01, tol=0.01
    ).fit(data[:60])
    assert model.noise_variance_ == pytest.approx(0.01)
    assert np.all(np.diff(model.relevance_) <= 0)
    assert_allclose(model.elbo(), model.elbo_, rtol=1e-12)
    assert_array_equal(kernel.k2.variances, np.ones(3))  # untouched
    fixed = sk.RBF([2.0, 1.0], "fixed")  # dimensions that differ keep their places
    model = BayesianGPLVM(2, kernel=fixed, n_inducing=12, tol=0.01).fit(data[:60])
    assert_array_equal(model.kernel_.length_scale, [2.0, 1.0])
    assert model.theta_.shape == (1,)


def test_unsupported_kernels_are_refused_before_any_work(data):
    with pytest.raises(NotImplementedError, match="Linear"):
        BayesianGPLVM(2, kernel=sk.Matern()).fit(data)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_components": 9}, "n_components=9 must not exceed"),
        ({"n_inducing": 61}, "n_inducing=61 must not exceed n_samples=60"),
        ({"init": np.zeros((3, 2)), "n_components": 2}, "init has shape"),
    ],
)
def test_bad_parameters_are_named(data, parameters, message):
    with pytest.raises(ValueError, match=message):
        BayesianGPLVM(**parameters).fit(data[:60])


def test_bad_arguments_are_named(model):
    with pytest.raises(ValueError, match="latent_std has shape"):
        model.inverse_transform(np.zeros((2, 4)), latent_std=np.zeros((1, 4)))
    with pytest.raises(ValueError, match="negative"):
        model.inverse_transform(np.zeros((2, 4)), latent_std=-np.ones((2, 4)))
    with pytest.raises(ValueError, match="theta has shape"):
        model.elbo(theta=np.zeros(2))
    with pytest.raises(ValueError, match="must be positive"):
        model.elbo(embedding_std=np.zeros((80, 4)))
    with pytest.raises(NotFittedError):
        BayesianGPLVM().diagnostics()


def test_diagnostics_say_what_is_wrong(data, model):
    assert model.diagnostics() == []
    rng = np.random.default_rng(0)
    noise = BayesianGPLVM(2, n_inducing=10, random_state=0).fit(
        rng.normal(size=(60, 5))
    )
    assert any("Noise is all" in sentence for sentence in noise.diagnostics())
    t = rng.normal(size=(60, 1))
    exact = BayesianGPLVM(1, n_inducing=15, noise_variance=1e-7, random_state=0)
    exact = exact.fit(np.hstack([t, -t]))
    assert any("signal-to-noise" in sentence for sentence in exact.diagnostics())
    with pytest.warns(ConvergenceWarning):
        early = BayesianGPLVM(
            4, init="random", n_inducing=20, max_iter=1, random_state=0
        ).fit(data)
    sentences = " ".join(early.diagnostics())
    assert "did not converge" in sentences
    assert "look alike" in sentences
    plane = rng.normal(size=(60, 2)) @ rng.normal(size=(2, 6))
    plane += 0.1 * rng.normal(size=plane.shape)
    plane = BayesianGPLVM(3, n_inducing=10, random_state=0).fit(plane)
    assert any("almost linear" in sentence for sentence in plane.diagnostics())
    assert plane.n_relevant_ == 2


def test_new_rows_are_at_their_maxima_whatever_the_columns_units():
    # The functions are large and almost straight, which costs their bounds digits.
    X = load_wine().data
    model = BayesianGPLVM(3, n_inducing=20, random_state=0).fit(X[::2])
    mean, std = model.transform(X[1::2], return_std=True)
    row_bound = model._posterior.row_bound(X[1::2] - model._mean)
    rows = np.arange(len(mean))
    _, slopes, _ = row_bound(mean, std**2, rows)
    assert np.abs(slopes * std).max() < 1e-5
    narrow = X[1::2].astype(np.float32)
    assert_allclose(model.transform(narrow), mean, rtol=1e-4, atol=1e-4)
    # How many digits they are: of values so near each other, all but the rounding.
    values = [row_bound(mean + h * std, std**2, rows)[0] for h in np.arange(9) * 1e-9]
    roughness = np.ptp(values, axis=0).max()
    assert 0.1 * roughness < row_bound.rounding < 1e3 * roughness


def test_ctrl_c_while_rows_settle_keeps_the_walk(data, monkeypatch):
    def ctrl_c(blocks, likelihood):
        raise KeyboardInterrupt

    monkeypatch.setattr(_growing_fit, "settle", ctrl_c)
    model = BayesianGPLVM(2, n_inducing=10, random_state=0)
    X = data[:40].astype(np.float32).astype(float)  # all the digits that walks see
    with pytest.warns(ConvergenceWarning, match="was interrupted"):
        model.fit(X)
    assert_allclose(-model.elbo_ / 40, model.loss_curve_[-1], rtol=1e-9)


def test_interruption_and_callbacks_leave_a_fitted_model(data):
    class Impatient:
        def setup(self, estimator, context):
            self.calls = 0

        def teardown(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context, **kwargs):
            pass

        def on_fit_task_end(self, estimator, context, **kwargs):
            self.calls += 1
            if self.calls == 5:
                raise KeyboardInterrupt

    model = BayesianGPLVM(3, n_inducing=10).set_callbacks(Impatient())
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model.fit(data[:60])
    assert model.n_iter_ >= 4
    assert model.transform(data[60:63]).shape == (3, 3)

    monitor = ScoringMonitor(scoring=lambda fitted, X, y: fitted.score(X))
    short = BayesianGPLVM(2, n_inducing=8, max_iter=3).set_callbacks(monitor)
    with pytest.warns(ConvergenceWarning, match="max_iter"):
        short.fit(data[:30])


def test_warm_start_continues(data):
    model = BayesianGPLVM(3, n_inducing=12, warm_start=True, max_iter=5, tol=0.0)
    with pytest.warns(ConvergenceWarning, match="max_iter reached"):
        before = model.fit(data[:60]).elbo_
    with pytest.warns(ConvergenceWarning):
        assert model.fit(data[:60]).elbo_ > before
    with pytest.warns(ConvergenceWarning):
        assert model.fit(data[:50]).embedding_.shape == (50, 3)  # cold: other rows


def test_restarts_keep_the_best(data):
    one, three = (
        BayesianGPLVM(3, n_inducing=10, n_restarts=n, tol=0.01, random_state=0)
        for n in (1, 3)
    )
    assert three.fit(data[:50]).elbo_ >= one.fit(data[:50]).elbo_


def test_threads_make_no_difference(data):
    fits = [
        BayesianGPLVM(2, n_inducing=10, n_jobs=n, tol=0.1, random_state=0).fit(data)
        for n in (1, 2)
    ]
    assert_array_equal(fits[0].embedding_, fits[1].embedding_)


@pytest.mark.parametrize("factor", [1e-8, 1e8])
def test_the_unit_of_the_data_does_not_matter(data, factor):
    model, scaled = (
        BayesianGPLVM(2, n_inducing=10, tol=2e-3, random_state=0).fit(X)
        for X in (data[:50], factor * data[:50])
    )
    shifted = scaled.elbo_ + data[:50].size * np.log(factor)
    assert_allclose(shifted, model.elbo_, atol=0.05 * 50)


def test_samples_resemble_the_data(data, model):
    drawn = model.sample(2000, random_state=0)
    assert drawn.shape == (2000, 8)
    assert_allclose(drawn.mean(axis=0), data[:80].mean(axis=0), atol=0.5)
    ratio = drawn.std(axis=0) / data[:80].std(axis=0)
    assert np.all((ratio > 0.5) & (ratio < 1.6))


def test_manners(data, model):
    assert_array_equal(
        model.get_feature_names_out()[:2], ["bayesiangplvm0", "bayesiangplvm1"]
    )
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.transform(data[80:82]), model.transform(data[80:82]))
    pipeline = make_pipeline(
        StandardScaler(), BayesianGPLVM(2, n_inducing=10, tol=0.1)
    ).set_output(transform="pandas")
    frame = pipeline.fit_transform(data[:40])
    assert list(frame.columns) == ["bayesiangplvm0", "bayesiangplvm1"]
    single = clone(model).set_params(n_components=2, n_inducing=10, tol=0.1)
    single.fit(data[:40].astype(np.float32))
    assert single.embedding_.dtype == single.embedding_std_.dtype == np.float32
    mean, std = single.transform(data[40:42].astype(np.float32), return_std=True)
    assert mean.dtype == std.dtype == np.float32
    back = single.inverse_transform(mean, return_std=True, latent_std=std)
    assert back[0].dtype == back[1].dtype == np.float32


@pytest.mark.parametrize(
    "X",
    [
        np.ones((6, 3)),
        np.repeat(np.random.default_rng(0).normal(size=(4, 3)), 5, axis=0),
        np.random.default_rng(0).normal(size=(3, 6)),
        np.random.default_rng(0).normal(size=(12, 1)),
        np.column_stack([np.ones(20), np.random.default_rng(0).normal(size=(20, 2))]),
    ],
    ids=["constant", "copies", "wide", "one feature", "constant column"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_degenerate_data_fit(X):
    model = BayesianGPLVM(random_state=0, max_iter=50).fit(X)
    assert np.isfinite(model.elbo_)
    mean, std = model.transform(X + 1e-3, return_std=True)
    assert np.all(np.isfinite(mean) & np.isfinite(std))
