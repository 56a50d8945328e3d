"""Predictive uncertainty behind latent points, and the bar that explains it."""

import inspect

import numpy as np

from gplvm.plotting._style import FRAME, INK, font_size, merged

_CHUNK = 512  # latent positions decoded at once: bounds memory for wide images
_WHITE_TO_GREY = ("#FFFFFF", "#F1F2F6", "#DFE2EA", "#C9CDDA", "#B4B9C9")


def latent_limits(points, *, pad=0.08, slimmest=0.45):
    """Limits (x_min, x_max, y_min, y_max) of a plane around all points.

    A plane much longer in one direction is widened in the other, so that equal
    aspect leaves a figure and no thread.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    span = high - low
    least = 16.0 * np.spacing(np.abs(points).max())  # a width that rounding leaves
    longest = max(span.max() if span.max() > 0 else 1.0, least)
    span = np.maximum(span + 2 * pad * longest, slimmest * (1 + 2 * pad) * longest)
    centre = (low + high) / 2
    low, high = centre - span / 2, centre + span / 2
    if points.shape[1] == 1:
        return float(low[0]), float(high[0])
    return float(low[0]), float(high[0]), float(low[1]), float(high[1])


def predicts_std(estimator):
    """Whether `inverse_transform` offers a standard deviation."""
    return offers_std(getattr(estimator, "inverse_transform", None))


def offers_std(method):
    """Whether a method of an estimator, or None, offers a standard deviation."""
    return callable(method) and "return_std" in inspect.signature(method).parameters


def evaluate_std(estimator, embedding, dimensions, limits, resolution):
    """Mean predictive std over features on a grid of cell centres.

    The dimensions that are not shown stay at their mean.

    Returns
    -------
    values : ndarray of shape (n_y, n_x), or (n_x,) for one dimension
    """
    edges = np.reshape(limits, (-1, 2))
    lengths = edges[:, 1] - edges[:, 0]
    counts = np.maximum(np.ceil(resolution * lengths / lengths.max()), 2).astype(int)
    axes = [
        low + (np.arange(count) + 0.5) * length / count
        for (low, _), length, count in zip(edges, lengths, counts, strict=True)
    ]
    mesh = np.meshgrid(*axes)
    Z = np.tile(embedding.mean(axis=0), (mesh[0].size, 1))
    for dimension, coordinate in zip(dimensions, mesh, strict=True):
        Z[:, dimension] = coordinate.ravel()
    std = []
    for start in range(0, len(Z), _CHUNK):
        rows = Z[start : start + _CHUNK]
        _, chunk = estimator.inverse_transform(rows, return_std=True)
        chunk = np.asarray(chunk, dtype=float).reshape(len(rows), -1)
        std.append(chunk.mean(axis=1))
    return np.concatenate(std).reshape(mesh[0].shape)


def draw_background(ax, values, extent, background_kwargs=None):
    """Soft image of the uncertainty: white where the model is sure."""
    from matplotlib.colors import LinearSegmentedColormap

    values = np.atleast_2d(values)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    # Equal everywhere but for rounding: one tint, no amplified noise.
    if high - low <= 1e-6 * max(abs(high), abs(low)):
        low, high = low - 0.5 * abs(low) - 1e-12, high + 0.5 * abs(high) + 1e-12
    defaults = {
        "cmap": LinearSegmentedColormap.from_list("certainty", _WHITE_TO_GREY),
        "interpolation": "bilinear",
        "zorder": 0,
    }
    if "norm" not in (background_kwargs or {}):
        defaults |= {"vmin": low, "vmax": high}
    # imshow would set the aspect, which the axes already have.
    defaults |= {"origin": "lower", "aspect": ax.get_aspect(), "extent": extent}
    return ax.imshow(values, **merged(defaults, background_kwargs))


def draw_colorbar(ax, image, label, legend=None):
    """Slim bar: below the legend in its column, or along the axes without one."""
    from matplotlib.ticker import MaxNLocator

    below = legend is not None
    cax = ax.inset_axes([1.0, 0.0, 0.1, 0.1])
    cax.set_axes_locator(_below_legend(ax, legend) if below else _along(ax))
    bar = ax.figure.colorbar(
        image, cax=cax, orientation="horizontal" if below else "vertical"
    )
    size = font_size(ax)
    bar.outline.set_edgecolor(FRAME)
    bar.outline.set_linewidth(0.6)
    bar.locator = MaxNLocator(2 if below else 4)
    bar.update_ticks()
    bar.ax.tick_params(labelsize=size - 1, length=2, color=FRAME, labelcolor=INK)
    if below:
        bar.ax.set_title(label, fontsize=size, color=INK, loc="left", pad=3)
    else:
        bar.set_label(label, fontsize=size, color=INK)
    return bar


def _along(ax):
    """Locator: as tall as the axes, 6 points beside it, 7 points wide."""

    def locate(_, renderer):
        return _figure_box(ax, ax.bbox.x1, ax.bbox.y0, 6, 0, 7, ax.bbox.height)

    return locate


def _below_legend(ax, legend):
    """Locator: in the legend's column, at the bottom unless the legend is there."""

    def locate(_, renderer):
        point = ax.figure.dpi / 72
        size = font_size(ax)
        room_below, room_above = 1.6 * size * point, 2.2 * size * point
        text = legend.get_window_extent(renderer)
        y0 = min(ax.bbox.y0 + room_below, text.y0 - room_above - 12 * point)
        return _figure_box(ax, text.x0, y0, 2, 0, 8.5 * size, 6 * point)

    return locate


def _figure_box(ax, x0, y0, right, up, width, height):
    """Box at pixels (x0, y0), moved and sized in points; height in pixels."""
    from matplotlib.transforms import Bbox

    point = ax.figure.dpi / 72
    box = Bbox.from_bounds(x0 + right * point, y0 + up * point, width * point, height)
    return box.transformed(ax.figure.transSubfigure.inverted())
