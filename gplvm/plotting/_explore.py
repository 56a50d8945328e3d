"""A window in which the image beneath the pointer follows it over the latent plane."""

import numpy as np

from gplvm.plotting._background import evaluate_std, latent_limits, predicts_std
from gplvm.plotting._choices import leading_dimensions
from gplvm.plotting._decoding import (
    decode,
    decoded_images,
    image_shape_of,
    known_positions,
)
from gplvm.plotting._inputs import (
    as_classes,
    check_dimensions,
    check_estimator_like,
    check_length,
)
from gplvm.plotting._latent_space import LatentSpaceDisplay
from gplvm.plotting._style import FRAME, INK, PALETTE

_SIZE = (11.0, 5.0)  # inches


class LatentExplorer:
    """A latent plane, and beside it the image of the position last pointed at.

    Made by :func:`explore_latent_space`. Moving the pointer over the plane shows what
    the model decodes that position to; a click holds the image, until the next one.

    Parameters
    ----------
    model : estimator instance
        Fitted estimator with `inverse_transform`.

    embedding : ndarray of shape (n_samples, n_components)
        Latent positions of the samples.

    display : LatentSpaceDisplay
        The plane, drawn; the image goes to the figure's right half.

    image_ax : matplotlib Axes
        Where to show the image.

    classes : Classes or None
        The samples' classes, of which the nearest sample's is named.

    image_shape : tuple (height, width[, 3]), default=None
        Shape of an image in a row of pixels; None: square.

    Attributes
    ----------
    figure_ : matplotlib Figure
        Figure that holds both axes.

    ax_ : matplotlib Axes
        Axes of the plane.

    image_ax_ : matplotlib Axes
        Axes of the image.

    image_ : matplotlib AxesImage
        The image.

    caption_ : matplotlib Text
        Position, predictive standard deviation, and the nearest sample's class.

    marker_ : matplotlib Line2D
        The position in the plane.

    position_ : ndarray of shape (n_components,)
        The latent position that is shown.

    held_ : bool
        Whether a click holds the image.

    See Also
    --------
    explore_latent_space : Opens one.
    LatentManifoldDisplay : Images of a whole grid of positions, on paper.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from gplvm.plotting import explore_latent_space
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> explorer = explore_latent_space(PCA(n_components=2).fit(X), X, y, show=False)
    >>> explorer.show_at([10.0, -5.0])
    >>> explorer.image_.get_array().shape
    (8, 8)
    """

    def __init__(
        self, model, embedding, display, image_ax, *, classes=None, image_shape=None
    ):
        self.model = model
        self.embedding = embedding
        self.display = display
        self.classes = classes
        self.image_shape = image_shape
        self.figure_, self.ax_, self.image_ax_ = display.figure_, display.ax_, image_ax
        self.dimensions_ = list(display.dimensions)
        self.held_ = False
        look = {"color": INK, "fontsize": 10, "ha": "center", "va": "top"}
        place = {"transform": image_ax.transAxes, "linespacing": 1.5}
        self.caption_ = image_ax.text(0.5, -0.04, "", **look, **place)
        (self.marker_,) = self.ax_.plot(
            [], [], marker="o", markersize=11, markerfacecolor="none",
            markeredgecolor="white", markeredgewidth=4, zorder=5,
        )  # fmt: skip
        (self._ring,) = self.ax_.plot(
            [], [], marker="o", markersize=11, markerfacecolor="none",
            markeredgecolor=PALETTE[3], markeredgewidth=1.8, zorder=5.1,
        )  # fmt: skip
        self.image_ = self._first_image()
        self._connections = []
        self._connect()
        # The first picture is the most typical one rather than an empty frame.
        centre = np.median(embedding, axis=0)
        nearest = np.argmin(np.linalg.norm(embedding - centre, axis=1))
        self.show_at(embedding[nearest])

    def _first_image(self):
        """An artist whose grey scale serves the whole plane."""
        some = self.embedding[:: max(1, len(self.embedding) // 200)]
        images = decoded_images(decode(self.model, some), self.image_shape)
        if images.ndim == 4:
            self._scale = 0.0, 255.0 if np.nanmax(images) > 2 else 1.0
        else:
            self._scale = float(images.min()), float(images.max())
        artist = self.image_ax_.imshow(
            self._shown(images[0]),
            cmap="gray",
            vmin=self._scale[0],
            vmax=self._scale[1],
            interpolation="antialiased",
        )
        self.image_ax_.set(xticks=[], yticks=[])
        self.image_ax_.spines[:].set_color(FRAME)
        return artist

    def _shown(self, image):
        if image.ndim == 2:
            return image
        return np.clip(image / self._scale[1], 0.0, 1.0)

    def _connect(self):
        # The canvas holds methods weakly, functions strongly: the figure keeps the
        # explorer alive even if nobody else does.
        connect = self.figure_.canvas.mpl_connect
        self._connections = [
            connect("motion_notify_event", lambda event: self._on_move(event)),
            connect("button_press_event", lambda event: self._on_click(event)),
        ]

    def disconnect(self):
        """Stop following the pointer.

        See Also
        --------
        show_at : Show a position without a pointer.
        """
        for connection in self._connections:
            self.figure_.canvas.mpl_disconnect(connection)
        self._connections = []

    def _on_move(self, event):
        if event.inaxes is self.ax_ and not self.held_:
            self._show_plane(event.xdata, event.ydata)

    def _on_click(self, event):
        if event.inaxes is not self.ax_ or self.figure_.canvas.widgetlock.locked():
            return
        self.held_ = not self.held_
        self._show_plane(event.xdata, event.ydata)

    def _show_plane(self, *place):
        Z = self.embedding.mean(axis=0)
        Z[self.dimensions_] = place[: len(self.dimensions_)]
        self.show_at(Z)

    def show_at(self, position):
        """Show what a latent position decodes to.

        Parameters
        ----------
        position : array-like of shape (n_components,)
            The position, in all latent dimensions.

        Raises
        ------
        ValueError
            If it has another shape, or is not finite.

        See Also
        --------
        disconnect : Leave it there.
        """
        Z = np.array(position, dtype=float)
        if Z.shape != self.embedding.shape[1:] or not np.isfinite(Z).all():
            raise ValueError(
                f"position must have {self.embedding.shape[1]} finite numbers; got "
                f"{position!r}."
            )
        rows, std = decode(self.model, Z[None], return_std=True)
        self.position_ = Z
        self.image_.set_data(self._shown(decoded_images(rows, self.image_shape)[0]))
        place = Z[self.dimensions_]
        y = place[1] if len(place) == 2 else np.mean(self.ax_.get_ylim())
        for artist in (self.marker_, self._ring):
            artist.set_data([place[0]], [y])
        self.caption_.set_text(self._described(Z, std))
        self.figure_.canvas.draw_idle()

    def _described(self, Z, std):
        numbers = ", ".join(f"{coordinate:.2f}" for coordinate in Z[self.dimensions_])
        lines = [f"latent position ({numbers})"]
        if std is not None:
            lines[0] += f",  std {std[0]:.3g}"
        if self.classes is not None:
            nearest = np.argmin(np.linalg.norm(self.embedding - Z, axis=1))
            lines.append(
                f"nearest sample: {self.classes.names[self.classes.codes[nearest]]}"
            )
        lines.append("held: click to let go" if self.held_ else "click to hold")
        return "\n".join(lines)


def explore_latent_space(
    model,
    X=None,
    y=None,
    *,
    image_shape=None,
    label_names=None,
    dimensions=None,
    feature_names=None,
    uncertainty=True,
    show=True,
    **plot_kwargs,
):
    """Open a window that shows the image of the latent position pointed at.

    Moving the pointer over the latent plane shows beside it what the model decodes
    that position to. A click holds the image, for a look or a screenshot; the next
    click lets go. Without a window (a headless backend such as Agg) nothing is
    shown, and the figure can still be saved.

    Parameters
    ----------
    model : estimator instance
        Fitted estimator with `inverse_transform`, a Pipeline for example.

    X : array-like of shape (n_samples, n_pixels) or \
            (n_samples, height, width), default=None
        Samples to draw in the plane. None: the model's own `embedding_`, where it
        has one.

    y : array-like of shape (n_samples,), default=None
        Class of each sample, integers or strings.

    image_shape : tuple (height, width[, 3]), default=None
        Shape of an image in a row of pixels; None: that of `X`, or square.

    label_names : sequence of str, default=None
        Names of the classes.

    dimensions : int or tuple of one or two int, default=None
        Latent dimensions of the plane, from zero. None: the two with the largest
        `relevance_` where the model has it, else the first two. The others stay at
        the samples' mean.

    feature_names : sequence of str, default=None
        Names of the latent dimensions; None: "latent 1", "latent 2", ...

    uncertainty : bool, default=True
        Whether the predictive uncertainty, where there is one, is the background.

    show : bool, default=True
        Whether to open the window, where the backend has windows. A script ends with
        ``matplotlib.pyplot.show()``, which keeps it open; in a notebook choose an
        interactive backend such as ipympl first.

    **plot_kwargs : dict
        Passed to :meth:`LatentSpaceDisplay.plot`.

    Returns
    -------
    explorer : LatentExplorer
        Holds the figure, the image and the position; the figure keeps it alive.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the model is not fitted.

    TypeError
        If the model lacks a method.

    ValueError
        If shapes, labels or dimensions do not fit, or neither `X` nor the model has
        samples.

    See Also
    --------
    LatentManifoldDisplay : Images of a whole grid of positions, on paper.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from gplvm.plotting import explore_latent_space
    >>> X, y = load_digits(n_class=3, return_X_y=True)
    >>> explorer = explore_latent_space(PCA(n_components=2).fit(X), X, y, show=False)
    >>> explorer.caption_.get_text().splitlines()[-1]
    'click to hold'
    """
    import matplotlib.pyplot as plt

    check_estimator_like(model, "inverse_transform")
    Z = known_positions(model, X)
    check_length(y, len(Z), "y")
    if dimensions is None:
        dimensions = leading_dimensions(model, Z.shape[1])
    dimensions = check_dimensions(dimensions, Z.shape[1])
    grid = None
    if uncertainty and predicts_std(model):
        extent = latent_limits(Z[:, list(dimensions)])
        grid = evaluate_std(model, Z, dimensions, extent, 60), extent
    # Half a figure of its own for each: the plane's legend makes its own room.
    figure = plt.figure(figsize=_SIZE)
    left, right = figure.subfigures(1, 2, width_ratios=[1.9, 1.0])
    display = LatentSpaceDisplay.from_embedding(
        Z,
        labels=y,
        label_names=label_names,
        uncertainty=grid,
        dimensions=dimensions,
        feature_names=feature_names,
        ax=left.add_axes((0.09, 0.12, 0.6, 0.84)),
        **plot_kwargs,
    )
    display.figure_ = figure
    explorer = LatentExplorer(
        model,
        Z,
        display,
        right.add_axes((0.04, 0.24, 0.92, 0.7)),
        classes=as_classes(y, label_names, n_samples=len(Z)),
        image_shape=image_shape_of(X, image_shape),
    )
    if show and _has_windows():
        plt.show(block=False)
    return explorer


def _has_windows():
    import matplotlib as mpl
    from matplotlib.backends import BackendFilter, backend_registry

    with_windows = backend_registry.list_builtin(BackendFilter.INTERACTIVE)
    name = mpl.get_backend().lower()
    return name in {known.lower() for known in with_windows} or "ipympl" in name
