"""Display of a computational graph: values forwards, gradients backwards."""

import numpy as np

from gplvm.graphs import ComputationalGraph
from gplvm.graphs._formulas import backward_formula, barred, formula, symbol
from gplvm.plotting._layered import layered_layout
from gplvm.plotting._style import FRAME, INK, PALETTE, merged

_FORWARD, _BACKWARD = PALETTE[0], "#B85C00"  # blue; orange, dark enough for text
_SIZES = {"forward": 12.5, "shape": 10.0, "backward": 11.5}  # points
_PAD = np.array([9.0, 6.0])  # within a box
_LEADING = 4.5  # between lines of a box
_MARGIN = 6.0  # around the graph
_KEY = 30.0  # for the line that explains the colours
_GREY = "#6B6B6B"
_FONT = {"family": "STIXGeneral", "math_fontfamily": "stix"}  # matplotlib brings it
_FILLS = {"variable": "#FFF6EA", "data": "#F0F0F0", "operation": "white"}


class ComputationalGraphDisplay:
    """A computational graph from left to right, each node with what it computes.

    A box has the forward formula, the shape, and the backward formula, in which a bar
    means the gradient of the output: a term for each edge that leaves the node. All
    of it comes from the graph that is executed. It is recommended to use
    :meth:`from_graph`. All parameters are stored as attributes.

    Parameters
    ----------
    graph : gplvm.graphs.ComputationalGraph
        The graph.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the graph; data units are points at the natural size.

    figure_ : matplotlib Figure
        Figure that holds the axes.

    boxes_ : dict of str to matplotlib FancyBboxPatch
        The boxes by the nodes' names.

    texts_ : dict of str to list of matplotlib Text
        The lines in each box: forward, shape, backward.

    edges_ : list of matplotlib FancyArrowPatch
        The arrows from parents to children.

    n_crossings_ : int
        Pairs of edges that cross.

    See Also
    --------
    gplvm.graphs.ComputationalGraph : What is drawn.

    Examples
    --------
    >>> from gplvm.graphs import autoencoder_graph
    >>> from gplvm.plotting import ComputationalGraphDisplay
    >>> display = ComputationalGraphDisplay.from_graph(autoencoder_graph())
    >>> display.texts_["R"][0].get_text(), display.texts_["R"][2].get_text()
    ('$R = O - X$', '$\\\\bar{R} = R$')
    >>> display.n_crossings_
    0
    """

    def __init__(self, graph):
        self.graph = graph

    def plot(
        self,
        *,
        ax=None,
        backward=True,
        shapes=True,
        key=True,
        forward_kwargs=None,
        backward_kwargs=None,
        box_kwargs=None,
        edge_kwargs=None,
    ):
        """Draw the graph.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on, whose size decides that of the text; None: a new figure
            of the graph's natural size.

        backward : bool, default=True
            Whether to write the gradients and draw the way that they take.

        shapes : bool, default=True
            Whether to write the shapes.

        key : bool, default=True
            Whether to explain the colours below the graph.

        forward_kwargs : dict, default=None
            Passed to :meth:`matplotlib.axes.Axes.text` for the forward formulas, over
            the defaults; its `color` is that of the forward arrows too.

        backward_kwargs : dict, default=None
            The same for the backward formulas and arrows.

        box_kwargs : dict, default=None
            Passed to :class:`matplotlib.patches.FancyBboxPatch`, over the defaults.

        edge_kwargs : dict, default=None
            Passed to :class:`matplotlib.patches.FancyArrowPatch`, over the defaults.

        Returns
        -------
        display : ComputationalGraphDisplay
            The object itself, with `ax_` and `figure_`.

        Raises
        ------
        TypeError
            If `graph` is no computational graph.
        """
        if not isinstance(self.graph, ComputationalGraph):
            raise TypeError(
                f"graph must be a ComputationalGraph; got {type(self.graph).__name__}."
            )
        names = {node: name for name, node in self.graph.nodes.items()}
        styles = {
            "forward": merged({"color": _FORWARD}, forward_kwargs),
            "shape": {"color": _GREY},
            "backward": merged({"color": _BACKWARD}, backward_kwargs),
        }
        lines = {
            node: _lines(node, self.graph, backward=backward, shapes=shapes)
            for node in names
        }
        layout, edges = _laid_out(names, lines, styles, backward)
        explained = _key_texts(self.graph, backward) if key else []
        key_width = sum(_extent(text, size)[0] + 24 for text, size, _ in explained)
        width = max(layout.width, key_width) + 2 * _MARGIN
        height = layout.height + 2 * _MARGIN + (_KEY if key else 0.0)
        ax, scale = _prepared(ax, width, height)

        self.n_crossings_ = layout.crossings
        self.boxes_, self.texts_, self.edges_ = {}, {}, []
        for (parent, child), route in zip(edges, layout.routes, strict=True):
            ends = names[parent], names[child]
            returns = backward and self.graph.differentiates(*ends)
            self.edges_.append(
                _draw_edge(ax, route, scale, styles, returns, edge_kwargs)
            )
        places = zip(names, np.column_stack([layout.x, layout.y]), strict=True)
        for node, place in places:
            name = names[node]
            last = name == self.graph.output
            self.boxes_[name] = _draw_box(
                ax, node, place, _box(lines[node], styles), scale, last, box_kwargs
            )
            self.texts_[name] = _write(ax, place, lines[node], styles, scale)
        if key:
            _explain(ax, explained, layout.height + _KEY - 6, scale, styles)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    @classmethod
    def from_graph(cls, graph, *, ax=None, **plot_kwargs):
        """Draw a graph.

        Parameters
        ----------
        graph : gplvm.graphs.ComputationalGraph
            The graph: one of the losses, or an own one.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ComputationalGraphDisplay
            The display, drawn.

        Raises
        ------
        TypeError
            If `graph` is no computational graph.

        See Also
        --------
        gplvm.graphs.ComputationalGraph.to_dot : The same for graphviz.

        Examples
        --------
        >>> from gplvm.graphs import ComputationalGraph, Input, squared_norm
        >>> from gplvm.plotting import ComputationalGraphDisplay
        >>> graph = ComputationalGraph(squared_norm(Input("x", ("n",))).named("L"))
        >>> display = ComputationalGraphDisplay.from_graph(graph, backward=False)
        >>> list(display.boxes_)
        ['x', 'L']
        """
        return cls(graph).plot(ax=ax, **plot_kwargs)


