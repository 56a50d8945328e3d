"""Cholesky factors in place on one triangle, and what is computed from them.

LAPACK works on columns and numpy on rows. The lower triangle of a C-ordered matrix is
the upper triangle of its transpose, which LAPACK takes without a copy: ``K = L L'`` in
our rows is ``K = U' U`` in its columns.
"""

import warnings
from functools import lru_cache

import numpy as np

from gplvm import _triangles
from gplvm._validation import NotFiniteError

JITTER_LADDER = (0.0, *(10.0**power for power in range(-10, -3)))

# Rows of a block that is handled in cache.
_BLOCK = 128

# Rows of a matrix whose factor takes no longer than numpy needs for a triangle's mask.
_SMALL = 256


class NotPositiveDefiniteError(np.linalg.LinAlgError):
    """A covariance stayed numerically indefinite up to the largest jitter."""


def cholesky(K):
    """Lower Cholesky factor of a symmetric matrix, with jitter where it is needed.

    Parameters
    ----------
    K : ndarray of shape (n, n)
        Symmetric positive (semi-)definite matrix; its lower triangle is read.

    Returns
    -------
    L : ndarray of shape (n, n), C-ordered
        ``L @ L.T`` equals `K` plus jitter; the strict upper triangle is arbitrary.

    Raises
    ------
    NotPositiveDefiniteError
        If a jitter of 1e-4 times the mean of the diagonal does not suffice.

    NotFiniteError
        If an entry of the diagonal, or of the factor's, is not finite.

    ValueError
        If there is no row.
    """
    return cholesky_of(lambda: np.array(K, dtype=float, order="C"))


def cholesky_of(make):
    """`cholesky` of the matrix that ``make()`` writes anew, in that matrix's memory."""
    scale = None
    for relative_jitter in JITTER_LADDER:
        K = make()
        if not K.size:  # of which LAPACK would write a complaint to the terminal
            raise ValueError("A covariance matrix has no rows.")
        if relative_jitter:
            scale = np.mean(np.diagonal(K))
            if not np.isfinite(scale):
                raise NotFiniteError(f"A covariance matrix of {len(K)} rows overflows")
            if scale <= 0:
                break
            K.flat[:: K.shape[0] + 1] += relative_jitter * scale
        L, is_positive = _triangles.factor(K)
        if is_positive and np.isfinite(np.diagonal(L)).all():
            if relative_jitter:
                warnings.warn(
                    "A covariance matrix was numerically singular; "
                    f"{relative_jitter:.0e} of its mean diagonal was added. A larger "
                    "noise_variance avoids this.",
                    RuntimeWarning,
                    stacklevel=3,
                )
            return L
    raise NotPositiveDefiniteError(
        f"A covariance matrix of {K.shape[0]} rows is not positive definite, not even "
        f"with {JITTER_LADDER[-1]:.0e} of its mean diagonal added. Scale the data to "
        "unit variance, raise noise_variance, or use a smoother kernel."
    )


def log_determinant(L):
    """``log |L L'|`` from a Cholesky factor."""
    return 2.0 * np.log(np.diagonal(L)).sum()


def solve(L, B):
    """``(L L')^-1 B`` for a Cholesky factor `L` (n, n) and `B` (n, k)."""
    return _triangles.solve(L, np.array(B, dtype=float, order="F"))


def inverse(L):
    """``(L L')^-1``, whole and symmetric, from a lower Cholesky factor `L`."""
    return symmetrize(inverse_in_place(L.copy()))


def inverse_factor(L):
    """``L^-1``, lower triangular, from a lower Cholesky factor `L`.

    A quadratic form k K^-1 k' computed as |L^-1 k'|^2 loses the square root of the
    digits that it would lose through K^-1.
    """
    factor, _ = _triangles.invert(L.copy())
    if len(L) > _SMALL:
        return _without_upper(factor)
    return np.where(_lower(len(L)), factor, 0.0)


@lru_cache(maxsize=4)
def _lower(n):
    """Whether entries are in the lower triangle; to make it takes as long as LAPACK."""
    return np.tri(n, dtype=bool)


def inverse_factor_in_place(L):
    """`inverse_factor` in the memory of the factor `L`."""
    return _without_upper(_inverted(L))


def _without_upper(factor):
    """It with zeros above the diagonal, in place, block by block."""
    for start in range(0, len(factor), _BLOCK):
        rows = slice(start, start + _BLOCK)
        factor[rows, rows] = np.tril(factor[rows, rows])
        factor[rows, rows.stop :] = 0.0
    return factor


def inverse_in_place(L):
    """The lower triangle of ``(L L')^-1``, in the memory of the factor `L`."""
    return _triangles.square(_inverted(L))


def _inverted(L):
    inverse, has_inverse = _triangles.invert(L)
    if not has_inverse:
        raise NotPositiveDefiniteError(
            f"A Cholesky factor of {len(L)} rows has a zero on its diagonal."
        )
    return inverse


def symmetrize(A, block=_BLOCK):
    """Copy the strict lower triangle of `A` to the upper one, in place.

    Block by block, since a transposed copy of a whole matrix misses the cache.
    """
    n = A.shape[0]
    for start in range(0, n, block):
        stop = min(start + block, n)
        A[start:stop, stop:] = A[stop:, start:stop].T
        corner = A[start:stop, start:stop]
        above = np.tri(stop - start, k=-1, dtype=bool).T
        np.copyto(corner, corner.T.copy(), where=above)
    return A
