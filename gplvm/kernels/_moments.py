"""Expectations of Gaussian functions over Gaussian positions, with their calculus.

A row's position is x_n ~ N(mu_n, diag S_n). What is prepared once for all rows
(`__init__`), what is computed for a chunk of rows (`rows`), what leads back to these
rows (`pull`) and what is done once with the sums over all of them (`finish`) stand
apart, so that a chunk costs its exponentials and three matrix products and little else.
"""

from functools import lru_cache

import numpy as np
from scipy import sparse

from gplvm._parallel import row_blocks

# Entries of a matrix that stay in a core's own cache, and rows enough for BLAS.
_BLOCK_ENTRIES = 2**17
_BLOCK_ROWS = 48


@lru_cache(maxsize=2)
def pairs_of(m):
    """The `Pairs` of m points; an optimisation asks for the same at every step."""
    return Pairs(m)


class Pairs:
    """Packed lower triangles of M x M matrices, in the order of ``np.tril_indices``.

    Parameters
    ----------
    m : int
        Number of inducing points.
    """

    def __init__(self, m):
        self.first, self.second = np.tril_indices(m)
        numbers = np.arange(len(self.first))
        self.full = np.empty((m, m), dtype=np.intp)
        self.full[self.first, self.second] = numbers
        self.full[self.second, self.first] = numbers
        ones, shape = np.ones(len(numbers)), (m, len(numbers))
        self._is_first = sparse.csr_array((ones, (self.first, numbers)), shape)
        self._is_second = sparse.csr_array((ones, (self.second, numbers)), shape)

    def pack(self, G):
        """The gradient (P,) of packed entries from that of a whole symmetric matrix."""
        packed = G[self.first, self.second] + G[self.second, self.first]
        packed[self.first == self.second] *= 0.5
        return packed

    def unpack(self, packed):
        """The symmetric matrix (M, M) of packed entries."""
        return packed[self.full]

    def outer(self, vectors):
        """Entries (n, P) of n matrices v v' for v of (n, M), as `pack` weighs them."""
        first, second = self.of(vectors)
        products = first * second
        products[:, self.first != self.second] *= 2.0
        return products

    def of(self, column):
        """``column[..., i]`` and ``column[..., j]`` of all pairs."""
        return np.take(column, self.first, -1), np.take(column, self.second, -1)

    def mirror(self, G):
        """(..., P) -> (..., M, M): to both triangles, and twice to the diagonal.

        It is the adjoint of ``X -> X_ij + X_ji`` packed.
        """
        full = np.take(G, self.full, -1)
        np.einsum("...mm->...m", full)[...] *= 2.0
        return full

    def scatter(self, of_first, of_second):
        """Sums (M, q) of what belongs to the pairs' members, (P, q) each."""
        return self._is_first @ of_first + self._is_second @ of_second


