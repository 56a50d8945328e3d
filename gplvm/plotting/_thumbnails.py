"""Where images go in a plane of points: near their point, over nothing else.

Positions are in units of the axes' width: x in [0, 1], y in [0, ratio]. With a
known shape of the axes no layout has to be run to know what overlaps.
"""

from typing import NamedTuple

import numpy as np

from gplvm.plotting._style import FRAME, INK

# Candidate places around a point, in image sides: on it, or next to it with a line
# that leads to it.
_ANGLES = np.arange(16) * np.pi / 8
_RING = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])
_OFFSETS = np.vstack([[[0.0, 0.0]], 0.95 * _RING, 1.5 * _RING])
_COVER = 0.2  # of the axes, by all images
_GAP = 0.08  # between images, in image sides


class Plane(NamedTuple):
    """Data limits of axes, their height over width, and whether they are a strip."""

    limits: tuple
    ratio: float
    strip: bool = False

    @property
    def low(self):
        """Lower left corner in data coordinates."""
        return np.array([self.limits[0], self.limits[2]])

    @property
    def scale(self):
        """Data units per unit of the axes' width, in x and in y."""
        span = np.array([self.limits[1], self.limits[3]]) - self.low
        return span / [1.0, self.ratio]

    def to_unit(self, points):
        """Data coordinates in units of the axes' width."""
        return (points - self.low) / self.scale

    def to_data(self, unit):
        """The way back."""
        return self.low + unit * self.scale


def candidates(points, codes, cell):
    """Points worth an image: one per class and cell of a grid, best first.

    Each is the member nearest to the mean of its class in its cell. The order
    starts with the fullest cell of every class, so that none goes without.
    """
    points = np.clip(points, -1e6, 1e6)  # far outside of the axes
    grid = np.floor(points / cell).astype(int)
    key = np.column_stack([codes, grid])
    _, group, counts = np.unique(key, axis=0, return_inverse=True, return_counts=True)
    group = group.ravel()
    centres = np.zeros((len(counts), 2))
    np.add.at(centres, group, points)
    centres /= counts[:, None]
    distance = np.linalg.norm(points - centres[group], axis=1)
    by_group = np.lexsort((distance, group))
    first = np.unique(group[by_group], return_index=True)[1]
    chosen = by_group[first]
    order = np.argsort(-counts, kind="stable")
    seen, leaders, others = set(), [], []
    for i in order:
        code = codes[chosen[i]]
        (others if code in seen else leaders).append(chosen[i])
        seen.add(code)
    return leaders + others


def place(points, order, side, ratio, *, max_images):
    """Boxes for as many of the points in `order` as fit, at most `max_images`.

    Greedy: every image takes the free place near its point that hides the fewest
    points. Nothing overlaps, leaves the axes, or lies on a point that has an image.

    Returns
    -------
    placed : list of (index, centre) with centre an ndarray of shape (2,)
    """
    side = np.asarray(side)
    half = side / 2
    room = half + _GAP * side.max() / 2
    placed = []
    for index in order:
        if len(placed) >= max_images:
            break
        spots = points[index] + _OFFSETS * side.max()
        free = np.all((spots >= room) & (spots <= [1, ratio] - room), axis=1)
        for other, centre in placed:
            apart = np.abs(spots - centre) >= side + _GAP * side.max()
            clear = np.abs(spots - points[other]) >= half * 1.1
            shown = np.any(np.abs(points[index] - centre) >= half * 1.1)
            # An image on its own point hides it by design; others must not.
            free &= apart.any(axis=1) & clear.any(axis=1) & shown
        if not free.any():
            continue
        spots, offsets = spots[free], _OFFSETS[free]
        hidden = np.array(
            [
                np.all(np.abs(points - spot) < half * 1.05, axis=1).sum()
                for spot in spots
            ]
        )
        # A longer line must save a point or two; an image on its point hides it.
        length = np.linalg.norm(offsets, axis=1)
        cost = hidden + np.where(length > 0, 2.0 * length, 3.0)
        placed.append((int(index), spots[np.argmin(cost)]))
    return placed


