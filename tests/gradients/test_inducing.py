"""The collapsed bound against dense algebra and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from gplvm.gradients import check_gradient, gp_log_likelihood
from gplvm.gradients.inducing import (
    collapsed_bound,
    inducing_posterior,
    whitening,
)

seeds = st.integers(0, 2**32 - 1)
JITTER = 1e-3  # large enough to be seen


def _problem(seed, n, m, d):
    """Y, and the blocks of a covariance of n rows and m inducing variables."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n + m, n + m + 2))
    K = A @ A.T / (n + m)
    return rng.normal(size=(n, d)), K[:n, :n], K[n:, :n], K[n:, n:]


def _arguments(Y, Kff, Kuf, Kuu, s2):
    return {
        "psi0": np.trace(Kff),
        "P": Kuf @ Y,
        "Psi2": Kuf @ Kuf.T,
        "Kuu": Kuu,
        "y_squared": np.vdot(Y, Y),
        "noise_variance": s2,
        "n_samples": Y.shape[0],
        "n_features": Y.shape[1],
    }


def _with_jitter(Kuu, jitter):
    return Kuu + jitter * np.trace(Kuu) / len(Kuu) * np.eye(len(Kuu))


@given(
    seed=seeds,
    n=st.integers(1, 9),
    m=st.integers(1, 6),
    d=st.integers(1, 4),
    s2=st.floats(1e-3, 1e3),
)
@settings(max_examples=50, deadline=None)
def test_equals_the_dense_definition_and_bounds_the_likelihood(seed, n, m, d, s2):
    Y, Kff, Kuf, Kuu = _problem(seed, n, m, d)
    bound = collapsed_bound(**_arguments(Y, Kff, Kuf, Kuu, s2), jitter=JITTER)
    Qff = Kuf.T @ np.linalg.solve(_with_jitter(Kuu, JITTER), Kuf)
    density = multivariate_normal(np.zeros(n), Qff + s2 * np.eye(n))
    expected = density.logpdf(Y.T).sum() - d / (2 * s2) * np.trace(Kff - Qff)
    assert_allclose(bound, expected, rtol=1e-8, atol=1e-8)
    exact = gp_log_likelihood(Kff + s2 * np.eye(n), Y)
    assert bound <= exact + 1e-8 * abs(exact)


def test_gradient():
    # The judge has independent entries in the symmetric arguments.
    Y, Kff, Kuf, Kuu = _problem(0, 8, 4, 3)
    arguments = _arguments(Y, Kff, Kuf, Kuu, 0.3)
    names = ("psi0", "P", "Psi2", "Kuu", "noise_variance")
    n, d = Y.shape
    value, gradient = collapsed_bound(**arguments, jitter=JITTER, eval_gradient=True)

    def judge(psi0, P, Psi2, Kuu, noise_variance):
        s2, Kuu = noise_variance, _with_jitter(Kuu, JITTER)
        Sigma = Kuu + Psi2 / s2
        log_determinants = np.linalg.slogdet(Kuu)[1] - np.linalg.slogdet(Sigma)[1]
        result = (
            -0.5 * n * d * np.log(2 * np.pi * s2)
            + 0.5 * d * log_determinants
            - arguments["y_squared"] / (2 * s2)
            + np.trace(P.T @ np.linalg.solve(Sigma, P)) / (2 * s2**2)
            - 0.5 * d / s2 * (psi0 - np.trace(np.linalg.solve(Kuu, Psi2)))
        )
        return result, gradient

    point = {name: arguments[name] for name in names}
    assert_allclose(judge(**point)[0], value, rtol=1e-12)
    assert set(gradient) == set(names)
    for name in names:  # one by one: each is compared at its own scale

        def function(name=name, **changed):
            return judge(**{**point, **changed})

        assert check_gradient(function, {name: point[name]}) < 1e-7
    assert collapsed_bound(**arguments, jitter=JITTER) == value


def test_a_change_of_basis_changes_nothing():
    arguments = _arguments(*_problem(1, 9, 4, 2), 0.2)
    R = np.random.default_rng(1).normal(size=(4, 4))
    moved = {
        **arguments,
        "P": R @ arguments["P"],
        "Psi2": R @ arguments["Psi2"] @ R.T,
        "Kuu": R @ arguments["Kuu"] @ R.T,
    }
    assert_allclose(
        collapsed_bound(**moved, jitter=0.0),
        collapsed_bound(**arguments, jitter=0.0),
        rtol=1e-10,
    )


