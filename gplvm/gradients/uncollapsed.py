"""The uncollapsed variational bound of the Bayesian GP-LVM, for batches of rows.

The inducing variables keep a posterior q of their own instead of being integrated out,
and the bound becomes a sum over rows: a batch of them, weighed up, gives it and its
gradient without bias. Everything is in the basis v = R u where R Kuu R' = I: there the
prior is N(0, I) whatever the kernel, so a posterior of v stays a good one while
hyperparameters and inducing inputs move. Each feature has q(v_d) = N(m_d, A), and one A
serves all of them, since they share the rows' statistics.

References
----------
.. [1] J. Hensman, N. Fusi and N. D. Lawrence, "Gaussian Processes for Big Data", UAI
   2013.
.. [2] V. Lalchand, A. Ravuri and N. D. Lawrence, "Generalised GPLVM with Stochastic
   Variational Inference", AISTATS 2022.
"""

import numpy as np

from gplvm import _linalg
from gplvm._validation import NOT_OF_ORDER_ONE, finite_or_refused, takes_arrays
from gplvm.gradients.inducing import LOG_2_PI, whitening


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(P=2, Psi2=2, Kuu=2, mean=2, covariance=2, psi0=0, y_squared=0)
@takes_arrays(noise_variance=0, n_samples=0, share=0, jitter=0)
def uncollapsed_bound(
    psi0,
    P,
    Psi2,
    Kuu,
    y_squared,
    noise_variance,
    mean,
    covariance,
    *,
    n_samples,
    share=1.0,
    jitter=1e-6,
    eval_gradient=False,
):
    """Uncollapsed variational bound of some rows, from sums over them.

    With q(v_d) = N(m_d, A) for each of the D features, v = R u, R Kuu R' = I, and
    P = Psi1'Y and Psi2 in that basis::

        F = -(N D / 2) log(2 pi s2) - (|Y|^2 - 2 tr(m'P) + tr(m m' Psi2)) / (2 s2)
            - (D / (2 s2)) (psi0 - tr Psi2 + tr(A Psi2)) - share KL(q(v) || N(0, I))

    Over all rows, and at the best q, it is `collapsed_bound`. Batches that are a
    partition of the rows, each with its share of them, add up to the bound of all.

    Parameters
    ----------
    psi0 : float
        Sum over the rows of the latent functions' expected variance.

    P : array-like of shape (n_inducing, n_features)
        Psi1' Y.

    Psi2 : array-like of shape (n_inducing, n_inducing)
        Sum over the rows of the expected products k(Z, x_n) k(x_n, Z).

    Kuu : array-like of shape (n_inducing, n_inducing)
        Covariance of the inducing variables, symmetric, without noise.

    y_squared : float
        Sum of the squares of the rows' data.

    noise_variance : float
        Variance of the noise s2, positive.

    mean : array-like of shape (n_inducing, n_features)
        Means m of q(v).

    covariance : array-like of shape (n_inducing, n_inducing)
        Covariance A of each of its columns, positive definite.

    n_samples : int
        Number of rows N that were summed over.

    share : float, default=1.0
        How much of the divergence these rows answer for: their share of all rows.

    jitter : float, default=1e-6
        What is added to the diagonal of `Kuu`, relative to its mean, as in
        `collapsed_bound`.

    eval_gradient : bool, default=False
        Whether to return the gradient too.

    Returns
    -------
    value : float
        F, in nats.

    gradient : dict of str to ndarray or float
        ``"psi0"``, ``"P"``, ``"Psi2"``, ``"Kuu"``, ``"noise_variance"``, ``"mean"`` and
        ``"covariance"``, of their shapes, that of Kuu symmetric and the entries of the
        others taken as independent. Only if `eval_gradient`.

    Raises
    ------
    ValueError
        If the shapes do not fit, `noise_variance` is not positive, or the result is not
        finite.

    numpy.linalg.LinAlgError
        If `Kuu` or `covariance` is not positive definite, even with jitter.

    See Also
    --------
    collapsed_bound : The bound at the best q, for all rows at once.

    References
    ----------
    J. Hensman, N. Fusi and N. D. Lawrence, "Gaussian Processes for Big Data", UAI
    2013, equation 4.

    Examples
    --------
    Without any rows it is the divergence, which is zero at the prior:

    >>> import numpy as np
    >>> from gplvm.gradients import uncollapsed_bound
    >>> zero, identity = np.zeros((2, 3)), np.eye(2)
    >>> nothing = (0.0, zero, 0.0 * identity, identity, 0.0, 0.1)
    >>> uncollapsed_bound(*nothing, zero, identity, n_samples=0) == 0.0
    True
    >>> uncollapsed_bound(*nothing, zero + 1.0, identity, n_samples=0)
    -3.0
    """
    P, Psi2, Kuu, mean, covariance = (
        np.asarray(array, dtype=float) for array in (P, Psi2, Kuu, mean, covariance)
    )
    square = (len(Kuu), len(Kuu))
    shapes = {array.shape for array in (Kuu, Psi2, covariance)}
    if shapes != {square} or P.shape != mean.shape or P.shape[:1] != square[:1]:
        raise ValueError(
            f"P and mean have shapes {P.shape} and {mean.shape}, expected twice "
            f"(n_inducing, n_features); Psi2, Kuu and covariance have {Psi2.shape}, "
            f"{Kuu.shape} and {covariance.shape}, expected (n_inducing, n_inducing)"
        )
    if not noise_variance > 0:
        raise ValueError(f"noise_variance must be positive, got {noise_variance!r}")
    R = whitening(Kuu, jitter)
    P, Psi2 = R @ P, R @ Psi2 @ R.T
    value, gradient = whitened_uncollapsed_bound(
        psi0,
        P,
        Psi2,
        y_squared,
        noise_variance,
        mean,
        covariance,
        n_samples=n_samples,
        share=share,
    )
    if not eval_gradient:
        return value
    return value, pull_whitened_statistics(R, P, Psi2, gradient, jitter)


