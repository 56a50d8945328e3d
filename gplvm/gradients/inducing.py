"""The collapsed variational bound of the sparse and the Bayesian GP-LVM.

M inducing variables u with covariance Kuu stand between the latent functions f and
the data. With q(u) at its optimum the bound on log p(Y) depends on the N rows only
through sums over rows: ``psi0 = sum_n <k(x_n, x_n)>``, ``P = Psi1' Y``,
``Psi2 = sum_n <k(Z, x_n) k(x_n, Z)>`` and ``|Y|^2``, where <.> is the expectation over
the positions, or nothing where they are points. What is summed, and how, is known to
the callers; here is what follows from the sums, in O(M^3 + M^2 r).

A change of basis u -> R u turns (P, Psi2, Kuu) into (R P, R Psi2 R', R Kuu R') and
leaves the bound as it is. Everything is computed where R Kuu R' = I.

References
----------
.. [1] M. K. Titsias, "Variational Learning of Inducing Variables in Sparse Gaussian
   Processes", AISTATS 2009.
.. [2] M. K. Titsias and N. D. Lawrence, "Bayesian Gaussian Process Latent Variable
   Model", AISTATS 2010.
"""

import numpy as np

from gplvm import _linalg
from gplvm._validation import NOT_OF_ORDER_ONE, finite_or_refused, takes_arrays

LOG_2_PI = np.log(2.0 * np.pi)


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(P=2, Psi2=2, Kuu=2, psi0=0, y_squared=0, noise_variance=0)
@takes_arrays(n_samples=0, n_features=0, jitter=0)
def collapsed_bound(
    psi0,
    P,
    Psi2,
    Kuu,
    y_squared,
    noise_variance,
    *,
    n_samples,
    n_features,
    jitter=1e-6,
    eval_gradient=False,
):
    """Collapsed variational bound on log p(Y), from sums over the rows.

    With ``s2 = noise_variance`` and ``Sigma = Kuu + Psi2 / s2``::

        F = -(N D / 2) log(2 pi s2) + (D / 2) (log |Kuu| - log |Sigma|)
            - |Y|^2 / (2 s2) + tr(P' Sigma^-1 P) / (2 s2^2)
            - (D / (2 s2)) (psi0 - tr(Kuu^-1 Psi2))

    Parameters
    ----------
    psi0 : float
        Sum over the rows of the latent functions' (expected) variance k(x_n, x_n).

    P : array-like of shape (n_inducing, r)
        Psi1' Y, with Psi1 (n_samples, n_inducing) the (expected) covariances k(x_n, Z).
        A factor F (n_samples, r) with F F' = Y Y' may stand for the data.

    Psi2 : array-like of shape (n_inducing, n_inducing)
        Sum over the rows of the (expected) products k(Z, x_n) k(x_n, Z).

    Kuu : array-like of shape (n_inducing, n_inducing)
        Covariance of the inducing variables, symmetric, without noise.

    y_squared : float
        Sum of the squares of the data.

    noise_variance : float
        Variance of the noise, positive.

    n_samples, n_features : int
        N and D.

    jitter : float, default=1e-6
        What is added to the diagonal of `Kuu`, relative to its mean; part of the
        model, and of the gradient. The inducing variables then have a little noise
        of their own, so F remains a bound, if a slightly lower one. A smaller
        jitter costs digits: the rounding of `Psi2` is divided by it.

    eval_gradient : bool, default=False
        Whether to return the gradient too.

    Returns
    -------
    value : float
        F, in nats.

    gradient : dict of str to ndarray or float
        ``"psi0"``, ``"P"``, ``"Psi2"``, ``"Kuu"`` and ``"noise_variance"``, of their
        shapes, the entries of the symmetric ones taken as independent. Only if
        `eval_gradient`.

    Raises
    ------
    ValueError
        If the shapes do not fit, `noise_variance` is not positive, or the result is not
        finite.

    numpy.linalg.LinAlgError
        If `Kuu` is not positive definite, even with jitter.

    See Also
    --------
    gp_log_likelihood : What is bounded, where positions are points.

    References
    ----------
    M. K. Titsias, "Variational Learning of Inducing Variables in Sparse Gaussian
    Processes", AISTATS 2009, equation 9.

    M. K. Titsias and N. D. Lawrence, "Bayesian Gaussian Process Latent Variable
    Model", AISTATS 2010, equation 14 and the appendix: the same with expectations.

    Examples
    --------
    With the inducing inputs at the rows' positions, the bound is the likelihood:

    >>> import numpy as np
    >>> from gplvm.gradients import gp_log_likelihood
    >>> from gplvm.gradients.inducing import collapsed_bound
    >>> rng = np.random.default_rng(0)
    >>> Y, x = rng.normal(size=(6, 3)), np.arange(6.0)
    >>> K = np.exp(-0.5 * (x[:, None] - x) ** 2)
    >>> bound = collapsed_bound(
    ...     np.trace(K), K @ Y, K @ K, K, np.vdot(Y, Y), 0.1, n_samples=6, n_features=3
    ... )
    >>> exact = gp_log_likelihood(K + 0.1 * np.eye(6), Y)
    >>> bool(bound <= exact and np.isclose(bound, exact, rtol=1e-5))
    True
    """
    P, Psi2, Kuu = (np.asarray(array, dtype=float) for array in (P, Psi2, Kuu))
    n_inducing = len(Kuu)
    square = (n_inducing, n_inducing)
    if Kuu.shape != square or Psi2.shape != square or P.shape[:1] != square[:1]:
        raise ValueError(
            f"P, Psi2 and Kuu have shapes {P.shape}, {Psi2.shape} and {Kuu.shape}, "
            "expected (n_inducing, r) and twice (n_inducing, n_inducing)"
        )
    if not noise_variance > 0:
        raise ValueError(f"noise_variance must be positive, got {noise_variance!r}")
    R = whitening(Kuu, jitter)
    value, gradient = whitened_bound(
        psi0,
        R @ P,
        R @ Psi2 @ R.T,
        y_squared,
        noise_variance,
        n_samples=n_samples,
        n_features=n_features,
    )
    return (value, pull_whitening(R, gradient, jitter)) if eval_gradient else value


