"""A computational graph: values forwards, gradients backwards, path by path."""

from typing import NamedTuple

import numpy as np

from gplvm._validation import NOT_OF_ORDER_ONE, NotFiniteError
from gplvm.graphs._dot import dot_text
from gplvm.graphs._node import Node, as_values, is_dimension, is_input
from gplvm.graphs._operation import show

_MAX_PATHS = 10_000

# What overflows is seen where it is checked.
_SILENT = np.errstate(over="ignore", invalid="ignore", divide="ignore")


class GradientPath(NamedTuple):
    """What one path of a graph contributes to a gradient.

    Parameters
    ----------
    nodes : tuple of str
        Names of the nodes along the path, from the one asked for to the output.

    gradient : ndarray
        Its contribution, of the shape of the first node.

    See Also
    --------
    ComputationalGraph.gradient_paths : Where it comes from.

    Examples
    --------
    >>> from gplvm.graphs import ComputationalGraph, Input
    >>> x = Input("x", ())
    >>> graph = ComputationalGraph((x * x).named("L"))
    >>> _ = graph.forward(x=3.0)
    >>> [(path.nodes, float(path.gradient)) for path in graph.gradient_paths("x")]
    [(('x', 'L'), 3.0), (('x', 'L'), 3.0)]
    """

    nodes: tuple
    gradient: np.ndarray