def test_data_enter_through_their_outer_product():
    Y, Kff, Kuf, Kuu = _problem(2, 5, 3, 20)
    F = np.linalg.cholesky(Y @ Y.T)
    expected = collapsed_bound(**_arguments(Y, Kff, Kuf, Kuu, 0.3), eval_gradient=True)
    arguments = {**_arguments(F, Kff, Kuf, Kuu, 0.3), "n_features": 20}
    value, gradient = collapsed_bound(**arguments, eval_gradient=True)
    assert_allclose(value, expected[0], rtol=1e-12)
    for name in ("psi0", "Psi2", "Kuu", "noise_variance"):
        assert_allclose(gradient[name], expected[1][name], rtol=1e-9, atol=1e-9)
    assert gradient["P"].shape == (3, 5)


def test_gradient_in_the_noise_vanishes_at_its_optimum():
    # One inducing variable apart from the rows (Kuf = 0): F is that of pure noise of
    # variance s2, less D psi0 / (2 s2), largest at s2 = (|Y|^2 + D psi0) / (N D).
    Y = np.random.default_rng(3).normal(size=(7, 2))
    zero = np.zeros((1, 7))
    s2 = (np.vdot(Y, Y) + 2 * 7.0) / 14
    arguments = _arguments(Y, np.eye(7), zero, np.eye(1), s2)
    _, gradient = collapsed_bound(**arguments, eval_gradient=True)
    assert_allclose(gradient["noise_variance"], 0.0, atol=1e-12)
    assert_allclose(gradient["Kuu"], 0.0, atol=1e-12)


def test_singular_inducing_covariance():
    # All inducing variables the same one: as good as one of them.
    Y, Kff, Kuf, Kuu = _problem(4, 8, 1, 2)
    one = collapsed_bound(**_arguments(Y, Kff, Kuf, Kuu, 0.3), jitter=1e-8)
    same = np.ones((5, 1))
    arguments = _arguments(Y, Kff, same @ Kuf, same @ Kuu @ same.T, 0.3)
    value, gradient = collapsed_bound(**arguments, jitter=1e-8, eval_gradient=True)
    assert_allclose(value, one, rtol=1e-5)
    assert all(np.all(np.isfinite(part)) for part in gradient.values())


def test_posterior_equals_dense_algebra():
    Y, _, Kuf, Kuu = _problem(5, 8, 4, 3)
    s2 = 0.3
    R = whitening(Kuu, JITTER)
    Kuu = _with_jitter(Kuu, JITTER)
    assert_allclose(R @ Kuu @ R.T, np.eye(4), atol=1e-12)
    weights, root = inducing_posterior(R, R @ Kuf @ Y, R @ Kuf @ Kuf.T @ R.T, s2)
    Sigma = Kuu + Kuf @ Kuf.T / s2
    assert_allclose(weights, np.linalg.solve(Sigma, Kuf @ Y) / s2, rtol=1e-9)
    expected = np.linalg.inv(Kuu) - np.linalg.inv(Sigma)
    assert_allclose(root.T @ root, expected, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("changed, message", [
    ({"P": np.zeros((3, 2))}, r"\(3, 2\)"),
    ({"Psi2": np.zeros((4, 5))}, r"\(4, 5\)"),
    ({"Kuu": np.zeros((4, 3))}, r"\(4, 3\)"),
    ({"noise_variance": 0.0}, "noise_variance must be positive"),
    ({"noise_variance": np.nan}, "noise_variance must be positive"),
])  # fmt: skip
def test_bad_input(changed, message):
    arguments = {**_arguments(*_problem(6, 8, 4, 2), 0.3), **changed}
    with pytest.raises(ValueError, match=message):
        collapsed_bound(**arguments)


def test_indefinite_covariance_is_an_error():
    arguments = {**_arguments(*_problem(7, 8, 4, 2), 0.3), "Kuu": -np.eye(4)}
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        collapsed_bound(**arguments)