def place_in_band(points, codes, box, ratio, *, max_images):
    """Boxes in a row at the top, each above the point of a class seen least so far."""
    width, height = box
    n_slots = min(int(1 / (1.15 * width)), max_images)
    step = 1 / n_slots if n_slots else 1.0
    times_seen = np.zeros(codes.max() + 1)
    placed = []
    for x in (np.arange(n_slots) + 0.5) * step:
        near = np.flatnonzero(np.abs(points[:, 0] - x) <= width / 2)
        if len(near):
            best = np.lexsort((np.abs(points[near, 0] - x), times_seen[codes[near]]))[0]
            times_seen[codes[near[best]]] += 1
            placed.append((int(near[best]), np.array([x, ratio - 0.65 * height])))
    return placed


def draw_thumbnails(
    ax,
    images,
    points,
    classes,
    plane,
    side,
    *,
    max_images,
    crowded,
    clim=None,
    **image_kwargs,
):
    """Choose, place and draw images of points.

    Parameters
    ----------
    ax : matplotlib Axes
        Axes with the limits of `plane`.

    images : ndarray of shape (n, height, width) or (n, height, width, 3)
        An image per point.

    points : ndarray of shape (n, 2)
        Positions in data coordinates.

    classes : Classes or None
        Their classes: the colours of the frames.

    plane : Plane
        Limits and shape of the axes.

    side : float
        Longer side of an image in units of the axes' width.

    max_images : int
        At most so many.

    crowded : bool
        Whether they may cover more of the axes than leaves the points visible.

    clim : tuple of two float, default=None
        Values drawn black and white; None: the extremes of all images.

    **image_kwargs : dict
        Passed to AxesImage.

    Returns
    -------
    artists : list of matplotlib AxesImage
    indices : ndarray of shape (n_artists,)
    """
    height, width = images.shape[1:3]
    box = side * np.array([width, height]) / max(width, height)
    if not crowded and not plane.strip:
        max_images = min(max_images, int(_COVER * plane.ratio / box.prod()))
    unit = plane.to_unit(points)
    codes = np.zeros(len(unit), dtype=int) if classes is None else classes.codes
    if plane.strip:  # only x means something
        placed = place_in_band(unit, codes, box, plane.ratio, max_images=max_images)
    else:
        order = candidates(unit, codes, 1.6 * side)
        placed = place(unit, order, box, plane.ratio, max_images=max_images)
    if clim is None:
        clim = np.nanmin(images), np.nanmax(images)
    if images.ndim == 4:
        images = np.clip(images / (255 if clim[1] > 1 else 1), 0, 1)
    artists = []
    for index, centre in placed:
        color = None if classes is None else classes.styles[codes[index]].color
        centre = plane.to_data(centre)
        artist = _draw_one(
            ax, images[index], centre, points[index], plane.scale * box, color,
            **image_kwargs,
        )  # fmt: skip
        artist.set_clim(*clim)
        artists.append(artist)
    return artists, np.array([index for index, _ in placed], dtype=int)


def _draw_one(ax, image, centre, point, box, color, **image_kwargs):
    """One framed image in data coordinates: it moves and zooms with the points."""
    from matplotlib.image import AxesImage
    from matplotlib.patches import Rectangle

    if np.any(np.abs(point - centre) > box / 2):
        ax.plot(
            *np.column_stack([centre, point]),
            color=INK,
            linewidth=0.7,
            marker="o",
            markersize=2.2,
            markevery=[1],
            zorder=3.5,
        )
    corner = centre - box / 2
    extent = (corner[0], corner[0] + box[0], corner[1], corner[1] + box[1])
    settings = {"cmap": "gray", "interpolation": "antialiased", "zorder": 4}
    artist = AxesImage(ax, extent=extent, origin="upper", **(settings | image_kwargs))
    artist.set_data(image)
    artist.set_clip_path(ax.patch)
    ax.add_image(artist)
    look = {"edgecolor": color or FRAME, "linewidth": 1.2, "joinstyle": "miter"}
    ax.add_patch(Rectangle(corner, *box, fill=False, zorder=4.1, **look))
    return artist