def save_graph(graph, stem, *, dpi=100):
    """Write a graph as PNG and as SVG.

    Parameters
    ----------
    graph : ComputationalGraph
        The graph.

    stem : Path
        The files' path without their endings.

    dpi : float, default=100
        Pixels per inch of the PNG.

    Returns
    -------
    paths : list of Path
        What was written.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    figure = ComputationalGraphDisplay.from_graph(graph).figure_
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "svg")]
    # The same graph gives the same bytes.
    with mpl.rc_context({"svg.hashsalt": "gplvm", "svg.fonttype": "path"}):
        figure.savefig(paths[0], dpi=dpi)
        figure.savefig(paths[1], metadata={"Date": None})
    plt.close(figure)
    return paths


def _lines(node, graph, *, backward, shapes):
    """What stands in a box: (kind, text) from top to bottom."""
    said = formula(node)
    left = symbol(node)
    if said is None or said == left:
        lines = [("forward", f"${left}$")]
    else:
        lines = [("forward", f"${left} = {said}$")]
    if shapes:
        sizes = r" \times ".join(str(size) for size in node.shape)
        lines.append(("shape", f"${sizes}$" if sizes else "scalar"))
    if backward and not node.constant:
        comes_back = backward_formula(node, graph.uses)
        lines.append(("backward", f"${barred(node)} = {comes_back}$"))
    return lines


def _extent(text, size):
    """Width and height of a text in points; a line's height is that of its font."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=size, **_FONT)
    width, height, _ = text_to_path.get_text_width_height_descent(
        text, font, ismath=text.count("$") >= 2
    )
    return width, max(height, 0.9 * size)


def _size(kind, styles):
    look = styles[kind]
    return look.get("fontsize", look.get("size", _SIZES[kind]))


def _box(lines, styles):
    """Width and height of a box."""
    extents = np.array([_extent(text, _size(kind, styles)) for kind, text in lines])
    height = extents[:, 1].sum() + _LEADING * (len(lines) - 1)
    return np.array([extents[:, 0].max(), height]) + 2 * _PAD


def _laid_out(names, lines, styles, backward):
    position = {node: i for i, node in enumerate(names)}
    edges = [(parent, child) for child in names for parent in child.parents]
    layout = layered_layout(
        [_box(lines[node], styles) for node in names],
        [(position[parent], position[child]) for parent, child in edges],
        port=13.0 if backward else 8.0,
    )
    return layout, edges