def whitened_uncollapsed_bound(
    psi0, P, Psi2, y_squared, noise_variance, mean, covariance, *, n_samples, share
):
    """`uncollapsed_bound` in the basis where Kuu is the identity.

    Parameters
    ----------
    psi0, P, Psi2, y_squared, noise_variance, mean, covariance, n_samples, share
        As in `uncollapsed_bound`, with ``R P`` for P and ``R Psi2 R'`` for Psi2.

    Returns
    -------
    value : float
        F, in nats.

    gradient : dict of str to ndarray or float
        As in `uncollapsed_bound`, without ``"Kuu"``, with respect to the whitened
        arguments.
    """
    # With f_n = psi1_n m and <f_n f_n'> = tr(m' psi2_n m) + D tr(A psi2_n), the
    # expected squares of a row are |y|^2 - 2 y.f + <f.f>, and D (psi0 - tr Psi2) is
    # what the inducing variables leave of f's own variance.
    n_features = mean.shape[1]
    identity = np.eye(len(covariance))
    m_m = mean @ mean.T
    left = m_m + n_features * (covariance - identity)
    misfit = (
        y_squared - 2.0 * np.vdot(mean, P) + np.vdot(left, Psi2) + n_features * psi0
    )
    # KL(q(v) || N(0, I)) = sum_d (|m_d|^2 + tr A - M - log|A|) / 2.
    L = _linalg.cholesky(covariance)
    divergence = 0.5 * (
        np.trace(m_m)
        + n_features * (np.trace(covariance - identity) - _linalg.log_determinant(L))
    )
    n_entries = n_samples * n_features
    value = -0.5 * (
        n_entries * (LOG_2_PI + np.log(noise_variance)) + misfit / noise_variance
    )
    d_covariance = share * (_linalg.inverse(L) - identity) - Psi2 / noise_variance
    return float(value - share * divergence), {
        "psi0": -0.5 * n_features / noise_variance,
        "P": mean / noise_variance,
        "Psi2": -0.5 * left / noise_variance,
        "noise_variance": 0.5 * (misfit / noise_variance - n_entries) / noise_variance,
        "mean": (P - Psi2 @ mean) / noise_variance - share * mean,
        "covariance": 0.5 * n_features * d_covariance,
    }


def pull_whitened_statistics(R, P, Psi2, gradient, jitter):
    """Gradients for P, Psi2 and Kuu from those for ``R P`` and ``R Psi2 R'``.

    Parameters
    ----------
    R : ndarray of shape (n_inducing, n_inducing)
        From ``whitening(Kuu, jitter)``.

    P, Psi2 : ndarray
        The whitened statistics.

    gradient : dict
        From `whitened_uncollapsed_bound`: q(v), and not q(u), is held while Kuu varies.

    jitter : float
        That of `R`.

    Returns
    -------
    gradient : dict
        That of `uncollapsed_bound`.
    """
    # R = L^-1 and dL = L low(R dK R'), low taking the lower triangle and half of the
    # diagonal: dR = -low(R dK R') R. So dF = tr(dF/dR' dR) = -tr(T' low(R dK R')) with
    # T = dF/dR R' = dF/d(RP) (RP)' + 2 dF/d(R Psi2 R') R Psi2 R'. The jitter
    # j tr(Kuu) / M on the diagonal adds j tr(dF/dKuu) / M there.
    T = gradient["P"] @ P.T + 2.0 * gradient["Psi2"] @ Psi2
    low = np.tril(T)
    low.flat[:: len(R) + 1] *= 0.5
    Kuu = -0.5 * (R.T @ (low + low.T) @ R)
    Kuu.flat[:: len(R) + 1] += jitter * np.trace(Kuu) / len(R)
    return {
        **gradient,
        "P": R.T @ gradient["P"],
        "Psi2": R.T @ gradient["Psi2"] @ R,
        "Kuu": Kuu,
    }


