"""Expectations of covariances over Gaussian latent positions: the psi statistics.

A row's position is x_n ~ N(mu_n, diag S_n). The Bayesian GP-LVM needs of each row
psi0_n = <k(x_n, x_n)>, psi1_nm = <k(x_n, z_m)> and the products
psi2_nmm' = <k(z_m, x_n) k(x_n, z_m')>. They have closed forms where a kernel is a sum
of Gaussian and linear functions with variances; such kernels are brought to the form

    k(x, z) = b + sum_q v_q x_q z_q + sum_i c_i exp(-sum_q r_iq (x_q - z_q)^2 / 2)

whatever their composition, and the gradients of b, v, c and r lead back to theta.

References
----------
.. [1] M. K. Titsias and N. D. Lawrence, "Bayesian Gaussian Process Latent Variable
   Model", AISTATS 2010.
.. [2] A. C. Damianou, M. K. Titsias and N. D. Lawrence, "Variational Inference for
   Latent Variables and Uncertain Inputs in Gaussian Processes", JMLR 17, 2016.
"""

from functools import cached_property, lru_cache
from itertools import combinations, repeat

import numpy as np
from sklearn.gaussian_process import kernels as sk

from gplvm._validation import NOT_OF_ORDER_ONE, finite_or_refused, takes_arrays
from gplvm.kernels._affine_moments import Affine, Cross
from gplvm.kernels._form import SUPPORTED, Form, all_of, terms_of
from gplvm.kernels._moments import (
    GaussianMeans,
    GaussianProducts,
    GaussianRows,
    GaussianSquares,
    pairs_of,
    pull_precisions,
)
from gplvm.kernels.covariance import check_inputs, check_kernel

_FARTHEST = 1e7  # position that Gaussians can be told apart from, in length scales


def check_expectations(kernel, n_components):
    """Raise if a kernel's expectations have no closed form here.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        The kernel, of any depth.

    n_components : int
        Number of latent dimensions, q.

    Raises
    ------
    TypeError
        If `kernel` is not a scikit-learn kernel.

    NotImplementedError
        If it is not supported; the message names what is.

    ValueError
        If an anisotropic hyperparameter has not `n_components` entries.

    See Also
    --------
    evaluate_expectations : The expectations.
    check_kernel : Whether a kernel has covariances, which far more have.

    Examples
    --------
    >>> from sklearn.gaussian_process.kernels import RBF, Matern
    >>> from gplvm.kernels import check_expectations
    >>> check_expectations(RBF([1.0, 2.0]), n_components=2)
    >>> check_expectations(Matern(), n_components=2)
    Traceback (most recent call last):
    ...
    NotImplementedError: Matern(length_scale=1, nu=1.5) has no expectations. ...
    """
    if isinstance(kernel, sk.Kernel) and not isinstance(kernel, type):
        terms, _ = terms_of(kernel)  # what has no covariances has no expectations
        if all_of(sk.WhiteKernel, terms):
            raise NotImplementedError(
                f"{kernel!r} has only noise, and no latent functions. {SUPPORTED}"
            )
    check_kernel(kernel, n_components)


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(mu=2, S=2, Z=2)
def evaluate_expectations(kernel, mu, S, Z):
    """The psi statistics of some rows, and their pullback.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        A kernel that `check_expectations` accepts. The noise of a `WhiteKernel` is in
        psi0 only, as in `diagonal`.

    mu : ndarray of shape (n, q)
        Means of the positions.

    S : ndarray of shape (n, q)
        Their variances, not negative; 0 is a point.

    Z : ndarray of shape (m, q)
        Inducing inputs.

    Returns
    -------
    psi0 : ndarray of shape (n,)
        <k(x_n, x_n)>.

    psi1 : ndarray of shape (n, m)
        <k(x_n, z_m)>.

    psi2 : ndarray of shape (n, m * (m + 1) / 2)
        <k(z_i, x_n) k(x_n, z_j)>, j <= i, in the order of ``np.tril_indices(m)``.

    pullback : callable
        ``pullback(dpsi0, dpsi1, dpsi2)`` with dL/dpsi0 (n,), dL/dpsi1 (n, m) and
        dL/dpsi2, of the packed entries, either (n, P) or (P,) if it is the same for all
        rows: (dL/dtheta, dL/dmu, dL/dS, dL/dZ), theta being the free
        log-hyperparameters in the order of ``kernel.theta``.

    Raises
    ------
    ValueError
        If shapes do not fit, an input is not finite or far beyond the length scales, or
        a result is not finite.

    NotImplementedError
        If the kernel has no expectations.

    See Also
    --------
    check_expectations : Which kernels are supported.
    evaluate : The covariances themselves, which are the limit S = 0.

    References
    ----------
    M. K. Titsias and N. D. Lawrence, "Bayesian Gaussian Process Latent Variable
    Model", AISTATS 2010, equations 18 to 20.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.gaussian_process.kernels import RBF
    >>> from gplvm.kernels import evaluate_expectations
    >>> mu, S, Z = np.array([[0.0]]), np.array([[3.0]]), np.array([[0.0], [1.0]])
    >>> psi0, psi1, psi2, pullback = evaluate_expectations(RBF(1.0), mu, S, Z)
    >>> psi0, psi1.round(3), psi2.round(3)
    (array([1.]), array([[0.5  , 0.441]]), array([[0.378, 0.284, 0.328]]))
    """
    check_expectations(kernel, mu.shape[1])
    if mu.shape != S.shape or mu.shape[1] != Z.shape[1]:
        raise ValueError(
            f"mu, S and Z have shapes {mu.shape}, {S.shape} and {Z.shape}, expected "
            "twice (n, q), and (m, q)"
        )
    check_inputs(mu, S, Z)
    expectations = Expectations(kernel, Z)
    rows = expectations.rows(mu, S)

    def pullback(dpsi0, dpsi1, dpsi2):
        weighed = expectations.weighed(dpsi2) if dpsi2.ndim == 1 else None
        dmu, dS, sums = rows.pull(dpsi0, dpsi1, dpsi2, weighed)
        of_products = None
        if weighed is not None:
            of_products = expectations.finish_products(rows.sums(), dpsi2)
        dtheta, dZ = expectations.finish(sums, of_products)
        return dtheta, dmu, dS, dZ

    return rows.psi0, rows.psi1, rows.psi2, pullback


