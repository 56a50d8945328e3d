"""The swish network as one flat vector that an optimizer walks."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse
from sklearn.metrics import accuracy_score

from gplvm._centred import walks_in_single_precision
from gplvm._parallel import threads_for_products
from gplvm._row_stream import DoublePrecision, SinglePrecision
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


# Digits below a tenth of this, in the features' common scale, are left out of a walk:
# those that single precision does not hold of data within about ten scales of zero. Of
# data farther away it has lost digits that count; for steps of a given length, which
# end less near to a minimum, of data beyond 150 scales.
_SMALL = {"lbfgs": 5e-6, "adam": 1e-4, "sgd": 1e-4}

# Networks of at most so many hidden weights walk in double precision, whatever the
# data. Measured on fifteen shapes, an epoch took 1.04 to 1.3 times as long as in single
# precision in batches of 50 rows, and 1.1 to 1.6 times in batches of 200: less by a
# third or more than scikit-learn's MLPClassifier in single precision, as of 256 x 64 in
# such batches it no longer did.
_SMALL_NETWORK = 4096


def walks_alike(solver, n_features, n_hidden):
    """Whether the same data in either precision are one walk, in double precision."""
    return solver == "lbfgs" or n_features * n_hidden <= _SMALL_NETWORK


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that sees ``(X - mean) / scale``: its shape, and `standard` = those.

    Its parameters V, c, W2, b2 are one flat vector `x`. Folded back into weights for
    the data as they are, they are the classifier's `coefs_` and `intercepts_`, of the
    precision `dtype`, in which it walks too unless it `walks_alike`.
    """

    n_features: int
    n_hidden: int
    n_classes: int
    dtype: np.dtype
    solver: str
    standard: tuple

    @classmethod
    def of_data(cls, X, weight, n_hidden, n_classes, solver):
        """The network for such data, standardized by their own mean and scale."""
        standard = mean_and_scale(X, weight)
        network = cls(X.shape[1], n_hidden, n_classes, X.dtype, solver, standard)
        if network._alike:  # the moments too
            standard = mean_and_scale(network.rows(X), weight, X.dtype)
            network = replace(network, standard=standard)
        return network

    @property
    def _alike(self):
        return walks_alike(self.solver, self.n_features, self.n_hidden)

    @property
    def _shape(self):
        return self.n_features, self.n_hidden, self.n_classes

    def rows(self, X):
        """The data that the walk sees, all of them in its precision."""
        if self._alike:
            return _digits_of_both(X, _SMALL[self.solver] * self.standard[1])
        return X.astype(self.dtype, copy=False)

    def _vector(self):
        dtype = np.float64 if self._alike else self.dtype
        return np.empty(n_network_parameters(*self._shape), dtype=dtype)

    def start(self, random_state):
        """Initial parameters."""
        x = self._vector()
        x[...] = 0.0
        V, c, W2, _ = parameter_views(x, *self._shape)
        V[...] = random_state.normal(size=V.shape) / np.sqrt(self.n_features)
        c[...] = random_state.uniform(-_INTERCEPTS, _INTERCEPTS, size=c.shape)
        spread = _OUTPUT_SPREAD / np.sqrt(self.n_hidden)
        W2[...] = random_state.normal(scale=spread, size=W2.shape)
        return x

    def resume(self, layers, lost_digits):
        """The parameters that `layers` stand for, with the digits lost if there are."""
        x = self._vector()
        V, c, W2, b2 = parameter_views(x, *self._shape)
        for k, part in enumerate((V.T, W2.T, c, b2)):
            part[...] = layers[k]
            if lost_digits is not None:
                part += lost_digits[k]
        V[...], c[...] = unfold(V, c, self.standard)
        return x

    def layers(self, x):
        """`coefs_` and `intercepts_` for the data as they are.

        And the digits of a walk in double precision that they do not hold, from which
        another goes on: the same data in double precision would not have lost them.
        """
        W1, b1, W2, b2 = self._folded(x)
        walked = [W1.T, W2.T, b1, b2]
        layers = [part.astype(self.dtype) for part in walked]
        lost = None
        if x.dtype != self.dtype:
            lost = [part - told for part, told in zip(walked, layers, strict=True)]
        return {"coefs_": layers[:2], "intercepts_": layers[2:], "_lost_digits": lost}

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
        x = self._vector()
        objective = self.objective(x, X[:], y, weight, alpha, y.size)

        def at(point):
            x[...] = point
            with np.errstate(over="ignore", invalid="ignore"):  # seen in the loss
                loss, gradient = objective(slice(None))
            return loss, gradient.copy()

        return at

    def _folded(self, x):
        V, c, W2, b2 = parameter_views(x, *self._shape)
        return *fold(V, c, self.standard), W2, b2


def _digits_of_both(X, small):
    """The data in double precision, with the digits that both precisions hold.

    If the others are small; so for the latent models, see `walks_in_single_precision`.
    Dense data are converted as they are read.
    """
    small = min(small, 1e100)  # whose square does not overflow
    if sparse.issparse(X):
        if walks_in_single_precision(X.data[:, None], small**2):
            X = X.astype(np.float32)
        return X.astype(np.float64, copy=False)
    if walks_in_single_precision(X, small**2):
        X = SinglePrecision(X)
    return X if X.dtype == np.float64 else DoublePrecision(X)


def _row_taker(X, most_rows):
    """``take(rows) -> X[rows]``, into the same memory each time if it can be."""
    # A fresh array of a batch's size comes from the system page by page, which takes
    # several times as long as the copy. `take` wants rows that lie together.
    whole = most_rows == X.shape[0]
    if whole or not isinstance(X, np.ndarray) or not X.flags.c_contiguous:
        return X.__getitem__
    batch = np.empty((most_rows, X.shape[1]), dtype=X.dtype)

    def take(rows):
        return X.take(rows, axis=0, out=batch[: rows.size], mode="clip")

    return take
