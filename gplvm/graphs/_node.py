"""The nodes of a computational graph, and what Python's operators make of them."""

import numbers
from dataclasses import dataclass, replace

import numpy as np

from gplvm.graphs import _operation as operations
from gplvm.graphs._operation import Operation, show

_LONGEST_NAME = 80  # letters of a formula that stands for a name


@dataclass(frozen=True, eq=False, repr=False)
class Node:
    """A quantity of a computational graph: a name, an operation, a shape.

    Nodes are made from other nodes: by Python's operators ``@``, ``+``, ``-``, ``*``
    and ``/``, by `T`, and by the functions of `gplvm.graphs`; the first ones are
    `Input`. A node has no values: those belong to a `ComputationalGraph`.

    ``+`` adds equal shapes, or a row to every row of a matrix. ``*`` multiplies by a
    number, by a scalar, or elementwise. ``1 / x`` is for scalars.

    Parameters
    ----------
    operation : Operation or None
        What it does; None for what is given.

    parents : tuple of Node
        The operation's arguments.

    shape : tuple of str or int
        Symbols such as ``"n"``, whose sizes the inputs' arrays decide, or numbers; at
        most two.

    factor : float, default=1.0
        A number that multiplies the operation's result.

    given_name : str, default=None
        The name; None: the formula.

    given_symbol : str, default=None
        How the name is drawn, as mathtext; None: follows from the name.

    constant : bool, default=False
        Whether no gradient is wanted.

    See Also
    --------
    Input : A node that is given.
    ComputationalGraph : The nodes that lead to one, with values and gradients.

    Examples
    --------
    >>> from gplvm.graphs import Input
    >>> X, W = Input("X", ("n", "p")), Input("W", ("m", "p"))
    >>> X @ W.T
    <X @ W': shape (n, m)>
    >>> (X @ W.T).named("H")
    <H = X @ W': shape (n, m)>
    """

    operation: Operation | None
    parents: tuple
    shape: tuple
    factor: float = 1.0
    given_name: str | None = None
    given_symbol: str | None = None
    constant: bool = False

    __array_ufunc__ = None  # a numpy number must not take a node for an array

    def __post_init__(self):
        if len(self.shape) > 2:
            raise ValueError(
                f"a node has at most two dimensions, got shape {show(self.shape)}"
            )
        object.__setattr__(self, "_code", _code(self))

    def __repr__(self):
        name, code = self.name, self.code
        said = name if code in (None, name) else f"{name} = {code}"
        return f"<{said}: shape {show(self.shape)}>"

    @property
    def code(self):
        """The formula as plain text; None for what is given."""
        return self._code

    @property
    def name(self):
        """The name that was given, or else the formula, or of a long one its kind."""
        if self.given_name is not None:
            return self.given_name
        return f"{self.operation.name}(...)" if self.is_long else self._code

    @property
    def is_long(self):
        """Whether the formula is no name: too long to read."""
        return self._code is not None and len(self._code) > _LONGEST_NAME

    def named(self, name, symbol=None):
        """The same node with a name of its own.

        Parameters
        ----------
        name : str
            The name, by which a graph knows its values.

        symbol : str, default=None
            How it is drawn, as mathtext without dollars; None: the name, with digits
            at its end as a subscript and Greek letters by their names.

        Returns
        -------
        node : Node
            A copy with that name.

        Raises
        ------
        ValueError
            If the name is no text, or empty.
        """
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"a node's name must be a text, got {name!r}")
        return replace(self, given_name=name, given_symbol=symbol)

    @property
    def T(self):
        """The transpose of a matrix."""
        return apply(operations.TRANSPOSE, self)

    def __matmul__(self, other):
        return apply(operations.MATMUL, self, _as_node(other, "@"))

    def __add__(self, other):
        other = _as_node(other, "+")
        if len(self.shape) == 2 and len(other.shape) == 1:
            return apply(operations.ADD_ROW, self, other)
        if len(self.shape) == 1 and len(other.shape) == 2:
            return apply(operations.ADD_ROW, other, self)
        terms = self.parents if self._is_open_sum() else (self,)
        return apply(operations.addition(len(terms) + 1), *terms, other)

    def _is_open_sum(self):
        """Whether it is a sum that has no name yet: a further term joins it."""
        added = self.operation is not None and self.operation.name == "add"
        return added and self.given_name is None

    def __sub__(self, other):
        return apply(operations.SUBTRACT, self, _as_node(other, "-"))

    def __mul__(self, other):
        if isinstance(other, numbers.Real):
            return self._times(float(other))
        other = _as_node(other, "*")
        if self.shape == () == other.shape:
            return apply(operations.SCALE_SCALAR, self, other)
        if self.shape == ():
            return apply(operations.SCALE, self, other)
        if other.shape == ():
            return apply(operations.SCALE, other, self)
        return apply(operations.HADAMARD, self, other)

    def __rmul__(self, other):
        return self * other

    def __neg__(self):
        return self._times(-1.0)

    def __truediv__(self, other):
        if isinstance(other, numbers.Real):
            if other == 0:
                raise ValueError(f"{self.name} cannot be divided by zero")
            return self._times(1.0 / float(other))
        return self * (1.0 / _as_node(other, "/"))

    def __rtruediv__(self, other):
        if not isinstance(other, numbers.Real):
            _as_node(other, "/")
        if self.shape != ():
            raise ValueError(
                f"only a scalar can divide; {self.name} has shape {show(self.shape)}"
            )
        return apply(operations.RECIPROCAL, self)._times(float(other))

    def _times(self, number):
        """A number joins an operation that has no name yet, unless it is a sum."""
        if number == 1:
            return self
        open_ended = self.operation is not None and self.given_name is None
        if open_ended and self.operation.level != "sum":
            return replace(self, factor=number * self.factor)
        return replace(apply(operations.MULTIPLE, self), factor=number)


