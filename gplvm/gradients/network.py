"""The two-layer swish network: its loss, its gradient, its hidden representation."""

import numpy as np
from scipy import sparse

from gplvm._validation import NOT_OF_ORDER_ONE, finite_or_refused, takes_arrays
from gplvm.gradients.activations import (
    as_class_indices,
    cross_entropy_in_place,
    normalised_weights,
    swish_in_place,
)

__all__ = ["hidden_representation", "two_layer_forward", "two_layer_loss"]


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(W1=None, b1=None, W2=None, b2=None, X=None)
@takes_arrays(sample_weight=None, alpha=0)
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


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(W1=None, b1=None, W2=None, b2=None, X=None)
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
    return forward_pass(W1, b1, W2, b2, X)


def forward_pass(W1, b1, W2, b2, X):
    """`two_layer_forward` of arrays, infinite where it overflows."""
    (W1, b1, W2, b2), X = _checked(W1, b1, W2, b2, X)
    hidden = hidden_layer(W1, b1, X)
    return hidden, hidden @ W2.T + b2


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(W1=None, b1=None, X=None)
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
    return hidden_layer(W1, b1, X)


def hidden_layer(W1, b1, X):
    """`hidden_representation` of arrays, infinite where it overflows."""
    (W1, b1, _, _), X = _checked(
        W1, b1, np.empty((0, len(W1)), W1.dtype), np.empty(0, W1.dtype), X
    )
    h = _affine(X, W1, b1)
    swish_in_place(h, np.empty_like(h), np.empty_like(h))
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
    buffers = [buffer[: y.size] for buffer in buffers]
    z1 = buffers[0]

    # L = sum_i w_i loss_i(z1_i) + alpha_1 / 2 ||W1||^2 + alpha_2 / 2 ||W2||^2.
    _affine(X, W1, b1, out=z1)
    upper = None if gradients is None else gradients[2:]
    loss = upper_loss_into((W2, b2), upper, y, weight, alpha_2, buffers)
    if alpha_1:
        loss += 0.5 * alpha_1 * float(np.vdot(W1, W1))
    if gradients is None:
        return loss

    dW1, db1, _, _ = gradients
    first_layer_into(dW1, db1, z1, X)  # z1 now holds dL/dz1
    if alpha_1:
        dW1 += alpha_1 * W1
    return loss


def upper_loss_into(parameters, gradients, y, weight, alpha, buffers):
    """The loss from z1 on, which is the first of `buffers` and becomes dL/dz1.

    `parameters` are W2 and b2, and so are `gradients` unless they are None; `alpha`
    is the penalty of W2.
    """
    # h = z1 sigmoid(z1),  z2 = h W2' + b2,
    # L = sum_i w_i (log sum_c exp(z2_ic) - z2_i,y_i) + alpha / 2 ||W2||^2.
    W2, b2 = parameters
    h, slope, scratch, z2 = buffers
    swish_in_place(h, slope, scratch)
    _affine(h, W2, b2, out=z2)
    loss = cross_entropy_in_place(z2, y, weight)
    if alpha:
        loss += 0.5 * alpha * float(np.vdot(W2, W2))
    if gradients is not None:
        upper_gradient_into(gradients, W2, h, slope, z2)  # z2 now holds dL/dz2
        if alpha:
            gradients[0][...] += alpha * W2
    return loss


def upper_gradient_into(gradients, W2, h, slope, dz2):
    """Gradients of W2 and b2 from dz2 = dL/dz2; `h` becomes dL/dz1."""
    # Back through the affine map and the activation: dL/dW2 = dz2' h (to which the
    # penalty adds alpha W2), dL/db2 = sum_i dz2_i,
    # dz1 = (dz2 W2) * [s + z1 s (1 - s)] with s = sigmoid(z1).
    dW2, db2 = gradients
    np.matmul(dz2.T, h, out=dW2)
    np.add.reduce(dz2, axis=0, out=db2)
    np.matmul(dz2, W2, out=h)
    h *= slope


def first_layer_into(dW1, db1, dz1, X):
    """Gradients of W1 and b1 from dz1 = dL/dz1."""
    # dL/dW1 = dz1' X (to which the penalty adds alpha W1), dL/db1 = sum_i dz1_i.
    np.add.reduce(dz1, axis=0, out=db1)
    if isinstance(X, np.ndarray):
        np.matmul(dz1.T, X, out=dW1)
    else:
        dW1[...] = (X.T @ dz1).T


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
    swish_in_place(h, slope, np.empty_like(h))

    def pullback(dz2, gradients):
        dz1 = h.copy()
        upper_gradient_into(gradients[2:], W2, dz1, slope, dz2)
        first_layer_into(*gradients[:2], dz1, X)

    return _affine(h, W2, b2), pullback


def loss_buffers(n_samples, n_hidden, n_classes, dtype):
    """What `loss_into` writes its intermediate results into, for so many rows."""
    hidden = [np.empty((n_samples, n_hidden), dtype=dtype) for _ in range(3)]
    # The logits by columns: a sum over a few classes is then a sum of long vectors.
    return [*hidden, np.empty((n_classes, n_samples), dtype=dtype).T]


def parameter_views(vector, n_features, n_hidden, n_classes):
    """W1, b1, W2, b2 as views into one flat vector, in this order."""
    # Each weight lies there by its inputs, which BLAS multiplies a little faster.
    shapes = ((n_features, n_hidden), (n_hidden,), (n_hidden, n_classes), (n_classes,))
    stops = np.cumsum([np.prod(shape) for shape in shapes])
    parts = np.split(vector, stops[:-1])
    return [part.reshape(shape).T for part, shape in zip(parts, shapes, strict=True)]


def n_network_parameters(n_features, n_hidden, n_classes):
    """The number of weights and intercepts of the network."""
    return n_hidden * (n_features + 1) + n_classes * (n_hidden + 1)


def _affine(X, W, b, out=None):
    """``X @ W.T + b``; a sparse `X` gives a dense result."""
    if out is None:
        out = np.empty((X.shape[0], W.shape[0]), dtype=W.dtype)
    product_into(out, X, W)
    out += b
    return out


def product_into(out, X, W):
    """Write ``X @ W.T`` into `out`; a sparse `X` gives a dense result."""
    if isinstance(X, np.ndarray):
        np.matmul(X, W.T, out=out)
    else:
        out[...] = X @ W.T


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
