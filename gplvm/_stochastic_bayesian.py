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
from gplvm._bayesian_posterior import BayesianPosterior, chunk_rows
from gplvm._likelihoods import Posterior
from gplvm._parallel import block_map, row_blocks
from gplvm._stochastic import Adam
from gplvm.gradients.inducing import standard_normal_divergence, whitening
from gplvm.gradients.positions import expected_fit, position_step
from gplvm.gradients.uncollapsed import (
    best_scale,
    moments,
    natural_step,
    predictive_weights,
    pull_whitened_statistics,
    whitened_uncollapsed_bound,
)
from gplvm.kernels.expectations import Expectations

# A row has settled when a step gains it less than this, in nats. A step that would
# lose is refused and the next one is shorter.
_SETTLED = 1e-2
_SHORTER, _LONGER = 0.25, 2.0

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


class RowBound:
    """Each row's own bound <log p(y_n | x_n, v)> - KL(q(x_n) || p), and its maximiser.

    Parameters
    ----------
    posterior : Posterior
        What is known of the functions.

    Y : ndarray of shape (n_rows, n_features)
        Rows, centred and complete.
    """

    def __init__(self, posterior, Y):
        W, C = posterior.weights, posterior.root
        self._noise_variance, self._n_features = posterior.noise_variance, Y.shape[1]
        self._expectations = Expectations(posterior.kernel, posterior.inputs)
        self._quadratic = self._expectations.pairs.pack(W @ W.T - Y.shape[1] * C.T @ C)
        self._slope = -0.5 / self._noise_variance * self._quadratic
        self._weighed = self._expectations.weighed(self._slope)
        self._projected, self._squares = Y @ W.T, np.einsum("nd,nd->n", Y, Y)

    @property
    def n_pairs(self):
        """Number of pairs of inducing inputs."""
        return self._expectations.n_pairs

    def __call__(self, mu, S, rows):
        """Bounds (B,) and gradients (B, q) of `rows` at N(mu, diag S)."""
        divergence, dmu, dS = standard_normal_divergence(mu, S)
        statistics = self._expectations.rows(mu, S)
        value, dpsi0, dpsi1 = expected_fit(
            statistics.psi0,
            statistics.psi1,
            statistics.psi2,
            self._projected[rows],
            self._squares[rows],
            self._quadratic,
            self._noise_variance,
            n_features=self._n_features,
        )
        dmu_fit, dS_fit, _ = statistics.pull(
            dpsi0, dpsi1, self._slope, self._weighed, sums=False
        )
        return value - divergence, dmu_fit - dmu, dS_fit - dS

    def settle(self, mu, S, n_steps, n_threads=None):
        """Positions after natural gradient steps, each row by itself.

        Parameters
        ----------
        mu, S : ndarray of shape (n_rows, q)
            Means and variances to start from.

        n_steps : int
            Evaluations of a row at most, beside the first.

        n_threads : int, default=None
            Threads over chunks of rows.

        Returns
        -------
        mu, S : ndarray of shape (n_rows, q)

        bound : ndarray of shape (n_rows,)
            The rows' bounds, none below that at its start.
        """
        chunks = row_blocks(len(mu), chunk_rows(self.n_pairs))
        # A step that overflows is no gain.
        quiet = np.errstate(over="ignore", invalid="ignore")
        with quiet, block_map(len(chunks), n_threads) as map_chunks:
            parts = map_chunks(
                lambda rows: self._settle(mu[rows], S[rows], rows, n_steps), chunks
            )
        return tuple(map(np.concatenate, zip(*parts, strict=True)))

    def _settle(self, mu, S, rows, n_steps):
        mu, S, numbers = mu.copy(), S.copy(), np.arange(rows.start, rows.stop)
        state = self(mu, S, rows)
        rate, active = np.ones(len(mu)), np.arange(len(mu))
        for _ in range(n_steps):
            step = position_step(
                *(array[active] for array in (mu, S, *state[1:], rate))
            )
            ahead = self(*step, numbers[active])
            gain = ahead[0] - state[0][active]
            better = gain >= 0.0
            moved = active[better]
            for array, new in zip((mu, S, *state), (*step, *ahead), strict=True):
                array[moved] = new[better]
            rate[active] *= np.where(better, _LONGER, _SHORTER)
            np.minimum(rate, 1.0, out=rate)
            active = active[~better | (gain > _SETTLED)]
            if not active.size:
                break
        return mu, S, state[0]


class StochasticModel:
    """What batches improve: q(v), inducing inputs, hyperparameters and noise.

    Parameters
    ----------
    likelihood : BayesianLikelihood
        Its kernel, and threads, are this model's.

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

    def settle(self, Y, mean, std, n_steps):
        """Posteriors (B, q) of rows' positions, from a start; see `RowBound.settle`."""
        bound = RowBound(self._functions(), Y)
        mean, S, _ = bound.settle(mean, std**2, n_steps, self._n_threads)
        return mean, np.sqrt(S)

    def higher(self, Y, mean, std):
        """Of each row's starts (B, k, q), mean and std, those of the highest bound."""
        bound, rows = RowBound(self._functions(), Y), np.arange(len(Y))
        chosen = np.empty(len(Y), dtype=np.intp)
        for some in row_blocks(len(Y), chunk_rows(bound.n_pairs)):
            values = [
                bound(mean[some, start], std[some, start] ** 2, rows[some])[0]
                for start in range(mean.shape[1])
            ]
            chosen[some] = np.argmax(values, axis=0)
        return mean[rows, chosen], std[rows, chosen]

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
