"""The L-BFGS driver that every estimator shares.

Named arrays are packed into one vector; scipy walks it; every accepted iteration is
recorded, reported to scikit-learn's callbacks, and the best one survives whatever
ends the walk: convergence, `max_iter`, a callback, or Ctrl-C.
"""

import warnings
from dataclasses import dataclass, field

import numpy as np
from scipy import optimize
from sklearn.exceptions import ConvergenceWarning

from gplvm._validation import NotFiniteError

# A gradient below this, relative to the value, is about the square root of rounding.
_FLAT = 1e-6
_FRESH_FLAT = 1e-4


class Packing:
    """Named arrays as one flat float64 vector, and back.

    Parameters
    ----------
    **arrays : array-like
        Templates: their names, order and shapes are remembered.
    """

    def __init__(self, **arrays):
        self.shapes = {name: np.shape(array) for name, array in arrays.items()}
        sizes = [int(np.prod(shape)) for shape in self.shapes.values()]
        self._stops = np.cumsum([0, *sizes])

    def pack(self, **arrays):
        """One vector from arrays of the remembered names, in their order."""
        parts = [np.asarray(arrays[name], dtype=float).ravel() for name in self.shapes]
        return np.concatenate(parts) if parts else np.empty(0)

    def unpack(self, vector):
        """Views into `vector`, by name."""
        return {
            name: vector[start:stop].reshape(shape)
            for (name, shape), start, stop in zip(
                self.shapes.items(), self._stops[:-1], self._stops[1:], strict=True
            )
        }


# A wall rises no more from this distance on: its height has to be finite.
_WALL = 1e50


class BadStartError(ValueError):
    """The objective is not finite at the start of a walk."""


@dataclass
class Minimum:
    """Where a walk ended and how it went."""

    x: np.ndarray
    fun: float
    n_iter: int = 0
    loss_curve: list = field(default_factory=list)
    converged: bool = False
    interrupted: bool = False
    stopped: bool = False  # by a callback
    message: str = ""
    problem: str = ""  # what keeps the walk from having converged, for a warning


class FitMonitor:
    """Tells scikit-learn's callbacks, and the terminal, how a fit goes.

    Parameters
    ----------
    estimator : estimator with CallbackSupportMixin
        The estimator being fitted.

    X, y : array-like
        What it is fitted to, handed on to the callbacks.

    max_iter : int
        The number of iterations at most, the length of a progress bar.

    metadata : dict, default=None
        Metadata of the fit, such as its sample weights, handed on to the callbacks.
    """

    def __init__(self, estimator, X, y=None, *, max_iter, metadata=None):
        self._estimator = estimator
        self._fit = {"X": X, "y": y, "metadata": metadata}
        self._iteration = 0
        self._context = estimator._init_callback_context(max_subtasks=max_iter)
        self._context.call_on_fit_task_begin(estimator=estimator, **self._fit)

    def iteration(self, loss, attributes):
        """Report one finished iteration; return True if a callback says stop.

        `attributes` is a function without arguments that returns the fitted
        attributes as of now; it is only called when a callback asks for them.
        """
        self._iteration += 1
        if self._estimator.verbose and (
            self._estimator.verbose > 1 or self._iteration % 10 == 0
        ):
            print(f"Iteration {self._iteration}, loss = {loss:.8g}")
        if self._iteration > self._context.max_subtasks:
            return False
        task = self._context.subcontext(task_name="iteration")
        try:
            task.call_on_fit_task_begin(estimator=self._estimator, **self._fit)
            return task.call_on_fit_task_end(
                estimator=self._estimator,
                **self._fit,
                reconstruction_attributes=attributes,
            )
        except StopIteration:
            return True

    def close(self):
        """Report that the fit is done; the estimator has its fitted attributes."""
        self._context.call_on_fit_task_end(
            estimator=self._estimator, **self._fit, reconstruction_attributes={}
        )