def whitening(Kuu, jitter):
    """R with ``R (Kuu + j I) R' = I``, j being `jitter` times the mean diagonal.

    It is the inverse of the Cholesky factor: products with it run on threads, where
    scipy's triangular solves would hold the interpreter's lock.
    """
    K = Kuu.copy()
    K.flat[:: len(K) + 1] += jitter * np.trace(K) / len(K)
    return _linalg.inverse_factor(_linalg.cholesky(K))


def whitened_bound(psi0, P, Psi2, y_squared, noise_variance, *, n_samples, n_features):
    """`collapsed_bound` in the basis where Kuu is the identity.

    Parameters
    ----------
    psi0, P, Psi2, y_squared, noise_variance, n_samples, n_features
        As in `collapsed_bound`, with ``R P`` for P and ``R Psi2 R'`` for Psi2.

    Returns
    -------
    value : float
        F, in nats.

    gradient : dict of str to ndarray or float
        As in `collapsed_bound`, with respect to the whitened arguments; ``"Kuu"`` is
        the one at the identity. `pull_whitening` leads back.
    """
    # With Kuu = I, B = Sigma = I + Psi2 / s2 and c = B^-1 P / s2,
    # F = -(N D / 2) log(2 pi s2) - (D/2) log|B| - misfit / (2 s2),
    # misfit = |Y|^2 - tr(P'c) + D (psi0 - tr Psi2).
    identity = np.eye(len(Psi2))
    B = Psi2 / noise_variance + identity
    L = _linalg.cholesky(B)
    root = _linalg.inverse_factor(L)
    B_inv = root.T @ root
    c = root.T @ (root @ P) / noise_variance
    misfit = y_squared - np.vdot(P, c) + n_features * (psi0 - np.trace(Psi2))
    value = -0.5 * (
        n_samples * n_features * (LOG_2_PI + np.log(noise_variance))
        + n_features * _linalg.log_determinant(L)
        + misfit / noise_variance
    )
    # d log|B| = tr(B^-1 dB) and d tr(P'B^-1 P) = 2 tr(s2 c'dP) - s2^2 tr(c c'dB):
    # G = dF/dPsi2 = (D (I - B^-1) - c c') / (2 s2). Kuu stands in Sigma as Psi2 / s2
    # does, and D log|Kuu| / 2 and D tr(Kuu^-1 Psi2) / (2 s2) vary too, which makes
    # dF/dKuu = s2 G - D Psi2 / (2 s2).
    # For s2: dB/ds2 = (I - B) / s2, and c'B c = c'P / s2.
    G = (n_features * (identity - B_inv) - c @ c.T) / (2.0 * noise_variance)
    of_noise = 0.5 * (misfit / noise_variance - n_samples * n_features) / noise_variance
    gradient = {
        "psi0": -0.5 * n_features / noise_variance,
        "P": c / noise_variance,
        "Psi2": G,
        "Kuu": noise_variance * G - (0.5 * n_features / noise_variance) * Psi2,
        "noise_variance": of_noise + np.trace(G),
    }
    return float(value), gradient


