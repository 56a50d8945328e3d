"""Kernels as one sum of a constant, a linear and Gaussian functions.

    k(x, z) = b + sum_q v_q x_q z_q + sum_i c_i exp(-sum_q r_iq (x_q - z_q)^2 / 2)

A kernel object is taken apart into terms, which are leaves times constants, and the
gradients of b, v, c and r lead back to its theta.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from sklearn.gaussian_process import kernels as sk

from gplvm.kernels._linear_kernel import Linear

SUPPORTED = (
    "Kernels with expectations are RBF, Linear, DotProduct(sigma_0=0, "
    'sigma_0_bounds="fixed"), ConstantKernel, their products with ConstantKernels, '
    "sums of all these, and WhiteKernel as a part of such a sum."
)


class _Term(NamedTuple):
    """A leaf of the kernel, times constants.

    `factor` is their product and `slope` its gradient with respect to theta, by place.
    `places` are those of the leaf's own hyperparameters in theta, none if they are
    fixed, and `values` (q,), or one for all, what the leaf is made of.
    """

    kind: type
    factor: float
    slope: dict
    places: slice
    values: np.ndarray


# The hyperparameter of each kind of leaf.
_NAMES = {
    sk.RBF: "length_scale",
    Linear: "variances",
    sk.DotProduct: "sigma_0",
    sk.ConstantKernel: "constant_value",
    sk.WhiteKernel: "noise_level",
}


def terms_of(kernel, start=0, theta=None):
    """The kernel as a list of terms that are to be added, and where theta goes on.

    `theta` stands for ``kernel.theta`` if it is given; to set that takes far longer.
    """
    kind = type(kernel)
    if kind in (sk.Sum, sk.Product):
        first, middle = terms_of(kernel.k1, start, theta)
        second, end = terms_of(kernel.k2, middle, theta)
        if kind is sk.Sum:
            return first + second, end
        if not all_of(sk.ConstantKernel, first):
            first, second = second, first
        white = any(term.kind is sk.WhiteKernel for term in second)
        if white or not all_of(sk.ConstantKernel, first):
            raise NotImplementedError(f"{kernel!r} has no expectations. {SUPPORTED}")
        factor, slope = sum(term.factor for term in first), {}
        for term in first:
            for place, value in term.slope.items():
                slope[place] = slope.get(place, 0.0) + value
        return [_times(factor, slope, term) for term in second], end
    name = _NAMES.get(kind)
    if name is None:
        raise NotImplementedError(f"{kernel!r} has no expectations. {SUPPORTED}")
    values = np.asarray(getattr(kernel, name), dtype=float)
    fixed = isinstance(getattr(kernel, f"{name}_bounds"), str)
    if kind is sk.DotProduct and not (fixed and kernel.sigma_0 == 0):
        raise NotImplementedError(f"{kernel!r} has no expectations. {SUPPORTED}")
    places = slice(start, start + (0 if fixed else values.size))
    if theta is not None and not fixed:
        values = np.exp(theta[places]).reshape(values.shape)
    if kind is sk.ConstantKernel:
        factor = float(values)
        slope = {} if fixed else {start: factor}
        return [_Term(kind, factor, slope, slice(0, 0), values)], places.stop
    return [_Term(kind, 1.0, {}, places, values)], places.stop


def _times(factor, slope, term):
    """A term multiplied by constants, of which `slope` is the gradient."""
    total = {place: factor * value for place, value in term.slope.items()}
    for place, value in slope.items():
        total[place] = total.get(place, 0.0) + value * term.factor
    return term._replace(factor=factor * term.factor, slope=total)


def all_of(kind, terms):
    return all(term.kind is kind for term in terms)


class Form:
    """b, v, c and r of a kernel, and the way back from their gradients to theta.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        A kernel that `check_expectations` accepts.

    q : int
        Number of latent dimensions.

    theta : ndarray, default=None
        Free log-hyperparameters, instead of those of the kernel.
    """

    def __init__(self, kernel, q, theta=None):
        self._terms, self._n_theta = terms_of(kernel, theta=theta)
        constants = self._of(sk.ConstantKernel)
        self._linear = self._of(Linear, sk.DotProduct)
        self._rbf, self._white = self._of(sk.RBF), self._of(sk.WhiteKernel)
        self.bias = float(sum(term.factor for term in constants))
        self.variances = np.zeros(q)
        for term in self._linear:
            self.variances = self.variances + term.factor * _variances(term)
        self.has_affine = bool(constants or self._linear)
        self.gaussians = [
            (term.factor, np.ones(q) / np.square(term.values)) for term in self._rbf
        ]
        self.constant_variance = float(
            sum(term.factor for term in self._rbf)
            + sum(term.values for term in self._white)
        )

    def covariance(self, Z):
        """The symmetric matrix k(Z, Z) (M, M), without noise, and its pullback.

        ``pullback(G)`` with G = dL/dK, symmetric: dL/dZ and what `pull` takes beside
        dpsi0.
        """
        # K = b + Z V Z' + sum_i c_i E_i: for symmetric G, with A = G * c E, a its row
        # sums and U = a Z - A Z: dL/dZ = -2 r U and dL/dr = -sum_m z_m u_m.
        parts = [
            c * np.exp(-0.5 * cdist(*[np.sqrt(r) * Z] * 2, "sqeuclidean"))
            for c, r in self.gaussians
        ]
        K = sum(parts)
        if self.has_affine:
            K = K + self.bias + (self.variances * Z) @ Z.T

        def pullback(G):
            dbias, dvariances, dscales = 0.0, 0.0, np.empty(len(parts))
            dprecisions, dZ = np.empty((len(parts), Z.shape[1])), np.zeros(Z.shape)
            for i, (part, (_, r)) in enumerate(zip(parts, self.gaussians, strict=True)):
                A = G * part
                of_rows = A.sum(axis=1)
                U = of_rows[:, None] * Z - A @ Z
                dscales[i] = of_rows.sum()
                dprecisions[i] = -np.einsum("mq,mq->q", Z, U)
                dZ -= 2.0 * r * U
            if self.has_affine:
                G_Z = G @ Z
                dbias, dvariances = G.sum(), np.einsum("mq,mq->q", Z, G_Z)
                dZ += 2.0 * self.variances * G_Z
            return dZ, dbias, dvariances, dscales, dprecisions

        return K, pullback

    def pull(self, dpsi0, dbias, dvariances, dscales, dprecisions):
        """dL/dtheta; `dpsi0` is summed over the rows, `dscales` are for log c."""
        dtheta = np.zeros(self._n_theta)

        def add(term, dfactor, own):
            for place, value in term.slope.items():
                dtheta[place] += dfactor * value
            n_own = term.places.stop - term.places.start
            if n_own:
                dtheta[term.places] += own if n_own > 1 else np.sum(own)

        for term in self._of(sk.ConstantKernel):
            add(term, dbias, None)
        for term in self._white:
            add(term, 0.0, dpsi0 * term.values)
        for term in self._linear:
            own = dvariances * _variances(term)
            add(term, own.sum(), term.factor * own)
        for term, dlog_c, dr, (_, r) in zip(
            self._rbf, dscales, dprecisions, self.gaussians, strict=True
        ):
            # psi0 holds c too. r = 1 / l^2: dr/dlog l = -2 r.
            add(term, dlog_c / term.factor + dpsi0, -2.0 * r * dr)
        return dtheta

    def _of(self, *kinds):
        return [term for term in self._terms if term.kind in kinds]


def _variances(term):
    """Of a linear kernel: one for all dimensions or one for each."""
    return 1.0 if term.kind is sk.DotProduct else term.values
