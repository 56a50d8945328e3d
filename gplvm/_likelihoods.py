"""A model of the data given latent positions: its likelihood and its predictions.

Each class composes a kernel with a function of `gradients` and applies the chain rule
between them; estimators ask them for values, gradients and posteriors.
"""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from sklearn.gaussian_process import kernels as sk

from gplvm import _linalg, kernels
from gplvm._centred import CentredSparse
from gplvm._parallel import (
    TILE,
    keep_freed_memory,
    map_blocks,
    one_blas_thread,
    row_blocks,
    whole_tiles,
)
from gplvm.gradients.gaussian_process import (
    data_factor,
    gplvm_trace_term,
    operator_gplvm_trace_term,
    triangular_gp_log_likelihood,
    with_log_determinant,
)
from gplvm.gradients.prediction import predictive_log_density, predictive_moments
from gplvm.gradients.spectral import (
    spectral_gplvm_log_likelihood,
    spectral_gplvm_optimum,
)

# Matrices of up to so many bytes are computed in the memory of the one before, if no
# other thread has it: to fault new pages in takes as long as their exponentials.
_KEEP = 2**25
_kept = []

# A block is so many short operations that two threads wait for each other's turn in the
# interpreter, until there are as many for each as this.
_BLOCKS_PER_THREAD = 8

# Rows are predicted in chunks whose cross-covariance stays near this many entries.
_CHUNK_ENTRIES = 2**21


