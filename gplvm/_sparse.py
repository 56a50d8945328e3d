"""The sparse model of the data: M inducing inputs stand between positions and data.

Map, reduce, map: chunks of rows give their share of the statistics, `gradients` turns
the sums into the bound and its gradient, and each chunk pulls that back to its rows.
A chunk's covariance with the inducing inputs is made anew for the second map, so
nothing of N x M entries exists at any time.
"""

from functools import reduce

import numpy as np
from sklearn.gaussian_process import kernels as sk
from sklearn.utils import check_random_state

from gplvm import kernels
from gplvm._likelihoods import Posterior
from gplvm._parallel import map_blocks, one_blas_thread, row_blocks
from gplvm.gradients.inducing import (
    inducing_posterior,
    pull_whitening,
    whitened_bound,
    whitening,
)

# Jitter of the inducing inputs' covariance, relative to its mean diagonal, at every
# evaluation. The statistics are summed in the whitened basis, where B is positive
# definite whatever the noise and rounding grows as jitter^-1/2, so it can be small.
JITTER = 1e-8

# A chunk's covariances have about this many entries, to stay in a core's cache, and
# it has rows enough for BLAS to be efficient.
_CHUNK_ENTRIES = 2**16
_CHUNK_ROWS = 128

# The rows are cut into so many spans at most, each summed by one thread, whatever the
# number of threads: the result does not depend on it.
_MAX_SPANS = 16


