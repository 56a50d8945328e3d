"""Covariances against scikit-learn; their products against its tensors, differences."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.gaussian_process import kernels as sk

from gplvm import kernels
from gplvm.gradients import check_gradient

LEAVES = [
    sk.ConstantKernel(0.7),
    sk.WhiteKernel(0.3),
    sk.DotProduct(0.8),
    sk.DotProduct(0.0, "fixed"),
    sk.RBF(0.9),
    sk.RBF([0.5, 1.5, 2.0]),
    sk.RBF(1.2, "fixed"),
    sk.Matern(0.8, nu=1.5),
    sk.Matern([0.5, 1.5, 2.0], nu=1.5),
    sk.Matern(1.3, nu=2.5),
    sk.Matern(1.3, nu=np.inf),
    sk.RationalQuadratic(0.7, 1.4),
    sk.ExpSineSquared(1.1, 4.0),
]

composites = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.builds(sk.Sum, inner, inner),
        st.builds(sk.Product, inner, inner),
        st.builds(sk.Exponentiation, inner, st.sampled_from([2, 3])),
    ),
    max_leaves=4,
)
seeds = st.integers(0, 2**32 - 1)


def _inputs(seed, n=6, m=4, q=3):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, q)), rng.normal(size=(m, q)), rng


@given(kernel=composites, seed=seeds)
@settings(max_examples=80, deadline=None)
def test_values_equal_scikit_learn(kernel, seed):
    X, Z, _ = _inputs(seed)
    for ours, theirs in [
        (kernels.matrix(kernel, X), kernel(X)),
        (kernels.matrix(kernel, X, Z), kernel(X, Z)),
        (kernels.diagonal(kernel, X), kernel.diag(X)),
    ]:
        assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


@given(kernel=composites, seed=seeds)
@settings(max_examples=80, deadline=None)
def test_theta_gradient_contracts_scikit_learns_tensor(kernel, seed):
    X, _, rng = _inputs(seed)
    G = rng.normal(size=(6, 6))
    G += G.T
    dtheta, _ = kernels.vjp(kernel, X, G)
    _, tensor = kernel(X, eval_gradient=True)
    expected = np.einsum("nm,nmp->p", G, tensor) if kernel.n_dims else np.empty(0)
    scale = 1 + np.abs(tensor).max() if kernel.n_dims else 1
    assert_allclose(dtheta, expected, rtol=1e-7, atol=1e-9 * scale)


@given(kernel=composites, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_input_gradients_equal_differences(kernel, seed):
    X, Z, rng = _inputs(seed, n=4, m=3)
    G = rng.normal(size=(4, 4))
    G += G.T
    C, g = rng.normal(size=(4, 3)), rng.normal(size=4)

    def symmetric(X):
        K, pullback = kernels.evaluate(kernel, X)
        return np.vdot(G, K), pullback(G)[1]

    def cross(X, Z):
        K, pullback = kernels.evaluate(kernel, X, Z)
        return np.vdot(C, K), dict(zip("XZ", pullback(C)[1:], strict=True))

    def diagonal(X):
        k, pullback = kernels.evaluate_diagonal(kernel, X)
        return g @ k, pullback(g)[1]

    assert check_gradient(symmetric, X) < 1e-5
    assert check_gradient(cross, {"X": X, "Z": Z}) < 1e-5
    assert check_gradient(diagonal, X) < 1e-5


@given(kernel=composites, seed=seeds)
@settings(max_examples=60, deadline=None)
def test_theta_gradients_of_cross_and_diagonal(kernel, seed):
    X, Z, rng = _inputs(seed, n=4, m=3)
    C, g = rng.normal(size=(4, 3)), rng.normal(size=4)

    def cross(theta):
        K, pullback = kernels.evaluate(kernel.clone_with_theta(theta), X, Z)
        return np.vdot(C, K), pullback(C)[0]

    def diagonal(theta):
        k, pullback = kernels.evaluate_diagonal(kernel.clone_with_theta(theta), X)
        return g @ k, pullback(g)[0]

    assert check_gradient(cross, kernel.theta) < 1e-6
    assert check_gradient(diagonal, kernel.theta) < 1e-6


@pytest.mark.parametrize("kernel", LEAVES, ids=str)
def test_coincident_inputs_have_finite_gradients(kernel):
    X = np.ones((5, 3))
    dtheta, dX = kernels.vjp(kernel, X, np.ones((5, 5)))
    assert np.all(np.isfinite(dtheta)) and np.all(np.isfinite(dX))


def test_far_from_the_origin():
    X, Z, _ = _inputs(0)
    kernel = sk.RBF(0.9)
    near = kernels.matrix(kernel, X, Z)
    assert_allclose(kernels.matrix(kernel, X + 1e6, Z + 1e6), near, rtol=1e-8)


def test_matern_is_not_taken_for_its_base_class():
    X, _, _ = _inputs(0)
    assert issubclass(sk.Matern, sk.RBF)
    smooth, rough = sk.RBF(1.0), sk.Matern(1.0, nu=1.5)
    assert np.abs(kernels.matrix(smooth, X) - kernels.matrix(rough, X)).max() > 1e-2


class _Unknown(sk.RBF):
    pass


@pytest.mark.parametrize(
    "kernel",
    [
        sk.PairwiseKernel(),
        sk.CompoundKernel([sk.RBF()]),
        _Unknown(),
        sk.ConstantKernel() * (sk.RBF() + sk.PairwiseKernel()),
        sk.Exponentiation(sk.PairwiseKernel(), 2),
    ],
    ids=lambda kernel: type(kernel).__name__,
)
def test_unsupported_kernels_are_named(kernel):
    with pytest.raises(NotImplementedError, match=r"Supported kernels are .*RBF"):
        kernels.check_kernel(kernel, 2)


@pytest.mark.parametrize("kernel", LEAVES, ids=str)
def test_supported_kernels_pass_the_check(kernel):
    kernels.check_kernel(sk.ConstantKernel() * (sk.RBF() * kernel), 3)


def test_a_periodic_kernel_alone_is_for_one_dimension():
    kernel = sk.ConstantKernel() * sk.ExpSineSquared() + sk.WhiteKernel()
    kernels.check_kernel(kernel, 1)
    kernels.check_kernel(kernel * sk.RBF(), 2)
    for refused in (kernel, sk.RBF() + kernel, kernel * sk.DotProduct() + sk.RBF()):
        with pytest.raises(NotImplementedError, match="more than one dimension"):
            kernels.check_kernel(refused, 2)


def test_which_kernels_may_be_rotated():
    assert kernels.is_isotropic(sk.ConstantKernel() * sk.RBF() + sk.DotProduct() ** 2)
    assert not kernels.is_isotropic(sk.WhiteKernel() + sk.RBF([1.0, 2.0]))


def test_matern_without_a_gradient_is_refused():
    with pytest.raises(NotImplementedError, match=r"nu = 1\.5, 2\.5 or inf"):
        kernels.check_kernel(sk.Matern(nu=0.5), 2)


def test_anisotropic_length():
    with pytest.raises(ValueError, match=r"3 entries, expected 1 or n_components=2"):
        kernels.check_kernel(sk.WhiteKernel() + sk.RBF([1.0, 1.0, 1.0]), 2)


@pytest.mark.parametrize("wrong", ["rbf", None, sk.RBF])
def test_not_a_kernel(wrong):
    with pytest.raises(TypeError, match="scikit-learn kernel object"):
        kernels.check_kernel(wrong, 2)


def test_a_users_kernel(monkeypatch):
    # cos(x - z) in one dimension, as a user would add it.
    class Cosine(sk.StationaryKernelMixin, sk.NormalizedKernelMixin, sk.Kernel):
        def __call__(self, X, Y=None, eval_gradient=False):
            return np.cos(X - (X if Y is None else Y).T)

    def evaluate(kernel, X, Z, symmetric):
        difference = X - Z.T

        def pullback(G):
            H = -G * np.sin(difference)
            return {}, H.sum(1)[:, None], -H.sum(0)[:, None]

        return np.cos(difference), pullback

    def diagonal(kernel, X):
        return np.ones(len(X)), lambda g: ({}, np.zeros_like(X))

    monkeypatch.setattr("gplvm.kernels.covariance.RULES", {})
    kernels.register_rule(Cosine, kernels.Rule(evaluate, diagonal))
    X, _, rng = _inputs(0, q=1)
    kernel = sk.Sum(Cosine(), Cosine())
    kernels.check_kernel(kernel, 1)
    assert not kernels.is_isotropic(kernel)  # a rule must say so
    G = rng.normal(size=(6, 6))
    G += G.T

    def value(X):
        K, pullback = kernels.evaluate(kernel, X)
        return np.vdot(G, K), pullback(G)[1]

    assert_allclose(kernels.matrix(kernel, X), kernel(X))
    assert check_gradient(value, X) < 1e-8


@pytest.mark.parametrize("value", [1e-200, 1e200, -1.0])
def test_a_hyperparameter_without_a_square_is_refused(value):
    for kernel in (sk.RBF([1.0, value]), sk.ConstantKernel(value) * sk.RBF()):
        with pytest.raises(ValueError, match="expected between"):
            kernels.check_kernel(kernel, n_components=2)


def test_bounds_of_hyperparameters_stay_where_squares_are():
    kernel = sk.ConstantKernel(2.0, (1e-300, 1e3)) * sk.RBF(1.0, (1e-5, 1e300))
    low, high = np.exp(kernels.theta_bounds(kernel)).T
    assert_allclose(low, [1e-140, 1e-5])
    assert_allclose(high, [1e3, 1e140])
    assert kernels.theta_bounds(sk.RBF(1.0, "fixed")).shape == (0, 2)


@pytest.mark.parametrize("far", [1e160, -1e300, np.nan])
@pytest.mark.parametrize("function", [kernels.matrix, kernels.diagonal])
def test_inputs_without_squares_are_refused(function, far):
    for kernel in (sk.RBF(), sk.DotProduct()):
        with pytest.raises(ValueError, match="Inputs of a kernel must be finite"):
            function(kernel, np.array([[1.0], [far]]))


def test_inputs_too_many_length_scales_apart_are_refused():
    with pytest.raises(ValueError, match="in its length scales too"):
        kernels.matrix(sk.RBF(1e-100), np.array([[1.0], [1e60]]))


@pytest.mark.parametrize(
    ("kernel", "size"),
    [
        (sk.ConstantKernel(1e100) * sk.DotProduct(1.0), 1e149),
        (sk.ConstantKernel(1e308) + sk.ConstantKernel(1e308), 1.0),
        (sk.ConstantKernel(1e200) * sk.RBF(1.0) * sk.ConstantKernel(1e200), 1.0),
        (sk.DotProduct(1.0) ** 3, 1e75),
        (sk.DotProduct(1e160), 1.0),
        (kernels.Linear(1e200), 1e100),
    ],
    ids=repr,
)
def test_a_covariance_that_overflows_is_refused_in_one_way(kernel, size):
    X = size * np.array([[1.0, 0.5], [-0.5, 1.0], [0.3, 0.2]])
    for function in (
        lambda: kernels.matrix(kernel, X),
        lambda: kernels.matrix(kernel, X, X),
        lambda: kernels.evaluate(kernel, X),
        lambda: kernels.diagonal(kernel, X),
        lambda: kernels.evaluate_diagonal(kernel, X),
        lambda: kernels.vjp(kernel, X, np.eye(3)),
    ):
        with pytest.raises(ValueError, match="scale the arguments"):
            function()


def test_a_pullback_that_overflows_is_refused():
    X = np.full((2, 2), 1e100)
    with pytest.raises(ValueError, match=r"vjp is not finite.*scale the arguments"):
        kernels.vjp(sk.DotProduct(1.0), X, np.full((2, 2), 1e250))
    with pytest.raises(ValueError, match=r"vjp is not finite.*scale the arguments"):
        kernels.vjp(sk.ExpSineSquared(1.0, 1e-200), X, np.ones((2, 2)))


def test_a_pullback_keeps_no_more_than_its_rule_needs():
    X = np.random.default_rng(0).normal(size=(500, 2))
    tracemalloc.start()
    pullback = kernels.evaluate(sk.ConstantKernel() * sk.RBF(), X)[1]
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert memory < 1.2 * 8 * 500**2  # the covariance without the constant
    assert pullback(np.ones((500, 500)))[1].shape == X.shape
