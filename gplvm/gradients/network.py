"""The two-layer swish network: its loss, its gradient, its hidden representation."""

import numpy as np
from scipy import sparse
from sklearn.utils import gen_batches

from gplvm.gradients.activations import (
    as_class_indices,
    cross_entropy_in_place,
    normalised_weights,
    swish_in_place,
)

__all__ = ["hidden_representation", "two_layer_forward", "two_layer_loss"]

_ROWS = 1024  # rows centred at a time: no second copy of the data


def two_layer_loss(
    W1, b1, W2, b2, X, y, *, alpha=0.0, sample_weight=None, eval_gradient=False
):
    """Loss of a network with one hidden swish layer and a softmax output.

    The loss is the mean cross-entropy over the rows plus
    ``alpha / 2 * (||W1||^2 + ||W2||^2)``. The penalty is divided by no number of
    rows, so that `alpha` means the same for a mini-batch as for all the data.
    Intercepts are not penalised.

    Parameters
    ----------
    W1 : array-like of shape (n_hidden, n_features)
        Weights of the hidden layer.

    b1 : array-like of shape (n_hidden,)
        Intercepts of the hidden layer.

    W2 : array-like of shape (n_classes, n_hidden)
        Weights of the output layer.

    b2 : array-like of shape (n_classes,)
        Intercepts of the output layer.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data.

    y : array-like of int of shape (n_samples,)
        The class of each row, from 0 to ``n_classes - 1``.

    alpha : float, default=0.0
        Strength of the L2 penalty on the weights.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the mean; None weighs them equally.

    eval_gradient : bool, default=False
        Whether to return the gradient too.

    Returns
    -------
    loss : float
        The loss, in nats.

    gradient : dict of str to ndarray
        Only if `eval_gradient`: the derivatives with respect to ``"W1"``, ``"b1"``,
        ``"W2"`` and ``"b2"``, of their shapes. In float32 if parameters and `X`
        all are, else in float64.

    Raises
    ------
    ValueError
        If the shapes do not match, a class index is out of range, or weights of
        rows are negative or all zero.

    See Also
    --------
    two_layer_forward : The hidden layer and the logits.
    gplvm.SwishMLPClassifier : The estimator that minimises this loss.

    References
    ----------
    .. [1] Ramachandran, P., Zoph, B., & Le, Q. V. (2017). Searching for activation
           functions. arXiv:1710.05941.
    .. [2] Rumelhart, D. E., Hinton, G. E., & Williams, R. J. (1986). Learning
           representations by back-propagating errors. Nature, 323, 533-536.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import check_gradient, two_layer_loss
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(10, 4)), rng.integers(3, size=10)
    >>> start = {
    ...     "W1": rng.normal(size=(5, 4)), "b1": np.zeros(5),
    ...     "W2": rng.normal(size=(3, 5)), "b2": np.zeros(3),
    ... }
    >>> def loss(**parameters):
    ...     return two_layer_loss(**parameters, X=X, y=y, eval_gradient=True)
    >>> bool(check_gradient(loss, start) < 1e-7)
    True
    """
    parameters, X = _checked(W1, b1, W2, b2, X)
    n_classes, n_hidden = parameters[2].shape
    y = as_class_indices(y, X.shape[0], n_classes)
    weight = normalised_weights(sample_weight, y.size, X.dtype)
    gradients = [np.empty_like(p) for p in parameters] if eval_gradient else None
    buffers = loss_buffers(y.size, n_hidden, n_classes, X.dtype)
    penalties = (alpha, alpha)
    loss = loss_into(parameters, gradients, X, y, weight, penalties, buffers)
    if not eval_gradient:
        return loss
    return loss, dict(zip(("W1", "b1", "W2", "b2"), gradients, strict=True))


def two_layer_forward(W1, b1, W2, b2, X):
    """Hidden layer and logits of the network with one hidden swish layer.

    Parameters
    ----------
    W1 : array-like of shape (n_hidden, n_features)
        Weights of the hidden layer.

    b1 : array-like of shape (n_hidden,)
        Intercepts of the hidden layer.

    W2 : array-like of shape (n_classes, n_hidden)
        Weights of the output layer.

    b2 : array-like of shape (n_classes,)
        Intercepts of the output layer.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data.

    Returns
    -------
    hidden : ndarray of shape (n_samples, n_hidden)
        ``swish(X @ W1.T + b1)``.

    logits : ndarray of shape (n_samples, n_classes)
        ``hidden @ W2.T + b2``, the unnormalised log-probabilities.

    Raises
    ------
    ValueError
        If the shapes do not match.

    See Also
    --------
    two_layer_loss : The loss of these logits, with its gradient.
    hidden_representation : The hidden layer alone.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import two_layer_forward
    >>> hidden, logits = two_layer_forward(
    ...     np.eye(2), np.zeros(2), [[1.0, -1.0]], [0.5], [[0.0, 0.0], [1.0, -1.0]]
    ... )
    >>> hidden.round(3)
    array([[ 0.   ,  0.   ],
           [ 0.731, -0.269]])
    >>> logits
    array([[0.5],
           [1.5]])
    """
    (W1, b1, W2, b2), X = _checked(W1, b1, W2, b2, X)
    hidden = hidden_representation(W1, b1, X)
    return hidden, hidden @ W2.T + b2


