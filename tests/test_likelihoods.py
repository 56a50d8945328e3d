"""Models of the data against dense Gaussian-process algebra."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import random as sparse_random
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process import kernels as sk
from threadpoolctl import threadpool_limits

from gplvm import kernels
from gplvm._centred import CentredSparse
from gplvm._likelihoods import DenseLikelihood, LinearLikelihood, _coefficients
from gplvm.gradients import check_gradient
from gplvm.gradients.prediction import predictive_log_density

LINEAR = sk.ConstantKernel(0.7) * sk.DotProduct(0.0, "fixed")
KERNELS = {
    "linear": LINEAR,
    "linear, all": sk.WhiteKernel(0.2)
    + 0.7 * sk.DotProduct(0.4)
    + sk.ConstantKernel(0.1),
    "rbf": sk.ConstantKernel(1.3) * sk.RBF(0.8),
    "noisy": sk.RBF(1.2) + sk.WhiteKernel(0.1) + sk.ConstantKernel(0.5),
    "matern": sk.Matern([0.5, 1.5], nu=2.5),
}


def _problem(n, d, seed=0):
    rng = np.random.default_rng(seed)
    Y = rng.normal(size=(n, d))
    return Y - Y.mean(axis=0), rng.normal(size=(n, 2)), rng


def _likelihoods(name, Y):
    yield DenseLikelihood(KERNELS[name], Y)
    if name.startswith("linear"):
        yield LinearLikelihood(KERNELS[name], Y)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("n, d", [(9, 4), (4, 9)])
def test_gradients_equal_differences(name, n, d):
    Y, X, _ = _problem(n, d)
    for likelihood in _likelihoods(name, Y):
        theta = np.append(likelihood.kernel.theta, np.log(0.3))

        def value_and_gradient(likelihood=likelihood, **point):
            return likelihood.log_likelihood(**point, eval_gradient=True)

        def value_and_gradient_in_coordinates(embedding, theta, likelihood=likelihood):
            return likelihood.evaluate(embedding, theta)

        point = {"embedding": X, "theta": theta}
        assert check_gradient(value_and_gradient, point) < 1e-7
        value = likelihood.log_likelihood(**point)
        assert_allclose(value_and_gradient(**point)[0], value, rtol=1e-12)
        point["embedding"] = likelihood.encode(X)
        assert check_gradient(value_and_gradient_in_coordinates, point) < 1e-7


@pytest.mark.parametrize("n, d, threads", [
    (1, 1, 1), (127, 3, 1), (129, 80, 1), (260, 270, 1), (400, 3, 2), (400, 250, 2),
])  # fmt: skip
def test_blocks_equal_the_whole_matrix(n, d, threads, monkeypatch):
    # Several blocks of rows, one of them incomplete; few features and many; in turn
    # and on threads. The judge is the gradient of the whole matrix.
    Y, X, _ = _problem(n, d)
    monkeypatch.setattr("gplvm._likelihoods._BLOCKS_PER_THREAD", 1)
    kernel, noise = KERNELS["noisy"], 0.3
    theta = np.append(kernel.theta, np.log(noise))
    with threadpool_limits(threads, user_api="blas"):
        value, gradient = DenseLikelihood(kernel, Y).log_likelihood(
            X, theta, eval_gradient=True
        )
    K, pullback = kernels.evaluate(kernel, X)
    K_inv = np.linalg.inv(K + noise * np.eye(n))
    dL_dK = 0.5 * (K_inv @ Y @ Y.T @ K_inv - d * K_inv)
    dtheta, dX = pullback(dL_dK)
    log_determinant = np.linalg.slogdet(K + noise * np.eye(n))[1]
    judge = -0.5 * (
        n * d * np.log(2.0 * np.pi) + d * log_determinant + np.vdot(Y, K_inv @ Y)
    )
    assert_allclose(value, judge, rtol=1e-11)
    dtheta = np.append(dtheta, noise * np.trace(dL_dK))
    assert_allclose(gradient["theta"], dtheta, rtol=1e-8, atol=1e-9)
    assert_allclose(gradient["embedding"], dX, atol=1e-9 * max(1.0, np.abs(dX).max()))


@pytest.mark.parametrize("n, d", [(9, 4), (4, 9)])
@pytest.mark.parametrize("name", ["linear", "linear, all"])
def test_linear_equals_dense(n, d, name):
    Y, X, _ = _problem(n, d)
    theta = np.append(KERNELS[name].theta, np.log(0.3))
    dense, linear = _likelihoods(name, Y)
    assert_allclose(
        linear.log_likelihood(X, theta), dense.log_likelihood(X, theta), rtol=1e-12
    )
    spanned = linear.decode(linear.encode(X))
    assert_allclose(
        linear.evaluate(linear.encode(X), theta)[0],
        dense.log_likelihood(spanned, theta),
        rtol=1e-12,
    )
    new = np.random.default_rng(1).normal(size=(5, 2))
    ours, theirs = linear.posterior(X, theta), dense.posterior(X, theta)
    for a, b in zip(ours.predict(new), theirs.predict(new), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kernel, linear", [
    (sk.DotProduct(0.0, "fixed"), True),
    (LINEAR, True),
    (sk.DotProduct(0.0, "fixed") * sk.ConstantKernel(2.0, "fixed"), True),
    (sk.DotProduct(1.0), True),
    (LINEAR + sk.WhiteKernel() + sk.ConstantKernel(), True),
    (sk.ConstantKernel() * (sk.DotProduct() + sk.WhiteKernel()), True),
    (sk.ConstantKernel() * sk.RBF(), False),
    (sk.DotProduct() * sk.DotProduct(), False),
    (sk.DotProduct() * sk.WhiteKernel(), False),
    (sk.DotProduct() ** 2, False),
    (sk.DotProduct() + sk.RBF(), False),
    (sk.ConstantKernel() + sk.WhiteKernel(), False),
])  # fmt: skip
def test_which_kernels_are_linear(kernel, linear):
    assert LinearLikelihood.is_linear(kernel) == linear


def test_posterior_equals_scikit_learns_regressor():
    Y, X, rng = _problem(12, 3)
    kernel, noise = KERNELS["rbf"], 0.2
    theta = np.append(kernel.theta, np.log(noise))
    posterior = DenseLikelihood(kernel, Y).posterior(X, theta)
    judge = GaussianProcessRegressor(kernel, alpha=noise, optimizer=None).fit(X, Y)
    new = rng.normal(size=(7, 2))
    mean, variance = posterior.predict(new)
    expected_mean, expected_std = judge.predict(new, return_std=True)
    assert_allclose(mean, expected_mean, atol=1e-10)
    for feature_std in expected_std.T:
        assert_allclose(variance, feature_std**2 + noise, rtol=1e-9)


@pytest.mark.parametrize("name", KERNELS)
def test_predictive_density_is_a_ratio_of_likelihoods(name):
    # log p(y*, Y) - log p(Y), the judge being the likelihood itself.
    Y, X, rng = _problem(8, 3)
    y, x = rng.normal(size=(1, 3)), rng.normal(size=(1, 2))
    for likelihood in _likelihoods(name, Y):
        theta = np.append(likelihood.kernel.theta, np.log(0.3))
        joint = type(likelihood)(likelihood.kernel, np.vstack([Y, y]))
        difference = joint.log_likelihood(
            np.vstack([X, x]), theta
        ) - likelihood.log_likelihood(X, theta)
        posterior = likelihood.posterior(X, theta)
        assert_allclose(posterior.log_density(x, y)[0][0], difference, rtol=1e-9)

        def function(x, posterior=posterior):
            value, gradient = posterior.log_density(x, y)
            return value[0], gradient

        assert check_gradient(function, x) < 1e-7


def test_chunks_change_nothing(monkeypatch):
    Y, X, rng = _problem(12, 3)
    theta = np.append(KERNELS["rbf"].theta, np.log(0.3))
    posterior = DenseLikelihood(KERNELS["rbf"], Y).posterior(X, theta)
    new, rows = rng.normal(size=(31, 2)), rng.normal(size=(31, 3))
    whole = *posterior.predict(new), *posterior.log_density(new, rows)
    monkeypatch.setattr("gplvm._likelihoods._CHUNK_ENTRIES", 60)
    parts = *posterior.predict(new), *posterior.log_density(new, rows)
    for a, b in zip(whole, parts, strict=True):
        assert_allclose(a, b, rtol=1e-12)


def test_rank_deficient_data():
    rng = np.random.default_rng(0)
    Y = rng.normal(size=(20, 2)) @ rng.normal(size=(2, 6))
    likelihood = LinearLikelihood(LINEAR, Y)
    U = likelihood.decode(np.eye(2))
    assert_allclose(U.T @ U, np.eye(2), atol=1e-12)
    assert_allclose(likelihood.encode(U), np.eye(2), atol=1e-12)
    assert_allclose(likelihood.eigenvalues.sum(), np.vdot(Y, Y))
    assert_allclose(U @ (U.T @ Y), Y, atol=1e-12)


@pytest.mark.parametrize("n, d", [(9, 4), (4, 9)])
@pytest.mark.parametrize("name", ["linear", "linear, all"])
def test_sparse_data_equal_dense_data(n, d, name):
    X = sparse_random(n, d, density=0.5, random_state=0, format="csr")
    mean = np.asarray(X.mean(axis=0)).ravel()
    dense, sparse = (
        LinearLikelihood(KERNELS[name], Y)
        for Y in (X.toarray() - mean, CentredSparse(X, mean))
    )
    embedding = np.random.default_rng(0).normal(size=(n, 2))
    theta = np.append(KERNELS[name].theta, np.log(0.3))
    for method, point in (("log_likelihood", embedding), ("evaluate", None)):
        results = []
        for likelihood in (dense, sparse):
            arguments = {"eval_gradient": True} if point is not None else {}
            coordinates = likelihood.encode(embedding) if point is None else point
            value, gradient = getattr(likelihood, method)(
                coordinates, theta, **arguments
            )
            back = gradient["embedding"]
            back = likelihood.decode(back) if point is None else back
            results.append((value, back, gradient["theta"]))
        for a, b in zip(*results, strict=True):
            assert_allclose(a, b, rtol=1e-8, atol=1e-9)
    new = np.ones((3, 2))
    for a, b in zip(
        dense.posterior(embedding, theta).predict(new),
        sparse.posterior(embedding, theta).predict(new),
        strict=True,
    ):
        assert_allclose(a, b, rtol=1e-8)


COEFFICIENTS = {
    "dot": sk.DotProduct(0.4),
    "fixed": 0.7 * sk.DotProduct(0.3, "fixed"),
    "all": KERNELS["linear, all"],
    "product": (sk.ConstantKernel(2.0) + sk.ConstantKernel(0.3, "fixed"))
    * (sk.DotProduct(0.5) + sk.ConstantKernel(0.2))
    + (sk.ConstantKernel(0.4) + sk.WhiteKernel(0.7)) * sk.WhiteKernel(0.6),
}


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_the_linear_kernel_s_coefficients_are_its_values(name):
    kernel, points = COEFFICIENTS[name], np.array([[0.0], [1.0]])
    (alpha, offset, white), slopes = _coefficients(kernel)
    between = kernel(points, points.copy())  # of different rows: without white noise
    assert_allclose(offset, between[0, 0])
    assert_allclose(alpha, between[1, 1] - between[0, 0])
    assert_allclose(white, kernel(points)[0, 0] - offset, atol=1e-12)
    for place, slope in enumerate(slopes):
        ends = []
        for step in (1e-6, -1e-6):
            theta = kernel.theta
            theta[place] += step
            ends.append(_coefficients(kernel.clone_with_theta(theta))[0])
        assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-7, atol=1e-8)


def test_a_large_offset_leaves_the_rest_its_digits():
    # Of centred data at centred positions the offset explains nothing.
    Y, X, _ = _problem(9, 4)
    X -= X.mean(axis=0)
    theta = np.array([np.log(0.1)])
    rows = np.random.default_rng(1).normal(size=(3, 2))
    plain = LinearLikelihood(sk.DotProduct(1.0, "fixed"), Y)
    expected, _ = plain.posterior(X, theta).predict(rows)
    for sigma in (1e5, 1e8):
        likelihood = LinearLikelihood(sk.DotProduct(sigma, "fixed"), Y)
        mean, _ = likelihood.posterior(X, theta).predict(rows)
        assert_allclose(mean, expected, rtol=1e-9)
        # log|K| has the offset's log(1 + c N / noise) more.
        more = 0.5 * 4 * np.log((1.0 + sigma**2 * 90.0) / (1.0 + 90.0))
        value = likelihood.log_likelihood(X, theta) + more
        assert_allclose(value, plain.log_likelihood(X, theta), rtol=1e-9)


def test_a_mean_without_digits_is_no_missing_entry():
    # 1e400 - 1e400: the row was observed, and there is no density for it.
    k, W = np.full((1, 2), 1e200), np.array([[1e200], [-1e200]])
    with np.errstate(all="ignore"):
        value, *_ = predictive_log_density(
            k, np.ones(1), np.zeros((1, 1)), W, np.zeros((2, 2)), 1.0
        )
    assert not np.isfinite(value[0])
