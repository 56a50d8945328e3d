"""The autoencoder with an activation, and what it and the linear one make of data."""

import numpy as np
from scipy.sparse import issparse

from gplvm._autoencoder_walks import (
    MOST_ALPHA,
    Fitted,
    descend,
    of_rows,
    starting_weights,
    walk,
)
from gplvm._centred import divided, row_slices, walks_in_single_precision
from gplvm._parallel import map_blocks, row_blocks
from gplvm._stochastic import Adam, minimize_stochastic
from gplvm.gradients.autoencoder import (
    ACTIVATIONS,
    centred_autoencoder_loss,
    tied_weights_loss,
)

# Below this the squares of a row lose digits.
_LEAST_SQUARES = 1e-290

# What L-BFGS has converged at by default, in the data's mean square.
_TOL = 1e-8

# Data are read in at most so many groups of rows, each in blocks of so many entries.
_GROUPS = 32
_BLOCK = 2**18


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
        tied_weights_loss(W, divided(_dense(X[rows]) - mean, unit), activation)
        for rows in row_slices(X.shape)
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
        self._rounded = False
        self._unit = self._loss_without_weights()
        if self._unit == 0 and largest > 0:
            raise ValueError(
                f"The squares of the data underflow (largest entry {largest:.3g}). "
                "Multiply the data by a constant."
            )
        self._unit = max(self._unit or 1.0, _LEAST_SQUARES)
        self._alpha = min(float(settings.alpha), MOST_ALPHA * self._unit)

    def lbfgs(self, previous):
        """Descent, with a pass over all the data for each iteration."""
        settings = self._settings
        tol = _TOL if settings.tol is None else settings.tol
        self._leave_out_digits(tol)
        minimum = descend(
            self._loss,
            starting_weights(settings, self._X.shape[1], previous),
            settings,
            tol=tol,
            report=lambda W, loss: self._report(loss * self._unit, lambda: W),
        )
        return self._fitted(minimum, [loss * self._unit for loss in minimum.loss_curve])

    def adam(self, previous):
        """Steps over mini-batches."""
        self._leave_out_digits(_TOL)
        minimum = walk(
            self._batch_loss,
            starting_weights(self._settings, self._X.shape[1], previous),
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
        self._leave_out_digits(_TOL)
        W = previous
        if W is None:
            W = starting_weights(settings, X.shape[1], None)
        optimizer = optimizer or Adam(W.ravel(), settings.learning_rate_init)
        minimum = minimize_stochastic(
            of_rows(self._batch_loss, W, self._alpha, 1.0),
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

    def _leave_out_digits(self, tol):
        """Walk as of the same data in single precision, as the latent models do.

        If the digits left out change the loss by far less than `tol`.
        """
        X = self._X
        entries = X.data[:, None] if issparse(X) else X
        self._rounded = walks_in_single_precision(
            entries, tol * self._unit / X.shape[1]
        )
        if self._rounded:
            self._unit = self._loss_without_weights()

    def _rows(self, rows):
        """Some rows, dense and in double precision, with the digits of the walk."""
        X = _dense(self._X[rows])
        if self._rounded:
            X = X.astype(np.float32)
        return X.astype(float, copy=False)

    def _batch_loss(self, W, rows, alpha):
        Y = self._rows(rows)
        return tied_weights_loss(W, Y, self._activation, alpha, eval_gradient=True)

    def _loss_without_weights(self):
        """That of the data, or of what f(0) adds to them, per row."""
        (squares,) = self._sum_over_blocks(lambda Y: (np.vdot(Y, Y),))
        f, _ = ACTIVATIONS[self._activation]
        of_zero = self._X.shape[1] * float(f(np.float64(0.0))) ** 2
        return max(float(squares) / self._X.shape[0], of_zero)

    def _loss(self, W):
        """Mean loss and gradient over all the rows, in units of their mean square."""

        def of_block(Y):
            with np.errstate(over="ignore", invalid="ignore"):  # seen in the loss
                return tied_weights_loss(W, Y, self._activation, eval_gradient=True)

        with np.errstate(over="ignore", invalid="ignore"):
            loss, gradient = self._sum_over_blocks(of_block)
            n, alpha = self._X.shape[0], self._alpha
            loss = float(loss) / n + 0.5 * alpha * np.vdot(W, W)
            return loss / self._unit, (gradient / n + alpha * W) / self._unit

    def _fitted(self, minimum, curve):
        """The weights in the order of the mean square of their code."""
        W = minimum.x
        f, _ = ACTIVATIONS[self._activation]
        self._rounded = False  # what is told is of the data as they are
        (squares,) = self._sum_over_blocks(
            lambda Y: (np.square(f(Y @ W.T)).sum(axis=0),)
        )
        order = np.argsort(-squares, kind="stable")
        loss = self._loss(W)[0] * self._unit
        return Fitted(W[order], loss, curve or [loss])

    def _sum_over_blocks(self, function):
        """Sums of what a function of blocks of rows returns."""
        n, p = self._X.shape

        def of_group(group):
            total = None
            for block in row_blocks(group.stop - group.start, max(16, _BLOCK // p)):
                rows = slice(group.start + block.start, group.start + block.stop)
                part = function(self._rows(rows))
                total = part if total is None else tuple(map(np.add, total, part))
            return total

        groups = row_blocks(n, max(_BLOCK // p, -(-n // _GROUPS), 16))
        return [sum(parts) for parts in zip(*map_blocks(of_group, groups), strict=True)]


def _dense(rows):
    return rows.toarray() if issparse(rows) else rows
