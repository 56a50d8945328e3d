"""Rows of images in one axes: names at the left, numbers beneath."""

from typing import NamedTuple

import numpy as np

from gplvm.plotting._style import FRAME, INK, MISSING, axes_inches, font_size

_GAP = 0.06  # between images, in widths of a cell


class Row(NamedTuple):
    """A row of images and how to draw it."""

    name: str
    images: np.ndarray
    look: dict
    numbers: np.ndarray | None = None  # beneath the images
    unit: str = "rmse"
    framed: bool = False  # in the colours of the classes
    scaled: bool = False  # with a colour bar


def column_names(classes):
    """What stands above the columns; long names break between words."""
    if classes is None:
        return None
    return [classes.names[code].replace(" ", "\n") for code in classes.codes]


def draw_mosaic(ax, rows, titles, colors):
    """Draw rows of images on `ax`, in units of an image's width.

    Returns
    -------
    size : ndarray of shape (2,)
        Width and height of the mosaic in these units.
    artists : dict of str to list of AxesImage
    colorbars : list of Colorbar
    """
    height = rows[0].images.shape[1] / rows[0].images.shape[2]
    n = len(rows[0].images)
    # Small print must fit cells whose size is known only about.
    cell = np.min(axes_inches(ax) / np.array([1.1 * n, 1.25 * len(rows) * height]))
    size, top = font_size(ax) - (cell < 0.6), 0.0
    line = max(0.24, 1.7 * size / 72 / cell)
    artists, colorbars, ticks = {}, [], []
    for row in rows:
        bottom = top - height
        artists[row.name] = [
            _draw_image(ax, image, (i * (1 + _GAP), bottom), height, row)
            for i, image in enumerate(row.images)
        ]
        if row.framed and colors is not None:
            for i, color in enumerate(colors):
                _frame(ax, i * (1 + _GAP), bottom, height, color)
        ticks.append((bottom + height / 2, row.name))
        if row.scaled and row.images.ndim == 3:
            colorbars.append(
                _colorbar(ax, artists[row.name][0], n * (1 + _GAP), bottom, height)
            )
        top = bottom - _GAP
        if row.numbers is not None:
            ticks.append((top + _GAP - line / 2, row.unit))
            form = _form(row.numbers)
            for i, number in enumerate(row.numbers):
                x, y = i * (1 + _GAP) + 0.5, top + _GAP - line / 2
                _write(ax, x, y, f"{number:{form}}", size - 1)
            top -= line - _GAP / 2
    width = n * (1 + _GAP) - _GAP
    ax.set(xlim=(-0.02, width + 0.02), ylim=(top + _GAP - 0.02, 0.02), aspect="equal")
    ax.set_anchor("W")
    ax.spines[:].set_visible(False)
    ax.set_yticks([y for y, _ in ticks], labels=[name for _, name in ticks])
    ax.tick_params(axis="y", length=0, labelsize=size, labelcolor=INK)
    ax.set_xticks([])
    if titles is not None:
        ax.set_xticks(np.arange(n) * (1 + _GAP) + 0.5, labels=titles)
        ax.xaxis.tick_top()
        ax.tick_params(axis="x", length=0, labelsize=size - 1, labelcolor=INK, pad=2)
    return np.array([width, -top - _GAP]), artists, colorbars


def _form(numbers):
    """How to write three digits of the largest number, in the width of an image."""
    largest = np.max(np.abs(numbers))
    if not np.isfinite(largest) or largest == 0:
        return ".2f"
    decimals = int(2 - np.floor(np.log10(largest)))
    return f".{max(decimals, 0)}f" if -4 <= decimals <= 9 else ".2g"


def _draw_image(ax, image, corner, height, row):
    from matplotlib import colormaps
    from matplotlib.image import AxesImage

    look = {"cmap": "gray", "interpolation": "antialiased", **row.look}
    low, high = look.pop("clim")
    cmap = colormaps[look["cmap"]] if isinstance(look["cmap"], str) else look["cmap"]
    look["cmap"] = cmap.with_extremes(bad=MISSING)
    x, y = corner
    artist = AxesImage(ax, extent=(x, x + 1, y, y + height), origin="upper", **look)
    if image.ndim == 3:
        image = np.clip((image - low) / ((high - low) or 1.0), 0, 1)
    artist.set_data(image)
    artist.set_clim(low, high)
    ax.add_image(artist)
    _frame(ax, x, y, height, FRAME, linewidth=0.6)
    return artist


def _frame(ax, x, y, height, color, linewidth=1.6):
    from matplotlib.patches import Rectangle

    look = {"edgecolor": color, "linewidth": linewidth, "joinstyle": "miter"}
    ax.add_patch(Rectangle((x, y), 1, height, fill=False, clip_on=False, **look))


def _write(ax, x, y, text, size):
    ax.text(x, y, text, ha="center", va="center", fontsize=size, color=INK)


def _colorbar(ax, image, x, y, height):
    """Slim bar right of a row, as tall as its images."""
    from matplotlib.ticker import MaxNLocator

    cax = ax.inset_axes([x + 0.02, y, 0.09, height], transform=ax.transData)
    bar = ax.figure.colorbar(image, cax=cax)
    bar.outline.set_edgecolor(FRAME)
    bar.outline.set_linewidth(0.6)
    bar.locator = MaxNLocator(2)
    bar.update_ticks()
    look = {"labelsize": font_size(ax) - 1.5, "color": FRAME, "labelcolor": INK}
    bar.ax.tick_params(length=2, pad=2, **look)
    return bar
