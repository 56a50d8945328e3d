"""Latent points: in a plane, or in a strip for one dimension."""

import numpy as np

from gplvm.plotting._style import (
    PALETTE,
    axes_inches,
    font_size,
    latent_axes,
    latent_name,
    merged,
    plain_axes,
)
from gplvm.plotting._thumbnails import Plane

_CROWD = 1000  # points above which they are translucent, shuffled and rasterized
_INK = 0.3  # share of the plane that the spread's ellipses may tint in all
_BAND = 1.3  # height of a strip's band of images, in their sides
_SEED = 0  # the jitter means nothing, so it is the same in every drawing


def plane_ratio(limits):
    """Height over width."""
    return (limits[3] - limits[2]) / (limits[1] - limits[0])


def strip_ratio(n_rows, side):
    """Height over width of a strip with a band for images of this side."""
    return _rows_ratio(n_rows) + _BAND * side


def _rows_ratio(n_rows):
    return float(np.clip(0.085 * n_rows, 0.14, 0.8))


def dress_plane(ax, dimensions, feature_names, limits):
    """Axes of a latent plane."""
    latent_axes(ax, dimensions=dimensions, feature_names=feature_names, limits=limits)
    return Plane(limits, plane_ratio(limits))


def dress_strip(ax, dimension, feature_names, limits, classes, side):
    """Axes of one latent dimension: a named row per class, a band above for images."""
    n_rows = 1 if classes is None else len(classes.present)
    ratio = strip_ratio(n_rows, side)
    top = -0.5 + n_rows * ratio / _rows_ratio(n_rows)
    plain_axes(ax, xlabel=latent_name(dimension, feature_names))
    ax.yaxis.grid(False)
    if n_rows == 1:
        ax.set_yticks([])
    else:
        names = [classes.names[code] for code in classes.present]
        ax.set_yticks(range(n_rows), labels=names[::-1])
        ax.tick_params(axis="y", length=0, labelsize=font_size(ax))
    ax.set_box_aspect(ratio)
    limits = (*limits, -0.5, top)
    ax.set(xlim=limits[:2], ylim=limits[2:])
    return Plane(limits, ratio, strip=True)


def strip_points(values, classes):
    """Points (x, y): the latent value, and the row of the class with some jitter."""
    jitter = np.random.default_rng(_SEED).uniform(-0.28, 0.28, len(values))
    if classes is None:
        return np.column_stack([values, jitter])
    row = np.searchsorted(classes.present, classes.codes)
    return np.column_stack([values, len(classes.present) - 1 - row + jitter])


def draw_points(ax, points, classes, scatter_kwargs):
    """Scatter the points, one collection per class; their size adapts to number.

    A crowd is one collection of all classes in shuffled order: drawn one after the
    other, the last classes would bury the first. An empty one per class follows it.
    """
    crowd = len(points) > _CROWD
    cell = min(max(axes_inches(ax)) / 4.5, 1)
    defaults = {
        "s": cell * float(np.clip(620 / np.sqrt(len(points)), 3, 46)),
        "alpha": float(np.clip(0.9 * (_CROWD / len(points)) ** 0.25, 0.45, 0.9)),
        "linewidths": 0 if crowd else 0.4,
        "rasterized": crowd,
        "zorder": 3,
    }
    settings = merged(defaults, scatter_kwargs)
    own_colors = {"c", "color", "facecolor", "facecolors"} & set(settings)
    if not crowd and "edgecolor" not in settings and "color" not in settings:
        settings.setdefault("edgecolors", "white")
    if classes is None:
        if not own_colors:
            settings["facecolors"] = PALETTE[0]
        return [ax.scatter(*points.T, **settings)]
    if crowd:
        return [
            _scatter_shuffled(ax, points, classes, settings, own_colors),
            *_keys(ax, classes),
        ]
    collections = []
    for code in classes.present:
        style, members = classes.styles[code], classes.codes == code
        look = {"marker": style.marker, "label": classes.names[code], **settings}
        if not own_colors:
            look["facecolors"] = style.color
        look = _of_rows(look, members, len(points))
        if np.ndim(look["s"]) == 0:
            look["s"] = style.area(look["s"])
        collections.append(ax.scatter(*points[members].T, **look))
    return collections