def walks_from(starts, walk):
    """The walks from several starts, each a tuple that ends with its `Minimum`.

    A start at which the objective is not finite is passed over, unless all are; Ctrl-C
    in one walk, or a callback that says stop, ends them all.

    Parameters
    ----------
    starts : iterable
        The starts.

    walk : callable
        ``walk(start) -> (..., Minimum)``.

    Returns
    -------
    walks : list of tuple
        At least one.

    Raises
    ------
    BadStartError
        If there is no way from any start.
    """
    walks, first_error = [], None
    for start in starts:
        try:
            walks.append(walk(start))
        except BadStartError as error:
            first_error = first_error or error
            continue
        if walks[-1][-1].interrupted or walks[-1][-1].stopped:
            break
    if not walks:
        raise first_error
    return walks


def minimize_lbfgs(
    objective,
    x0,
    *,
    bounds=None,
    max_iter=1000,
    tol=1e-8,
    window=5,
    on_iteration=None,
    renew=None,
    first_leg=5,
    max_renewals=np.inf,
    name="",
    warn=True,
):
    """Minimise a function with its gradient by L-BFGS-B, keeping the best point.

    Parameters
    ----------
    objective : callable
        ``objective(x) -> (value, gradient)``. A `LinAlgError`, a `NotFiniteError` or a
        value that is not finite makes the point a wall that the line search turns away
        from.

    x0 : ndarray of shape (n,)
        Start.

    bounds : ndarray of shape (n, 2), default=None
        Box constraints; infinite entries mean none.

    max_iter : int, default=1000
        The number of iterations at most.

    tol : float, default=1e-8
        The walk has converged when an iteration lowers the objective by less than
        this, averaged over so many iterations as `window` says.

    window : int, default=5
        Iterations over which the decrease is averaged: L-BFGS often takes one short
        step on a long way down.

    on_iteration : callable, default=None
        ``on_iteration(x, value) -> bool``, called after each iteration with a copy of
        the iterate; True, or a StopIteration, ends the walk.

    renew : callable, default=None
        ``renew(x) -> x``, another vector of the same objective value or a lower one,
        whose neighbourhood is better scaled: where the parametrisation leaves a choice
        or a part of it has a closed form. It is applied before the first iteration,
        after `first_leg` of them, and after legs that are each twice as long as the one
        before, each time with a fresh model of the curvature.

    first_leg : int, default=5
        Iterations before the second renewal.

    max_renewals : int, default=inf
        How often at most, the one before the first iteration included. A fresh model's
        first steps are short, and look like the end of the walk where that is near.

    name : str, default=""
        The estimator's name, for the warnings.

    warn : bool, default=True
        Whether to warn where the walk did not converge or was interrupted: a short
        walk on the way to another one leaves that to its caller.

    Returns
    -------
    minimum : Minimum
        The best point seen and the objective after each iteration.

    Raises
    ------
    BadStartError
        If the objective is not finite at the start.

    Warns
    -----
    ConvergenceWarning
        If `max_iter` is reached, the line search fails, or Ctrl-C is pressed.
    """
    best = Minimum(x=np.array(x0, dtype=float), fun=np.inf)
    if bounds is not None:
        best.x = np.clip(best.x, bounds[:, 0], bounds[:, 1])
    walk = _Walk(
        objective,
        best,
        bounds=bounds,
        tol=tol,
        window=window,
        on_iteration=on_iteration,
    )
    leg = max_iter if renew is None else first_leg
    renewals = 0
    try:
        while True:
            iterations_before, fun_before = best.n_iter, best.fun
            if renew is not None:
                best.x = np.array(renew(best.x), dtype=float)
                renewals += 1
                if renewals >= max_renewals:
                    renew, leg = None, max_iter
            result = optimize.minimize(
                walk.evaluate,
                best.x,
                jac=True,
                method="L-BFGS-B",
                bounds=bounds,
                callback=walk.accept,
                options={
                    "maxiter": min(max(max_iter - best.n_iter, 0), leg),
                    "maxfun": 20 * max_iter + 100,
                    "maxcor": 20,
                    "maxls": 30,
                    "ftol": 0.0,
                    "gtol": 1e-14,
                },
            )
            # scipy gives no status where the bounds leave nothing to move.
            status = result.get("status", 0)
            # A line search that fails (status 2), or ends where it began (0), mostly
            # means a stale model of the curvature: start again from the best point, as
            # long as that helps.
            stale = status in (0, 2) and best.n_iter > iterations_before
            going_on = (stale or renew is not None) and best.fun < fun_before
            if walk.stopped or not going_on or best.n_iter >= max_iter:
                break
            leg *= 2
    except KeyboardInterrupt:
        best.interrupted = True
        best.message = "interrupted"
        if not np.isfinite(best.fun):  # in the very first evaluation
            best.fun = float(objective(best.x)[0])
        best.problem = (
            f"{name} was interrupted after {best.n_iter} iterations; the best "
            "parameters so far are kept."
        )
        if warn:
            warnings.warn(best.problem, ConvergenceWarning, stacklevel=4)
        return best

    best.message = str(result.message).rstrip(" .:")
    if status in (0, 2):
        best.message = "the line search found no lower point"
    # No downhill step at all in double precision: the point is as good as converged. A
    # fresh walk that finds none excuses a gradient that cancellation has left inexact.
    ended_early = status in (0, 2) or best.n_iter < max_iter
    fresh_and_stuck = iterations_before > 0 and best.fun >= fun_before
    flat = walk.flat(_FRESH_FLAT if fresh_and_stuck else _FLAT)
    exhausted = ended_early and (walk.slow(1e3 * tol) or flat)
    best.converged = walk.stopped or exhausted
    if not best.converged:
        reached = best.n_iter >= max_iter
        best.problem = (
            f"{name} (L-BFGS) stopped after {best.n_iter} iterations without "
            f"converging: {'max_iter reached' if reached else best.message}. "
            + (
                "Raise max_iter or tol."
                if reached
                else "Scale the data to unit variance, or raise tol."
            )
        )
        if warn:
            warnings.warn(best.problem, ConvergenceWarning, stacklevel=4)
    return best


