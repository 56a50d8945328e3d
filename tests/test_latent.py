"""Starts and orientation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA

from gplvm._latent import initial_embedding, orientation, spread_of

seeds = st.integers(0, 2**32 - 1)


@given(seed=seeds, n=st.integers(3, 20), q=st.integers(1, 3))
@settings(max_examples=50, deadline=None)
def test_orientation_forgets_rotation_and_sign(seed, n, q):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, q)) * np.arange(q, 0, -1)
    Y = X @ rng.normal(size=(q, 4))
    Q, _ = np.linalg.qr(rng.normal(size=(q, q)))
    first = X @ orientation(X, Y, isotropic=True)
    second = X @ Q @ orientation(X @ Q, Y, isotropic=True)
    assert_allclose(first, second, atol=1e-6 * np.abs(X).max())
    assert_allclose(np.tril(first.T @ first, -1), 0, atol=1e-8)
    assert np.all(np.diff(np.linalg.norm(first, axis=0)) <= 1e-12)


def test_orientation_is_pcas():
    Y = np.random.default_rng(0).normal(size=(30, 4)) * [4, 3, 2, 1]
    Y -= Y.mean(axis=0)
    scores = PCA(2).fit_transform(Y)
    turn = np.array([[0.6, 0.8], [-0.8, 0.6]])
    assert_allclose(
        scores @ turn @ orientation(scores @ turn, Y, isotropic=True), scores, atol=1e-9
    )


def test_orientation_of_axes_with_a_meaning_only_fixes_signs():
    X = np.array([[1.0, 5.0], [-2.0, 0.0], [1.0, -5.0]])
    rotation = orientation(X, X * [-1.0, 1.0], isotropic=False)
    assert_allclose(rotation, np.diag([-1.0, 1.0]))


@pytest.mark.parametrize("shape", [(1, 3), (2, 4)])
def test_orientation_with_fewer_rows_than_components(shape):
    X = np.random.default_rng(0).normal(size=shape)
    rotation = orientation(X, X, isotropic=True)
    assert_allclose(rotation @ rotation.T, np.eye(shape[1]), atol=1e-12)


@pytest.mark.parametrize("init", ["pca", "isomap", "random"])
def test_starts(init):
    Y = np.random.default_rng(0).normal(size=(30, 5))
    X = initial_embedding(Y, 2, init, np.random.RandomState(0))
    assert X.shape == (30, 2) and np.all(np.isfinite(X))
    assert X.std() > 0.3


def test_start_from_an_array():
    Y, start = np.zeros((3, 2)), [[1.0], [2.0], [3.0]]
    assert_allclose(initial_embedding(Y, 1, start, None), start)
    with pytest.raises(ValueError, match=r"shape \(3, 1\), expected .* \(3, 2\)"):
        initial_embedding(Y, 2, start, None)
    with pytest.raises(ValueError, match="NaN"):
        initial_embedding(Y, 1, [[1.0], [np.nan], [2.0]], None)


def test_constant_data_start_somewhere():
    X = initial_embedding(np.zeros((4, 3)), 2, "pca", np.random.RandomState(0))
    assert np.all(np.isfinite(X))


@pytest.mark.parametrize("kind", ["two groups", "duplicates", "constant", "line", "2"])
def test_isomap_of_awkward_rows_warns_of_nothing(kind):
    rng = np.random.default_rng(0)
    Y = {
        "two groups": np.vstack([rng.normal(size=(20, 3)), 9 + rng.random((20, 3))]),
        "duplicates": np.repeat(rng.normal(size=(3, 3)), 15, axis=0),
        "constant": np.zeros((9, 3)),
        "line": np.outer(np.arange(20.0), [1.0, 2.0, 3.0]),
        "2": rng.normal(size=(2, 3)),
    }[kind]
    X = initial_embedding(Y, 2, "isomap", np.random.RandomState(0))
    assert X.shape == (len(Y), 2) and np.all(np.isfinite(X))
    if kind == "two groups":  # no closer than the groups are
        assert abs(X[:20, 0].mean() - X[20:, 0].mean()) > 4 * X[:20, 0].std()


def test_equal_positions_have_no_spread():
    # The mean of three equal numbers rounds.
    equal = np.tile([-0.06624007, 1.6643992, 0.0], (3, 1))
    assert_array_equal(spread_of(equal), 0.0)
    moved = equal + 1e-9 * np.arange(3.0)[:, None]
    assert_allclose(spread_of(moved), moved.std(axis=0))
