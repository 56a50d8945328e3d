"""The linear GP-LVM in the eigenbasis of the data: no array as long as the data.

Notation and derivations as in `gradients.gaussian_process`.
"""

import numpy as np

from gplvm import _linalg
from gplvm.gradients.gaussian_process import LOG_2_PI


def spectral_gplvm_log_likelihood(
    V, eigenvalues, alpha, beta, *, n_samples, n_features, eval_gradient=False
):
    """`gplvm_log_likelihood` for latent positions in the column space of the data.

    With ``Y Y' = U diag(eigenvalues) U'`` and ``X = U V`` the likelihood needs neither
    `X` nor `Y`: an evaluation costs O(r q^2), r = rank(Y) <= min(N, D).

    Parameters
    ----------
    V : ndarray of shape (r, n_components)
        Latent positions in the basis U.

    eigenvalues : ndarray of shape (r,)
        The non-zero eigenvalues of Y Y'.

    alpha, beta : float
        Signal variance and noise precision, positive.

    n_samples, n_features : int
        N and D.

    eval_gradient : bool, default=False
        Whether to return the gradient with respect to V, alpha and beta too.

    Returns
    -------
    value : float
        L, in nats.

    gradient : dict of str to ndarray or float
        ``"V"`` (r, n_components), ``"alpha"``, ``"beta"``. Only if `eval_gradient`.
    """
    # U'U = I, so S = X'X = V'V and T = X'Y Y'X = V' diag(eigenvalues) V, and with
    # A = I / (alpha beta) + S:  L = -(N D / 2) log 2 pi + (N D / 2) log beta
    #   - (D/2) log|I + alpha beta S| - tr(K^-1 Y Y') / 2.
    weighted = eigenvalues[:, None] * V
    S, T = V.T @ V, V.T @ weighted
    L = _linalg.cholesky(np.eye(V.shape[1]) + alpha * beta * S)
    A_inv = alpha * beta * _linalg.solve(L, np.eye(V.shape[1]))
    E_squared, M_squared = _spectral_misfit(V, eigenvalues, A_inv, alpha * beta)
    value = -0.5 * (
        n_samples * n_features * (LOG_2_PI - np.log(beta))
        + n_features * _linalg.log_determinant(L)
        + beta * E_squared
        + M_squared / alpha
    )
    if not eval_gradient:
        return float(value)
    # dL/dS = -(D A^-1 + beta A^-1 T A^-1) / 2 and dL/dT = (beta/2) A^-1 are
    # symmetric, hence dL/dV = 2 V dL/dS + 2 diag(eigenvalues) V dL/dT. The scalars
    # are those of `gplvm_log_determinant_term` and `gplvm_trace_term`.
    A_inv_T_A_inv = A_inv @ T @ A_inv
    trace_S = np.trace(A_inv @ S)
    gradient = {
        "V": beta * (weighted @ A_inv)
        - V @ (n_features * A_inv + beta * A_inv_T_A_inv),
        "alpha": float(0.5 * (M_squared / alpha - n_features * trace_S) / alpha),
        "beta": float(0.5 * (n_features * (n_samples - trace_S) / beta - E_squared)),
    }
    return float(value), gradient


def _spectral_misfit(V, eigenvalues, A_inv, alpha_beta):
    """|E|^2 and |M|^2 of `gplvm_trace_term`, where Y is diag(sqrt(eigenvalues)).

    E_j = sqrt(lambda_j) (e_j - V A^-1 v_j) for the coordinate j, e_j its unit vector.
    """
    V_A_inv = V @ A_inv
    # |M_j|^2 / (alpha beta) + |E_j|^2 = lambda_j (1 - v_j A^-1 v_j'): the difference
    # cancels where the model explains a direction, that is for large eigenvalues.
    # Those are computed as sums of squares, in O(r q) each.
    M_squared = eigenvalues * np.einsum("rq,rq->r", V_A_inv, V_A_inv)
    leverage = np.einsum("rq,rq->r", V_A_inv, V)
    E_squared = eigenvalues * (1.0 - leverage) - M_squared / alpha_beta
    largest = slice(0, 2 * V.shape[1] + 8)
    residual = V @ V_A_inv[largest].T
    residual[np.arange(residual.shape[1]), np.arange(residual.shape[1])] -= 1.0
    E_squared[largest] = eigenvalues[largest] * (residual**2).sum(axis=0)
    return float(E_squared.sum()), float(M_squared.sum())


def spectral_gplvm_optimum(
    V, eigenvalues, alpha, *, n_samples, n_features, noise_variance=None
):
    """The latent positions of highest likelihood in the span of given ones.

    Parameters
    ----------
    V : ndarray of shape (r, n_components)
        Latent positions in the basis of the data's column space.

    eigenvalues : ndarray of shape (r,)
        The non-zero eigenvalues of Y Y'.

    alpha : float
        Signal variance, positive.

    n_samples, n_features : int
        N and D.

    noise_variance : float, default=None
        1 / beta, where it is given; None: it is optimised too.

    Returns
    -------
    V : ndarray of shape (r, n_components)
        Positions with the span of the given ones.

    noise_variance : float
        1 / beta.
    """
    # With V = Q W for an orthonormal Q, the likelihood is that of data with the
    # outer product Q' diag(eigenvalues) Q = R diag(D mu) R', and the rest of Y Y' is
    # noise: Lawrence's (2005) closed form, W = R ((mu - 1/beta) / alpha)^(1/2), 1/beta
    # the mean of what the N - q other directions hold.
    Q, _ = np.linalg.qr(V)
    q = Q.shape[1]  # fewer than the columns of V where the data have a lower rank
    mu, R = np.linalg.eigh(Q.T @ (eigenvalues[:, None] * Q) / n_features)
    if noise_variance is None:
        rest = max(eigenvalues.sum() / n_features - mu.sum(), 0.0)
        noise_variance = rest / max(n_samples - q, 1)
    # A direction with less than the noise has its optimum at zero, a saddle from which
    # no gradient leads away: it keeps a little.
    signal = np.maximum(mu - noise_variance, 1e-3 * noise_variance)
    signal = np.maximum(signal, np.finfo(float).tiny)
    optimum = np.zeros(V.shape)
    optimum[:, :q] = (Q @ R) * np.sqrt(signal / alpha)
    return optimum, float(noise_variance)