class _Walk:
    """One L-BFGS walk's evaluations and accepted iterations."""

    def __init__(self, objective, best, *, bounds, tol, window, on_iteration):
        self._objective = objective
        self._best = best
        self._tol, self._window = tol, window
        self._on_iteration = on_iteration
        self._bounds = bounds
        self._steepness = np.inf
        self.stopped = False

    def evaluate(self, x):
        best = self._best
        try:
            # What overflows on the way is seen in the end.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                value, gradient = self._objective(x)
        except (np.linalg.LinAlgError, NotFiniteError):
            value = np.nan
        if not np.isfinite(value) or not np.all(np.isfinite(gradient)):
            if not np.isfinite(best.fun):
                raise BadStartError(
                    "The objective is not finite at the start. Scale the data to unit "
                    "variance, choose another init, or, with a kernel of your own, "
                    "one that is positive definite in all dimensions."
                )
            # A wall that rises away from the best point, so that the line search's
            # interpolation turns back.
            away = np.clip(x - best.x, -_WALL, _WALL)
            height = 1.0 + abs(best.fun)
            return best.fun + height * (1.0 + away @ away), 2.0 * height * away
        if value < best.fun:
            best.x = x.copy()  # scipy reuses the memory of x
            best.fun = float(value)
            self._steepness = self._projected(gradient) / max(1.0, abs(value))
        return value, gradient

    def accept(self, intermediate_result):
        best = self._best
        best.n_iter += 1
        best.loss_curve.append(float(intermediate_result.fun))
        if self._on_iteration is not None:
            try:
                best.stopped = bool(
                    self._on_iteration(
                        intermediate_result.x.copy(), best.loss_curve[-1]
                    )
                )
            except StopIteration:
                best.stopped = True
        self.stopped = best.stopped or self.slow(self._tol)
        if self.stopped:
            raise StopIteration

    def _projected(self, gradient):
        """Largest component of the gradient that the bounds leave free to follow."""
        step = -np.asarray(gradient)
        if self._bounds is not None:
            lower, upper = np.transpose(self._bounds)
            step = np.clip(self._best.x + step, lower, upper) - self._best.x
        return np.abs(step).max(initial=0.0)

    def flat(self, relative):
        """Whether the best point's gradient is that small beside the value."""
        return self._steepness < relative

    def slow(self, tol):
        curve, window = self._best.loss_curve, self._window
        if len(curve) <= window:
            return False
        return curve[-1 - window] - curve[-1] < window * tol
