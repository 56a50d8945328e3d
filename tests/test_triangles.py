"""Triangles in place: numpy's dense algebra is the judge."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from gplvm import _linalg, _parallel, _triangles

# Leaves alone; halves of one leaf, and of several; unequal ones.
SIZES = [1, 2, 40, 128, 256, 257, 300, 513, 800, 1100, 2100]


def _positive_definite(n, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n))
    return X @ X.T / n + 0.1 * np.eye(n)


def _with_marks(A):
    """Its lower triangle, below marks that nothing should read or write."""
    return np.tril(A) + np.triu(np.full(A.shape, np.nan), 1)


def _lower(A):
    assert np.isnan(A[np.triu_indices(len(A), 1)]).all()
    return np.tril(np.nan_to_num(A))


@pytest.mark.parametrize("n", SIZES)
def test_triangles_equal_dense_algebra(n):
    K = _positive_definite(n)
    L, is_positive = _triangles.factor(_with_marks(K))
    assert is_positive
    assert_allclose(_lower(L), np.linalg.cholesky(K), atol=1e-12)
    B = np.random.default_rng(1).normal(size=(n, 150))
    solution = _triangles.solve(L, np.array(B, order="F"))
    assert_allclose(K @ solution, B, atol=1e-10)
    W, has_inverse = _triangles.invert(L.copy())
    assert has_inverse
    assert_allclose(_lower(W) @ _lower(L), np.eye(n), atol=1e-11)
    inverse = _lower(_triangles.square(W))
    assert_allclose(inverse, np.tril(np.linalg.inv(K)), atol=1e-10)


@pytest.mark.parametrize("n", [300, 700])
@pytest.mark.parametrize("place", [0, 0.4, 0.6, 0.999])
def test_where_there_is_none(n, place):
    i = int(place * n)
    K = _positive_definite(n)
    K[i, i] = -1.0
    assert not _triangles.factor(K)[1]
    L = np.tril(_positive_definite(n))
    L[i, i] = 0.0
    assert not _triangles.invert(L.copy())[1]
    with pytest.raises(_linalg.NotPositiveDefiniteError, match=f"{n} rows has a zero"):
        _linalg.inverse_in_place(L)


@pytest.mark.parametrize("n", [300, 700, 1100])
def test_the_same_to_the_bit_on_any_threads(n):
    K = _positive_definite(n)
    B = np.random.default_rng(1).normal(size=(n, 300))
    answers = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"), _parallel.one_blas_thread():
            L = _linalg.cholesky(K)
            answers.append((np.tril(L), _linalg.inverse(L), _linalg.solve(L, B)))
    for answer in answers[1:]:
        for one, other in zip(answers[0], answer, strict=True):
            assert_array_equal(one, other)


@pytest.mark.parametrize("n", [200, 600])
def test_arrays_of_other_layouts(n):
    K = _positive_definite(n)
    expected = np.linalg.inv(K)
    for given in (np.asfortranarray(K), np.ascontiguousarray(K[::-1])[::-1]):
        L = _linalg.cholesky(given)
        assert_allclose(_linalg.inverse(L), expected, atol=1e-10)
        factor = np.asfortranarray(_linalg.inverse_factor(np.asfortranarray(L)))
        assert_allclose(factor.T @ factor, expected, atol=1e-10)
        assert_allclose(_linalg.solve(np.asfortranarray(L), K), np.eye(n), atol=1e-10)


@pytest.mark.parametrize("shape", [(300, 200), (200, 300), (300,), (3, 3, 3)])
def test_no_address_is_taken_of_what_is_no_matrix(shape):
    A, L = np.ones(shape), np.eye(250)
    for function in (
        _linalg.cholesky,
        _linalg.inverse,
        _linalg.inverse_factor,
        _linalg.inverse_in_place,
        lambda A: _linalg.solve(A, np.ones((shape[0], 2))),
        lambda A: _linalg.solve(L, A),
    ):
        with pytest.raises(ValueError, match="triangle"):
            function(A)


def test_what_cannot_be_written_in_place_is_refused():
    read_only = np.eye(3)
    read_only.flags.writeable = False
    for L in (np.eye(3, dtype=np.float32), read_only):
        with pytest.raises(ValueError, match="triangle"):
            _linalg.inverse_in_place(L)
