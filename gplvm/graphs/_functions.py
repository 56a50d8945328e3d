"""Functions of nodes, beside what Python's operators do."""

from gplvm.graphs import _operation as operations
from gplvm.graphs._node import apply


def inverse(K):
    """Inverse of a square matrix.

    Its pullback is ``dL/dK = -K^-T (dL/dK^-1) K^-T``.

    Parameters
    ----------
    K : Node of shape (n, n)
        The matrix.

    Returns
    -------
    node : Node of shape (n, n)
        The inverse.

    Raises
    ------
    ValueError
        If the matrix is not square.

    See Also
    --------
    log_determinant : The other function of a covariance in a likelihood.

    Examples
    --------
    >>> from gplvm.graphs import Input, inverse
    >>> inverse(Input("K", ("n", "n")))
    <inv(K): shape (n, n)>
    """
    return apply(operations.INVERSE, K)


def log_determinant(K):
    """Logarithm of the absolute value of a determinant.

    Its pullback is ``dL/dK = g K^-T``, with `g` the gradient of the loss with respect
    to the result.

    Parameters
    ----------
    K : Node of shape (n, n)
        The matrix.

    Returns
    -------
    node : Node of shape ()
        log \\|det K\\|.

    Raises
    ------
    ValueError
        If the matrix is not square.

    See Also
    --------
    inverse : The other function of a covariance in a likelihood.

    Examples
    --------
    >>> from gplvm.graphs import Input, log_determinant
    >>> log_determinant(Input("K", ("n", "n")))
    <log|K|: shape ()>
    """
    return apply(operations.LOG_DETERMINANT, K)


def trace(K):
    """Trace of a square matrix.

    Its pullback is ``dL/dK = g I``.

    Parameters
    ----------
    K : Node of shape (n, n)
        The matrix.

    Returns
    -------
    node : Node of shape ()
        The sum of its diagonal.

    Raises
    ------
    ValueError
        If the matrix is not square.

    See Also
    --------
    total : The sum of all entries.

    Examples
    --------
    >>> from gplvm.graphs import Input, trace
    >>> Y = Input("Y", ("n", "d"))
    >>> -0.5 * trace(Y @ Y.T)
    <-0.5 * tr(Y @ Y'): shape ()>
    """
    return apply(operations.TRACE, K)


def squared_norm(X):
    """Sum of the squares of all entries.

    Its pullback is ``dL/dX = 2 g X``.

    Parameters
    ----------
    X : Node of any shape
        The entries.

    Returns
    -------
    node : Node of shape ()
        The squared Frobenius norm.

    See Also
    --------
    total : The sum without squares.

    Examples
    --------
    >>> from gplvm.graphs import ComputationalGraph, Input, squared_norm
    >>> graph = ComputationalGraph(squared_norm(Input("x", ("n",))))
    >>> float(graph.forward(x=[3.0, 4.0]))
    25.0
    """
    return apply(operations.SQUARED_NORM, X)


def total(X):
    """Sum of all entries.

    Its pullback is ``dL/dX = g 1 1'``: every entry has the same gradient.

    Parameters
    ----------
    X : Node of any shape
        The entries.

    Returns
    -------
    node : Node of shape ()
        Their sum.

    See Also
    --------
    squared_norm : The sum of their squares.

    Examples
    --------
    >>> from gplvm.graphs import ComputationalGraph, Input, total
    >>> graph = ComputationalGraph(total(Input("x", ("n",))))
    >>> float(graph.forward(x=[3.0, 4.0]))
    7.0
    """
    return apply(operations.TOTAL, X)


def exp(X):
    """Exponential of every entry.

    Its pullback is ``dL/dX = g * exp(X)``.

    Parameters
    ----------
    X : Node of any shape
        The entries.

    Returns
    -------
    node : Node of the shape of `X`
        The exponentials.

    See Also
    --------
    log : The inverse function.

    Examples
    --------
    >>> from gplvm.graphs import Input, exp
    >>> exp(Input("X", ("n", "p")))
    <exp(X): shape (n, p)>
    """
    return apply(operations.EXP, X)


def log(X):
    """Natural logarithm of every entry.

    Its pullback is ``dL/dX = g / X``.

    Parameters
    ----------
    X : Node of any shape
        The entries, positive.

    Returns
    -------
    node : Node of the shape of `X`
        The logarithms.

    See Also
    --------
    exp : The inverse function.

    Examples
    --------
    >>> from gplvm.graphs import Input, log
    >>> log(Input("X", ("n", "p")))
    <log(X): shape (n, p)>
    """
    return apply(operations.LOG, X)


def swish(X):
    """The swish activation of every entry, ``x sigmoid(x)``.

    Its pullback is ``dL/dX = g * swish'(X)``.

    Parameters
    ----------
    X : Node of any shape
        The entries.

    Returns
    -------
    node : Node of the shape of `X`
        The activations.

    See Also
    --------
    gplvm.gradients.swish : The function and, beside it, its derivative.

    Examples
    --------
    >>> from gplvm.graphs import Input, swish
    >>> swish(Input("z1", ("n", "h")))
    <swish(z1): shape (n, h)>
    """
    return apply(operations.SWISH, X)


def add_to_diagonal(K, s):
    """A square matrix plus a scalar times the identity.

    Its pullbacks are ``dL/dK = g`` and ``dL/ds = tr g``.

    Parameters
    ----------
    K : Node of shape (n, n)
        The matrix.

    s : Node of shape ()
        The scalar, a noise variance for example.

    Returns
    -------
    node : Node of shape (n, n)
        ``K + s I``.

    Raises
    ------
    ValueError
        If the matrix is not square, or `s` no scalar.

    See Also
    --------
    inverse : What a covariance is often needed for.

    Examples
    --------
    >>> from gplvm.graphs import Input, add_to_diagonal
    >>> add_to_diagonal(Input("S", ("n", "n")), Input("noise", ()))
    <S + noise * I: shape (n, n)>
    """
    return apply(operations.ADD_TO_DIAGONAL, K, s)


def softmax_cross_entropy(logits, y):
    """Mean cross-entropy of softmax probabilities.

    Its pullback is ``dL/dlogits = g (softmax(logits) - onehot(y)) / n``.

    Parameters
    ----------
    logits : Node of shape (n, c)
        Unnormalised log-probabilities.

    y : Node of shape (n,)
        The class of each row, integers from 0 to ``c - 1``: a constant input.

    Returns
    -------
    node : Node of shape ()
        The loss in nats.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    See Also
    --------
    gplvm.gradients.softmax_cross_entropy : The same for arrays.

    Examples
    --------
    >>> from gplvm.graphs import ComputationalGraph, Input, softmax_cross_entropy
    >>> Z, y = Input("Z", ("n", "c")), Input("y", ("n",), constant=True)
    >>> graph = ComputationalGraph(softmax_cross_entropy(Z, y))
    >>> round(float(graph.forward(Z=[[0.0, 0.0]], y=[1])), 3)
    0.693
    """
    return apply(operations.CROSS_ENTROPY, logits, y)
