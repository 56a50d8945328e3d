"""The swish network as one flat vector that an optimizer walks."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.metrics import accuracy_score

from gplvm._centred import walks_in_single_precision
from gplvm._parallel import threads_for_products
from gplvm.gradients.network import (
    forward_pass,
    loss_buffers,
    n_network_parameters,
    parameter_views,
)
from gplvm.gradients.standardized import (
    fold,
    mean_and_scale,
    standardized_loss_into,
    unfold,
)

# The start, measured on seven data sets of 2 to 1024 features. Hidden intercepts over
# [-1, 1] leave every unit's bend near the centre of two-dimensional data, where the
# network is almost linear: three fits of ten to two moons stopped at the line.
_INTERCEPTS = 2.0
_OUTPUT_SPREAD = 0.5


# Digits below a tenth of this, in the features' common scale, are left out of a walk by
# L-BFGS: those that single precision does not hold of data within about ten scales of
# zero. Of data farther away it has lost digits that count.
_SMALL = 5e-6


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that sees ``(X - mean) / scale``: its shape, and `standard` = those.

    Its parameters V, c, W2, b2 are one flat vector `x`. Folded back into weights for
    the data as they are, they are the classifier's `coefs_` and `intercepts_`.
    """

    n_features: int
    n_hidden: int
    n_classes: int
    standard: tuple

    @classmethod
    def of_data(cls, X, weight, n_hidden, n_classes, dtype):
        """The network for such data, standardized by their own mean and scale.

        `dtype` is that of its weights in the end.
        """
        standard = mean_and_scale(X, weight, dtype)
        return cls(X.shape[1], n_hidden, n_classes, standard)

    @property
    def _shape(self):
        return self.n_features, self.n_hidden, self.n_classes

    def start(self, random_state, dtype):
        """Initial parameters."""
        x = np.zeros(n_network_parameters(*self._shape), dtype=dtype)
        V, c, W2, _ = parameter_views(x, *self._shape)
        V[...] = random_state.normal(size=V.shape) / np.sqrt(self.n_features)
        c[...] = random_state.uniform(-_INTERCEPTS, _INTERCEPTS, size=c.shape)
        spread = _OUTPUT_SPREAD / np.sqrt(self.n_hidden)
        W2[...] = random_state.normal(scale=spread, size=W2.shape)
        return x

    def resume(self, coefs, intercepts, dtype):
        """The parameters that the fitted `coefs` and `intercepts` stand for."""
        (W1, W2), (b1, b2) = (coef.T for coef in coefs), intercepts
        V, c = unfold(W1, b1, self.standard)
        return np.concatenate([part.T.ravel() for part in (V, c, W2, b2)]).astype(dtype)

    def layers(self, x, dtype):
        """`coefs_` and `intercepts_` for the data as they are."""
        W1, b1, W2, b2 = self._folded(x)
        return {
            "coefs_": [W1.astype(dtype).T, W2.astype(dtype).T],
            "intercepts_": [b1.astype(dtype), b2.astype(dtype)],
        }

    def few_threads(self, n_rows):
        """A context for many evaluations of so many rows: no more threads than help."""
        return threads_for_products(n_rows * self.n_features * self.n_hidden)

    def accuracy(self, x, X, y, weight):
        """The share, by weight, of rows whose most probable class is that of `y`."""
        predicted = forward_pass(*self._folded(x), X)[1].argmax(axis=1)
        return float(accuracy_score(y, predicted, sample_weight=weight))

    def objective(self, x, X, y, weight, alpha, most_rows):
        """``objective(rows) -> (loss, gradient)`` at the current `x`.

        The loss is the mean over those rows, at most `most_rows` of them, weighted by
        `weight` unless that is None. The gradient is one array, written anew.
        """
        parameters, gradient = parameter_views(x, *self._shape), np.empty_like(x)
        gradients = parameter_views(gradient, *self._shape)
        buffers = loss_buffers(most_rows, self.n_hidden, self.n_classes, x.dtype)
        take = _row_taker(X, most_rows)
        if weight is not None:
            weight = (weight / weight.mean()).astype(x.dtype)

        def objective(rows):
            labels = y[rows]
            w = 1.0 / labels.size
            loss = standardized_loss_into(
                parameters,
                gradients,
                take(rows),
                labels,
                w if weight is None else w * weight[rows],
                alpha,
                self.standard,
                buffers,
            )
            return loss, gradient

        return objective

    def objective_of_all_rows(self, X, y, weight, alpha):
        """``objective(point) -> (loss, gradient)``, the mean over all the rows."""
        x = np.empty(n_network_parameters(*self._shape), dtype=X.dtype)
        objective = self.objective(x, X, y, weight, alpha, y.size)

        def at(point):
            x[...] = point
            with np.errstate(over="ignore", invalid="ignore"):  # seen in the loss
                loss, gradient = objective(slice(None))
            return loss, gradient.copy()

        return at

    def _folded(self, x):
        V, c, W2, b2 = parameter_views(x, *self._shape)
        return *fold(V, c, self.standard), W2, b2


def walked_rows(X, weight):
    """The data in double precision, with the digits that a walk by L-BFGS sees.

    So that the same data in either precision are one walk, as of the latent models;
    see `walks_in_single_precision`.
    """
    X = X.astype(np.float64, copy=False)
    _, scale = mean_and_scale(X, weight)
    small = _SMALL * min(scale, 1e100)  # whose square does not overflow
    entries = X.data[:, None] if sparse.issparse(X) else X
    if walks_in_single_precision(entries, small**2):
        X = X.astype(np.float32).astype(np.float64)
    return X


def _row_taker(X, most_rows):
    """``take(rows) -> X[rows]``, into the same memory each time if it can be."""
    # A fresh array of a batch's size comes from the system page by page, which takes
    # several times as long as the copy. `take` wants rows that lie together.
    if sparse.issparse(X) or most_rows == X.shape[0] or not X.flags.c_contiguous:
        return X.__getitem__
    batch = np.empty((most_rows, X.shape[1]), dtype=X.dtype)

    def take(rows):
        return X.take(rows, axis=0, out=batch[: rows.size], mode="clip")

    return take
