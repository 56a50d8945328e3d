"""Sparse data minus their column means, without making them dense."""

import numpy as np
from scipy.sparse.linalg import LinearOperator


class CentredSparse(LinearOperator):
    """``X - 1 mean'`` for a sparse `X`, as an operator: products with matrices.

    Parameters
    ----------
    X : sparse matrix of shape (n_samples, n_features)
        Data.

    mean : ndarray of shape (n_features,)
        Column means.
    """

    def __init__(self, X, mean):
        super().__init__(dtype=np.dtype(float), shape=X.shape)
        self._X = X.tocsr().astype(float)
        self._mean = mean

    def __len__(self):
        return self.shape[0]

    def _matmat(self, B):
        # (X - 1 m') B = X B - 1 (m' B).
        return self._X @ B - self._mean @ B

    def _rmatmat(self, B):
        # (X - 1 m')' B = X' B - m (1' B).
        return self._X.T @ B - np.outer(self._mean, B.sum(axis=0))

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
            gram = (self._X @ self._X.T).toarray()
            return gram - x_m[:, None] - x_m + m @ m
        return (self._X.T @ self._X).toarray() - len(self) * np.outer(m, m)

    def rows(self, indices):
        """Some rows, dense and centred as a new row would be."""
        return self._X[indices].toarray() - self._mean
