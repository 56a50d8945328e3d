"""Expectations of covariances against quadrature, Monte Carlo, limits, differences."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.gaussian_process import kernels as sk

from gplvm import kernels
from gplvm.gradients import check_gradient
from gplvm.kernels import Linear, _moments, evaluate_expectations
from gplvm.kernels._form import Form
from gplvm.kernels.expectations import Expectations

WEIGHTS = np.array([0.6, 1.0, 1.5])
DOT = sk.DotProduct(0.0, "fixed")


def _leaves(q):
    """Leaf kernels of q dimensions."""
    return [
        sk.RBF(0.9),
        sk.RBF(1.3 * WEIGHTS[:q]),
        sk.RBF(1.7, "fixed"),
        DOT,
        Linear(0.7),
        Linear(WEIGHTS[:q][::-1].copy()),
        Linear(WEIGHTS[:q], "fixed"),
        sk.ConstantKernel(0.4),
        sk.ConstantKernel(0.3, "fixed"),
    ]


def _sums(q):
    rbf, ard, _, dot, _, linear, *_ = _leaves(q)
    c = sk.ConstantKernel
    return {
        "rbf": rbf,
        "ard": c(1.3) * ard,
        "dot": dot * c(0.6),
        "linear": linear,
        "affine": c(0.5) * dot + linear + c(0.4),
        "two rbf": c(1.3) * rbf + c(0.4) * ard,
        "whole": c(0.8) * ard + c(0.5) * linear + c(0.2) + sk.WhiteKernel(0.1),
        "nested": (c(0.3) + c(0.6, "fixed")) * (ard + c(2.0) * (rbf + c(0.1)) + linear),
    }


def _problem(q, n=4, m=3, seed=0):
    rng = np.random.default_rng(seed)
    mu, Z = rng.normal(size=(n, q)), rng.normal(size=(m, q))
    return mu, rng.uniform(0.05, 0.8, size=(n, q)), Z, rng


def _of_positions(kernel, X, Z):
    """What is to be averaged at each of the positions X."""
    i, j = np.tril_indices(len(Z))
    k = kernel(X, Z)
    return kernel.diag(X), k, k[:, i] * k[:, j]


def _average(kernel, mu, S, Z, nodes, weights):
    """The statistics as weighted means over the positions mu + sqrt(S) * node."""
    means = []
    for m, s in zip(mu, S, strict=True):
        parts = _of_positions(kernel, m + np.sqrt(s) * nodes, Z)
        means.append([weights @ part for part in parts])
    return [np.array(statistic) for statistic in zip(*means, strict=True)]


@pytest.mark.parametrize("name", _sums(1))
@pytest.mark.parametrize("q", [1, 2, 3])
def test_values_equal_quadrature(q, name):
    kernel = _sums(q)[name]
    mu, S, Z, _ = _problem(q)
    nodes, weights = np.polynomial.hermite_e.hermegauss({1: 60, 2: 40, 3: 25}[q])
    nodes = np.array(list(product(nodes, repeat=q)))
    weights = np.prod(list(product(weights / weights.sum(), repeat=q)), axis=1)
    expected = _average(kernel, mu, S, Z, nodes, weights)
    *values, _ = evaluate_expectations(kernel, mu, S, Z)
    for ours, theirs in zip(values, expected, strict=True):
        assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ["ard", "two rbf", "whole"])
@pytest.mark.parametrize("q", [1, 2, 3])
def test_values_equal_monte_carlo(q, name):
    kernel = _sums(q)[name]
    mu, S, Z, rng = _problem(q, n=2)
    n = 60_000
    nodes = rng.normal(size=(n // 2, q))
    nodes = np.vstack([nodes, -nodes])
    expected = _average(kernel, mu, S, Z, nodes, np.full(n, 1.0 / n))
    *values, _ = evaluate_expectations(kernel, mu, S, Z)
    for ours, theirs in zip(values, expected, strict=True):
        assert_allclose(ours, theirs, atol=0.03 * max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("name", _sums(1))
def test_no_variance_is_a_point(name):
    kernel = _sums(3)[name]
    mu, S, Z, rng = _problem(3)
    *values, pullback = evaluate_expectations(kernel, mu, np.zeros_like(S), Z)
    for ours, theirs in zip(values, _of_positions(kernel, mu, Z), strict=True):
        assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
    # The gradients of psi0 and psi1 are those of the covariances.
    g, G = rng.normal(size=4), rng.normal(size=(4, 3))
    dtheta, dmu, _, dZ = pullback(g, G, np.zeros(6))
    _, pull = kernels.evaluate(kernel, mu, Z)
    _, pull_diagonal = kernels.evaluate_diagonal(kernel, mu)
    theirs, of_diagonal = pull(G), pull_diagonal(g)
    assert_allclose(dtheta, theirs[0] + of_diagonal[0], rtol=1e-10, atol=1e-10)
    assert_allclose(dmu, theirs[1] + of_diagonal[1], rtol=1e-10, atol=1e-10)
    assert_allclose(dZ, theirs[2], rtol=1e-10, atol=1e-10)


scaled = st.builds(
    lambda leaf, scale, first: (
        leaf
        if scale is None
        else (sk.Product(scale, leaf) if first else sk.Product(leaf, scale))
    ),
    st.integers(0, 8).map(lambda i: _leaves(2)[i]),
    st.sampled_from([None, sk.ConstantKernel(0.7), sk.ConstantKernel(1.4, "fixed")]),
    st.booleans(),
)
composites = st.recursive(
    scaled, lambda inner: st.builds(sk.Sum, inner, inner), max_leaves=4
)
with_noise = st.one_of(
    composites,
    st.builds(sk.Sum, st.just(sk.WhiteKernel(0.2)), composites),
    st.builds(sk.Sum, composites, st.just(sk.WhiteKernel(0.2, "fixed"))),
)


@given(kernel=with_noise, seed=st.integers(0, 2**32 - 1), shared=st.booleans())
@settings(max_examples=15)
def test_gradients_equal_differences(kernel, seed, shared):
    mu, S, Z, rng = _problem(2, n=3, seed=seed)
    kernels.check_expectations(kernel, 2)
    g0, g1 = rng.normal(size=3), rng.normal(size=(3, 3))
    g2 = rng.normal(size=6 if shared else (3, 6))
    point = {"theta": kernel.theta, "mu": mu, "S": S, "Z": Z}
    if not kernel.n_dims:
        del point["theta"]

    def function(mu, S, Z, theta=None):
        at = kernel if theta is None else kernel.clone_with_theta(theta)
        psi0, psi1, psi2, pullback = evaluate_expectations(at, mu, S, Z)
        gradients = zip(("theta", "mu", "S", "Z"), pullback(g0, g1, g2), strict=True)
        value = g0 @ psi0 + np.vdot(g1, psi1) + np.sum(g2 * psi2)
        return value, {name: g for name, g in gradients if name in point}

    assert check_gradient(function, point) < 1e-6


@given(kernel=composites, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_positions_that_spread_have_a_covariance(kernel, seed):
    # psi2 - psi1' psi1 is the covariance of k(x, Z): positive semi-definite.
    mu, S, Z, _ = _problem(2, n=3, m=4, seed=seed)
    _, psi1, psi2, _ = evaluate_expectations(kernel, mu, S, Z)
    for row, packed in zip(psi1, psi2, strict=True):
        covariance = np.zeros((4, 4))
        covariance[np.tril_indices(4)] = packed
        covariance -= np.tril(np.outer(row, row))
        eigenvalues = np.linalg.eigvalsh(covariance)
        assert eigenvalues[0] > -1e-12 * (1 + eigenvalues[-1])


def test_order_of_a_sum_does_not_matter():
    a, b = sk.RBF(0.8), sk.ConstantKernel(0.5) * Linear([1.0, 0.3])
    mu, S, Z, _ = _problem(2)
    first = evaluate_expectations(a + b, mu, S, Z)
    second = evaluate_expectations(b + a, mu, S, Z)
    for ours, theirs in zip(first[:3], second[:3], strict=True):
        assert_allclose(ours, theirs, rtol=1e-13)


def test_far_from_the_origin():
    mu, S, Z, _ = _problem(2)
    kernel = sk.RBF([0.7, 1.2])
    near = evaluate_expectations(kernel, mu, S, Z)
    far = evaluate_expectations(kernel, mu + 1e6, S, Z + 1e6)
    for ours, theirs in zip(far[:3], near[:3], strict=True):
        assert_allclose(ours, theirs, rtol=1e-7)


@pytest.mark.parametrize(
    "kernel",
    [
        sk.Matern(),  # a subclass of RBF
        sk.RationalQuadratic(),
        sk.DotProduct(1.0),
        sk.DotProduct(1.0, "fixed"),
        sk.RBF() * sk.RBF(),
        sk.RBF() * DOT,
        sk.RBF() ** 2,
        sk.ConstantKernel() * (sk.RBF() + sk.WhiteKernel()),
        sk.WhiteKernel(),
        sk.WhiteKernel() + sk.WhiteKernel(),
        sk.RBF() + sk.Matern(),
    ],
    ids=str,
)
def test_unsupported_kernels_are_refused_by_name(kernel):
    with pytest.raises(NotImplementedError, match=r"RBF, Linear, DotProduct"):
        kernels.check_expectations(kernel, 2)


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="has 3 entries"):
        kernels.check_expectations(Linear(WEIGHTS), 2)
    with pytest.raises(TypeError, match="kernel object"):
        kernels.check_expectations("rbf", 2)


@pytest.mark.parametrize("kernel", [Linear(0.7), Linear(WEIGHTS)], ids=str)
def test_linear_is_a_scikit_learn_kernel(kernel):
    X, _, Z, _ = _problem(3)
    variances = np.broadcast_to(kernel.variances, 3)
    assert_allclose(kernel(X, Z), X @ np.diag(variances) @ Z.T)
    assert_allclose(kernel.diag(X), np.diagonal(kernel(X)))
    assert not kernel.is_stationary()
    assert clone(kernel) == kernel
    assert eval(repr(kernel), {"Linear": Linear}) == kernel
    assert_allclose(np.exp(kernel.theta), np.atleast_1d(kernel.variances))
    assert kernel.bounds.shape == (kernel.n_dims, 2)
    value, tensor = kernel(X, eval_gradient=True)
    assert_allclose(value, kernel(X))
    assert tensor.shape == (4, 4, kernel.n_dims)
    for entry in product(range(4), repeat=2):

        def one(theta, entry=entry):
            K, gradient = kernel.clone_with_theta(theta)(X, eval_gradient=True)
            return K[entry], gradient[entry]

        assert check_gradient(one, kernel.theta) < 1e-7
    with pytest.raises(ValueError, match="Y is None"):
        kernel(X, Z, eval_gradient=True)


def test_fixed_linear_has_no_gradient_and_wrong_sizes_are_errors():
    X, _, _, _ = _problem(3)
    kernel = Linear(WEIGHTS, "fixed")
    assert kernel.n_dims == 0
    assert kernel(X, eval_gradient=True)[1].shape == (4, 4, 0)
    with pytest.raises(ValueError, match="2 variances"):
        Linear([1.0, 2.0])(X)


@pytest.mark.parametrize("name", _sums(3))
def test_covariance_of_the_form_is_that_of_the_kernel(name):
    # With theta in the place of the kernel's own, as an optimisation asks for it.
    kernel = _sums(3)[name]
    *_, Z, rng = _problem(3, m=5)
    theta = kernel.theta + rng.normal(scale=0.3, size=kernel.n_dims)
    G = rng.normal(size=(5, 5))
    G += G.T
    form = Form(kernel, 3, theta)
    K, pullback = form.covariance(Z)
    at = kernel.clone_with_theta(theta)
    expected, pull = kernels.evaluate(at, Z, Z.copy())  # without noise
    assert_allclose(K, expected, rtol=1e-12)
    dtheta, dX, dZ = pull(G)
    of_points, *slopes = pullback(G)
    assert_allclose(of_points, dX + dZ, rtol=1e-10, atol=1e-12)
    assert_allclose(form.pull(0.0, *slopes), dtheta, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "kernel",
    [Linear(0.7), Linear(WEIGHTS), Linear(WEIGHTS, "fixed") + sk.RBF()],
    ids=str,
)
def test_linear_has_a_covariance_rule(kernel):
    X, _, Z, rng = _problem(3)
    G, g = rng.normal(size=(4, 4)), rng.normal(size=4)
    G += G.T
    assert_allclose(kernels.matrix(kernel, X, Z), kernel(X, Z))
    assert_allclose(kernels.diagonal(kernel, X), kernel.diag(X))

    def symmetric(theta, X):
        at = kernel.clone_with_theta(theta)
        K, pullback = kernels.evaluate(at, X)
        k, pull_diagonal = kernels.evaluate_diagonal(at, X)
        gradients = zip(pullback(G), pull_diagonal(g), strict=True)
        dtheta, dX = (a + b for a, b in gradients)
        return np.vdot(G, K) + g @ k, {"theta": dtheta, "X": dX}

    assert check_gradient(symmetric, {"theta": kernel.theta, "X": X}) < 1e-7


def test_one_variance_for_all_is_isotropic():
    assert kernels.is_isotropic(Linear(0.7) + sk.RBF(1.0))
    assert not kernels.is_isotropic(Linear(WEIGHTS))


@pytest.mark.parametrize("kernel", [sk.RBF(1e-3), DOT + sk.RBF(1e-3)])
def test_positions_without_digits_left_are_refused(kernel):
    # (x / l)^2 = 1e16: what is left of distances of one length scale is rounding.
    Z, S = np.array([[-1e-3], [1e-3]]), np.full((1, 1), 1e-12)
    near = evaluate_expectations(kernel, np.array([[1e3]]), S, Z)[1]
    assert_allclose(near, kernel(np.array([[1e3]]), Z), atol=1e-12)
    for far in (1e5, 1e160):
        with pytest.raises(ValueError, match="of order one"):
            evaluate_expectations(kernel, np.array([[far]]), S, Z)


@pytest.mark.parametrize("name", ["ard", "two rbf", "whole"])
@pytest.mark.parametrize("shared", [True, False])
def test_tiles_change_nothing(name, shared, monkeypatch):
    kernel = _sums(2)[name]
    mu, S, Z, rng = _problem(2, n=70, m=7)
    n_pairs = len(Z) * (len(Z) + 1) // 2
    slopes = rng.normal(size=70), rng.normal(size=(70, 7)), rng.normal(size=n_pairs)
    if not shared:
        slopes = *slopes[:2], rng.normal(size=(70, n_pairs))

    def answers():
        *values, pullback = evaluate_expectations(kernel, mu, S, Z)
        return [*values, *pullback(*slopes)]

    whole = answers()
    monkeypatch.setattr(_moments, "_TILE", 200)
    monkeypatch.setattr(_moments, "SMALL", 2000)
    for tiled, expected in zip(answers(), whole, strict=True):
        assert_allclose(tiled, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["ard", "two rbf"])
def test_totals_and_moments_without_the_functions_between(name, monkeypatch):
    monkeypatch.setattr(_moments, "_TILE", 200)
    monkeypatch.setattr(_moments, "SMALL", 2000)
    mu, S, Z, rng = _problem(2, n=70, m=7)
    expectations = Expectations(_sums(2)[name], Z)
    dpsi2 = rng.normal(size=expectations.n_pairs)
    slopes = rng.normal(size=70), rng.normal(size=(70, 7)), dpsi2
    weighed = expectations.weighed(dpsi2)
    kept, anew = expectations.rows(mu, S), expectations.rows(mu, S)
    assert_allclose(
        expectations.psi2_total(anew.totals()), kept.psi2.sum(axis=0), rtol=1e-12
    )
    for one, other in zip(
        kept.pull(*slopes, weighed, sums=False)[:2],
        anew.pull(*slopes, weighed, sums=False)[:2],
        strict=True,
    ):
        assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["ard", "linear", "two rbf", "whole"])
def test_no_rows_have_no_gradient(name):
    kernel = _sums(2)[name]
    none, Z = np.empty((0, 2)), np.random.default_rng(0).normal(size=(3, 2))
    *_, pullback = evaluate_expectations(kernel, none, none, Z)
    dtheta, dmu, dS, dZ = pullback(np.empty(0), np.empty((0, 3)), np.empty((0, 6)))
    assert dmu.shape == dS.shape == (0, 2)
    assert not dtheta.any()
    assert not dZ.any()
