"""Rows' bounds and steps against direct sums, a closed form and a limit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import norm

from gplvm.gradients import check_gradient
from gplvm.gradients.positions import expected_fit, position_step

seeds = st.integers(0, 2**32 - 1)


def test_expected_fit_of_known_functions_at_points():
    # Without uncertainty of position or function it is the density of the row.
    rng = np.random.default_rng(0)
    Y, W, psi1 = (rng.normal(size=size) for size in [(5, 3), (4, 3), (5, 4)])
    i, j = np.tril_indices(4)
    psi2 = psi1[:, i] * psi1[:, j]
    quadratic = (W @ W.T)[i, j] * np.where(i == j, 1.0, 2.0)
    squares = np.sum(Y**2, axis=1)

    def function(psi0, psi1=psi1, psi2=psi2):
        value, dpsi0, dpsi1, dpsi2 = expected_fit(
            psi0, psi1, psi2, Y @ W.T, squares, quadratic, 0.3, n_features=3
        )
        dpsi2 = np.tile(dpsi2, (5, 1))
        return value.sum(), {"psi0": dpsi0, "psi1": dpsi1, "psi2": dpsi2}

    expected = norm(psi1 @ W, np.sqrt(0.3)).logpdf(Y).sum()
    assert_allclose(function(np.zeros(5))[0], expected)
    point = {"psi0": np.ones(5), "psi1": psi1, "psi2": psi2}
    assert check_gradient(function, point) < 1e-6


@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_one_step_solves_a_gaussian_posterior(seed):
    # Of a normal density the maximiser of the bound is known, and one step away where
    # its variance is within the limit.
    rng = np.random.default_rng(seed)
    target, precision = rng.normal(size=(3, 2)), rng.uniform(0.5, 2.0, size=(3, 2))
    mu, S = rng.normal(size=(3, 2)), rng.uniform(0.8, 1.2, size=(3, 2))
    # F = -precision ((mu - target)^2 + S) / 2 + log(S) / 2.
    dmu, dS = precision * (target - mu), 0.5 / S - 0.5 * precision
    new, S_new = position_step(mu, S, dmu, dS, np.ones(3))
    assert_allclose(new, target, atol=1e-12)
    assert_allclose(S_new, 1.0 / precision)
    new, S_new = position_step(mu, S, dmu, dS, np.full(3, 0.25))
    assert_allclose(1.0 / S_new, 0.75 / S + 0.25 * precision)
    assert_allclose(new / S_new, 0.75 * mu / S + 0.25 * precision * target)


def test_steps_are_limited_where_the_bound_bends_upwards():
    S = np.array([[1.0, 1.0]])
    _, S_new = position_step(S, S, 0.0 * S, np.array([[10.0, -10.0]]), np.ones(1))
    assert_allclose(S_new, [[4.0, 0.25]])
