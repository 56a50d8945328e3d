"""What every figure shares: colours and markers of classes, axes, legends."""

from typing import NamedTuple

import numpy as np

# Ten colours whose CIELAB distances stay above 21 (the first seven: above 24) in
# normal vision and in simulated protanopia, deuteranopia and tritanopia (Machado,
# Oliveira and Fernandes 2009). None is so light that it fades on white.
PALETTE = (
    "#005DBC",  # blue
    "#CF6E00",  # orange
    "#00BB7E",  # green
    "#EF414E",  # red
    "#96B0FF",  # light blue
    "#BA9AB8",  # mauve
    "#432F64",  # deep violet
    "#7A4A10",  # brown
    "#E3B800",  # yellow
    "#7E6375",  # grey
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", "*", ">")
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))

# The seven species keep colour and marker in every figure, whichever are present.
SPECIES = (
    "direhorse",
    "mountain banshee",
    "great leonopteryx",
    "thanator",
    "viperwolf",
    "hammerhead titanothere",
    "hexapede",
)

INK = "#333333"
FRAME = "#BBBBBB"
MISSING = "#F3D9C6"  # pixels without a value: no grey, hence not mistaken for one

# Areas that make markers of equal `s` look equally large.
_MARKER_AREA = {"s": 0.8, "D": 0.7, "^": 1.05, "v": 1.05, "<": 1.05, ">": 1.05}
_MARKER_AREA |= {"P": 1.1, "X": 1.1, "*": 1.6}

_LEGEND_ENTRIES = 40  # more class names than this tell a reader nothing
_LEGEND_ROWS = 16


class ClassStyle(NamedTuple):
    """Colour and marker of one class."""

    color: str
    marker: str

    def area(self, size):
        """Scatter size at which this marker looks like a disc of `size`."""
        return size * _MARKER_AREA.get(self.marker, 1.0)


def _species_slot(name):
    """Position of a species in the palette; None for any other class."""
    name = str(name).strip().lower().replace("_", " ").replace("-", " ")
    return SPECIES.index(name) if name in SPECIES else None


def class_styles(names, *, indices=None):
    """Give every class a colour and a marker.

    A creature species is styled by its name. Any other class is styled by its
    index among the colours that no species present has taken; from the second
    round of colours on, the marker is another one, so that the pair stays unique
    for a hundred classes.

    Parameters
    ----------
    names : sequence of str
        Class names.

    indices : sequence of int, default=None
        Position of each class in the palette; None: its position in `names`.

    Returns
    -------
    styles : list of ClassStyle
        One per name.
    """
    slots = [_species_slot(name) for name in names]
    free = [slot for slot in range(len(PALETTE)) if slot not in slots]
    if indices is None:  # count the classes that have no colour of their own
        indices = np.cumsum([slot is None for slot in slots]) - 1
    styles = []
    for slot, index in zip(slots, indices, strict=True):
        turn = 0
        if slot is None:
            turn, place = divmod(int(index), len(free))
            slot = free[place]
        marker = MARKERS[(slot + turn) % len(MARKERS)]
        styles.append(ClassStyle(PALETTE[slot], marker))
    return styles


def line_styles(names):
    """Colour and dash pattern of each named line: a list of dicts."""
    return [
        {"color": style.color, "linestyle": LINE_STYLES[i % len(LINE_STYLES)]}
        for i, style in enumerate(class_styles(names))
    ]


def own_axes(width, height):
    """Axes of about this size in inches, in a new figure that lays itself out."""
    import matplotlib.pyplot as plt  # here: importing it may choose a backend

    return plt.subplots(figsize=(width + 1.5, height + 1.0), layout="constrained")[1]


def fit_figure(ax, width, height):
    """Size the figure so that `ax` is `width` x `height` inches, and all fits.

    How much room labels, legend and colour bar need is measured, not guessed.
    """
    figure = ax.figure
    figure.draw_without_rendering()
    box, everything = ax.bbox, ax.get_tightbbox()
    pads = figure.get_layout_engine().get()
    pad = np.array([pads["w_pad"], pads["h_pad"]])
    before = pad + (box.min - everything.min) / figure.dpi
    after = pad + (everything.max - box.max) / figure.dpi
    inches = np.array([width, height])
    size = before + inches + after
    figure.set_size_inches(*size)
    # Where the layout will put it: starting there, it has nothing left to correct.
    ax.set_position([*(before / size), *(inches / size)])
    ax.set_in_layout(True)  # set_position takes it out


def axes_inches(ax):
    """Width and height of the cell that holds `ax`, in inches."""
    box = ax.get_window_extent()
    return box.width / ax.figure.dpi, box.height / ax.figure.dpi


def font_size(ax):
    """Point size of small print: less in a small cell of a grid."""
    return 9.0 if max(axes_inches(ax)) > 2.6 else 7.0