@lru_cache(maxsize=8)
def _products_of(n_gaussians):
    """Couples of Gaussians, and the functions' powers of the Gaussians.

    The functions are the Gaussians, their squares, and their products with each other:
    their precisions and the logarithms of their heights are the Gaussians' times these
    powers (n_functions, n_gaussians), whose transpose leads back.
    """
    couples, once = list(combinations(range(n_gaussians), 2)), np.eye(n_gaussians)
    of_couples = [once[i] + once[j] for i, j in couples]
    powers = np.array([*once, *2.0 * once, *of_couples])
    return couples, powers.reshape(2 * n_gaussians + len(couples), n_gaussians)


class Expectations:
    """The psi statistics at given inducing inputs, chunk of rows by chunk of rows.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        A kernel that `check_expectations` accepts.

    Z : ndarray of shape (m, q)
        Inducing inputs.

    theta : ndarray, default=None
        Free log-hyperparameters, instead of those of the kernel.
    """

    def __init__(self, kernel, Z, theta=None):
        self.form = Form(kernel, Z.shape[1], theta)
        self.pairs = pairs = pairs_of(len(Z))
        gaussians = self.form.gaussians
        # Gaussians know distances only: centred, these lose fewest digits.
        self.origin = Z.sum(axis=0) / max(len(Z), 1)
        centred = Z - self.origin
        self.means = [
            GaussianMeans(r, centred, np.full(len(Z), np.log(c))) for c, r in gaussians
        ]
        self.squares = [GaussianSquares(centred, c, r, pairs) for c, r in gaussians]
        self.couples, self.powers = _products_of(len(gaussians))
        self.products = self.squares + [
            GaussianProducts(
                centred, *zip(gaussians[i], gaussians[j], strict=True), pairs
            )
            for i, j in self.couples
        ]
        precisions = np.array([r for _, r in gaussians])
        precisions = precisions.reshape(len(gaussians), Z.shape[1])
        self.precisions = self.powers @ precisions
        # Beyond so many length scales from their origin, expanded squares of distances
        # have no digits left, and no expectation is better than a wrong one.
        with np.errstate(divide="ignore"):
            self.farthest = _FARTHEST / np.sqrt(precisions.max(axis=0, initial=0.0))
        self.farthest = self.farthest[:, None]
        self.affine, self.crosses = None, []
        if self.form.has_affine:
            self.affine = Affine(Z, self.form.bias, self.form.variances, pairs)
            self.crosses = [Cross(Z, r, self.affine, pairs) for _, r in gaussians]

        self.shape, self.n_pairs = Z.shape, len(pairs.first)
        # (n, P) arrays, about, that the statistics of n rows hold for their pullback:
        # where psi2 is wanted row by row, two for each couple of Gaussians too.
        self.n_arrays = 1 + len(self.crosses)
        self.n_arrays_by_row = max(1, len(self.squares) + 2 * len(self.couples)) + len(
            self.crosses
        )

    def rows(self, mu, S, out=None):
        """The statistics of a chunk of rows.

        `out` (n, whole_lines(P)) is memory that `psi2` or `totals` fill, and `pull`
        then reads.
        """
        return _Rows(self, mu, S, out)

    def weighed(self, dpsi2):
        """What `_Rows.pull` needs of a dpsi2 (P,) that all the rows share."""
        return [
            products.gaussian.weighed(products.spread(dpsi2))
            for products in self.products
        ]

    def psi2_total(self, totals):
        """psi2 summed over all rows (P,), from the sums of `_Rows.totals`."""
        parts = [
            products.gather(total[-1])
            for products, total in zip(self.products, totals, strict=False)
        ]
        parts += totals[len(parts) :]
        return sum(parts[1:], parts[0])

    def finish_products(self, totals, dpsi2=None):
        """What `finish` takes, from `_Rows.totals` of all rows with one dpsi2 (P,).

        dL/dprecisions (n_gaussians, q), of centres and heights alone, and dL/dZ.
        Without `dpsi2` the totals are of the weighed functions.
        """
        dprecisions, dZ = np.zeros((len(self.means), self.shape[1])), 0.0
        for i, squares in enumerate(self.squares):
            dr, dZ_part = squares.finish(totals[i], dpsi2)
            dprecisions[i] += dr
            dZ = dZ + dZ_part
        for place, (i, j) in enumerate(self.couples, len(self.squares)):
            da, db, dZ_part = self.products[place].finish(totals[place], dpsi2)
            dprecisions[i] += da
            dprecisions[j] += db
            dZ = dZ + dZ_part
        return dprecisions, dZ

    def finish(self, sums, of_products=None, of_covariance=(0.0, 0.0, 0.0, 0.0, 0.0)):
        """dL/dtheta and dL/dZ from the sums of `_Rows.pull` over all the rows.

        If these had the same dpsi2, with what `finish_products` returned. What a
        pullback of `Form.covariance` returned is added.
        """
        position = 2
        dZ, dbias, dvariances, dscales, dprecisions = of_covariance

        def take(n):
            nonlocal position
            position += n
            return sums[position - n : position]

        of_means = take(len(self.means))
        if of_products is None:
            of_products = self.finish_products(take(len(self.products)))
        dprecisions = dprecisions + of_products[0]
        dZ = dZ + of_products[1]
        for means, totals in zip(self.means, of_means, strict=True):
            dZ = dZ + means.finish(totals)[:-1].T
        of_rows, powers = sums[1], self.powers.T
        dprecisions = dprecisions + powers @ pull_precisions(self.precisions, of_rows)
        if self.affine is not None:
            parts = [self.affine.finish(take(4))]
            for i, cross in enumerate(self.crosses):
                dp, *part = cross.finish(take(5))
                dprecisions[i] += dp
                parts.append(part)
            for dbias_part, dv_part, dZ_part in parts:
                dbias, dvariances = dbias + dbias_part, dvariances + dv_part
                dZ = dZ + dZ_part
        dscales = dscales + powers @ of_rows[:, -1]
        dtheta = self.form.pull(sums[0], dbias, dvariances, dscales, dprecisions)
        return dtheta, dZ


