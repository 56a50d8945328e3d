"""What a fitted Bayesian model says of data rows, at points and at uncertain positions.

The functions' posterior given the training data is Gaussian: their values u at the
inducing inputs have means K W and what they explain is Kuu^-1 - Sigma^-1. A row's
moments and its bound are products of these with the row's psi statistics.
"""

import numpy as np

from gplvm import kernels
from gplvm._parallel import row_blocks
from gplvm.gradients.inducing import expected_log_density, standard_normal_divergence
from gplvm.gradients.prediction import LOG_2_PI
from gplvm.kernels.expectations import Expectations

# A chunk's products of covariances have at most about this many entries, so that they
# and the rows' own small arrays share the caches; its rows are whole BLAS tiles.
CHUNK_ENTRIES = 3 * 2**17
CHUNK_ROWS = 256
TILE = 16

# Features whose weights' products are held at a time, in entries.
_FEATURE_ENTRIES = 2**20


def chunk_rows(n_pairs):
    """Rows of a chunk, for M (M + 1) / 2 pairs of inducing inputs."""
    return min(CHUNK_ROWS, max(1, CHUNK_ENTRIES // n_pairs // TILE) * TILE)


class BayesianPosterior:
    """Predictions of data rows at positions, and at positions that are uncertain.

    Parameters
    ----------
    parts : list of (ndarray of int, Posterior)
        Features that share a posterior covariance, and their predictions at points.

    n_features : int
        Number of features in all.
    """

    def __init__(self, parts, n_features):
        _, first = parts[0]
        self._first = first
        self._expectations = Expectations(first.kernel, first.inputs)
        self._noise_variance = first.noise_variance
        pairs = self._expectations.pairs
        self._weights = np.empty((len(first.inputs), n_features))
        self._explained = np.empty((len(parts), self._expectations.n_pairs))
        self._part_of_feature = np.empty(n_features, dtype=np.intp)
        for part, (features, posterior) in enumerate(parts):
            self._weights[:, features] = posterior.weights
            self._explained[part] = pairs.pack(posterior.root.T @ posterior.root)
            self._part_of_feature[features] = part
        self._of_all = pairs.pack(self._weights @ self._weights.T) - (
            np.bincount(self._part_of_feature) @ self._explained
        )

    def __getstate__(self):
        # The expectations follow from the kernel and the inducing inputs.
        return {k: v for k, v in vars(self).items() if k != "_expectations"}

    def __setstate__(self, state):
        vars(self).update(state)
        self._expectations = Expectations(self._first.kernel, self._first.inputs)

    def predict(self, X):
        """Mean (B, D) and variance, noise included, at positions (B, q).

        The variance is (B,) where all features share it, else (B, D).
        """
        if len(self._explained) == 1:
            return self._first.predict(X)
        mean = np.empty((len(X), self._weights.shape[1]))
        variance = np.empty(mean.shape)
        for chunk, padded in self._padded_chunks(np.arange(len(X))):
            k = kernels.matrix(self._first.kernel, X[padded], self._first.inputs)
            k_diagonal = kernels.diagonal(self._first.kernel, X[padded])
            n = len(chunk)
            mean[chunk] = (k @ self._weights)[:n]
            variance[chunk] = self._variances(k, k_diagonal)[1][:n]
        return mean, variance

    def expected_log_density(self, X, Y):
        """<log p(y_b | x_b, u)> (B,) of observed entries, and its gradient (B, q).

        The limit of `row_bound` without the prior as positions become points: where the
        functions are uncertain it is lower than log <p(y | x, u)>. Y (B, D) is centred,
        with NaN where an entry was not observed.
        """
        value, gradient = np.empty(len(X)), np.empty(X.shape)
        noise = self._noise_variance
        for chunk, padded in self._padded_chunks(np.arange(len(X))):
            x, n = X[padded], len(chunk)
            k, pull = kernels.evaluate(self._first.kernel, x, self._first.inputs)
            k_diagonal, pull_diagonal = kernels.evaluate_diagonal(self._first.kernel, x)
            reduced, variance = self._variances(k, k_diagonal)
            residual = Y[padded] - k @ self._weights
            observed = ~np.isnan(Y[padded])
            residual[~observed] = 0.0
            # Each entry has -(log 2 pi s2 + (r^2 + v) / s2) / 2. Of a part with c
            # observed entries, v = k(x, x) - k A k': dv/dk = -2 A k', and dr/dk = -W'.
            terms = residual**2 + observed * (variance - noise)
            counts = np.zeros((len(self._explained), len(x)))
            np.add.at(counts, self._part_of_feature, (observed & (reduced > 0.0)).T)
            of_products = self._expectations.pairs.mirror(counts.T @ self._explained)
            dk = residual @ self._weights.T
            dk += 0.5 * np.einsum("bij,bj->bi", of_products, k)
            slopes = pull(dk)[1] - pull_diagonal(0.5 * counts.sum(axis=0))[1]
            value[chunk] = -0.5 * terms[:n].sum(axis=1) / noise
            value[chunk] -= 0.5 * observed[:n].sum(axis=1) * (LOG_2_PI + np.log(noise))
            gradient[chunk] = slopes[:n] / noise
        return value, gradient

    def _variances(self, k, k_diagonal):
        """What is unexplained (B, D), also below zero by rounding, and variances."""
        first, second = self._expectations.pairs.of(k)
        reduced = k_diagonal[:, None] - (first * second) @ self._explained.T
        reduced = reduced[:, self._part_of_feature]
        return reduced, np.maximum(reduced, 0.0) + self._noise_variance

    def predict_uncertain(self, mu, S):
        """Mean and variance (B, D), noise included, where positions are N(mu, diag S).

        Parameters
        ----------
        mu, S : ndarray of shape (B, q)
            Means and variances of the positions.

        Returns
        -------
        mean, variance : ndarray of shape (B, D)
            The first two moments of each entry; its density is not Gaussian.
        """
        # For f = k(x, Z) u of feature d, u ~ N(W_d, A) given all the rest: the mean is
        # psi1 W_d, <f^2> = tr((W_d W_d' - (Kuu^-1 - Sigma^-1)) psi2) + psi0.
        mean = np.empty((len(mu), self._weights.shape[1]))
        variance = np.empty(mean.shape)
        for chunk, padded in self._padded_chunks(np.arange(len(mu))):
            n = len(chunk)
            rows = self._expectations.rows(mu[padded], S[padded])
            psi2 = rows.psi2
            unexplained = rows.psi0[:, None] - psi2 @ self._explained.T
            for features, products in self._weight_products():
                of_mean = rows.psi1 @ self._weights[:, features]
                spread = psi2 @ products.T - of_mean**2
                spread += unexplained[:, self._part_of_feature[features]]
                mean[chunk, features] = of_mean[:n]
                variance[chunk, features] = np.maximum(spread, 0.0)[:n]
        return mean, variance + self._noise_variance

    def row_bound(self, mu, S, Y):
        """A bound on log p(y_b) of each row with positions N(mu, diag S).

        Each row by itself: the functions' posterior is as it was fitted.

        Parameters
        ----------
        mu, S : ndarray of shape (B, q)
            Means and variances of the positions.

        Y : ndarray of shape (B, D)
            Data rows, centred; NaN marks an entry that was not observed.

        Returns
        -------
        bound : ndarray of shape (B,)
            <log p(y | x, u)> - KL(q(x) || N(0, I)), in nats.

        dmu, dS : ndarray of shape (B, q)
            Its gradients.
        """
        divergence, dmu, dS = standard_normal_divergence(mu, S)
        bound, dmu, dS = -divergence, -dmu, -dS
        observed = ~np.isnan(Y)
        filled = np.where(observed, Y, 0.0)
        n_observed = observed.sum(axis=1)
        whole = n_observed == Y.shape[1]

        def add(chunk, padded, quadratic, weighed=None):
            rows = self._expectations.rows(mu[padded], S[padded])
            value, *slopes = expected_log_density(
                rows.psi0,
                rows.psi1,
                rows.psi2,
                filled[padded],
                n_observed[padded],
                self._weights,
                quadratic,
                self._noise_variance,
            )
            dmu_rows, dS_rows, _ = rows.pull(*slopes, weighed, sums=False)
            n = len(chunk)
            bound[chunk] += value[:n]
            dmu[chunk] += dmu_rows[:n]
            dS[chunk] += dS_rows[:n]

        # Rows without holes share one quadratic form, and with it a cheaper pullback.
        shared = self._expectations.weighed(-0.5 / self._noise_variance * self._of_all)
        for chunk, padded in self._padded_chunks(np.flatnonzero(whole)):
            add(chunk, padded, self._of_all, shared)
        for chunk, padded in self._padded_chunks(np.flatnonzero(~whole)):
            add(chunk, padded, self._quadratic(observed[padded]))
        return bound, dmu, dS

    def _quadratic(self, observed):
        """sum_d W_d W_d' - (Kuu^-1 - Sigma_d^-1), packed, over what rows observe."""
        quadratic = np.zeros((len(observed), self._expectations.n_pairs))
        for features, products in self._weight_products():
            seen = observed[:, features].astype(float)
            quadratic += seen @ products
        counts = np.zeros((len(observed), len(self._explained)))
        np.add.at(counts.T, self._part_of_feature, observed.T)
        return quadratic - counts @ self._explained

    def _weight_products(self):
        """Slices of features and their packed W_d W_d', (D, P) in pieces."""
        size = max(1, _FEATURE_ENTRIES // self._expectations.n_pairs)
        for features in row_blocks(self._weights.shape[1], size):
            yield features, self._expectations.pairs.outer(self._weights[:, features].T)

    def _padded_chunks(self, rows):
        """Rows of each chunk, and the same padded to a multiple of a BLAS tile."""
        size = chunk_rows(self._expectations.n_pairs)
        for block in row_blocks(len(rows), size):
            chunk = rows[block]
            yield chunk, np.pad(chunk, (0, -len(chunk) % TILE), mode="edge")
