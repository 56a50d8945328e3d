"""What a node of a computational graph can do: values, pullbacks, shapes, formulas.

A pullback takes the gradient of the loss with respect to an operation's result to the
one with respect to an argument, as one or two matrix products: a vector-Jacobian
product. The Jacobian, with four dimensions for matrices, is never formed.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gplvm.gradients import softmax_cross_entropy, swish, swish_derivative


class Operation(NamedTuple):
    r"""An operation of a computational graph.

    With `apply` it makes a node. Those of the usual operations come from Python's
    operators and from the functions of `gplvm.graphs`; this class is for others.

    Parameters
    ----------
    name : str
        What it is called in messages.

    forward : callable
        ``forward(*arguments) -> result``: arrays of at most two dimensions.

    pullbacks : tuple of callable or None
        For each argument ``pullback(g, result, *arguments)``: from the gradient `g`
        with respect to the result the one with respect to the argument, of its
        shape. None where the result does not depend smoothly on the argument.

    shape : callable
        ``shape(*shapes) -> shape`` of the result, from those of the arguments, whose
        entries are symbols such as ``"n"``, or numbers.

    formula : str
        What it does as mathtext, with ``{0}``, ``{1}``, ... for the arguments.

    backward : tuple of (float, str), default=()
        What each pullback does: a number, and mathtext in which ``{g}`` is the
        gradient, ``{0}`` an argument and ``{T0}`` its transpose. Where there is
        none, drawings show a general form.

    code : str, default=None
        The formula as plain text, of which nodes without a name make one; None:
        ``name({0}, {1}, ...)``.

    level : {"atom", "product", "sum"}, default="atom"
        How tightly the formula binds: what decides about parentheses.

    See Also
    --------
    apply : Make a node of an operation.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.graphs import ComputationalGraph, Input, Operation, apply, total
    >>> sine = Operation(
    ...     "sin", np.sin, (lambda g, s, x: g * np.cos(x),), lambda shape: shape,
    ...     r"\sin {0}", ((1, r"{g} \odot \cos {0}"),),
    ... )
    >>> x = Input("x", ("n",))
    >>> graph = ComputationalGraph(total(apply(sine, x)))
    >>> float(graph.forward(x=[0.0, np.pi / 2]))
    1.0
    >>> graph.backward()["x"].round(3)
    array([1., 0.])
    """

    name: str
    forward: Callable
    pullbacks: tuple
    shape: Callable
    formula: str
    backward: tuple = ()
    code: str | None = None
    level: str = "atom"


def show(shape):
    """A shape as text, with symbols unquoted: (n, 3)."""
    inner = ", ".join(str(size) for size in shape)
    return f"({inner},)" if len(shape) == 1 else f"({inner})"


def _same(what):
    def shape(*shapes):
        if len(set(shapes)) > 1:
            given = " and ".join(show(shape) for shape in shapes)
            raise ValueError(f"{what} needs equal shapes, got {given}")
        return shapes[0]

    return shape


def _unchanged(shape):
    return shape


def _square(what):
    def check(shape):
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ValueError(f"{what} needs a square matrix, got shape {show(shape)}")
        return shape

    return check


def _scalar(_):
    return ()


def _matmul_shape(first, second):
    if len(first) != 2 or len(second) != 2 or first[1] != second[0]:
        raise ValueError(
            f"a matrix product needs (a, b) and (b, c), got {show(first)} and "
            f"{show(second)}"
        )
    return first[0], second[1]


def _transpose_shape(shape):
    if len(shape) != 2:
        raise ValueError(f"a transpose needs a matrix, got shape {show(shape)}")
    return shape[::-1]


def _scale_shape(scalar, shape):
    if scalar != ():
        raise ValueError(f"the factor must be a scalar, got shape {show(scalar)}")
    return shape


def _add_row_shape(matrix, row):
    if len(matrix) != 2 or row != matrix[1:]:
        raise ValueError(
            f"a row of shape {show(row)} cannot be added to each row of {show(matrix)}"
        )
    return matrix


def _add_to_diagonal_shape(matrix, scalar):
    return _scale_shape(scalar, _square("add_to_diagonal")(matrix))


def _cross_entropy_shape(logits, y):
    if len(logits) != 2 or y != logits[:1]:
        raise ValueError(
            f"cross-entropy needs logits (n, c) and classes (n,), got {show(logits)} "
            f"and {show(y)}"
        )
    return ()


def _cross_entropy_pullback(g, _, logits, y):
    return g * softmax_cross_entropy(logits, y, eval_gradient=True)[1]


def _log_determinant(K):
    return np.linalg.slogdet(K)[1]


# Write <A, B> = tr(A' B), dL = <g, dZ>, and move everything but the argument's
# differential to the left:
# Z = X Y:    <g, dX Y> = <g Y', dX>,  <g, X dY> = <X' g, dY>.
MATMUL = Operation(
    "matmul",
    np.matmul,
    (lambda g, Z, X, Y: g @ Y.T, lambda g, Z, X, Y: X.T @ g),
    _matmul_shape,
    r"{0}\,{1}",
    ((1, r"{g}\,{T1}"), (1, r"{T0}\,{g}")),
    "{0} @ {1}",
    "product",
)
# Z = X':     <g, dX'> = <g', dX>.
TRANSPOSE = Operation(
    "transpose",
    np.transpose,
    (lambda g, Z, X: g.T,),
    _transpose_shape,
    "{T0}",
    ((1, "{Tg}"),),
    "{0}'",
)


def addition(count):
    """The sum of `count` equal shapes."""
    slots = " + ".join(f"{{{i}}}" for i in range(count))
    return Operation(
        "add",
        lambda *terms: sum(terms[1:], terms[0]),
        (lambda g, *_: g,) * count,
        _same("a sum"),
        slots,
        ((1, "{g}"),) * count,
        slots,
        "sum",
    )


SUBTRACT = Operation(
    "subtract",
    np.subtract,
    (lambda g, Z, X, Y: g, lambda g, Z, X, Y: -g),
    _same("a difference"),
    "{0} - {1}",
    ((1, "{g}"), (-1, "{g}")),
    "{0} - {1}",
    "sum",
)
# Z = X + 1 b': <g, 1 db'> = <g' 1, db>, the sum of the rows.
ADD_ROW = Operation(
    "add_row",
    np.add,
    (lambda g, Z, X, b: g, lambda g, Z, X, b: g.sum(axis=0)),
    _add_row_shape,
    r"{0} + 1\,{T1}",
    ((1, "{g}"), (1, r"{Tg}\,1")),
    "{0} + {1}",
    "sum",
)
HADAMARD = Operation(
    "multiply",
    np.multiply,
    (lambda g, Z, X, Y: g * Y, lambda g, Z, X, Y: g * X),
    _same("an elementwise product"),
    r"{0} \odot {1}",
    ((1, r"{g} \odot {1}"), (1, r"{g} \odot {0}")),
    "{0} * {1}",
    "product",
)
# Z = s X:    <g, ds X> = <g, X> ds.
SCALE = Operation(
    "scale",
    np.multiply,
    (lambda g, Z, s, X: np.vdot(X, g), lambda g, Z, s, X: s * g),
    _scale_shape,
    r"{0}\,{1}",
    ((1, r"\langle {g}, {1} \rangle"), (1, r"{0}\,{g}")),
    "{0} * {1}",
    "product",
)
# The same of two scalars, whose inner product is a product.
SCALE_SCALAR = SCALE._replace(backward=((1, r"{g}\,{1}"), (1, r"{0}\,{g}")))
MULTIPLE = Operation(
    "multiple",
    np.array,
    (lambda g, Z, X: g,),
    _unchanged,
    "{0}",
    ((1, "{g}"),),
    "{0}",
    "product",
)
RECIPROCAL = Operation(
    "reciprocal",
    np.reciprocal,
    (lambda g, z, s: -g * z * z,),
    _unchanged,
    "{0}^{{-1}}",
    ((-1, r"{g}\,{0}^{{-2}}"),),
    "1 / {0}",
)
# Z = K + s I: <g, ds I> = tr(g) ds.
ADD_TO_DIAGONAL = Operation(
    "add_to_diagonal",
    lambda K, s: K + s * np.eye(len(K)),
    (lambda g, Z, K, s: g, lambda g, Z, K, s: np.trace(g)),
    _add_to_diagonal_shape,
    r"{0} + {1}\,I",
    ((1, "{g}"), (1, r"\mathrm{{tr}}\,{g}")),
    "{0} + {1} * I",
    "sum",
)
# Z = K^-1:   0 = d(K Z) gives dZ = -Z dK Z, and <g, -Z dK Z> = <-Z' g Z', dK>.
INVERSE = Operation(
    "inverse",
    np.linalg.inv,
    (lambda g, Z, K: -Z.T @ g @ Z.T,),
    _square("an inverse"),
    "{0}^{{-1}}",
    ((-1, r"{0}^{{-\mathrm{{T}}}} {g}\,{0}^{{-\mathrm{{T}}}}"),),
    "inv({0})",
)
# z = log |det K|: dz = tr(K^-1 dK) = <K^-T, dK>.
LOG_DETERMINANT = Operation(
    "log_determinant",
    _log_determinant,
    (lambda g, z, K: g * np.linalg.inv(K).T,),
    lambda shape: _scalar(_square("a determinant")(shape)),
    r"\log\,|{0}|",
    ((1, r"{g}\,{0}^{{-\mathrm{{T}}}}"),),
    "log|{0}|",
)
# z = tr K:   dz = <I, dK>.
TRACE = Operation(
    "trace",
    np.trace,
    (lambda g, z, K: g * np.eye(len(K)),),
    lambda shape: _scalar(_square("a trace")(shape)),
    r"\mathrm{{tr}}({0})",
    ((1, r"{g}\,I"),),
    "tr({0})",
)
SQUARED_NORM = Operation(
    "squared_norm",
    lambda X: np.vdot(X, X),
    (lambda g, z, X: 2.0 * g * X,),
    _scalar,
    r"\Vert {0} \Vert^2",
    ((2, r"{g}\,{0}"),),
    "||{0}||^2",
)
TOTAL = Operation(
    "total",
    np.sum,
    (lambda g, z, X: np.full(X.shape, g),),
    _scalar,
    r"1^{{\mathrm{{T}}}} {0}\,1",
    ((1, r"{g}\,1\,1^{{\mathrm{{T}}}}"),),
    "sum({0})",
    "product",
)
EXP = Operation(
    "exp",
    np.exp,
    (lambda g, Z, X: g * Z,),
    _unchanged,
    r"\exp({0})",
    ((1, r"{g} \odot \exp({0})"),),
    "exp({0})",
)
LOG = Operation(
    "log",
    np.log,
    (lambda g, Z, X: g / X,),
    _unchanged,
    r"\log({0})",
    ((1, r"{g} \oslash {0}"),),
    "log({0})",
)
SWISH = Operation(
    "swish",
    swish,
    (lambda g, Z, X: g * swish_derivative(X),),
    _unchanged,
    r"\mathrm{{swish}}({0})",
    ((1, r"{g} \odot \mathrm{{swish}}^\prime({0})"),),
    "swish({0})",
)
CROSS_ENTROPY = Operation(
    "softmax_cross_entropy",
    softmax_cross_entropy,
    (_cross_entropy_pullback, None),
    _cross_entropy_shape,
    r"\mathrm{{CE}}({0}, {1})",
    ((1, r"{g}\,(\mathrm{{softmax}}\,{0} - \mathrm{{onehot}}\,{1}) / n"), (1, "")),
    "cross_entropy({0}, {1})",
)