class _Rows:
    """The psi statistics of a chunk of rows; see `evaluate_expectations`."""

    def __init__(self, expectations, mu, S, out):
        self._expectations, self._mu, self._S = expectations, mu, S
        by_column = (mu - expectations.origin).T.copy()
        too_far = np.abs(by_column) > expectations.farthest
        if too_far.any():
            by_column[too_far] = np.nan
        self._gaussian = GaussianRows(expectations.precisions, by_column, S.T.copy())
        left = self._gaussian.left[len(expectations.means) :]
        self._products = list(zip(expectations.products, left, strict=True))
        # The functions that make psi2, or memory for them, which `totals` fill too.
        self._functions = [None] * len(self._products)
        if self._products:
            self._functions[0] = out
        self._are_made = [False] * len(self._products)
        self.psi0 = np.full(len(mu), expectations.form.constant_variance)
        self._affine_psi1, self._affine_psi2 = [], []
        if expectations.affine is not None:
            self.psi0 += expectations.affine.diagonal(mu, S)
            psi1, psi2 = expectations.affine.rows(mu, S)
            crosses = [
                cross.rows(mu, S, F)
                for cross, F in zip(expectations.crosses, self._terms, strict=True)
            ]
            self._crosses = [saved for _, saved in crosses]
            self._affine_psi1 = [psi1]
            self._affine_psi2 = [psi2, *(psi2 for psi2, _ in crosses)]

    @cached_property
    def _terms(self):
        """The Gaussian functions that make psi1."""
        left = self._gaussian.left
        return [
            means.values(left[i]) for i, means in enumerate(self._expectations.means)
        ]

    @cached_property
    def psi1(self):
        """Row by row (n, m)."""
        parts = self._terms + self._affine_psi1
        return sum(parts[1:], parts[0])

    @property
    def psi2(self):
        """Row by row (n, P)."""
        parts = [
            products.gather(self._whole(i))
            for i, (products, _) in enumerate(self._products)
        ]
        parts += self._affine_psi2
        return sum(parts[1:], parts[0])

    def _whole(self, i):
        if not self._are_made[i]:
            products, left = self._products[i]
            self._functions[i] = products.gaussian.values(left, self._functions[i])
            self._are_made[i] = True
        return self._functions[i]

    def totals(self, rows=slice(None)):
        """Sums over some rows, which may be added up, for `Expectations.psi2_total`.

        Where dpsi2 is the same for all rows, `Expectations.finish` takes them too.
        """
        totals = [
            products.gaussian.totals(left[:, rows], None if F is None else F[rows])
            for (products, left), F in zip(self._products, self._functions, strict=True)
        ]
        return totals + [psi2[rows].sum(axis=0) for psi2 in self._affine_psi2]

    def sums(self):
        """`totals` of all the rows after `psi2`."""
        totals = [
            products.gaussian.sums(left, self._whole(i))
            for i, (products, left) in enumerate(self._products)
        ]
        return totals + [psi2.sum(axis=0) for psi2 in self._affine_psi2]

    def make_room(self):
        """Before `pull_shared`, once."""
        self._gaussian.make_room()

    def pull_shared(self, weighed, rows=slice(None)):
        """The part of `pull` that a dpsi2 (P,) of all rows has, for some of them."""
        moments = self._gaussian.moments[len(self._expectations.means) :]
        for i, (products, left) in enumerate(self._products):
            F = self._functions[i]
            products.gaussian.moments(
                left[:, rows],
                weighed[i],
                moments[i][rows],
                None if F is None else F[rows],
            )

    def pull_psi1(self, dpsi1):
        """The part of `pull` that psi1 has, where the kernel has Gaussians only.

        It needs `make_room`, and `gather` takes what it returns.
        """
        means = self._expectations.means
        of_centres = self._weigh(zip(means, self._terms, repeat(dpsi1), strict=False))
        return self._gaussian.pull(slice(0, len(means))), of_centres

    def _weigh(self, functions, sums=True):
        """Moments of functions (Gaussian, F, dL/dF), and sums over the rows."""
        of_centres = []
        for i, (gaussian, F, G) in enumerate(functions):
            left, F = self._gaussian.left[i], F * G
            gaussian.moments(left, gaussian.plain, self._gaussian.moments[i], F)
            if sums:
                of_centres.append(gaussian.sums(left, F))
        return of_centres

    def gather(self, dpsi0, of_psi1):
        """What `pull` returns, after `pull_psi1`, and `pull_shared` for all rows."""
        (dmu, dS, of_means), of_centres = of_psi1
        dmu_part, dS_part, of_products = self._gaussian.pull(slice(len(of_means), None))
        of_rows = np.concatenate([of_means, of_products])
        sums = [dpsi0.sum(), of_rows, *of_centres]
        return (dmu + dmu_part).T, (dS + dS_part).T, sums

    def pull(self, dpsi0, dpsi1, dpsi2, weighed=None, sums=True):
        """dmu, dS (n, q), and sums for `Expectations.finish`, which may be added up.

        `weighed` is that of a dpsi2 (P,) shared by all rows; else dpsi2 is (n, P).
        Without `sums` there is less to do.
        """
        self.make_room()
        if weighed is not None:
            self.pull_shared(weighed)
        expectations = self._expectations
        dmeans = [dpsi1] * len(self._terms)
        parts, of_affine = [], []
        if expectations.affine is not None:
            *part, affine_sums = expectations.affine.pull(
                self._mu, self._S, *self._affine_psi1, dpsi0, dpsi1, dpsi2
            )
            parts.append(part)
            of_affine += affine_sums
            for i, cross in enumerate(expectations.crosses):
                *part, dF, cross_sums = cross.pull(self._crosses[i], dpsi2)
                dmeans[i] = dpsi1 + dF
                parts.append(part)
                of_affine += cross_sums

        functions = list(zip(expectations.means, self._terms, dmeans, strict=True))
        if dpsi2.ndim == 2:
            functions += [
                (products.gaussian, self._whole(i), products.spread(dpsi2))
                for i, (products, _) in enumerate(self._products)
            ]
        of_centres = self._weigh(functions, sums)
        dmu, dS, of_rows = self._gaussian.pull()
        parts.append((dmu.T, dS.T))
        dmu, dS = (sum(part[1:], part[0]) for part in zip(*parts, strict=True))
        if not sums:
            return dmu, dS, None
        return dmu, dS, [dpsi0.sum(), of_rows, *of_centres, *of_affine]
