"""The rules of scikit-learn's leaf kernels: values, and the calculus of pullbacks."""

import numpy as np
from sklearn.gaussian_process import kernels as sk

from gplvm.kernels.covariance import Rule, check_inputs, register_rule


def _constant(kernel, X, Z, symmetric):
    # dK/dlog c = c in every entry.
    c = kernel.constant_value
    K = np.full((len(X), len(Z)), float(c))

    def pullback(G):
        gradient = {"constant_value": c * G.sum()}
        return gradient, np.zeros_like(X), np.zeros_like(Z)

    return K, pullback


def _constant_diagonal(kernel, X):
    c = kernel.constant_value

    def pullback(g):
        return {"constant_value": c * g.sum()}, np.zeros_like(X)

    return np.full(len(X), float(c)), pullback


def _white(kernel, X, Z, symmetric):
    # The noise is on the diagonal of k(X), and nowhere in k(X, Z).
    noise = kernel.noise_level
    K = np.zeros((len(X), len(Z)))
    if symmetric:
        K.flat[:: len(X) + 1] = noise

    def pullback(G):
        gradient = {"noise_level": noise * np.trace(G) if symmetric else 0.0}
        return gradient, np.zeros_like(X), np.zeros_like(Z)

    return K, pullback


def _white_diagonal(kernel, X):
    noise = kernel.noise_level

    def pullback(g):
        return {"noise_level": noise * g.sum()}, np.zeros_like(X)

    return np.full(len(X), float(noise)), pullback


def _dot_product(kernel, X, Z, symmetric):
    # k = sigma_0^2 + x z': dk/dlog sigma_0 = 2 sigma_0^2, dL/dX = G Z, dL/dZ = G'X.
    bias = kernel.sigma_0**2
    K = X @ Z.T
    K += bias

    def pullback(G):
        return {"sigma_0": 2.0 * bias * G.sum()}, G @ Z, G.T @ X

    return K, pullback


def _dot_product_diagonal(kernel, X):
    bias = kernel.sigma_0**2

    def pullback(g):
        return {"sigma_0": 2.0 * bias * g.sum()}, 2.0 * g[:, None] * X

    return np.einsum("nq,nq->n", X, X) + bias, pullback


def _squared_distances(X, Z, symmetric):
    """Squared Euclidean distances by one matrix product."""
    # |x - z|^2 = [-2 x, |x|^2, 1] [z, 1, |z|^2]'.
    left = np.column_stack([-2.0 * X, np.einsum("nq,nq->n", X, X), np.ones(len(X))])
    right = np.column_stack([Z, np.ones(len(Z)), np.einsum("nq,nq->n", Z, Z)])
    r2 = left @ right.T
    np.abs(r2, out=r2)  # the product rounds
    if symmetric:
        r2.flat[:: len(X) + 1] = 0.0
    return r2


def _pull_squared_distances(H, X, Z):
    """From H = dL/dr^2, r^2 = sum_q (x_q - z_q)^2: dL/dX, dL/dZ, sum H (x_q - z_q)^2.

    dL/dx_n = 2 sum_m H_nm (x_n - z_m), and the sums of H times each squared
    coordinate difference, which the length scales need, expand into the same
    products: no (n, m, q) array.
    """
    # A column of ones takes the row sums along in the same product.
    H_Z = H @ np.column_stack([Z, np.ones(len(Z))])
    H_X = H.T @ np.column_stack([X, np.ones(len(X))])
    rows, columns, H_Z, H_X = H_Z[:, -1], H_X[:, -1], H_Z[:, :-1], H_X[:, :-1]
    dX = 2.0 * (rows[:, None] * X - H_Z)
    dZ = 2.0 * (columns[:, None] * Z - H_X)
    per_dimension = rows @ X**2 + columns @ Z**2 - 2.0 * np.einsum("nq,nq->q", X, H_Z)
    return dX, dZ, per_dimension


def _stationary(profile):
    """The evaluate function of a kernel k = f(r^2), r^2 = sum_q ((x_q - z_q) / l_q)^2.

    ``profile(kernel, r2) -> (K, factor, slope, extra)``: K = f(r^2), f'(r^2) =
    factor * slope, and ``extra(G)`` returns the gradients of hyperparameters other
    than the length scale.
    """

    def evaluate(kernel, X, Z, symmetric):
        length_scale = np.asarray(kernel.length_scale, dtype=float)
        # Differences only matter: centred inputs lose fewer digits in the product.
        centre = Z.mean(axis=0) if len(Z) else 0.0
        scaled_X = (X - centre) / length_scale
        scaled_Z = scaled_X if symmetric else (Z - centre) / length_scale
        check_inputs(scaled_X, scaled_Z)
        r2 = _squared_distances(scaled_X, scaled_Z, symmetric)
        K, factor, slope, extra = profile(kernel, r2)

        def pullback(G):
            gradients = extra(G)
            dX, dZ, per_dimension = _pull_squared_distances(
                G * slope, scaled_X, scaled_Z
            )
            # r^2 scales as l^-2: dr^2/dlog l_q = -2 ((x_q - z_q) / l_q)^2.
            dlog_l = (-2.0 * factor) * per_dimension
            if length_scale.size == 1:
                dlog_l = dlog_l.sum()
            gradients["length_scale"] = dlog_l
            scale = factor / length_scale
            return gradients, dX * scale, dZ * scale

        return K, pullback

    return evaluate


