"""Expectations of linear functions over Gaussian positions, alone and with Gaussians.

In the parts of `_moments`: prepared once, computed for a chunk of rows, pulled back to
them, and finished with the sums over all of them.
"""

import numpy as np


class Affine:
    """The kernel ``k(x, z) = b + sum_q v_q x_q z_q``.

    Parameters
    ----------
    Z : ndarray of shape (m, q)
        Inducing inputs.

    bias : float
        b.

    variances : ndarray of shape (q,)
        v.

    pairs : Pairs
        Of `Z`.
    """

    # With l_m = <k(x, z_m)> = b + sum_q v_q mu_q z_mq:
    # <k(z, x) k(x, z')> = l l' + sum_q S_q v_q^2 z_q z'_q.

    def __init__(self, Z, bias, variances, pairs):
        self._Z, self.bias, self.variances, self._pairs = Z, bias, variances, pairs
        first, second = Z[pairs.first], Z[pairs.second]
        self._products = first * second  # (P, q)

    def diagonal(self, mu, S):
        """<k(x, x)>."""
        return self.bias + (mu**2 + S) @ self.variances

    def rows(self, mu, S):
        """psi1 (n, m) and psi2 (n, P)."""
        psi1 = self.bias + (mu * self.variances) @ self._Z.T
        first, second = self._pairs.of(psi1)
        psi2 = S @ (self.variances**2 * self._products).T
        psi2 += first * second
        return psi1, psi2

    def pull(self, mu, S, psi1, dpsi0, dpsi1, G):
        """dmu, dS and the sums [dbias, dv, dZ, dL/d(z z')] of the diagonal and all."""
        v, full = self.variances, self._pairs.mirror(G)
        if G.ndim == 1:
            dl = dpsi1 + psi1 @ full
            of_S = np.broadcast_to(G @ self._products, S.shape)
            of_products = np.outer(G, S.sum(axis=0))
        else:
            dl = dpsi1 + np.einsum("nm,nmk->nk", psi1, full)
            of_S = G @ self._products
            of_products = G.T @ S
        dl_Z = dl @ self._Z
        weight = dpsi0[:, None]
        dmu = v * (dl_Z + 2.0 * weight * mu)
        dS = v * (v * of_S + weight)
        dv = np.sum(mu * dl_Z + weight * (mu**2 + S) + 2.0 * v * of_S * S, axis=0)
        dbias = dl.sum() + dpsi0.sum()
        return dmu, dS, [dbias, dv, v * (dl.T @ mu), v**2 * of_products]

    def finish(self, sums):
        """dbias, dv, dZ."""
        dbias, dv, dZ, of_products = sums
        first, second = self._Z[self._pairs.first], self._Z[self._pairs.second]
        dZ = dZ + self._pairs.scatter(of_products * second, of_products * first)
        return dbias, dv, dZ


class Cross:
    """Products of a Gaussian kernel r with an affine one, in both orders.

    Parameters
    ----------
    Z : ndarray of shape (m, q)
        Inducing inputs.

    precision : ndarray of shape (q,)
        p, one over the Gaussian kernel's squared length scales.

    affine : Affine
        The other.

    pairs : Pairs
        Of `Z`.
    """

    # Under the Gaussian k_r(x, z) N(x | mu, S) / F, F = <k_r(x, z)>, the mean of x is
    # mu + t (z - mu), t = p S / (1 + p S), so that
    # <k_r(x, z) k_a(x, z')> = F(z) (a(z') + sum_q t_q v_q z_q z'_q),
    # a(z') = b + sum_q (1 - t_q) mu_q v_q z'_q; with h for the last sum, packed and in
    # both orders: (F_i + F_j) h_ij + F_i a_j + F_j a_i.

    def __init__(self, Z, precision, affine, pairs):
        self._Z, self._precision, self._pairs = Z, precision, pairs
        self._affine = affine
        self._products = Z[pairs.first] * Z[pairs.second]

    def rows(self, mu, S, F):
        """psi2 (n, P), and what `pull` needs."""
        d = 1.0 + S * self._precision
        t = 1.0 - 1.0 / d
        v = self._affine.variances
        a = self._affine.bias + (mu * (v / d)) @ self._Z.T
        h = (t * v) @ self._products.T
        (F_i, F_j), (a_i, a_j) = self._pairs.of(F), self._pairs.of(a)
        return (F_i + F_j) * h + F_i * a_j + F_j * a_i, (mu, S, F, d, a, h)

    def pull(self, saved, G):
        """dmu, dS, dF (n, m) and the sums [dp, dbias, dv, dZ, dL/d(z z')]."""
        # With t = 1 - 1 / d, d = 1 + p S: dt/dS = p / d^2, dt/dp = S / d^2.
        mu, S, F, d, a, h = saved
        v = self._affine.variances
        full = self._pairs.mirror(G)
        if G.ndim == 1:
            dF, da = a @ full, F @ full
        else:
            dF = np.einsum("nmk,nk->nm", full, a)
            da = np.einsum("nm,nmk->nk", F, full)
        dF += self._pairs.mirror(G * h).sum(axis=-1)
        F_i, F_j = self._pairs.of(F)
        dh = G * (F_i + F_j)
        da_Z, dh_Z = da @ self._Z, dh @ self._products
        t = 1.0 - 1.0 / d
        dmu = v / d * da_Z
        dt = v * (dh_Z - mu * da_Z)
        dS = dt * self._precision / d**2
        dp = np.sum(dt * S / d**2, axis=0)
        dv = np.sum(mu / d * da_Z + t * dh_Z, axis=0)
        dZ = v * (da.T @ (mu / d))
        return dmu, dS, dF, [dp, da.sum(), dv, dZ, dh.T @ (t * v)]

    def finish(self, sums):
        """dp, dbias, dv, dZ."""
        dp, dbias, dv, dZ, of_products = sums
        first, second = self._Z[self._pairs.first], self._Z[self._pairs.second]
        dZ = dZ + self._pairs.scatter(of_products * second, of_products * first)
        return dp, dbias, dv, dZ
