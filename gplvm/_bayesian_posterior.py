"""What a fitted Bayesian model says of data rows, at points and at uncertain positions.

The functions' posterior given the training data is Gaussian: their values u at the
inducing inputs have means K W and what they explain is Kuu^-1 - Sigma^-1. A row's
moments and its bound are products of these with the row's psi statistics.
"""

import numpy as np

from gplvm import kernels
from gplvm._parallel import row_blocks
from gplvm._row_bound import RowBound, padded_chunks
from gplvm.gradients.prediction import LOG_2_PI
from gplvm.kernels.expectations import Expectations

# What a `RowBound` holds of its rows with missing values, in entries.
_ROW_ENTRIES = 2**22

# Features whose weights' products are held at a time, in entries.
_FEATURE_ENTRIES = 2**20


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
        self._first, self.kernel, self.inputs = first, first.kernel, first.inputs
        self.expectations = Expectations(first.kernel, first.inputs)
        self.noise_variance = first.noise_variance
        pairs = self.expectations.pairs
        self.weights = np.empty((len(first.inputs), n_features))
        self._explained = np.empty((len(parts), self.expectations.n_pairs))
        self._part_of_feature = np.empty(n_features, dtype=np.intp)
        for part, (features, posterior) in enumerate(parts):
            self.weights[:, features] = posterior.weights
            self._explained[part] = pairs.pack(posterior.root.T @ posterior.root)
            self._part_of_feature[features] = part
        self.quadratic_of_all = pairs.pack(self.weights @ self.weights.T) - (
            np.bincount(self._part_of_feature) @ self._explained
        )

    @property
    def most_rows(self):
        """How many rows with missing values `row_bound` should be given at a time."""
        return max(1, _ROW_ENTRIES // self.expectations.n_pairs)

    def __getstate__(self):
        # The expectations follow from the kernel and the inducing inputs.
        return {k: v for k, v in vars(self).items() if k != "expectations"}

    def __setstate__(self, state):
        vars(self).update(state)
        n_pairs = len(self.inputs) * (len(self.inputs) + 1) // 2
        if self._explained.shape[1] != n_pairs:  # before so many pairs are made
            raise ValueError(f"{len(self.inputs)} inducing inputs are too many")
        self.expectations = Expectations(self.kernel, self.inputs)

    def predict(self, X):
        """Mean (B, D) and variance, noise included, at positions (B, q).

        The variance is (B,) where all features share it, else (B, D).
        """
        if len(self._explained) == 1:
            return self._first.predict(X)
        mean = np.empty((len(X), self.weights.shape[1]))
        variance = np.empty(mean.shape)
        for chunk, padded in padded_chunks(
            np.arange(len(X)), self.expectations.n_pairs
        ):
            k = kernels.matrix(self.kernel, X[padded], self.inputs)
            k_diagonal = kernels.diagonal(self.kernel, X[padded])
            n = len(chunk)
            mean[chunk] = (k @ self.weights)[:n]
            variance[chunk] = self._variances(k, k_diagonal)[1][:n]
        return mean, variance

    def expected_log_density(self, X, Y):
        """<log p(y_b | x_b, u)> (B,) of observed entries, and its gradient (B, q).

        The limit of `row_bound` without the prior as positions become points: where the
        functions are uncertain it is lower than log <p(y | x, u)>. Y (B, D) is centred,
        with NaN where an entry was not observed.
        """
        value, gradient = np.empty(len(X)), np.empty(X.shape)
        noise = self.noise_variance
        for chunk, padded in padded_chunks(
            np.arange(len(X)), self.expectations.n_pairs
        ):
            x, n = X[padded], len(chunk)
            k, pull = kernels.evaluate(self.kernel, x, self.inputs)
            k_diagonal, pull_diagonal = kernels.evaluate_diagonal(self.kernel, x)
            reduced, variance = self._variances(k, k_diagonal)
            residual = Y[padded] - k @ self.weights
            observed = ~np.isnan(Y[padded])
            residual[~observed] = 0.0
            # Each entry has -(log 2 pi s2 + (r^2 + v) / s2) / 2. Of a part with c
            # observed entries, v = k(x, x) - k A k': dv/dk = -2 A k', and dr/dk = -W'.
            terms = residual**2 + observed * (variance - noise)
            counts = np.zeros((len(self._explained), len(x)))
            np.add.at(counts, self._part_of_feature, (observed & (reduced > 0.0)).T)
            of_products = self.expectations.pairs.mirror(counts.T @ self._explained)
            dk = residual @ self.weights.T
            dk += 0.5 * np.einsum("bij,bj->bi", of_products, k)
            slopes = pull(dk)[1] - pull_diagonal(0.5 * counts.sum(axis=0))[1]
            value[chunk] = -0.5 * terms[:n].sum(axis=1) / noise
            value[chunk] -= 0.5 * observed[:n].sum(axis=1) * (LOG_2_PI + np.log(noise))
            gradient[chunk] = slopes[:n] / noise
        return value, gradient

    def _variances(self, k, k_diagonal):
        """What is unexplained (B, D), also below zero by rounding, and variances."""
        first, second = self.expectations.pairs.of(k)
        reduced = k_diagonal[:, None] - (first * second) @ self._explained.T
        reduced = reduced[:, self._part_of_feature]
        return reduced, np.maximum(reduced, 0.0) + self.noise_variance

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
        mean = np.empty((len(mu), self.weights.shape[1]))
        variance = np.empty(mean.shape)
        for chunk, padded in padded_chunks(
            np.arange(len(mu)), self.expectations.n_pairs
        ):
            n = len(chunk)
            rows = self.expectations.rows(mu[padded], S[padded])
            psi2 = rows.psi2
            unexplained = rows.psi0[:, None] - psi2 @ self._explained.T
            for features, products in self._weight_products():
                of_mean = rows.psi1 @ self.weights[:, features]
                spread = psi2 @ products.T - of_mean**2
                spread += unexplained[:, self._part_of_feature[features]]
                mean[chunk, features] = of_mean[:n]
                variance[chunk, features] = np.maximum(spread, 0.0)[:n]
        return mean, variance + self.noise_variance

    def row_bound(self, Y, n_threads=None):
        """The `RowBound` of rows (B, D), centred, with NaN where they are missing."""
        return RowBound(self, Y, n_threads)

    def quadratic(self, observed):
        """sum_d W_d W_d' - (Kuu^-1 - Sigma_d^-1), packed, over what rows observe.

        With it <sum_d f_d^2> = c psi0 + tr(quadratic psi2), of c observed features.
        """
        quadratic = np.zeros((len(observed), self.expectations.n_pairs))
        if not len(observed):
            return quadratic
        chunks = list(padded_chunks(np.arange(len(observed)), len(quadratic[0])))
        for features, products in self._weight_products():
            for chunk, padded in chunks:
                seen = observed[padded, features].astype(float)
                quadratic[chunk] += (seen @ products)[: len(chunk)]
        counts = np.zeros((len(observed), len(self._explained)))
        np.add.at(counts.T, self._part_of_feature, observed.T)
        return quadratic - counts @ self._explained

    def _weight_products(self):
        """Slices of features and their packed W_d W_d', (D, P) in pieces."""
        size = max(1, _FEATURE_ENTRIES // self.expectations.n_pairs)
        for features in row_blocks(self.weights.shape[1], size):
            yield features, self.expectations.pairs.outer(self.weights[:, features].T)
