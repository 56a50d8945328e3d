"""Missing entries of data rows, with all that is unknown about the rows' positions.

Given its observed entries o, a row's other entries have the density

    p(y | y_o) = int p(y | x) p(x | y_o) dx,    p(x | y_o) ~ p(y_o | x) p(x).

Where little of a row is seen, p(x | y_o) has several maxima, and none is a Gaussian
along the axes. So positions are drawn around all the maxima that are found, from
normals of the density's curvature there, and weighted by what the density really is.

Where the functions have a variational posterior q(u), as in the Bayesian model, the
density p(y_o | x) is replaced by exp <log p(y_o | x, u)>. This is the best q(x) of any
form, of which `transform` gives the best Gaussian along the axes. It trusts positions
at which the functions are known: on data that the model fits only roughly, entries
come back better, and with standard deviations as honest.
"""

import numpy as np

from gplvm._parallel import row_blocks
from gplvm._projection import (
    apart_starts,
    laplace_covariance,
    minimize_rows,
    nearest_rows,
)
from gplvm._validation import FAR_ROWS, checked_array, finite_or_refused
from gplvm.gradients.prediction import LOG_2_PI

# Maxima are looked for from so many of the nearest training rows that lie so far apart,
# in the spread of all, and only roughly: they are where draws are centred, no more.
_N_NEIGHBORS = 10
_N_STARTS = 4
_APART = 0.25
_TOLERANCE = 1e-5
_MAX_ITER = 60

# Draws around each maximum, at the curvature's own width and at twice that, so that no
# weight exceeds twice the dimension's power of what a Gaussian density would have.
_N_DRAWS = 64
_WIDTHS = (1.0, 2.0)

# Rows are completed so many at a time that their draws' predictions have at most about
# this many entries.
_BLOCK_ENTRIES = 2**22


class Imputation:
    """`impute` of the latent models; see `LatentModel` for what it relies on."""

    @finite_or_refused(FAR_ROWS)
    def impute(self, X, return_std=False):
        """Fill in missing entries.

        An entry is its mean given what is observed of its row, over all positions that
        the row may have: several places, and along curves, where `transform` has to
        decide for one. It is the estimate of least squared error, if the model is true,
        and its standard deviation the honest one. Both are sums over weighted draws of
        the position, from normals around the maxima of p(x | y), the same draws in each
        call.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Data rows, of the training data or new; NaN is missing. Observed entries
            stay as they are.

        return_std : bool, default=False
            Whether to return standard deviations too.

        Returns
        -------
        completed : ndarray of shape (n_rows, n_features)
            `X` with its missing entries filled in.

        std : ndarray of shape (n_rows, n_features)
            Standard deviation of what was filled in, noise included; 0 where `X` was
            observed. Only if `return_std`.

        Raises
        ------
        ValueError
            If a row has no observed entry, or is so far from the training data that
            its density underflows, or the number of features is wrong.

        See Also
        --------
        inverse_transform : Rows at one position each, or around it.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.datasets import load_iris
        >>> from gplvm import BayesianGPLVM
        >>> X = load_iris().data
        >>> model = BayesianGPLVM(2, n_inducing=15, random_state=0).fit(X[::2])
        >>> rows = X[1::50].copy()
        >>> rows[:, 3] = np.nan
        >>> completed, std = model.impute(rows, return_std=True)
        >>> bool(np.all(np.abs(completed - X[1::50])[:, 3] < 3 * std[:, 3]))
        True
        """
        Y, dtype = self._checked_rows(X)
        given = checked_array(
            X,
            accept_sparse="csr" if self._accepts_sparse() else False,
            dtype=dtype,
            ensure_all_finite="allow-nan",
        )
        completed = given.toarray() if hasattr(given, "toarray") else given.copy()
        std = np.zeros(completed.shape, dtype)
        missing = np.isnan(Y)
        rows = np.flatnonzero(missing.any(axis=1))
        if rows.size:
            mean, variance = self._predict_missing(Y[rows])
            holes = missing[rows]
            completed[missing] = (mean + self._mean)[holes]
            std[missing] = np.sqrt(variance[holes])
        return (completed, std) if return_std else completed

    def _predict_missing(self, Y):
        maxima, covariances = row_maxima(
            self._log_posterior,
            Y,
            training=self._training_rows,
            positions=self._training_positions(),
            spread=self._spread(),
        )
        return moments_over_positions(
            self._posterior.predict,
            self._log_density_of_positions,
            Y,
            maxima,
            covariances,
            noise_variance=self._noise_beside_expectations(),
        )

    def _noise_beside_expectations(self):
        """The noise variance, if `_log_posterior` is an expectation over functions."""
        return

    def _training_positions(self):
        """Positions of `_training_rows`."""
        return self._embedding


