"""Fitting the Bayesian GP-LVM to batches of rows: what its estimator does with them."""

import warnings
from copy import deepcopy

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import kernels as sk

from gplvm import kernels
from gplvm._bayesian import BayesianPatternLikelihood
from gplvm._centred import mean_variance, walks_in_single_precision
from gplvm._compat import _fit_context
from gplvm._growing_fit import POSITIONS, GrowingFit, level_sizes
from gplvm._parallel import one_blas_thread
from gplvm._placement import Anchors
from gplvm._row_stream import RowStream, SinglePrecision, stream_rows
from gplvm._stochastic_bayesian import StochasticModel, StreamLikelihood
from gplvm._stochastic_fit import Schedule, Stream, n_passes, run_passes
from gplvm._validation import keeps_last_fit, validated

# Iterations of a climb at most.
_ITERATIONS = 600

# The rows that climb together have so many parameters at most, of which L-BFGS holds
# some forty copies, and data of so many entries, but may be as many as the first.
_JOINT_PARAMETERS = 1_000_000
_JOINT_ENTRIES = 2**24

# A stream learns from rows that are so many standard deviations of the noise away: from
# the mean of others and such a one, no digits are left of the others' own.
_FARTHEST = 1e10


class BatchFitting:
    """Mixin of `BayesianGPLVM`: `fit` with a `batch_size`, and `partial_fit`."""

    def _batch_fit(self, data, shape):
        """A fit of `shape` dimensions and inducing points to come, and the mean."""
        way_out = "BayesianGPLVM(batch_size=None)"
        rows, mean, variance = stream_rows(data, way_out)
        walked_rows = rows
        if walks_in_single_precision(data, self._least_noise(variance)):
            walked_rows, _, variance = stream_rows(SinglePrecision(data), way_out)
        if joint_sizes(rows.shape, *shape)[-1] == len(rows):
            variance = _same_to_the_bit(variance, walked_rows[:])
        kernel = self._make_kernel(shape[0], variance)
        likelihood = walked = StreamLikelihood(kernel, rows, self._n_threads())
        if walked_rows is not rows:
            walked = StreamLikelihood(kernel, walked_rows, self._n_threads())
        return _BatchFit(self, likelihood, variance, shape, walked), mean

    @_fit_context(prefer_skip_nested_validation=True)
    @keeps_last_fit
    def partial_fit(self, X, y=None):
        """Learn from a batch of a stream of rows.

        The first call fits the model to its rows alone, as `fit` does without a
        `batch_size`, and fixes the mean, the inducing points' number and the order of
        the dimensions; give it a thousand rows of all kinds if you can. Each later one,
        or one after `fit`, takes its rows as new: it finds their positions, and
        improves functions, inducing inputs and hyperparameters by one step.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows of the stream, complete.

        y : None
            Ignored.

        Returns
        -------
        self : BayesianGPLVM
            The fitted model. `embedding_`, `embedding_std_`, `elbo_` and `elbo` are of
            the rows of this call; `transform` has the positions of others.

        Raises
        ------
        ValueError
            If an entry is missing, the number of features has changed, or a row is 1e10
            standard deviations of the noise away from the first call's mean.

        Warns
        -----
        ConvergenceWarning
            If Ctrl-C is pressed in the first call; the best parameters so far are kept.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from gplvm import BayesianGPLVM
        >>> X = load_iris().data
        >>> model = BayesianGPLVM(2, n_inducing=10, random_state=0)
        >>> for start in range(5):
        ...     model = model.partial_fit(X[start::5])
        >>> model.transform(X).shape
        (150, 2)
        """
        first = not hasattr(self, "_blocks")
        data = validated(
            self,
            X,
            dtype=[np.float64, np.float32],
            ensure_min_samples=2 if first else 1,
            ensure_all_finite="allow-nan",
            reset=first,
        )
        stream_rows(data, "fit with batch_size=None")  # refuses what it cannot take
        with one_blas_thread():
            if first:
                shape = self._resolve_n_components(data), self._resolve_n_inducing(data)
                if isinstance(self.kernel, sk.Kernel):
                    kernels.check_expectations(self.kernel, shape[0])
                fit, mean = self._whole_fit(data, shape)
                fit.run()
                self._set(
                    self._fitted_attributes(*fit.end(), mean=mean, dtype=data.dtype)
                )
                if fit.interrupted:
                    warnings.warn(fit.problem, ConvergenceWarning, stacklevel=4)
                self._converged = not fit.problem
                self.loss_curve_ = fit.losses[-1:]
            else:
                self._next_batch(data)
            self.elbo_ = float(self.elbo())
        self.n_iter_ = len(self.loss_curve_)
        return self

    def _next_batch(self, data):
        stream = getattr(self, "_stream", None)
        if not isinstance(stream, Stream):
            if isinstance(self._likelihood, BayesianPatternLikelihood):
                raise ValueError(
                    "partial_fit needs complete rows, and those of the last fit had "
                    "missing values: fit all of them with batch_size=None"
                )
            stream = self._begin_stream()
        # A copy: a batch that fails leaves the one before as it was.
        self._stream = stream = deepcopy(stream)
        dtype = data.dtype
        Y = data.astype(float) - self._mean
        self._refuse_far(Y, _FARTHEST, "functions that follow it lose all others")
        least_noise = self._least_noise(mean_variance(stream.anchors.rows))
        if walks_in_single_precision(data, least_noise):
            data = data.astype(np.float32)
        positions, loss = stream.learn(data - stream.mean)
        likelihood = StreamLikelihood(self._likelihood.kernel, Y, self._n_threads())
        positions = dict(zip(POSITIONS, positions, strict=True))
        blocks = {**positions, **_shared(stream.model)}
        self._set(
            self._attributes(
                likelihood,
                likelihood.kernel.clone_with_theta(blocks["theta"][:-1]),
                self._mean,
                dtype,
                blocks,
                posterior=stream.model.posterior(),
                training_rows=self._training_rows,
                starts=(stream.anchors.mean, stream.anchors.std),
            )
        )
        self.loss_curve_ = [*self.loss_curve_, loss]

    def _begin_stream(self):
        """The stream that goes on where the last fit, or the first batch, has ended."""
        Y, rows, mean = self._likelihood.Y, self._training_rows, self._mean
        given = RowStream(Y, -mean)  # single precision hides the rounding of both steps
        if walks_in_single_precision(given, self._least_noise(mean_variance(rows))):
            known = SinglePrecision(RowStream(rows, -mean))
            Y, mean, _ = stream_rows(SinglePrecision(given), "fit")
            rows = known[:] - mean
        variance = mean_variance(rows)
        model = self._make_model(self._likelihood, Y, self._blocks, variance)
        return Stream(model, Anchors(rows, *self._start_posterior), mean, len(Y))

    def _set(self, attributes):
        for name, value in attributes.items():
            setattr(self, name, value)

    def _make_model(self, likelihood, rows, blocks, variance):
        return StochasticModel(
            likelihood.kernel,
            blocks,
            rows,
            variance=variance,
            theta_bounds=self._theta_bounds(likelihood, variance),
            n_threads=self._n_threads(),
        )

    def _n_threads(self):
        return None if self.n_jobs is None else effective_n_jobs(self.n_jobs)


