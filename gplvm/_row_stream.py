"""Rows that are read block by block and centred as they are read."""

import numpy as np

from gplvm._centred import ROUNDING, row_slices
from gplvm._validation import refuse_overflow


class RowStream:
    """Data minus their mean, in double precision, for the rows that are asked for.

    Parameters
    ----------
    X : ndarray or SinglePrecision of shape (n_samples, n_features)
        Complete data of any precision, memory-mapped too. It is kept, and not copied.

    mean : ndarray of shape (n_features,)
        What is subtracted.
    """

    dtype = np.dtype(float)

    def __init__(self, X, mean):
        self._X, self._mean = X, mean
        self.shape = X.shape

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        return self._X[rows] - self._mean

    def blocks(self):
        """All the rows, some megabytes at a time."""
        for rows in row_slices(self.shape):
            yield self[rows]


class _OtherPrecision:
    """Data as they were if they had come in another precision, for rows asked for.

    Parameters
    ----------
    X : ndarray, RowStream or SinglePrecision of shape (n_samples, n_features)
        Data, memory-mapped too. They are kept, and not copied.
    """

    def __init__(self, X):
        self._X, self.shape = X, X.shape

    def __getitem__(self, rows):
        return self._X[rows].astype(self.dtype)


class SinglePrecision(_OtherPrecision):
    """Data as they were if they had come in single precision, for rows asked for."""

    dtype = np.dtype(np.float32)


class DoublePrecision(_OtherPrecision):
    """Data in double precision, for rows asked for."""

    dtype = np.dtype(float)


def stream_rows(X, way_out):
    """Complete data as a stream of centred rows, and their mean variance.

    Parameters
    ----------
    X : ndarray or SinglePrecision of shape (n_samples, n_features)
        Data without infinity, read once.

    way_out : str
        What takes missing values, for the error.

    Returns
    -------
    rows : RowStream
        The rows, minus the columns' means.

    mean : ndarray of shape (n_features,)
        These means.

    variance : float
        Mean variance of the columns; 1 for constant data.

    Raises
    ------
    ValueError
        If an entry is NaN, or the squares of the data overflow.
    """
    # Means and sums of squares of two parts make those of both (Chan, Golub and
    # LeVeque 1983): m = m1 + (m2 - m1) n2 / n, and the squares add up, with
    # (m2 - m1)^2 n1 n2 / n besides. All is relative to the mean of the first block, or
    # to the first row where that is constant: a constant column's are zero to the bit,
    # and the mean of a single block is that of `centred`.
    n, mean, squares = 0, np.zeros(X.shape[1]), np.zeros(X.shape[1])
    size, extent = np.zeros((2, X.shape[1]))
    for rows in row_slices(X.shape):
        block = np.asarray(X[rows], dtype=float)
        size = np.maximum(size, np.abs(block).max(axis=0))
        if np.isnan(size).any():
            raise ValueError(
                "Input X contains NaN. Batches need complete rows; "
                f"{way_out} takes missing values."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            if n == 0:
                constant = (block == block[0]).all(axis=0)
                origin = np.where(constant, block[0], block.mean(axis=0))
            block = block - origin
            extent = np.maximum(extent, np.abs(block).max(axis=0))
            block_mean = block.mean(axis=0) if n else np.zeros(X.shape[1])
            shift = block_mean - mean
            share = len(block) / (n + len(block))
            squares += ((block - block_mean) ** 2).sum(axis=0) + shift**2 * n * share
            mean = mean + shift * share
        n += len(block)
    refuse_overflow(size.max(), X.shape, X.dtype)
    mean += origin
    if (extent <= ROUNDING * size).all():
        variance = 1.0
    else:
        variance = max(float(squares.mean() / n), np.finfo(float).tiny)
    return RowStream(X, mean), mean, variance
