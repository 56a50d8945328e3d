"""The library's losses as graphs: the same values and gradients, node by node."""

import numpy as np

from gplvm.graphs._functions import (
    add_to_diagonal,
    inverse,
    log_determinant,
    softmax_cross_entropy,
    squared_norm,
    swish,
    trace,
)
from gplvm.graphs._graph import ComputationalGraph
from gplvm.graphs._node import Dimension, Input, apply
from gplvm.graphs._operation import Operation

# The only constant of a Gaussian's log-density, for N D numbers.
_NORMALIZATION = Operation(
    "normalization",
    lambda N, D: -0.5 * N * D * np.log(2.0 * np.pi),
    (None, None),
    lambda *_: (),
    r"-\frac{{1}}{{2}}\,{0}\,{1}\,\log 2\pi",
    code="-0.5 * {0} * {1} * log(2 pi)",
    level="product",
)


def autoencoder_graph():
    """The linear autoencoder's loss, ``L = ||X W' W - X||^2 / 2``.

    `W` enters twice, as encoder and as decoder: its gradient is the sum of two paths.

    Returns
    -------
    graph : ComputationalGraph
        With the inputs `X` (n, p), constant, and `W` (m, p).

    See Also
    --------
    gplvm.gradients.autoencoder_loss : The same in one function.
    gplvm.gradients.autoencoder_gradient_paths : The two paths.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.graphs import autoencoder_graph
    >>> graph = autoencoder_graph()
    >>> graph.forward(X=[[3.0, 4.0], [0.0, 1.0]], W=[[0.0, 1.0]])
    4.5
    >>> for path in graph.gradient_paths("W"):
    ...     print(" -> ".join(path.nodes), path.gradient)
    W -> W' -> H -> O -> R -> L [[0. 0.]]
    W -> O -> R -> L [[-12.   0.]]
    >>> graph.backward()["W"]
    array([[-12.,   0.]])
    """
    X = Input("X", ("n", "p"), constant=True)
    W = Input("W", ("m", "p"))
    H = (X @ W.T).named("H")
    output = (H @ W).named("O")
    R = (output - X).named("R")
    return ComputationalGraph((0.5 * squared_norm(R)).named("L"))


def gplvm_log_determinant_graph():
    """L1 of the linear GP-LVM, ``-(D / 2) log |K|`` with ``K = alpha X X' + I / beta``.

    Returns
    -------
    graph : ComputationalGraph
        With the inputs `X` (N, q), `alpha`, `beta` and, constant, `D`.

    See Also
    --------
    gplvm.gradients.gplvm_log_determinant_term : The same without an N x N matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.graphs import gplvm_log_determinant_graph
    >>> graph = gplvm_log_determinant_graph()
    >>> X = np.array([[1.0], [2.0]])
    >>> K = 0.5 * X @ X.T + np.eye(2) / 4.0
    >>> L1 = graph.forward(X=X, alpha=0.5, beta=4.0, D=3)
    >>> bool(np.isclose(L1, -1.5 * np.linalg.slogdet(K)[1]))
    True
    >>> gradient = graph.backward()["X"]
    >>> bool(np.allclose(gradient, -0.5 * 3 * np.linalg.solve(K, X)))
    True
    """
    return ComputationalGraph(_L1(_covariance(), Input("D", (), constant=True)))


def gplvm_trace_graph():
    """L2 of the linear GP-LVM, ``-tr(K^-1 Y Y') / 2``, ``K = alpha X X' + I / beta``.

    Returns
    -------
    graph : ComputationalGraph
        With the inputs `X` (N, q), `alpha`, `beta` and, constant, `Y` (N, D).

    See Also
    --------
    gplvm.gradients.gplvm_trace_term : The same without an N x N matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.graphs import gplvm_trace_graph
    >>> graph = gplvm_trace_graph()
    >>> X, Y = np.array([[1.0], [2.0]]), np.array([[1.0, 0.0], [0.0, 3.0]])
    >>> L2 = graph.forward(X=X, Y=Y, alpha=0.5, beta=4.0)
    >>> K = graph.value("K")
    >>> bool(np.isclose(L2, -0.5 * np.trace(np.linalg.solve(K, Y @ Y.T))))
    True
    """
    return ComputationalGraph(_L2(_covariance()))


