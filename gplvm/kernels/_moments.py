"""Expectations of Gaussian functions over Gaussian positions, with their calculus.

A row's position is x_n ~ N(mu_n, diag S_n). What is prepared once for all rows
(`__init__`), what is computed for a chunk of rows (`GaussianRows`, `values`, `totals`),
what leads back to these rows (`moments`, `GaussianRows.pull`) and what is done once
with the sums over all of them (`finish`, `pull_precisions`) stand apart, so that a
chunk costs its exponentials and three matrix products and little else.
"""

from functools import cached_property, lru_cache

import numpy as np
from scipy import sparse

from gplvm.kernels._thin import (
    LINE,
    PIECE_ROWS,
    SMALL,
    in_lines,
    multiply_columns,
    multiply_rows,
    whole_lines,
)

# A chunk's functions are made and used in tiles of about so many. Half as many would
# stay in cache, but a thread may have to wait for the interpreter after each operation
# on a tile: two threads lose more by that.
_TILE = 5 * 2**16


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
        self._lower = self.first * m + self.second
        self._weights = np.where(self.first == self.second, 1.0, 2.0)
        self._is_first = sparse.csr_array((ones, (self.first, numbers)), shape)
        self._is_second = sparse.csr_array((ones, (self.second, numbers)), shape)

    def pack(self, G):
        """The gradient (P,) of packed entries from that of a whole symmetric matrix."""
        return self.lower(G) * self._weights

    def lower(self, G):
        """The entries (P,) of a matrix (M, M)."""
        return _take(G.ravel(), self._lower)

    def unpack(self, packed):
        """The symmetric matrix (M, M) of packed entries."""
        return packed[self.full]

    def whole(self, packed):
        """The symmetric matrix of which `pack` makes these."""
        return self.unpack(packed / self._weights)

    def outer(self, vectors):
        """Entries (n, P) of n matrices v v' for v of (n, M), as `pack` weighs them."""
        first, second = self.of(vectors)
        products = first * second
        products *= self._weights
        return products

    def of(self, column):
        """``column[..., i]`` and ``column[..., j]`` of all pairs."""
        return _take(column, self.first), _take(column, self.second)

    def mirror(self, G):
        """(..., P) -> (..., M, M): to both triangles, and twice to the diagonal.

        It is the adjoint of ``X -> X_ij + X_ji`` packed.
        """
        full = _take(G, self.full)
        np.einsum("...mm->...m", full)[...] *= 2.0
        return full

    def scatter(self, of_first, of_second):
        """Sums (M, q) of what belongs to the pairs' members, (P, q) each."""
        return self._is_first @ of_first + self._is_second @ of_second


def _take(array, indices):
    # The indices are ours: with "clip" numpy does not check them first.
    return np.take(array, indices, -1, mode="clip")


# With p the precisions, d = 1 + p S and w = p / (2 d),
# log F_np = h_p - sum_q (log d_nq) / 2 - sum_q w_nq (mu_nq - t_pq)^2,
# the square expanded into one product [-w, -w mu, 1, k] [t^2, -2 t, h, 1]'.
# Both factors are held by columns, (q, n): numpy is fast along the longer axis. The
# left ones of several functions are made together: small operations cost their calls.


