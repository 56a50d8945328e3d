"""Models of data with missing values: one likelihood per pattern of observed rows.

Features are independent given the latent positions, so those observed in the same rows
share a likelihood of these rows, and the whole is the sum over the patterns. Nothing is
imputed.
"""

import numpy as np


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
        Likelihood of complete data, `DenseLikelihood` or `SparseLikelihood`.

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