class _BatchFit(GrowingFit):
    """A fit in batches on its way: rows that do not all climb are met in passes."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._batch_size = min(self._estimator.batch_size, len(self._rows))
        self._n_passes = n_passes(len(self._rows), self._batch_size)
        self.most_iterations += self._n_passes

    def _levels(self):
        return joint_sizes(self._rows.shape, *self._shape)

    def _most_of_a_climb(self):
        return min(self._estimator.max_iter, _ITERATIONS)

    def _so_far(self, known, chosen, make_blocks):
        if self._walked is not self._likelihood:
            rows = self._likelihood.Y[chosen]
            known = StreamLikelihood(known.kernel, rows, known.n_threads)
        return known, make_blocks()

    def end(self):
        """The bound of all rows, their blocks, and which rows new ones start from."""
        likelihood, blocks = super().end()
        return likelihood, blocks, self._anchors()[1]

    def _exact_loss(self):
        # The loss of some rows, or of passes, is not that of all.
        if len(self._known.Y) == len(self._rows):
            super()._exact_loss()

    def _arrive(self):
        if self._stopped:
            return
        if self._sizes[-1] == len(self._rows):
            super()._arrive()
            return
        known = self._known
        model = self._estimator._make_model(known, known.Y, self._last, self._variance)
        self._walk(model)
        if not self._stopped:
            self._settle_again(model.row_bound, self._block_rows)

    def _walk(self, model):
        """Passes over all rows."""
        anchors, of_rows = self._anchors()
        passes = min(self._n_passes, self._estimator.max_iter)
        if passes < self._n_passes:
            self.problem = self.problem or (
                f"{type(self._estimator).__name__} stopped after {passes} passes over "
                "the rows: max_iter reached."
            )

        def report(loss):
            self._shared = _shared(model)
            self.losses.append(loss)
            self._stopped |= bool(
                self._report(
                    loss,
                    lambda: (self._likelihood, self._blocks(slice(None)), of_rows),
                )
            )
            return self._stopped

        rows = len(self._rows), self._batch_size, self._sizes[-1]
        try:
            run_passes(
                model,
                self._rows,
                self._mean,
                self._std,
                self._placed,
                anchors,
                Schedule(*rows, passes),
                random_state=self._rng,
                report=report,
            )
        finally:
            self._shared = _shared(model)


def joint_sizes(shape, n_components, n_inducing):
    """Numbers of rows that climb together, as `level_sizes`, for data of this shape."""
    n_samples, n_features = shape
    parameters = _JOINT_PARAMETERS // (2 * n_components)
    most = min(parameters, _JOINT_ENTRIES // n_features)
    return level_sizes(n_samples, n_inducing, most)


def _shared(model):
    """What all rows share, as the collapsed bound takes it."""
    return {
        "inducing_points": model.inducing_points.copy(),
        "theta": model.theta.copy(),
    }


def _same_to_the_bit(variance, Y):
    """The variance of all rows as a fit without batches has it.

    Long walks that begin a rounding error apart may end in different optima.
    """
    whole = mean_variance(Y)
    return whole if np.isclose(whole, variance, rtol=1e-9, atol=0.0) else variance