class SparseLikelihood:
    """The collapsed variational bound with inducing inputs and latent positions.

    An evaluation costs O(N M (M + r)) time, r = min(N, D), on threads, and memory for
    the parameters, one chunk of rows per thread and at most 16 M x (M + r) sums, which
    are few beside the data. The bound is never above
    `DenseLikelihood`, and, but for the jitter, equal to it where the inducing inputs
    are the latent positions.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        Supported kernel; its own hyperparameters are ignored in favour of `theta`. A
        WhiteKernel in a sum is noise, of the likelihood and not of the latent
        functions.

    Y : ndarray of shape (n_samples, n_features)
        Data, centred.

    Raises
    ------
    NotImplementedError
        If a WhiteKernel stands anywhere but in a sum, or there is nothing else.
    """

    def __init__(self, kernel, Y):
        self.kernel = kernel
        self.Y = Y
        self._latent, self._fixed_noise, self._is_noise = _split_noise(kernel)
        n_samples, n_features = Y.shape
        # Y enters only through Y Y' = F F': Y' = Q R gives F = R', (N, N).
        self._factor = (
            Y if n_features <= n_samples else np.linalg.qr(Y.T, mode="r").T.copy()
        )
        self._y_squared = np.vdot(self._factor, self._factor)

    def encode(self, embedding):
        """The coordinates to optimise: the latent positions themselves."""
        return embedding

    decode = encode

    def evaluate(self, coordinates, inducing_points, theta):
        """Bound and its gradients by name."""
        return self.log_likelihood(
            coordinates, inducing_points, theta, eval_gradient=True
        )

    def log_likelihood(self, embedding, inducing_points, theta, *, eval_gradient=False):
        """Bound on log p(Y | X, theta), theta ending in the log noise variance.

        Parameters
        ----------
        embedding : ndarray of shape (n_samples, q)
            Latent positions X.

        inducing_points : ndarray of shape (n_inducing, q)
            Inducing inputs Z.

        theta : ndarray of shape (n_hyperparameters + 1,)
            ``kernel.theta`` followed by the log noise variance.

        eval_gradient : bool, default=False
            Whether to return the gradient too.

        Returns
        -------
        value : float
            The bound, in nats.

        gradient : dict of str to ndarray
            ``"embedding"``, ``"inducing_points"`` and ``"theta"``, of their shapes.
            Only if `eval_gradient`.
        """
        kernel, noise_variance = self._latent_kernel_and_noise(theta)
        with one_blas_thread():
            Kuu, pull_Kuu = kernels.evaluate(kernel, inducing_points)
            R = whitening(Kuu, JITTER)
        statistics = self._statistics(
            kernel, embedding, inducing_points, self._factor, R
        )
        with one_blas_thread():
            value, gradient = whitened_bound(
                *statistics,
                self._y_squared,
                noise_variance,
                n_samples=self.Y.shape[0],
                n_features=self.Y.shape[1],
            )
            if not eval_gradient:
                return value
            gradient = pull_whitening(R, gradient, JITTER)
            dtheta_Kuu, dZ_Kuu = pull_Kuu(gradient["Kuu"])
        dtheta, dX, dZ = self._pull_statistics(
            kernel, embedding, inducing_points, gradient
        )
        return value, {
            "embedding": dX,
            "inducing_points": dZ + dZ_Kuu,
            "theta": self._theta_gradient(
                theta, dtheta + dtheta_Kuu, gradient["noise_variance"]
            ),
        }

    def posterior(self, embedding, inducing_points, theta):
        """W = Sigma^-1 Psi1'Y / s2, C'C = Kuu^-1 - Sigma^-1, Sigma as in the bound."""
        kernel, noise_variance = self._latent_kernel_and_noise(theta)
        R = whitening(kernels.matrix(kernel, inducing_points), JITTER)
        _, P, Psi2 = self._statistics(kernel, embedding, inducing_points, self.Y, R)
        weights, root = inducing_posterior(R, P, Psi2, noise_variance)
        return Posterior(
            kernel=kernel,
            inputs=inducing_points,
            weights=weights,
            root=root,
            noise_variance=noise_variance,
        )

    def _theta_gradient(self, theta, dtheta, d_noise_variance):
        """In the order of theta, from the latent kernel's part and the noise's."""
        gradient = np.empty(len(theta))
        gradient[~self._is_noise] = dtheta
        # The noise is a sum: each part's logarithm pulls in proportion to the part.
        gradient[self._is_noise] = d_noise_variance * np.exp(theta[self._is_noise])
        return gradient

    def _latent_kernel_and_noise(self, theta):
        """The latent functions' kernel, and the variance of all the noise."""
        kernel = self._latent.clone_with_theta(theta[~self._is_noise])
        return kernel, self._noise_variance(theta)

    def _noise_variance(self, theta):
        """The variance of all the noise."""
        return self._fixed_noise + np.exp(theta[self._is_noise]).sum()

    def _statistics(self, kernel, X, Z, Y, R):
        """psi0, R Psi1'Y and R Psi2 R', summed over the rows."""
        # The rows of V = Psi1 R' are whitened before they are multiplied: R Psi2 R'
        # from Psi2 would lose as many digits as the condition of Kuu has.
        whiten = _lower_product(R)

        def add_up(span):
            psi0, P = 0.0, np.zeros((len(Z), Y.shape[1]))
            Psi2 = np.zeros((len(Z), len(Z)))
            for rows in _chunks(span, len(Z)):
                V = whiten(kernels.matrix(kernel, X[rows], Z))
                psi0 += kernels.diagonal(kernel, X[rows]).sum()
                P += V.T @ Y[rows]
                Psi2 += V.T @ V
            return psi0, P, Psi2

        return sum_parts(map_blocks(add_up, _spans(len(X), len(Z))))

    def _pull_statistics(self, kernel, X, Z, gradient):
        """From the gradients of psi0, P and Psi2 to those of theta, X and Z."""
        # With k = k(x_n, Z): P = sum k'y_n and Psi2 = sum k'k, so
        # dL/dk = y_n (dL/dP)' + 2 k dL/dPsi2.
        dP, dPsi2 = gradient["P"].T.copy(), 2.0 * gradient["Psi2"]
        dX = np.empty(X.shape)

        def pull(span):
            dtheta, dZ = np.zeros(kernel.n_dims), np.zeros(Z.shape)
            for rows in _chunks(span, len(Z)):
                K, pullback = kernels.evaluate(kernel, X[rows], Z)
                G = K @ dPsi2
                G += self._factor[rows] @ dP
                dtheta_rows, dX_rows, dZ_rows = pullback(G)
                _, pullback = kernels.evaluate_diagonal(kernel, X[rows])
                dtheta_diagonal, dX_diagonal = pullback(
                    np.full(len(dX_rows), gradient["psi0"])
                )
                dtheta += dtheta_rows + dtheta_diagonal
                dX[rows] = dX_rows + dX_diagonal
                dZ += dZ_rows
            return dtheta, dZ

        dtheta, dZ = sum_parts(map_blocks(pull, _spans(len(X), len(Z))))
        return dtheta, dX, dZ


