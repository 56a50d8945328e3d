"""Fitting the Bayesian GP-LVM to batches of rows: what its estimator does with them."""

import warnings

import numpy as np
from joblib import effective_n_jobs
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import kernels as sk
from sklearn.utils import check_random_state

from gplvm import kernels
from gplvm._bayesian import BayesianPatternLikelihood
from gplvm._centred import mean_variance
from gplvm._compat import _fit_context
from gplvm._latent import given_embedding
from gplvm._optimize import FitMonitor
from gplvm._row_bound import CHUNK_ROWS
from gplvm._row_stream import stream_rows
from gplvm._stochastic_bayesian import StochasticModel, StreamLikelihood
from gplvm._stochastic_fit import (
    N_PASSES,
    Anchors,
    Schedule,
    Stream,
    anchor_rows,
    guess_the_rest,
    level_sizes,
    n_starts,
    place,
    run_passes,
    settle_again,
)
from gplvm._validation import validated
from gplvm._variational import ascend

# Iterations of a climb at most.
_ITERATIONS = 600

# A climb from a good start gains slowly at first: its tolerance is this share of `tol`.
# At `tol` itself 5000 x 50 rows stayed 2 of 23 nats a row below.
_FINER = 0.25

_POSITIONS = ("embedding", "embedding_std")


class BatchFitting:
    """Mixin of `BayesianGPLVM`: `fit` with a `batch_size`, and `partial_fit`."""

    def _fit_batches(self, data, X, y):
        n_components = self._resolve_n_components(data)
        n_inducing = self._resolve_n_inducing(data)
        if isinstance(self.kernel, sk.Kernel):
            kernels.check_expectations(self.kernel, n_components)
        rows, mean, variance = stream_rows(data, "BayesianGPLVM(batch_size=None)")
        sizes = level_sizes(rows.shape, n_components, n_inducing)
        if sizes[0] == len(rows):
            variance = _same_to_the_bit(variance, rows[:])
        n_climbs = n_starts(sizes[0], len(rows)) * self.n_restarts + len(sizes) - 1
        monitor = FitMonitor(
            self, X, y, max_iter=n_climbs * min(self.max_iter, _ITERATIONS) + N_PASSES
        )

        def report(likelihood, make_blocks, loss, anchors=None):
            return monitor.iteration(
                loss,
                lambda: self._fitted_attributes(
                    likelihood, mean, data.dtype, make_blocks(), anchors=anchors
                ),
            )

        fit = _BatchFit(self, rows, variance, (n_components, n_inducing), report)
        interrupted = False
        try:
            fit.run(sizes)
        except KeyboardInterrupt:
            if not fit.losses:  # there is nothing to keep
                raise
            interrupted = True
        likelihood, blocks, anchors = fit.end()
        self._set(
            self._fitted_attributes(
                likelihood, mean, data.dtype, blocks, anchors=anchors
            )
        )
        self.elbo_ = float(self.elbo())
        self.loss_curve_ = fit.losses
        self.n_iter_ = len(self.loss_curve_)
        self._converged = fit.converged and not interrupted
        if not self._converged:
            reason = "Ctrl-C" if interrupted else "max_iter reached"
            warnings.warn(
                f"{type(self).__name__} stopped after {self.n_iter_} iterations "
                f"without converging: {reason}.",
                ConvergenceWarning,
                stacklevel=4,
            )
        self._stream = None
        monitor.close()
        return self

    @_fit_context(prefer_skip_nested_validation=True)
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
            If an entry is missing, or the number of features has changed.

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
        rows, mean, variance = stream_rows(data, "fit with batch_size=None")
        if first:
            n_components = self._resolve_n_components(data)
            n_inducing = self._resolve_n_inducing(data)
            if isinstance(self.kernel, sk.Kernel):
                kernels.check_expectations(self.kernel, n_components)
            known = self._make_likelihood(rows[:], n_components, variance)
            blocks, minimum = self._climb(
                known,
                variance,
                n_components,
                n_inducing,
                init=self.init,
                random_state=check_random_state(self.random_state),
                max_iter=min(self.max_iter, _ITERATIONS),
                warn=False,
            )
            self._set(self._fitted_attributes(known, mean, data.dtype, blocks))
            self._converged = minimum.converged or self.max_iter >= _ITERATIONS
            self.loss_curve_ = [minimum.fun]
        else:
            self._next_batch(data)
        self.elbo_ = float(self.elbo())
        self.n_iter_ = len(self.loss_curve_)
        return self

    def _next_batch(self, data):
        if getattr(self, "_stream", None) is None:
            if isinstance(self._likelihood, BayesianPatternLikelihood):
                raise ValueError(
                    "partial_fit needs complete rows, and those of the last fit had "
                    "missing values: fit all of them with batch_size=None"
                )
            # Where the last fit, or the first batch, has ended.
            variance = mean_variance(self._training_rows)
            model = self._make_model(self._likelihood, self._blocks, variance)
            anchors = Anchors(self._training_rows, *self._start_posterior)
            self._stream = Stream(model, anchors, len(self._likelihood.Y))
        stream = self._stream
        Y = data.astype(float) - self._mean
        self._refuse_far(Y)
        positions, loss = stream.learn(Y)
        likelihood = StreamLikelihood(self._likelihood.kernel, Y, self._n_threads())
        blocks = _blocks(stream.model, positions)
        self._set(
            self._attributes(
                likelihood,
                likelihood.kernel.clone_with_theta(blocks["theta"][:-1]),
                self._mean,
                data.dtype,
                blocks,
                posterior=stream.model.posterior(),
                training_rows=stream.anchors.rows,
                starts=(stream.anchors.mean, stream.anchors.std),
            )
        )
        self.loss_curve_ = [*self.loss_curve_, loss]

    def _set(self, attributes):
        for name, value in attributes.items():
            setattr(self, name, value)

    def _make_model(self, likelihood, blocks, variance):
        return StochasticModel(
            likelihood.kernel,
            blocks,
            likelihood.Y,
            variance=variance,
            theta_bounds=self._theta_bounds(likelihood, variance),
            n_threads=self._n_threads(),
        )

    def _n_threads(self):
        return None if self.n_jobs is None else effective_n_jobs(self.n_jobs)


