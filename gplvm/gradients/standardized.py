"""The swish network on standardized data, without a standardized copy of them."""

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from gplvm.gradients.network import first_layer_into, product_into, upper_loss_into

_ROWS = 128  # rows centred at a time: they stay in the cache

# Between these a sum of squares in float32 has neither over- nor underflowed.
_SAFE_SQUARES = 1e-30, 1e30


def standardized_loss_into(
    parameters, gradients, X, y, weight, alpha, standard, buffers, scratch
):
    """`loss_into` of the network that sees ``(X - mean) / scale``.

    `X` is neither copied nor, if sparse, filled: `standard` = (mean, scale) goes into
    the first layer's products. Both weights have the penalty `alpha`; `scratch` is a
    buffer of the shape of V, and `buffers` those of `loss_buffers`.
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
    loss += 0.5 * alpha * float(np.vdot(V, V))
    if gradients is None:
        return loss

    # dL/dc = sum_i dz1_i,  dL/dV = (dz1 / s)' X - (dL/dc / s) m' + alpha V.
    dV, dc, _, _ = gradients
    z1 *= 1 / scale  # dL/dz1 by now
    first_layer_into(dV, dc, z1, X)
    dV -= np.multiply(dc[:, np.newaxis], mean, out=scratch)
    dc *= scale
    if alpha:
        dV += np.multiply(V, alpha, out=scratch)
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


def mean_and_scale(X, weight=None):
    """Each feature's mean and the features' common standard deviation.

    The second is one number, the root of the mean variance, and never zero: constant
    data have their own root mean square instead, or 1 if that is zero too.
    """
    weight = np.ones(X.shape[0]) if weight is None else np.asarray(weight, dtype=float)
    weight = weight / weight.sum()
    least, most = _SAFE_SQUARES
    with np.errstate(over="ignore", invalid="ignore"):
        mean, squares = _moments(X, weight.astype(X.dtype))
        if X.dtype == np.float32 and not least < squares < most:
            mean, squares = _moments(X, weight)
        size = np.sqrt(mean @ mean / mean.size)
    if not np.isfinite(squares):
        raise ValueError(
            f"The squares of the data overflow (largest entry {abs(X).max():.3g}). "
            "Divide the data by a constant."
        )
    scale = np.sqrt(max(squares, 0.0) / mean.size)
    if scale <= 10 * np.finfo(X.dtype).eps * size:
        scale = size or 1.0
    return mean.astype(X.dtype, copy=False), float(scale)


def _moments(X, weight):
    """The mean row, and the mean squared distance from it, in the dtype of `weight`.

    The terms are of that dtype; chunks of rows are summed in double precision.
    """
    chunks = list(gen_batches(X.shape[0], _ROWS))
    mean, squares = np.zeros(X.shape[1]), 0.0
    for rows in chunks:
        mean += weight[rows] @ X[rows]
    if sparse.issparse(X):
        for rows in chunks:
            # sum_j (x_j - m_j)^2 = ||m||^2 + sum over the stored of (x - m)^2 - m^2
            centred = X[rows].astype(float)
            at = mean[centred.indices]
            centred.data = (centred.data - at) ** 2 - at**2
            row_squares = np.asarray(centred.sum(axis=1)).ravel() + mean @ mean
            squares += float(weight[rows] @ row_squares)
        return mean, squares
    origin = mean.astype(weight.dtype)
    buffer = np.empty((min(_ROWS, X.shape[0]), X.shape[1]), dtype=weight.dtype)
    for rows in chunks:
        centred = np.subtract(X[rows], origin, out=buffer[: weight[rows].size])
        squares += float(weight[rows] @ np.einsum("ij,ij->i", centred, centred))
    return mean, squares
