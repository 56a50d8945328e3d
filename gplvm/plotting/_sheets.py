"""Figures of several axes, for reports: samples, embeddings, confusions."""

import warnings
from contextlib import contextmanager

import numpy as np

from ._inputs import as_classes, as_images
from ._latent_space import LatentSpaceDisplay
from ._style import FRAME, INK

_PANEL = 4.4  # inches, the side of one panel
_POINT = 24  # square points, the same in every panel


def image_sheet(images, target, target_names, *, n_per_class=10):
    """A row of images for each class, its name on the left.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width) or \
            (n_samples, height, width, 3)
        The images; the first of each class are shown.

    target : array-like of shape (n_samples,)
        Class of each image, an index into `target_names`.

    target_names : sequence of str
        Names of the classes.

    n_per_class : int, default=10
        Images in a row at most.

    Returns
    -------
    figure : matplotlib Figure
        The sheet.
    """
    from matplotlib.figure import Figure

    images, target = as_images(images), np.asarray(target)
    classes = as_classes(target, target_names)
    shape = images.shape[1:3]
    rows = [images[target == code][:n_per_class] for code in classes.present]
    gap = max(1, round(0.06 * min(shape)))
    width = n_per_class * (shape[1] + gap) - gap
    height = len(rows) * (shape[0] + gap) - gap
    # One picture of all rows: the gaps between the images are equal pixels.
    sheet = np.ones((height, width, *images.shape[3:]))
    for i, row in enumerate(rows):
        for j, image in enumerate(row):
            y, x = i * (shape[0] + gap), j * (shape[1] + gap)
            sheet[y : y + shape[0], x : x + shape[1]] = image
    names = [_in_two_lines(classes.names[code]) for code in classes.present]
    margin = 0.25 + 0.085 * max(
        len(line) for name in names for line in name.split("\n")
    )
    figure = Figure(figsize=(10.0, (9.95 - margin) * height / width + 0.1))
    ax = figure.add_axes([margin / 10.0, 0.0, 1.0 - (margin + 0.05) / 10.0, 1.0])
    ax.set_anchor("W")
    ax.imshow(sheet, cmap="gray", vmin=0.0, vmax=1.0, interpolation="nearest")
    middle = np.arange(len(rows)) * (shape[0] + gap) + shape[0] / 2
    ax.set_yticks(middle, names)
    ax.set_xticks([])
    ax.tick_params(length=0, labelsize=10, labelcolor=INK, pad=6)
    ax.spines[:].set_visible(False)
    return figure


def _in_two_lines(name):
    """Break a long name at the space nearest to its middle."""
    spaces = [i for i, letter in enumerate(name) if letter == " "]
    if len(name) < 14 or not spaces:
        return name
    middle = min(spaces, key=lambda i: abs(i - len(name) / 2))
    return f"{name[:middle]}\n{name[middle + 1 :]}"


def embedding_panels(panels, *, label_names=None, n_columns=2):
    """Several two-dimensional embeddings side by side, under one legend.

    Parameters
    ----------
    panels : dict of str to (embedding, labels)
        Title, latent positions of shape (n_samples, 2), and the class of each.

    label_names : sequence of str, default=None
        Names of the classes.

    n_columns : int, default=2
        Panels in a row.

    Returns
    -------
    figure : matplotlib Figure
        The panels.
    """
    from matplotlib.figure import Figure

    n_rows = -(-len(panels) // n_columns)
    figure = Figure(
        figsize=(_PANEL * n_columns, _PANEL * n_rows + 0.6), layout="constrained"
    )
    figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)
    grid = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    handles = {}
    for ax, (title, (embedding, labels)) in zip(grid, panels.items(), strict=False):
        display = LatentSpaceDisplay.from_embedding(
            embedding,
            labels=labels,
            label_names=label_names,
            ax=ax,
            legend=False,
            scatter_kwargs={"s": _POINT, "linewidths": 0.25},
        )
        for points in display.points_:
            if not points.get_label().startswith("_"):  # a crowd of all classes
                handles.setdefault(points.get_label(), points)
        # The planes have units of their own; what counts is who lies beside whom.
        ax.set(xlabel="", ylabel="", xticklabels=[], yticklabels=[])
        _square(ax)
        ax.tick_params(length=0)
        ax.grid(False)  # its lines would have no numbers
        ax.set_title(title, fontsize=11, color=INK, loc="left")
    for ax in grid[len(panels) :]:
        ax.set_visible(False)
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=min(len(handles), 4),
        frameon=False,
        fontsize=10,
        labelcolor=INK,
        markerscale=1.6,
    )
    return figure


def large_axes(width=10.0, height=8.4):
    """Axes that fill a figure of this size in inches, beside their legend.

    Parameters
    ----------
    width, height : float, default=10.0, 8.4
        Inches.

    Returns
    -------
    ax : matplotlib Axes
        The axes.
    """
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained").subplots()


def _square(ax):
    """Equal units and a square frame: widen the shorter side."""
    centre = np.mean([ax.get_xlim(), ax.get_ylim()], axis=1)
    half = max(np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())) / 2
    ax.set(
        xlim=centre[0] + np.array([-half, half]),
        ylim=centre[1] + np.array([-half, half]),
    )


def confusion_matrix(y_true, y_pred, target_names):
    """Predicted against true classes, as counts.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        True and predicted class of each sample, indices into `target_names`.

    target_names : sequence of str
        Names of the classes.

    Returns
    -------
    figure : matplotlib Figure
        The matrix.
    """
    from matplotlib.figure import Figure
    from sklearn.metrics import ConfusionMatrixDisplay

    figure = Figure(figsize=(7.0, 6.0), layout="constrained")
    ax = figure.subplots()
    ConfusionMatrixDisplay.from_predictions(
        y_true,
        y_pred,
        labels=np.arange(len(target_names)),
        display_labels=target_names,
        cmap="Blues",
        colorbar=False,
        ax=ax,
    )
    for label in ax.get_xticklabels():
        label.set(rotation=35, ha="right", rotation_mode="anchor")
    ax.tick_params(length=0, labelsize=10, labelcolor=INK)
    ax.set_xlabel("predicted", color=INK, fontsize=11)
    ax.set_ylabel("true", color=INK, fontsize=11)
    ax.spines[:].set_color(FRAME)
    return figure


def save_figure(figure, path, *, dpi=120):
    """Write a figure to a file and let go of it.

    Parameters
    ----------
    figure : matplotlib Figure
        The figure, with pyplot's knowledge or without.

    path : path-like
        The file to write.

    dpi : float, default=120
        Pixels per inch.
    """
    import matplotlib.pyplot as plt

    figure.savefig(path, dpi=dpi, bbox_inches="tight", pad_inches=0.12)
    plt.close(figure)


@contextmanager
def plain_text():
    """Draw labels as they are: a dollar begins no formula, a missing glyph is a box."""
    import matplotlib as mpl

    with mpl.rc_context({"text.parse_math": False}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        yield
