"""Display of images beside their reconstructions."""

import numpy as np
from scipy.sparse import issparse

from gplvm.plotting._background import predicts_std
from gplvm.plotting._choices import choose_rows
from gplvm.plotting._inputs import (
    as_classes,
    as_images,
    by_name,
    check_estimator_like,
    check_length,
    flat_rows,
    image_errors,
    name_estimators,
)
from gplvm.plotting._mosaic import Row, column_names, draw_mosaic
from gplvm.plotting._style import fit_figure, make_room, merged, own_axes

_RESIDUALS = ("auto", "difference", "std", None)


class ReconstructionDisplay:
    """Images, what one or several models make of them, and how far that is off.

    It is recommended to use :meth:`from_estimator`, :meth:`from_estimators` or
    :meth:`from_reconstructions`. All parameters are stored as attributes.

    Parameters
    ----------
    images : array-like of shape (n_images, height, width) or \
            (n_images, height, width, 3)
        The originals, one column each. NaN (a missing pixel) is shown in a tint
        that is no grey.

    reconstructions : array-like of the shape of `images`, or dict of str to \
            array-like
        One row of images per model.

    std : array-like of the shape of `images`, or dict of str to array-like, \
            default=None
        Predictive standard deviations; a dict has the keys of `reconstructions`.

    labels : array-like of shape (n_images,), default=None
        What to write above the columns; the frame of an original has the colour of
        its class.

    errors : array-like of shape (n_images,), or dict of str to array-like, \
            default=None
        Numbers to write beneath the reconstructions; None: the root mean squared
        error over the pixels that the original has.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with all images.

    figure_ : matplotlib Figure
        Figure that holds the axes.

    images_ : dict of str to list of matplotlib AxesImage
        The images of every row, by the row's name.

    errors_ : dict of str to ndarray of shape (n_images,)
        The numbers beneath each row of reconstructions.

    colorbars_ : list of matplotlib Colorbar
        One per row of residuals, unless the images have colours.

    See Also
    --------
    LatentSpaceDisplay : Where the same images lie in the latent space.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from gplvm.plotting import ReconstructionDisplay
    >>> X = load_digits().data
    >>> pca = PCA(n_components=5).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(pca, X, n_images=4)
    >>> list(display.images_)
    ['original', 'reconstruction', '|difference|']
    """

    def __init__(self, images, reconstructions, *, std=None, labels=None, errors=None):
        self.images = images
        self.reconstructions = reconstructions
        self.std = std
        self.labels = labels
        self.errors = errors

    def plot(
        self, *, ax=None, residual="auto", image_kwargs=None, residual_kwargs=None
    ):
        """Draw the rows of images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure of fitting size.

        residual : {"auto", "difference", "std"} or None, default="auto"
            The row beneath each row of reconstructions: the absolute difference,
            the predictive std, or none. "auto": for one model the std if it varies
            within an image, else the difference; for several models none.

        image_kwargs : dict, default=None
            Passed to the :class:`matplotlib.image.AxesImage` of originals and
            reconstructions, over the defaults. They share one scale, from the
            darkest to the lightest pixel of the originals; `clim` sets another.

        residual_kwargs : dict, default=None
            The same for the rows of residuals.

        Returns
        -------
        display : ReconstructionDisplay
            The object itself, with `ax_` and `figure_`.

        Raises
        ------
        ValueError
            If shapes or lengths do not fit, or `residual` is unknown or asks for a
            std that is not known.
        """
        images = as_images(self.images)
        n = len(images)
        models = by_name(self.reconstructions, images.shape, "reconstructions")
        std = by_name(self.std, images.shape, "std", like=models)
        labels = self.labels
        check_length(labels, n, "labels")
        classes = as_classes(labels, n_samples=n)
        if residual not in _RESIDUALS:
            raise ValueError(f"residual must be one of {_RESIDUALS}; got {residual!r}.")
        if residual == "auto" and len(models) > 1:
            residual = None
        elif residual == "auto":
            residual = "std" if std and not _flat(*std.values()) else "difference"
        if residual == "std" and set(std) != set(models):
            raise ValueError("residual='std', but not every model has a std.")
        self.errors_ = image_errors(self.errors, images, models)

        unit = "rmse" if self.errors is None else "error"
        low, high = float(np.nanmin(images)), float(np.nanmax(images))
        shared = merged({"clim": (low, high)}, image_kwargs)
        rows = [Row("original", images, shared, framed=True)]
        for name, model in models.items():
            errors = self.errors_[name]
            rows.append(Row(name, model, shared, numbers=errors, unit=unit))
            if residual is not None:
                shown = std[name] if residual == "std" else np.abs(images - model)
                title = "std" if residual == "std" else "|difference|"
                clim = 0.0, float(np.nanmax(shown)) or 1.0
                look = merged({"clim": clim, "cmap": "magma"}, residual_kwargs)
                if len(models) > 1:
                    title = f"{title}, {name}"
                rows.append(Row(title, shown, look, scaled=True))
        own = ax is None
        if own:
            ax = own_axes(0.95 * n, 1.1 * len(rows))
        colors = None
        if classes is not None:
            colors = [classes.styles[code].color for code in classes.codes]
        size, self.images_, self.colorbars_ = draw_mosaic(
            ax, rows, column_names(classes), colors
        )
        if own:
            cell = float(np.clip(8.5 / n, 0.5, 1.0))
            fit_figure(ax, *(cell * size))
        else:
            make_room(ax)
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
        n_images=8,
        image_shape=None,
        indices=None,
        random_state=None,
        label_names=None,
        ax=None,
        **plot_kwargs,
    ):
        """Draw what a fitted estimator makes of some images.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `transform` and `inverse_transform`; where the
            latter offers `return_std`, the std is known too.

        X : array-like of shape (n_samples, n_pixels) or \
                (n_samples, height, width)
            Images to choose from.

        y : array-like of shape (n_samples,), default=None
            Their classes, written above the columns.

        n_images : int, default=8
            Number of images, at most all.

        image_shape : tuple (height, width[, 3]), default=None
            Shape of an image in a row of `X`; None: square.

        indices : array-like of int, default=None
            Rows to show; None: `n_images` of them.

        random_state : int, RandomState instance or None, default=None
            None: rows at equal distances. Otherwise rows drawn at random.

        label_names : sequence of str, default=None
            Names of the classes, indexed by integer `y`.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        TypeError
            If the estimator lacks a method.

        ValueError
            If shapes, lengths or indices do not fit.

        See Also
        --------
        from_estimators : Several models in one figure.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from gplvm.plotting import ReconstructionDisplay
        >>> digits = load_digits()
        >>> pca = PCA(n_components=5).fit(digits.data)
        >>> display = ReconstructionDisplay.from_estimator(
        ...     pca, digits.images, digits.target, indices=[0, 1, 2]
        ... )
        >>> len(display.images_["original"])
        3
        """
        return cls.from_estimators(
            {"reconstruction": estimator},
            X,
            y,
            n_images=n_images,
            image_shape=image_shape,
            indices=indices,
            random_state=random_state,
            label_names=label_names,
            ax=ax,
            **plot_kwargs,
        )

    @classmethod
    def from_estimators(
        cls,
        estimators,
        X,
        y=None,
        *,
        n_images=8,
        image_shape=None,
        indices=None,
        random_state=None,
        label_names=None,
        ax=None,
        **plot_kwargs,
    ):
        """Draw what several fitted estimators make of the same images.

        Parameters
        ----------
        estimators : dict of str to estimator, or list of estimators
            Fitted estimators with `transform` and `inverse_transform`, one row
            each; those of a list are named by their class.

        X : array-like of shape (n_samples, n_pixels) or \
                (n_samples, height, width)
            Images to choose from.

        y : array-like of shape (n_samples,), default=None
            Their classes, written above the columns.

        n_images : int, default=8
            Number of images, at most all.

        image_shape : tuple (height, width[, 3]), default=None
            Shape of an image in a row of `X`; None: square.

        indices : array-like of int, default=None
            Rows to show; None: `n_images` of them.

        random_state : int, RandomState instance or None, default=None
            None: rows at equal distances. Otherwise rows drawn at random.

        label_names : sequence of str, default=None
            Names of the classes, indexed by integer `y`.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If an estimator is not fitted.

        TypeError
            If an estimator lacks a method.

        ValueError
            If shapes, lengths or indices do not fit.

        See Also
        --------
        from_estimator : One model, with what it gets wrong.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from sklearn.decomposition import PCA
        >>> from gplvm.plotting import ReconstructionDisplay
        >>> X = load_digits().data
        >>> models = {f"PCA, {q}": PCA(n_components=q).fit(X) for q in (2, 10)}
        >>> display = ReconstructionDisplay.from_estimators(models, X)
        >>> list(display.images_)
        ['original', 'PCA, 2', 'PCA, 10']
        """
        estimators = name_estimators(estimators)
        for estimator in estimators.values():
            check_estimator_like(estimator, "transform", "inverse_transform")
        if issparse(X):
            X = X.toarray()
        if not np.shape(X):
            raise ValueError(f"X must have rows, got {X!r}.")
        n = len(X)
        check_length(y, n, "y")
        chosen = choose_rows(n, n_images, indices, random_state)
        X = X.iloc[chosen] if hasattr(X, "iloc") else np.asarray(X)[chosen]
        images = as_images(X, image_shape=image_shape, name="X")
        rows = flat_rows(X)
        reconstructions, std = {}, {}
        for name, estimator in estimators.items():
            Z = estimator.transform(rows)
            if predicts_std(estimator):
                mean, spread = estimator.inverse_transform(Z, return_std=True)
                std[name] = np.asarray(spread).reshape(images.shape)
            else:
                mean = estimator.inverse_transform(Z)
            reconstructions[name] = np.asarray(mean).reshape(images.shape)
        labels = None
        if y is not None:
            classes = as_classes(y, label_names, n_samples=n)
            labels = [classes.names[code] for code in classes.codes[chosen]]
        display = cls(images, reconstructions, std=std or None, labels=labels)
        return display.plot(ax=ax, **plot_kwargs)

    @classmethod
    def from_reconstructions(
        cls,
        images,
        reconstructions,
        *,
        std=None,
        labels=None,
        errors=None,
        image_shape=None,
        ax=None,
        **plot_kwargs,
    ):
        """Draw reconstructions that are already known.

        Parameters
        ----------
        images : array-like of shape (n_images, height, width[, 3]) or \
                (n_images, n_pixels)
            The originals, one column each.

        reconstructions : array-like of the shape of `images`, or dict of str to \
                array-like
            One row of images per model.

        std : array-like of the shape of `images`, or dict of str to array-like, \
                default=None
            Predictive standard deviations.

        labels : array-like of shape (n_images,), default=None
            What to write above the columns.

        errors : array-like of shape (n_images,), or dict of str to array-like, \
                default=None
            Numbers beneath the reconstructions; None: root mean squared errors.

        image_shape : tuple (height, width[, 3]), default=None
            Shape of an image in a row; None: square.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If shapes or lengths do not fit.

        See Also
        --------
        from_estimator : The same with reconstructions from a model.

        Examples
        --------
        >>> import numpy as np
        >>> from gplvm.plotting import ReconstructionDisplay
        >>> images = np.eye(12)[None].repeat(3, axis=0)
        >>> display = ReconstructionDisplay.from_reconstructions(images, images / 2)
        >>> display.errors_["reconstruction"].round(3)
        array([0.144, 0.144, 0.144])
        """
        images = as_images(images, image_shape=image_shape)
        display = cls(images, reconstructions, std=std, labels=labels, errors=errors)
        return display.plot(ax=ax, **plot_kwargs)


def _flat(std):
    """Whether all pixels of an image share their std: a picture of one colour."""
    rows = std.reshape(len(std), -1)
    return bool(np.all(np.ptp(rows, axis=1) <= 1e-6 * np.abs(rows).max(axis=1)))
