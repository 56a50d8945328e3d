"""The autoencoder's loss, its gradient, and its linear optimum.

Rows of `X` (n, p) are samples, `W` (m, p) is shared by the encoder and the decoder.
"""

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator
from scipy.special import expit
from sklearn.utils.extmath import svd_flip

from gplvm._validation import NOT_OF_ORDER_ONE, finite_or_refused, takes_arrays
from gplvm.gradients.activations import swish, swish_derivative

__all__ = [
    "ACTIVATIONS",
    "autoencoder_gradient_paths",
    "autoencoder_loss",
    "centred_autoencoder_loss",
    "gram_autoencoder_loss",
    "optimal_loss",
    "shrink_axes",
]


def _tanh_derivative(x):
    return 1.0 - np.tanh(x) ** 2


def _logistic_derivative(x):
    return expit(x) * expit(-x)


# Name -> (function, derivative).
ACTIVATIONS = {
    "identity": (lambda x: x, np.ones_like),
    "swish": (swish, swish_derivative),
    "tanh": (np.tanh, _tanh_derivative),
    "relu": (lambda x: np.maximum(x, 0.0), lambda x: np.heaviside(x, 0.0)),
    "logistic": (expit, _logistic_derivative),
}


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(W=2, X=2, alpha=0)
def autoencoder_loss(W, X, *, activation="identity", alpha=0.0, eval_gradient=False):
    """Squared reconstruction error of an autoencoder with tied weights.

    ``||f(f(X W') W) - X||^2 / 2 + alpha ||W||^2 / 2``, a sum over rows. With the
    identity for `f` it is ``||X W' W - X||^2 / 2``.

    Parameters
    ----------
    W : array-like of shape (n_components, n_features)
        Weights of the encoder; the decoder's are their transpose.

    X : array-like of shape (n_samples, n_features)
        Data, centred by the caller where that is wanted.

    activation : {"identity", "swish", "tanh", "relu", "logistic"}, \
            default="identity"
        The function `f` of both layers.

    alpha : float, default=0.0
        Weight of the penalty.

    eval_gradient : bool, default=False
        Whether to return the gradient with respect to `W` too.

    Returns
    -------
    loss : float
        The loss.

    gradient : ndarray of shape (n_components, n_features)
        Its gradient. Only returned with ``eval_gradient=True``.

    Raises
    ------
    ValueError
        If the shapes do not match, the activation is unknown, or a result is not
        finite.

    TypeError
        If an argument is no array of real numbers.

    See Also
    --------
    autoencoder_gradient_paths : The gradient's two summands.
    gram_autoencoder_loss : The same from ``X' X``, whatever the number of rows.

    References
    ----------
    .. [1] Baldi, P., & Hornik, K. (1989). Neural networks and principal component
           analysis: Learning from examples without local minima. Neural Networks,
           2(1), 53-58.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import autoencoder_loss
    >>> X = np.array([[3.0, 4.0], [0.0, 1.0]])
    >>> float(autoencoder_loss([[0.0, 1.0]], X))
    4.5
    >>> autoencoder_loss([[0.0, 1.0]], X, eval_gradient=True)[1]
    array([[-12.,   0.]])
    """
    if not (isinstance(activation, str) and activation in ACTIVATIONS):
        raise ValueError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}"
        )
    _check_columns(W, X)
    return tied_weights_loss(W, X, activation, alpha, eval_gradient=eval_gradient)


