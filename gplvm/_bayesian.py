"""The Bayesian model of the data: latent positions have a posterior, not a place.

q(X) = prod_n N(mu_n, diag S_n). Map, reduce, map, as in `_sparse`, with the
expectations of `kernels.expectations` in the place of covariances. The products of
covariances, N M (M + 1) / 2 exponentials, dominate everything else; those of the first
rows, up to a fixed memory, are kept for the second map, and the others are made anew.
"""

from contextlib import contextmanager
from itertools import pairwise
from operator import iadd

import numpy as np

from gplvm import kernels
from gplvm._bayesian_posterior import BayesianPosterior, chunk_rows
from gplvm._likelihoods import Posterior
from gplvm._missing import missing_patterns
from gplvm._parallel import block_map, keep_freed_memory, row_blocks
from gplvm._sparse import SparseLikelihood, sum_parts
from gplvm.gradients.inducing import (
    inducing_posterior,
    pull_kuu,
    standard_normal_divergence,
    whitened_bound,
    whitening,
)
from gplvm.kernels.expectations import Expectations

# Jitter of the inducing inputs' covariance, relative to its mean diagonal. Psi2 is
# summed before it is whitened (to whiten each row's M x M would cost M times as much as
# to make it), so its rounding, divided by jitter and noise variance, is in the bound.
# On 200 x 5 data with smooth functions and 15 inducing points that was 3e-6 nats at a
# noise variance of 0.1 and 1e-3 at 0.001; with the 1e-8 of `_sparse` 4e-5 and 0.6.
JITTER = 1e-6

# The rows are cut into so many spans at most, each summed by one thread, whatever the
# number of threads: the result does not depend on it.
_MAX_SPANS = 16

# Patterns of missing values whose bounds a thread computes at a time.
_GROUPS = 4

# Products of covariances that may wait for the second map, in bytes.
_KEEP = 64 * 2**20

# The spans' sums together have at most about this many entries.
_SUMS = 2**24