def pull_whitening(R, gradient, jitter):
    """Gradients with respect to P, Psi2 and Kuu from those of the whitened ones.

    Parameters
    ----------
    R : ndarray of shape (n_inducing, n_inducing)
        From ``whitening(Kuu, jitter)``.

    gradient : dict
        From `whitened_bound`.

    jitter : float
        That of `R`.

    Returns
    -------
    gradient : dict
        That of `collapsed_bound`.
    """
    # F(P, Psi2, Kuu) = F(R P, R Psi2 R', R Kuu R') for a constant R: a matrix's
    # gradient G goes back as R'G, or R'G R.
    return {
        **gradient,
        "P": R.T @ gradient["P"],
        "Psi2": R.T @ gradient["Psi2"] @ R,
        "Kuu": pull_kuu(R, gradient["Kuu"], jitter),
    }


def pull_kuu(R, G, jitter):
    """The gradient with respect to Kuu alone, from that of the whitened one.

    Parameters
    ----------
    R, jitter
        As in `pull_whitening`.

    G : ndarray of shape (n_inducing, n_inducing)
        The gradient ``"Kuu"`` of `whitened_bound`.

    Returns
    -------
    gradient : ndarray of shape (n_inducing, n_inducing)
    """
    # The jitter j tr(Kuu) / M on the diagonal adds j tr(R'G R) / M there.
    Kuu = R.T @ G @ R
    Kuu.flat[:: len(R) + 1] += jitter * np.trace(Kuu) / len(R)
    return Kuu


def inducing_posterior(R, P, Psi2, noise_variance):
    """Weights W and root C of the predictions ``k W`` and ``k(x, x) - |C k'|^2``.

    Parameters
    ----------
    R : ndarray of shape (n_inducing, n_inducing)
        From `whitening`.

    P : ndarray of shape (n_inducing, n_features)
        ``R Psi1' Y``.

    Psi2 : ndarray of shape (n_inducing, n_inducing)
        ``R Psi2 R'``.

    noise_variance : float
        Variance of the noise.

    Returns
    -------
    weights : ndarray of shape (n_inducing, n_features)
        Sigma^-1 Psi1'Y / s2.

    root : ndarray of shape (n_inducing, n_inducing)
        C with C'C = Kuu^-1 - Sigma^-1.
    """
    # Sigma = R^-1 B R^-T, so W = R'B^-1 P / s2 and Kuu^-1 - Sigma^-1 = R'(I - B^-1) R
    # with B = I + Psi2 / s2 = V diag(1 + e) V': C = diag(e / (1 + e))^(1/2) V'R.
    e, V = np.linalg.eigh(Psi2 / noise_variance)
    e = np.maximum(e, 0.0)
    weights = R.T @ (V @ ((V.T @ P) / (1.0 + e)[:, None])) / noise_variance
    return weights, np.sqrt(e / (1.0 + e))[:, None] * (V.T @ R)


def standard_normal_divergence(mu, S):
    """KL(N(mu, diag S) || N(0, I)) of each row (B,), and its gradients (B, q).

    Parameters
    ----------
    mu, S : ndarray of shape (B, q)
        Means and variances.

    Returns
    -------
    divergence : ndarray of shape (B,)
        In nats; infinite where a variance is zero.

    dmu, dS : ndarray of shape (B, q)
        Its gradients.
    """
    # KL = sum_q (mu^2 + S - 1 - log S) / 2.
    with np.errstate(divide="ignore"):
        terms = S - np.log(S)
        terms += mu * mu
        divergence = 0.5 * (terms @ np.ones(mu.shape[1]) - mu.shape[1])
        return divergence, mu, 0.5 - 0.5 / S
