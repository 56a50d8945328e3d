"""The Bayesian model against dense algebra, the point-estimated bound, Monte Carlo."""

import threading
import tracemalloc
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal, norm
from sklearn.gaussian_process import kernels as sk

from gplvm import _bayesian, _bayesian_rows, _row_bound, _sparse
from gplvm._bayesian import BayesianLikelihood, BayesianPatternLikelihood
from gplvm._likelihoods import DenseLikelihood
from gplvm._missing import SparsePatternLikelihood
from gplvm._sparse import SparseLikelihood
from gplvm.gradients import check_gradient
from gplvm.kernels import Linear, evaluate_expectations

C = sk.ConstantKernel
KERNELS = {
    "ard": C(1.3) * sk.RBF([0.8, 1.4]),
    "linear": C(0.5, "fixed") * Linear([1.0, 0.4]),
    "sum": C(0.6) * sk.RBF(1.1) + Linear(0.5) + C(0.3) + sk.WhiteKernel(0.1),
}


def _problem(n=9, m=4, d=3, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    Y = rng.normal(size=(n, d))
    Y -= Y.mean(axis=0)
    holes = rng.random(Y.shape) < missing
    holes[0] = holes[:, 0] = False
    Y[holes] = np.nan
    point = {
        "embedding": rng.normal(size=(n, 2)),
        "embedding_std": rng.uniform(0.2, 0.8, size=(n, 2)),
        "inducing_points": rng.normal(size=(m, 2)),
    }
    return Y, point, rng


def _theta(kernel, noise=0.3):
    return np.append(kernel.theta, np.log(noise))


def _divergence(point):
    """KL(q(X) || N(0, I)), entry by entry as an average of log densities."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(10)
    q = norm(point["embedding"][..., None], point["embedding_std"][..., None])
    x = point["embedding"][..., None] + point["embedding_std"][..., None] * nodes
    return np.sum((q.logpdf(x) - norm.logpdf(x)) @ (weights / weights.sum()))


def _likelihood(kernel, Y):
    whole = not np.isnan(Y).any()
    return (BayesianLikelihood if whole else BayesianPatternLikelihood)(kernel, Y)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("name", KERNELS)
def test_gradients_equal_differences(name, missing):
    kernel = KERNELS[name]
    Y, point, _ = _problem(missing=missing)
    likelihood = _likelihood(kernel, Y)
    point["theta"] = _theta(kernel)

    def function(**changed):
        return likelihood.elbo(**{**point, **changed}, eval_gradient=True)

    assert check_gradient(function, point) < 1e-6
    assert function()[0] == likelihood.elbo(**point)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("name", KERNELS)
def test_without_variance_it_is_the_bound_at_points(name, missing, monkeypatch):
    monkeypatch.setattr(_bayesian, "JITTER", _sparse.JITTER)
    kernel = KERNELS[name]
    Y, point, _ = _problem(missing=missing)
    point["embedding_std"] = np.full((9, 2), 1e-9)
    theta = _theta(kernel)
    value, gradient = _likelihood(kernel, Y).elbo(
        **point, theta=theta, eval_gradient=True
    )
    sparse = SparsePatternLikelihood if missing else SparseLikelihood
    expected, slopes = sparse(kernel, Y).log_likelihood(
        point["embedding"], point["inducing_points"], theta, eval_gradient=True
    )
    assert_allclose(value + _divergence(point), expected, rtol=1e-7)
    gradient["embedding"] += point["embedding"]
    for name, slope in slopes.items():
        assert_allclose(gradient[name], slope, rtol=1e-5, atol=1e-5)


# (The linear kernel's Kuu is singular: draws leave a part of Psi2 outside its span.)
@pytest.mark.parametrize("name", ["ard", "sum"])
def test_is_the_bound_of_its_definition(name):
    # With A = Kuu^-1 Psi2, F = <log N(y | f, s2)> under the optimal q(u): by the dense
    # algebra of Titsias and Lawrence (2010), equation 14, from averages over draws.
    kernel = KERNELS[name]
    Y, point, rng = _problem()
    Z, n_draws = point["inducing_points"], 40_000
    noise = 0.3 + (0.1 if name == "sum" else 0.0)
    psi0, psi1, Psi2 = 0.0, [], 0.0
    for mu, std in zip(point["embedding"], point["embedding_std"], strict=True):
        draws = rng.normal(size=(n_draws // 2, 2))
        X = mu + std * np.vstack([draws, -draws])
        k = kernel(X, Z)
        psi0 += np.mean(kernel.diag(X)) - (noise - 0.3)
        psi1.append(k.mean(axis=0))
        Psi2 = Psi2 + k.T @ k / n_draws
    psi1 = np.array(psi1)
    Kuu = kernel(Z, Z)
    Kuu = Kuu + _bayesian.JITTER * np.trace(Kuu) / len(Z) * np.eye(len(Z))
    Sigma = Kuu + Psi2 / noise
    W = np.eye(9) / noise - psi1 @ np.linalg.solve(Sigma, psi1.T) / noise**2
    n, d = Y.shape
    expected = -0.5 * (
        n * d * np.log(2 * np.pi * noise)
        + d * (np.linalg.slogdet(Sigma)[1] - np.linalg.slogdet(Kuu)[1])
        + np.trace(Y.T @ W @ Y)
        + d / noise * (psi0 - np.trace(np.linalg.solve(Kuu, Psi2)))
    )
    value = _likelihood(kernel, Y).elbo(**point, theta=_theta(kernel))
    assert_allclose(value + _divergence(point), expected, atol=0.3)


@given(
    seed=st.integers(0, 2**32 - 1),
    kernel=st.sampled_from(
        [sk.RBF(0.8), Linear(0.7), C(0.6) * sk.RBF(1.1) + Linear(0.5) + C(0.3)]
    ),
    m=st.integers(1, 8),
    log_noise=st.floats(-6.0, 2.0),
)
@settings(max_examples=15)
def test_never_above_the_bound_without_inducing_points(seed, kernel, m, log_noise):
    # <log p(Y | X)> - KL(q(X) || N(0, I)), here by quadrature over two positions.
    Y, point, _ = _problem(n=2, m=m, d=2, seed=seed)
    point = {name: array[:, :1] for name, array in point.items()}
    theta = _theta(kernel, np.exp(log_noise))
    value = _likelihood(kernel, Y).elbo(**point, theta=theta)
    exact = DenseLikelihood(kernel, Y)
    nodes, weights = np.polynomial.hermite_e.hermegauss(12)
    weights /= weights.sum()
    bound = -_divergence(point)
    for (i, a), (j, b) in product(enumerate(nodes), repeat=2):
        X = point["embedding"] + point["embedding_std"] * np.array([[a], [b]])
        bound += weights[i] * weights[j] * exact.log_likelihood(X, theta)
    assert value <= bound + 0.02 * (1 + abs(bound))


def test_features_beyond_rows_enter_through_a_factor():
    rng = np.random.default_rng(0)
    Y, point, _ = _problem(n=6, d=40)
    kernel = KERNELS["ard"]
    theta = _theta(kernel)
    likelihood = BayesianLikelihood(kernel, Y)
    assert likelihood._factor.shape == (6, 6)
    # Any rotation of the features leaves the bound and its gradients.
    rotation, _ = np.linalg.qr(rng.normal(size=(40, 40)))
    turned = BayesianLikelihood(kernel, Y @ rotation)
    parts = [BayesianLikelihood(kernel, Y[:, i : i + 4]) for i in range(0, 40, 4)]
    ours, theirs = (
        one.elbo(**point, theta=theta, eval_gradient=True)
        for one in (likelihood, turned)
    )
    assert_allclose(ours[0], theirs[0])
    for name, gradient in theirs[1].items():
        assert_allclose(ours[1][name], gradient, rtol=1e-6, atol=1e-7)
    apart = sum(part.elbo(**point, theta=theta) for part in parts)
    assert_allclose(ours[0], apart + 9 * _divergence(point))


@pytest.mark.parametrize("missing", [0.0, 0.1])
@pytest.mark.parametrize(
    "kernel, at_once",
    [
        (KERNELS["ard"], True),
        (KERNELS["ard"], False),
        (C(0.7) * sk.RBF([0.8, 1.4]) + sk.RBF(2.0), True),
        (KERNELS["sum"], True),
    ],
)
def test_chunks_threads_and_memory_change_nothing(
    kernel, at_once, missing, monkeypatch
):
    Y, point, _ = _problem(n=230, m=6, missing=missing)
    theta = _theta(kernel)
    cls = BayesianPatternLikelihood if missing else BayesianLikelihood
    whole = cls(kernel, Y).elbo(**point, theta=theta, eval_gradient=True)
    monkeypatch.setattr(_row_bound, "CHUNK_ROWS", 16)
    monkeypatch.setattr(_bayesian, "_SUMMED_ROWS", (16, 16))
    monkeypatch.setattr(_bayesian, "_AT_ONCE", 230 * at_once)
    monkeypatch.setattr(_bayesian_rows, "_PULLED_ROWS", 48)
    several = cls(kernel, Y, n_threads=3)
    first = several.elbo(**point, theta=theta, eval_gradient=True)
    again = several.elbo(**point, theta=theta, eval_gradient=True)
    alone = cls(kernel, Y, n_threads=1).elbo(**point, theta=theta, eval_gradient=True)
    monkeypatch.setattr(_bayesian, "_KEEP", 21 * 8 * 5 * 37)  # a few rows of 230
    anew = cls(kernel, Y).elbo(**point, theta=theta, eval_gradient=True)
    for other in (first, anew):
        assert_allclose(other[0], whole[0], rtol=1e-10)
    for name in whole[1]:
        assert_array_equal(first[1][name], again[1][name])
        assert_array_equal(first[1][name], alone[1][name])
        for other in (first, anew):
            assert_allclose(other[1][name], whole[1][name], rtol=1e-6, atol=1e-8)


def test_calls_at_the_same_time_do_not_disturb_each_other():
    kernel = KERNELS["ard"]
    Y, point, rng = _problem(n=200, m=8)
    likelihood = BayesianLikelihood(kernel, Y)
    thetas = [_theta(kernel, noise) for noise in rng.uniform(0.1, 1.0, size=8)]
    expected = [likelihood.elbo(**point, theta=t, eval_gradient=True) for t in thetas]
    found = {}

    def call(i):
        found[i] = likelihood.elbo(**point, theta=thetas[i], eval_gradient=True)

    threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, (value, gradient) in enumerate(expected):
        assert found[i][0] == value
        assert_array_equal(found[i][1]["embedding"], gradient["embedding"])


def test_memory_does_not_grow_with_rows(monkeypatch):
    monkeypatch.setattr(_bayesian, "_KEEP", 2**20)
    kernel = KERNELS["ard"]

    def beyond_parameters(n):
        Y, point, _ = _problem(n=n, m=15)
        likelihood = BayesianLikelihood(kernel, Y, n_threads=1)
        theta = _theta(kernel)
        tracemalloc.start()
        likelihood.elbo(**point, theta=theta, eval_gradient=True)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak - 2 * point["embedding"].nbytes  # the gradients

    few, many = beyond_parameters(40_000), beyond_parameters(160_000)
    assert many < few + 2**18


def test_missing_entries_equal_one_model_for_each_pattern():
    Y, point, _ = _problem(n=30, d=5, missing=0.3)
    kernel = KERNELS["sum"]
    theta = _theta(kernel)
    together = BayesianPatternLikelihood(kernel, Y)
    expected, apart = 0.0, np.zeros((30, 2))
    for column in Y.T:
        seen = ~np.isnan(column)
        rows = {n: point[n][seen] for n in ("embedding", "embedding_std")}
        rows["inducing_points"] = point["inducing_points"]
        part = BayesianLikelihood(kernel, column[seen, None])
        value, gradient = part.elbo(**rows, theta=theta, eval_gradient=True)
        expected += value + _divergence(rows)
        apart[seen] += gradient["embedding"] + rows["embedding"]
    value, gradient = together.elbo(**point, theta=theta, eval_gradient=True)
    assert_allclose(value, expected - _divergence(point))
    assert_allclose(gradient["embedding"], apart - point["embedding"], atol=1e-7)


def test_patterns_of_complete_data_are_none():
    Y, point, _ = _problem(n=20)
    theta = _theta(KERNELS["ard"])
    ours, theirs = (
        cls(KERNELS["ard"], Y).elbo(**point, theta=theta, eval_gradient=True)
        for cls in (BayesianPatternLikelihood, BayesianLikelihood)
    )
    assert_allclose(ours[0], theirs[0])
    for name, gradient in theirs[1].items():
        assert_allclose(ours[1][name], gradient, rtol=1e-7, atol=1e-8)


def _posterior(name, missing, d=4):
    kernel = KERNELS[name]
    Y, point, rng = _problem(n=25, d=d, missing=missing)
    posterior = _likelihood(kernel, Y).posterior(**point, theta=_theta(kernel))
    new = rng.normal(size=(5, 2))
    return posterior, new, rng.uniform(0.05, 0.4, size=(5, 2)), rng


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("name", KERNELS)
def test_predictions_at_uncertain_positions_average_those_at_points(name, missing):
    posterior, mu, S, _ = _posterior(name, missing)
    nodes, weights = np.polynomial.hermite_e.hermegauss(30)
    nodes = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    weights = np.outer(weights, weights).ravel() / weights.sum() ** 2
    mean, variance = posterior.predict_uncertain(mu, S)
    for b in range(5):
        means, variances = posterior.predict(mu[b] + np.sqrt(S[b]) * nodes)
        variances = variances.reshape(len(nodes), -1)
        expected = weights @ means
        assert_allclose(mean[b], expected, rtol=1e-5, atol=1e-6)
        spread = weights @ (variances + (means - expected) ** 2)
        assert_allclose(variance[b], spread, rtol=1e-4)
    mean, variance = posterior.predict_uncertain(mu, np.zeros_like(S))
    means, variances = posterior.predict(mu)
    assert_allclose(mean, means, rtol=1e-7, atol=1e-9)
    assert_allclose(variance, np.broadcast_to(variances.T, (4, 5)).T, rtol=1e-5)


def test_posterior_is_that_of_dense_algebra():
    kernel = KERNELS["ard"]
    Y, point, _ = _problem(n=25)
    point["embedding_std"][:] = 1e-9
    point["inducing_points"] = point["embedding"].copy()
    posterior = BayesianLikelihood(kernel, Y).posterior(**point, theta=_theta(kernel))
    X = np.random.default_rng(1).normal(size=(4, 2))
    exact = DenseLikelihood(kernel, Y).posterior(point["embedding"], _theta(kernel))
    for ours, theirs in zip(posterior.predict(X), exact.predict(X), strict=True):
        assert_allclose(ours, theirs, atol=1e-3)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("name", KERNELS)
def test_bound_of_rows(name, missing):
    posterior, mu, S, rng = _posterior(name, missing)
    Y = rng.normal(size=(5, 4))
    Y[1, 2] = Y[3, :3] = np.nan

    def total(mu, S):
        bound, dmu, dS = posterior.row_bound(Y)(mu, S, np.arange(5))
        return bound.sum(), {"mu": dmu, "S": dS}

    assert check_gradient(total, {"mu": mu, "S": S}) < 1e-6
    bound, dmu, dS = posterior.row_bound(Y)(mu, S, np.arange(5))
    for b in range(5):
        one = posterior.row_bound(Y[[b]])(mu[[b]], S[[b]], np.zeros(1, dtype=int))
        assert_allclose(one[0][0], bound[b], rtol=1e-12)
        assert_allclose(one[1][0], dmu[b], rtol=1e-9, atol=1e-9)
        assert_allclose(one[2][0], dS[b], rtol=1e-9, atol=1e-9)
    # At a point: log N(y | m, s2) less half the function's variance over s2, and never
    # above the density itself.
    tiny = np.full_like(S, 1e-16)
    noise = 0.3 + (0.1 if name == "sum" else 0.0)
    bound, *_ = posterior.row_bound(Y)(mu, tiny, np.arange(5))
    divergence = [
        _divergence({"embedding": m, "embedding_std": np.full(2, 1e-8)}) for m in mu
    ]
    mean, variance = posterior.predict_uncertain(mu, tiny)
    density = norm.logpdf(Y, mean, np.sqrt(noise)) - 0.5 * (variance - noise) / noise
    assert_allclose(bound + divergence, np.nansum(density, axis=1), rtol=1e-5)
    above = np.nansum(norm.logpdf(Y, mean, np.sqrt(variance)), axis=1)
    assert np.all(bound + divergence <= above + 1e-6)


def test_a_row_of_the_data_is_bounded_as_the_data_are():
    # With one feature of one row and q(u) fitted to it, the row's bound is the whole
    # bound less the divergence of q(u), which Gaussian algebra tells.
    kernel = KERNELS["ard"]
    Y, point, _ = _problem(n=1, d=1)
    Y = np.array([[0.7]])
    theta = _theta(kernel)
    likelihood = BayesianLikelihood(kernel, Y)
    posterior = likelihood.posterior(**point, theta=theta)
    S = point["embedding_std"] ** 2
    row, *_ = posterior.row_bound(Y)(point["embedding"], S, np.arange(len(Y)))
    Z = point["inducing_points"]
    Kuu = kernel(Z, Z) + _bayesian.JITTER * 1.3 * np.eye(4)
    _, psi1, packed, _ = evaluate_expectations(
        kernel, point["embedding"], point["embedding_std"] ** 2, Z
    )
    Psi2 = np.zeros((4, 4))
    Psi2[np.tril_indices(4)] = packed[0]
    Psi2 += np.tril(Psi2, -1).T
    Sigma = Kuu + Psi2 / 0.3
    mean = Kuu @ np.linalg.solve(Sigma, psi1[0] * 0.7) / 0.3
    covariance = Kuu @ np.linalg.solve(Sigma, Kuu)
    divergence = 0.5 * (
        np.trace(np.linalg.solve(Kuu, covariance))
        + mean @ np.linalg.solve(Kuu, mean)
        - 4
        + np.linalg.slogdet(Kuu)[1]
        - np.linalg.slogdet(covariance)[1]
    )
    assert_allclose(row[0] - divergence, likelihood.elbo(**point, theta=theta))


def test_no_data_means_the_prior():
    # A likelihood of data without information: the posterior predicts prior variance.
    kernel = KERNELS["ard"]
    Y, point, _ = _problem(n=5)
    theta = _theta(kernel, 1e8)
    mean, variance = (
        BayesianLikelihood(kernel, Y)
        .posterior(**point, theta=theta)
        .predict(np.zeros((1, 2)))
    )
    assert_allclose(mean, 0.0, atol=1e-6)
    assert_allclose(variance, 1.3 + 1e8)


@pytest.mark.parametrize("kernel", [sk.Matern(), sk.RBF() * sk.RBF()], ids=str)
def test_unsupported_kernels_are_refused(kernel):
    Y, point, _ = _problem()
    with pytest.raises(NotImplementedError, match="RBF, Linear"):
        BayesianLikelihood(kernel, Y).elbo(**point, theta=_theta(kernel))


def test_one_row_is_bounded_by_its_evidence():
    # One row's evidence is Gaussian, wherever it is: k(x, x) is the same.
    kernel = C(1.0) * sk.RBF(1.0)
    y, noise = 0.4, 0.2
    evidence = multivariate_normal(cov=1.0 + noise).logpdf(y)
    likelihood = BayesianLikelihood(kernel, np.array([[y]]))
    for std in (0.3, 1.0):
        value = likelihood.elbo(
            np.zeros((1, 1)),
            np.full((1, 1), std),
            np.zeros((1, 1)),
            np.log([1.0, 1.0, noise]),
        )
        assert value <= evidence
    tight = likelihood.elbo(
        np.zeros((1, 1)),
        np.full((1, 1), 1.0),
        np.zeros((1, 1)),
        np.log([1.0, 1e4, noise]),
    )
    assert_allclose(tight, evidence, rtol=1e-4)