def tied_weights_loss(W, X, activation, alpha=0.0, *, eval_gradient=False):
    """`autoencoder_loss` of arrays, infinite where it overflows."""
    f, derivative = ACTIVATIONS[activation]
    code = X @ W.T
    H = f(code)
    output = H @ W
    R = f(output) - X
    loss = 0.5 * np.vdot(R, R) + 0.5 * alpha * np.vdot(W, W)
    if not eval_gradient:
        return loss
    # W moves the loss along two paths. Decoder: output = H W, so with
    # E = dL/doutput = R f'(output) its share is H' E. Encoder: dL/dH = E W', and
    # code = X W' gives (E W' f'(code))' X. For f(x) = x these are H' R and (R W')' X.
    if activation == "identity":
        gradient = (R @ W.T).T @ X + H.T @ R
    else:
        E = R * derivative(output)
        gradient = (E @ W.T * derivative(code)).T @ X + H.T @ E
    return loss, gradient + alpha * W


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(W=2, X=2)
def autoencoder_gradient_paths(W, X):
    """Split the linear autoencoder's gradient into its two paths.

    Parameters
    ----------
    W : array-like of shape (n_components, n_features)
        Weights of the encoder; the decoder's are their transpose.

    X : array-like of shape (n_samples, n_features)
        Data.

    Returns
    -------
    encoder : ndarray of shape (n_components, n_features)
        ``(R W')' X``, by way of the code ``H = X W'``; ``R = H W - X``.

    decoder : ndarray of shape (n_components, n_features)
        ``H' R``, by way of the reconstruction ``H W``. The two sum to the gradient of
        `autoencoder_loss`.

    Raises
    ------
    ValueError
        If the shapes do not match, or a result is not finite.

    TypeError
        If an argument is no array of real numbers.

    See Also
    --------
    autoencoder_loss : The loss and its whole gradient.

    References
    ----------
    .. [1] Baldi, P., & Hornik, K. (1989). Neural networks and principal component
           analysis: Learning from examples without local minima. Neural Networks,
           2(1), 53-58.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import autoencoder_gradient_paths
    >>> X = np.array([[3.0, 4.0], [0.0, 1.0]])
    >>> encoder, decoder = autoencoder_gradient_paths([[0.0, 1.0]], X)
    >>> encoder, decoder
    (array([[0., 0.]]), array([[-12.,   0.]]))
    """
    _check_columns(W, X)
    # L = ||R||^2 / 2, dL = tr(R' dR), dR = dH W + H dW with dH = X dW': the first
    # summand gives (R W')' X, the second H' R.
    H = X @ W.T
    R = H @ W - X
    return (R @ W.T).T @ X, H.T @ R


def _check_columns(W, X):
    if W.shape[1] != X.shape[1]:
        raise ValueError(
            f"W and X have shapes {W.shape} and {X.shape}, expected as many columns"
        )


def centred_autoencoder_loss(W, X, mean, *, alpha=0.0, eval_gradient=False):
    """`autoencoder_loss` of ``X - mean`` with the identity, which is not formed.

    Two passes over the data instead of five, and over the stored entries only of
    sparse data. It is exact to rounding of the data's sum of squares.

    Parameters
    ----------
    W : ndarray of shape (n_components, n_features)
        Weights.

    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Data.

    mean : ndarray of shape (n_features,)
        What is subtracted from each row.

    alpha : float, default=0.0
        Weight of the penalty ``||W||^2 / 2``.

    eval_gradient : bool, default=False
        Whether to return the gradient with respect to `W` too.

    Returns
    -------
    loss : float
        The loss, a sum over rows.

    gradient : ndarray of shape (n_components, n_features)
        Its gradient. Only returned with ``eval_gradient=True``.
    """
    # With Y = X - 1 mean', H = Y W', C = H'H and E = W W' - I, as in the Gram form:
    # L = (||Y||^2 - tr(C) + tr(C E)) / 2, dL/dW = (H E)'Y + C W - H'Y. And for sparse
    # X, ||Y||^2 = ||X||^2 - 2 (X'1).mean + n |mean|^2,
    # Y W' = X W' - 1 (W mean)', B'Y = B'X - (B'1) mean'.
    if issparse(X):
        sums = np.asarray(X.sum(axis=0, dtype=np.float64)).ravel()
        squares = np.vdot(X.data, X.data) + (X.shape[0] * mean - 2.0 * sums) @ mean
        H = X @ W.T - W @ mean
    else:
        X = X - mean
        squares, mean = np.vdot(X, X), None
        H = X @ W.T
    C = H.T @ H
    E = W @ W.T
    E.flat[:: len(W) + 1] -= 1
    loss = 0.5 * (squares - np.trace(C) + np.vdot(C, E) + alpha * np.vdot(W, W))
    if not eval_gradient:
        return loss
    B = H @ E - H
    gradient = C @ W
    gradient += (X.T @ B).T
    if mean is not None:
        gradient -= np.outer(B.sum(axis=0), mean)
    gradient += alpha * W
    return loss, gradient


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(W=2, S=None, alpha=0)
def gram_autoencoder_loss(W, S, *, alpha=0.0, eval_gradient=False):
    """The linear autoencoder's loss from the Gram matrix of the data.

    `autoencoder_loss` of any data with ``X' X = S``, in ``O(p^2 m)`` operations
    whatever the number of rows. It is exact to rounding of the trace of `S`; a loss
    many orders of magnitude below that is better computed from `X`.

    Parameters
    ----------
    W : array-like of shape (n_components, n_features)
        Weights of the encoder; the decoder's are their transpose.

    S : array-like or LinearOperator of shape (n_features, n_features)
        ``X' X``; as an operator, it has a method ``trace()``.

    alpha : float, default=0.0
        Weight of the penalty ``||W||^2 / 2``.

    eval_gradient : bool, default=False
        Whether to return the gradient with respect to `W` too.

    Returns
    -------
    loss : float
        The loss.

    gradient : ndarray of shape (n_components, n_features)
        Its gradient. Only returned with ``eval_gradient=True``.

    Raises
    ------
    ValueError
        If the shapes do not match, or a result is not finite.

    TypeError
        If an argument is no array of real numbers.

    See Also
    --------
    autoencoder_loss : The same from the data, and with other activations.
    subspace_autoencoder_loss : The same at the best mixture of the rows of `W`.

    References
    ----------
    .. [1] Baldi, P., & Hornik, K. (1989). Neural networks and principal component
           analysis: Learning from examples without local minima. Neural Networks,
           2(1), 53-58.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import gram_autoencoder_loss
    >>> X = np.array([[3.0, 4.0], [0.0, 1.0]])
    >>> float(gram_autoencoder_loss([[0.0, 1.0]], X.T @ X))
    4.5
    """
    # R = X M with M = W'W - I, so L = tr(M S M) / 2 and dL/dW = W (S M + M S). With
    # A = W S, C = A W' and E = W W' - I: tr(M S M) = tr(S) - tr(C) + tr(C E),
    # W S M = C W - A and W M S = E A. Near the optimum E and C W - A vanish by
    # themselves, so that the gradient does not cancel.
    S = as_moments(S, W)
    A = W @ S
    C = A @ W.T
    E = W @ W.T
    E.flat[:: len(W) + 1] -= 1.0
    loss = 0.5 * (S.trace() - np.trace(C) + np.vdot(C, E))
    loss += 0.5 * alpha * np.vdot(W, W)
    if not eval_gradient:
        return loss
    return loss, (C @ W - A) + E @ A + alpha * W