def gplvm_graph():
    """The linear GP-LVM's log-likelihood, ``L = -(N D / 2) log 2 pi + L1 + L2``.

    Returns
    -------
    graph : ComputationalGraph
        With the inputs `X` (N, q), `alpha`, `beta` and, constant, `Y` (N, D).

    See Also
    --------
    gplvm.gradients.gplvm_log_likelihood : The same without an N x N matrix.

    Examples
    --------
    Four paths lead from X to L: through both factors of X X', and from K through
    both terms.

    >>> import numpy as np
    >>> from gplvm.graphs import gplvm_graph
    >>> graph = gplvm_graph()
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(6, 2)), rng.normal(size=(6, 4))
    >>> L = graph.forward(X=X, Y=Y, alpha=0.5, beta=4.0)
    >>> for path in graph.gradient_paths("X"):
    ...     print(" -> ".join(path.nodes))
    X -> X' -> X @ X' -> alpha * (X @ X') -> K -> log|K| -> L1 -> L
    X -> X' -> X @ X' -> alpha * (X @ X') -> K -> inv(K) -> inv(K) @ (Y @ Y') -> L2 -> L
    X -> X @ X' -> alpha * (X @ X') -> K -> log|K| -> L1 -> L
    X -> X @ X' -> alpha * (X @ X') -> K -> inv(K) -> inv(K) @ (Y @ Y') -> L2 -> L
    """
    K, D = _covariance(), Dimension("D")
    constant = apply(_NORMALIZATION, Dimension("N"), D).named("c")
    return ComputationalGraph((constant + _L1(K, D) + _L2(K)).named("L"))


def two_layer_graph():
    """The swish network's loss: mean softmax cross-entropy behind one hidden layer.

    Returns
    -------
    graph : ComputationalGraph
        With the inputs `W1` (h, p), `b1` (h,), `W2` (c, h), `b2` (c,) and, constant,
        `X` (n, p) and the classes `y` (n,), integers.

    See Also
    --------
    gplvm.gradients.two_layer_loss : The same in one function.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.graphs import two_layer_graph
    >>> graph = two_layer_graph()
    >>> loss = graph.forward(
    ...     W1=np.eye(2), b1=[0.0, 0.0], W2=[[1.0, 0.0], [0.0, 1.0]], b2=[0.0, 0.0],
    ...     X=[[1.0, -1.0], [0.0, 2.0]], y=[0, 1],
    ... )
    >>> round(loss, 4)
    0.2359
    >>> graph.backward()["b2"].round(4)
    array([-0.0612,  0.0612])
    """
    X = Input("X", ("n", "p"), constant=True)
    y = Input("y", ("n",), constant=True)
    W1, b1 = Input("W1", ("h", "p")), Input("b1", ("h",))
    W2, b2 = Input("W2", ("c", "h")), Input("b2", ("c",))
    z1 = (X @ W1.T + b1).named("z1")
    h = swish(z1).named("h")
    z2 = (h @ W2.T + b2).named("z2")
    return ComputationalGraph(softmax_cross_entropy(z2, y).named("L"))


def _covariance():
    """K = alpha X X' + I / beta."""
    X, alpha, beta = Input("X", ("N", "q")), Input("alpha", ()), Input("beta", ())
    return add_to_diagonal(alpha * (X @ X.T), 1 / beta).named("K")


def _L1(K, D):
    return (-0.5 * (D * log_determinant(K))).named("L1")


def _L2(K):
    Y = Input("Y", ("N", "D"), constant=True)
    return (-0.5 * trace(inverse(K) @ (Y @ Y.T))).named("L2")


# What `gplvm graphs` draws, by file name.
LOSS_GRAPHS = {
    "autoencoder": autoencoder_graph,
    "gplvm-log-determinant": gplvm_log_determinant_graph,
    "gplvm-trace": gplvm_trace_graph,
    "gplvm": gplvm_graph,
    "swish-network": two_layer_graph,
}