class BayesianLikelihood(SparseLikelihood):
    """The collapsed variational bound with a Gaussian posterior of each row's position.

    An evaluation costs O(N M^2 q) time, on threads, and memory that does not grow with
    N beyond that of parameters and gradients. As the variances of q(X) go to zero the
    part without the divergence becomes that of `SparseLikelihood`, with more jitter.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        A kernel that `check_expectations` accepts; its own hyperparameters are ignored
        in favour of `theta`. A WhiteKernel in a sum is noise.

    Y : ndarray of shape (n_samples, n_features)
        Data, centred.

    n_threads : int, default=None
        Threads over the rows. None: as many as BLAS would use.
    """

    def __init__(self, kernel, Y, n_threads=None):
        super().__init__(kernel, Y)
        keep_freed_memory()
        self._n_threads = n_threads
        self._memories = []
        # Rows, columns of the factor, |Y|^2 and number of features that share Psi2.
        self._groups = [(len(Y), slice(None), self._y_squared, Y.shape[1])]
        self._group_of_feature = np.zeros(Y.shape[1], dtype=np.intp)

    def elbo(
        self,
        embedding,
        embedding_std,
        inducing_points,
        theta,
        *,
        eval_gradient=False,
    ):
        """Bound on log p(Y | theta), the positions integrated out.

        Parameters
        ----------
        embedding : ndarray of shape (n_samples, q)
            Means mu of q(X).

        embedding_std : ndarray of shape (n_samples, q)
            Its standard deviations, the square roots of S.

        inducing_points : ndarray of shape (n_inducing, q)
            Inducing inputs Z.

        theta : ndarray of shape (n_hyperparameters + 1,)
            ``kernel.theta`` followed by the log noise variance.

        eval_gradient : bool, default=False
            Whether to return the gradient too.

        Returns
        -------
        value : float
            The collapsed bound minus KL(q(X) || N(0, I)), in nats, for all the data.

        gradient : dict of str to ndarray
            ``"embedding"``, ``"embedding_std"``, ``"inducing_points"`` and ``"theta"``,
            of their shapes. Only if `eval_gradient`.
        """
        noise_variance = self._noise_variance(theta)
        expectations = Expectations(
            self._latent, inducing_points, theta[~self._is_noise]
        )
        spans = self._spans(expectations, self._factor)
        with (
            block_map(len(spans), self._n_threads) as map_spans,
            self._memory(expectations, len(self.Y) * eval_gradient) as memory,
        ):
            Kuu, pull_Kuu = expectations.form.covariance(inducing_points)
            R = whitening(Kuu, JITTER)
            position = embedding, embedding_std
            add_up, kept = self._adder(expectations, *position, self._factor, memory)
            *statistics, divergence = sum_parts(map_spans(add_up, spans))
            value, gradient = self._bound_on(
                map_spans, expectations.pairs, R, *statistics, noise_variance
            )
            value -= divergence
            if not eval_gradient:
                return value
            dtheta_Kuu, dZ_Kuu = pull_Kuu(gradient["Kuu"])
            dmu, dstd = np.empty(embedding.shape), np.empty(embedding.shape)
            pull = self._puller(expectations, *position, gradient, kept, dmu, dstd)
            sums = sum_parts(map_spans(pull, spans))
        dtheta, dZ = expectations.finish(sums, self._shared(gradient["Psi2"]))
        return value, {
            "embedding": dmu,
            "embedding_std": dstd,
            "inducing_points": dZ + dZ_Kuu,
            "theta": self._theta_gradient(
                theta, dtheta + dtheta_Kuu, gradient["noise_variance"]
            ),
        }

    def posterior(self, embedding, embedding_std, inducing_points, theta):
        """What is known of the functions; see `BayesianPosterior`."""
        kernel, noise_variance = self._latent_kernel_and_noise(theta)
        expectations = Expectations(kernel, inducing_points)
        R = whitening(kernels.matrix(kernel, inducing_points), JITTER)
        data = self._data()
        add_up, _ = self._adder(expectations, embedding, embedding_std, data, None)
        spans = self._spans(expectations, data)
        with block_map(len(spans), self._n_threads) as map_spans:
            _, P, Psi2, _ = sum_parts(map_spans(add_up, spans))
        parts = []
        for group in range(len(self._groups)):
            features = np.flatnonzero(self._group_of_feature == group)
            weights, root = inducing_posterior(
                R,
                R @ P[:, features],
                R @ expectations.pairs.unpack(Psi2[group]) @ R.T,
                noise_variance,
            )
            parts.append(
                (
                    features,
                    Posterior(kernel, inducing_points, weights, root, noise_variance),
                )
            )
        return BayesianPosterior(parts, self.Y.shape[1])

    def _data(self):
        """The data themselves, of which `_factor` may be a smaller stand-in."""
        return self.Y

    @contextmanager
    def _memory(self, expectations, n_samples):
        """Memory for the products of the rows that are kept, from call to call.

        New memory would cost more than the exponentials that are to fill it.
        """
        n_pairs = expectations.n_pairs
        n_kept = min(n_samples, _KEEP // (8 * n_pairs * expectations.n_arrays))
        memory = self._memories.pop() if self._memories else np.empty(0)
        if memory.size < n_kept * n_pairs:
            memory = np.empty(n_kept * n_pairs)
        yield memory[: n_kept * n_pairs].reshape(n_kept, n_pairs)
        self._memories.append(memory)

    def __getstate__(self):
        return self.__dict__ | {"_memories": []}

    def _spans(self, expectations, Y):
        """Slices of rows, about equal, of which each gives one set of sums."""
        n_pairs, n_inducing = expectations.n_pairs, len(expectations.pairs.full)
        n_sums = n_pairs * len(self._groups) + n_inducing * Y.shape[1]
        n_chunks = -(-len(Y) // chunk_rows(n_pairs))
        n_spans = min(n_chunks, _MAX_SPANS, max(1, _SUMS // n_sums))
        ends = np.arange(n_spans + 1) * len(Y) // n_spans
        return [slice(*pair) for pair in pairwise(ends.tolist())]

    def _adder(self, expectations, mu, std, Y, memory):
        """A function of a span that returns its sums, and a dictionary.

        They are psi0 (G,), Psi1'Y (M, r), Psi2 (G, P) and the divergence from the
        prior; the dictionary is filled with the statistics of the rows of `memory`.
        """
        n_inducing, n_pairs = len(expectations.pairs.full), expectations.n_pairs
        n_groups, n_kept = len(self._groups), 0 if memory is None else len(memory)
        of_chunk, kept = _of_chunk(expectations, mu, std), {}

        def add_up(span):
            psi0, P = np.zeros(n_groups), np.zeros((n_inducing, Y.shape[1]))
            Psi2, divergence, scratch = np.zeros((n_groups, n_pairs)), 0.0, None
            for chunk in _chunks(span, n_pairs):
                keep = chunk.stop <= n_kept
                if not keep and scratch is None:
                    scratch = np.empty((chunk_rows(n_pairs), n_pairs))
                out = memory[chunk] if keep else scratch[: chunk.stop - chunk.start]
                rows, prior = of_chunk(chunk, out)
                divergence += prior[0].sum()
                psi0 += self._sum_psi0(chunk, rows)
                P += rows.psi1.T @ Y[chunk]
                Psi2 += self._sum_psi2(chunk, rows)
                if keep:
                    kept[chunk.start] = rows, prior
            return psi0, P, Psi2, divergence

        return add_up, kept

    def _bound_on(self, map_groups, *arguments):
        """`_bound`, for which threads stand by."""
        return self._bound(*arguments)

    def _bound(self, pairs, R, psi0, P, Psi2, noise_variance, map_groups=map):
        """Value, and the gradients of psi0, P, packed Psi2, Kuu and the noise."""
        P = R @ P
        dpsi0, dP, dPsi2 = np.empty(psi0.shape), np.empty(P.shape), np.empty(Psi2.shape)

        def bound(groups):
            value, dKuu, d_noise = 0.0, 0.0, 0.0
            for group in range(groups.start, groups.stop):
                n, columns, y_squared, n_features = self._groups[group]
                part, gradient = whitened_bound(
                    psi0[group],
                    P[:, columns],
                    R @ pairs.unpack(Psi2[group]) @ R.T,
                    y_squared,
                    noise_variance,
                    n_samples=n,
                    n_features=n_features,
                )
                value += part
                dKuu = dKuu + gradient["Kuu"]
                d_noise += gradient["noise_variance"]
                dpsi0[group] = gradient["psi0"]
                dP[:, columns] = gradient["P"]
                dPsi2[group] = pairs.pack(R.T @ gradient["Psi2"] @ R)
            return value, dKuu, d_noise

        blocks = row_blocks(len(self._groups), _GROUPS)
        value, dKuu, d_noise = sum_parts(map_groups(bound, blocks))
        return value, {
            "psi0": dpsi0,
            "P": R.T @ dP,
            "Psi2": dPsi2,
            "Kuu": pull_kuu(R, dKuu, JITTER),
            "noise_variance": d_noise,
        }

    def _puller(self, expectations, mu, std, gradient, kept, dmu, dstd):
        """A function of a span that fills its rows' gradients and returns sums."""
        n_pairs, dP = expectations.n_pairs, gradient["P"].T.copy()
        shared = self._shared(gradient["Psi2"])
        weighed = None if shared is None else expectations.weighed(shared)
        of_chunk = _of_chunk(expectations, mu, std)

        def pull(span):
            total, scratch = None, None
            for chunk in _chunks(span, n_pairs):
                if chunk.start in kept:
                    rows, prior = kept[chunk.start]
                else:
                    if scratch is None:
                        scratch = np.empty((chunk_rows(n_pairs), n_pairs))
                    rows, prior = of_chunk(chunk, scratch[: chunk.stop - chunk.start])
                dmu_rows, dS_rows, sums = rows.pull(
                    self._of_rows(chunk, gradient["psi0"]),
                    self._factor[chunk] @ dP,
                    self._of_products(chunk, gradient["Psi2"]),
                    weighed,
                )
                np.subtract(dmu_rows, prior[1], out=dmu[chunk])
                np.multiply(dS_rows - prior[2], 2.0 * std[chunk], out=dstd[chunk])
                total = sums if total is None else list(map(iadd, total, sums))
            return total

        return pull

    # How the statistics of rows make those of groups of features: all the rows' for
    # all features.

    def _sum_psi0(self, chunk, rows):
        return rows.psi0.sum()

    def _sum_psi2(self, chunk, rows):
        return rows.psi2_total()

    def _of_rows(self, chunk, gradient):
        return np.full(chunk.stop - chunk.start, gradient[0])

    def _of_products(self, chunk, gradient):
        return gradient[0]

    def _shared(self, gradient):
        return gradient[0]


class BayesianPatternLikelihood(BayesianLikelihood):
    """`BayesianLikelihood` of data with missing values; nothing is imputed.

    Features observed in the same rows share these rows' statistics. With the mask m
    (N, G) of rows and patterns, Psi2_g = sum_n m_ng psi2_n is one product.

    Parameters
    ----------
    kernel, n_threads
        As in `BayesianLikelihood`.

    Y : ndarray of shape (n_samples, n_features)
        Data, centred, with NaN where they are missing.
    """

    def __init__(self, kernel, Y, n_threads=None):
        filled = np.nan_to_num(Y)
        super().__init__(kernel, filled, n_threads)
        self.Y, self._factor = Y, filled
        patterns = missing_patterns(Y)
        self._mask = np.zeros((len(Y), len(patterns)))
        self._groups = []
        for group, (rows, features) in enumerate(patterns):
            self._mask[rows, group] = 1.0
            self._group_of_feature[features] = group
            y_squared = np.vdot(filled[:, features], filled[:, features])
            self._groups.append((len(rows), features, y_squared, len(features)))

    def _data(self):
        return self._factor

    def _bound_on(self, map_groups, *arguments):
        return self._bound(*arguments, map_groups)

    def _sum_psi0(self, chunk, rows):
        return self._mask[chunk].T @ rows.psi0

    def _sum_psi2(self, chunk, rows):
        return self._mask[chunk].T @ rows.psi2

    def _of_rows(self, chunk, gradient):
        return self._mask[chunk] @ gradient

    _of_products = _of_rows

    def _shared(self, gradient):
        return None


def _of_chunk(expectations, mu, std):
    """A function of a chunk: its rows' statistics, and what leads them to the prior."""

    def of_chunk(chunk, out):
        S = std[chunk] ** 2
        rows = expectations.rows(mu[chunk], S, out)
        return rows, standard_normal_divergence(mu[chunk], S)

    return of_chunk


def _chunks(span, n_pairs):
    for rows in row_blocks(span.stop - span.start, chunk_rows(n_pairs)):
        yield slice(span.start + rows.start, span.start + rows.stop)
