"""Data minus their column means, dense, sparse, or with missing values."""

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator
from sklearn.utils import gen_batches

from gplvm._validation import refuse_overflow

_SMALLEST_VARIANCE = 1e-290  # so that its bounds are not zero

# Mean variances of data in a unit that floating point can stand, and of the noise
# relative to them.
_VARIANCES = (1e-130, 1e130)
_NOISE_RATIOS = (1e-30, 1e30)

# Entries of dense data that are copied at a time: 4 MB in double precision.
_BLOCK = 2**19

# A sum of squares about the mean that is this small beside the one about zero.
_CANCELLED = 1e-15

# A column that varies by less than this share of its size is constant.
ROUNDING = 4 * np.finfo(float).eps

# Digits are left out of a walk where they change no entry by more than this share of
# the noise's standard deviation, and single precision holds the data's squares.
_BELOW_NOISE = 0.1
_SINGLE_PRECISION = 1e-15, 1e15

# Data whose largest entry lies between these are computed with as they are.
_PLAIN = 1e-8, 1e8


def row_slices(shape):
    """Slices of the rows of a matrix that are small enough to be copied."""
    n, p = shape
    return gen_batches(n, max(16, _BLOCK // max(p, 1)))


def column_means(X):
    """Means of the columns in double precision, of dense or sparse data."""
    return np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()


def unit_near(largest):
    """A unit in which numbers up to `largest` have squares near 1: a power of two.

    It is 1 for zero and for any usual size, so that nothing has to be divided.
    """
    if largest == 0 or _PLAIN[0] < largest < _PLAIN[1]:
        return 1.0
    return float(np.ldexp(1.0, int(np.frexp(largest)[1]) - 1))


def divided(X, unit):
    """``X / unit``, of dense or sparse data, and `X` itself if the unit is 1."""
    if unit == 1.0:
        return X
    if issparse(X):  # scipy would multiply by 1 / unit, which may overflow
        quotient = X.copy()
        quotient.data = X.data / unit
        return quotient
    return X / unit


def centred_operator(X, mean, unit=1.0):
    """``(X - 1 mean') / unit``; dense data are not copied, sparse ones not filled."""
    return CentredSparse(X, mean, unit) if issparse(X) else CentredDense(X, mean, unit)


class _Centred(LinearOperator):
    """What both kinds share."""

    def __len__(self):
        return self.shape[0]

    def _rmatvec(self, x):  # older scipy does not find it by _rmatmat
        return self._rmatmat(x.reshape(-1, 1)).ravel()


class CentredSparse(_Centred):
    """``(X - 1 mean') / unit`` for a sparse `X`, never dense: products with matrices.

    Parameters
    ----------
    X : sparse matrix of shape (n_samples, n_features)
        Data.

    mean : ndarray of shape (n_features,)
        Column means.

    unit : float, default=1.0
        What everything is divided by.
    """

    def __init__(self, X, mean, unit=1.0):
        super().__init__(dtype=np.dtype(float), shape=X.shape)
        self._X = divided(X.tocsr().astype(float), unit)
        self._mean = divided(mean, unit)

    def _matmat(self, B):
        # (X - 1 m') B = X B - 1 (m' B).
        return self._X @ B - self._mean @ B

    def _rmatmat(self, B):
        # (X - 1 m')' B = X' B - m (1' B).
        return self._X.T @ B - np.outer(self._mean, B.sum(axis=0))

    def gram_product(self, B):
        """Y'(Y B)."""
        return self._rmatmat(self._matmat(B))

    def row_squares(self):
        """Squared norm of each row, (n_samples,)."""
        # |x - m|^2 = |x|^2 - 2 x.m + |m|^2; rounding may leave it below zero.
        squares = np.asarray(self._X.multiply(self._X).sum(axis=1)).ravel()
        shifted = squares - 2.0 * (self._X @ self._mean) + self._mean @ self._mean
        return np.maximum(shifted, 0.0)

    def gram(self, *, of_rows):
        """Y Y' of the rows, or Y'Y of the columns."""
        m = self._mean
        if of_rows:
            x_m = self._X @ m
            gram = (self._X @ self._X.T).toarray() - x_m[:, None] - x_m + m @ m
        else:
            gram = (self._X.T @ self._X).toarray() - len(self) * np.outer(m, m)
        # What is left of constant columns is rounding, of either sign.
        if np.trace(gram) <= _CANCELLED * np.vdot(self._X.data, self._X.data):
            gram[...] = 0.0
        return gram

    def rows(self, indices):
        """Some rows, dense and centred as a new row would be."""
        return self._X[indices].toarray() - self._mean


class CentredDense(_Centred):
    """``(X - 1 mean') / unit`` for a dense `X`, read block by block, not copied whole.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Data of any precision, memory-mapped too; products are in double precision.

    mean : ndarray of shape (n_features,)
        Column means.

    unit : float, default=1.0
        What everything is divided by.
    """

    def __init__(self, X, mean, unit=1.0):
        super().__init__(dtype=np.dtype(float), shape=X.shape)
        self._X = X
        self._mean = mean
        self._unit = unit

    def _block(self, rows, columns=slice(None)):
        part = self._X[rows, columns] - self._mean[columns]
        if self._unit != 1.0:
            part /= self._unit
        return part

    def _blocks(self):
        for block in row_slices(self.shape):
            yield block, self._block(block)

    def _matmat(self, B):
        return np.concatenate([block @ B for _, block in self._blocks()])

    def _rmatmat(self, B):
        return sum(block.T @ B[rows] for rows, block in self._blocks())

    def gram_product(self, B):
        """Y'(Y B), in one pass over the data."""
        return sum(block.T @ (block @ B) for _, block in self._blocks())

    def row_squares(self):
        """Squared norm of each row, (n_samples,)."""
        parts = [np.einsum("ij,ij->i", block, block) for _, block in self._blocks()]
        return np.concatenate(parts)

    def gram(self, *, of_rows):
        """Y Y' of the rows, or Y'Y of the columns."""
        n, p = self.shape
        size = n if of_rows else p
        total = np.zeros((size, size))
        for block in gen_batches(p if of_rows else n, max(1024, size)):
            if of_rows:
                part = self._block(slice(None), block)
                total += part @ part.T
            else:
                part = self._block(block)
                total += part.T @ part
        return total


def _constant(low, high):
    """Which columns do not vary, by their extremes in double precision."""
    return high - low <= ROUNDING * np.maximum(np.abs(low), np.abs(high))


def centred(data):
    """Data minus the mean of what was observed, and that mean."""
    if issparse(data):
        if np.isnan(data.data).any():
            raise ValueError("Input X contains NaN; missing values need dense data")
        refuse_overflow(np.abs(data.data).max(initial=0.0), data.shape, data.dtype)
        mean = column_means(data)
        low, high = (
            extreme(axis=0).toarray().ravel() for extreme in (data.min, data.max)
        )
        constant = _constant(low, high)
        mean[constant] = high[constant]
        if mean[constant].any():  # zero, where products would leave rounding
            data = data.tocsr(copy=True)
            data.data[constant[data.indices]] = 0.0
        return CentredSparse(data, np.where(constant, 0.0, mean)), mean
    missing = np.isnan(data)
    for axis, kind in enumerate(["column", "row"]):
        empty = np.flatnonzero(missing.all(axis=axis))
        if empty.size:
            raise ValueError(
                f"{kind} {empty[0]} of X has no observed entry, all are NaN"
            )
    refuse_overflow(float(np.nanmax(np.abs(data))), data.shape, data.dtype)
    mean = np.nanmean(data, axis=0, dtype=float)
    Y = np.ascontiguousarray(data, dtype=float) - mean
    # A constant column is zero, not the rounding of its mean.
    low, high = np.nanmin(data, axis=0), np.nanmax(data, axis=0)
    constant = _constant(low.astype(float), high.astype(float))
    Y[:, constant] *= 0.0
    mean[constant] = high[constant]  # so for the rows to come
    return Y, mean


def walks_in_single_precision(data, noise_variance):
    """Whether a walk sees `data` as if they had come in single precision.

    A long walk magnifies a difference in the last digits of its data, until it ends
    elsewhere. So that the same data in either precision are one walk, digits that
    single precision does not hold are left out of it, if they are far below the noise.

    Parameters
    ----------
    data : ndarray of shape (n_samples, n_features)
        Data, memory-mapped too; NaN where they are missing.

    noise_variance : float
        The least that the noise's variance may become.

    Returns
    -------
    rounded : bool
        False too where there are no such digits.
    """
    if data.dtype == np.float32:
        return False
    low, high = _SINGLE_PRECISION
    limit = _BELOW_NOISE * np.sqrt(noise_variance)
    largest = lost = 0.0
    for rows in row_slices(data.shape):
        block = data[rows]
        largest = max(largest, np.nanmax(np.abs(block)))
        if largest >= high:
            return False
        lost = max(lost, np.nanmax(np.abs(block.astype(np.float32) - block)))
        if lost > limit:
            return False
    return bool(largest > low and lost > 0)


def centred_for_walk(data, Y, noise_variance):
    """The centred data with the digits that a walk sees.

    Parameters
    ----------
    data : ndarray of shape (n_samples, n_features)
        Data; NaN where they are missing.

    Y : ndarray of shape (n_samples, n_features)
        The same, centred.

    noise_variance : float
        As in `walks_in_single_precision`.

    Returns
    -------
    Y : ndarray of shape (n_samples, n_features)
        The data to walk with; `Y` itself where nothing was left out.
    """
    if not walks_in_single_precision(data, noise_variance):
        return Y
    return centred(data.astype(np.float32))[0]


def mean_variance(Y):
    """The data's mean variance, the unit of noise and signal; 1 for constant data."""
    if isinstance(Y, CentredSparse):
        return float(Y.row_squares().sum() / np.prod(Y.shape)) or 1.0
    scale = np.nanmax(np.abs(Y))
    if scale == 0:
        return 1.0
    return max(float(np.nanmean((Y / scale) ** 2)) * scale**2, _SMALLEST_VARIANCE)


def check_unit(variance, noise_variance=None):
    """Refuse data, or a noise, whose fourth powers leave the range of double precision.

    Parameters
    ----------
    variance : float
        The data's mean variance.

    noise_variance : float, default=None
        That of the noise, if it is given.

    Raises
    ------
    ValueError
        If either is too far from one, or they are from each other.
    """
    if not _VARIANCES[0] < variance < _VARIANCES[1]:
        raise ValueError(
            f"The data's standard deviation is {np.sqrt(variance):.1g}, too "
            f"{'small' if variance < 1.0 else 'large'} for their fourth powers to be "
            "represented; divide the data by a constant"
        )
    if noise_variance is None:
        return
    low, high = (variance * ratio for ratio in _NOISE_RATIOS)
    if not low < noise_variance < high:
        raise ValueError(
            f"noise_variance={noise_variance:.3g} is too far from the data's mean "
            f"variance, {variance:.1g}; it is in squared units of the data"
        )


def has_nan(Y):
    """Whether centred data have missing values."""
    return not isinstance(Y, CentredSparse) and bool(np.isnan(Y).any())
