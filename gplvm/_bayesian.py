"""The Bayesian model of the data: latent positions have a posterior, not a place.

q(X) = prod_n N(mu_n, diag S_n). Map, reduce, map, as in `_sparse`, with the
expectations of `kernels.expectations` in the place of covariances. The products of
covariances, N M (M + 1) / 2 exponentials, dominate everything else; those of the first
rows, up to a fixed memory, are kept for the second map, and the others are made anew.
"""

from contextlib import contextmanager
from itertools import pairwise

import numpy as np

from gplvm import kernels
from gplvm._bayesian_posterior import BayesianPosterior
from gplvm._bayesian_rows import AtOnce, Chunks
from gplvm._likelihoods import Posterior
from gplvm._missing import missing_patterns
from gplvm._parallel import block_map, keep_freed_memory, row_blocks
from gplvm._row_bound import chunk_rows
from gplvm._sparse import SparseLikelihood, sum_parts
from gplvm.gradients.inducing import (
    inducing_posterior,
    pull_kuu,
    standard_normal_divergence,
    whitened_bound,
    whitening,
)
from gplvm.kernels._thin import PIECE_ROWS, in_lines, whole_lines
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

# Rows of a span at least, and of a chunk whose functions are only summed, tile by tile:
# many, since each small operation on a chunk may keep threads waiting for the
# interpreter, and so many that some of a chunk's functions can be kept.
_SPAN_ROWS, _SUMMED_ROWS, _SUMMED = 512, (256, 2048), _KEEP // 32

# So many rows are prepared at once, by one thread: two threads with small operations on
# few rows wait for the interpreter longer than these take.
_AT_ONCE = 2**12

# Rows whose divergence is computed at a time, in a few arrays of that size.
_DIVERGENCE_ROWS = 2**12

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
        self.n_threads = n_threads
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
            block_map(len(spans), self.n_threads) as map_spans,
            self._memory(expectations, len(self.Y) * eval_gradient) as memory,
        ):
            position = embedding, embedding_std
            kind = AtOnce if self._at_once(expectations) else Chunks
            rows = kind(self, expectations, *position, self._factor, memory)

            def of_inducing_points():
                Kuu, pull = expectations.form.covariance(inducing_points)
                return whitening(Kuu, JITTER), pull

            (psi0, P, *totals), (R, pull_Kuu) = rows.add_up(
                map_spans, spans, of_inducing_points
            )
            statistics = psi0, P, self._psi2(expectations, totals)
            value, gradient = self._bound_on(
                map_spans, expectations.pairs, R, *statistics, noise_variance
            )
            if not eval_gradient:
                return value - _divergence(*position)
            shared = self.shared(gradient["Psi2"])

            def of_sums():
                of_products = None
                if shared is not None:
                    of_products = expectations.finish_products(totals, shared)
                return of_products, pull_Kuu(gradient["Kuu"])

            (divergence, *sums), dmu, dstd, finished = rows.pull(
                map_spans, spans, gradient, of_sums
            )
        dtheta, dZ = expectations.finish(sums, *finished)
        return value - divergence, {
            "embedding": dmu,
            "embedding_std": dstd,
            "inducing_points": dZ,
            "theta": self._theta_gradient(theta, dtheta, gradient["noise_variance"]),
        }

    def posterior(self, embedding, embedding_std, inducing_points, theta):
        """What is known of the functions; see `BayesianPosterior`."""
        kernel, noise_variance = self._latent_kernel_and_noise(theta)
        expectations = Expectations(kernel, inducing_points)
        data = self._data()
        rows = Chunks(self, expectations, embedding, embedding_std, data)
        spans = self._spans(expectations, data)
        with block_map(len(spans), self.n_threads) as map_spans:
            (_, P, *totals), R = rows.add_up(
                map_spans,
                spans,
                lambda: whitening(kernels.matrix(kernel, inducing_points), JITTER),
            )
        Psi2, parts = self._psi2(expectations, totals), []
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
        width = whole_lines(expectations.n_pairs)
        n_kept = min(n_samples, self._n_kept(expectations))
        memory = self._memories.pop() if self._memories else np.empty((1, 0))
        if memory.size < n_kept * width:
            memory = in_lines(1, n_kept * width)
        yield memory[0, : n_kept * width].reshape(n_kept, width)
        # Not after an interruption: a thread may still be at work on it.
        self._memories.append(memory)

    def _n_kept(self, expectations):
        return _KEEP // (8 * expectations.n_pairs * self._n_arrays(expectations))

    def __getstate__(self):
        return self.__dict__ | {"_memories": []}

    def _spans(self, expectations, Y):
        """Slices of rows, whole pieces, of which each gives one set of sums."""
        n_pairs, (n_inducing, q) = expectations.n_pairs, expectations.shape
        n_sums = n_pairs * max(len(self._groups), 2 * q + 1) + n_inducing * Y.shape[1]
        n_pieces = -(-len(Y) // PIECE_ROWS)
        size = min(_SPAN_ROWS, self.chunk_rows(expectations))
        # A power of two, of which most numbers of threads get equal shares.
        n_spans = 1 << (-(-len(Y) // size) - 1).bit_length() if len(Y) else 1
        n_spans = min(n_pieces, n_spans, _MAX_SPANS, max(1, _SUMS // n_sums))
        # Whoever has the small operations comes later to the last one: it is shorter.
        equal = n_pieces + n_pieces // 20
        ends = [i * equal // n_spans * PIECE_ROWS for i in range(n_spans)] + [len(Y)]
        return [slice(*pair) for pair in pairwise(ends)]

    def _at_once(self, expectations):
        """Whether the rows are few, and all their products can be kept."""
        return (
            expectations.affine is None
            and len(self.Y) <= _AT_ONCE
            and len(self.Y) <= self._n_kept(expectations)
        )

    def chunk_rows(self, expectations):
        n_pairs = expectations.n_pairs
        if expectations.affine is None:
            fewest, most = _SUMMED_ROWS
            return min(max(fewest, _SUMMED // n_pairs), most)
        return chunk_rows(n_pairs)

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

    def _n_arrays(self, expectations):
        return expectations.n_arrays

    # How the statistics of rows make those of groups of features: all the rows' for
    # all features.

    def sum_psi0(self, chunk, rows):
        return np.full(1, rows.psi0.sum())

    def sum_psi2(self, chunk, rows):
        return rows.totals()

    def _psi2(self, expectations, totals):
        return expectations.psi2_total(totals)[np.newaxis]

    def of_rows(self, chunk, gradient):
        return np.full(chunk.stop - chunk.start, gradient[0])

    def of_products(self, chunk, gradient):
        return gradient[0]

    def shared(self, gradient):
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

    def _at_once(self, expectations):
        return False

    def chunk_rows(self, expectations):
        return chunk_rows(expectations.n_pairs)

    def _n_arrays(self, expectations):
        return expectations.n_arrays_by_row

    def sum_psi0(self, chunk, rows):
        return self._mask[chunk].T @ rows.psi0

    def sum_psi2(self, chunk, rows):
        return [self._mask[chunk].T @ rows.psi2]

    def _psi2(self, expectations, totals):
        return totals[0]

    def of_rows(self, chunk, gradient):
        return self._mask[chunk] @ gradient

    of_products = of_rows

    def shared(self, gradient):
        return None


def _divergence(mu, std):
    """The divergence of q(X) from the prior, in all."""
    return sum(
        standard_normal_divergence(mu[rows], std[rows] ** 2)[0].sum()
        for rows in row_blocks(len(mu), _DIVERGENCE_ROWS)
    )
