"""Expectations of Gaussian functions over Gaussian positions, with their calculus.

A row's position is x_n ~ N(mu_n, diag S_n). What is prepared once for all rows
(`__init__`), what is computed for a chunk of rows (`rows`), what leads back to these
rows (`pull`) and what is done once with the sums over all of them (`finish`) stand
apart, so that a chunk costs its exponentials and three matrix products and little else.
"""

from functools import lru_cache

import numpy as np
from scipy import sparse


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
        t. The nearer they and mu are to zero, the fewer digits are lost.

    heights : ndarray of shape (n_centres,)
        h, the logarithm of the peak.
    """

    # With d = 1 + p S and w = p / (2 d):
    # log F_np = h_p - sum_q (log d_nq) / 2 - sum_q w_nq (mu_nq - t_pq)^2,
    # the square expanded into one product [-w, -w mu, k, 1] [t^2, -2 t, 1, h]'.
    # Both factors are held by columns, (q, n): numpy is fast along the longer axis.

    def __init__(self, precision, centres, heights):
        self.precision, self._minus_half = precision[:, None], -0.5 * precision[:, None]
        n, q = centres.shape
        self._right = right = np.ones((2 * q + 2, n))
        np.square(centres.T, out=right[:q])
        np.multiply(centres.T, -2.0, out=right[q : 2 * q])
        right[-1] = heights

    def weighed(self, G):
        """What `pull` needs of G = dL/dF (P,), if it is the same for all rows."""
        return self._right[:-2] * G, G

    def rows(self, mu, S, out=None):
        """F (n, P) of mu and S (q, n), and what else `pull` needs.

        F is in the memory of `out` if that is given.
        """
        q, n = mu.shape
        d = S * self.precision
        d += 1.0
        left = np.empty((2 * q + 2, n))
        minus_w, minus_w_mu, k = left[:q], left[q : 2 * q], left[2 * q]
        np.divide(self._minus_half, d, out=minus_w)
        np.multiply(minus_w, mu, out=minus_w_mu)
        np.einsum("qn,qn->n", minus_w_mu, mu, out=k)
        k -= 0.5 * np.log(d, out=d).sum(axis=0)
        left[-1] = 1.0
        F = np.matmul(left.T, self._right, out=out)
        np.exp(F, out=F)
        return F, (mu, left, np.ones(n) @ F)

    def pull(self, F, saved, G=None, weighed=None, sums=True):
        """dmu, dS (q, n) and the sums that `finish` takes, if wanted.

        From G = dL/dF (n, P), or from `weighed` of it, where it is shared by all rows.
        """
        # With g0, g1, g2 = sum_p G_np F_np (1, -2 t_p, t_p^2):
        # dL/dmu = -w (g1 + 2 mu g0), dL/dw = -(mu^2 g0 + mu g1 + g2), dw/dS = -2 w^2
        # and dlog(d)/2 = w dS: dL/dS = -w (g0 - 2 w (mu (mu g0 + g1) + g2)).
        # For the centres the sums over rows of G F (-w, -w mu, 1) suffice.
        mu, left, total = saved
        q, n = mu.shape
        if weighed is None:
            F = F * G
            weighed, total = (self._right[:-2], np.ones(F.shape[1])), np.ones(n) @ F
        moments, g0 = (F @ weighed[0].T).T.copy(), F @ weighed[1]
        g2, g1, minus_w = moments[:q], moments[q:], left[:q]
        dmu = mu * g0
        g1 += dmu
        dmu += g1
        dmu *= minus_w
        dS = g1  # in its memory
        dS *= mu
        dS += g2
        dS *= minus_w
        dS *= 2.0
        dS += g0
        dS *= minus_w
        if not sums:
            return dmu, dS, None
        return dmu, dS, [F.T @ left[:-2].T, total, dS.sum(axis=1), g0.sum()]

    def finish(self, sums, G=None):
        """dp (q,), and dcentres and dheights in one array (q + 1, P), from the sums.

        G is given if it was the same for all rows: the sums do not hold it yet.
        """
        # dw/dp = 2 w^2 / p^2 and dlog(d)/2 = (S w / p) dp, so with d = 1 + p S
        # p^2 dL/dp = -sum_n (dL/dS + p g0 / 2). What cancels here for a small p is
        # small beside g0 in p dL/dp, which is what theta sees.
        columns, total, dS, g0 = sums
        p, q = self.precision[:, 0], len(dS)
        slopes = np.empty((q + 1, len(total)))
        dcentres, columns = slopes[:-1], columns.T.copy()
        np.multiply(self._right[q : 2 * q], columns[:q], out=dcentres)
        columns *= 2.0
        dcentres += columns[q:]
        dcentres *= -1.0
        slopes[-1] = total
        if G is not None:
            slopes *= G
        return -(dS / p + 0.5 * g0) / p, slopes


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
        scaled = np.sqrt(precision) * half
        gram = scaled @ scaled.T
        squares = np.diagonal(gram)
        heights = 2.0 * gram - squares - squares[:, None]
        heights += 2.0 * np.log(scale)
        first, second = pairs.of(half.T)
        first += second
        self.gaussian = GaussianMeans(
            2.0 * precision, first.T, heights[pairs.first, pairs.second]
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
        dp, slopes = self.gaussian.finish(sums, G)
        full = self._pairs.mirror(slopes)
        of_points = full.sum(axis=-1).T  # (m, q + 1)
        pull = of_points[:, -1:] * self._Z - full[-1] @ self._Z
        dZ = 0.5 * (of_points[:, :-1] - self._precision * pull)
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
        dp, slopes = self.gaussian.finish(sums, G)
        dt, dh = slopes[:-1].T, slopes[-1]
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