def _scatter_shuffled(ax, points, classes, settings, own_colors):
    """All points in one collection, in an order in which the classes take turns."""
    from matplotlib.colors import to_rgba_array
    from matplotlib.markers import MarkerStyle

    order = np.random.default_rng(_SEED).permutation(len(points))
    place = np.searchsorted(classes.present, classes.codes[order])
    styles = [classes.styles[code] for code in classes.present]
    look = _of_rows(settings, order, len(points))
    if not own_colors:
        look["facecolors"] = to_rgba_array([style.color for style in styles])[place]
    if np.ndim(look["s"]) == 0:
        look["s"] = np.array([style.area(look["s"]) for style in styles])[place]
    collection = ax.scatter(*points[order].T, **look)
    if "marker" not in settings:  # scatter itself knows only one for all
        markers = [MarkerStyle(style.marker) for style in styles]
        paths = [m.get_path().transformed(m.get_transform()) for m in markers]
        collection.set_paths([paths[i] for i in place])
    return collection


def _keys(ax, classes):
    """Collections without points, a class each, for a legend to show."""
    styles = [(classes.names[code], classes.styles[code]) for code in classes.present]
    return [
        ax.scatter([], [], marker=style.marker, facecolors=style.color, label=name)
        for name, style in styles
    ]


def _of_rows(settings, rows, n_points):
    """The settings, of those with one value per point the values of these."""
    names = ("s", "c")
    own = {n: settings[n] for n in names if np.ndim(settings.get(n))}
    own = {n: np.asarray(v)[rows] for n, v in own.items() if len(v) == n_points}
    return settings | own


def draw_spread(ax, points, stds, classes, plane, spread_kwargs):
    """Ellipses of one standard deviation, of a strip bars, a collection per class.

    The more of the plane they cover together, the fainter they are: of a few points
    each is seen, of many only where positions are uncertain.
    """
    from matplotlib.collections import EllipseCollection, LineCollection

    x0, x1, y0, y1 = plane.limits
    sizes = np.pi * stds.prod(axis=1)
    if plane.strip:
        sizes = 2.0 * stds[:, 0] * 0.02 * (y1 - y0)
    cover = sizes.sum() / ((x1 - x0) * (y1 - y0))
    settings = {"alpha": float(np.clip(_INK / max(cover, 1e-12), 0.03, 0.3))}
    settings |= {"zorder": 2, "rasterized": len(points) > _CROWD}
    groups = [(slice(None), PALETTE[0])]
    if classes is not None:
        groups = [
            (classes.codes == code, classes.styles[code].color)
            for code in classes.present
        ]
    collections = []
    for members, color in groups:
        at, std = points[members], stds[members]
        if plane.strip:
            start, stop = at.copy(), at.copy()
            start[:, 0] -= std[:, 0]
            stop[:, 0] += std[:, 0]
            look = merged(
                {"colors": color, "linewidths": 1.5, **settings}, spread_kwargs
            )
            collection = LineCollection(np.stack([start, stop], axis=1), **look)
        else:
            look = {"facecolors": color, "linewidths": 0, **settings}
            collection = EllipseCollection(
                *(2.0 * std.T),
                np.zeros(len(at)),
                units="xy",
                offsets=at,
                offset_transform=ax.transData,
                **merged(look, spread_kwargs),
            )
        collections.append(ax.add_collection(collection, autolim=False))
    return collections


def legend_handles(classes):
    """A marker of one size per class that occurs, however small the points are."""
    from matplotlib.lines import Line2D

    handles = []
    for code in classes.present:
        style = classes.styles[code]
        look = {"color": style.color, "marker": style.marker, "markeredgewidth": 0}
        size = np.sqrt(style.area(46))
        look |= {"linestyle": "none", "label": classes.names[code]}
        handles.append(Line2D([], [], markersize=size, **look))
    return handles
