"""Display of the relevances of latent dimensions."""

from numbers import Real

import numpy as np
from sklearn.utils import check_scalar

from gplvm.plotting._inputs import check_estimator_like, check_length, drawable
from gplvm.plotting._style import (
    INK,
    PALETTE,
    fit_figure,
    font_size,
    latent_name,
    make_room,
    merged,
    own_axes,
    plain_axes,
)

_IRRELEVANT = "#C9CDDA"
_MAX_LABELS = 12  # dimensions that all get a tick; of more, every other one or so


class RelevanceDisplay:
    """Relevance of each latent dimension, as bars.

    It is recommended to use :meth:`from_estimator`. All parameters are stored as
    attributes.

    Parameters
    ----------
    relevance : array-like of shape (n_components,)
        Relevances, not negative.

    threshold : float, default=0.01
        Dimensions below this share of the largest relevance are drawn in grey, as
        irrelevant.

    feature_names : sequence of str of length n_components, default=None
        Names of the latent dimensions; None: their numbers, from one.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the bars.

    figure_ : matplotlib Figure
        Figure that holds the axes.

    bars_ : matplotlib BarContainer
        The bars.

    threshold_line_ : matplotlib Line2D or None
        The threshold, on a logarithmic axis only.

    See Also
    --------
    LatentSpaceDisplay : The positions along the two most relevant dimensions.

    Examples
    --------
    >>> from gplvm.plotting import RelevanceDisplay
    >>> display = RelevanceDisplay([2.0, 0.7, 0.001]).plot()
    >>> [float(bar.get_height()) for bar in display.bars_]
    [2.0, 0.7, 0.001]
    """

    def __init__(self, relevance, *, threshold=0.01, feature_names=None):
        self.relevance = relevance
        self.threshold = threshold
        self.feature_names = feature_names

    def plot(self, *, ax=None, scale="linear", bar_kwargs=None):
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        scale : {"linear", "log"}, default="linear"
            Axis of the relevance. "log" shows by how much irrelevant dimensions are
            so, down to a millionth of the largest, and the threshold as a line.

        bar_kwargs : dict, default=None
            Passed to :meth:`matplotlib.axes.Axes.bar`, over the defaults.

        Returns
        -------
        display : RelevanceDisplay
            The object itself, with `ax_` and `figure_`.

        Raises
        ------
        ValueError
            If relevances are negative, not finite or not a vector, the threshold is
            negative or not finite, or `scale` is unknown.
        TypeError
            If the threshold is no number.
        """
        relevance = _check_relevance(self.relevance)
        check_length(
            self.feature_names, len(relevance), "feature_names", of="dimensions"
        )
        check_scalar(self.threshold, "threshold", Real, min_val=0.0)
        if not np.isfinite(self.threshold):
            raise ValueError(f"threshold must be finite; got {self.threshold!r}.")
        if scale not in ("linear", "log"):
            raise ValueError(f"scale must be 'linear' or 'log'; got {scale!r}.")
        own_size = None
        if ax is None:
            own_size = (float(np.clip(0.42 * len(relevance), 2.4, 6.0)), 2.6)
            ax = own_axes(*own_size)
        plain_axes(ax, xlabel="latent dimension", ylabel="relevance")
        ax.xaxis.grid(False)
        place = np.arange(len(relevance))
        least = self.threshold * relevance.max()
        colors = [PALETTE[0] if r >= least else _IRRELEVANT for r in relevance]
        self.bars_ = ax.bar(
            place, relevance, **merged({"color": colors, "width": 0.72}, bar_kwargs)
        )
        self.threshold_line_ = None
        if scale == "log" and relevance.max() > 0:
            ax.set_yscale("log")
            shown = relevance[relevance > 1e-6 * relevance.max()]
            low = min(shown.min(), least or np.inf)
            ax.set_ylim(0.5 * low, 2.0 * relevance.max())
            self.threshold_line_ = ax.axhline(
                least, color=INK, linewidth=0.8, linestyle=(0, (4, 3))
            )
        self._label(ax, place)
        if own_size is None:
            make_room(ax)
        else:
            fit_figure(ax, *own_size)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    def _label(self, ax, place):
        """Numbers or names beneath the bars."""
        if self.feature_names is None:
            step = -(-len(place) // _MAX_LABELS)
            ax.set_xticks(place[::step], labels=place[::step] + 1)
        else:
            names = [latent_name(i, self.feature_names) for i in place]
            ax.set_xticks(place, labels=names, rotation=45, ha="right")
            ax.set_xlabel("")
            ax.tick_params(axis="x", labelsize=font_size(ax))
        ax.tick_params(axis="x", length=0)
        ax.set_xlim(-0.6, len(place) - 0.4)

    @classmethod
    def from_estimator(
        cls, estimator, *, threshold=0.01, feature_names=None, ax=None, **plot_kwargs
    ):
        """Draw the relevances of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `relevance_`.

        threshold : float, default=0.01
            Dimensions below this share of the largest relevance are drawn in grey.

        feature_names : sequence of str, default=None
            Names of the latent dimensions; None: their numbers, from one.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : RelevanceDisplay
            The display, drawn.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        TypeError
            If the estimator has no `relevance_`.

        See Also
        --------
        gplvm.BayesianGPLVM : The model that finds relevances.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from gplvm import BayesianGPLVM
        >>> from gplvm.plotting import RelevanceDisplay
        >>> model = BayesianGPLVM(n_inducing=10, tol=0.01, random_state=0)
        >>> model = model.fit(load_iris().data[::3])
        >>> display = RelevanceDisplay.from_estimator(model)
        >>> len(display.bars_)
        4
        """
        check_estimator_like(estimator)
        if not hasattr(estimator, "relevance_"):
            raise TypeError(
                f"{type(estimator).__name__} has no `relevance_`: its dimensions have "
                "none, as those of BayesianGPLVM do."
            )
        display = cls(
            estimator.relevance_, threshold=threshold, feature_names=feature_names
        )
        return display.plot(ax=ax, **plot_kwargs)


def _check_relevance(relevance):
    relevance = drawable(relevance, "relevance")
    if relevance.ndim != 1 or not relevance.size:
        raise ValueError(
            f"relevance must have shape (n_components,), not empty; got "
            f"{relevance.shape}."
        )
    if not (np.isfinite(relevance) & (relevance >= 0)).all():
        raise ValueError("relevance must be finite and not negative.")
    return relevance
