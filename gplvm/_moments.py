"""Second moments of centred data for the linear autoencoder, in the cheapest form.

`second_moments` is for data at hand: a p x p matrix, an n x n one, or products with the
data. `RunningMoments` and `RunningAxes` are for data that arrive in batches.
"""

import numpy as np
from scipy import linalg
from scipy.linalg import lapack
from scipy.sparse import issparse
from scipy.sparse.linalg import ArpackError, LinearOperator, eigsh

from gplvm._centred import centred_operator, column_means, unit_near

# A matrix of moments, once formed, makes iterations cheap. Where it has more rows than
# this for each component, some sixty passes over the data are cheaper than forming it.
_ROWS_PER_COMPONENT = 700
_FEWEST_ROWS, _MOST_ROWS = 1000, 5000

# An entry of sparse data costs about as much as so many of a dense matrix.
_SPARSE_COST = 8

# Streams with at most so many features keep all the second moments: 8 MB.
_MOST_FEATURES = 1000

# ARPACK serves for at most a twentieth of the axes of matrices of so many rows.
_ARPACK_FROM, _ARPACK_SHARE = 256, 20

# What `RunningAxes` keeps beyond the components, and how many rows it takes at a time.
_SPARE_AXES = 10
_ROWS_AT_A_TIME = 256

# A variance below this, relative to the largest, is rounding.
_ROUNDING = 1e-14


class Moments:
    """``S = Y'Y`` of the centred data `Y` as a matrix, in the data's own coordinates.

    Attributes
    ----------
    S : ndarray or LinearOperator
        Symmetric, with a method ``trace()``.
    """

    def __init__(self, Y):
        self.S = Y.gram(of_rows=False)

    def on_data(self, axes):
        """Weights on the data from orthonormal axes in the coordinates of `S`."""
        return axes

    def from_data(self, W):
        """The way back, for a start."""
        return W

    def leading(self, n_components, random_state):
        """The principal axes, and the sums of squares along them."""
        return leading_axes(self.S, n_components)


class ProductMoments(Moments):
    """`S` as products with the data, for many rows and columns."""

    def __init__(self, Y):
        self.S = _Products(Y)

    def leading(self, n_components, random_state):
        """The principal axes by ARPACK, and the sums of squares along them."""
        if self.S.trace() == 0.0:
            return np.eye(n_components, self.S.shape[0]), np.zeros(n_components)
        return arpack_axes(self.S, n_components, random_state)


class RowMoments(Moments):
    """`S` in coordinates of the row space, for more columns than rows."""

    # With a triangular factor Y Y' = L L', the rows of Q = L^-1 Y are orthonormal and
    # span those of Y = L Q. The gradient of the loss lies in that span, and a part of W
    # outside of it would only add to the loss: W = V Q, and V sees Q Y'Y Q' = L'L.
    # Pivoting puts what is rounding last, where it is cut off.
    def __init__(self, Y, n_components):
        self._Y = Y
        K = Y.gram(of_rows=True)
        factor, pivots, rank, _ = lapack.dpstrf(
            K, lower=1, tol=_ROUNDING * max(np.diagonal(K).max(), 0.0)
        )
        self._rank = rank
        # The rows of Q are combinations of as many rows of Y, the pivots.
        self._lower = np.tril(factor[:rank, :rank])
        self._rows = pivots[:rank] - 1
        L = np.zeros((len(K), max(rank, n_components)))
        L[:, :rank] = np.tril(factor)[:, :rank]
        self.S = L.T @ L

    def on_data(self, axes):
        # V Q = (L^-1' V')' Y. The error of an axis is that of rounding relative to its
        # own variance; QR restores the length, and makes up axes that have none.
        back = np.zeros((len(axes), len(self._Y)))
        if self._rank:
            back[:, self._rows] = linalg.solve_triangular(
                self._lower, axes[:, : self._rank].T, lower=True, trans=1
            ).T
        W = (self._Y.T @ back.T).T
        size = np.linalg.norm(W, axis=1, keepdims=True)
        return orthonormal_rows(W / np.where(size > 0, size, 1.0))

    def from_data(self, W):
        V = np.zeros((len(W), len(self.S)))
        if self._rank:
            code = (self._Y @ W.T)[self._rows]
            V[:, : self._rank] = linalg.solve_triangular(
                self._lower, code, lower=True
            ).T
        return V