class GaussianRows:
    """What G Gaussian functions take of rows' positions, and give back to them.

    Parameters
    ----------
    precisions : ndarray of shape (G, q)
        p, of the functions.

    mu, S : ndarray of shape (q, n)
        Means and variances of the positions.

    Attributes
    ----------
    left : ndarray of shape (G, 2 * q + 2, n)
        Left factors of the functions' logarithms.

    moments : ndarray of shape (G, n, 2 * q + 1)
        Memory for those of each function, from which `pull` leads back; None before
        `make_room`.
    """

    def __init__(self, precisions, mu, S):
        q, n = mu.shape
        self._mu, self.left = mu, np.empty((len(precisions), 2 * q + 2, n))
        self.moments = None
        minus_w, minus_w_mu = self.left[:, :q], self.left[:, q : 2 * q]
        k = self.left[:, -1]
        p = precisions[:, :, None]
        d = p * S
        d += 1.0
        np.divide(-0.5 * p, d, out=minus_w)
        np.multiply(minus_w, mu, out=minus_w_mu)
        np.einsum("gqn,qn->gn", minus_w_mu, mu, out=k)
        k -= 0.5 * np.log(d, out=d).sum(axis=1)
        self.left[:, -2] = 1.0

    def make_room(self):
        """For the moments, of which rows that are kept have no need before `pull`."""
        n_functions, n_factors, n = self.left.shape
        self.moments = np.empty((n_functions, n, n_factors - 1))

    def pull(self, functions=slice(None)):
        """dmu, dS (q, n), and sums (G, q + 1) of the rows for `pull_precisions`.

        From the moments of all the functions, or of some.
        """
        # With g0, g1, g2 = sum_p G_np F_np (1, -2 t_p, t_p^2):
        # dL/dmu = -w (g1 + 2 mu g0), dL/dw = -(mu^2 g0 + mu g1 + g2), dw/dS = -2 w^2
        # and dlog(d)/2 = w dS: dL/dS = -w (g0 - 2 w (mu (mu g0 + g1) + g2)).
        mu, q = self._mu, len(self._mu)
        moments = self.moments[functions].swapaxes(1, 2).copy()
        g2, g1, g0 = moments[:, :q], moments[:, q:-1], moments[:, -1:]
        minus_w = self.left[functions, :q]
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
        sums = np.concatenate([dS.sum(axis=-1), g0.sum(axis=-1)], axis=1)
        return dmu.sum(axis=0), dS.sum(axis=0), sums