def hidden_representation(W1, b1, X):
    """Hidden layer of the swish network, ``swish(X @ W1.T + b1)``.

    Parameters
    ----------
    W1 : array-like of shape (n_hidden, n_features)
        Weights of the hidden layer.

    b1 : array-like of shape (n_hidden,)
        Intercepts of the hidden layer.

    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Data.

    Returns
    -------
    hidden : ndarray of shape (n_samples, n_hidden)
        The representation of each row.

    Raises
    ------
    ValueError
        If the shapes do not match.

    See Also
    --------
    two_layer_forward : The logits too.

    Examples
    --------
    >>> from gplvm.gradients import hidden_representation
    >>> hidden_representation([[1.0, 1.0]], [0.0], [[0.0, 0.0], [0.5, 0.5]]).round(3)
    array([[0.   ],
           [0.731]])
    """
    W1, b1 = np.atleast_2d(W1), np.atleast_1d(b1)
    (W1, b1, _, _), X = _checked(
        W1, b1, np.empty((0, len(W1)), W1.dtype), np.empty(0, W1.dtype), X
    )
    h = _affine(X, W1, b1)
    swish_in_place(h, np.empty_like(h))
    return h


def loss_into(parameters, gradients, X, y, weight, penalties, buffers):
    """The loss, with its gradient written into `gradients` unless that is None.

    Everything is one dtype; `weight` is a number, or one for each row, that
    multiplies a row's cross-entropy; `penalties` are those of W1 and of W2; `buffers`
    are those of `loss_buffers` for at least as many rows. `parameters` and
    `gradients` are usually `parameter_views` of flat vectors.
    """
    W1, b1, W2, b2 = parameters
    alpha_1, alpha_2 = penalties
    z1, slope, dz1, z2 = (buffer[: y.size] for buffer in buffers)

    # z1 = X W1' + b1,  h = z1 sigmoid(z1),  z2 = h W2' + b2,
    # L = sum_i w_i (log sum_c exp(z2_ic) - z2_i,y_i)
    #     + alpha_1 / 2 ||W1||^2 + alpha_2 / 2 ||W2||^2.
    _affine(X, W1, b1, out=z1)
    swish_in_place(z1, slope)
    h = z1
    _affine(h, W2, b2, out=z2)
    loss = cross_entropy_in_place(z2, y, weight)
    for alpha, W in ((alpha_1, W1), (alpha_2, W2)):
        if alpha:
            loss += 0.5 * alpha * float(np.vdot(W, W))
    if gradients is None:
        return loss

    _backward_into(gradients, (W1, W2), X, h, slope, dz1, z2)  # z2 now holds dL/dz2
    dW1, _, dW2, _ = gradients
    if alpha_1:
        dW1 += alpha_1 * W1
    if alpha_2:
        dW2 += alpha_2 * W2
    return loss


def _backward_into(gradients, weights, X, h, slope, dz1, dz2):
    """Gradients of W1, b1, W2, b2 from dz2 = dL/dz2; `dz1` is a buffer."""
    # Back through the affine maps and the activation: dL/dW2 = dz2' h (to which the
    # penalty adds alpha_2 W2), dL/db2 = sum_i dz2_i,
    # dz1 = (dz2 W2) * [s + z1 s (1 - s)] with s = sigmoid(z1),
    # dL/dW1 = dz1' X (+ alpha_1 W1), dL/db1 = sum_i dz1_i.
    dW1, db1, dW2, db2 = gradients
    np.matmul(dz2.T, h, out=dW2)
    np.sum(dz2, axis=0, out=db2)
    np.matmul(dz2, weights[1], out=dz1)
    dz1 *= slope
    if sparse.issparse(X):
        dW1[...] = (X.T @ dz1).T
    else:
        np.matmul(dz1.T, X, out=dW1)
    np.sum(dz1, axis=0, out=db1)


def two_layer_pullback(parameters, X):
    """The network's outputs as a map of `X`, and the pullback of their gradient.

    Parameters
    ----------
    parameters : list of ndarray
        W1, b1, W2, b2, of the shapes of `two_layer_forward`.

    X : ndarray of shape (n_samples, n_features)
        Data.

    Returns
    -------
    outputs : ndarray of shape (n_samples, n_outputs)
        z2 = swish(X W1' + b1) W2' + b2.

    pullback : callable
        ``pullback(dL_doutputs, gradients)`` writes the gradients of W1, b1, W2, b2
        into the arrays `gradients`.
    """
    W1, b1, W2, b2 = parameters
    h = _affine(X, W1, b1)
    slope = np.empty_like(h)
    swish_in_place(h, slope)

    def pullback(dz2, gradients):
        _backward_into(gradients, (W1, W2), X, h, slope, np.empty_like(h), dz2)

    return _affine(h, W2, b2), pullback