def row_maxima(log_density, Y, *, training, positions, spread):
    """Maxima of each row's density of positions, and what its curvature says there.

    Parameters
    ----------
    log_density : callable
        ``log_density(X, Y) -> (values (B,), gradients (B, q))``, row by row.

    Y : ndarray of shape (n_rows, n_features)
        Data rows, centred, with NaN where they are missing.

    training : ndarray or CentredSparse of shape (n_samples, n_features)
        The training rows, centred.

    positions : ndarray of shape (n_samples, q)
        Their positions.

    spread : float
        Standard deviation of all positions, the unit of latent space.

    Returns
    -------
    maxima : ndarray of shape (n_rows, n_starts, q)
        Ends of the walks from several places, some of which may be the same.

    covariances : ndarray of shape (n_rows, n_starts, q, q)
    """
    neighbors = nearest_rows(Y, training, min(_N_NEIGHBORS, len(training)))
    candidates = positions[neighbors]
    n_rows, n_neighbors, q = candidates.shape
    values, _ = log_density(
        candidates.reshape(-1, q), np.repeat(Y, n_neighbors, axis=0)
    )
    starts = apart_starts(
        candidates,
        values.reshape(n_rows, n_neighbors),
        n_starts=_N_STARTS,
        distance=_APART * spread,
    )
    Y = np.repeat(Y, starts.shape[1], axis=0)

    def negative(X, active):
        value, gradient = log_density(X, Y[active])
        return -value, -gradient

    maxima, _ = minimize_rows(
        negative,
        starts.reshape(-1, q),
        first_step=0.02 * spread,
        max_iter=_MAX_ITER,
        tol=_TOLERANCE,
    )
    covariances = laplace_covariance(log_density, maxima, Y, spread=spread)
    return maxima.reshape(starts.shape), covariances.reshape(*starts.shape, q)


def moments_over_positions(
    predict, log_prior, Y, maxima, covariances, *, noise_variance=None
):
    """Mean and variance of rows' entries given those that are observed.

    Parameters
    ----------
    predict : callable
        ``predict(X) -> mean (B, D), variance (B,) or (B, D)`` at positions (B, q),
        noise included.

    log_prior : callable
        ``log_prior(X) -> (B,)``, the log density of positions.

    Y : ndarray of shape (n_rows, n_features)
        Data rows, centred, with NaN where they are missing.

    maxima, covariances
        From `row_maxima`.

    noise_variance : float, default=None
        None: positions are weighted by p(y_o | x). Given, by exp <log p(y_o | x, u)>,
        the noise being that much of the predicted variance.

    Returns
    -------
    mean, variance : ndarray of shape (n_rows, n_features)
    """
    q = maxima.shape[2]
    # Pairs of opposite draws: of a linear function their mean is exact.
    half = np.random.RandomState(0).normal(size=(_N_DRAWS // 2, q))
    normals = np.concatenate([w * np.vstack([half, -half]) for w in _WIDTHS])
    n_draws = maxima.shape[1] * len(normals)
    mean, variance = np.empty((2, *Y.shape))
    size = max(1, _BLOCK_ENTRIES // (n_draws * Y.shape[1]))
    for rows in row_blocks(len(Y), size):
        draws, log_proposal = _draw(maxima[rows], covariances[rows], normals)
        shape = (len(draws), n_draws, -1)
        flat = draws.reshape(-1, q)
        means, variances = (np.reshape(a, shape) for a in predict(flat))
        # w ~ p(y_o | x) p(x) / proposal(x), and by the law of total variance
        # var y = <s^2(x) + m(x)^2> - <m(x)>^2.
        log_weights = _log_density(Y[rows], means, variances, noise_variance)
        log_weights -= log_proposal
        log_weights += np.reshape(log_prior(flat), shape[:2])
        weights = np.exp(log_weights - log_weights.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        average = np.einsum("nt,ntd->nd", weights, means)
        means -= average[:, None]
        mean[rows] = average
        variance[rows] = np.einsum("nt,ntd->nd", weights, means**2 + variances)
    return mean, variance


def _draw(maxima, covariances, normals):
    """Positions (n, T, q) drawn around each row's maxima, and their density (n, T).

    The density is that of the mixture of all the normals that a row's draws come from,
    up to a constant.
    """
    n, n_maxima, q = maxima.shape
    precision_axes = np.linalg.eigh(covariances)
    scale = np.sqrt(np.maximum(precision_axes[0], np.finfo(float).tiny))
    axes = precision_axes[1]
    steps = (scale[:, :, None] * normals) @ axes.transpose(0, 1, 3, 2)
    draws = (maxima[:, :, None] + steps).reshape(n, -1, q)
    parts = []
    for k in range(n_maxima):
        whitened = ((draws - maxima[:, k, None]) @ axes[:, k]) / scale[:, k, None]
        squares = np.einsum("ntq,ntq->nt", whitened, whitened)
        volume = np.log(scale[:, k]).sum(axis=1, keepdims=True)
        parts += [
            -0.5 * squares / width**2 - volume - q * np.log(width) for width in _WIDTHS
        ]
    return draws, np.logaddexp.reduce(parts)


def _log_density(Y, means, variances, noise_variance):
    """log p(y_o | x) (n, T) of rows (n, D) at their draws' moments (n, T, D).

    With a noise variance, its expectation where the rest is the functions' variance.
    """
    residual = Y[:, None] - means
    observed = ~np.isnan(Y)[:, None]
    squares = np.where(observed, residual, 0.0) ** 2
    if noise_variance is not None:
        squares += observed * (variances - noise_variance)
        variances = np.full(1, noise_variance)
    terms = squares / variances + observed * (LOG_2_PI + np.log(variances))
    return -0.5 * terms.sum(axis=2)