class _Products(LinearOperator):
    """``Y'Y`` by products with the centred data."""

    def __init__(self, Y):
        super().__init__(dtype=np.dtype(float), shape=(Y.shape[1],) * 2)
        self._Y = Y
        self._trace = float(Y.row_squares().sum())
        self._scale = 1.0

    def trace(self):
        return self._trace * self._scale

    def __itruediv__(self, number):
        self._scale /= number
        return self

    def _matmat(self, B):
        return self._scale * self._Y.gram_product(B)

    def _adjoint(self):
        return self


def second_moments(X, mean, n_components, *, unit=1.0, iterations=True):
    """The form of the data's second moments with which a fit is fastest.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Data.

    mean : ndarray of shape (n_features,)
        Column means.

    n_components : int
        The number of axes sought.

    unit : float, default=1.0
        The unit of the data, which are divided by it.

    iterations : bool, default=True
        Whether they are sought by descent, and not as eigenvectors.

    Returns
    -------
    moments : Moments, RowMoments or ProductMoments
    """
    n, p = X.shape
    size = min(n, p)
    Y = centred_operator(X, mean, unit)
    if issparse(X):
        small = size**2 <= _SPARSE_COST * X.nnz or size <= _FEWEST_ROWS // 2
    else:
        enough = _ROWS_PER_COMPONENT * n_components if iterations else 0
        small = size <= max(_FEWEST_ROWS, enough)
    small = small and size <= _MOST_ROWS
    if not small and n_components < size:  # ARPACK needs that
        return ProductMoments(Y)
    return Moments(Y) if p <= n else RowMoments(Y, n_components)


def leading_axes(S, n_components):
    """Leading eigenvectors of a symmetric matrix, as rows, and their eigenvalues."""
    last = len(S) - 1
    variances, vectors = linalg.eigh(
        S, subset_by_index=[last - n_components + 1, last], check_finite=False
    )
    return vectors[:, ::-1].T, variances[::-1]


def arpack_axes(S, n_components, random_state):
    """`leading_axes` by products with `S` only, to machine precision as well."""
    start = random_state.standard_normal(S.shape[0])
    variances, vectors = eigsh(S, n_components, v0=start)
    order = np.argsort(-variances)
    return vectors[:, order].T, variances[order]


def orthonormal_rows(W):
    """The rows of `W`, each made orthogonal to those before it, up to their signs."""
    return np.linalg.qr(W.T)[0].T


def _unit_axes(W, variances):
    """The axes of weights; those that a penalty switched off count as no variance."""
    lengths = np.linalg.norm(W, axis=1, keepdims=True)
    alive = lengths > 0
    variances = np.where(alive.ravel(), np.maximum(variances, 0.0), 0.0)
    return W / np.where(alive, lengths, 1.0), variances


class RunningMoments:
    """Mean and all second moments of the rows seen so far: exact, in O(p^2) memory.

    Parameters
    ----------
    n_features : int
        The number of features.

    Attributes
    ----------
    n : int
        Rows seen.

    mean : ndarray of shape (n_features,)
        Their mean.

    total : float
        The sum of squares about it, divided by that of `unit`, as all of them are.

    unit : float
        The unit of the second moments, a power of two.
    """

    def __init__(self, n_features):
        self.n, self.mean, self.unit = 0, np.zeros(n_features), 1.0
        self._S = np.zeros((n_features, n_features))

    @property
    def total(self):
        return float(np.trace(self._S))

    def resume(self, n, mean, total, W, variances, unit=1.0):
        """Go on from a fit: what lies outside of its axes is spread evenly."""
        p = len(mean)
        axes, variances = _unit_axes(W, variances)
        rest = max(total - variances.sum(), 0.0) / max(p - len(axes), 1)
        self.n, self.mean, self.unit = n, mean, unit
        self._S = (axes.T * (variances - rest)) @ axes
        self._S.flat[:: p + 1] += rest
        return self

    def update(self, X):
        """Take in the rows of `X`, dense or sparse."""
        # Chan, Golub and LeVeque (1983): with d the difference of the means,
        # S = S_1 + S_2 + (n_1 n_2 / n) d'd.
        rows = X.shape[0]
        mean = column_means(X)
        unit, change = _common_unit(self, X)
        S = centred_operator(X, mean, unit).gram(of_rows=False)
        n = self.n + rows
        difference = (mean - self.mean) / unit
        S += np.outer(difference * (self.n / n * rows), difference)
        S += self._S * change**2
        self.unit = unit
        self.mean = self.mean + (mean - self.mean) * (rows / n)
        self.n, self._S = n, S

    def leading(self, n_components):
        """The principal axes, and the sums of squares along them."""
        # ARPACK takes a fraction of the time of `leading_axes` where few axes of many
        # are sought; where it gives up, for clustered variances, that has to do.
        p = len(self._S)
        if p >= _ARPACK_FROM and n_components * _ARPACK_SHARE <= p and self.total > 0:
            try:
                return arpack_axes(self._S, n_components, np.random.RandomState(0))
            except ArpackError:
                pass
        return leading_axes(self._S, n_components)


