"""The Gaussian predictive density of a data row, as a function of its latent position.

Given a row's covariances `k` (M,) with the model's inputs and its own variance
``k(x, x)``, the prediction is ``m = k W``, ``s^2 = k(x, x) - |C k'|^2 + noise``. The
exact model has ``W = K^-1 Y`` and ``C'C = K^-1``; sparse and low-rank ones have their
own `W` and `C` of the same form.
"""

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import logsumexp

from gplvm._parallel import row_blocks

LOG_2_PI = np.log(2.0 * np.pi)


def predictive_moments(k, k_diagonal, W, C, noise_variance):
    """Mean (B, D) and variance (B,) of B data rows, noise included."""
    mean = k @ W
    whitened = k @ C.T
    variance = k_diagonal - np.einsum("bm,bm->b", whitened, whitened)
    # Rounding can take a variance of zero below zero; noise is its floor.
    return mean, np.maximum(variance, 0.0) + noise_variance


def predictive_log_density(k, k_diagonal, Y, W, C, noise_variance):
    """``log N(y | m, s^2 I)`` over the observed entries of each row, and gradients.

    Parameters
    ----------
    k : ndarray of shape (B, M)
        Covariances of the rows' latent positions with the model's inputs.

    k_diagonal : ndarray of shape (B,)
        Variances of the latent functions at those positions.

    Y : ndarray of shape (B, D)
        Data rows, centred; NaN marks an entry that was not observed.

    W : ndarray of shape (M, D)
        Weights of the mean.

    C : ndarray of shape (M, M)
        Root of the variance's reduction.

    noise_variance : float
        Variance of the noise.

    Returns
    -------
    log_density : ndarray of shape (B,)

    dk : ndarray of shape (B, M)
        Gradient with respect to `k`, row by row.

    dk_diagonal : ndarray of shape (B,)
        Gradient with respect to `k_diagonal`.
    """
    whitened = k @ C.T
    reduced = k_diagonal - np.einsum("bm,bm->b", whitened, whitened)
    variance = np.maximum(reduced, 0.0) + noise_variance
    residual = Y - k @ W
    missing = np.isnan(Y)
    residual[missing] = 0.0
    n_observed = Y.shape[1] - missing.sum(axis=1)
    squared = np.einsum("bd,bd->b", residual, residual)
    log_density = -0.5 * (
        n_observed * (LOG_2_PI + np.log(variance)) + squared / variance
    )
    # With D observed entries, log p = -(D/2) log 2 pi s^2 - |r|^2 / (2 s^2): its
    # derivative by s^2 is (|r|^2 / s^2 - D) / (2 s^2), by the mean r / s^2; and
    # dm/dk = W', ds^2/dk = -2 C'C k', ds^2/dk(x, x) = 1.
    d_variance = 0.5 * (squared / variance - n_observed) / variance
    d_variance[reduced < 0.0] = 0.0
    dk = (residual / variance[:, None]) @ W.T - (
        2.0 * d_variance[:, None] * whitened
    ) @ C
    return log_density, dk, d_variance


def standard_normal(X):
    """``log N(x | 0, I)`` of each row (B,), and its gradient -x (B, q)."""
    return -0.5 * (X.shape[1] * LOG_2_PI + np.einsum("bq,bq->b", X, X)), -X


def cloud_log_density(X, centres, step):
    """Log density (B,) at the rows of `X` of equal normals around `centres` (N, q).

    ``p(x) = sum_n N(x | c_n, step^2 I) / N``.
    """
    n_centres, n_components = centres.shape
    log_density = np.empty(len(X))
    for rows in row_blocks(len(X)):
        squares = cdist(X[rows], centres, "sqeuclidean")
        log_density[rows] = logsumexp(-0.5 * squares / step**2, axis=1)
    volume = 0.5 * n_components * (LOG_2_PI + 2.0 * np.log(step))
    return log_density - np.log(n_centres) - volume