def pull_precisions(precisions, of_rows):
    """dp (G, q) of centres and heights that stay, from sums of `GaussianRows.pull`."""
    # dw/dp = 2 w^2 / p^2 and dlog(d)/2 = (S w / p) dp, so with d = 1 + p S
    # p^2 dL/dp = -sum_n (dL/dS + p g0 / 2). What cancels here for a small p is
    # small beside g0 in p dL/dp, which is what theta sees.
    return -(of_rows[:, :-1] / precisions + 0.5 * of_rows[:, -1:]) / precisions


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

    def __init__(self, precision, centres, heights):
        self.precision = precision
        n, q = centres.shape
        # Functions are made in whole cache lines: of the zeros behind, ones.
        self._padded = in_lines(2 * q + 2, whole_lines(n))
        self._padded[:, n:] = 0.0
        self._right = right = self._padded[:, :n]
        np.square(centres.T, out=right[:q])
        np.multiply(centres.T, -2.0, out=right[q : 2 * q])
        right[-2], right[-1] = heights, 1.0

    @cached_property
    def plain(self):
        """What `moments` takes for functions that are weighed already."""
        return self.weighed(1.0)

    def weighed(self, G):
        """What `moments` takes for G = dL/dF (P,) that is the same for all rows."""
        k, n = len(self._right) - 1, self._right.shape[1]
        weights = in_lines(n, whole_lines(k))[:, :k]
        weights[:, :-1] = (self._right[:-2] * G).T
        weights[:, -1] = G
        return weights

    def values(self, left, out=None):
        """F (n, P) of rows with these factors, in the memory of `out` if given.

        That is of ``whole_lines(P)`` columns, and begins with a cache line.
        """
        F = in_lines(left.shape[1], self._padded.shape[1]) if out is None else out
        for tile in self._tiles(left):
            self._fill(left, tile, F[tile])
        return F[:, : self._right.shape[1]]

    # OpenBLAS multiplies an even number of rows faster than one row less: the sums are
    # made with all factors, and the last one's dropped.

    def totals(self, left, out=None):
        """sum_n F_np [-w_n, -w_n mu_n, 1], (2 q + 1, P), and F in `out` if given.

        The last row is F summed over the rows; `finish` needs the others too.
        """
        # Each tile is summed while it is in cache.
        sums = np.zeros(self._right.shape)
        for rows, columns in self._tiles(left):
            F = self._fill(
                left, (rows, columns), None if out is None else out[rows, columns]
            )
            sums[:, columns] += multiply_columns(left[:, rows], F)
        return sums[:-1]

    def sums(self, left, F):
        """`totals` of functions F (n, P) that are there already."""
        return multiply_columns(left, F)[:-1]

    def moments(self, left, weighed, out, F=None):
        """sum_p G_np F_np [t_p^2, -2 t_p, 1] in `out` (n, 2 q + 1), for `weighed` of G.

        Without F (n, P) it is made anew, tile by tile.
        """
        for rows, columns in self._tiles(left, None if F is None else F.size):
            if F is None:
                part = self._fill(left, (rows, columns))
            else:
                part = F[rows, columns][:, : len(weighed) - columns.start]
            if columns.start == 0:
                multiply_rows(part, weighed[columns], out[rows])
            else:
                some = np.empty((len(part), weighed.shape[1]))
                out[rows] += multiply_rows(part, weighed[columns], some)

    def finish(self, totals, G=None):
        """dcentres and dheights in one array (q + 1, P), from the sums over all rows.

        From `totals` of G F, or of F with a G (P,) that was the same for all rows.
        """
        # dL/dt = 2 sum_n G F w (mu - t), and for the heights sum_n G F.
        q = len(self.precision)
        slopes = np.empty((q + 1, totals.shape[1]))
        dcentres = slopes[:-1]
        np.multiply(self._right[q : 2 * q], totals[:q], out=dcentres)
        dcentres += 2.0 * totals[q : 2 * q]
        dcentres *= -1.0
        slopes[-1] = totals[-1]
        if G is not None:
            slopes *= G
        return slopes

    def _tiles(self, left, entries=None):
        """Slices of rows and of centres, of about so many functions."""
        n, (size, n_centres) = left.shape[1], self._right.shape
        most = max(1, SMALL // (PIECE_ROWS * size * LINE)) * LINE
        width = min(self._padded.shape[1], most)
        n_tiles = max(1, round(n * width / (entries or _TILE)))
        height = max(1, -(-n // (n_tiles * PIECE_ROWS))) * PIECE_ROWS
        for first in range(0, n_centres, width):
            columns = slice(first, first + width)
            for start in range(0, n, height):
                yield slice(start, start + height), columns

    def _fill(self, left, tile, out=None):
        rows, columns = tile
        A, B = left[:, rows].T, self._padded[:, columns]
        if out is None:
            out = in_lines(len(A), B.shape[1])
        np.exp(multiply_rows(A, B, out), out=out)
        return out[:, : self._right.shape[1] - columns.start]


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
        first, second = pairs.of(half.T.copy())
        first += second
        self.gaussian = GaussianMeans(2.0 * precision, first.T, pairs.lower(heights))

    def gather(self, F):
        """The packed entries, from the last axis of the functions."""
        return F

    def spread(self, G):
        """The functions' gradient, from that of the packed entries."""
        return G

    def finish(self, totals, G=None):
        """dr (q,), of heights alone, and dZ (m, q)."""
        # The heights' part: sum_p h_p u_p (e_i - e_j), u = z - z', is a Laplacian's.
        slopes = self.gaussian.finish(totals, G)
        full = self._pairs.mirror(slopes)
        of_points = (full @ np.ones(len(self._Z))).T  # (m, q + 1)
        pull = of_points[:, -1:] * self._Z - full[-1] @ self._Z
        dZ = 0.5 * (of_points[:, :-1] - self._precision * pull)
        return -0.25 * np.einsum("mq,mq->q", self._Z, pull), dZ


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

    def gather(self, F):
        """The packed entries, from the last axis of the functions."""
        m, i, j = len(self._pairs.full), self._pairs.first, self._pairs.second
        return _take(F, i * m + j) + _take(F, j * m + i)

    def spread(self, G):
        """The functions' gradient, from that of the packed entries."""
        return self._pairs.mirror(G).reshape(*G.shape[:-1], self._pairs.full.size)

    def finish(self, totals, G=None):
        """da, db (q,), of centres and heights alone, and dZ (m, q)."""
        # dt/da = (b / p^2) u, dt/db = -(a / p^2) u; for the height -(a b / p) u^2 / 2:
        # d(a b / p)/da = (b / p)^2, and in z and z' -+ (a b / p) u.
        G = None if G is None else self.spread(G)
        slopes = self.gaussian.finish(totals, G)
        dt, dh = slopes[:-1].T, slopes[-1]
        a, b, u = self._a, self._b, self._u
        p = a + b
        slope = np.einsum("pq,pq->q", dt, u) / p
        square = 0.5 * (dh @ u**2)
        da = (b / p) * slope - (b / p) ** 2 * square
        db = -(a / p) * slope - (a / p) ** 2 * square
        of_height = (a * b / p) * u * dh[:, None]
        m, q = len(self._pairs.full), u.shape[1]
        dZ = ((a / p) * dt - of_height).reshape(m, m, q).sum(axis=1)
        dZ += ((b / p) * dt + of_height).reshape(m, m, q).sum(axis=0)
        return da, db, dZ
