"""The sparse model against dense algebra and the exact model."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import kernels as sk

from gplvm import _sparse
from gplvm._likelihoods import DenseLikelihood
from gplvm._sparse import SparseLikelihood, initial_inducing_points
from gplvm.gradients import check_gradient

LATENT = {
    "rbf": sk.ConstantKernel(1.3) * sk.RBF(0.8),
    "matern": sk.Matern([0.5, 1.5], nu=2.5),
    "linear": sk.ConstantKernel(0.7) * sk.DotProduct(0.5),
    "sum": sk.RBF(1.2) + sk.ConstantKernel(0.5) * sk.RationalQuadratic(0.9, 1.4),
    "power": (sk.RBF(1.5) + sk.ConstantKernel(0.3, "fixed")) ** 2,
}
# White noise before, between and after the other parts; free and fixed.
KERNELS = LATENT | {
    "white": sk.ConstantKernel(1.3) * sk.RBF(0.8) + sk.WhiteKernel(0.2),
    "whites": sk.WhiteKernel(0.2)
    + (sk.Matern(1.1, nu=1.5) + sk.WhiteKernel(0.1, "fixed"))
    + (sk.WhiteKernel(0.05) + sk.DotProduct(0.3)),
}
seeds = st.integers(0, 2**32 - 1)


def _problem(n=9, m=4, d=3, seed=0):
    rng = np.random.default_rng(seed)
    Y = rng.normal(size=(n, d))
    return Y - Y.mean(axis=0), rng.normal(size=(n, 2)), rng.normal(size=(m, 2))


def _theta(kernel, noise=0.3):
    return np.append(kernel.theta, np.log(noise))


def _dense(kernel, X, Z, noise):
    """Kff, Kuf, Kuu of the latent functions and the whole noise, by scikit-learn."""
    # k(X, X) has no white noise, k(X) has.
    white = np.diagonal(kernel(X) - kernel(X, X))
    assert_allclose(white, white[0], rtol=1e-9, atol=1e-12)
    Kuu = kernel(Z, Z)
    Kuu = Kuu + _sparse.JITTER * np.trace(Kuu) / len(Z) * np.eye(len(Z))
    return kernel(X, X), kernel(Z, X), Kuu, noise + white[0]


@pytest.mark.parametrize("name", KERNELS)
def test_equals_the_dense_definition(name):
    Y, X, Z = _problem()
    kernel = KERNELS[name]
    Kff, Kuf, Kuu, s2 = _dense(kernel, X, Z, 0.3)
    Qff = Kuf.T @ np.linalg.solve(Kuu, Kuf)
    density = multivariate_normal(np.zeros(len(Y)), Qff + s2 * np.eye(len(Y)))
    expected = density.logpdf(Y.T).sum() - 1.5 / s2 * np.trace(Kff - Qff)
    value = SparseLikelihood(kernel, Y).log_likelihood(X, Z, _theta(kernel))
    assert_allclose(value, expected, rtol=1e-9)


@pytest.mark.parametrize("name", KERNELS)
def test_gradients_equal_differences(name):
    # Two points are fewer than the linear kernel has functions: from three on the bound
    # is the likelihood wherever they lie, and the gradient of Z is rounding.
    Y, X, Z = _problem(m=2)
    kernel = KERNELS[name]
    likelihood = SparseLikelihood(kernel, Y)
    point = {"embedding": X, "inducing_points": Z, "theta": _theta(kernel)}

    def value_and_gradient(**changed):
        return likelihood.log_likelihood(**{**point, **changed}, eval_gradient=True)

    for argument in point:
        assert check_gradient(value_and_gradient, {argument: point[argument]}) < 1e-6
    value = value_and_gradient()[0]
    assert value == likelihood.log_likelihood(**point)
    coordinates = likelihood.encode(X)
    assert likelihood.evaluate(coordinates, Z, point["theta"])[0] == value
    assert_allclose(likelihood.decode(coordinates), X)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("n, d", [(9, 3), (4, 9)])
def test_equals_the_exact_likelihood_at_its_positions(name, n, d):
    Y, X, _ = _problem(n=n, d=d)
    kernel = KERNELS[name]
    theta = _theta(kernel)
    sparse = SparseLikelihood(kernel, Y).log_likelihood(
        X, X.copy(), theta, eval_gradient=True
    )
    exact = DenseLikelihood(kernel, Y).log_likelihood(X, theta, eval_gradient=True)
    assert_allclose(sparse[0], exact[0], rtol=1e-5)
    # The bound touches the likelihood there, which is a maximum over Z; theta's
    # gradient and that of X agree as well.
    scale = np.abs(exact[1]["embedding"]).max()
    assert_allclose(sparse[1]["inducing_points"], 0, atol=1e-4 * scale)
    for argument in ("embedding", "theta"):
        assert_allclose(
            sparse[1][argument], exact[1][argument], rtol=1e-4, atol=1e-4 * scale
        )


@given(
    seed=seeds,
    name=st.sampled_from(sorted(KERNELS)),
    n=st.integers(2, 12),
    m=st.integers(1, 12),
    d=st.integers(1, 15),
    spread=st.floats(1e-3, 10.0),
    log_noise=st.floats(-12.0, 3.0),
)
@settings(max_examples=60, deadline=None)
def test_never_above_the_exact_likelihood(seed, name, n, m, d, spread, log_noise):
    Y, X, Z = _problem(n, m, d, seed)
    X, Z = spread * X, spread * Z
    kernel = KERNELS[name]
    theta = _theta(kernel, np.exp(log_noise))
    bound = SparseLikelihood(kernel, Y).log_likelihood(X, Z, theta)
    exact = DenseLikelihood(kernel, Y).log_likelihood(X, theta)
    assert bound <= exact + 1e-8 * (abs(exact) + np.vdot(Y, Y) / np.exp(theta[-1]))


@pytest.mark.parametrize("name", KERNELS)
def test_more_inducing_points_are_never_worse(name):
    Y, X, Z = _problem(n=20, m=12)
    kernel = KERNELS[name]
    likelihood = SparseLikelihood(kernel, Y)
    bounds = [likelihood.log_likelihood(X, Z[:m], _theta(kernel)) for m in range(1, 13)]
    assert np.all(np.diff(bounds) >= -1e-5 * np.abs(bounds[1:]))


@pytest.mark.parametrize("rows", [1, 7, 64])
def test_chunks_and_threads_change_nothing(monkeypatch, rows):
    Y, X, Z = _problem(n=100, m=5)
    kernel = KERNELS["white"]
    likelihood = SparseLikelihood(kernel, Y)
    arguments = X, Z, _theta(kernel)
    whole = likelihood.evaluate(*arguments)
    weights = likelihood.posterior(*arguments).weights
    monkeypatch.setattr("gplvm._sparse._CHUNK_ENTRIES", 5 * rows)
    monkeypatch.setattr("gplvm._sparse._CHUNK_ROWS", 1)
    results = []
    for n_threads in (1, 3):
        monkeypatch.setattr("gplvm._parallel.n_threads", lambda n=n_threads: n)
        results.append(likelihood.evaluate(*arguments))
        assert_allclose(
            likelihood.posterior(*arguments).weights, weights, rtol=1e-7, atol=1e-9
        )
    for result in results:
        assert_allclose(result[0], whole[0], rtol=1e-12)
        for name, gradient in whole[1].items():
            assert_allclose(result[1][name], gradient, rtol=1e-7, atol=1e-8)
    # The number of threads does not even change the rounding.
    assert results[0][0] == results[1][0]
    for name, gradient in results[0][1].items():
        assert np.array_equal(results[1][1][name], gradient)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("n, d", [(9, 3), (4, 9)])
def test_posterior_equals_dense_algebra(name, n, d):
    Y, X, Z = _problem(n=n, d=d)
    kernel = KERNELS[name]
    posterior = SparseLikelihood(kernel, Y).posterior(X, Z, _theta(kernel))
    new = np.random.default_rng(1).normal(size=(7, 2))
    Kss, Kus, *_ = _dense(kernel, new, Z, 0.3)
    _, Kuf, Kuu, s2 = _dense(kernel, X, Z, 0.3)
    Sigma = Kuu + Kuf @ Kuf.T / s2
    expected_mean = Kus.T @ np.linalg.solve(Sigma, Kuf @ Y) / s2
    expected = Kss - Kus.T @ (np.linalg.inv(Kuu) - np.linalg.inv(Sigma)) @ Kus
    mean, variance = posterior.predict(new)
    assert_allclose(mean, expected_mean, rtol=1e-6, atol=1e-7)
    assert_allclose(variance, np.diagonal(expected) + s2, rtol=1e-6)
    rows = np.random.default_rng(2).normal(size=(7, d))
    log_density, _ = posterior.log_density(new, rows)
    expected = [
        multivariate_normal(m, v * np.eye(d)).logpdf(row)
        for m, v, row in zip(mean, variance, rows, strict=True)
    ]
    assert_allclose(log_density, expected, rtol=1e-9)


@pytest.mark.parametrize("name", KERNELS)
def test_posterior_equals_the_exact_one_at_its_positions(name):
    Y, X, _ = _problem()
    kernel = KERNELS[name]
    sparse = SparseLikelihood(kernel, Y).posterior(X, X, _theta(kernel))
    exact = DenseLikelihood(kernel, Y).posterior(X, _theta(kernel))
    new = np.random.default_rng(1).normal(size=(7, 2))
    for ours, theirs in zip(sparse.predict(new), exact.predict(new), strict=True):
        assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


def test_units_of_the_data():
    # Y -> c Y, variances -> c^2: the density of N D numbers is divided by c each.
    Y, X, Z = _problem(n=30, m=6)
    kernel = KERNELS["white"]
    reference = SparseLikelihood(kernel, Y).evaluate(X, Z, _theta(kernel))
    variances = np.array([1.0, 0.0, 1.0, 1.0])
    for c in (1e-8, 1e8):
        theta = _theta(kernel) + 2.0 * np.log(c) * variances
        value, gradient = SparseLikelihood(kernel, c * Y).evaluate(X, Z, theta)
        assert_allclose(value + Y.size * np.log(c), reference[0], rtol=1e-10)
        for name, expected in reference[1].items():
            assert_allclose(gradient[name], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("noise", [1e-1, 1e-8])
def test_duplicated_inducing_points(name, noise):
    # No warning, no NaN, and no information from saying the same twice; smooth
    # kernels and noise of 1e-8 of the signal make the worst conditions.
    Y, X, Z = _problem(n=200, m=5)
    kernel = KERNELS[name]
    likelihood = SparseLikelihood(kernel, Y)
    theta = _theta(kernel, noise)
    value, gradient = likelihood.evaluate(X, np.vstack([Z, Z, Z[:1]]), theta)
    assert_allclose(value, likelihood.log_likelihood(X, Z, theta), rtol=1e-4)
    assert all(np.all(np.isfinite(part)) for part in gradient.values())
    crowded = np.vstack([Z, Z, X[:60]])
    value, gradient = likelihood.evaluate(X, crowded, theta)
    exact = DenseLikelihood(kernel, Y).log_likelihood(X, theta)
    assert value <= exact + 1e-6 * abs(exact)
    assert all(np.all(np.isfinite(part)) for part in gradient.values())


def test_digits_survive_small_noise():
    # Statistics are whitened row by row. From Psi2 itself the value would lose as many
    # digits as the condition of Kuu has, and the order of the rows would show in it.
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(60, 1))
    Y = np.sin(3 * X) + 1e-3 * rng.normal(size=(60, 2))
    kernel, Z = sk.RBF(1.0), np.linspace(-1, 1, 25)[:, None]
    theta = _theta(kernel, 1e-6)
    bounds = []
    for _ in range(10):
        order = rng.permutation(60)
        likelihood = SparseLikelihood(kernel, Y[order])
        bounds.append(likelihood.log_likelihood(X[order], Z, theta))
    assert np.ptp(bounds) < 1e-6
    exact = DenseLikelihood(kernel, Y).log_likelihood(X, theta)
    assert exact - 1.0 < max(bounds) < exact


def test_memory_does_not_grow_with_the_rows(monkeypatch):
    # One thread: how many chunks several hold at a time is chance.
    monkeypatch.setattr("gplvm._parallel.n_threads", lambda: 1)
    kernel = KERNELS["rbf"]
    peaks, grown = [], []
    for n in (16_000, 32_000, 64_000):
        Y, X, Z = _problem(n=n, m=64, d=3)
        likelihood = SparseLikelihood(kernel, Y)
        theta = _theta(kernel)
        tracemalloc.start()
        try:
            likelihood.evaluate(X, Z, theta)
            peaks.append(tracemalloc.get_traced_memory()[1])
        finally:
            tracemalloc.stop()
        grown.append(X.nbytes)
    # Beyond the gradient of X, doubling the rows adds nothing.
    beyond = np.subtract(peaks, grown)
    assert beyond[2] < 1.1 * beyond[0]
    assert beyond[2] < 64_000 * 64 * 8 / 4


@pytest.mark.parametrize("kernel", [
    sk.WhiteKernel(),
    sk.WhiteKernel() + sk.WhiteKernel(),
    sk.RBF() * sk.WhiteKernel(),
    sk.ConstantKernel() * (sk.RBF() + sk.WhiteKernel()),
    sk.RBF() + (sk.RBF() + sk.WhiteKernel()) ** 2,
])  # fmt: skip
def test_white_noise_elsewhere_is_refused(kernel):
    with pytest.raises(NotImplementedError, match="WhiteKernel may only be"):
        SparseLikelihood(kernel, np.zeros((3, 2)))


def test_initial_inducing_points():
    X = np.random.default_rng(0).normal(size=(50, 2))
    Z = initial_inducing_points(X, 20, 0)
    assert np.array_equal(Z, initial_inducing_points(X, 20, 0))
    assert not np.array_equal(Z, initial_inducing_points(X, 20, 1))
    assert {tuple(z) for z in Z} <= {tuple(x) for x in X}
    assert len(np.unique(Z, axis=0)) == 20
    Z[:] = 0.0  # a copy
    assert X.all()
    everything = initial_inducing_points(X, 50, 0)
    assert_allclose(np.sort(everything, axis=0), np.sort(X, axis=0))


def test_initial_inducing_points_spread_out():
    # Two clusters of 990 and 10 rows: one of two points in each, whatever the seed.
    X = np.random.default_rng(0).normal(size=(1000, 2)) * 1e-3
    X[:10] += 1.0
    for seed in range(10):
        Z = initial_inducing_points(X, 2, seed)
        assert np.ptp(Z, axis=0).min() > 0.9


def test_fewer_places_than_inducing_points():
    X = np.repeat(np.eye(2), 5, axis=0)
    Z = initial_inducing_points(X, 6, 0)
    assert len(np.unique(Z, axis=0)) == 2
    assert_allclose(initial_inducing_points(X, 10, 0).sum(axis=0), [5, 5])
    Y = np.random.default_rng(0).normal(size=(10, 3))
    value = SparseLikelihood(KERNELS["rbf"], Y).log_likelihood(
        X, Z, _theta(KERNELS["rbf"])
    )
    assert np.isfinite(value)


@pytest.mark.parametrize("n_inducing", [0, 4])
def test_more_inducing_points_than_rows(n_inducing):
    with pytest.raises(ValueError, match=f"n_inducing={n_inducing} .* n_samples=3"):
        initial_inducing_points(np.zeros((3, 2)), n_inducing, 0)
