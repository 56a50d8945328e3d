"""How the autoencoder's weights are found: the linear problem and the others."""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from scipy.sparse import issparse

from gplvm._centred import centred_operator, divided, row_slices
from gplvm._moments import ProductMoments, second_moments
from gplvm._optimize import minimize_lbfgs
from gplvm._parallel import map_blocks, one_blas_thread, row_blocks
from gplvm._stochastic import Adam, minimize_stochastic
from gplvm.gradients.autoencoder import (
    ACTIVATIONS,
    autoencoder_loss,
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

# Adam: epochs without improvement until the step is halved, and until it ends.
_PATIENCE = 3
_NO_CHANGE = 10

# A penalty of this weight, in the data's unit, leaves no weights.
_MOST_ALPHA = 1e30

# Below this the squares of a row lose digits.
_LEAST_SQUARES = 1e-290

# Between these, sums of squares in single precision neither over- nor underflow.
_SINGLE = 1e-12, 1e12

# Data are read in at most so many groups of rows, each in blocks of so many entries.
_GROUPS = 32
_BLOCK = 2**18


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
    return min(float(alpha) / unit / unit, _MOST_ALPHA)


def encode(W, X, mean, activation):
    """The code ``f((X - mean) W')`` of dense or sparse data, without a copy of them."""
    f, _ = ACTIVATIONS[activation]
    if issparse(X):
        return f(X @ W.T - mean @ W.T)
    return np.concatenate([f((X[rows] - mean) @ W.T) for rows in row_slices(X.shape)])


def reconstruction_loss(W, X, mean, activation, unit=1.0):
    """Half the squared error of ``X - mean`` decoded from its code, over all rows.

    With the identity, it is divided by the square of `unit`, which keeps it from
    overflowing on the way.
    """
    if issparse(X) and activation == "identity":
        return centred_autoencoder_loss(
            W, divided(X.astype(float), unit), divided(mean, unit)
        )
    return sum(
        autoencoder_loss(
            W, divided(_dense(X[rows]) - mean, unit), activation=activation
        )
        for rows in row_slices(X.shape)
    )


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
        start = _start(settings, S.shape[0], previous)
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
            minimum = _descend(
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

        minimum = _walk(
            batch_loss,
            _start(settings, X.shape[1], previous).astype(X.dtype),
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


class NonlinearProblem:
    """The autoencoder with another activation, on the data as they are.

    Parameters
    ----------
    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Data.

    activation : str
        The name of the function of both layers.

    settings, report
        As those of `LinearProblem`.

    largest : float, default=1.0
        The largest absolute entry of the data.
    """

    def __init__(self, X, activation, settings, report, largest=1.0):
        self._X, self._activation = X, activation
        self._settings, self._report = settings, report
        # The loss of weights without effect: of the data, or of what f(0) adds to them.
        squares = float(_sum_over_blocks(lambda Y: (np.vdot(Y, Y),), X)[0])
        f, _ = ACTIVATIONS[activation]
        of_zero = X.shape[1] * float(f(np.float64(0.0))) ** 2
        if squares + of_zero == 0 and largest > 0:
            raise ValueError(
                f"The squares of the data underflow (largest entry {largest:.3g}). "
                "Multiply the data by a constant."
            )
        self._unit = max(squares / X.shape[0], of_zero) or 1.0
        self._unit = max(self._unit, _LEAST_SQUARES)
        self._alpha = min(float(settings.alpha), _MOST_ALPHA * self._unit)
        usual = largest == 0 or _SINGLE[0] < largest < _SINGLE[1]
        self._dtype = X.dtype if usual else np.dtype(float)

    def lbfgs(self, previous):
        """Descent, with a pass over all the data for each iteration."""
        settings = self._settings
        minimum = _descend(
            self._loss,
            _start(settings, self._X.shape[1], previous),
            settings,
            tol=1e-8 if settings.tol is None else settings.tol,
            report=lambda W, loss: self._report(loss * self._unit, lambda: W),
        )
        return self._fitted(minimum, [loss * self._unit for loss in minimum.loss_curve])

    def adam(self, previous):
        """Steps over mini-batches."""
        start = _start(self._settings, self._X.shape[1], previous)
        minimum = _walk(
            self._batch_loss,
            start.astype(self._dtype),
            self._settings,
            alpha=self._alpha,
            n_samples=self._X.shape[0],
            unit=self._unit,
            report=lambda W, loss: self._report(loss, lambda: W),
        )
        return self._fitted(minimum, minimum.loss_curve)

    def epoch(self, previous, optimizer):
        """One pass over the rows, and the optimizer for the next; None starts one."""
        settings, X = self._settings, self._X
        W = previous
        if W is None:
            W = _start(settings, X.shape[1], None).astype(X.dtype)
        optimizer = optimizer or Adam(W.ravel(), settings.learning_rate_init)
        minimum = minimize_stochastic(
            _of_rows(self._batch_loss, W, self._alpha, 1.0),
            W.reshape(-1),
            optimizer,
            n_samples=X.shape[0],
            batch_size=settings.batch_size,
            max_iter=1,
            random_state=settings.random_state,
            name=settings.name,
        )
        curve = minimum.loss_curve
        loss = curve[-1] if curve else np.inf
        return Fitted(minimum.x.reshape(W.shape), loss, curve), optimizer

    def _batch_loss(self, W, rows, alpha):
        return autoencoder_loss(
            W,
            _dense(self._X[rows]).astype(self._dtype, copy=False),
            activation=self._activation,
            alpha=alpha,
            eval_gradient=True,
        )

    def _loss(self, W):
        """Mean loss and gradient over all the rows, in units of their mean square."""

        def of_block(Y):
            with np.errstate(over="ignore", invalid="ignore"):  # seen in the loss
                return autoencoder_loss(
                    W, Y, activation=self._activation, eval_gradient=True
                )

        with np.errstate(over="ignore", invalid="ignore"):
            loss, gradient = _sum_over_blocks(of_block, self._X)
            n, alpha = self._X.shape[0], self._alpha
            loss = float(loss) / n + 0.5 * alpha * np.vdot(W, W)
            return loss / self._unit, (gradient / n + alpha * W) / self._unit

    def _fitted(self, minimum, curve):
        """The weights in the order of the mean square of their code."""
        W = minimum.x
        f, _ = ACTIVATIONS[self._activation]
        squares = _sum_over_blocks(
            lambda Y: (np.square(f(Y @ W.T)).sum(axis=0),), self._X
        )[0]
        order = np.argsort(-squares, kind="stable")
        loss = self._loss(W)[0] * self._unit
        return Fitted(W[order], loss, curve or [loss])


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


def _start(settings, n_columns, previous):
    """Random weights, or the previous ones with random rows for those of zeros."""
    shape = settings.n_components, n_columns
    W = settings.random_state.standard_normal(shape) / np.sqrt(n_columns)
    if previous is not None:
        alive = previous.any(axis=1)
        W[alive] = previous[alive]
    return W


def _descend(objective, start, settings, *, report, renew=None, **how):
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


def _walk(batch_loss, W, settings, *, alpha, n_samples, unit, report):
    """Adam on a function of a matrix and rows; losses are per row, steps in `unit`."""
    x = W.reshape(-1)
    tol = 1e-5 if settings.tol is None else settings.tol
    optimizer = _ShrinkingAdam(x, settings.learning_rate_init, tol)

    def on_epoch(loss):
        optimizer.end_epoch(loss)
        return report(W.copy(), loss * unit)

    minimum = minimize_stochastic(
        _of_rows(batch_loss, W, alpha, unit),
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


def _of_rows(batch_loss, W, alpha, unit):
    """Mean loss and flat gradient of some rows at `W`, which is walked in place."""

    def objective(rows):
        size = len(rows) * unit
        loss, gradient = batch_loss(W, rows, alpha * len(rows))
        gradient /= size
        return float(loss) / size, gradient.reshape(-1)

    return objective


def _dense(rows):
    return rows.toarray() if issparse(rows) else rows


def _sum_over_blocks(function, X):
    """Sums of what a function of dense, double precision blocks of rows returns."""
    n, p = X.shape

    def of_group(group):
        total = None
        for block in row_blocks(group.stop - group.start, max(16, _BLOCK // p)):
            rows = slice(group.start + block.start, group.start + block.stop)
            part = function(_dense(X[rows]).astype(float, copy=False))
            total = part if total is None else tuple(map(np.add, total, part))
        return total

    groups = row_blocks(n, max(_BLOCK // p, -(-n // _GROUPS), 16))
    return [sum(parts) for parts in zip(*map_blocks(of_group, groups), strict=True)]
