"""The uncollapsed bound against draws, the collapsed bound, finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal, norm

from gplvm.gradients import check_gradient, collapsed_bound, uncollapsed_bound
from gplvm.gradients.inducing import whitening
from gplvm.gradients.uncollapsed import moments, natural_step, predictive_weights

seeds = st.integers(0, 2**32 - 1)
JITTER = 1e-3  # large enough to be seen


def _problem(seed, n=8, m=4, d=3):
    """Statistics of n rows at certain positions, one by one, and an arbitrary q(v)."""
    rng = np.random.default_rng(seed)
    K = rng.normal(size=(n + m, n + m + 2))
    K = K @ K.T / (n + m)
    Y, s2 = rng.normal(size=(n, d)), rng.uniform(0.1, 2.0)
    root = rng.normal(size=(m, m + 2)) / 2
    q = {"mean": rng.normal(size=(m, d)), "covariance": root @ root.T}
    return Y, K[:n, :n], K[n:, :n], K[n:, n:], s2, q


def _arguments(Y, Kff, Kuf, Kuu, s2, rows=slice(None)):
    return {
        "psi0": np.trace(Kff[rows, rows]),
        "P": Kuf[:, rows] @ Y[rows],
        "Psi2": Kuf[:, rows] @ Kuf[:, rows].T,
        "Kuu": Kuu,
        "y_squared": np.vdot(Y[rows], Y[rows]),
        "noise_variance": s2,
        "n_samples": len(Y[rows]),
        "jitter": JITTER,
    }


def _whitened(arguments):
    R = whitening(arguments["Kuu"], JITTER)
    return R, R @ arguments["P"], R @ arguments["Psi2"] @ R.T


def _best(arguments):
    """q(v) after one natural step of full length from the prior."""
    _, P, Psi2 = _whitened(arguments)
    start = np.eye(len(P)), np.zeros(P.shape)
    step = natural_step(*start, P, Psi2, arguments["noise_variance"], rate=1.0)
    return dict(zip(("mean", "covariance"), moments(*step), strict=True))


def test_equals_its_definition():
    # <log p(y | v)> over f given v, and over v, by the moments of f; the divergence by
    # drawing from q.
    Y, Kff, Kuf, Kuu, s2, q = _problem(0)
    bound = uncollapsed_bound(**_arguments(Y, Kff, Kuf, Kuu, s2), **q)
    V = (whitening(Kuu, JITTER) @ Kuf).T
    f_mean = V @ q["mean"]
    f_variance = np.diagonal(Kff - V @ V.T + V @ q["covariance"] @ V.T)
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)
    f = f_mean[..., None] + np.sqrt(f_variance)[:, None, None] * nodes
    fit = norm(f, np.sqrt(s2)).logpdf(Y[..., None]) @ weights / weights.sum()
    prior = multivariate_normal(np.zeros(4))
    divergence, error = 0.0, 0.0
    for mean in q["mean"].T:
        posterior = multivariate_normal(mean, q["covariance"])
        v = posterior.rvs(200_000, random_state=0)
        draws = posterior.logpdf(v) - prior.logpdf(v)
        divergence += draws.mean()
        error += draws.std() / np.sqrt(len(draws))
    assert_allclose(bound, fit.sum() - divergence, atol=4 * error)
    assert error < 0.02 * divergence


@given(seed=seeds, n=st.integers(1, 9), m=st.integers(1, 5), d=st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_one_natural_step_leads_to_the_collapsed_bound(seed, n, m, d):
    *problem, q = _problem(seed, n, m, d)
    arguments = _arguments(*problem)
    collapsed = collapsed_bound(**arguments, n_features=d)
    assert_allclose(uncollapsed_bound(**arguments, **_best(arguments)), collapsed)
    # No other q(v) is above it.
    assert uncollapsed_bound(**arguments, **q) <= collapsed + 1e-9 * abs(collapsed)


def test_gradients_equal_the_collapsed_ones_at_the_best_posterior():
    # The envelope theorem: where F is stationary in q(v), q(v) may as well be held.
    *problem, _ = _problem(1)
    arguments = _arguments(*problem)
    _, collapsed = collapsed_bound(**arguments, n_features=3, eval_gradient=True)
    _, gradient = uncollapsed_bound(**arguments, **_best(arguments), eval_gradient=True)
    for name, expected in collapsed.items():
        if name == "Kuu":
            expected = 0.5 * (expected + expected.T)
        assert_allclose(gradient[name], expected, rtol=1e-8, atol=1e-9, err_msg=name)
    assert_allclose(gradient["mean"], 0.0, atol=1e-10)
    assert_allclose(gradient["covariance"], 0.0, atol=1e-10)


SYMMETRIC = ("Kuu", "covariance")
NAMES = ("psi0", "P", "Psi2", "Kuu", "noise_variance", "mean", "covariance")


@pytest.mark.parametrize("name", NAMES)
def test_gradient(name):
    *problem, q = _problem(2)
    arguments = _arguments(*problem) | q

    def function(**point):
        changed = arguments | point
        for symmetric in SYMMETRIC:
            changed[symmetric] = 0.5 * (changed[symmetric] + changed[symmetric].T)
        value, gradient = uncollapsed_bound(**changed, share=0.3, eval_gradient=True)
        return value, {name: gradient[name]}

    assert check_gradient(function, {name: arguments[name]}) < 1e-6


def test_batches_add_up():
    *problem, q = _problem(3)
    value, whole = uncollapsed_bound(**_arguments(*problem), **q, eval_gradient=True)
    parts = [
        uncollapsed_bound(
            **_arguments(*problem, rows=rows), **q, share=share, eval_gradient=True
        )
        for rows, share in [(slice(0, 2), 0.25), (slice(2, 8), 0.75)]
    ]
    assert_allclose(sum(part for part, _ in parts), value)
    # What pulls on statistics is that of each row's, the same in every batch.
    for name in ("psi0", "P", "Psi2"):
        assert_allclose(parts[0][1][name], parts[1][1][name])
    for name in ("Kuu", "noise_variance", "mean", "covariance"):
        total = parts[0][1][name] + parts[1][1][name]
        assert_allclose(total, whole[name], atol=1e-12, err_msg=name)


@given(seed=seeds, rate=st.floats(0.01, 1.0), weight=st.floats(0.5, 20.0))
@settings(max_examples=20, deadline=None)
def test_a_step_follows_the_natural_gradient(seed, rate, weight):
    # In natural parameters it is the gradient with respect to the expectations
    # (m, m m' + A): dF/dm = dF/dE1 + 2 dF/dE2 m, dF/dA = dF/dE2. They are
    # (A^-1 m, -A^-1 / 2), and features share the second.
    *problem, q = _problem(seed)
    arguments = _arguments(*problem)
    _, gradient = uncollapsed_bound(
        **arguments, **q, share=1.0 / weight, eval_gradient=True
    )
    of_squares = gradient["covariance"] / 3 * weight
    of_mean = gradient["mean"] * weight - 2.0 * of_squares @ q["mean"]
    precision = np.linalg.inv(q["covariance"])
    shift = precision @ q["mean"]
    _, P, Psi2 = _whitened(arguments)
    new_precision, new_shift = natural_step(
        precision, shift, P, Psi2, arguments["noise_variance"], rate=rate, weight=weight
    )
    scale = np.abs(precision).max() + weight
    assert_allclose(
        new_precision, precision - 2.0 * rate * of_squares, atol=1e-8 * scale
    )
    assert_allclose(new_shift, shift + rate * of_mean, atol=1e-8 * scale)


def test_predictions_are_those_of_the_posterior():
    *problem, _ = _problem(4)
    _, _, Kuf, _, s2 = problem
    arguments = _arguments(*problem)
    R, P, Psi2 = _whitened(arguments)
    q = natural_step(np.eye(4), np.zeros((4, 3)), P, Psi2, s2, rate=0.3)
    weights, root = predictive_weights(R, *q)
    mean, covariance = moments(*q)
    V = (R @ Kuf).T
    assert_allclose(Kuf.T @ weights, V @ mean)
    explained = np.sum((Kuf.T @ root.T) ** 2, axis=1)
    left = np.diagonal(V @ (np.eye(4) - covariance) @ V.T)
    assert_allclose(explained, left, atol=1e-12)


def test_shapes_and_noise_are_checked():
    *problem, q = _problem(5)
    arguments = _arguments(*problem) | q
    with pytest.raises(ValueError, match=r"expected twice \(n_inducing, n_features\)"):
        uncollapsed_bound(**arguments | {"mean": q["mean"][:, :2]})
    with pytest.raises(ValueError, match="noise_variance must be positive"):
        uncollapsed_bound(**arguments | {"noise_variance": 0.0})