@dataclass(frozen=True)
class Posterior:
    """Predictions of centred data rows at latent positions.

    The mean is ``k(x, Z) W`` and the variance ``k(x, x) - |C k(Z, x)|^2 + noise``.
    """

    kernel: sk.Kernel
    inputs: np.ndarray
    weights: np.ndarray
    root: np.ndarray
    noise_variance: float

    def _chunks(self, n):
        """Rows of each chunk, and the same padded to whole tiles."""
        size = max(1, _CHUNK_ENTRIES // max(1, self.inputs.shape[0]) // TILE) * TILE
        for start in range(0, n, size):
            rows = np.arange(start, min(start + size, n))
            yield rows, whole_tiles(rows)

    def predict(self, X):
        """Mean (B, D) and variance (B,), noise included, at positions (B, q)."""
        mean = np.empty((len(X), self.weights.shape[1]))
        variance = np.empty(len(X))
        for rows, padded in self._chunks(len(X)):
            chunk_mean, chunk_variance = predictive_moments(
                kernels.matrix(self.kernel, X[padded], self.inputs),
                kernels.diagonal(self.kernel, X[padded]),
                self.weights,
                self.root,
                self.noise_variance,
            )
            mean[rows] = chunk_mean[: len(rows)]
            variance[rows] = chunk_variance[: len(rows)]
        return mean, variance

    def log_density(self, X, Y):
        """log p(y_b | x_b) (B,) and its gradient (B, q), each row by itself."""
        value, gradient = np.empty(len(X)), np.empty(X.shape)
        for rows, padded in self._chunks(len(X)):
            k, pull = kernels.evaluate(self.kernel, X[padded], self.inputs)
            k_diagonal, pull_diagonal = kernels.evaluate_diagonal(
                self.kernel, X[padded]
            )
            chunk, dk, dk_diagonal = predictive_log_density(
                k, k_diagonal, Y[padded], self.weights, self.root, self.noise_variance
            )
            slope = pull(dk)[1] + pull_diagonal(dk_diagonal)[1]
            value[rows], gradient[rows] = chunk[: len(rows)], slope[: len(rows)]
        return value, gradient


@contextmanager
def _square_matrix(n):
    """Memory for an (n, n) matrix."""
    try:
        memory = _kept.pop()
    except IndexError:
        memory = np.empty(0)
    if memory.size < n * n:
        memory = np.empty(n * n)
    yield memory[: n * n].reshape(n, n)
    # Not after an interruption: a thread may still be at work on it.
    if memory.nbytes <= _KEEP and not _kept:
        _kept.append(memory)


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
        keep_freed_memory()
        self.kernel = kernel
        self.Y = Y
        self._factor = data_factor(Y)

    def encode(self, embedding):
        """The coordinates to optimise: the latent positions themselves."""
        return embedding

    decode = encode

    def evaluate(self, coordinates, theta):
        """Log-likelihood and its gradients by name."""
        return self.log_likelihood(coordinates, theta, eval_gradient=True)

    def log_likelihood(self, embedding, theta, *, eval_gradient=False):
        """log p(Y | X, theta), with theta ending in the log noise variance.

        One triangle of one matrix holds K, its factor and its inverse in turn, by
        blocks of rows that stay in cache; beside it stands what the kernel's pullback
        needs of each block, for most kernels that triangle of K once more.
        """
        with one_blas_thread(), _square_matrix(len(self.Y)) as K:
            return self._log_likelihood(K, embedding, theta, eval_gradient)

    def _log_likelihood(self, K, embedding, theta, eval_gradient):
        kernel = self.kernel.clone_with_theta(theta[:-1])
        noise_variance = np.exp(theta[-1])
        n_samples, n_features = self.Y.shape
        # The last block of rows of a triangle is the longest: first come, first served.
        blocks = row_blocks(n_samples)[::-1]
        pullbacks = {}

        def make_covariance():
            def fill(rows):
                X, X_before = embedding[rows], embedding[: rows.start]
                corner, pull_corner = kernels.evaluate(kernel, X)
                K[rows, rows] = corner
                pull_before = None
                if rows.start:
                    before, pull_before = kernels.evaluate(kernel, X, X_before)
                    K[rows, : rows.start] = before
                if eval_gradient:
                    pullbacks[rows.start] = pull_corner, pull_before

            map_blocks(fill, blocks, _BLOCKS_PER_THREAD)
            np.einsum("ii->i", K)[:] += noise_variance
            return K

        if not eval_gradient:
            return triangular_gp_log_likelihood(
                make_covariance, self._factor, n_features
            )
        value, gradient_block = triangular_gp_log_likelihood(
            make_covariance, self._factor, n_features, eval_gradient=True
        )

        def pull_back(rows):
            pull_corner, pull_before = pullbacks.pop(rows.start)
            G = gradient_block(rows, rows)
            dtheta, dX = pull_corner(G)
            dtheta = np.append(dtheta, noise_variance * np.trace(G))
            if pull_before is None:
                return dtheta, dX, np.empty((0, dX.shape[1]))
            # Twice, for the mirror image of the block: a pullback is linear.
            G = gradient_block(rows, slice(0, rows.start))
            dtheta_before, dX_rows, dX_before = pull_before(G)
            dtheta[:-1] += 2.0 * dtheta_before
            return dtheta, dX + 2.0 * dX_rows, 2.0 * dX_before

        dL_dtheta, dL_dX = np.zeros(len(theta)), np.zeros(embedding.shape)
        pulled = map_blocks(pull_back, blocks, _BLOCKS_PER_THREAD)
        for rows, parts in zip(blocks, pulled, strict=True):
            dtheta, dX, dX_before = parts
            dL_dtheta += dtheta
            dL_dX[rows] += dX
            dL_dX[: rows.start] += dX_before
        return value, {"embedding": dL_dX, "theta": dL_dtheta}

    def posterior(self, embedding, theta):
        """W = K^-1 Y, C = L^-1 with K = L L'."""
        kernel = self.kernel.clone_with_theta(theta[:-1])
        noise_variance = float(np.exp(theta[-1]))
        with one_blas_thread():
            K = kernels.matrix(kernel, embedding)
            np.einsum("ii->i", K)[:] += noise_variance
            L = _linalg.cholesky(K)
            return Posterior(
                kernel=kernel,
                inputs=embedding,
                weights=_linalg.solve(L, self.Y),
                root=_linalg.inverse_factor(L),
                noise_variance=noise_variance,
            )


class LinearLikelihood:
    """``K = alpha X X' + c 1 1' + I / beta``, never formed.

    An evaluation costs O(min(N, D) q^2) after one eigendecomposition of the smaller
    Gram matrix of the data: dL/dX lies in the span of X and Y, so latent positions
    that start in the column space of Y = U S P' stay there, and ``X = U V`` is
    optimised in V.

    Parameters
    ----------
    kernel
        As in `DenseLikelihood`; `is_linear` of it must hold.

    Y : ndarray or CentredSparse of shape (n_samples, n_features)
        Data, centred.
    """

    def __init__(self, kernel, Y):
        self.kernel = kernel
        self.Y = Y
        n_samples, n_features = Y.shape
        wide = n_features > n_samples
        if isinstance(Y, CentredSparse):
            gram = Y.gram(of_rows=wide)
            self._y_squared = Y.row_squares().sum()
        else:
            gram = Y @ Y.T if wide else Y.T @ Y
        eigenvalues, vectors = np.linalg.eigh(gram)
        # Directions without data, within the rounding of the Gram matrix.
        rounding = len(eigenvalues) * np.finfo(float).eps
        kept = eigenvalues > eigenvalues[-1:].sum() * rounding
        self.eigenvalues = eigenvalues[kept][::-1]
        # U itself where it is small, else U = Y axes: no second array like Y.
        self._basis = vectors[:, kept][:, ::-1]
        self._axes = None if wide else self._basis / np.sqrt(self.eigenvalues)

    @staticmethod
    def is_linear(kernel):
        """Whether a kernel is DotProduct, with constants and white noise around it."""
        return _degree(kernel) == 1

    def encode(self, embedding):
        """V = U'X."""
        if self._axes is None:
            return self._basis.T @ embedding
        return self._axes.T @ (self.Y.T @ embedding)

    def decode(self, coordinates):
        """X = U V."""
        if self._axes is None:
            return self._basis @ coordinates
        return self.Y @ (self._axes @ coordinates)

    def principal(self, n_components):
        """The scores of the leading principal components, zero beyond the rank."""
        V = np.zeros((len(self.eigenvalues), n_components))
        scores = np.sqrt(self.eigenvalues[:n_components])
        np.fill_diagonal(V, scores)
        return self.decode(V)

    def evaluate(self, coordinates, theta):
        """Log-likelihood and its gradients by name, in the coordinates V."""
        alpha, offset, beta, pull = self._scalars(theta)
        n_samples, n_features = self.Y.shape
        value, gradient = spectral_gplvm_log_likelihood(
            coordinates,
            self.eigenvalues,
            alpha,
            beta,
            n_samples=n_samples,
            n_features=n_features,
            eval_gradient=True,
        )
        # The data are centred, 1'Y = 0: the offset's direction is orthogonal to U and
        # adds log(1 + c beta N) to log|K|, nothing to the trace.
        inside = 1.0 + offset * beta * n_samples
        value -= 0.5 * n_features * np.log(inside)
        d_offset = -0.5 * n_features * beta * n_samples / inside
        d_beta = gradient["beta"] - 0.5 * n_features * offset * n_samples / inside
        dtheta = pull(gradient["alpha"], d_offset, d_beta)
        return value, {"embedding": gradient["V"], "theta": dtheta}

    def renew(self, coordinates, theta, theta_bounds):
        """Coordinates and theta of highest likelihood in the span of V.

        The span is what L-BFGS has to find; the scales along it, which may differ by
        orders of magnitude and make it crawl, have a closed form.
        """
        alpha, _, beta, _ = self._scalars(theta)
        lower, upper = theta_bounds[-1]
        white = 1.0 / beta - np.exp(theta[-1])
        noise_is_free = lower < upper and white <= 1e-12 / beta
        problem = {
            "alpha": alpha,
            "n_samples": self.Y.shape[0],
            "n_features": self.Y.shape[1],
        }
        theta = theta.copy()
        if noise_is_free:
            _, noise = spectral_gplvm_optimum(coordinates, self.eigenvalues, **problem)
            theta[-1] = np.clip(np.log(noise or np.exp(lower)), lower, upper)
        problem["noise_variance"] = np.exp(theta[-1]) + max(white, 0.0)
        V, _ = spectral_gplvm_optimum(coordinates, self.eigenvalues, **problem)
        return V, theta

    def log_likelihood(self, embedding, theta, *, eval_gradient=False):
        """log p(Y | X, theta) of any latent positions, in O(N D q)."""
        alpha, offset, beta, pull = self._scalars(theta)
        # alpha X X' + c 1 1' is the linear covariance of [sqrt(alpha) X, sqrt(c) 1].
        n_samples, q = embedding.shape
        features = np.column_stack(
            [np.sqrt(alpha) * embedding, np.full(n_samples, np.sqrt(offset))]
        )
        if isinstance(self.Y, CentredSparse):
            L2 = operator_gplvm_trace_term(
                features,
                self.Y,
                self._y_squared,
                1.0,
                beta,
                eval_gradient=eval_gradient,
            )
        else:
            L2 = gplvm_trace_term(
                features, self.Y, 1.0, beta, eval_gradient=eval_gradient
            )
        L = with_log_determinant(L2, features, 1.0, beta, self.Y.shape[1])
        if not eval_gradient:
            return L
        value, gradient = L
        dX = np.sqrt(alpha) * gradient["X"][:, :q]
        d_alpha = 0.5 * np.vdot(dX, embedding) / alpha
        # At c = 0 the derivative by sqrt(c) is zero; there theta does not hold c.
        d_offset = 0.5 * gradient["X"][:, q].sum() / np.sqrt(offset) if offset else 0.0
        dtheta = pull(d_alpha, d_offset, gradient["beta"])
        return value, {"embedding": dX, "theta": dtheta}

    def posterior(self, embedding, theta):
        """With inputs 0 and s times the q unit vectors, k(x, Z) = c + alpha s [0, x].

        The functions are linear in f = [1, x]: f A^-1 F'Y with A = F'F + noise *
        diag(1 / c, 1 / alpha), F = [1, X], and the variance is noise * f A^-1 f'. W
        and C express both by k(x, Z) = f T, so that W = T^-1 A^-1 F'Y and
        C'C = T^-1 (prior - noise A^-1) T'^-1. The unit s is one in which an offset
        does not drown what the positions say.
        """
        alpha, offset, beta, _ = self._scalars(theta)
        n_samples, q = embedding.shape
        first = 0 if offset else 1  # without an offset, f = x and Z the unit vectors
        prior = np.r_[offset, np.full(q, alpha)][first:]
        size = embedding.std(axis=0).max() or 1.0
        unit = max(1.0, offset / (alpha * size))
        inputs = np.vstack([np.zeros(q), unit * np.eye(q)])[first:]
        # T = [[c, c 1'], [0, alpha s I]].
        T_inv = np.eye(q + 1) / (alpha * unit)
        T_inv[0] = -1.0 / (alpha * unit)
        T_inv[0, 0] = 1.0 / offset if offset else 0.0
        T_inv = T_inv[first:, first:]
        F = np.column_stack([np.ones(n_samples), embedding])[:, first:]
        A = F.T @ F + np.diag(1.0 / (prior * beta))
        L = _linalg.cholesky(A)
        posterior_covariance = _linalg.inverse(L) / beta
        explained, axes = np.linalg.eigh(
            T_inv @ (np.diag(prior) - posterior_covariance) @ T_inv.T
        )
        kernel = self.kernel.clone_with_theta(theta[:-1])
        return Posterior(
            kernel=kernel,
            inputs=inputs,
            weights=T_inv @ _linalg.solve(L, (self.Y.T @ F).T),
            root=np.sqrt(np.maximum(explained, 0.0))[:, None] * axes.T,
            noise_variance=float(np.exp(theta[-1])),
        )

    def _scalars(self, theta):
        """alpha, c, beta, and the pullback of their gradients to theta."""
        kernel = self.kernel.clone_with_theta(theta[:-1])
        (alpha, offset, white), slopes = _coefficients(kernel)
        noise = np.exp(theta[-1])
        beta = 1.0 / (noise + white)

        def pull(d_alpha, d_offset, d_beta):
            d_noise = -(beta**2) * d_beta  # of the total, white noise included
            dtheta = slopes @ np.array([d_alpha, d_offset, d_noise])
            return np.append(dtheta, noise * d_noise)

        return alpha, offset, beta, pull


def _coefficients(kernel):
    """(alpha, c, w) of ``alpha x x' + c + w [same row]``, and their slopes by theta.

    A difference of the kernel's values would lose the smaller beside the larger.
    """
    kind = type(kernel)
    if kind in (sk.Sum, sk.Product):
        first, of_first = _coefficients(kernel.k1)
        second, of_second = _coefficients(kernel.k2)
        if kind is sk.Sum:
            return first + second, np.vstack([of_first, of_second])
        by_first, by_second = _multiplication(first), _multiplication(second)
        slopes = np.vstack([of_first @ by_second.T, of_second @ by_first.T])
        return by_first @ second, slopes
    if kind is sk.DotProduct:
        offset = np.square(kernel.sigma_0)
        values, slope = np.array([1.0, offset, 0.0]), [0.0, 2.0 * offset, 0.0]
    elif kind is sk.ConstantKernel:
        values = slope = np.array([0.0, kernel.constant_value, 0.0])
    else:
        values = slope = np.array([0.0, 0.0, kernel.noise_level])
    return values, np.reshape(slope if kernel.n_dims else [], (-1, 3))


def _multiplication(coefficients):
    """The matrix of ``k -> k k_1`` for a k_1 of these; at most one has an alpha."""
    alpha, offset, white = coefficients
    return np.array(
        [[offset, alpha, 0.0], [0.0, offset, 0.0], [0.0, white, offset + white]]
    )


def _degree(kernel):
    """0: constants and white noise; 1: linear in x x'; None: anything else."""
    kind = type(kernel)
    if kind in (sk.ConstantKernel, sk.WhiteKernel):
        return 0
    if kind is sk.DotProduct:
        return 1
    if kind in (sk.Sum, sk.Product):
        degrees = _degree(kernel.k1), _degree(kernel.k2)
        if None in degrees:
            return None
        if kind is sk.Sum:
            return max(degrees)
        if sum(degrees) > 1:
            return None
        # White noise times a linear kernel is noise that differs from row to row.
        noisy = any(
            degree == 0 and _has_white(part)
            for part, degree in zip((kernel.k1, kernel.k2), degrees, strict=True)
        )
        return None if noisy and sum(degrees) == 1 else sum(degrees)
    return None


def _has_white(kernel):
    return any(name.endswith("noise_level") for name in kernel.get_params())
