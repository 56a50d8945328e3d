"""Stochastic variational inference for the Bayesian model: one batch of rows at a time.

A batch takes three steps. Its rows settle: each position's posterior q(x_n) climbs the
row's own bound, the functions being as they are. Then q(v) of the inducing variables
moves towards the batch's optimum, along the natural gradient. Then inducing inputs,
hyperparameters and noise follow the batch's gradient, by Adam. The posterior of what
the functions are lives in the basis of `gradients.uncollapsed`.
"""

import numpy as np
from sklearn.gaussian_process import kernels as sk

from gplvm import kernels
from gplvm._bayesian import JITTER, BayesianLikelihood
from gplvm._bayesian_posterior import BayesianPosterior
from gplvm._likelihoods import Posterior
from gplvm._stochastic import Adam
from gplvm.gradients.inducing import whitening
from gplvm.gradients.uncollapsed import (
    best_scale,
    moments,
    natural_step,
    predictive_weights,
    pull_whitened_statistics,
    whitened_uncollapsed_bound,
)

# Length of Adam's steps: a component of Z or log theta moves at most by about this
# share of the ratio of the noise's standard deviation to the data's. Functions that
# move by more than the noise leave the rows' positions behind.
_PACE = 0.15

# A component of its gradient, whatever it is.
_STEEPEST = 1e100

# Share of the way to the best amplitude that a batch goes, in logarithms, and the
# longest way. Adam hardly sees the amplitude: with q(v) held it pulls at the functions.
_SCALE_RATE, _LONGEST = 0.3, 0.5


class StreamLikelihood(BayesianLikelihood):
    """The collapsed bound of rows that are exchanged, or read block by block.

    Parameters
    ----------
    kernel, n_threads
        As in `BayesianLikelihood`.

    Y : ndarray or RowStream of shape (n_samples, n_features)
        Data, centred and complete.
    """

    def __init__(self, kernel, Y, n_threads=None):
        super().__init__(kernel, np.zeros((1, Y.shape[1])), n_threads)
        self.take(Y)

    def take(self, Y):
        """Make these the rows that the bound is of."""
        blocks = [Y] if isinstance(Y, np.ndarray) else Y.blocks()
        self.Y = self._factor = Y
        self._y_squared = float(sum(np.vdot(block, block) for block in blocks))
        self._groups = [(len(Y), slice(None), self._y_squared, Y.shape[1])]


class BatchLikelihood(StreamLikelihood):
    """The uncollapsed bound of a batch; to evaluate it is to take a natural step.

    Parameters
    ----------
    kernel, Y, n_threads
        As in `StreamLikelihood`.

    natural : tuple of ndarray (M, M) and ndarray (M, D), default=None
        Natural parameters of q(v). None: the optimum for `Y`, once evaluated.
    """

    def __init__(self, kernel, Y, n_threads=None, natural=None):
        super().__init__(kernel, Y, n_threads)
        self.natural = natural
        self.rate, self.weight = 1.0, 1.0

    def _bound(self, pairs, R, psi0, P, Psi2, noise_variance):
        # The value is that before the step, in which the batch has no say yet.
        (group,) = self._groups
        n_samples, _, y_squared, n_features = group
        P, Psi2 = R @ P, R @ pairs.unpack(Psi2[0]) @ R.T
        if self.natural is None:
            self.natural = np.eye(len(R)), np.zeros((len(R), n_features))

        def evaluate(posterior):
            return whitened_uncollapsed_bound(
                psi0[0],
                P,
                Psi2,
                y_squared,
                noise_variance,
                *posterior,
                n_samples=n_samples,
                share=1.0 / self.weight,
            )

        value, _ = evaluate(moments(*self.natural))
        self.natural = natural_step(
            *self.natural, P, Psi2, noise_variance, rate=self.rate, weight=self.weight
        )
        posterior = moments(*self.natural)
        self.scale = best_scale(
            psi0[0], Psi2, noise_variance, *posterior, weight=self.weight
        )
        _, gradient = evaluate(posterior)
        gradient = pull_whitened_statistics(R, P, Psi2, gradient, JITTER)
        gradient["psi0"] = np.array([gradient["psi0"]])
        gradient["Psi2"] = pairs.pack(gradient["Psi2"])[None]
        return value, gradient


