"""Models of data with missing values: one likelihood per pattern of observed rows.

Features are independent given the latent positions, so those observed in the same rows
share a likelihood of these rows, and the whole is the sum over the patterns. Nothing is
imputed.
"""

import numpy as np

from gplvm import kernels
from gplvm._likelihoods import Posterior
from gplvm._parallel import BLOCK_ROWS, map_blocks, one_blas_thread, row_blocks
from gplvm._sparse import JITTER, SparseLikelihood, sum_parts
from gplvm.gradients.inducing import (
    inducing_posterior,
    pull_whitening,
    whitened_bound,
    whitening,
)

# Entries of a chunk's covariances: of which the patterns' sums take their rows, and
# to which the patterns' gradients are added.
_SUM_ENTRIES = 2**18
_PULL_ENTRIES = 2**16

# Patterns that a thread takes at a time; blocks of rows that keep the threads busy
# where rows are few, and the fewest rows that are worth a product.
_PATTERNS = 4
_PULL_BLOCKS = 16
_MIN_ROWS = 32


def missing_patterns(Y):
    """Features grouped by the rows in which they are observed.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_features)
        Data with NaN where they are missing.

    Returns
    -------
    patterns : list of (ndarray of int, ndarray of int)
        The observed rows and the features of each pattern, in the order of the first
        feature.
    """
    groups = {}
    for feature, observed in enumerate(~np.isnan(Y.T)):
        groups.setdefault(observed.tobytes(), (observed, []))[1].append(feature)
    return [
        (np.flatnonzero(observed), np.array(features))
        for observed, features in groups.values()
    ]


class PatternLikelihood:
    """The sum of a model's likelihoods over the patterns of missing values.

    Parameters
    ----------
    likelihood_class : type
        Likelihood of complete data, such as `DenseLikelihood`.

    kernel : sklearn.gaussian_process.kernels.Kernel
        Supported kernel.

    Y : ndarray of shape (n_samples, n_features)
        Data, centred, with NaN where they are missing.
    """

    def __init__(self, likelihood_class, kernel, Y):
        self.kernel = kernel
        self.Y = Y
        self._patterns = [
            (rows, features, likelihood_class(kernel, Y[np.ix_(rows, features)]))
            for rows, features in missing_patterns(Y)
        ]

    def encode(self, embedding):
        """The coordinates to optimise: the latent positions themselves."""
        return embedding

    decode = encode

    def evaluate(self, coordinates, *shared):
        """Log-likelihood and its gradients by name."""
        return self.log_likelihood(coordinates, *shared, eval_gradient=True)

    def log_likelihood(self, embedding, *shared, eval_gradient=False):
        """log p of the observed entries; `shared`: inducing points if any, theta."""
        total, gradient = 0.0, {}
        for rows, _, likelihood in self._patterns:
            part = likelihood.log_likelihood(
                embedding[rows], *shared, eval_gradient=eval_gradient
            )
            if not eval_gradient:
                total += part
                continue
            total += part[0]
            of_rows = np.zeros(embedding.shape)
            of_rows[rows] = part[1]["embedding"]
            for name, slope in {**part[1], "embedding": of_rows}.items():
                gradient[name] = gradient.get(name, 0.0) + slope
        return (total, gradient) if eval_gradient else total

    def posterior(self, embedding, *shared):
        """The posterior of each pattern, as one."""
        return PatternPosterior(
            [
                (features, likelihood.posterior(embedding[rows], *shared))
                for rows, features, likelihood in self._patterns
            ],
            self.Y.shape[1],
        )