class ComputationalGraph:
    """The nodes that lead to one node, with their values and gradients.

    `forward` computes every node from the inputs, `backward` the gradient of the
    output with respect to every node: from the output to the inputs, each node adds
    what its operation's pullbacks return to the gradients of its parents [1]_. Every
    value and every gradient has two dimensions at most.

    Parameters
    ----------
    output : Node
        The node to compute. Its parents, theirs, and so on, are the graph.

    Attributes
    ----------
    nodes : dict of str to Node
        All nodes by name, parents before their children. Of nodes without a name of
        their own whose formulas agree, the second one has a ``(2)`` at its end.

    inputs : list of str
        Names of the nodes whose values `forward` needs.

    output : str
        Name of the node that is computed.

    uses : dict of Node to list of (Node, int)
        For each node its children through which a gradient comes back to it, and as
        which argument of theirs.

    Raises
    ------
    TypeError
        If `output` is no node.

    ValueError
        If two nodes were given the same name.

    See Also
    --------
    Input : Where a graph starts.
    gplvm.plotting.ComputationalGraphDisplay : Its drawing.

    References
    ----------
    .. [1] Griewank, A., & Walther, A. (2008). Evaluating Derivatives: Principles and
           Techniques of Algorithmic Differentiation, 2nd edition. SIAM.

    Examples
    --------
    Ridge regression, with the gradient of its weights:

    >>> import numpy as np
    >>> from gplvm.graphs import ComputationalGraph, Input, squared_norm
    >>> X = Input("X", ("n", "p"), constant=True)
    >>> Y = Input("Y", ("n", "d"), constant=True)
    >>> W = Input("W", ("p", "d"))
    >>> R = (X @ W - Y).named("R")
    >>> loss = (0.5 * squared_norm(R) + 0.1 * squared_norm(W)).named("L")
    >>> graph = ComputationalGraph(loss)
    >>> float(graph.forward(X=np.eye(2), Y=[[1.0], [2.0]], W=[[0.0], [1.0]]))
    1.1
    >>> graph.backward()["W"]
    array([[-1. ],
           [-0.8]])
    >>> [path.nodes for path in graph.gradient_paths("W")]
    [('W', 'X @ W', 'R', '0.5 * ||R||^2', 'L'), ('W', '0.1 * ||W||^2', 'L')]
    """

    def __init__(self, output):
        if not isinstance(output, Node):
            raise TypeError(f"output must be a node, got {type(output).__name__}")
        self._order = _parents_first(output)
        self._names = _unique_names(self._order)
        self._output = output
        self.nodes = {self._names[node]: node for node in self._order}
        self.inputs = [self._names[node] for node in self._order if is_input(node)]
        self.output = self._names[output]
        self.uses = {node: [] for node in self._order}
        for child in self._order:
            for position, parent in enumerate(child.parents):
                if child.operation.pullbacks[position] and not parent.constant:
                    self.uses[parent].append((child, position))
        self._raw = self._gradients = None  # raw: without the nodes' factors

    def __repr__(self):
        return (
            f"<ComputationalGraph of {self.output}: {len(self.nodes)} nodes, inputs "
            f"{', '.join(self.inputs)}>"
        )

    @_SILENT
    def forward(self, **inputs):
        """Compute every node.

        Parameters
        ----------
        **inputs : dict of str to array-like
            A value for each of the graph's inputs, by name. They are copied.

        Returns
        -------
        value : ndarray or float
            The output's value; a float if it is a scalar.

        Raises
        ------
        ValueError
            If an input is missing or unknown, is not real, or has a shape that does
            not fit its own or that of another input, or a value is not finite.

        See Also
        --------
        value : The value of any node, afterwards.
        """
        self._raw = self._gradients = None
        values, sizes = self._bound(inputs)
        for node in self._order:
            if is_dimension(node):
                if node.name not in sizes:
                    raise ValueError(f"no input's shape has the symbol {node.name!r}")
                values[node] = np.array(float(sizes[node.name][0]))
            elif not is_input(node):
                arguments = [_scaled(p, values[p]) for p in node.parents]
                result = np.asarray(node.operation.forward(*arguments))
                self._check(node, result, sizes, "value")
                values[node] = result
        self._raw = values
        self._sizes = sizes
        return _own(_scaled(self._output, values[self._output]))

    def _bound(self, inputs):
        """The inputs' arrays, and the sizes of symbols with who decided them."""
        unknown = sorted(set(inputs) - set(self.inputs))
        if unknown:
            raise ValueError(
                f"unknown input {unknown[0]!r}; the inputs are {', '.join(self.inputs)}"
            )
        values, sizes = {}, {}
        for name in self.inputs:
            node = self.nodes[name]
            if name not in inputs:
                shape = show(node.shape)
                raise ValueError(f"input {name!r} of shape {shape} is missing")
            array = as_values(node, inputs[name])
            self._check(node, array, sizes, "value", bind=True)
            values[node] = array
        return values, sizes

    def _check(self, node, array, sizes, what, *, bind=False):
        """Raise unless an array has its node's shape; inputs decide open symbols."""
        name, known = self._names[node], []
        fits = array.ndim == len(node.shape)
        for symbol, size in zip(node.shape, array.shape, strict=False):
            if not isinstance(symbol, str):
                fits = fits and size == symbol
                continue
            if bind and fits:
                sizes.setdefault(symbol, (size, name))
            if symbol in sizes:
                expected, source = sizes[symbol]
                fits = fits and size == expected
                known.append(f"{symbol} = {expected}, as in {source}")
        if not fits:
            where = [text for text in known if not text.endswith(f" {name}")]
            raise ValueError(
                f"the {what} of {name} has shape {array.shape}, expected "
                f"{show(node.shape)}" + (f" with {'; '.join(where)}" if where else "")
            )
        if not np.all(np.isfinite(array)):
            raise NotFiniteError(
                f"the {what} of {name} is not finite: {NOT_OF_ORDER_ONE}"
            )

    @_SILENT
    def backward(self):
        """Compute the output's gradient with respect to every node.

        Returns
        -------
        gradients : dict of str to ndarray or float
            The gradient with respect to each input that is not constant, of its
            shape.

        Raises
        ------
        ValueError
            If `forward` has not been called, the output is no scalar, or a gradient is
            not finite.

        See Also
        --------
        gradient : The gradient of any node, afterwards.
        gradient_paths : What each path contributes.
        """
        self._need_forward("backward")
        self._need_scalar()
        # In the reverse order a node's gradient is complete when its turn comes: each
        # of its children has added its share.
        gradients = {} if self._output.constant else {self._output: np.array(1.0)}
        for child in reversed(self._order):
            if child not in gradients:
                continue
            for position, parent in enumerate(child.parents):
                if (child, position) in self.uses[parent]:
                    share = self._pulled_back(child, position, gradients[child])
                    if parent in gradients:
                        share = gradients[parent] + share
                        self._check(parent, share, self._sizes, "gradient")
                    gradients[parent] = share
        self._gradients = gradients
        return {
            name: _own(gradients[self.nodes[name]])
            for name in self.inputs
            if self.nodes[name] in gradients
        }

    def _pulled_back(self, child, position, g):
        arguments = [_scaled(p, self._raw[p]) for p in child.parents]
        pullback = child.operation.pullbacks[position]
        share = np.asarray(pullback(child.factor * g, self._raw[child], *arguments))
        self._check(child.parents[position], share, self._sizes, "gradient")
        return share

    @_SILENT
    def gradient_paths(self, name):
        """Split the gradient with respect to a node into its paths to the output.

        Their sum is the gradient: a variable that enters at several places gets
        something back from each.

        Parameters
        ----------
        name : str
            Name of a node.

        Returns
        -------
        paths : list of GradientPath
            The nodes along each path, and its contribution.

        Raises
        ------
        ValueError
            If the name is unknown or the node constant, if `forward` has not been
            called, if the output is no scalar, or if there are more than ten
            thousand paths.

        See Also
        --------
        backward : Their sums, for all inputs at once.
        """
        start = self._node(name)
        self._need_gradient(name)
        self._need_forward("gradient_paths")
        self._need_scalar()
        counts = self._count_paths()
        if counts[start] > _MAX_PATHS:
            raise ValueError(f"there are {counts[start]} paths from {name!r}: too many")

        def continued(node):
            """Paths from a node to the output, with the pullbacks' steps to come."""
            if node is self._output:
                yield (node,), ()
            for child, position in self.uses[node]:
                for nodes, steps in continued(child):
                    yield (node, *nodes), ((child, position), *steps)

        paths = []
        for nodes, steps in continued(start):
            g = np.array(1.0)
            for child, position in reversed(steps):
                g = self._pulled_back(child, position, g)
            paths.append(GradientPath(tuple(self._names[n] for n in nodes), _own(g)))
        return paths

    def _count_paths(self):
        counts = dict.fromkeys(self._order, 0)
        counts[self._output] = 1
        for node in reversed(self._order):
            counts[node] += sum(counts[child] for child, _ in self.uses[node])
        return counts

    def value(self, name):
        """The value that the last `forward` gave to a node.

        Parameters
        ----------
        name : str
            Name of a node.

        Returns
        -------
        value : ndarray or float
            A copy; a float if it is a scalar.

        Raises
        ------
        ValueError
            If the name is unknown, or `forward` has not been called.

        See Also
        --------
        gradient : What the last `backward` gave to it.
        """
        node = self._node(name)
        self._need_forward("value")
        return _own(_scaled(node, self._raw[node]))

    def gradient(self, name):
        """The gradient that the last `backward` gave to a node.

        Parameters
        ----------
        name : str
            Name of a node.

        Returns
        -------
        gradient : ndarray or float
            The output's gradient with respect to the node, of its shape: a copy.

        Raises
        ------
        ValueError
            If the name is unknown, the node constant, or `backward` has not been
            called since the last `forward`.

        See Also
        --------
        value : What the last `forward` gave to it.
        """
        node = self._node(name)
        self._need_gradient(name)
        if self._gradients is None:
            raise ValueError("gradient needs backward() first")
        return _own(self._gradients[node])

    def differentiates(self, parent, child):
        """Whether a gradient comes back along an edge.

        Parameters
        ----------
        parent, child : str
            Names of two nodes.

        Returns
        -------
        differentiates : bool
            False where the parent is constant, the child does not depend on it
            smoothly, or there is no such edge.

        Raises
        ------
        ValueError
            If a name is unknown.

        See Also
        --------
        gradient_paths : All paths made of such edges.
        """
        child = self._node(child)
        return any(user is child for user, _ in self.uses[self._node(parent)])

    def to_dot(self):
        """The graph in graphviz's language, from left to right.

        Returns
        -------
        dot : str
            The source, for the `dot` command: formulas and shapes in the nodes, boxes
            for inputs, dashed ones for data.

        See Also
        --------
        gplvm.plotting.ComputationalGraphDisplay : A drawing without graphviz.
        """
        return dot_text(self._order, self._names)

    def _node(self, name):
        if name not in self.nodes:
            raise ValueError(
                f"no node is called {name!r}; there are {', '.join(self.nodes)}"
            )
        return self.nodes[name]

    def _need_forward(self, what):
        if self._raw is None:
            raise ValueError(f"{what} needs forward(...) first")

    def _need_scalar(self):
        if self._output.shape != ():
            raise ValueError(
                f"only a scalar has a gradient; {self.output} has shape "
                f"{show(self._output.shape)}"
            )

    def _need_gradient(self, name):
        if self.nodes[name].constant:
            raise ValueError(f"{name!r} is constant: it has no gradient")


def _parents_first(output):
    """All nodes that lead to the output, each after its parents."""
    order, seen, stack = [], set(), [(output, False)]
    while stack:
        node, parents_done = stack.pop()
        if parents_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((p, False) for p in reversed(node.parents) if p not in seen)
    return order


def _unique_names(order):
    """A name for each node: given ones as they are, formulas numbered."""
    names, taken = {}, set()
    for node in order:
        if node.given_name is not None:
            if node.given_name in taken:
                raise ValueError(f"two nodes are called {node.given_name!r}")
            taken.add(node.given_name)
            names[node] = node.given_name
    for node in order:
        if node not in names:
            name, count = node.name, 1
            while name in taken:
                count += 1
                name = f"{node.name} ({count})"
            taken.add(name)
            names[node] = name
    return names


def _scaled(node, raw):
    """A node's value; class indices, whose factor is 1, stay integers."""
    return raw if node.factor == 1 else node.factor * raw


def _own(value):
    """A copy; scalars as floats."""
    return float(value) if np.ndim(value) == 0 else np.array(value)
