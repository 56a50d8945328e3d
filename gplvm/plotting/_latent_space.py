"""Display of a latent space: points by class, uncertainty, thumbnails."""

import numpy as np

from gplvm.plotting._background import (
    draw_background,
    draw_colorbar,
    evaluate_std,
    latent_limits,
    offers_std,
    predicts_std,
)
from gplvm.plotting._choices import (
    axes_size,
    check_resolution,
    check_spread,
    check_thumbnails,
    check_uncertainty,
    leading_dimensions,
    thumbnail_side,
)
from gplvm.plotting._inputs import (
    as_classes,
    as_images,
    as_matrix,
    check_dimensions,
    check_estimator_like,
    check_length,
    flat_rows,
    guess_images,
)
from gplvm.plotting._points import (
    draw_points,
    draw_spread,
    dress_plane,
    dress_strip,
    legend_handles,
    strip_points,
)
from gplvm.plotting._style import (
    axes_inches,
    fit_figure,
    make_room,
    merged,
    outside_legend,
    own_axes,
)
from gplvm.plotting._thumbnails import draw_thumbnails


class LatentSpaceDisplay:
    """Latent positions by class, over the model's uncertainty, with images.

    It is recommended to use :meth:`from_estimator` or :meth:`from_embedding`. All
    parameters are stored as attributes.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, n_components)
        Latent positions.

    labels : array-like of shape (n_samples,), default=None
        Class of each sample, integers or strings.

    label_names : sequence of str, default=None
        Names of the classes: integer labels index it, string labels occur in it.
        A class keeps its colour in every figure; the seven creature species keep
        theirs by name, whatever the order.

    images : array-like of shape (n_samples, height, width) or \
            (n_samples, height, width, 3), default=None
        An image per sample, shown as thumbnails.

    uncertainty : tuple (values, extent), default=None
        `values` of shape (n_y, n_x) on a regular grid of cells, the first row at
        the bottom, and `extent` (x_min, x_max, y_min, y_max), the outer edges of
        the cells. For one latent dimension, shape (n_x,) and (x_min, x_max).

    dimensions : int or tuple of one or two int, default=(0, 1)
        Latent dimensions along x and y, from zero. One dimension, or an embedding
        that has only one, is drawn as a strip with a row per class.

    feature_names : sequence of str of length n_components, default=None
        Names of the latent dimensions; None: "latent 1", "latent 2", ...

    embedding_std : array-like of shape (n_samples, n_components), default=None
        Standard deviations of the positions, shown as ellipses of one of them.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the latent space.

    figure_ : matplotlib Figure
        Figure that holds the axes.

    points_ : list of matplotlib PathCollection
        The points, one collection per class that occurs. Above 1000 points all classes
        are in the first, in shuffled order, so that none buries another, and those of
        the classes are empty.

    spread_ : list of matplotlib Collection
        The ellipses (of a strip, bars) of one standard deviation around the points,
        one collection per class that occurs; empty where no spread is shown.

    legend_ : matplotlib Legend or None
        The legend; None without labels, for one class, or for a strip.

    background_ : matplotlib AxesImage or None
        The uncertainty; None where it is not known or not wanted.

    colorbar_ : matplotlib Colorbar or None
        Bar of the background.

    thumbnails_ : list of matplotlib AxesImage
        The thumbnails, in data coordinates.

    thumbnail_indices_ : ndarray of shape (n_thumbnails,)
        Sample shown by each thumbnail.

    See Also
    --------
    ReconstructionDisplay : Images beside what a model makes of them.
    LossCurveDisplay : How the fit came about.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from gplvm.plotting import LatentSpaceDisplay
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> pca = PCA(n_components=2).fit(X)
    >>> display = LatentSpaceDisplay.from_estimator(pca, X, y)
    >>> [text.get_text() for text in display.legend_.get_texts()]
    ['0', '1', '2']
    """

    def __init__(
        self,
        embedding,
        *,
        labels=None,
        label_names=None,
        images=None,
        uncertainty=None,
        dimensions=(0, 1),
        feature_names=None,
        embedding_std=None,
    ):
        self.embedding = embedding
        self.labels = labels
        self.label_names = label_names
        self.images = images
        self.uncertainty = uncertainty
        self.dimensions = dimensions
        self.feature_names = feature_names
        self.embedding_std = embedding_std

    def plot(
        self,
        *,
        ax=None,
        thumbnails=True,
        thumbnail_size=None,
        background=True,
        spread=True,
        legend=True,
        scatter_kwargs=None,
        thumbnail_kwargs=None,
        background_kwargs=None,
        spread_kwargs=None,
        legend_kwargs=None,
    ):
        """Draw the latent space.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure of fitting size.

        thumbnails : bool or int, default=True
            Whether to show images, or the largest number of them. They are placed
            where they fit: fewer may be shown. True without images shows none.

        thumbnail_size : float, default=None
            Side of an image as a fraction of the longer side of the axes; None:
            about 40 pixels.

        background : bool, default=True
            Whether to show the uncertainty, where it is known.

        spread : bool, default=True
            Whether to show the positions' standard deviations, where they are known.
            The more of the plane the ellipses cover, the fainter they are.

        legend : bool, default=True
            Whether to name the classes in a legend right of the axes.

        scatter_kwargs : dict, default=None
            Passed to :meth:`matplotlib.axes.Axes.scatter`, over the defaults.

        thumbnail_kwargs : dict, default=None
            Passed to :class:`matplotlib.image.AxesImage`, over the defaults
            (`cmap`, `clim`, `interpolation`).

        background_kwargs : dict, default=None
            Passed to :meth:`matplotlib.axes.Axes.imshow`, over the defaults.

        spread_kwargs : dict, default=None
            Passed to :class:`matplotlib.collections.EllipseCollection`, of a strip
            :class:`matplotlib.collections.LineCollection`, over the defaults.

        legend_kwargs : dict, default=None
            Passed to :meth:`matplotlib.axes.Axes.legend`, over the defaults.

        Returns
        -------
        display : LatentSpaceDisplay
            The object itself, with `ax_` and `figure_`.

        Raises
        ------
        ValueError
            If shapes, lengths, labels or dimensions do not fit one another.
        """
        Z = as_matrix(self.embedding, "embedding")
        dimensions = check_dimensions(self.dimensions, Z.shape[1])
        classes = as_classes(self.labels, self.label_names, n_samples=len(Z))
        names = self.feature_names
        check_length(names, Z.shape[1], "feature_names", of="dimensions")
        images, max_images = check_thumbnails(thumbnails, self.images, len(Z))
        grid = check_uncertainty(self.uncertainty, len(dimensions))
        stds = check_spread(self.embedding_std, Z.shape) if spread else None

        Z = Z[:, list(dimensions)]
        strip = len(dimensions) == 1
        limits = latent_limits(Z) if grid is None else grid[1]
        legend = legend and not strip and classes is not None
        legend = legend and len(classes.present) > 1
        own_size = None
        if ax is None:
            own_size = axes_size(limits, classes, max_images)
            ax = own_axes(*own_size)
        longest = max(own_size or axes_inches(ax))
        side = thumbnail_side(thumbnail_size, longest) if max_images else 0.0
        if strip:
            points = strip_points(Z[:, 0], classes)
            plane = dress_strip(ax, *dimensions, names, limits, classes, side)
        else:
            points = Z
            plane = dress_plane(ax, dimensions, names, limits)
            side *= max(1.0, plane.ratio)  # from the longer side to the width

        self.background_ = self.colorbar_ = self.legend_ = None
        self.thumbnails_, self.thumbnail_indices_ = [], np.array([], dtype=int)
        if background and grid is not None:
            self.background_ = draw_background(
                ax, grid[0], (*limits[:2], *plane.limits[2:]), background_kwargs
            )
        if legend:
            handles = legend_handles(classes)
            self.legend_ = outside_legend(ax, handles, **merged({}, legend_kwargs))
        if self.background_ is not None:
            self.colorbar_ = draw_colorbar(
                ax, self.background_, "predictive std", self.legend_
            )
        if own_size is None:
            make_room(ax)
        else:
            fit_figure(ax, *own_size)
        # Only now the size of the axes is known, to which that of points adapts.
        self.points_ = draw_points(ax, points, classes, scatter_kwargs)
        self.spread_ = []
        if stds is not None:
            stds = stds[:, list(dimensions)]
            self.spread_ = draw_spread(ax, points, stds, classes, plane, spread_kwargs)
        if max_images:
            self.thumbnails_, self.thumbnail_indices_ = draw_thumbnails(
                ax,
                images,
                points,
                classes,
                plane,
                side,
                max_images=max_images,
                crowded=thumbnails is not True,
                **merged({}, thumbnail_kwargs),
            )
        ax.set(xlim=plane.limits[:2], ylim=plane.limits[2:])
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y=None,
        *,
        images=None,
        image_shape=None,
        label_names=None,
        dimensions=None,
        feature_names=None,
        uncertainty=True,
        spread=None,
        grid_resolution=60,
        ax=None,
        **plot_kwargs,
    ):
        """Draw where a fitted estimator puts samples in its latent space.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `transform`. Where its `inverse_transform` offers
            `return_std`, the std's mean over the features becomes the background.

        X : array-like of shape (n_samples, n_features) or \
                (n_samples, height, width)
            Samples to embed. Images are flattened into rows for the estimator.

        y : array-like of shape (n_samples,), default=None
            Class of each sample, integers or strings.

        images : array-like of shape (n_samples, height, width[, 3]) or \
                (n_samples, n_pixels), default=None
            Images for the thumbnails. None: `X`, if it holds images, if
            `image_shape` says so, or if its rows look like square ones.

        image_shape : tuple (height, width[, 3]), default=None
            Shape of an image in a row of `images` or `X`.

        label_names : sequence of str, default=None
            Names of the classes.

        dimensions : int or tuple of one or two int, default=None
            Latent dimensions to show, from zero. None: the two with the largest
            `relevance_` where the estimator has it, else the first two.

        feature_names : sequence of str, default=None
            Names of the latent dimensions; None: "latent 1", "latent 2", ...

        uncertainty : bool, default=True
            Whether to compute the predictive uncertainty, where there is one. Of
            more than two latent dimensions, those not shown stay at their mean.

        spread : bool, default=None
            Whether to show the positions' standard deviations, where `transform`
            offers `return_std`. None: of a model that fits them, which has
            `embedding_std_`; of others they are an approximation made afterwards.

        grid_resolution : int, default=60
            Number of grid cells along the longer side of the background.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LatentSpaceDisplay
            The display, drawn.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        TypeError
            If the estimator has no `transform`.

        ValueError
            If shapes, lengths, labels or dimensions do not fit one another.

        See Also
        --------
        from_embedding : The same for positions that are already known.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from gplvm.plotting import LatentSpaceDisplay
        >>> digits = load_digits(n_class=3)
        >>> pca = PCA(n_components=3).fit(digits.data)
        >>> display = LatentSpaceDisplay.from_estimator(
        ...     pca, digits.images, digits.target, dimensions=(0, 2), thumbnails=8
        ... )
        >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
        ('latent 1', 'latent 3')
        >>> len(display.thumbnails_)
        8
        """
        check_estimator_like(estimator, "transform")
        check_resolution(grid_resolution)
        stds = None
        if spread is None:
            spread = hasattr(estimator, "embedding_std_")
        if spread and offers_std(estimator.transform):
            Z, stds = estimator.transform(flat_rows(X), return_std=True)
        else:
            Z = estimator.transform(flat_rows(X))
        Z = as_matrix(Z, "the estimator's transform")
        if images is None:
            images = guess_images(X, image_shape)
        else:
            images = as_images(images, image_shape=image_shape, n_samples=len(Z))
        if dimensions is None:
            dimensions = leading_dimensions(estimator, Z.shape[1])
        dimensions = check_dimensions(dimensions, Z.shape[1])
        grid = None
        if uncertainty and predicts_std(estimator):
            extent = latent_limits(Z[:, list(dimensions)])
            std = evaluate_std(estimator, Z, dimensions, extent, grid_resolution)
            grid = std, extent
        display = cls(
            Z,
            labels=y,
            label_names=label_names,
            images=images,
            uncertainty=grid,
            dimensions=dimensions,
            feature_names=feature_names,
            embedding_std=stds,
        )
        return display.plot(ax=ax, **plot_kwargs)

    @classmethod
    def from_embedding(
        cls,
        embedding,
        *,
        labels=None,
        label_names=None,
        images=None,
        image_shape=None,
        uncertainty=None,
        dimensions=None,
        feature_names=None,
        embedding_std=None,
        ax=None,
        **plot_kwargs,
    ):
        """Draw latent positions that are already known.

        Parameters
        ----------
        embedding : array-like of shape (n_samples, n_components)
            Latent positions.

        labels : array-like of shape (n_samples,), default=None
            Class of each sample, integers or strings.

        label_names : sequence of str, default=None
            Names of the classes.

        images : array-like of shape (n_samples, height, width[, 3]) or \
                (n_samples, n_pixels), default=None
            Images for the thumbnails.

        image_shape : tuple (height, width[, 3]), default=None
            Shape of an image in a row of `images`; None: square.

        uncertainty : tuple (values, extent), default=None
            Background, as for the class.

        dimensions : int or tuple of one or two int, default=None
            Latent dimensions to show, from zero; None: the first two.

        feature_names : sequence of str, default=None
            Names of the latent dimensions; None: "latent 1", "latent 2", ...

        embedding_std : array-like of shape (n_samples, n_components), default=None
            Standard deviations of the positions.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LatentSpaceDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If shapes, lengths, labels or dimensions do not fit one another.

        See Also
        --------
        from_estimator : The same with positions and uncertainty from a model.

        Examples
        --------
        >>> import numpy as np
        >>> from gplvm.plotting import LatentSpaceDisplay
        >>> Z = np.random.default_rng(0).normal(size=(20, 2))
        >>> species = ["thanator", "hexapede"] * 10
        >>> display = LatentSpaceDisplay.from_embedding(Z, labels=species)
        >>> display.ax_.get_xlabel()
        'latent 1'
        """
        Z = as_matrix(embedding, "embedding")
        if images is not None:
            images = as_images(images, image_shape=image_shape, n_samples=len(Z))
        display = cls(
            Z,
            labels=labels,
            label_names=label_names,
            images=images,
            uncertainty=uncertainty,
            dimensions=(0, 1)[: Z.shape[1]] if dimensions is None else dimensions,
            feature_names=feature_names,
            embedding_std=embedding_std,
        )
        return display.plot(ax=ax, **plot_kwargs)
