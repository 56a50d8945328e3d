"""Models of data with missing values: one likelihood per pattern of observed rows.

Features are independent given the latent positions, so those observed in the same rows
share a likelihood of these rows, and the whole is the sum over the patterns. Nothing is
imputed.
"""

import numpy as np

from gplvm import kernels
from gplvm._likelihoods import Posterior
from gplvm._parallel import map_blocks, row_blocks
from gplvm._sparse import JITTER, SparseLikelihood, sum_parts
from gplvm.gradients.inducing import (
    inducing_posterior,
    pull_whitening,
    whitened_bound,
    whitening,
)


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
    evaluation for each would be waste. The bound of a pattern needs its rows' share of
    the statistics only: with the mask m (N, G) and v_n = k(x_n, Z), the G matrices
    Psi2_g = sum_n m_ng v_n' v_n are one product of the mask with the rows' v_n' v_n.

    Parameters
    ----------
    kernel, Y
        As in `PatternLikelihood`.
    """

    def __init__(self, kernel, Y):
        filled = np.nan_to_num(Y)
        super().__init__(kernel, filled)
        self.Y, self._factor = Y, filled
        self._patterns = missing_patterns(Y)
        self._mask = np.zeros((len(Y), len(self._patterns)))
        for pattern, (rows, _) in enumerate(self._patterns):
            self._mask[rows, pattern] = 1.0

    def log_likelihood(self, embedding, inducing_points, theta, *, eval_gradient=False):
        """Bound on log p of the observed entries; see `SparseLikelihood`."""
        kernel, noise_variance = self._latent_kernel_and_noise(theta)
        Kuu, pull_Kuu = kernels.evaluate(kernel, inducing_points)
        R = whitening(Kuu, JITTER)
        psi0, P, Psi2 = self._statistics(kernel, embedding, inducing_points, R)
        value, dP, dKuu, d_noise = 0.0, np.empty(P.shape), 0.0, 0.0
        dpsi0, dPsi2 = np.empty(psi0.shape), np.empty(Psi2.shape)
        for pattern, (rows, features) in enumerate(self._patterns):
            part, gradient = whitened_bound(
                psi0[pattern],
                P[:, features],
                Psi2[pattern],
                np.vdot(self._factor[:, features], self._factor[:, features]),
                noise_variance,
                n_samples=len(rows),
                n_features=len(features),
            )
            value += part
            dpsi0[pattern], dPsi2[pattern] = gradient["psi0"], gradient["Psi2"]
            dP[:, features] = gradient["P"]
            d_noise += gradient["noise_variance"]
            dKuu = dKuu + gradient["Kuu"]
        if not eval_gradient:
            return value
        total = {"Kuu": dKuu, "P": dP, "Psi2": dPsi2[0]}
        dtheta_Kuu, dZ_Kuu = pull_Kuu(pull_whitening(R, total, JITTER)["Kuu"])
        dtheta, dX, dZ = self._pull_statistics(
            kernel, embedding, inducing_points, R, (dpsi0, dP, dPsi2)
        )
        return value, {
            "embedding": dX,
            "inducing_points": dZ + dZ_Kuu,
            "theta": self._theta_gradient(theta, dtheta + dtheta_Kuu, d_noise),
        }

    def posterior(self, embedding, inducing_points, theta):
        """The posterior of each pattern, as one."""
        kernel, noise_variance = self._latent_kernel_and_noise(theta)
        R = whitening(kernels.matrix(kernel, inducing_points), JITTER)
        _, P, Psi2 = self._statistics(kernel, embedding, inducing_points, R)
        posteriors = []
        for pattern, (_, features) in enumerate(self._patterns):
            weights, root = inducing_posterior(
                R, P[:, features], Psi2[pattern], noise_variance
            )
            posteriors.append(
                (
                    features,
                    Posterior(kernel, inducing_points, weights, root, noise_variance),
                )
            )
        return PatternPosterior(posteriors, self.Y.shape[1])

    def _statistics(self, kernel, X, Z, R):
        """psi0 (G,), R Psi1'Y (M, D) and R Psi2 R' (G, M, M) of the patterns."""
        lower = np.tril_indices(len(Z))

        n_patterns = self._mask.shape[1]
        psi0, P = np.zeros(n_patterns), np.zeros((len(Z), self._factor.shape[1]))
        packed = np.zeros((n_patterns, len(lower[0])))
        # The sums are large and each block's product with the mask is one that BLAS
        # spreads over the cores itself: block after block, added up in place.
        for rows in row_blocks(len(X)):
            V = kernels.matrix(kernel, X[rows], Z) @ R.T
            mask = self._mask[rows].T
            psi0 += mask @ kernels.diagonal(kernel, X[rows])
            P += V.T @ self._factor[rows]
            packed += mask @ (V[:, lower[0]] * V[:, lower[1]])
        Psi2 = np.empty((len(packed), len(Z), len(Z)))
        Psi2[:, lower[0], lower[1]] = packed
        Psi2[:, lower[1], lower[0]] = packed
        return psi0, P, Psi2

    def _pull_statistics(self, kernel, X, Z, R, gradients):
        """From the patterns' gradients to those of theta, X and Z."""
        # With V = k(X, Z) R': dL/dv_n = y_n dL/dP' + 2 v_n sum_g m_ng dL/dPsi2_g over
        # the observed y_n, and dL/dk_n = dL/dv_n R.
        dpsi0, dP, dPsi2 = gradients
        flat = dPsi2.reshape(len(dPsi2), -1)
        dX = np.empty(X.shape)

        def pull(rows):
            K, pullback = kernels.evaluate(kernel, X[rows], Z)
            V = K @ R.T
            weight = (self._mask[rows] @ flat).reshape(len(V), len(Z), len(Z))
            dV = self._factor[rows] @ dP.T
            dV += 2.0 * np.einsum("nm,nmk->nk", V, weight)
            dtheta, dX_rows, dZ = pullback(dV @ R)
            _, pullback = kernels.evaluate_diagonal(kernel, X[rows])
            dtheta_diagonal, dX_diagonal = pullback(self._mask[rows] @ dpsi0)
            dX[rows] = dX_rows + dX_diagonal
            return dtheta + dtheta_diagonal, dZ

        dtheta, dZ = sum_parts(map_blocks(pull, row_blocks(len(X))))
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
        mean = np.empty((len(X), self._n_features))
        variance = np.empty(mean.shape)
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