def plain_axes(ax, *, xlabel=None, ylabel=None, grid=True):
    """Quiet axes: light frame, light grid under the data, small tick labels."""
    size = font_size(ax)
    ax.set_axisbelow(True)
    if grid:
        ax.grid(True, color=INK, alpha=0.12, linewidth=0.6)
    ax.tick_params(which="both", labelsize=size - 0.5, color=FRAME, labelcolor=INK)
    ax.tick_params(length=3)
    for spine in ax.spines.values():
        spine.set_color(FRAME)
    ax.set_xlabel(xlabel or "", fontsize=size + 1, color=INK)
    ax.set_ylabel(ylabel or "", fontsize=size + 1, color=INK)
    return ax


def latent_axes(ax, *, dimensions=(0, 1), feature_names=None, limits=None):
    """Axes of a latent plane: equal aspect, light grid, named dimensions.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes to dress.

    dimensions : tuple of two int, default=(0, 1)
        Latent dimensions along x and y.

    feature_names : sequence of str, default=None
        Names of all latent dimensions; None: "latent 1", "latent 2", ...

    limits : tuple (x_min, x_max, y_min, y_max), default=None
        Limits of the plane; None: leave them.

    Returns
    -------
    ax : matplotlib Axes
        The same axes.
    """
    from matplotlib.ticker import MaxNLocator

    xlabel, ylabel = (latent_name(d, feature_names) for d in dimensions)
    plain_axes(ax, xlabel=xlabel, ylabel=ylabel)
    ax.set_aspect("equal", adjustable="box")
    # At the left of its cell, a slim plane leaves all free width to the legend.
    ax.set_anchor("W")
    bins = 6 if font_size(ax) > 8 else 4
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(bins, steps=[1, 2, 2.5, 5, 10]))
    if limits is not None:
        ax.set(xlim=limits[:2], ylim=limits[2:])
    return ax


def latent_name(dimension, feature_names=None):
    """Axis label of a latent dimension; people count from one."""
    if feature_names is None:
        return f"latent {dimension + 1}"
    return str(feature_names[dimension])


def legend_columns(n_entries):
    """Columns of a legend: so many that none is taller than a figure."""
    return -(-min(n_entries, _LEGEND_ENTRIES + 1) // _LEGEND_ROWS)


def outside_legend(ax, handles, **legend_kwargs):
    """Legend to the right of the axes, beside and never over the data.

    A figure with a layout engine makes the room itself; for one without,
    :func:`make_room` does.
    """
    from matplotlib.lines import Line2D

    hidden = len(handles) - _LEGEND_ENTRIES
    if hidden > 0:
        more = Line2D([], [], linestyle="none", label=f"... and {hidden} more")
        handles = [*handles[:_LEGEND_ENTRIES], more]
    defaults = {
        "loc": "upper left",
        "bbox_to_anchor": (1.0, 1.0),
        "borderaxespad": 0.0,
        "borderpad": 0.0,
        "frameon": False,
        "fontsize": font_size(ax),
        "labelcolor": INK,
        "handletextpad": 0.5,
        "labelspacing": 0.45,
        "ncols": legend_columns(len(handles)),
        "columnspacing": 1.0,
    }
    settings = defaults | legend_kwargs
    if "bbox_to_anchor" not in legend_kwargs and "loc" not in legend_kwargs:
        settings["borderaxespad"] = 10 / settings["fontsize"]  # 10 points to the right
        settings["bbox_transform"] = _shifted(ax, up=10)
    return ax.legend(handles=handles, **settings)


def _shifted(ax, *, up):
    """Axes coordinates moved up by some points: undoes a legend's pad above."""
    from matplotlib.transforms import ScaledTranslation

    scale = ax.figure.dpi_scale_trans
    return ax.transAxes + ScaledTranslation(0, up / 72, scale)


def make_room(ax):
    """Let all of the axes show: by their layout engine, else by shrinking them.

    What hangs out to the sides (legend, colour bar, names of rows) takes its width
    from the axes, as a colour bar does, rather than lie over a neighbour or be cut.
    """
    engine = ax.figure.get_layout_engine()
    if engine is not None:
        # Equal aspect makes the room to leave depend on the size that is left: one
        # run at drawing may not settle it.
        for _ in range(2):
            engine.execute(ax.figure.canvas.figure)
        return
    cell = ax.get_position(original=True)
    others = [other.get_position() for other in ax.figure.axes if other is not ax]
    right = cell.x1 if any(other.x0 >= cell.x1 for other in others) else 0.99
    beside = any(other.x1 <= cell.x0 for other in others)
    left = cell.x0 - 0.05 if beside else 0.01  # a neighbour expects tick labels
    to_figure = ax.figure.transSubfigure.inverted()
    for _ in range(3):  # equal aspect: a smaller box may sit elsewhere in its cell
        ax.apply_aspect()
        box = ax.get_position(original=True)
        seen = ax.get_tightbbox().transformed(to_figure)
        x0 = box.x0 + max(left - seen.x0, 0)
        x1 = box.x1 - max(seen.x1 - right, 0)
        if (x0, x1) == (box.x0, box.x1) or x1 - x0 < 0.2 * cell.width:
            return
        ax.set_position([x0, box.y0, x1 - x0, box.height])
        ax.set_in_layout(True)  # set_position takes it out


def merged(defaults, given):
    """Keyword arguments of a user over the defaults; None counts as none given."""
    return {**defaults, **({} if given is None else given)}
