"""Rows' positions under known functions: a row's own bound, and the step up it.

A position is q(x_n) = N(mu_n, diag S_n).

References
----------
.. [1] V. Lalchand, A. Ravuri and N. D. Lawrence, "Generalised GPLVM with Stochastic
   Variational Inference", AISTATS 2022.
.. [2] M. E. Khan and H. Rue, "The Bayesian Learning Rule", JMLR 24, 2023.
"""

import numpy as np

from gplvm.gradients.inducing import LOG_2_PI


def expected_fit(
    psi0, psi1, psi2, projected, y_squared, quadratic, noise_variance, *, n_features
):
    """<log p(y_n | x_n, v)> of rows' observed entries, v being as q has it.

    Parameters
    ----------
    psi0, psi1, psi2 : ndarray of shape (B,), (B, n_inducing) and (B, P)
        Expected covariances of the rows, the last as packed lower triangles.

    projected : ndarray of shape (B, n_inducing)
        ``Y W'``, the rows, 0 where they are missing, with the weights W of the
        predictions ``k W``.

    y_squared : ndarray of shape (B,)
        Squared norms of the rows.

    quadratic : ndarray of shape (P,) or (B, P)
        W W' - D C'C over the observed features, packed so that its product with `psi2`
        is a trace; one for each row, or for all.

    noise_variance : float
        Variance of the noise.

    n_features : int or ndarray of shape (B,)
        D, the number of observed features.

    Returns
    -------
    value : ndarray of shape (B,)
        In nats.

    dpsi0, dpsi1, dpsi2 : ndarray
        Its gradients, the last of the shape of `quadratic`.
    """
    # -(D log(2 pi s2) + (|y|^2 - 2 psi1 W y + tr((W W' - D C'C) psi2) + D psi0) / s2)/2
    # with <f_d^2> = psi0 + tr((W_d W_d' - C'C) psi2).
    misfit = y_squared - 2.0 * np.einsum("bm,bm->b", psi1, projected)
    if quadratic.ndim == 1:
        misfit += psi2 @ quadratic
    else:
        misfit += np.einsum("bp,bp->b", psi2, quadratic)
    misfit += n_features * psi0
    constant = n_features * (LOG_2_PI + np.log(noise_variance))
    value = -0.5 * (constant + misfit / noise_variance)
    scale = -0.5 / noise_variance
    dpsi0 = np.broadcast_to(scale * n_features, psi0.shape)
    return value, dpsi0, projected / noise_variance, scale * quadratic


def position_step(mu, S, dmu, dS, rate, *, limit=4.0):
    """A step along the natural gradient of positions q(x_n) = N(mu_n, diag S_n).

    Parameters
    ----------
    mu, S : ndarray of shape (B, q)
        Means and variances.

    dmu, dS : ndarray of shape (B, q)
        Gradients of the bound, the divergence included.

    rate : ndarray of shape (B,)
        Length of each row's step; with 1 it is Newton's for a diagonal curvature.

    limit : float, default=4.0
        Factor by which a variance changes at most.

    Returns
    -------
    mu, S : ndarray of shape (B, q)
        The new ones.
    """
    # The natural parameters are (mu / S, -1 / (2 S)), and the gradients with respect to
    # the expectations dF/dmu - 2 mu dF/dS and dF/dS: 1/S+ = 1/S - 2 r dF/dS and
    # mu+ / S+ = mu / S + r (dF/dmu - 2 mu dF/dS), so mu+ = mu + r S+ dF/dmu. Where the
    # bound bends upwards 1/S+ may be negative; the limit keeps it away from that.
    rate = rate[:, None]
    factor = np.clip(1.0 - 2.0 * rate * dS * S, 1.0 / limit, limit)
    S = S / factor
    return mu + rate * S * dmu, S
