"""The GP-LVM likelihood against dense algebra, finite differences, closed forms."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from gplvm.gradients import (
    check_gradient,
    gp_log_likelihood,
    gplvm_log_determinant_term,
    gplvm_log_likelihood,
    gplvm_trace_term,
)
from gplvm.gradients.spectral import spectral_gplvm_log_likelihood

sizes = st.tuples(st.integers(2, 12), st.integers(1, 9), st.integers(1, 4))
positive = st.floats(1e-3, 1e3)
seeds = st.integers(0, 2**32 - 1)


def _problem(size, seed):
    rng = np.random.default_rng(seed)
    n, d, q = size
    return rng.normal(size=(n, q)), rng.normal(size=(n, d))


def _dense(X, alpha, beta):
    return alpha * X @ X.T + np.eye(len(X)) / beta


@given(seed=seeds, n=st.integers(1, 8), d=st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_dense_likelihood_is_a_product_of_gaussians(seed, n, d):
    rng = np.random.default_rng(seed)
    A, Y = rng.normal(size=(n, n)), rng.normal(size=(n, d))
    K = A @ A.T + 0.1 * np.eye(n)
    expected = multivariate_normal(np.zeros(n), K).logpdf(Y.T).sum()
    assert_allclose(gp_log_likelihood(K, Y), expected, rtol=1e-8)


def test_dense_gradient():
    rng = np.random.default_rng(0)
    A, Y = rng.normal(size=(7, 7)), rng.normal(size=(7, 3))
    K = A @ A.T + np.eye(7)

    def value_and_gradient(K):
        # The entries are independent in the definition, so the judge must not be a
        # Cholesky factor, which reads one triangle.
        value = -0.5 * (
            Y.size * np.log(2 * np.pi)
            + 3 * np.linalg.slogdet(K)[1]
            + np.trace(np.linalg.solve(K, Y @ Y.T))
        )
        return value, gp_log_likelihood(K0, Y, eval_gradient=True)[1]

    K0 = K.copy()
    assert_allclose(value_and_gradient(K)[0], gp_log_likelihood(K, Y), rtol=1e-12)
    assert check_gradient(value_and_gradient, K) < 1e-8


def test_dense_gradient_vanishes_at_the_sample_covariance():
    # Over all covariances, the maximum is K = Y Y' / D.
    Y = np.random.default_rng(1).normal(size=(5, 40))
    _, gradient = gp_log_likelihood(Y @ Y.T / 40, Y, eval_gradient=True)
    assert_allclose(gradient, 0, atol=1e-10)


def test_data_enter_through_their_outer_product():
    rng = np.random.default_rng(2)
    Y = rng.normal(size=(6, 30))
    K = np.cov(rng.normal(size=(6, 20)))
    F = np.linalg.cholesky(Y @ Y.T)
    value, gradient = gp_log_likelihood(K, F, n_features=30, eval_gradient=True)
    expected_value, expected_gradient = gp_log_likelihood(K, Y, eval_gradient=True)
    assert_allclose(value, expected_value, rtol=1e-12)
    assert_allclose(gradient, expected_gradient, rtol=1e-8)


@given(size=sizes, seed=seeds, alpha=positive, beta=positive)
@settings(max_examples=60, deadline=None)
def test_low_rank_equals_dense(size, seed, alpha, beta):
    X, Y = _problem(size, seed)
    K, d = _dense(X, alpha, beta), Y.shape[1]
    value, gradient = gplvm_log_likelihood(X, Y, alpha, beta, eval_gradient=True)
    dense_value, dL_dK = gp_log_likelihood(K, Y, eval_gradient=True)
    # The dense inverse loses digits in proportion to the condition number.
    tolerance = 1e-11 * np.linalg.cond(K)
    assert_allclose(value, dense_value, rtol=tolerance, atol=tolerance)
    chain = {
        "X": 2 * alpha * dL_dK @ X,
        "alpha": np.vdot(dL_dK, X @ X.T),
        "beta": -np.trace(dL_dK) / beta**2,
    }
    scale = d * np.linalg.norm(np.linalg.inv(K), 2) * (1 + np.vdot(Y, Y) * beta)
    for name, expected in chain.items():
        assert_allclose(gradient[name], expected, rtol=1e-6, atol=tolerance * scale)


@given(size=sizes, seed=seeds, alpha=positive, beta=positive)
@settings(max_examples=40, deadline=None)
def test_terms_equal_their_definitions(size, seed, alpha, beta):
    X, Y = _problem(size, seed)
    K, d = _dense(X, alpha, beta), Y.shape[1]
    L1 = gplvm_log_determinant_term(X, alpha, beta, d)
    L2 = gplvm_trace_term(X, Y, alpha, beta)
    assert_allclose(L1, -d / 2 * np.linalg.slogdet(K)[1], rtol=1e-7, atol=1e-7)
    assert_allclose(L2, -np.trace(np.linalg.solve(K, Y @ Y.T)) / 2, rtol=1e-6)
    total = -Y.size / 2 * np.log(2 * np.pi) + L1 + L2
    assert_allclose(gplvm_log_likelihood(X, Y, alpha, beta), total, rtol=1e-12)


@pytest.mark.parametrize("n, d, q", [(8, 5, 2), (3, 7, 3), (6, 1, 1), (5, 4, 7)])
@pytest.mark.parametrize("seed", range(3))
def test_gradients_of_both_terms_and_their_sum(n, d, q, seed):
    X, Y = _problem((n, d, q), seed)
    point = {"X": X, "alpha": 0.7, "beta": 2.5}
    functions = [
        lambda **p: gplvm_log_determinant_term(n_features=d, **p, eval_gradient=True),
        lambda **p: gplvm_trace_term(Y=Y, **p, eval_gradient=True),
        lambda **p: gplvm_log_likelihood(Y=Y, **p, eval_gradient=True),
    ]
    for function in functions:
        assert check_gradient(function, point) < 1e-8


@pytest.mark.parametrize("n, d", [(20, 6), (6, 20), (7, 7)])
def test_gradient_of_the_two_terms_by_the_paper(n, d):
    X, Y = _problem((n, d, 2), 5)
    alpha, beta = 1.3, 3.0
    K_inv = np.linalg.inv(_dense(X, alpha, beta))
    _, g1 = gplvm_log_determinant_term(X, alpha, beta, d, eval_gradient=True)
    _, g2 = gplvm_trace_term(X, Y, alpha, beta, eval_gradient=True)
    assert_allclose(g1["X"], -alpha * d * K_inv @ X, rtol=1e-9, atol=1e-10)
    expected = alpha * K_inv @ Y @ Y.T @ K_inv @ X
    assert_allclose(g2["X"], expected, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("n, d", [(30, 8), (8, 30)])
@pytest.mark.parametrize("alpha", [1.0, 0.2])
def test_closed_form_is_a_maximum(n, d, alpha):
    rng = np.random.default_rng(3)
    Y = rng.normal(size=(n, d)) * np.linspace(3, 0.5, d)
    q = 3
    eigenvalues, vectors = np.linalg.eigh(Y @ Y.T / d)
    eigenvalues, vectors = eigenvalues[::-1], vectors[:, ::-1]
    noise = eigenvalues[q:].sum() / (n - q)
    X = vectors[:, :q] * np.sqrt((eigenvalues[:q] - noise) / alpha)
    best, gradient = gplvm_log_likelihood(X, Y, alpha, 1 / noise, eval_gradient=True)
    assert_allclose(gradient["X"], 0, atol=1e-8 * n * d)
    assert_allclose(gradient["beta"], 0, atol=1e-8 * n * d)
    assert_allclose(gradient["alpha"], 0, atol=1e-8 * n * d)
    for _ in range(20):
        nearby = X + 1e-2 * rng.normal(size=X.shape)
        moved = (1 / noise) * np.exp(1e-2 * rng.normal())
        assert gplvm_log_likelihood(nearby, Y, alpha, moved) < best


@pytest.mark.parametrize("n, d", [(9, 4), (4, 9)])
def test_spectral_form_equals_low_rank_form(n, d):
    rng = np.random.default_rng(4)
    Y = rng.normal(size=(n, d))
    U, s, _ = np.linalg.svd(Y, full_matrices=False)
    V = rng.normal(size=(len(s), 2))
    sizes = {"n_samples": n, "n_features": d}

    def spectral(V, alpha, beta):
        return spectral_gplvm_log_likelihood(
            V, s**2, alpha, beta, **sizes, eval_gradient=True
        )

    value, gradient = spectral(V, 0.7, 2.0)
    expected, expected_gradient = gplvm_log_likelihood(
        U @ V, Y, 0.7, 2.0, eval_gradient=True
    )
    assert_allclose(value, expected, rtol=1e-12)
    assert_allclose(U @ gradient["V"], expected_gradient["X"], rtol=1e-9, atol=1e-10)
    assert check_gradient(spectral, {"V": V, "alpha": 0.7, "beta": 2.0}) < 1e-8
    bare = spectral_gplvm_log_likelihood(V, s**2, 0.7, 2.0, **sizes)
    assert bare == value


def test_invariances():
    X, Y = _problem((10, 4, 3), 6)
    rng = np.random.default_rng(7)
    Q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    value = gplvm_log_likelihood(X, Y, 0.5, 2.0)
    assert_allclose(gplvm_log_likelihood(X @ Q, Y, 0.5, 2.0), value, rtol=1e-12)
    assert_allclose(gplvm_log_likelihood(3 * X, Y, 0.5 / 9, 2.0), value, rtol=1e-12)
    order = rng.permutation(10)
    assert_allclose(gplvm_log_likelihood(X[order], Y[order], 0.5, 2.0), value)


@pytest.mark.parametrize("alpha, beta", [(0.0, 1.0), (1.0, -1.0), (np.nan, 1.0)])
def test_scalars_must_be_positive(alpha, beta):
    X, Y = _problem((4, 3, 2), 0)
    with pytest.raises(ValueError, match="must be positive"):
        gplvm_log_likelihood(X, Y, alpha, beta)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"expected \(4, n_features\)"):
        gplvm_trace_term(np.ones((4, 2)), np.ones((3, 2)), 1.0, 1.0)
    with pytest.raises(ValueError, match="expected"):
        gplvm_log_determinant_term(np.ones(4), 1.0, 1.0, 2)
    with pytest.raises(ValueError, match=r"need \(4, 4\)"):
        gp_log_likelihood(np.eye(3), np.ones((4, 2)))


HUGE = np.full((3, 2), 1e200) * np.array([[1.0], [-2.0], [0.5]])


@pytest.mark.parametrize("eval_gradient", [False, True])
@pytest.mark.parametrize(
    "call",
    [
        lambda X, Y, **kw: gp_log_likelihood(np.eye(3), HUGE, **kw),
        lambda X, Y, **kw: gplvm_log_likelihood(X, HUGE, 1.0, 1.0, **kw),
        lambda X, Y, **kw: gplvm_trace_term(X, HUGE, 1.0, 1.0, **kw),
        lambda X, Y, **kw: gplvm_trace_term(HUGE, Y, 1.0, 1.0, **kw),
        lambda X, Y, **kw: gplvm_log_determinant_term(HUGE, 1.0, 1.0, 2, **kw),
        lambda X, Y, **kw: gplvm_log_likelihood(X, Y, 1e200, 1e200, **kw),
    ],
)
def test_what_overflows_is_refused(call, eval_gradient):
    X, Y = np.random.default_rng(0).normal(size=(2, 3, 2))
    with pytest.raises(ValueError, match=r"not finite|not positive definite"):
        call(X, Y, eval_gradient=eval_gradient)


def test_a_variance_without_a_square_has_a_gradient():
    # As alpha grows, tr(K^-1 Y Y') tends to the residual's: its slope to zero.
    X, Y = np.random.default_rng(0).normal(size=(2, 6, 2))
    value, gradient = gplvm_trace_term(X, Y, 1e200, 1.0, eval_gradient=True)
    residual = Y - X @ np.linalg.lstsq(X, Y, rcond=None)[0]
    assert_allclose(value, -0.5 * np.sum(residual**2))
    assert gradient["alpha"] == 0.0


def test_data_of_one_dimension_are_refused():
    with pytest.raises(ValueError, match=r"Y has shape \(2,\)"):
        gp_log_likelihood(np.eye(2), np.zeros(2))