class SparsePatternLikelihood(SparseLikelihood):
    """`PatternLikelihood` of `SparseLikelihood`, with one pass for all the patterns.

    With many patterns, as many as features where entries miss at random, a kernel
    evaluation for each would be waste. The bound of a pattern needs only its rows'
    share of the statistics: with v_n = k(x_n, Z), Psi2_g is the sum of v_n' v_n over
    the observed rows, or the sum over all less that over the missing ones, whichever
    rows are the fewer. With a share r of such rows, an evaluation costs O(r N G M^2)
    time for G patterns, and memory for the parameters, G M x M sums and a chunk of
    rows.

    Parameters
    ----------
    kernel, Y
        As in `PatternLikelihood`.
    """

    def __init__(self, kernel, Y):
        filled = np.nan_to_num(Y)
        super().__init__(kernel, filled)
        self.Y, self._factor = Y, filled
        self._features = [features for _, features in missing_patterns(Y)]
        self._observed = ~np.isnan(Y[:, [first for first, *_ in self._features]].T)
        self._counts = self._observed.sum(axis=1)
        # The fewer rows of each pattern: the missing ones where most are observed.
        self._mostly = self._counts > len(Y) / 2
        self._few = self._observed ^ self._mostly[:, None]

    def log_likelihood(self, embedding, inducing_points, theta, *, eval_gradient=False):
        """Bound on log p of the observed entries; see `SparseLikelihood`."""
        kernel, noise_variance = self._latent_kernel_and_noise(theta)
        with one_blas_thread():
            Kuu, pull_Kuu = kernels.evaluate(kernel, inducing_points)
            R = whitening(Kuu, JITTER)
        psi0, P, Psi2 = self._statistics(kernel, embedding, inducing_points, R)
        value, dKuu, d_noise = self._reduce(psi0, P, Psi2, noise_variance)
        if not eval_gradient:
            return value
        with one_blas_thread():
            total = {"Kuu": dKuu, "P": P, "Psi2": Psi2[0]}
            dtheta_Kuu, dZ_Kuu = pull_Kuu(pull_whitening(R, total, JITTER)["Kuu"])
        dtheta, dX, dZ = self._pull_statistics(
            kernel, embedding, inducing_points, R, (psi0, P, Psi2)
        )
        return value, {
            "embedding": dX,
            "inducing_points": dZ + dZ_Kuu,
            "theta": self._theta_gradient(theta, dtheta + dtheta_Kuu, d_noise),
        }

    def posterior(self, embedding, inducing_points, theta):
        """The posterior of each pattern, as one."""
        kernel, noise_variance = self._latent_kernel_and_noise(theta)
        with one_blas_thread():
            R = whitening(kernels.matrix(kernel, inducing_points), JITTER)
        _, P, Psi2 = self._statistics(kernel, embedding, inducing_points, R)
        posteriors = []
        for features, of_pattern in zip(self._features, Psi2, strict=True):
            weights, root = inducing_posterior(
                R, P[:, features], of_pattern, noise_variance
            )
            posteriors.append(
                (
                    features,
                    Posterior(kernel, inducing_points, weights, root, noise_variance),
                )
            )
        return PatternPosterior(posteriors, self.Y.shape[1])

    def _reduce(self, psi0, P, Psi2, noise_variance):
        """The bound, and its gradients with respect to Kuu and the noise.

        The statistics are overwritten with the gradients with respect to them.
        """

        def reduce_some(patterns):
            value, dKuu, d_noise = 0.0, np.zeros(Psi2.shape[1:]), 0.0
            for pattern in range(patterns.start, patterns.stop):
                features = self._features[pattern]
                data = self._factor[:, features]
                part, gradient = whitened_bound(
                    psi0[pattern],
                    P[:, features],
                    Psi2[pattern],
                    np.vdot(data, data),
                    noise_variance,
                    n_samples=self._counts[pattern],
                    n_features=len(features),
                )
                psi0[pattern], Psi2[pattern] = gradient["psi0"], gradient["Psi2"]
                P[:, features] = gradient["P"]
                value += part
                dKuu += gradient["Kuu"]
                d_noise += gradient["noise_variance"]
            return value, dKuu, d_noise

        return sum_parts(map_blocks(reduce_some, row_blocks(len(Psi2), _PATTERNS)))

    def _statistics(self, kernel, X, Z, R):
        """psi0 (G,), R Psi1'Y (M, D) and R Psi2 R' (G, M, M) of the patterns."""
        n_patterns, n_inducing = len(self._features), len(Z)
        psi0, P = np.zeros(n_patterns), np.zeros((n_inducing, self._factor.shape[1]))
        Psi2 = np.zeros((n_patterns, n_inducing, n_inducing))
        Psi2_all = np.zeros((n_inducing, n_inducing))
        # The sums are large: threads share the patterns of one chunk after another.
        for chunk in row_blocks(len(X), max(BLOCK_ROWS, _SUM_ENTRIES // n_inducing)):
            X_chunk, few = X[chunk], self._few[:, chunk]

            def covariances(rows, X=X_chunk):
                return kernels.matrix(kernel, X[rows], Z) @ R.T

            V = np.concatenate(map_blocks(covariances, row_blocks(len(X_chunk))))

            def add_up(patterns, V=V, few=few):
                for pattern in range(patterns.start, patterns.stop):
                    V_few = V[few[pattern]]
                    Psi2[pattern] += V_few.T @ V_few

            map_blocks(add_up, row_blocks(n_patterns, _PATTERNS))
            psi0 += self._observed[:, chunk] @ kernels.diagonal(kernel, X_chunk)
            with one_blas_thread():  # little of the work
                P += V.T @ self._factor[chunk]
                Psi2_all += V.T @ V
        for pattern in np.flatnonzero(self._mostly):
            np.subtract(Psi2_all, Psi2[pattern], out=Psi2[pattern])
        return psi0, P, Psi2

    def _pull_statistics(self, kernel, X, Z, R, gradients):
        """From the patterns' gradients to those of theta, X and Z."""
        # With V = k(X, Z) R': dL/dv_n = y_n dL/dP' + 2 v_n sum_g dL/dPsi2_g over the
        # patterns that observe row n, and dL/dk_n = dL/dv_n R. Where most rows are
        # observed, the sum has dL/dPsi2_g for all, and the few lose it again.
        dpsi0, dP, dPsi2 = gradients
        dPsi2 *= np.where(self._mostly, -2.0, 2.0)[:, None, None]
        dPsi2_all = -np.tensordot(self._mostly.astype(float), dPsi2, 1)
        dP = dP.T.copy()
        dX = np.empty(X.shape)

        def pull(rows):
            K, pullback = kernels.evaluate(kernel, X[rows], Z)
            V = K @ R.T
            dV = self._factor[rows] @ dP
            dV += V @ dPsi2_all
            for few, slope in zip(self._few[:, rows], dPsi2, strict=True):
                indices = np.flatnonzero(few)
                dV[indices] += V[indices] @ slope
            dtheta, dX_rows, dZ = pullback(dV @ R)
            _, pullback = kernels.evaluate_diagonal(kernel, X[rows])
            dtheta_diagonal, dX_diagonal = pullback(dpsi0 @ self._observed[:, rows])
            dX[rows] = dX_rows + dX_diagonal
            return dtheta + dtheta_diagonal, dZ

        most = max(_MIN_ROWS, _PULL_ENTRIES // len(Z))
        size = min(max(_MIN_ROWS, len(X) // _PULL_BLOCKS), most)
        dtheta, dZ = sum_parts(map_blocks(pull, row_blocks(len(X), size)))
        return dtheta, dX, dZ


class PatternPosterior:
    """Predictions of features whose posteriors differ, pattern by pattern.

    Parameters
    ----------
    patterns : list of (ndarray of int, Posterior)
        Features and their posterior.

    n_features : int
        Number of features in all.
    """

    def __init__(self, patterns, n_features):
        self._patterns = patterns
        self._n_features = n_features

    def predict(self, X):
        """Mean and variance, noise included, both (B, D)."""
        # NaN, not leftovers of memory, where the patterns of a forged file have gaps.
        mean, variance = np.full((2, len(X), self._n_features), np.nan)
        for features, posterior in self._patterns:
            mean[:, features], of_pattern = posterior.predict(X)
            variance[:, features] = of_pattern[:, None]
        return mean, variance

    def log_density(self, X, Y):
        """log p(y_b | x_b) (B,) of observed entries, and its gradient (B, q)."""
        value, gradient = np.zeros(len(X)), np.zeros(X.shape)
        for features, posterior in self._patterns:
            part = posterior.log_density(X, Y[:, features])
            value += part[0]
            gradient += part[1]
        return value, gradient
