"""Display of a latent plane as the images that it decodes to."""

import numbers
import sys

import numpy as np

from gplvm.plotting._background import latent_limits
from gplvm.plotting._choices import leading_dimensions
from gplvm.plotting._decoding import (
    decode,
    decoded_images,
    decoding_grid,
    image_shape_of,
    known_positions,
    sureness,
    walk_ends,
)
from gplvm.plotting._inputs import (
    as_extent,
    as_images,
    as_matrix,
    check_dimensions,
    check_estimator_like,
    drawable,
)
from gplvm.plotting._style import (
    FRAME,
    INK,
    PALETTE,
    axes_inches,
    fit_figure,
    font_size,
    latent_axes,
    make_room,
    merged,
    own_axes,
)

_SIDE = 6.2  # inches, the longer side of the plane
_WALK_GAP = 0.02  # between the plane and the walk, in heights of the plane


_MOST_IMAGES = 1000  # along a side: a screen shows them as points


class LatentManifoldDisplay:
    """A grid of latent positions, each as the image that the model decodes it to.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as
    attributes.

    Parameters
    ----------
    images : array-like of shape (n_rows, n_columns, height, width) or \
            (n_rows, n_columns, height, width, 3)
        Decoded images, the first row at the bottom of the plane.

    extent : tuple (x_min, x_max, y_min, y_max)
        The outer edges of the grid's cells.

    opacity : array-like of shape (n_rows, n_columns), default=None
        How much each image shows, from 0 to 1; None: wholly.

    path : array-like of shape (n_steps, 2), default=None
        Positions of a walk in the plane.

    path_images : array-like of shape (n_steps, height, width) or \
            (n_steps, height, width, 3), default=None
        What the walk's positions decode to.

    path_names : tuple (start, end) of str, default=None
        What the walk leads from and to.

    dimensions : int or tuple of one or two int, default=(0, 1)
        Latent dimensions along x and y, from zero; with one, there is one row.

    feature_names : sequence of str, default=None
        Names of the latent dimensions; None: "latent 1", "latent 2", ...

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the plane.

    figure_ : matplotlib Figure
        Figure that holds the axes.

    image_ : matplotlib AxesImage
        All images of the grid as one.

    path_ : matplotlib Line2D or None
        The walk in the plane.

    path_ax_ : matplotlib Axes or None
        Axes above the plane with the walk's images.

    path_image_ : matplotlib AxesImage or None
        All images of the walk as one.

    See Also
    --------
    LatentSpaceDisplay : Where samples lie in the same plane.
    explore_latent_space : The image beneath the pointer.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from gplvm.plotting import LatentManifoldDisplay
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> pca = PCA(n_components=2).fit(X)
    >>> display = LatentManifoldDisplay.from_estimator(pca, X, y, path=(0, 2))
    >>> display.images.shape[2:], len(display.path)
    ((8, 8), 9)
    """

    def __init__(
        self,
        images,
        extent,
        *,
        opacity=None,
        path=None,
        path_images=None,
        path_names=None,
        dimensions=(0, 1),
        feature_names=None,
    ):
        self.images = images
        self.extent = extent
        self.opacity = opacity
        self.path = path
        self.path_images = path_images
        self.path_names = path_names
        self.dimensions = dimensions
        self.feature_names = feature_names

    def plot(self, *, ax=None, image_kwargs=None, path_kwargs=None):
        """Draw the grid of images, and the walk above it.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure of fitting size.

        image_kwargs : dict, default=None
            Passed to :meth:`matplotlib.axes.Axes.imshow`, over the defaults. Images
            without colours share one grey scale, from the darkest to the lightest
            pixel; `clim` sets another.

        path_kwargs : dict, default=None
            Passed to :meth:`matplotlib.axes.Axes.plot` for the walk.

        Returns
        -------
        display : LatentManifoldDisplay
            The object itself, with `ax_` and `figure_`.

        Raises
        ------
        ValueError
            If shapes do not fit one another.
        """
        images = drawable(self.images, "images")
        if images.ndim not in (4, 5) or 0 in images.shape:
            raise ValueError(
                "images must have shape (n_rows, n_columns, height, width) or "
                f"(n_rows, n_columns, height, width, 3); got {images.shape}."
            )
        extent = as_extent(self.extent, 4)
        names = self.feature_names
        n_components = sys.maxsize if names is None else len(names)
        dimensions = check_dimensions(self.dimensions, n_components)
        opacity = self._checked_opacity(images.shape[:2])
        walk, walk_images = self._checked_walk(images.shape[2:])
        look = merged({"cmap": "gray", "interpolation": "antialiased"}, image_kwargs)
        clim = look.pop("clim", None) or _scale(images)
        limits = (extent[1] - extent[0], extent[3] - extent[2])
        size = _SIDE * np.array(limits) / max(limits)
        own = ax is None
        if own:
            ax = own_axes(*size)
        _dress(ax, dimensions, names, extent)
        self.image_ = ax.imshow(
            _tiled(images, opacity, clim, look["cmap"]),
            extent=extent,
            aspect="equal",
            zorder=1,
            **merged(look, {"cmap": None}),
        )
        self.path_ = self.path_ax_ = self.path_image_ = None
        if walk is not None:
            self.path_ = _draw_walk(ax, walk, path_kwargs)
        if walk_images is not None:
            self.path_ax_, self.path_image_ = _draw_strip(
                ax, walk_images, limits, self.path_names, clim, look
            )
        ax.set(xlim=extent[:2], ylim=extent[2:])
        if own:
            fit_figure(ax, *size)
        else:
            make_room(ax)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _checked_opacity(self, shape):
        if self.opacity is None:
            return np.ones(shape)
        opacity = drawable(self.opacity, "opacity")
        if opacity.shape != shape:
            raise ValueError(
                f"opacity has shape {opacity.shape}; the grid has {shape}."
            )
        return np.clip(opacity, 0.0, 1.0)

    def _checked_walk(self, shape):
        if self.path is None:
            return None, None
        path = as_matrix(self.path, "path")
        if path.shape[1] != 2:
            raise ValueError(f"path must have shape (n_steps, 2); got {path.shape}.")
        if self.path_images is None:
            return path, None
        images = as_images(self.path_images, n_samples=len(path), name="path_images")
        if images.shape[1:] != shape:
            raise ValueError(
                f"path_images have shape {images.shape[1:]}; the grid's have {shape}."
            )
        return path, images

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X=None,
        y=None,
        *,
        image_shape=None,
        n_images=15,
        limits=None,
        dimensions=None,
        feature_names=None,
        fade=True,
        path=None,
        n_steps=9,
        label_names=None,
        ax=None,
        **plot_kwargs,
    ):
        """Draw what a fitted estimator decodes a grid of latent positions to.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `inverse_transform`, a Pipeline for example.

        X : array-like of shape (n_samples, n_pixels) or \
                (n_samples, height, width), default=None
            Samples around which the grid is laid. None: the estimator's own
            `embedding_`, where it has one.

        y : array-like of shape (n_samples,), default=None
            Class of each sample: what a walk's ends may be named by.

        image_shape : tuple (height, width[, 3]), default=None
            Shape of an image in a row of pixels; None: that of `X`, or square.

        n_images : int, default=15
            Number of images along the longer side of the plane.

        limits : tuple (x_min, x_max, y_min, y_max), default=None
            Edges of the plane; None: around the samples. For one latent dimension,
            (x_min, x_max).

        dimensions : int or tuple of one or two int, default=None
            Latent dimensions to show, from zero. None: the two with the largest
            `relevance_` where the estimator has it, else the first two. The others
            stay at the samples' mean.

        feature_names : sequence of str, default=None
            Names of the latent dimensions; None: "latent 1", "latent 2", ...

        fade : bool, default=True
            Whether images fade where the model is less sure of them, if its
            `inverse_transform` offers `return_std`.

        path : tuple (start, end), default=None
            A straight walk between two latent positions, shown step by step above the
            plane. Each end is a class in `y`, which stands for that sample of it
            which lies nearest to its median, or an array of shape (n_components,).

        n_steps : int, default=9
            Number of images of the walk, both ends included.

        label_names : sequence of str, default=None
            Names of the classes, indexed by integer `y`; ends may then be names.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LatentManifoldDisplay
            The display, drawn.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        TypeError
            If the estimator lacks a method.

        ValueError
            If shapes, dimensions or numbers do not fit, if neither `X` nor the
            estimator has samples, or if an end of the path is no class.

        See Also
        --------
        LatentSpaceDisplay.from_estimator : The samples in the same plane.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from gplvm import LinearAutoencoder
        >>> from gplvm.plotting import LatentManifoldDisplay
        >>> X, y = load_digits(n_class=3, return_X_y=True)
        >>> model = LinearAutoencoder(n_components=3).fit(X)
        >>> display = LatentManifoldDisplay.from_estimator(
        ...     model, X, y, dimensions=(0, 2), n_images=8
        ... )
        >>> display.ax_.get_ylabel()
        'latent 3'
        """
        check_estimator_like(estimator, "inverse_transform")
        for name, number in (("n_images", n_images), ("n_steps", n_steps)):
            whole = isinstance(number, numbers.Integral)
            if not (whole and 2 <= number <= _MOST_IMAGES):
                raise ValueError(
                    f"{name} must be an integer above 1, at most {_MOST_IMAGES}; got "
                    f"{number!r}."
                )
        Z = known_positions(estimator, X)
        if dimensions is None:
            dimensions = leading_dimensions(estimator, Z.shape[1])
        dimensions = check_dimensions(dimensions, Z.shape[1])
        shown = list(dimensions)
        if limits is None:
            limits = latent_limits(Z[:, shown])
        elif len(limits) != 2 * len(shown):
            raise ValueError(f"limits must have {2 * len(shown)} edges; got {limits}.")
        image_shape = image_shape_of(X, image_shape)

        corner = decoded_images(decode(estimator, Z[:1]), image_shape)
        extent, mesh = decoding_grid(
            limits, n_images, corner.shape[1] / corner.shape[2]
        )
        grid = np.tile(Z.mean(axis=0), (mesh[0].size, 1))
        for dimension, coordinate in zip(shown, mesh, strict=False):
            grid[:, dimension] = coordinate.ravel()
        rows, std = decode(estimator, grid, return_std=True)
        images = decoded_images(rows, image_shape)
        images = images.reshape(*mesh[0].shape, *images.shape[1:])
        opacity = None
        if fade and std is not None:
            some = Z[:: max(1, len(Z) // 500)]
            _, known = decode(estimator, some, return_std=True)
            opacity = sureness(std, known).reshape(mesh[0].shape)
        walk = {}
        if path is not None:
            ends, names = walk_ends(path, Z, y, label_names)
            steps = np.linspace(*ends, int(n_steps))
            plane = steps[:, shown]
            if len(shown) == 1:
                plane = np.column_stack([plane, np.full(n_steps, np.mean(extent[2:]))])
            walk = {"path": plane, "path_names": names}
            walk["path_images"] = decoded_images(decode(estimator, steps), image_shape)
        display = cls(
            images,
            extent,
            opacity=opacity,
            dimensions=dimensions,
            feature_names=feature_names,
            **walk,
        )
        return display.plot(ax=ax, **plot_kwargs)


def _scale(images):
    """Values drawn black and white: the extremes; of colours, those of their kind."""
    if images.ndim == 5:
        return 0.0, 255.0 if np.nanmax(images) > 2 else 1.0
    return float(np.nanmin(images)), float(np.nanmax(images))


def _coloured(images, clim, cmap):
    """Images as red, green and blue between 0 and 1."""
    from matplotlib import colormaps

    low, high = clim
    scaled = np.clip((images - low) / ((high - low) or 1.0), 0.0, 1.0)
    if images.ndim == 5:
        return scaled[..., :3]
    cmap = colormaps[cmap] if isinstance(cmap, str) else cmap
    return cmap(scaled)[..., :3]


def _tiled(images, opacity, clim, cmap):
    """One image of all, over white, the first row at the bottom."""
    tiles = _coloured(images, clim, cmap)
    tiles = 1.0 - opacity[:, :, None, None, None] * (1.0 - tiles)
    rows, columns, height, width, _ = tiles.shape
    sheet = tiles[::-1].transpose(0, 2, 1, 3, 4)
    return sheet.reshape(rows * height, columns * width, 3)


def _dress(ax, dimensions, feature_names, extent):
    latent_axes(
        ax,
        dimensions=(dimensions[0], dimensions[-1]),
        feature_names=feature_names,
        limits=extent,
    )
    ax.grid(False)
    if len(dimensions) == 1:
        ax.set_yticks([])
        ax.set_ylabel("")


def _draw_walk(ax, walk, path_kwargs):
    """A line with a dot for each step, the first one hollow."""
    from matplotlib.patheffects import withStroke

    width = 1.8 if max(axes_inches(ax)) > 2.6 else 1.2
    look = {"color": PALETTE[1], "linewidth": width, "marker": "o", "zorder": 3}
    look |= {"markersize": 3.2 * width, "markeredgewidth": 0.8 * width}
    look |= {"path_effects": [withStroke(linewidth=width + 2.4, foreground="white")]}
    line = ax.plot(*walk.T, **merged(look, path_kwargs))[0]
    start = {"marker": "o", "markersize": line.get_markersize(), "zorder": 3.1}
    start |= {"markerfacecolor": "white", "markeredgecolor": line.get_color()}
    ax.plot(*walk[:1].T, markeredgewidth=0.8 * width, **start)
    return line


def _draw_strip(ax, images, spans, names, clim, look):
    """The walk's images in a row above the plane, between the names of its ends."""
    n, height, width = images.shape[:3]
    tall = (height / width) * (spans[0] / n) / spans[1]  # in heights of the plane
    strip = ax.inset_axes([0.0, 1.0 + max(_WALK_GAP, 0.25 * tall), 1.0, tall])
    sheet = _tiled(images[None], np.ones((1, n)), clim, look["cmap"])
    artist = strip.imshow(
        sheet,
        extent=(0, n, 0, height / width),
        aspect="auto",
        **merged(look, {"cmap": None}),
    )
    strip.set(xticks=[], yticks=[])
    strip.spines[:].set_color(PALETTE[1])
    strip.spines[:].set_linewidth(1.4)
    for step in range(1, n):
        strip.axvline(step, color=FRAME, linewidth=0.6)
    if names is not None:
        text = {"fontsize": font_size(ax), "color": INK, "va": "bottom"}
        for name, x, side in zip(names, (0, n), ("left", "right"), strict=True):
            top = 1.06 * height / width
            strip.text(x, top, name, ha=side, **text)
    return strip, artist