class _BatchFit:
    """A fit in batches on its way.

    Parameters
    ----------
    estimator : BayesianGPLVM
        What is fitted.

    rows : RowStream of shape (n_samples, n_features)
        The rows.

    variance : float
        Their mean variance.

    shape : tuple of int
        Numbers of latent dimensions and of inducing points.

    report : callable
        ``report(likelihood, make_blocks, loss, anchors=None) -> stop`` after each
        iteration of a climb, and after each pass; the likelihood is that of the rows
        that are taking part.
    """

    def __init__(self, estimator, rows, variance, shape, report):
        self._estimator, self._rows, self._variance = estimator, rows, variance
        self._shape, self._report = shape, report
        self._rng = check_random_state(estimator.random_state)
        self._mean, self._std = np.empty((2, len(rows), shape[0]))
        self._placed = np.zeros(len(rows), dtype=bool)
        self._init = estimator.init
        if not isinstance(self._init, str):
            self._init = given_embedding(self._init, self._mean.shape)
        self._stopped = False
        self.converged, self.losses = True, []

    def run(self, sizes):
        """Climbs of so many rows each, and passes over all of them if these are more.

        Raises
        ------
        KeyboardInterrupt
            If Ctrl-C was pressed; `end` has what was reached.
        """
        estimator, everything = self._estimator, self._likelihood(self._rows)
        warm = estimator._warm_blocks(everything, *self._shape)
        if warm is None:
            self._begin(sizes[0])
        else:
            self._mean[:], self._std[:] = (warm[name] for name in _POSITIONS)
            self._placed[:] = True
            self._climb(self._some(self._placed, sizes[-1]), warm)
        for size in sizes[1:] if warm is None else ():
            if self._stopped:
                return
            self._grow(size)
        settled = warm is None and sizes[0] == len(self._rows)
        if settled or self._stopped:
            return
        model = self._model()
        if sizes[-1] < len(self._rows):
            self._walk(model, everything, sizes[-1])
        if not self._stopped:
            # Rows may be lost in another fold since they were placed.
            settle_again(
                model,
                self._rows,
                self._anchors()[0],
                self._mean,
                self._std,
                self._block_size(),
            )

    def end(self):
        """The bound of all rows, their blocks, and which rows new ones start from.

        Where the fit was stopped, rows that it has not met are where their neighbours
        are.
        """
        anchors, of_rows = self._anchors()
        guess_the_rest(self._rows, anchors, self._mean, self._std, self._placed)
        likelihood = self._likelihood(self._rows)
        return likelihood, self._blocks(slice(None)), of_rows

    def _likelihood(self, rows):
        kernel = self._estimator._make_kernel(self._shape[0], self._variance)
        return StreamLikelihood(kernel, rows, self._estimator._n_threads())

    def _blocks(self, chosen):
        positions = self._mean[chosen], self._std[chosen]
        return {**self._shared, **dict(zip(_POSITIONS, positions, strict=True))}

    def _block_size(self):
        """Rows that find their positions at a time, which they do by themselves."""
        return max(self._estimator.batch_size, CHUNK_ROWS)

    def _some(self, mask, size):
        """Indices of so many rows of those in the mask, in ascending order."""
        rows = np.flatnonzero(mask)
        if size < len(rows):
            rows = np.sort(self._rng.choice(rows, size, replace=False))
        return rows

    def _begin(self, size):
        """The best of some fits of rows that are chosen at random."""
        estimator, lowest = self._estimator, np.inf
        for _ in range(n_starts(size, len(self._rows))):
            chosen = self._some(np.ones_like(self._placed), size)
            init = self._init if isinstance(self._init, str) else self._init[chosen]
            known = estimator._make_likelihood(
                self._rows[chosen], self._shape[0], self._variance
            )
            blocks, minimum = estimator._climb(
                known,
                self._variance,
                *self._shape,
                init=init,
                random_state=self._rng,
                max_iter=min(estimator.max_iter, _ITERATIONS),
                report=self._reporter(known),
                warn=False,
            )
            if minimum.fun < lowest:
                lowest, self.losses, self._placed[:] = minimum.fun, [], False
                self.converged = True
                self._take(minimum, known, chosen, blocks)
            if minimum.interrupted:
                raise KeyboardInterrupt
            if self._stopped:
                break

    def _grow(self, size):
        """Let more rows take part."""
        new = self._some(~self._placed, size - np.count_nonzero(self._placed))
        place(
            self._model(),
            self._rows,
            self._anchors()[0],
            new,
            self._mean,
            self._std,
            self._block_size(),
        )
        self._placed[new] = True
        chosen = np.flatnonzero(self._placed)
        self._climb(chosen, self._blocks(chosen))

    def _climb(self, chosen, start):
        """Climb from `start`, whose positions are those of all rows or of these."""
        estimator = self._estimator
        known = estimator._make_likelihood(
            self._rows[chosen], self._shape[0], self._variance
        )
        self._shared = {name: start[name] for name in start if name not in _POSITIONS}
        blocks, minimum = ascend(
            self._blocks(chosen),
            likelihood=known,
            theta_bounds=estimator._theta_bounds(known, self._variance),
            max_iter=min(estimator.max_iter, _ITERATIONS),
            tol=_FINER * estimator.tol,
            name=type(estimator).__name__,
            max_renewals=1,
            report=self._reporter(known),
            warn=False,
        )
        self._take(minimum, known, chosen, blocks)
        if minimum.interrupted:
            raise KeyboardInterrupt

    def _reporter(self, known):
        def report(make_blocks, loss):
            self._stopped = bool(self._report(known, make_blocks, loss))
            return self._stopped

        return report

    def _take(self, minimum, known, chosen, blocks):
        """Keep the end of a climb of the rows `chosen`."""
        blocks = dict(blocks)
        self._known, self._last = known, blocks.copy()
        self._mean[chosen], self._std[chosen] = (blocks.pop(p) for p in _POSITIONS)
        self._placed[chosen] = True
        self._shared = blocks
        self.losses += minimum.loss_curve or [minimum.fun]
        # The limit of the schedule's own is no failure.
        short = self._estimator.max_iter < _ITERATIONS
        self.converged &= minimum.converged or not short

    def _model(self):
        return self._estimator._make_model(self._known, self._last, self._variance)

    def _anchors(self):
        """Some rows as `Anchors`, and which these are."""
        some = anchor_rows(np.flatnonzero(self._placed), self._rng)
        return Anchors(self._rows[some], self._mean[some], self._std[some]), some

    def _walk(self, model, everything, n_known):
        """Passes over all rows; `n_known` of them the functions know already."""
        anchors, of_rows = self._anchors()
        passes = min(N_PASSES, self._estimator.max_iter)
        self.converged &= passes == N_PASSES

        def report(loss):
            self._share(model)
            self.losses.append(loss)
            self._stopped = bool(
                self._report(
                    everything,
                    lambda: self._blocks(slice(None)),
                    loss,
                    of_rows,
                )
            )
            return self._stopped

        size = min(self._estimator.batch_size, len(self._rows))
        try:
            run_passes(
                model,
                self._rows,
                self._mean,
                self._std,
                self._placed,
                anchors,
                Schedule(len(self._rows), size, n_known, passes),
                random_state=self._rng,
                report=report,
            )
        finally:
            self._share(model)

    def _share(self, model):
        self._shared = {
            "inducing_points": model.inducing_points.copy(),
            "theta": model.theta.copy(),
        }


def _blocks(model, positions):
    """The parameters of a model and of rows, as the collapsed bound takes them."""
    return {
        **dict(zip(_POSITIONS, positions, strict=True)),
        "inducing_points": model.inducing_points.copy(),
        "theta": model.theta.copy(),
    }


def _same_to_the_bit(variance, Y):
    """The variance of all rows as a fit without batches has it.

    Long walks that begin a rounding error apart may end in different optima.
    """
    whole = mean_variance(Y)
    return whole if np.isclose(whole, variance, rtol=1e-9, atol=0.0) else variance
