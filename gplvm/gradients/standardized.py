"""The swish network on standardized data, without a standardized copy of them."""

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from gplvm._blas import add_multiple, add_outer
from gplvm._centred import divided
from gplvm.gradients.network import first_layer_into, product_into, upper_loss_into

_ROWS = 128  # rows centred at a time: they stay in the cache

# Between these a sum of squares has neither over- nor underflowed.
_SAFE_SQUARES = {np.float32: (1e-30, 1e30), np.float64: (1e-250, 1e250)}


def standardized_loss_into(
    parameters, gradients, X, y, weight, alpha, standard, buffers
):
    """`loss_into` of the network that sees ``(X - mean) / scale``.

    `X` is neither copied nor, if sparse, filled: `standard` = (mean, scale) goes into
    the first layer's products. Both weights have the penalty `alpha`, and V and its
    gradient one layout; `buffers` are those of `loss_buffers`.
    """
    V, c, W2, b2 = parameters
    mean, scale = standard
    buffers = [buffer[: y.size] for buffer in buffers]
    z1 = buffers[0]

    # z1 = ((X - m) / s) V' + c = X V' / s + (c - V m / s).
    product_into(z1, X, V)
    z1 *= 1 / scale
    z1 += c - (V @ mean) / scale
    upper = None if gradients is None else gradients[2:]
    loss = upper_loss_into((W2, b2), upper, y, weight, alpha, buffers)
    loss += 0.5 * alpha * float(np.vdot(V.ravel("K"), V.ravel("K")))
    if gradients is None:
        return loss

    # dL/dc = sum_i dz1_i,  dL/dV = (dz1 / s)' X - (dL/dc / s) m' + alpha V.
    dV, dc, _, _ = gradients
    z1 *= 1 / scale  # dL/dz1 by now
    first_layer_into(dV, dc, z1, X)
    add_outer(dV, -1.0, dc, mean)
    dc *= scale
    if alpha:
        add_multiple(dV, alpha, V)
    return loss


def fold(V, c, standard):
    """The first layer's W1 and b1, from those on ``(X - mean) / scale``."""
    # z1 = ((X - m) / s) V' + c = X W1' + b1 with W1 = V / s and b1 = c - W1 m.
    mean, scale = standard
    W1 = V * (1 / scale)
    return W1, c - W1 @ mean


def unfold(W1, b1, standard):
    """The first layer on ``(X - mean) / scale``, from W1 and b1: undoes `fold`."""
    mean, scale = standard
    return W1 * scale, b1 + W1 @ mean


def mean_and_scale(X, weight=None, dtype=None):
    """Each feature's mean and the features' common standard deviation.

    The second is one number, the root of the mean variance, and never zero: constant
    data have their own root mean square instead, or 1 if that is zero too. `X` is
    dense, sparse, or gives slices of its rows. Weights divided by the scale do not
    overflow `dtype`, that of `X` by default.
    """
    weight = np.ones(X.shape[0]) if weight is None else np.asarray(weight, dtype=float)
    weight = weight / weight.sum()
    least, most = _SAFE_SQUARES[X.dtype.type]
    unit = 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, squares = _moments(X, weight.astype(X.dtype))
    if not least < squares < most:  # once more, in the data's own unit
        chunks = gen_batches(X.shape[0], _ROWS)
        unit = max(float(abs(X[rows]).max()) for rows in chunks) or 1.0
        mean, squares = _moments(X, weight, unit)
    size = np.sqrt(mean @ mean / mean.size)
    scale = np.sqrt(max(squares, 0.0) / mean.size)
    if scale <= 10 * np.finfo(X.dtype).eps * size:
        scale = size or 1.0
    least = 1e3 * float(np.finfo(X.dtype if dtype is None else dtype).tiny)
    scale = max(float(scale) * unit, least)
    return (mean * unit).astype(X.dtype, copy=False), scale


def _moments(X, weight, unit=1.0):
    """The mean row, and the mean squared distance from it, in the dtype of `weight`.

    The terms are of that dtype, those of ``X / unit``; chunks of rows are summed in
    double precision.
    """
    chunks = list(gen_batches(X.shape[0], _ROWS))
    mean, squares = np.zeros(X.shape[1]), 0.0
    for rows in chunks:
        mean += weight[rows] @ divided(X[rows], unit)
    if sparse.issparse(X):
        for rows in chunks:
            # sum_j (x_j - m_j)^2 = ||m||^2 + sum over the stored of (x - m)^2 - m^2
            centred = divided(X[rows].astype(float), unit)
            at = mean[centred.indices]
            centred.data = (centred.data - at) ** 2 - at**2
            row_squares = np.asarray(centred.sum(axis=1)).ravel() + mean @ mean
            squares += float(weight[rows] @ row_squares)
        return mean, squares
    origin = mean.astype(weight.dtype)
    buffer = np.empty((min(_ROWS, X.shape[0]), X.shape[1]), dtype=weight.dtype)
    for rows in chunks:
        centred = buffer[: weight[rows].size]
        np.subtract(divided(X[rows], unit), origin, out=centred)
        squares += float(weight[rows] @ np.einsum("ij,ij->i", centred, centred))
    return mean, squares
