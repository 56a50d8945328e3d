"""Mini-batch descent: the update rules, and the epochs that every estimator shares.

The stochastic sibling of `_optimize.minimize_lbfgs`: parameters and gradient are one
flat vector each, updated in place, and the best epoch survives whatever ends the
walk: convergence, `max_iter`, a callback, or Ctrl-C.
"""

import warnings
from dataclasses import dataclass, field

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from gplvm._blas import add_multiple
from gplvm._optimize import Minimum

MOMENTUM = 0.9

# Adam's sums are scaled back when a step weighs so much more than one long ago.
_MOST_WEIGHT = 1e4


class Adam:
    """Kingma and Ba's (2015) update, with bias-corrected moments, in place."""

    def __init__(self, x, learning_rate, *, beta_1=0.9, beta_2=0.999, epsilon=1e-8):
        self._rate, self._epsilon = learning_rate, epsilon
        self._betas, self._weights = (beta_1, beta_2), [1.0, 1.0]
        self._sums, self._step = (np.zeros_like(x), np.zeros_like(x)), 0

    def update(self, x, gradient):
        """One step of `x`; `gradient` is scratch afterwards."""
        # m <- beta1 m + (1 - beta1) g,      mhat = m / (1 - beta1^t),
        # v <- beta2 v + (1 - beta2) g^2,    vhat = v / (1 - beta2^t),
        # x <- x - rate mhat / (sqrt(vhat) + epsilon).
        # Kept are the sums M of w1 g and V of w2 g^2 over the steps, whose weights
        # w = beta^-t grow instead of the sums' decay: mhat = a M and vhat = r^2 V with
        # a = (1 - beta1) / (w1 (1 - beta1^t)), r^2 = (1 - beta2) / (w2 (1 - beta2^t)),
        # and x <- x - (rate a / r) M / (sqrt(V) + epsilon / r).
        self._step += 1
        M, V = self._sums
        add_multiple(M, self._next_weight(0), gradient)
        gradient *= gradient
        add_multiple(V, self._next_weight(1), gradient)
        a, r_squared = (
            (1 - beta) / (weight * (1 - beta**self._step))
            for beta, weight in zip(self._betas, self._weights, strict=True)
        )
        r = r_squared**0.5
        change = np.sqrt(V, out=gradient)
        change += self._epsilon / r
        np.divide(M, change, out=change)
        add_multiple(x, -self._rate * a / r, change)

    def _next_weight(self, moment):
        if self._weights[moment] > _MOST_WEIGHT:
            self._sums[moment][...] /= self._weights[moment]
            self._weights[moment] = 1.0
        self._weights[moment] /= self._betas[moment]
        return self._weights[moment]


class Momentum:
    """Gradient descent with momentum, ``v <- momentum v - rate g``, in place."""

    def __init__(self, x, learning_rate, *, momentum=MOMENTUM):
        self._rate, self._momentum = learning_rate, momentum
        self._velocity = np.zeros_like(x)

    def update(self, x, gradient):
        """One step of `x`; `gradient` is scratch afterwards."""
        gradient *= self._rate
        self._velocity *= self._momentum
        self._velocity -= gradient
        x += self._velocity


@dataclass
class StochasticMinimum(Minimum):
    """Where a walk over mini-batches ended, with its validation scores if any."""

    scores: list = field(default_factory=list)


def minimize_stochastic(
    objective,
    x,
    optimizer,
    *,
    n_samples,
    batch_size,
    max_iter,
    random_state,
    tol=0.0,
    n_iter_no_change=None,
    score=None,
    on_epoch=None,
    name="",
):
    """Minimise a mean over rows by steps over shuffled mini-batches of them.

    Parameters
    ----------
    objective : callable
        ``objective(rows) -> (loss, gradient)`` at the current `x`, for an index array
        of rows; `gradient` may be the same array at every call.

    x : ndarray of shape (n,)
        Start; it is walked in place.

    optimizer : Adam or Momentum
        The update rule, with its state.

    n_samples, batch_size : int
        The number of rows, and that of a mini-batch (the last one has the rest).

    max_iter : int
        The number of epochs at most.

    random_state : RandomState
        Shuffles the rows, once an epoch.

    tol, n_iter_no_change : float and int, default=0.0 and None
        The walk has converged when the loss (or the score) did not improve on the
        best by `tol` for so many epochs in a row; None: it never has.

    score : callable, default=None
        ``score() -> float`` of the current `x` on held-out rows: if given, it is this
        that has to improve, and the epoch with the best score that is kept.

    on_epoch : callable, default=None
        ``on_epoch(loss) -> bool``, called after each epoch; True ends the walk.

    name : str, default=""
        The estimator's name, for the warnings.

    Returns
    -------
    minimum : StochasticMinimum
        The parameters after the best epoch, and the loss of each.

    Raises
    ------
    ValueError
        If the loss is no longer finite.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` is reached or Ctrl-C is pressed.
    """
    best = StochasticMinimum(x=x.copy(), fun=np.inf)
    stalled = 0
    try:
        while best.n_iter < max_iter and not best.converged:
            with np.errstate(over="ignore", invalid="ignore"):  # seen in the loss
                loss = _epoch(
                    objective, x, optimizer, n_samples, batch_size, random_state
                )
            if not np.isfinite(loss) or not np.all(np.isfinite(x)):
                raise ValueError(
                    f"{name} diverged in epoch {best.n_iter + 1}: the loss is not "
                    "finite. Lower learning_rate_init."
                )
            best.n_iter += 1
            best.loss_curve.append(loss)
            if score is None:
                criterion = loss
            else:
                best.scores.append(score())
                criterion = -best.scores[-1]
            stalled = 0 if criterion < best.fun - tol else stalled + 1
            if criterion < best.fun:
                best.fun = criterion
                best.x[...] = x
            if n_iter_no_change is not None and stalled >= n_iter_no_change:
                best.converged = True
            if on_epoch is not None and on_epoch(loss):
                best.converged = True
    except KeyboardInterrupt:
        best.message = "interrupted"
        warnings.warn(
            f"{name} was interrupted after {best.n_iter} epochs; the best parameters "
            "so far are kept.",
            ConvergenceWarning,
            stacklevel=4,
        )
        return best
    if not best.converged and n_iter_no_change is not None:
        warnings.warn(
            f"{name} stopped after {best.n_iter} epochs without converging: max_iter "
            "reached. Raise max_iter or tol.",
            ConvergenceWarning,
            stacklevel=4,
        )
    return best


def _epoch(objective, x, optimizer, n_samples, batch_size, random_state):
    """One pass over the shuffled rows; the mean of its batches' losses."""
    order = random_state.permutation(n_samples)
    total = 0.0
    for start in range(0, n_samples, batch_size):
        rows = order[start : start + batch_size]
        loss, gradient = objective(rows)
        total += loss * rows.size
        optimizer.update(x, gradient)
    return total / n_samples