def standardized_loss_into(
    parameters, gradients, X, y, weight, alpha, standard, buffers, folded
):
    """`loss_into` of the network that sees ``(X - mean) / scale``.

    `X` is neither copied nor, if sparse, filled: `standard` = (mean, scale) is folded
    into the first layer, which is written into `folded` = (W1, b1). Both weights have
    the penalty `alpha`.
    """
    V, c, W2, b2 = parameters
    mean, scale = standard
    W1, b1 = fold(V, c, standard, out=folded)

    # z1 = ((X - m) / s) V' + c = X W1' + b1 with W1 = V / s and b1 = c - W1 m, so
    # dL/dV = (dL/dW1 - dL/db1 m') / s + alpha V,  dL/dc = dL/db1.
    loss = loss_into((W1, b1, W2, b2), gradients, X, y, weight, (0.0, alpha), buffers)
    loss += 0.5 * alpha * float(np.vdot(V, V))
    if gradients is not None:
        dV, dc, _, _ = gradients
        dV -= np.multiply(dc[:, np.newaxis], mean, out=W1)
        dV *= 1 / scale
        dV += np.multiply(V, alpha, out=W1)
    return loss


def fold(V, c, standard, out=None):
    """The first layer's W1 and b1, from those on ``(X - mean) / scale``."""
    mean, scale = standard
    W1, b1 = (np.empty_like(V), np.empty_like(c)) if out is None else out
    np.multiply(V, 1 / scale, out=W1)
    np.matmul(W1, mean, out=b1)
    np.subtract(c, b1, out=b1)
    return W1, b1


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
    with np.errstate(over="ignore", invalid="ignore"):
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
    """The mean row, and the mean squared distance from it, by chunks of rows."""
    chunks = list(gen_batches(X.shape[0], _ROWS))
    mean = sum(weight[rows] @ X[rows] for rows in chunks)
    squares = 0.0
    for rows in chunks:
        if sparse.issparse(X):
            # sum_j (x_j - m_j)^2 = ||m||^2 + sum over the stored of (x - m)^2 - m^2
            centred = X[rows].astype(float)
            at = mean[centred.indices]
            centred.data = (centred.data - at) ** 2 - at**2
            row_squares = np.asarray(centred.sum(axis=1)).ravel() + mean @ mean
        else:
            centred = X[rows] - mean
            row_squares = np.einsum("ij,ij->i", centred, centred)
        squares += float(weight[rows] @ row_squares)
    return mean, squares


def loss_buffers(n_samples, n_hidden, n_classes, dtype):
    """What `loss_into` writes its intermediate results into, for so many rows."""
    columns = (n_hidden, n_hidden, n_hidden, n_classes)
    return [np.empty((n_samples, width), dtype=dtype) for width in columns]


def parameter_views(vector, n_features, n_hidden, n_classes):
    """W1, b1, W2, b2 as views into one flat vector, in this order."""
    shapes = ((n_hidden, n_features), (n_hidden,), (n_classes, n_hidden), (n_classes,))
    stops = np.cumsum([np.prod(shape) for shape in shapes])
    parts = np.split(vector, stops[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def n_network_parameters(n_features, n_hidden, n_classes):
    """The number of weights and intercepts of the network."""
    return n_hidden * (n_features + 1) + n_classes * (n_hidden + 1)


def _affine(X, W, b, out=None):
    """``X @ W.T + b``; a sparse `X` gives a dense result."""
    if out is None:
        out = np.empty((X.shape[0], W.shape[0]), dtype=W.dtype)
    if sparse.issparse(X):
        out[...] = X @ W.T
    else:
        np.matmul(X, W.T, out=out)
    out += b
    return out


def _checked(W1, b1, W2, b2, X):
    """Parameters and data in one dtype, or an error that names the wrong shape."""
    arrays = [np.asarray(array) for array in (W1, b1, W2, b2)]
    X = X.tocsr() if sparse.issparse(X) else np.asarray(X)
    single = all(array.dtype == np.float32 for array in (*arrays, X))
    dtype = np.float32 if single else np.float64
    arrays = [array.astype(dtype, copy=False) for array in arrays]
    W1, _, W2, _ = arrays
    if W1.ndim != 2 or W2.ndim != 2 or X.ndim != 2:
        raise ValueError(
            f"W1, W2 and X must have two dimensions, got shapes {W1.shape}, "
            f"{W2.shape} and {X.shape}."
        )
    expected = {
        "W1": (W1.shape[0], X.shape[1]),
        "b1": (W1.shape[0],),
        "W2": (W2.shape[0], W1.shape[0]),
        "b2": (W2.shape[0],),
    }
    for array, (name, shape) in zip(arrays, expected.items(), strict=True):
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}.")
    return arrays, X.astype(dtype, copy=False)
