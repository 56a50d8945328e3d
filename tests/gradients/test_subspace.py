"""The loss of a subspace, and the coordinates in which it is easy to descend."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gplvm.gradients.autoencoder import autoencoder_loss, gram_autoencoder_loss
from gplvm.gradients.check import check_gradient
from gplvm.gradients.subspace import (
    _POWERS,
    AxisCoordinates,
    principal_axes,
    subspace_autoencoder_loss,
)

shapes = st.tuples(st.integers(1, 12), st.integers(1, 8), st.integers(1, 4))
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=30, deadline=None, derandomize=True)


def _problem(n=15, p=6, m=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, p)), rng.normal(size=(n, p))


def _moments(values, seed=3):
    """A matrix of these eigenvalues, and its eigenvectors as columns."""
    size = len(values)
    Q = np.linalg.qr(np.random.default_rng(seed).normal(size=(size, size)))[0]
    return (Q * values) @ Q.T, Q


@few
@given(shapes, seeds)
def test_subspace_loss_is_that_of_orthonormal_rows(shape, seed):
    n, p, m = shape
    V, X = _problem(n, p, min(m, p), seed)
    basis = np.linalg.qr(V.T)[0].T
    expected = autoencoder_loss(basis, X)
    loss = subspace_autoencoder_loss(V, X.T @ X)
    np.testing.assert_allclose(loss, expected, atol=1e-9 * np.sum(X**2))


def test_subspace_loss_is_the_least_over_mixtures():
    V, X = _problem()
    S = X.T @ X
    rng = np.random.default_rng(1)
    least = subspace_autoencoder_loss(V, S)
    for _ in range(50):
        mixed = rng.normal(size=(2, 2)) @ V
        assert gram_autoencoder_loss(mixed, S) >= least
        np.testing.assert_allclose(subspace_autoencoder_loss(mixed, S), least)


@pytest.mark.parametrize("m", [1, 3])
@pytest.mark.parametrize("aligned", [False, True])
def test_subspace_gradient_agrees_with_differences(m, aligned):
    V, X = _problem(m=m)
    if aligned:
        V = V[:1] + 0.1 * V

    def loss(V):
        return subspace_autoencoder_loss(V, X.T @ X, eval_gradient=True)

    assert check_gradient(loss, V) < 1e-8


def test_subspace_loss_stays_true_for_nearly_dependent_rows():
    rng = np.random.default_rng(0)
    values = np.array([3.0, 2.0, 1e-9, 0.0, 0.0])
    Q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    S = (Q * values) @ Q.T
    for _ in range(100):
        small = 1e-6 * rng.normal(size=5) + rng.normal() * Q[:, 0]
        V = np.vstack([Q[:, 0], Q[:, 1], small])
        loss = subspace_autoencoder_loss(V, S)
        assert -1e-14 <= loss <= 0.5e-9 + 1e-14  # between the optimum and two axes


def test_subspace_loss_refuses_dependent_rows():
    V, X = _problem()
    with pytest.raises(np.linalg.LinAlgError):
        subspace_autoencoder_loss(np.vstack([V[:1], V[:1]]), X.T @ X)


@pytest.mark.parametrize("n_spare", [0, 2])
def test_coordinates_make_the_curvature_even(n_spare):
    values = 10.0 ** np.array([3, 0, -3, -3.1, -3.3, -5, -6, -7])
    S, Q = _moments(values)
    m = 3
    rng = np.random.default_rng(0)
    coordinates = AxisCoordinates(S, rng.normal(size=(n_spare, 8)))
    U = rng.normal(size=(m, m)) @ Q[:, :m].T
    before = subspace_autoencoder_loss(U, S)
    for _ in range(3):  # the spare axes come in
        U = coordinates.renew(U)
    np.testing.assert_allclose(coordinates.rows(U), U, atol=1e-12)
    np.testing.assert_allclose(subspace_autoencoder_loss(U, S), before)
    np.testing.assert_allclose(
        np.linalg.norm(U, axis=1), np.sqrt(values[:m] / values[0]), rtol=1e-6
    )

    # The second derivative towards an outer axis, over the leading variance, is 1 for
    # the axes next to the cut, and 1 - t_j / t_i for the others.
    def curvature(row, other):
        step = 1e-4 * np.linalg.norm(U[row])
        towards = np.zeros_like(U)
        towards[row] = step * Q[:, other]
        ahead = coordinates.rows(U + towards)
        slope = subspace_autoencoder_loss(ahead, S, eval_gradient=True)[1]
        return coordinates.rows(slope)[row] @ Q[:, other] / step / values[0]

    for row in range(m):
        for other in range(m, 8):
            stretched = other < m + n_spare
            expected = 1 if stretched else 1 - values[other] / values[row]
            np.testing.assert_allclose(curvature(row, other), expected, rtol=1e-3)


def test_gradient_in_the_coordinates_agrees_with_differences():
    V, X = _problem(n=20, p=8, m=2)
    S = X.T @ X
    coordinates = AxisCoordinates(S, np.random.default_rng(1).normal(size=(2, 8)))
    coordinates.renew(V)

    def loss(U):
        value, gradient = subspace_autoencoder_loss(
            coordinates.rows(U), S, eval_gradient=True
        )
        return value, coordinates.rows(gradient)

    assert check_gradient(loss, V) < 1e-8


def test_renewal_lowers_the_loss_to_that_of_the_whole_block():
    V, X = _problem(n=30, p=12, m=2)
    S = X.T @ X
    spare = np.random.default_rng(1).normal(size=(3, 12))
    U = AxisCoordinates(S, spare).renew(V)
    block = np.vstack([V, spare]) @ np.linalg.matrix_power(S, _POWERS)
    _, variances = principal_axes(block, S)
    expected = 0.5 * (np.trace(S) - variances[:2].sum())
    np.testing.assert_allclose(subspace_autoencoder_loss(U, S), expected)
    assert expected < subspace_autoencoder_loss(V, S)


def test_promise_bounds_what_is_left_to_gain():
    values = np.array([5.0, 2.0, 1.0, 0.98, 0.9, 0.5, 0.2, 0.1])
    S, Q = _moments(values)
    rng = np.random.default_rng(0)
    spare = rng.normal(size=(2, 8))
    assert AxisCoordinates(S, spare[:0]).promise(spare) == np.inf
    coordinates = AxisCoordinates(S, spare)
    U = Q[:, :3].T
    for _ in range(5):
        U = coordinates.renew(U)
    least = 0.5 * values[3:].sum()
    for size in (1e-2, 1e-3):
        ahead = U + size * rng.normal(size=U.shape)
        loss, slope = subspace_autoencoder_loss(
            coordinates.rows(ahead), S, eval_gradient=True
        )
        promise = coordinates.promise(coordinates.rows(slope))
        assert loss - least < promise < 10 * (loss - least)


@pytest.mark.parametrize("n_spare", [0, 2])
def test_coordinates_survive_data_without_variance(n_spare):
    V = _problem()[0]
    coordinates = AxisCoordinates(np.zeros((6, 6)), V[:n_spare])
    U = coordinates.renew(V)
    assert np.isfinite(coordinates.rows(U)).all()
    assert coordinates.promise(np.zeros_like(U)) == np.inf


def test_principal_axes_are_orthonormal_and_ordered_even_from_dependent_rows():
    V, X = _problem(m=3)
    V[2] = V[0]
    S = X.T @ X
    axes, variances = principal_axes(V, S)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-14)
    np.testing.assert_allclose(axes @ S @ axes.T, np.diag(variances), atol=1e-12)
    assert (np.diff(variances) <= 0).all()