def _prepared(ax, width, height):
    """Axes in points, y downwards, and what one of them is on the axes."""
    if ax is None:
        import matplotlib.pyplot as plt

        figure = plt.figure(figsize=(width / 72, height / 72))
        ax = figure.add_axes((0, 0, 1, 1))
        scale = 1.0
    else:
        box = ax.get_window_extent()
        scale = min(box.width / width, box.height / height) * 72 / ax.figure.dpi
    low = -_MARGIN
    ax.set(xlim=(low, low + width), ylim=(low + height, low), aspect="equal")
    ax.set_axis_off()
    return ax, scale


def _draw_edge(ax, route, scale, styles, returns, edge_kwargs):
    from matplotlib.patches import FancyArrowPatch

    look = {
        "arrowstyle": "-|>",
        "mutation_scale": 9 * scale,
        "linewidth": 1.2 * scale,
        "color": styles["forward"]["color"],
        "shrinkA": 0,
        "shrinkB": 0,
        "zorder": 1,
    }
    shift = np.array([0.0, 2.6 if returns else 0.0])
    arrow = FancyArrowPatch(path=_smooth(route - shift), **merged(look, edge_kwargs))
    ax.add_patch(arrow)
    if returns:
        look |= {"color": styles["backward"]["color"], "linewidth": scale}
        look |= {"linestyle": (0, (4, 2)), "mutation_scale": 7.5 * scale}
        back = FancyArrowPatch(
            path=_smooth(route[::-1] + shift), **merged(look, edge_kwargs)
        )
        ax.add_patch(back)
    return arrow


def _smooth(route):
    """Horizontal pieces joined by curves that are horizontal at both ends."""
    from matplotlib.path import Path

    points, codes = [route[0]], [Path.MOVETO]
    for i, point in enumerate(route[1:], start=1):
        before = route[i - 1]
        if i % 2 == 1 or before[1] == point[1]:
            points.append(point)
            codes.append(Path.LINETO)
            continue
        middle = (before[0] + point[0]) / 2
        points += [(middle, before[1]), (middle, point[1]), point]
        codes += [Path.CURVE4] * 3
    return Path(points, codes)


def _draw_box(ax, node, centre, size, scale, last, box_kwargs):
    from matplotlib.patches import FancyBboxPatch

    kind = "operation" if node.operation is not None else "variable"
    if node.constant and not node.parents:
        kind = "data"
    look = {
        "boxstyle": "round,pad=0,rounding_size=5",
        "facecolor": _FILLS[kind],
        "edgecolor": INK if last else FRAME,
        "linewidth": (1.4 if last else 1.0) * scale,
        "zorder": 2,
    }
    corner = centre - size / 2
    patch = FancyBboxPatch(corner, *size, **merged(look, box_kwargs))
    ax.add_patch(patch)
    return patch


def _write(ax, centre, lines, styles, scale):
    """The lines of a box, from top to bottom."""
    heights = [_extent(t, _size(kind, styles))[1] + _LEADING for kind, t in lines]
    top = centre[1] - sum(heights) / 2
    texts = []
    for (kind, text), height in zip(lines, heights, strict=True):
        look = {"ha": "center", "va": "center", "zorder": 3, **styles[kind]}
        look |= {"fontsize": _size(kind, styles) * scale, **_FONT}
        look.pop("size", None)
        texts.append(ax.text(centre[0], top + height / 2, text, **look))
        top += height
    return texts


def _key_texts(graph, backward):
    """(text, size, kind) of each piece of the key."""
    output = symbol(graph.nodes[graph.output])
    pieces = [("forward: what a node computes", 11.5, "forward")]
    if backward:
        bar = rf"$\bar{{Z}} = \mathrm{{d}}{output}\,/\,\mathrm{{d}}Z$"
        pieces.append((f"backward: {bar}, a term for each use", 11.5, "backward"))
    pieces.append(("boxes: orange variables, grey data", 11.5, "shape"))
    return pieces


def _explain(ax, pieces, y, scale, styles):
    x = 0.0
    for text, size, kind in pieces:
        look = {"fontsize": size * scale, **_FONT}
        ax.text(x, y, text, va="center", color=styles[kind]["color"], **look)
        x += _extent(text, size)[0] + 24
