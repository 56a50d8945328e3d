"""The autoencoder with the identity: PCA by descent, or by an eigendecomposition."""

from contextlib import nullcontext

import numpy as np

from gplvm._autoencoder_walks import MOST_ALPHA, Fitted, descend, starting_weights, walk
from gplvm._centred import centred_operator, divided
from gplvm._moments import ProductMoments, second_moments
from gplvm._parallel import one_blas_thread
from gplvm.gradients.autoencoder import (
    centred_autoencoder_loss,
    optimal_loss,
    shrink_axes,
)
from gplvm.gradients.subspace import (
    AxisCoordinates,
    principal_axes,
    subspace_autoencoder_loss,
)

# Up to this many coordinates an iteration takes about a millisecond, in which several
# BLAS threads cost more than they bring: 100 times more where the cores are busy.
_ONE_THREAD = 2000

# L-BFGS with the identity arrives by default at what rounding leaves of the loss.
_TOL = 1e-14

# L-BFGS looks for as many axes next to those sought, or for so many, if there are
# that many coordinates; with fewer it is as fast without.
_FEWEST_SPARE = 5
_SPARE_FROM = 100

# Iterations until the coordinates are renewed, half as many where they know less.
_LEG = 10


def linear_optimum(axes, variances, total, n, alpha, unit=1.0):
    """The best weights on given principal axes, as a `Fitted`.

    Parameters
    ----------
    axes : ndarray of shape (n_components, n_features)
        Orthonormal rows.

    variances : ndarray of shape (n_components,)
        Sums of squares of the centred data along them.

    total : float
        Their sum of squares in all.

    n : int
        The number of rows.

    alpha : float
        Weight of the penalty, beside a mean over rows.

    unit : float, default=1.0
        The data's unit, by whose square `variances` and `total` have been divided.
    """
    penalty = n * _in_unit(alpha, unit)
    W = shrink_axes(axes, variances, penalty)
    loss = optimal_loss(total, variances, penalty) / n
    return Fitted(W, loss * unit * unit, [], total, variances, unit)


def _in_unit(alpha, unit):
    """The weight of the penalty beside a loss that is divided by the unit's square."""
    return min(float(alpha) / unit / unit, MOST_ALPHA)


class LinearProblem:
    """The autoencoder with the identity, on data about their mean.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Data.

    mean : ndarray of shape (n_features,)
        Column means.

    settings : Settings
        What to do.

    report : callable
        ``report(loss, weights) -> bool`` after each iteration, with a function that
        returns the weights as of now; True ends the fit.

    unit : float, default=1.0
        The unit in which it computes, a power of two near the data's largest entry.
    """

    def __init__(self, X, mean, settings, report, unit=1.0):
        self._X, self._mean, self._settings, self._report = X, mean, settings, report
        self._unit = unit

    def eigen(self, previous):
        """The optimum from an eigendecomposition, whatever the `previous` weights."""
        settings = self._settings
        self._take(
            second_moments(
                self._X,
                self._mean,
                settings.n_components,
                unit=self._unit,
                iterations=False,
            )
        )
        fitted = self._fitted(
            *self._moments.leading(settings.n_components, settings.random_state)
        )
        self._report(fitted.loss, lambda: fitted.W)
        fitted.curve = [fitted.loss]
        return fitted

    def lbfgs(self, previous):
        """Descent on the loss at the best mixture of the rows of the weights."""
        tol = self._settings.tol
        return self._descent(previous, _TOL if tol is None else tol)

    def _descent(self, previous, tol):
        settings = self._settings
        self._take(
            second_moments(self._X, self._mean, settings.n_components, unit=self._unit)
        )
        S = self._moments.S
        if previous is not None:
            previous = self._moments.from_data(previous)
        start = starting_weights(settings, S.shape[0], previous)
        spare = self._spare_rows()
        coordinates = AxisCoordinates(S, spare)
        promise = np.inf

        def objective(U):
            nonlocal promise
            loss, gradient = subspace_autoencoder_loss(
                coordinates.rows(U), S, eval_gradient=True
            )
            gradient = coordinates.rows(gradient)
            promise = coordinates.promise(gradient)
            return loss, gradient

        def report(U, loss):
            stop = self._report(
                self._per_row(loss), lambda: self._best_mixture(coordinates.rows(U)).W
            )
            return stop or promise < tol

        # Products of a sparse matrix have no use for BLAS.
        small = not isinstance(S, np.ndarray) or len(S) <= _ONE_THREAD
        with one_blas_thread() if small else nullcontext():
            minimum = descend(
                objective,
                start,
                settings,
                tol=tol,
                renew=coordinates.renew,
                first_leg=_LEG if len(spare) else _LEG // 2,
                report=report,
            )
            fitted = self._best_mixture(coordinates.rows(minimum.x))
        curve = [self._per_row(loss) for loss in minimum.loss_curve]
        fitted.curve = curve or [fitted.loss]
        return fitted

    def _spare_rows(self):
        """Random rows beside those sought, for `AxisCoordinates`."""
        m, size = self._settings.n_components, self._moments.S.shape[0]
        n_spare = 0
        if size >= _SPARE_FROM:
            n_spare = max(min(max(m, _FEWEST_SPARE), 3 * size // 4 - m), 0)
        return self._settings.random_state.standard_normal((n_spare, size))

    def adam(self, previous):
        """Steps over mini-batches, and descent from where they end."""
        settings, X, unit = self._settings, self._X, self._unit
        stopped = False
        self._take(ProductMoments(centred_operator(X, self._mean, unit)))
        mean = divided(self._mean, unit).astype(X.dtype)

        def batch_loss(W, rows, alpha):
            return centred_autoencoder_loss(
                W, divided(X[rows], unit), mean, alpha=alpha, eval_gradient=True
            )

        def report(W, loss):
            nonlocal stopped
            stopped = self._report(loss * unit * unit, lambda: self._best_mixture(W).W)
            return stopped

        minimum = walk(
            batch_loss,
            starting_weights(settings, X.shape[1], previous).astype(X.dtype),
            settings,
            alpha=_in_unit(settings.alpha, unit),
            n_samples=X.shape[0],
            unit=self._total / X.shape[0],
            report=report,
        )
        curve = [loss * unit * unit for loss in minimum.loss_curve]
        if minimum.converged and not stopped:
            # The noise of the batches keeps the steps from arriving.
            fitted = self._descent(minimum.x.astype(float), _TOL)
            curve += fitted.curve
        else:
            fitted = self._best_mixture(minimum.x)
        fitted.curve = curve
        return fitted

    def _take(self, moments):
        self._moments, self._total = moments, float(moments.S.trace()) or 1.0
        moments.S /= self._total

    def _per_row(self, loss):
        per_row = max(float(loss), 0.0) * self._total / self._X.shape[0]
        return per_row * self._unit * self._unit

    def _best_mixture(self, V):
        return self._fitted(*principal_axes(V.astype(float), self._moments.S))

    def _fitted(self, axes, variances):
        total, n = self._total, self._X.shape[0]
        on_data = self._moments.on_data(axes)
        if self._moments.S.trace() == 0:
            total = 0.0
        return linear_optimum(
            on_data, variances * total, total, n, self._settings.alpha, self._unit
        )
