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
from gplvm._latent import checked_positions
from gplvm._optimize import FitMonitor
from gplvm._row_stream import stream_rows
from gplvm._stochastic_bayesian import StochasticModel, StreamLikelihood
from gplvm._stochastic_fit import (
    JOINT_ITERATIONS,
    Anchors,
    Schedule,
    Stream,
    anchor_rows,
    first_rows,
    joint_rows,
    n_passes,
    run_passes,
    settle_again,
)
from gplvm._validation import validated
from gplvm._variational import ascend

# Iterations of the fit that is the start, of some rows and of all.
_FIRST_ITERATIONS = 300
_ALL_ITERATIONS = 600

_POSITIONS = ("embedding", "embedding_std")


class BatchFitting:
    """Mixin of `BayesianGPLVM`: `fit` with a `batch_size`, and `partial_fit`."""

    def _fit_batches(self, data, X, y):
        n_components = self._resolve_n_components(data)
        n_inducing = self._resolve_n_inducing(data)
        if isinstance(self.kernel, sk.Kernel):
            kernels.check_expectations(self.kernel, n_components)
        rows, mean, variance = stream_rows(data, "BayesianGPLVM(batch_size=None)")
        rng = check_random_state(self.random_state)
        size = min(self.batch_size, len(rows))
        passes = n_passes(len(rows), size)
        # After the passes, the climb of all together.
        n_iterations = min(passes + 1, self.max_iter)
        monitor = FitMonitor(self, X, y, max_iter=n_iterations)
        first = first_rows(rows.shape, size, n_inducing, rng)
        n_first = _FIRST_ITERATIONS
        if len(first) == len(rows):
            n_first = _ALL_ITERATIONS
            variance = _same_to_the_bit(variance, rows[first])
        known = self._make_likelihood(rows[first], n_components, variance)
        likelihood = StreamLikelihood(known.kernel, rows, self._n_threads())
        blocks = self._warm_blocks(likelihood, n_components, n_inducing)
        if blocks is None:
            init = self.init
            if not isinstance(init, str):
                init = checked_positions(init, (len(rows), n_components))[first]
            blocks, _ = self._climb(
                known,
                variance,
                n_components,
                n_inducing,
                init=init,
                random_state=rng,
                max_iter=n_first,
                warn=False,
            )
            begin, placed = blocks, first
        else:
            begin, placed = blocks.copy(), np.arange(len(rows))
            blocks |= {name: blocks[name][first] for name in _POSITIONS}
        model = self._make_model(known, blocks, variance)
        some = anchor_rows(len(first), rng)
        anchors = Anchors(known.Y[some], *(blocks[name][some] for name in _POSITIONS))

        def attributes(blocks):
            return self._fitted_attributes(
                likelihood, mean, data.dtype, blocks, anchors=first[some]
            )

        *positions, losses, interrupted = run_passes(
            model,
            rows,
            (placed, *(begin[name] for name in _POSITIONS)),
            anchors,
            Schedule(len(rows), size, len(first), min(passes, self.max_iter)),
            random_state=rng,
            report=lambda *state: monitor.iteration(
                state[-1], lambda: attributes(_blocks(model, state[:-1]))
            ),
        )
        blocks = _blocks(model, positions)
        if len(placed) == len(rows):
            # The start was of all rows as well, and may have been the better one.
            blocks = max(blocks, begin, key=lambda end: likelihood.elbo(**end))
        if n_iterations > passes == len(losses) and not interrupted:
            blocks, loss, interrupted = self._climb_together(
                likelihood, blocks, variance, size, rng
            )
            losses.append(loss)
            monitor.iteration(loss, lambda: attributes(blocks))
        self._set(attributes(blocks))
        self.elbo_ = float(self.elbo())
        self.loss_curve_ = losses or [-self.elbo_ / len(rows)]
        self.n_iter_ = len(self.loss_curve_)
        self._converged = not interrupted and self.max_iter > passes
        if not self._converged:
            reason = "Ctrl-C" if interrupted else "max_iter reached"
            warnings.warn(
                f"{type(self).__name__} stopped after {len(losses)} of {passes + 1} "
                f"iterations, which are passes over the rows: {reason}.",
                ConvergenceWarning,
                stacklevel=4,
            )
        self._stream = None
        monitor.close()
        return self

    def _climb_together(self, likelihood, blocks, variance, batch_size, random_state):
        """Blocks after a climb of all parameters, its loss, and whether Ctrl-C has
        ended it."""

        def climb(likelihood, start):
            return ascend(
                start,
                likelihood=likelihood,
                theta_bounds=self._theta_bounds(likelihood, variance),
                max_iter=JOINT_ITERATIONS,
                tol=self.tol,
                name=type(self).__name__,
                warn=False,
            )

        rows = likelihood.Y
        joint = joint_rows(rows.shape, blocks["embedding"].shape[1], random_state)
        if joint is None:
            end, minimum = climb(likelihood, blocks)
            return end, minimum.fun, minimum.interrupted
        # Some rows climb for all, and it is the bound of all that tells what for.
        some = StreamLikelihood(likelihood.kernel, rows[joint], self._n_threads())
        start = {**blocks, **{name: blocks[name][joint] for name in _POSITIONS}}
        end, minimum = climb(some, start)
        positions = [blocks[name].copy() for name in _POSITIONS]
        for name, position in zip(_POSITIONS, positions, strict=True):
            position[joint] = end[name]
        model = self._make_model(some, end, variance)
        interrupted = settle_again(model, rows, *positions, batch_size)
        ends = [blocks, _blocks(model, positions)]
        losses = [-likelihood.elbo(**end) / len(rows) for end in ends]
        best = int(np.argmin(losses))
        return ends[best], losses[best], interrupted or minimum.interrupted

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
                max_iter=_FIRST_ITERATIONS,
                warn=False,
            )
            self._set(self._fitted_attributes(known, mean, data.dtype, blocks))
            self._converged = True
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
