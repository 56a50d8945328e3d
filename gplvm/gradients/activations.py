"""The swish activation and the softmax cross-entropy, with their derivatives."""

import numpy as np

from gplvm._validation import NOT_OF_ORDER_ONE, finite_or_refused, takes_arrays

__all__ = ["softmax_cross_entropy", "swish", "swish_derivative"]


def swish(x):
    """The swish (or SiLU) activation, ``x * sigmoid(x)``.

    Smooth, close to ``max(x, 0)``, and slightly negative left of zero, with its
    minimum of -0.278 at -1.278. It neither overflows nor warns for any finite `x`.

    Parameters
    ----------
    x : array-like
        Where to evaluate it.

    Returns
    -------
    value : ndarray of the shape of `x`, or scalar
        In float32 if `x` is float32, else in float64.

    See Also
    --------
    swish_derivative : Its derivative.
    two_layer_loss : The network built on it.

    References
    ----------
    .. [1] Ramachandran, P., Zoph, B., & Le, Q. V. (2017). Searching for activation
           functions. arXiv:1710.05941.
    .. [2] Elfwing, S., Uchibe, E., & Doya, K. (2018). Sigmoid-weighted linear units
           for neural network function approximation in reinforcement learning.
           Neural Networks, 107, 3-11.

    Examples
    --------
    >>> from gplvm.gradients import swish
    >>> swish([-1.0, 0.0, 1.0]).round(3)
    array([-0.269,  0.   ,  0.731])
    """
    x = _as_floating(x)
    x = np.maximum(x, np.finfo(x.dtype).min)  # -inf * 0 is none
    value = np.empty_like(x)
    _sigmoid(x, out=value)
    value *= x
    return value[()]


def swish_derivative(x):
    """Derivative of the swish activation.

    Parameters
    ----------
    x : array-like
        Where to evaluate it.

    Returns
    -------
    derivative : ndarray of the shape of `x`, or scalar
        In float32 if `x` is float32, else in float64.

    See Also
    --------
    swish : The activation itself.

    References
    ----------
    .. [1] Ramachandran, P., Zoph, B., & Le, Q. V. (2017). Searching for activation
           functions. arXiv:1710.05941.
    .. [2] Elfwing, S., Uchibe, E., & Doya, K. (2018). Sigmoid-weighted linear units
           for neural network function approximation in reinforcement learning.
           Neural Networks, 107, 3-11.

    Examples
    --------
    >>> from gplvm.gradients import swish_derivative
    >>> swish_derivative([-1.0, 0.0, 1.0]).round(3)
    array([0.072, 0.5  , 0.928])
    """
    h = np.array(_as_floating(x))
    most = np.finfo(h.dtype).max
    np.clip(h, -most, most, out=h)  # inf * 0 is none
    slope = np.empty_like(h)
    swish_in_place(h, slope, np.empty_like(h))
    return slope[()]


def swish_in_place(z, slope, s):
    """Turn `z` into swish(z), its derivative into `slope` and the sigmoid into `s`."""
    # h = z s with s = sigmoid(z) and ds/dz = s (1 - s), so that
    # dh/dz = s + z s (1 - s) = s + h (1 - s).
    # Far left s is 0 before z s can overflow, far right 1 - s is: no inf * 0.
    _sigmoid(z, out=s)
    z *= s
    np.subtract(1, s, out=slope)
    slope *= z
    slope += s


