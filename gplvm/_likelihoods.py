"""A model of the data given latent positions: its likelihood and its predictions.

Each class composes a kernel with a function of `gradients` and applies the chain rule
between them; estimators ask them for values, gradients and posteriors.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.gaussian_process import kernels as sk

from gplvm import _linalg, kernels
from gplvm._parallel import map_blocks, row_blocks
from gplvm.gradients.gaussian_process import (
    dense_gradient_block,
    gplvm_log_likelihood,
    spectral_gplvm_log_likelihood,
    triangular_gp_log_likelihood,
)
from gplvm.gradients.prediction import predictive_log_density, predictive_moments

# Rows are predicted in chunks whose cross-covariance stays near this many entries.
_CHUNK_ENTRIES = 2**21


@dataclass(frozen=True)
class Posterior:
    """Predictions of centred data rows at latent positions.

    The mean is ``k(x, Z) W`` and the variance ``k(x, x) - k(x, Z) P k(Z, x) + noise``.
    """

    kernel: sk.Kernel
    inputs: np.ndarray
    weights: np.ndarray
    reduction: np.ndarray
    noise_variance: float

    def _chunks(self, n):
        size = max(1, _CHUNK_ENTRIES // max(1, self.inputs.shape[0]))
        return (slice(start, start + size) for start in range(0, n, size))

    def predict(self, X):
        """Mean (B, D) and variance (B,), noise included, at positions (B, q)."""
        mean = np.empty((len(X), self.weights.shape[1]))
        variance = np.empty(len(X))
        for rows in self._chunks(len(X)):
            k = kernels.matrix(self.kernel, X[rows], self.inputs)
            mean[rows], variance[rows] = predictive_moments(
                k,
                kernels.diagonal(self.kernel, X[rows]),
                self.weights,
                self.reduction,
                self.noise_variance,
            )
        return mean, variance

    def log_density(self, X, Y):
        """log p(y_b | x_b) (B,) and its gradient (B, q), each row by itself."""
        value, gradient = np.empty(len(X)), np.empty(X.shape)
        for rows in self._chunks(len(X)):
            k, pull = kernels.evaluate(self.kernel, X[rows], self.inputs)
            k_diagonal, pull_diagonal = kernels.evaluate_diagonal(self.kernel, X[rows])
            value[rows], dk, dk_diagonal = predictive_log_density(
                k,
                k_diagonal,
                Y[rows],
                self.weights,
                self.reduction,
                self.noise_variance,
            )
            gradient[rows] = pull(dk)[1] + pull_diagonal(dk_diagonal)[1]
        return value, gradient


class DenseLikelihood:
    """Any covariance: O(N^3) time, O(N^2) memory.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        Supported kernel; its own hyperparameters are ignored in favour of `theta`.

    Y : ndarray of shape (n_samples, n_features)
        Data, centred.
    """

    def __init__(self, kernel, Y):
        self.kernel = kernel
        self.Y = Y
        n_samples, n_features = Y.shape
        # Y enters only through Y Y' = F F': Y' = Q R gives F = R', (N, N).
        self._factor = (
            Y if n_features <= n_samples else np.linalg.qr(Y.T, mode="r").T.copy()
        )

    def encode(self, embedding):
        """The coordinates to optimise: the latent positions themselves."""
        return embedding

    decode = encode

    def evaluate(self, coordinates, theta):
        """Log-likelihood and its gradients by name."""
        return self.log_likelihood(coordinates, theta, eval_gradient=True)

    def log_likelihood(self, embedding, theta, *, eval_gradient=False):
        """log p(Y | X, theta), with theta ending in the log noise variance.

        One triangle of one matrix holds K, its factor and its inverse in turn. K is
        made by blocks of rows, and made again for its pullback: in cache, that costs
        less than to keep what the pullback needs.
        """
        kernel = self.kernel.clone_with_theta(theta[:-1])
        noise_variance = float(np.exp(theta[-1]))
        n_samples, n_features = self.Y.shape
        blocks = row_blocks(n_samples)

        def make_covariance():
            K = np.empty((n_samples, n_samples))

            def write(rows):
                X, X_before = embedding[rows], embedding[: rows.start]
                if rows.start:
                    K[rows, : rows.start] = kernels.matrix(kernel, X, X_before)
                corner = kernels.matrix(kernel, X)
                K[rows, rows] = corner + noise_variance * np.eye(len(X))

            map_blocks(write, blocks)
            return K

        value, weights, K_inv = triangular_gp_log_likelihood(
            make_covariance, self._factor, n_features
        )
        if not eval_gradient:
            return value

        def dL_dK(rows, columns, K_inv_block):
            return dense_gradient_block(
                weights[rows], weights[columns], K_inv_block, n_features
            )

        def pull(rows):
            G = dL_dK(rows, rows, _linalg.symmetrize(K_inv[rows, rows]))
            _, pullback = kernels.evaluate(kernel, embedding[rows])
            dtheta, dX = pullback(G)
            dlog_noise = noise_variance * np.trace(G)
            before = slice(0, rows.start)
            dX_before = 0.0
            if rows.start:
                # A block below the diagonal stands for its mirror image too.
                G = 2.0 * dL_dK(rows, before, K_inv[rows, before])
                _, pullback = kernels.evaluate(
                    kernel, embedding[rows], embedding[before]
                )
                dtheta_before, dX_rows, dX_before = pullback(G)
                dtheta, dX = dtheta + dtheta_before, dX + dX_rows
            return np.append(dtheta, dlog_noise), dX, dX_before

        dL_dtheta, dL_dX = np.zeros(len(theta)), np.zeros(embedding.shape)
        for rows, parts in zip(blocks, map_blocks(pull, blocks), strict=True):
            dtheta, dX, dX_before = parts
            dL_dtheta += dtheta
            dL_dX[rows] += dX
            dL_dX[: rows.start] += dX_before
        return value, {"embedding": dL_dX, "theta": dL_dtheta}

    def posterior(self, embedding, theta):
        """W = K^-1 Y, P = K^-1."""
        kernel = self.kernel.clone_with_theta(theta[:-1])
        noise_variance = float(np.exp(theta[-1]))
        K = kernels.matrix(kernel, embedding) + noise_variance * np.eye(len(embedding))
        L = _linalg.cholesky(K)
        return Posterior(
            kernel=kernel,
            inputs=embedding,
            weights=_linalg.solve(L, self.Y),
            reduction=_linalg.inverse(L),
            noise_variance=noise_variance,
        )


class LinearLikelihood:
    """``K = alpha X X' + I / beta``, never formed.

    An evaluation costs O(min(N, D) q^2) after one eigendecomposition of the smaller
    Gram matrix of the data: dL/dX lies in the span of X and Y, so latent positions
    that start in the column space of Y = U S P' stay there, and ``X = U V`` is
    optimised in V.

    Parameters
    ----------
    kernel, Y
        As in `DenseLikelihood`; `is_linear` of the kernel must hold.
    """

    def __init__(self, kernel, Y):
        self.kernel = kernel
        self.Y = Y
        n_samples, n_features = Y.shape
        wide = n_features > n_samples
        eigenvalues, vectors = np.linalg.eigh(Y @ Y.T if wide else Y.T @ Y)
        # Directions without data, within the rounding of the Gram matrix.
        kept = (
            eigenvalues
            > eigenvalues[-1:].sum() * len(eigenvalues) * np.finfo(float).eps
        )
        self.eigenvalues = eigenvalues[kept][::-1]
        self.basis = vectors[:, kept][:, ::-1]
        if not wide:
            self.basis = (Y @ self.basis) / np.sqrt(self.eigenvalues)

    @staticmethod
    def is_linear(kernel):
        """Whether a kernel is a constant times DotProduct without an offset."""
        if type(kernel) is sk.Product:
            parts = {type(part): part for part in (kernel.k1, kernel.k2)}
            return set(parts) == {
                sk.ConstantKernel,
                sk.DotProduct,
            } and LinearLikelihood.is_linear(parts[sk.DotProduct])
        return (
            type(kernel) is sk.DotProduct
            and kernel.sigma_0 == 0
            and kernel.hyperparameter_sigma_0.fixed
        )

    def encode(self, embedding):
        """V = U'X."""
        return self.basis.T @ embedding

    def decode(self, coordinates):
        """X = U V."""
        return self.basis @ coordinates

    def evaluate(self, coordinates, theta):
        """Log-likelihood and its gradients by name, in the coordinates V."""
        alpha, noise_variance = self._scalars(theta)
        value, gradient = spectral_gplvm_log_likelihood(
            coordinates,
            self.eigenvalues,
            alpha,
            1.0 / noise_variance,
            n_samples=self.Y.shape[0],
            n_features=self.Y.shape[1],
            eval_gradient=True,
        )
        return value, self._chain(gradient, gradient.pop("V"), theta)

    def log_likelihood(self, embedding, theta, *, eval_gradient=False):
        """log p(Y | X, theta) of any latent positions, in O(N D q)."""
        alpha, noise_variance = self._scalars(theta)
        beta = 1.0 / noise_variance
        if not eval_gradient:
            return gplvm_log_likelihood(embedding, self.Y, alpha, beta)
        value, gradient = gplvm_log_likelihood(
            embedding, self.Y, alpha, beta, eval_gradient=True
        )
        return value, self._chain(gradient, gradient.pop("X"), theta)

    def posterior(self, embedding, theta):
        """With the q unit vectors as inputs, k(x, Z) = alpha x, and W and P are q x q.

        From K^-1 = beta (I - X A^-1 X'), A = I / (alpha beta) + X'X: the mean is
        x A^-1 X'Y and the variance x A^-1 x' / beta.
        """
        alpha, noise_variance = self._scalars(theta)
        identity = np.eye(embedding.shape[1])
        A = noise_variance / alpha * identity + embedding.T @ embedding
        L = _linalg.cholesky(A)
        return Posterior(
            kernel=self.kernel.clone_with_theta(theta[:-1]),
            inputs=identity,
            weights=_linalg.solve(L, embedding.T @ self.Y) / alpha,
            reduction=(alpha * identity - noise_variance * _linalg.inverse(L))
            / alpha**2,
            noise_variance=noise_variance,
        )

    def _scalars(self, theta):
        kernel = self.kernel.clone_with_theta(theta[:-1])
        constants = [
            value
            for name, value in kernel.get_params().items()
            if name.endswith("constant_value")
        ]
        return (constants[0] if constants else 1.0), float(np.exp(theta[-1]))

    def _chain(self, gradient, dL_dcoordinates, theta):
        """From alpha and beta to log alpha (where it is free) and log noise."""
        alpha, noise_variance = self._scalars(theta)
        by_log = [alpha * gradient["alpha"]] * (len(theta) - 1)
        by_log.append(-gradient["beta"] / noise_variance)
        return {"embedding": dL_dcoordinates, "theta": np.array(by_log)}