class GaussianMeans:
    """F_np = <exp(h_p - sum_q p_q (x_nq - t_pq)^2 / 2)>.

    Parameters
    ----------
    precision : ndarray of shape (q,)
        p, of the Gaussian function.

    centres : ndarray of shape (n_centres, q)
        t.

    heights : ndarray of shape (n_centres,)
        h, the logarithm of the peak.
    """

    # With d = 1 + p S and w = p / (2 d):
    # log F_np = h_p - sum_q (log d_nq) / 2 - sum_q w_nq (mu_nq - t_pq)^2,
    # the square expanded into one product [-w, 2 w mu, k, 1] [t^2, t, 1, h]'.
    # Distances matter only: centred, they lose fewest digits in the product.

    def __init__(self, precision, centres, heights):
        self.precision = precision
        self.origin = centres.mean(axis=0)
        n, q = centres.shape
        self._right = right = np.ones((n, 2 * q + 2))  # [t^2, t, 1, h]
        self.centres = right[:, q : 2 * q]
        np.subtract(centres, self.origin, out=self.centres)
        np.square(self.centres, out=right[:, :q])
        right[:, -1] = heights

    def weighed(self, G):
        """What `pull` needs of G = dL/dF (P,), if it is the same for all rows."""
        q = len(self.precision)
        return self._right[:, : 2 * q] * G[:, None], G

    def rows(self, mu, S, out=None):
        """F (n, P), in the memory of `out` if given, and what else `pull` needs."""
        n, q = mu.shape
        mu = mu - self.origin
        d = S * self.precision
        d += 1.0
        left = np.empty((n, 2 * q + 2))
        minus_w, two_w_mu, k = left[:, :q], left[:, q : 2 * q], left[:, 2 * q]
        np.divide(-0.5 * self.precision, d, out=minus_w)
        np.multiply(minus_w, mu, out=two_w_mu)
        np.einsum("nq,nq->n", two_w_mu, mu, out=k)
        k -= 0.5 * np.log(d, out=d).sum(axis=1)
        two_w_mu *= -2.0
        left[:, -1] = 1.0
        F = np.empty((n, len(self._right))) if out is None else out
        total = np.zeros(len(self._right))
        for block in self._blocks(n):
            of_block = F[block]
            np.matmul(left[block], self._right.T, out=of_block)
            np.exp(of_block, out=of_block)
            total += np.ones(len(of_block)) @ of_block
        return F, (mu, S, left, total)

    def pull(self, F, saved, G=None, weighed=None, sums=True):
        """dmu, dS (n, q) and the sums that `finish` takes, if wanted.

        From G = dL/dF (n, P), or from `weighed` of it, where it is shared by all rows.
        """
        # With g0, g1, g2 = sum_p G_np F_np (1, t_p, t_p^2):
        # dL/dmu = 2 w (g1 - mu g0), dL/dw = -(mu^2 g0 - 2 mu g1 + g2),
        # dw/dS = -2 w^2, dw/dp = 2 w^2 / p^2 and dlog(d)/2 = w dS + S w / p dp.
        # For the centres the sums over rows of G F (-w, 2 w mu, 1) suffice.
        mu, S, left, total = saved
        q = mu.shape[1]
        if weighed is None:
            F = F * G
            moments, g0 = F @ self._right[:, : 2 * q], F.sum(axis=1)
            total = np.ones(len(F)) @ F
        else:
            moments, g0 = np.empty((len(F), 2 * q)), np.empty(len(F))
            for block in self._blocks(len(F)):
                np.matmul(F[block], weighed[0], out=moments[block])
                np.matmul(F[block], weighed[1], out=g0[block])
        g2, g1, minus_w = moments[:, :q], moments[:, q:], left[:, :q]
        mu_g0 = mu * g0[:, None]
        curvature = (mu * (2.0 * g1 - mu_g0) - g2) * minus_w
        curvature *= 2.0 * minus_w
        minus_w_g0 = minus_w * g0[:, None]
        dmu = minus_w * (mu_g0 - g1)
        dmu *= 2.0
        dS = minus_w_g0 - curvature
        if not sums:
            return dmu, dS, None
        dp = np.einsum("nq,nq->q", S, minus_w_g0) / self.precision
        dp += curvature.sum(axis=0) / self.precision**2
        return dmu, dS, [F.T @ left[:, : 2 * q], total, dp, g0.sum()]

    def _blocks(self, n):
        """Rows of which F stays in a core's own cache between two looks at it."""
        return row_blocks(n, max(_BLOCK_ROWS, _BLOCK_ENTRIES // len(self._right)))

    def finish(self, sums, G=None):
        """dp (q,), dcentres (P, q), dheights (P,) from the rows' sums.

        G is given if it was the same for all rows: the sums do not hold it yet.
        """
        columns, total, dp, _ = sums
        q = len(self.precision)
        dcentres = self.centres * columns[:, :q]
        dcentres *= 2.0
        dcentres += columns[:, q:]
        if G is None:
            return dp, dcentres, total
        dcentres *= G[:, None]
        return dp, dcentres, total * G


class GaussianSquares:
    """Expected products of a Gaussian kernel with itself, <k(z, x) k(x, z')>, packed.

    Parameters
    ----------
    Z : ndarray of shape (m, q)
        Inducing inputs.

    scale : float
        The kernel's variance.

    precision : ndarray of shape (q,)
        r, one over the squared length scales.

    pairs : Pairs
        Of `Z`.
    """

    # r (x - z)^2 + r (x - z')^2 = 2 r (x - t)^2 + (r / 2) (z - z')^2, t = (z + z') / 2:
    # one Gaussian of x, lower by r (z - z')^2 / 4.

    def __init__(self, Z, scale, precision, pairs):
        self._Z, self._precision, self._pairs = Z, precision, pairs
        half = 0.5 * Z
        scaled = np.sqrt(precision) * (half - half.mean(axis=0))
        gram = scaled @ scaled.T
        squares = np.diagonal(gram)
        heights = 2.0 * gram - squares - squares[:, None]
        heights += 2.0 * np.log(scale)
        self.gaussian = GaussianMeans(
            2.0 * precision,
            np.take(half, pairs.first, 0) + np.take(half, pairs.second, 0),
            heights[pairs.first, pairs.second],
        )

    def weighed(self, G):
        """What `pull` needs of G = dL/dpsi2 (P,), if it is the same for all rows."""
        return self.gaussian.weighed(G)

    def rows(self, mu, S, out=None):
        """psi2 (n, P), in the memory of `out` if given, and what `pull` needs."""
        F, saved = self.gaussian.rows(mu, S, out)
        return F, (F, saved)

    def pull(self, saved, *gradients):
        """That of `GaussianMeans`."""
        return self.gaussian.pull(*saved, *gradients)

    def total(self, saved):
        """psi2 summed over the rows."""
        return saved[1][-1]

    def finish(self, sums, G=None):
        """dr (q,), dZ (m, q) and dL/dlog of the scale."""
        # The heights' part: sum_p h_p u_p (e_i - e_j), u = z - z', is a Laplacian's.
        dp, dt, dh = self.gaussian.finish(sums, G)
        of_heights = self._pairs.mirror(dh)
        pull = of_heights.sum(axis=1)[:, None] * self._Z - of_heights @ self._Z
        dZ = 0.5 * (self._pairs.scatter(dt, dt) - self._precision * pull)
        dr = 2.0 * dp - 0.25 * np.einsum("mq,mq->q", self._Z, pull)
        return dr, dZ, 2.0 * sums[3]


class GaussianProducts:
    """Expected products of two Gaussian kernels, in both orders, packed.

    <k_1(z, x) k_2(x, z') + k_2(z, x) k_1(x, z')>.

    Parameters
    ----------
    Z : ndarray of shape (m, q)
        Inducing inputs.

    scales : pair of float
        The kernels' variances.

    precisions : pair of ndarray of shape (q,)
        a and b, one over the squared length scales.

    pairs : Pairs
        Of `Z`.
    """

    # With p = a + b and u = z - z', a (x - z)^2 + b (x - z')^2
    # = p (x - t)^2 + (a b / p) u^2, t = (a z + b z') / p: one Gaussian of x.

    def __init__(self, Z, scales, precisions, pairs):
        self._pairs = pairs
        m = len(Z)
        self._a, self._b = a, b = precisions
        first, second = np.repeat(Z, m, axis=0), np.tile(Z, (m, 1))
        self._u = first - second
        p = a + b
        self.gaussian = GaussianMeans(
            p,
            second + (a / p) * self._u,
            np.log(scales[0]) + np.log(scales[1]) - self._u**2 @ (0.5 * a * b / p),
        )

    def weighed(self, G):
        """What `pull` needs of G = dL/dpsi2 (P,), if it is the same for all rows."""
        return self.gaussian.weighed(self._unpacked(G))

    def rows(self, mu, S):
        """psi2 (n, P), and what `pull` needs."""
        F, saved = self.gaussian.rows(mu, S)
        return self._both_orders(F), (F, saved)

    def pull(self, saved, G, weighed=None, sums=True):
        """That of `GaussianMeans`, from a packed gradient."""
        if weighed is None:
            G = self._unpacked(G)
        return self.gaussian.pull(*saved, G, weighed, sums)

    def total(self, saved):
        """psi2 summed over the rows."""
        return self._both_orders(saved[1][-1])

    def finish(self, sums, G=None):
        """da, db (q,), dZ (m, q) and dL/dlog of either scale."""
        # dt/da = (b / p^2) u, dt/db = -(a / p^2) u; for the height -(a b / p) u^2 / 2:
        # d(a b / p)/da = (b / p)^2, and in z and z' -+ (a b / p) u.
        G = None if G is None else self._unpacked(G)
        dp, dt, dh = self.gaussian.finish(sums, G)
        a, b, u = self._a, self._b, self._u
        p = a + b
        slope = np.einsum("pq,pq->q", dt, u) / p
        square = 0.5 * (dh @ u**2)
        da = dp + (b / p) * slope - (b / p) ** 2 * square
        db = dp - (a / p) * slope - (a / p) ** 2 * square
        of_height = (a * b / p) * u * dh[:, None]
        m, q = len(self._pairs.full), u.shape[1]
        dZ = ((a / p) * dt - of_height).reshape(m, m, q).sum(axis=1)
        dZ += ((b / p) * dt + of_height).reshape(m, m, q).sum(axis=0)
        return da, db, dZ, sums[3]

    def _both_orders(self, F):
        m, i, j = len(self._pairs.full), self._pairs.first, self._pairs.second
        return np.take(F, i * m + j, -1) + np.take(F, j * m + i, -1)

    def _unpacked(self, G):
        return self._pairs.mirror(G).reshape(*G.shape[:-1], -1)