class StochasticModel:
    """What batches improve: q(v), inducing inputs, hyperparameters and noise.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        As in `BayesianLikelihood`.

    blocks : dict of str to ndarray
        Positions of the rows of `rows`, inducing inputs and theta to start from.

    rows : ndarray of shape (n_rows, n_features)
        Rows whose optimal q(v) is the start.

    variance : float
        The data's mean variance.

    theta_bounds : ndarray of shape (n_hyperparameters + 1, 2)
        Bounds of theta.

    n_threads : int, default=None
        Threads over the rows.
    """

    def __init__(self, kernel, blocks, rows, *, variance, theta_bounds, n_threads=None):
        self._batch = BatchLikelihood(kernel, rows, n_threads)
        self._batch.elbo(**blocks)
        self._variance, self._bounds = variance, theta_bounds
        self._n_threads = n_threads
        self._shape = blocks["inducing_points"].shape
        self._x = np.append(blocks["inducing_points"].ravel(), blocks["theta"])
        self._adam = Adam(self._x, 1.0)
        scales = _scales(self._batch._latent)
        self._scales = np.zeros(len(self.theta), dtype=bool)
        if scales is not None:
            self._scales[~self._batch._is_noise] = scales

    @property
    def inducing_points(self):
        """Inducing inputs Z (M, q)."""
        return self._x[: -len(self._bounds)].reshape(self._shape)

    @property
    def theta(self):
        """Hyperparameters and log noise variance."""
        return self._x[-len(self._bounds) :]

    def _functions(self):
        kernel, noise_variance = self._batch._latent_kernel_and_noise(self.theta)
        Z = self.inducing_points.copy()
        R = whitening(kernels.matrix(kernel, Z), JITTER)
        weights, root = predictive_weights(R, *self._batch.natural)
        return Posterior(kernel, Z, weights, root, noise_variance)

    def posterior(self):
        """What is known of the functions, as predictions of rows."""
        functions = self._functions()
        n_features = functions.weights.shape[1]
        return BayesianPosterior([(np.arange(n_features), functions)], n_features)

    def row_bound(self, Y):
        """The `RowBound` of rows (B, n_features), as the functions are now."""
        return self.posterior().row_bound(Y, self._n_threads)

    def step(self, Y, mean, std, *, weight, rate, pace):
        """Learn from a batch.

        Parameters
        ----------
        Y : ndarray of shape (B, n_features)
            The rows, centred.

        mean, std : ndarray of shape (B, q)
            Their positions' posteriors.

        weight : float
            For how many rows each of them stands.

        rate : float
            Length of the natural step.

        pace : float
            Factor of the length of Adam's step, from 0 to 1.

        Returns
        -------
        bound : float
            An estimate of the bound per row, before the step, in nats.
        """
        self._batch.take(Y)
        self._batch.rate, self._batch.weight = rate, weight
        value, gradient = self._batch.elbo(
            mean, std, self.inducing_points, self.theta, eval_gradient=True
        )
        if pace > 0:
            gradient["theta"][self._scales] = 0.0
            self._follow(gradient, pace)
            self._rescale(pace)
        return value / len(Y)

    def _follow(self, gradient, pace):
        """Adam's step."""
        slope = -np.append(gradient["inducing_points"].ravel(), gradient["theta"])
        np.clip(slope, -_STEEPEST, _STEEPEST, out=slope)  # Adam squares it
        step = np.zeros(self._x.shape)
        self._adam.update(step, slope)
        noise = np.exp(0.5 * self.theta[-1]) / np.sqrt(self._variance)
        self._x += _PACE * pace * min(1.0, noise) * step
        np.clip(self.theta, *self._bounds.T, out=self.theta)

    def _rescale(self, pace):
        """A step towards the best amplitude, u = R^-1 v being held."""
        if not self._scales.any():
            return
        room = (self._bounds - self.theta[:, None])[self._scales]
        way = np.clip(_SCALE_RATE * np.log(self._batch.scale), -_LONGEST, _LONGEST)
        way = pace * np.clip(way, room[:, 0].max(), room[:, 1].min())
        self.theta[self._scales] += way
        # v = R u becomes exp(-way / 2) v.
        precision, shift = self._batch.natural
        self._batch.natural = np.exp(way) * precision, np.exp(0.5 * way) * shift


def _scales(kernel):
    """Which hyperparameters, multiplied together by a, multiply the kernel by a.

    None if there are no such, as where an amplitude is fixed.
    """
    nothing = np.zeros(kernel.n_dims, dtype=bool)
    if type(kernel) in (sk.ConstantKernel, kernels.Linear):
        return ~nothing if kernel.n_dims else None
    if type(kernel) not in (sk.Product, sk.Sum):
        return None
    parts = [_scales(kernel.k1), _scales(kernel.k2)]
    if type(kernel) is sk.Sum:
        return None if any(part is None for part in parts) else np.concatenate(parts)
    if parts[0] is not None:
        nothing[: kernel.k1.n_dims] = parts[0]
    elif parts[1] is not None:
        nothing[kernel.k1.n_dims :] = parts[1]
    return nothing if nothing.any() else None