def _code(node):
    """A node's formula as plain text."""
    if node.operation is None:
        return None
    template = node.operation.code
    if template is None:
        slots = ", ".join(f"{{{i}}}" for i in range(len(node.parents)))
        template = f"{node.operation.name}({slots})"
    # What stands in brackets, of whatever kind, needs none around it.
    bare = not template.startswith("{") and not template.endswith("}")
    names = [
        f"({parent.name})" if " " in parent.name and not bare else parent.name
        for parent in node.parents
    ]
    text = template.format(*names)
    if node.factor == 1:
        return text
    return f"-{text}" if node.factor == -1 else f"{node.factor:g} * {text}"


def _as_node(value, operator):
    if not isinstance(value, Node):
        raise TypeError(
            f"{operator} needs another node, got {type(value).__name__}; an array "
            "enters a graph as the value of an Input"
        )
    return value


def apply(operation, *parents):
    """Make a node of an operation and its arguments.

    Parameters
    ----------
    operation : Operation
        What the node does.

    *parents : Node
        The arguments.

    Returns
    -------
    node : Node
        The result. Without a name it is called by its formula.

    Raises
    ------
    TypeError
        If the operation is none, or an argument no node.

    ValueError
        If the operation has another number of arguments, or does not take these
        shapes.

    See Also
    --------
    Operation : What an operation consists of, with an example of an own one.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.graphs import Input, Operation, apply
    >>> root = Operation(
    ...     "sqrt", np.sqrt, (lambda g, z, x: g / (2 * z),), lambda shape: shape,
    ...     r"\\sqrt{{{0}}}",
    ... )
    >>> apply(root, Input("x", ()))
    <sqrt(x): shape ()>
    """
    if not hasattr(operation, "pullbacks"):
        raise TypeError(f"expected an Operation, got {operation!r}")
    for parent in parents:
        _as_node(parent, operation.name)
    if len(parents) != len(operation.pullbacks):
        raise ValueError(
            f"{operation.name} takes {len(operation.pullbacks)} arguments, got "
            f"{len(parents)}"
        )
    shape = operation.shape(*(parent.shape for parent in parents))
    # Nothing changes it, or nothing smoothly: no gradient either.
    constant = all(
        parent.constant or pullback is None
        for parent, pullback in zip(parents, operation.pullbacks, strict=True)
    )
    return Node(operation, parents, tuple(shape), constant=constant)


def Input(name, shape, *, constant=False, symbol=None):
    """A node whose values are given to a graph's `forward`.

    Parameters
    ----------
    name : str
        The name, under which the values are given.

    shape : tuple of str or int
        At most two symbols or numbers: ``("n", "p")`` is any matrix, and whatever
        else has the symbol ``"n"`` has as many rows; ``()`` is a scalar.

    constant : bool, default=False
        Whether it is data, for which no gradient is wanted.

    symbol : str, default=None
        How it is drawn, as mathtext without dollars; None: follows from the name.

    Returns
    -------
    node : Node
        The node.

    Raises
    ------
    ValueError
        If the name is no text, or the shape has more than two entries or others than
        symbols and sizes.

    See Also
    --------
    Dimension : A size that the inputs' shapes decide.

    Examples
    --------
    >>> from gplvm.graphs import Input
    >>> Input("Y", ("N", "D"), constant=True)
    <Y: shape (N, D)>
    """
    if isinstance(shape, str | numbers.Integral):
        shape = (shape,)
    for size in shape:
        symbolic = isinstance(size, str) and size
        if not symbolic and not (isinstance(size, numbers.Integral) and size > 0):
            raise ValueError(
                f"a shape has symbols and positive sizes, got {size!r} for {name}"
            )
    node = Node(None, (), tuple(shape), constant=bool(constant))
    return node.named(name, symbol)


def Dimension(symbol):
    """A constant scalar: the size that a symbol of the inputs' shapes has.

    Parameters
    ----------
    symbol : str
        The symbol, which is the node's name too.

    Returns
    -------
    node : Node
        The node.

    Raises
    ------
    ValueError
        If the symbol is no text.

    See Also
    --------
    Input : What decides the size.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.graphs import ComputationalGraph, Dimension, Input, total
    >>> x = Input("x", ("n",))
    >>> mean = (total(x) * (1 / Dimension("n"))).named("mean")
    >>> float(ComputationalGraph(mean).forward(x=[1.0, 2.0, 6.0]))
    3.0
    """
    code = str(symbol).replace("{", "{{").replace("}", "}}")
    measured = Operation(
        "dimension", None, (), lambda: (), "", code=code, level="dimension"
    )
    return apply(measured).named(symbol)


def is_dimension(node):
    """Whether a node is a size, and no input."""
    return node.operation is not None and node.operation.level == "dimension"


def is_input(node):
    """Whether a node's values are given."""
    return node.operation is None


def as_values(node, value):
    """An input's values: floats, or the integers of a constant, in an own array."""
    array = np.array(value)
    if array.dtype.kind not in "iufb":
        raise ValueError(f"{node.name} must hold real numbers, got dtype {array.dtype}")
    return array if node.constant and array.dtype.kind in "iu" else array.astype(float)