def _sigmoid(x, out):
    # 1 / (1 + exp(-x)) is as accurate left as right of zero; where exp(-x) overflows,
    # it is zero to any precision. numpy's exp is vectorised: three times as fast as
    # scipy.special.expit; and so is its division, unlike its reciprocal.
    with np.errstate(over="ignore", under="ignore"):
        np.negative(x, out=out)
        np.exp(out, out=out)
        out += 1
        np.divide(1, out, out=out)


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(logits=None, sample_weight=None)
def softmax_cross_entropy(logits, y, *, sample_weight=None, eval_gradient=False):
    """Mean cross-entropy of softmax probabilities, from their logits.

    Parameters
    ----------
    logits : array-like of shape (n_samples, n_classes)
        Unnormalised log-probabilities. Two classes have two columns.

    y : array-like of int of shape (n_samples,)
        The class of each row, as its column's index.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows in the mean; None weighs them equally.

    eval_gradient : bool, default=False
        Whether to return the gradient with respect to `logits` too.

    Returns
    -------
    loss : float
        ``-sum_i w_i log p_i[y_i] / sum_i w_i``, in nats.

    gradient : ndarray of shape (n_samples, n_classes)
        Only if `eval_gradient`. In float32 if `logits` is float32, else in float64.

    Raises
    ------
    ValueError
        If the shapes do not match, a class index is outside of
        ``[0, n_classes)``, or weights are negative or all zero.

    See Also
    --------
    two_layer_loss : The swish network that ends in this loss.

    References
    ----------
    .. [1] Bishop, C. M. (2006). Pattern Recognition and Machine Learning, section
           4.3.4. Springer.

    Examples
    --------
    >>> from gplvm.gradients import softmax_cross_entropy
    >>> loss, gradient = softmax_cross_entropy(
    ...     [[0.0, 0.0], [0.0, 0.0]], [0, 1], eval_gradient=True
    ... )
    >>> round(loss, 3)
    0.693
    >>> gradient
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    gradient = np.array(_as_floating(logits))
    if gradient.ndim != 2:
        raise ValueError(
            "logits must have shape (n_samples, n_classes), got shape "
            f"{gradient.shape}."
        )
    y = as_class_indices(y, *gradient.shape)
    weight = normalised_weights(sample_weight, y.size, gradient.dtype)
    loss = cross_entropy_in_place(gradient, y, weight)
    return (loss, gradient) if eval_gradient else loss


def cross_entropy_in_place(z, y, weight):
    """Turn logits into the gradient of ``sum_i weight_i loss_i``, return the sum.

    `weight` is one number for all the rows, or one for each.
    """
    # loss_i = log sum_c exp(z_ic) - z_i,y_i, and with p = softmax(z) its gradient
    # is d loss_i / dz_ic = p_ic - [c = y_i]. A row's largest logit is taken off
    # first, which changes neither, so that no exponential overflows.
    rows = np.arange(y.size)
    z -= np.maximum.reduce(z, axis=1, keepdims=True)
    loss = -z[rows, y]
    np.exp(z, out=z)
    total = np.add.reduce(z, axis=1, keepdims=True)
    loss += np.log(total[:, 0])
    each = isinstance(weight, np.ndarray)
    z *= (weight[:, np.newaxis] if each else weight) / total
    z[rows, y] -= weight
    if each:
        return float(np.dot(loss.astype(float), weight))
    return weight * float(loss.sum(dtype=float))


def as_class_indices(y, n_samples, n_classes):
    """`y` as column indices, or an error that says what is wrong with it."""
    y = np.asarray(y)
    if y.shape != (n_samples,):
        raise ValueError(f"y must have shape {(n_samples,)}, got shape {y.shape}.")
    if y.dtype.kind not in "iu":
        raise ValueError(f"y must hold integer class indices, got dtype {y.dtype}.")
    if n_samples == 0:
        raise ValueError("The loss is a mean over rows, and there is no row.")
    if y.min() < 0 or y.max() >= n_classes:
        raise ValueError(
            f"y must hold class indices from 0 to {n_classes - 1}, got values from "
            f"{y.min()} to {y.max()}."
        )
    return y


def normalised_weights(sample_weight, n_samples, dtype):
    """Weights of a mean: one number if all are equal, else one for each row."""
    if sample_weight is None:
        return 1.0 / n_samples
    weight = np.asarray(sample_weight, dtype=float)
    if weight.shape != (n_samples,):
        raise ValueError(
            f"sample_weight must have shape {(n_samples,)}, got shape {weight.shape}."
        )
    if not np.all(weight >= 0) or not 0 < weight.sum() < np.inf:
        raise ValueError(
            "sample_weight must be finite and not negative, with a positive sum."
        )
    return (weight / weight.sum()).astype(dtype, copy=False)


def _as_floating(x):
    """`x` as a float32 array if it is one, else float64; complex and text fail."""
    x = np.asarray(x)
    if x.dtype == np.float32:
        return x
    return x.astype(np.float64, casting="same_kind", copy=False)
