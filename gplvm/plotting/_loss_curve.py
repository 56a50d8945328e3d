"""Display of the loss against the iteration."""

import numpy as np

from gplvm.plotting._inputs import (
    check_estimator_like,
    check_mapping,
    drawable,
    name_estimators,
)
from gplvm.plotting._style import (
    fit_figure,
    line_styles,
    make_room,
    merged,
    outside_legend,
    own_axes,
    plain_axes,
)

_SCALES = {
    "raw": "loss",
    "gap": "loss above its lowest value",
    "relative": "loss above its lowest value,\nas a fraction of the first",
}


class LossCurveDisplay:
    """Loss against iteration, of one fit or of several.

    It is recommended to use :meth:`from_estimator`, :meth:`from_estimators` or
    :meth:`from_curves`. All parameters are stored as attributes.

    Parameters
    ----------
    curves : dict of str to array-like of shape (n_iterations,)
        The loss after each iteration, by name.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.

    figure_ : matplotlib Figure
        Figure that holds the axes.

    lines_ : list of matplotlib Line2D
        One line per curve.

    legend_ : matplotlib Legend or None
        The legend; None for a single curve.

    See Also
    --------
    LatentSpaceDisplay : Where the fit puts the samples.
    ReconstructionDisplay : Images beside what a model makes of them.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.plotting import LossCurveDisplay
    >>> iteration = np.arange(50)
    >>> curves = {"adam": 3 + 0.9**iteration, "lbfgs": 3 + 0.5**iteration}
    >>> display = LossCurveDisplay(curves).plot(scale="gap")
    >>> display.ax_.get_yscale()
    'log'
    """

    def __init__(self, curves):
        self.curves = curves

    def plot(
        self, *, ax=None, scale="raw", legend=True, line_kwargs=None, legend_kwargs=None
    ):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        scale : {"raw", "gap", "relative"}, default="raw"
            "raw": the loss. "gap": its excess over the lowest value of the curve,
            which of a descent is the last, on a logarithmic axis. "relative": that
            excess as a fraction of the first one, so that curves of different
            units share the axis and all start at one. The lowest value itself has
            no logarithm and is left out; a flat curve is empty.

        legend : bool, default=True
            Whether to name several curves in a legend right of the axes.

        line_kwargs : dict, default=None
            Passed to :meth:`matplotlib.axes.Axes.plot`, over the defaults.

        legend_kwargs : dict, default=None
            Passed to :meth:`matplotlib.axes.Axes.legend`, over the defaults.

        Returns
        -------
        display : LossCurveDisplay
            The object itself, with `ax_` and `figure_`.

        Raises
        ------
        ValueError
            If `scale` is unknown, or a curve is empty, not one-dimensional, or not
            finite.
        """
        from matplotlib.ticker import MaxNLocator

        if scale not in _SCALES:
            raise ValueError(f"scale must be one of {list(_SCALES)}; got {scale!r}.")
        curves = {
            name: _check_curve(name, curve)
            for name, curve in check_mapping(self.curves, "curves").items()
        }
        own_size = (5.2, 3.4) if ax is None else None
        if ax is None:
            ax = own_axes(*own_size)
        plain_axes(ax, xlabel="iteration", ylabel=_SCALES[scale])
        self.lines_ = []
        for (name, curve), look in zip(
            curves.items(), line_styles(list(curves)), strict=True
        ):
            defaults = {"linewidth": 1.8, "label": name, **look}
            if len(curve) == 1:
                defaults["marker"] = "o"
            settings = merged(defaults, line_kwargs)
            iteration = np.arange(1, len(curve) + 1)
            self.lines_ += ax.plot(iteration, _rescale(curve, scale), **settings)
        if scale != "raw":
            ax.set_yscale("log")
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
        ax.margins(x=0.02)
        self.legend_ = None
        if legend and len(curves) > 1:
            self.legend_ = outside_legend(ax, self.lines_, **merged({}, legend_kwargs))
        if own_size is None:
            make_room(ax)
        else:
            fit_figure(ax, *own_size)
        self.ax_ = ax
        self.figure_ = ax.figure
        return self

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, **plot_kwargs):
        """Draw the loss curve of a fitted estimator.

        Parameters
        ----------
        estimator : estimator instance
            Fitted estimator with `loss_curve_`.

        name : str, default=None
            Name of the curve; None: the estimator's class.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.

        TypeError
            If the estimator has no `loss_curve_`.

        See Also
        --------
        from_estimators : Several fits in one figure.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from gplvm.plotting import LossCurveDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> mlp = MLPClassifier(tol=0.01, random_state=0).fit(X, y)
        >>> display = LossCurveDisplay.from_estimator(mlp)
        >>> display.ax_.get_xlabel(), display.ax_.get_ylabel()
        ('iteration', 'loss')
        """
        name = type(estimator).__name__ if name is None else name
        return cls.from_estimators({name: estimator}, ax=ax, **plot_kwargs)

    @classmethod
    def from_estimators(cls, estimators, *, ax=None, **plot_kwargs):
        """Draw the loss curves of several fitted estimators.

        Parameters
        ----------
        estimators : dict of str to estimator, or list of estimators
            Fitted estimators with `loss_curve_`; those of a list are named by
            their class.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        sklearn.exceptions.NotFittedError
            If an estimator is not fitted.

        TypeError
            If an estimator has no `loss_curve_`.

        See Also
        --------
        from_curves : The same for arrays.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.neural_network import MLPClassifier
        >>> from gplvm.plotting import LossCurveDisplay
        >>> X, y = load_iris(return_X_y=True)
        >>> fits = {
        ...     f"step {step}": MLPClassifier(
        ...         tol=0.01, learning_rate_init=step, random_state=0
        ...     ).fit(X, y)
        ...     for step in (0.001, 0.01)
        ... }
        >>> display = LossCurveDisplay.from_estimators(fits, scale="gap")
        >>> [text.get_text() for text in display.legend_.get_texts()]
        ['step 0.001', 'step 0.01']
        """
        curves = {}
        for name, estimator in name_estimators(estimators).items():
            check_estimator_like(estimator)
            if not hasattr(estimator, "loss_curve_"):
                raise TypeError(
                    f"{type(estimator).__name__} has no `loss_curve_`: its fit is not "
                    "iterative, or keeps no record."
                )
            curves[name] = estimator.loss_curve_
        return cls.from_curves(curves, ax=ax, **plot_kwargs)

    @classmethod
    def from_curves(cls, curves, *, ax=None, **plot_kwargs):
        """Draw loss curves given as arrays.

        Parameters
        ----------
        curves : dict of str to array-like of shape (n_iterations,)
            The loss after each iteration, by name.

        ax : matplotlib Axes, default=None
            Axes to draw on; None: a new figure.

        **plot_kwargs : dict
            Passed to :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay
            The display, drawn.

        Raises
        ------
        ValueError
            If a curve is empty, not one-dimensional, or not finite.

        See Also
        --------
        from_estimators : The same for fitted estimators.

        Examples
        --------
        >>> from gplvm.plotting import LossCurveDisplay
        >>> display = LossCurveDisplay.from_curves({"fit": [3.0, 2.0, 1.5]})
        >>> display.lines_[0].get_ydata()
        array([3. , 2. , 1.5])
        """
        return cls(curves).plot(ax=ax, **plot_kwargs)


def _check_curve(name, curve):
    curve = drawable(curve, f"curve {name!r}")
    if curve.ndim != 1 or not curve.size:
        raise ValueError(
            f"curve {name!r} must have shape (n_iterations,), not empty; got "
            f"{curve.shape}."
        )
    if not np.isfinite(curve).all():
        raise ValueError(f"curve {name!r} contains NaN or infinity.")
    return curve


def _rescale(curve, scale):
    if scale == "raw":
        return curve
    gap = curve - curve.min()
    gap[gap == 0] = np.nan  # no logarithm
    return gap / gap[0] if scale == "relative" else gap