def initial_inducing_points(embedding, n_inducing, random_state=None):
    """Rows of an embedding, spread out over it, as inducing inputs to start from.

    Each is drawn with a probability that grows as its squared distance from those drawn
    before: the seeding of k-means++ [1]_.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, q)
        Latent positions.

    n_inducing : int
        How many.

    random_state : int, RandomState instance or None, default=None
        Source of the draws.

    Returns
    -------
    inducing_points : ndarray of shape (n_inducing, q)

    Raises
    ------
    ValueError
        If there are fewer rows than `n_inducing`.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: The Advantages of Careful
       Seeding", SODA 2007.
    """
    n_samples = len(embedding)
    if not 1 <= n_inducing <= n_samples:
        raise ValueError(
            f"n_inducing={n_inducing} must be between 1 and n_samples={n_samples}"
        )
    random_state = check_random_state(random_state)
    chosen = [random_state.randint(n_samples)]
    distance = np.full(n_samples, np.inf)
    while len(chosen) < n_inducing:
        newest = ((embedding - embedding[chosen[-1]]) ** 2).sum(axis=1)
        distance = np.minimum(distance, newest)
        weight = distance
        if not distance.any():  # fewer places than inducing points: any other row
            weight = np.ones(n_samples)
            weight[chosen] = 0.0
        chosen.append(random_state.choice(n_samples, p=weight / weight.sum()))
    return embedding[chosen].copy()


def _split_noise(kernel):
    """Latent kernel, variance of fixed white noise, and which of theta is noise."""
    summands = _summands(kernel)
    latent = [part for part in summands if type(part) is not sk.WhiteKernel]
    if not latent or any(_has_white(part) for part in latent):
        raise NotImplementedError(
            "Inducing points need the noise apart from the latent functions: a "
            "WhiteKernel may only be one part of a sum, as in RBF() + WhiteKernel(), "
            f"got {kernel!r}"
        )
    is_noise = [np.full(part.n_dims, type(part) is sk.WhiteKernel) for part in summands]
    fixed = [
        part.noise_level
        for part in summands
        if type(part) is sk.WhiteKernel and part.n_dims == 0
    ]
    return (
        reduce(sk.Sum, latent),
        float(sum(fixed)),
        np.concatenate([*is_noise, [True]]),  # the likelihood's own noise is last
    )


def _summands(kernel):
    """The parts of a sum, in the order of theta."""
    if type(kernel) is sk.Sum:
        return _summands(kernel.k1) + _summands(kernel.k2)
    return [kernel]


def _has_white(kernel):
    return type(kernel) is sk.WhiteKernel or any(
        _has_white(part)
        for part in kernel.get_params(deep=False).values()
        if isinstance(part, sk.Kernel)
    )


def _lower_product(R):
    """``K -> K R'`` for a lower triangle R, without the half of it that is zero."""
    half = len(R) // 2
    first, second = R[:half, :half].T.copy(), R[half:].T.copy()

    def product(K):
        V = np.empty(K.shape)
        np.matmul(K[:, :half], first, out=V[:, :half])
        np.matmul(K, second, out=V[:, half:])
        return V

    return product


def _spans(n_samples, n_inducing):
    """Slices of rows, of which each gives one set of sums.

    Few enough that the sums are small beside the data.
    """
    n_spans = min(max(1, n_samples // (4 * n_inducing)), _MAX_SPANS)
    return row_blocks(n_samples, -(-n_samples // n_spans))


def _chunks(span, n_inducing):
    size = max(_CHUNK_ROWS, _CHUNK_ENTRIES // n_inducing)
    for rows in row_blocks(span.stop - span.start, size):
        yield slice(span.start + rows.start, span.start + rows.stop)


def sum_parts(parts):
    """The sums, position by position, of equally long lists of arrays."""
    return [reduce(np.add, part) for part in zip(*parts, strict=True)]
