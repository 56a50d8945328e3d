"""Cholesky factors that do not give up, log-determinants, solves and inverses.

LAPACK works on columns and numpy on rows: a symmetric matrix is its own transpose,
so handing LAPACK the transpose of a C-ordered matrix costs no copy.
"""

import warnings

import numpy as np
from scipy.linalg import lapack

JITTER_LADDER = tuple(10.0**power for power in range(-10, -3))


class NotPositiveDefiniteError(np.linalg.LinAlgError):
    """A covariance stayed numerically indefinite up to the largest jitter."""


def cholesky(K):
    """Lower Cholesky factor of a symmetric matrix, with jitter where it is needed.

    Parameters
    ----------
    K : ndarray of shape (n, n)
        Symmetric positive (semi-)definite matrix.

    Returns
    -------
    L : ndarray of shape (n, n), Fortran-ordered
        ``L @ L.T`` equals `K` plus jitter; the upper triangle is zero.

    Raises
    ------
    NotPositiveDefiniteError
        If a jitter of 1e-4 times the mean of the diagonal does not suffice.
    """
    factor, info = lapack.dpotrf(K.T, lower=1, clean=1)
    if info == 0:
        return factor
    scale = np.mean(np.diagonal(K))
    for relative_jitter in JITTER_LADDER:
        if not np.isfinite(scale) or scale <= 0:
            break
        jittered = K.copy()
        jittered.flat[:: K.shape[0] + 1] += relative_jitter * scale
        factor, info = lapack.dpotrf(jittered.T, lower=1, clean=1, overwrite_a=True)
        if info == 0:
            warnings.warn(
                "A covariance matrix was numerically singular; "
                f"{relative_jitter:.0e} of its mean diagonal was added. A larger "
                "noise_variance avoids this.",
                RuntimeWarning,
                stacklevel=3,
            )
            return factor
    raise NotPositiveDefiniteError(_indefinite_message(K.shape[0]))


def _indefinite_message(n):
    return (
        f"A covariance matrix of {n} rows is not positive definite, not even with "
        f"{JITTER_LADDER[-1]:.0e} of its mean diagonal added. Scale the data to unit "
        "variance, raise noise_variance, or use a smoother kernel."
    )


def log_determinant(L):
    """``log |L L'|`` from a Cholesky factor."""
    return 2.0 * np.log(np.diagonal(L)).sum()


def solve(L, B):
    """``(L L')^-1 B`` for a Cholesky factor `L` (n, n) and `B` (n, k)."""
    solution, info = lapack.dpotrs(L, B, lower=1)
    if info != 0:  # pragma: no cover - only malformed arguments lead here
        raise ValueError(f"dpotrs refused its argument {-info}")
    return solution


def inverse(L, *, overwrite=False):
    """``(L L')^-1``, whole and symmetric, from a lower Cholesky factor `L`."""
    lower, info = lapack.dpotri(L, lower=1, overwrite_c=overwrite)
    if info != 0:
        raise NotPositiveDefiniteError(_indefinite_message(L.shape[0]))
    return symmetrize_from_lower(lower)


def symmetrize_from_lower(A, block=256):
    """Copy the strict lower triangle of `A` to the upper one, in place.

    Block by block, since a transposed copy of a whole matrix misses the cache.
    """
    n = A.shape[0]
    for start in range(0, n, block):
        stop = min(start + block, n)
        A[start:stop, stop:] = A[stop:, start:stop].T
        corner = A[start:stop, start:stop]
        upper = np.triu_indices(stop - start, 1)
        corner[upper] = corner.T[upper]
    return A