class RunningAxes:
    """Mean and leading axes of the rows seen so far, for many features.

    Only the leading axes survive from one block of rows to the next, ten more than are
    asked for or twice as many, in O(p) memory for each: what is forgotten is small, but
    the result is no longer exact (Ross, Lim, Lin and Yang 2008).

    Parameters
    ----------
    n_features, n_components : int
        The number of features, and of axes to be asked for.

    Attributes
    ----------
    n, mean, total, unit
        As those of `RunningMoments`; the total is exact.
    """

    def __init__(self, n_features, n_components):
        self.n, self.mean, self.total, self.unit = 0, np.zeros(n_features), 0.0, 1.0
        self._kept = min(n_components + max(n_components, _SPARE_AXES), n_features)
        self._rows = np.zeros((0, n_features))  # their Gram matrix stands for S

    def resume(self, n, mean, total, W, variances, unit=1.0):
        """Go on from a fit, whose axes are all that is known."""
        axes, variances = _unit_axes(W, variances)
        self.n, self.mean, self.total, self.unit = n, mean, total, unit
        self._rows = np.sqrt(variances)[:, np.newaxis] * axes
        return self

    def update(self, X):
        """Take in the rows of `X`, dense or sparse."""
        for start in range(0, X.shape[0], _ROWS_AT_A_TIME):
            self._update(X[start : start + _ROWS_AT_A_TIME])

    def _update(self, X):
        # S = R'R + Y'Y + c'c of the rows kept R, of the centred new ones Y, and of
        # c = sqrt(n_1 n_2 / n) d for the difference d of the means. Stacked, B'B = S;
        # B B' = U diag(t) U' is small, and the rows of U'B = diag(sqrt(t)) V' are the
        # axes with their lengths, orthogonal whatever those kept before were.
        rows, n = X.shape[0], self.n + X.shape[0]
        mean = column_means(X)
        unit, change = _common_unit(self, X)
        difference = (mean - self.mean) / unit
        Y = centred_operator(X, mean, unit)
        low = np.vstack([self._rows * change, np.sqrt(self.n / n * rows) * difference])
        across = Y @ low.T
        gram = np.block([[low @ low.T, across.T], [across, Y.gram(of_rows=True)]])
        U, t = leading_axes(gram, min(self._kept, len(gram)))
        U = U[t > _ROUNDING * t[0]]
        new = U[:, : len(low)] @ low + (Y.T @ U[:, len(low) :].T).T
        new_squares = float(low[-1] @ low[-1] + Y.row_squares().sum())
        self.total = self.total * change**2 + new_squares
        self.mean = self.mean + (mean - self.mean) * (rows / n)
        self.unit = unit
        self.n, self._rows = n, new

    def leading(self, n_components):
        """The principal axes, and the sums of squares along them."""
        padded = np.zeros((n_components, len(self.mean)))
        kept = self._rows[:n_components]
        padded[: len(kept)] = kept
        variances = np.einsum("ij,ij->i", padded, padded)
        padded /= np.sqrt(np.where(variances > 0, variances, 1.0))[:, np.newaxis]
        return orthonormal_rows(padded), variances


def _common_unit(moments, X):
    """A unit for what a stream holds and the rows that come, and the old one in it."""
    values = X.data if issparse(X) else X
    largest = max(
        -float(values.min(initial=0.0)),
        float(values.max(initial=0.0)),
        float(np.abs(moments.mean).max()),
    )
    unit = unit_near(largest)
    if moments.total == 0:
        return unit, 0.0
    unit = max(unit, moments.unit)
    return unit, moments.unit / unit


def running_moments(n_features, n_components):
    """What a stream of so many features keeps: all moments, or the leading axes."""
    if n_features <= _MOST_FEATURES:
        return RunningMoments(n_features)
    return RunningAxes(n_features, n_components)