def _stationary_diagonal(kernel, X):
    # k(x, x) = f(0) = 1, whatever the hyperparameters.
    def pullback(g):
        zeros = {
            h.name: np.zeros(np.size(getattr(kernel, h.name)))
            for h in kernel.hyperparameters
        }
        return zeros, np.zeros_like(X)

    return np.ones(len(X)), pullback


def _no_extra(G):
    return {}


def _rbf_profile(kernel, r2):
    # f = exp(-r^2 / 2), f' = -f / 2.
    K = r2
    K *= -0.5
    np.exp(K, out=K)
    return K, -0.5, K, _no_extra


def _matern_profile(kernel, r2):
    # With a = sqrt(2 nu) r, and df/dr^2 = (df/da) nu / a:
    # nu = 3/2: f = (1 + a) exp(-a),            f' = -(3/2) exp(-a);
    # nu = 5/2: f = (1 + a + a^2 / 3) exp(-a),  f' = -(5/6) (1 + a) exp(-a).
    if kernel.nu == np.inf:
        return _rbf_profile(kernel, r2)
    a = np.sqrt(2.0 * kernel.nu * r2)
    decay = np.exp(-a)
    if kernel.nu == 1.5:
        return (1.0 + a) * decay, -1.5, decay, _no_extra
    K = (1.0 + a + a**2 / 3.0) * decay
    return K, -5.0 / 6.0, (1.0 + a) * decay, _no_extra


def _check_dot_product(kernel):
    if kernel.sigma_0 == 0 and not kernel.hyperparameter_sigma_0.fixed:
        raise ValueError(
            "DotProduct(sigma_0=0) has no logarithm to optimise: fix it, with "
            'DotProduct(0.0, sigma_0_bounds="fixed")'
        )


def _check_matern(kernel):
    if kernel.nu not in (1.5, 2.5, np.inf):
        raise NotImplementedError(
            f"Matern(nu={kernel.nu}) is not supported: use nu = 1.5, 2.5 or inf. (With "
            "nu = 0.5 the covariance has a kink at equal positions, where latent "
            "positions have no gradient.)"
        )


def _rational_quadratic_profile(kernel, r2):
    # f = b^-alpha with b = 1 + r^2 / (2 alpha): f' = -b^(-alpha - 1) / 2 and
    # df/dlog alpha = alpha f (1 - 1 / b - log b).
    alpha = kernel.alpha
    b = r2
    b /= 2.0 * alpha
    b += 1.0
    K = b**-alpha

    def extra(G):
        return {"alpha": alpha * np.vdot(G, K * (1.0 - 1.0 / b - np.log(b)))}

    return K, -0.5, K / b, extra


def _exp_sine_squared(kernel, X, Z, symmetric):
    # k = exp(-2 sin^2(pi d / p) / l^2) with d = |x - z|. With u = 2 d / p and
    # sinc(u) = sin(pi u) / (pi u), dk/dd^2 = -2 (pi / (l p))^2 k sinc(u), smooth at 0;
    # dk/dlog l = 4 k sin^2(pi d / p) / l^2.
    length_scale, period = kernel.length_scale, kernel.periodicity
    d2 = _squared_distances(X, Z, symmetric)
    u = np.sqrt(d2) * (2.0 / period)
    sin2 = np.sin(0.5 * np.pi * u) ** 2
    K = np.exp((-2.0 / length_scale**2) * sin2)

    def pullback(G):
        G_K = G * K
        H = (-2.0 * (np.pi / (length_scale * period)) ** 2) * G_K * np.sinc(u)
        dX, dZ, per_dimension = _pull_squared_distances(H, X, Z)
        gradient = {
            "length_scale": 4.0 / length_scale**2 * np.vdot(G_K, sin2),
            # d enters as d / p: dk/dlog p = -2 d^2 dk/dd^2.
            "periodicity": -2.0 * per_dimension.sum(),
        }
        return gradient, dX, dZ

    return K, pullback


register_rule(sk.ConstantKernel, Rule(_constant, _constant_diagonal, isotropic=True))
register_rule(sk.WhiteKernel, Rule(_white, _white_diagonal, isotropic=True))
register_rule(
    sk.DotProduct,
    Rule(_dot_product, _dot_product_diagonal, _check_dot_product, isotropic=True),
)
register_rule(
    sk.RBF, Rule(_stationary(_rbf_profile), _stationary_diagonal, isotropic=True)
)
register_rule(
    sk.Matern,
    Rule(
        _stationary(_matern_profile),
        _stationary_diagonal,
        _check_matern,
        isotropic=True,
    ),
)
register_rule(
    sk.RationalQuadratic,
    Rule(
        _stationary(_rational_quadratic_profile), _stationary_diagonal, isotropic=True
    ),
)
register_rule(
    sk.ExpSineSquared, Rule(_exp_sine_squared, _stationary_diagonal, isotropic=True)
)
