"""The walks that the autoencoder's problems share: what a fit is to do, and does."""

from dataclasses import dataclass

import numpy as np

from gplvm._optimize import minimize_lbfgs
from gplvm._stochastic import Adam, minimize_stochastic

# Adam: epochs without improvement until the step is halved, and until it ends.
_PATIENCE = 3
_NO_CHANGE = 10

# A penalty of this weight, in the data's unit, leaves no weights.
MOST_ALPHA = 1e30


@dataclass
class Settings:
    """What a fit is to do; those of `LinearAutoencoder`, in its names."""

    n_components: int
    alpha: float
    max_iter: int
    tol: float | None
    batch_size: int
    learning_rate_init: float
    random_state: np.random.RandomState
    name: str

    @classmethod
    def of(cls, estimator, n_samples, random_state):
        """Those of an estimator, for so many rows."""
        names = ["n_components", "alpha", "max_iter", "tol", "learning_rate_init"]
        size = estimator.batch_size
        if size == "auto":
            size = min(max(n_samples // 16, 10), 200)
        return cls(
            batch_size=min(size, n_samples),
            random_state=random_state,
            name=type(estimator).__name__,
            **{name: getattr(estimator, name) for name in names},
        )


@dataclass
class Fitted:
    """Weights, their loss per row, and the losses on the way."""

    W: np.ndarray
    loss: float
    curve: list
    # Of the linear problem: sums of squares of the data, in all and along the axes,
    # divided by that of a unit.
    total: float = 0.0
    variances: np.ndarray | None = None
    unit: float = 1.0


class _ShrinkingAdam(Adam):
    """Adam whose steps are halved while the loss of the epochs does not fall."""

    def __init__(self, x, learning_rate, tol):
        super().__init__(x, learning_rate)
        self._tol, self._least, self._stalled = tol, np.inf, 0

    def end_epoch(self, loss):
        """Judge the step size by the epoch's loss."""
        self._stalled = 0 if loss < self._least - self._tol else self._stalled + 1
        self._least = min(self._least, loss)
        if self._stalled == _PATIENCE:
            self._rate *= 0.5
            self._stalled = 0


def starting_weights(settings, n_columns, previous):
    """Random weights, or the previous ones with random rows for those of zeros."""
    shape = settings.n_components, n_columns
    W = settings.random_state.standard_normal(shape) / np.sqrt(n_columns)
    if previous is not None:
        alive = previous.any(axis=1)
        W[alive] = previous[alive]
    return W


def descend(objective, start, settings, *, report, renew=None, **how):
    """L-BFGS on functions of a matrix."""
    shape = start.shape

    def flat_objective(x):
        value, gradient = objective(x.reshape(shape))
        return value, gradient.ravel()

    minimum = minimize_lbfgs(
        flat_objective,
        start.ravel(),
        max_iter=settings.max_iter,
        on_iteration=lambda x, value: report(x.reshape(shape), value),
        renew=renew and (lambda x: renew(x.reshape(shape)).ravel()),
        name=settings.name,
        **how,
    )
    minimum.x = minimum.x.reshape(shape)
    return minimum


def walk(batch_loss, W, settings, *, alpha, n_samples, unit, report):
    """Adam on a function of a matrix and rows; losses are per row, steps in `unit`."""
    x = W.reshape(-1)
    tol = 1e-5 if settings.tol is None else settings.tol
    optimizer = _ShrinkingAdam(x, settings.learning_rate_init, tol)

    def on_epoch(loss):
        optimizer.end_epoch(loss)
        return report(W.copy(), loss * unit)

    minimum = minimize_stochastic(
        of_rows(batch_loss, W, alpha, unit),
        x,
        optimizer,
        n_samples=n_samples,
        batch_size=settings.batch_size,
        max_iter=settings.max_iter,
        random_state=settings.random_state,
        tol=tol,
        n_iter_no_change=_NO_CHANGE,
        on_epoch=on_epoch,
        name=settings.name,
    )
    minimum.x = minimum.x.reshape(W.shape)
    minimum.loss_curve = [loss * unit for loss in minimum.loss_curve]
    return minimum


def of_rows(batch_loss, W, alpha, unit):
    """Mean loss and flat gradient of some rows at `W`, which is walked in place."""

    def objective(rows):
        size = len(rows) * unit
        loss, gradient = batch_loss(W, rows, alpha * len(rows))
        gradient /= size
        return float(loss) / size, gradient.reshape(-1)

    return objective