def natural_step(precision, shift, P, Psi2, noise_variance, *, rate, weight=1.0):
    """A step along the natural gradient of q(v), from the statistics of a batch.

    Parameters
    ----------
    precision : ndarray of shape (n_inducing, n_inducing)
        A^-1, the first natural parameter of q(v).

    shift : ndarray of shape (n_inducing, n_features)
        A^-1 m, the second.

    P, Psi2 : ndarray
        Whitened statistics of the batch.

    noise_variance : float
        Variance of the noise.

    rate : float
        Length of the step, from 0 (none) to 1 (to the batch's own optimum).

    weight : float, default=1.0
        For how many rows each row of the batch stands.

    Returns
    -------
    precision, shift : ndarray
        The new natural parameters.
    """
    # The natural gradient in these parameters is dF / d<(v, v v')>. F is linear in the
    # expectations but for the entropy of q, so it is (optimum - parameters), the
    # optimum being where it is zero: A^-1 = I + w Psi2 / s2 and A^-1 m = w P / s2.
    scale = rate * weight / noise_variance
    new = (1.0 - rate) * precision + scale * Psi2
    new.flat[:: len(new) + 1] += rate
    return new, (1.0 - rate) * shift + scale * P


def best_scale(psi0, Psi2, noise_variance, mean, covariance, *, weight=1.0):
    """The factor of the kernel that is best for what q says of the functions.

    Parameters
    ----------
    psi0 : float
        Sum over the rows of a batch of the latent functions' expected variance.

    Psi2 : ndarray of shape (n_inducing, n_inducing)
        Whitened statistic of the batch.

    noise_variance : float
        Variance of the noise.

    mean, covariance : ndarray
        Moments of q(v). While the kernel k becomes a k, u = R^-1 v and not v is held:
        the functions stay as they are, and v becomes a^(-1/2) v.

    weight : float, default=1.0
        For how many rows each row of the batch stands.

    Returns
    -------
    scale : float
        a, positive.
    """
    # k(x, Z) Kuu^-1 does not change, so what is left of F is
    # -(D w / (2 s2)) (psi0 - tr Psi2) a - ((|m|^2 + D tr A) / a + D M log a) / 2:
    # dF/da = 0 is c a^2 + D M a - e = 0, with c = D w (psi0 - tr Psi2) / s2 and
    # e = |m|^2 + D tr A.
    n_features = mean.shape[1]
    left = max(psi0 - np.trace(Psi2), 0.0)  # not below zero but for rounding
    c = n_features * weight * left / noise_variance
    e = np.vdot(mean, mean) + n_features * np.trace(covariance)
    b = n_features * len(covariance)
    return float(2.0 * e / (b + np.sqrt(b * b + 4.0 * c * e)))


def moments(precision, shift):
    """Means m (M, D) and covariance A (M, M) of q(v), from its natural parameters."""
    L = _linalg.cholesky(precision)
    return _linalg.solve(L, shift), _linalg.inverse(L)


def predictive_weights(R, precision, shift):
    """Weights W and root C of the predictions ``k W`` and ``k(x, x) - |C k'|^2``.

    Parameters
    ----------
    R : ndarray of shape (n_inducing, n_inducing)
        From `whitening`.

    precision, shift : ndarray
        Natural parameters of q(v); the precision is at least that of the prior.

    Returns
    -------
    weights : ndarray of shape (n_inducing, n_features)
        R'm.

    root : ndarray of shape (n_inducing, n_inducing)
        C with C'C = R'(I - A) R, what the data have taken from the prior's variance.
    """
    # A^-1 = V diag(1 + e) V' with e >= 0: I - A = V diag(e / (1 + e)) V'.
    eigenvalues, V = np.linalg.eigh(precision)
    eigenvalues = np.maximum(eigenvalues, 1.0)
    weights = R.T @ (V @ ((V.T @ shift) / eigenvalues[:, None]))
    taken = (eigenvalues - 1.0) / eigenvalues
    return weights, np.sqrt(taken)[:, None] * (V.T @ R)