def as_moments(S, W):
    """`S` as an array, unless it is an operator; refused if it does not fit `W`."""
    S = S if isinstance(S, LinearOperator) else np.asarray(S)
    n_features = W.shape[1]
    if S.shape != (n_features, n_features):
        raise ValueError(
            f"S has shape {S.shape}; weights of shape {W.shape} need "
            f"{(n_features, n_features)}"
        )
    return S


def shrink_axes(axes, variances, alpha):
    """Turn principal axes into the optimum of the penalised linear autoencoder.

    Parameters
    ----------
    axes : ndarray of shape (n_components, n_features)
        Orthonormal principal axes of the data.

    variances : ndarray of shape (n_components,)
        Sums of squares of the data along them.

    alpha : float
        Weight of the penalty ``||W||^2 / 2``.

    Returns
    -------
    W : ndarray of shape (n_components, n_features)
        The weights, with the sign of each row chosen such that its largest entry is
        positive, as `sklearn.decomposition.PCA` does.
    """
    # On W = diag(c) axes the loss is a sum of t (c^2 - 1)^2 / 2 + alpha c^2 / 2:
    # 2 t c (c^2 - 1) + alpha c = 0, so c^2 = 1 - alpha / (2 t), or 0 where that is
    # negative. What it gains, (t - alpha / 2)^2 / (2 t), grows with t: the leading
    # axes stay the best ones.
    axes = svd_flip(None, axes.copy(), u_based_decision=False)[1]
    if alpha == 0:
        return axes
    kept = np.divide(
        variances - 0.5 * alpha,
        variances,
        out=np.zeros_like(variances),
        where=variances > 0.5 * alpha,
    )
    return np.sqrt(kept)[:, np.newaxis] * axes


def optimal_loss(total, variances, alpha):
    """The penalised linear autoencoder's loss at the `W` of `shrink_axes`.

    Parameters
    ----------
    total : float
        Sum of squares of the data.

    variances : ndarray of shape (n_components,)
        Sums of squares along the axes.

    alpha : float
        Weight of the penalty ``||W||^2 / 2``.

    Returns
    -------
    loss : float
        The loss, not below zero.
    """
    # Without axes it is total / 2, and each one that is not switched off gains
    # t / 2 - t (c^2 - 1)^2 / 2 - alpha c^2 / 2 at c^2 = 1 - alpha / (2 t), that is
    # (t - alpha / 2)^2 / (2 t).
    t = variances[variances > 0.5 * alpha]
    gained = t if alpha == 0 else (t - 0.5 * alpha) ** 2 / t
    return max(0.5 * float(total - gained.sum()), 0.0)
