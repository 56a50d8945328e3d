"""Covariances and their vector-Jacobian products, from scikit-learn kernel objects.

A scikit-learn kernel is the specification: its type, its hyperparameters, which of
them are fixed and their bounds. Here stands what is computed from it. `evaluate`
returns a covariance together with its pullback, the map from dL/dK to the gradients
with respect to log-hyperparameters and inputs, in O(N^2) memory: scikit-learn's own
``eval_gradient`` would build an (N, N, P) tensor, and knows no inputs' gradient.

Rules are found by the exact type of a kernel: `Matern` is a subclass of `RBF`, and
must not get its gradient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn.gaussian_process import kernels as sk

from gplvm._validation import (
    NOT_OF_ORDER_ONE,
    NotFiniteError,
    finite_or_refused,
    takes_arrays,
)

# Hyperparameters whose squares, and what they are multiplied by, are represented.
_SMALLEST, _LARGEST = 1e-140, 1e140

# Inputs, in length scales too: their squares are represented.
_FARTHEST = 1e150


@dataclass(frozen=True)
class Rule:
    """How a leaf kernel of one type is computed.

    Parameters
    ----------
    evaluate : callable
        ``evaluate(kernel, X, Z, symmetric) -> (K, pullback)``; `symmetric` says that
        `Z` is `X`. ``pullback(G)``, with G = dL/dK, returns a dict of gradients with
        respect to the logarithm of each hyperparameter, dL/dX and dL/dZ, each for
        its own argument (where `Z` is `X`, the caller adds them).

    diagonal : callable
        ``diagonal(kernel, X) -> (k, pullback)`` for ``k[n] = k(x_n, x_n)``;
        ``pullback(g)`` returns the dict and dL/dX.

    validate : callable, default=None
        ``validate(kernel)`` raises NotImplementedError for a setting without a rule.

    isotropic : bool, default=False
        Whether the kernel is unchanged when its inputs are rotated, as long as no
        hyperparameter of it is a vector. Only then may an embedding be rotated.

    See Also
    --------
    register_rule : Makes a rule known.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.kernels import Rule
    >>> def evaluate(kernel, X, Z, symmetric):  # k(x, z) = x z'
    ...     return X @ Z.T, lambda G: ({}, G @ Z, G.T @ X)
    >>> def diagonal(kernel, X):
    ...     return np.sum(X**2, axis=1), lambda g: ({}, 2.0 * g[:, None] * X)
    >>> rule = Rule(evaluate, diagonal)
    >>> K, pullback = rule.evaluate(None, np.eye(2), np.eye(2), False)
    >>> K
    array([[1., 0.],
           [0., 1.]])
    """

    evaluate: Callable
    diagonal: Callable
    validate: Callable | None = None
    isotropic: bool = False


RULES: dict[type, Rule] = {}


def register_rule(kernel_type, rule):
    """Make a leaf kernel known to every model.

    Parameters
    ----------
    kernel_type : type
        A subclass of scikit-learn's `Kernel`, matched exactly.

    rule : Rule
        How it is computed.

    See Also
    --------
    Rule : What a rule consists of.
    check_kernel : Whether a kernel has rules for all its parts.

    Examples
    --------
    A subclass that changes nothing but the type takes over its parent's rule:

    >>> from sklearn.gaussian_process.kernels import RBF
    >>> from gplvm.kernels import check_kernel, register_rule
    >>> from gplvm.kernels.covariance import RULES
    >>> class Smooth(RBF):
    ...     pass
    >>> register_rule(Smooth, RULES[RBF])
    >>> check_kernel(Smooth(), n_components=2)
    >>> del RULES[Smooth]
    """
    RULES[kernel_type] = rule


def check_kernel(kernel, n_components):
    """Raise if a kernel has no rule or does not fit the latent dimension.

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
        If a part of it has no rule; the message names those that have.

    ValueError
        If an anisotropic hyperparameter has not `n_components` entries, or one is
        negative or so far from one that its square leaves double precision.

    See Also
    --------
    register_rule : Makes another kernel known.

    Examples
    --------
    >>> from sklearn.gaussian_process.kernels import RBF
    >>> from gplvm.kernels import check_kernel
    >>> check_kernel(RBF([1.0, 2.0]), n_components=2)
    >>> check_kernel(RBF([1.0, 2.0]), n_components=3)
    Traceback (most recent call last):
    ...
    ValueError: length_scale of RBF(length_scale=[1, 2]) has 2 entries, ...
    """
    if not isinstance(kernel, sk.Kernel) or isinstance(kernel, type):
        raise TypeError(
            "kernel must be a scikit-learn kernel object such as "
            f"ConstantKernel() * RBF(), got {kernel!r}"
        )
    if n_components > 1 and _only_periodic(kernel):
        raise NotImplementedError(
            f"{kernel!r} is no covariance in more than one dimension: use "
            "n_components=1, or multiply it by an RBF"
        )
    _check_parts(kernel, n_components)


def _check_parts(kernel, n_components):
    kind = type(kernel)
    if kind in (sk.Sum, sk.Product):
        _check_parts(kernel.k1, n_components)
        _check_parts(kernel.k2, n_components)
        return
    if kind is sk.Exponentiation:
        if kernel.exponent < 1 or kernel.exponent != int(kernel.exponent):
            raise NotImplementedError(
                f"Exponentiation to {kernel.exponent} is not supported: other powers "
                "than 1, 2, 3, ... of a covariance need not be one"
            )
        _check_parts(kernel.kernel, n_components)
        return
    if kind not in RULES:
        raise NotImplementedError(_unsupported(kernel))
    if RULES[kind].validate is not None:
        RULES[kind].validate(kernel)
    for hyperparameter in kernel.hyperparameters:
        values = np.atleast_1d(getattr(kernel, hyperparameter.name))
        beyond = ~((values >= _SMALLEST) & (values <= _LARGEST)) & (values != 0)
        if beyond.any():
            raise ValueError(
                f"{hyperparameter.name} of a {kind.__name__} is "
                f"{values[beyond][0]:.3g}, expected between {_SMALLEST} and {_LARGEST}"
            )
        _check_size(kernel, hyperparameter.name, n_components)


def theta_bounds(kernel):
    """The bounds (n_free_hyperparameters, 2) of ``kernel.theta``, none of them far off.

    Within them the squares of all hyperparameters are represented.
    """
    limits = np.log([_SMALLEST, _LARGEST])
    return np.clip(kernel.bounds.reshape(-1, 2), *limits)


def is_isotropic(kernel):
    """Whether a kernel is unchanged when its inputs are rotated.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        Any supported kernel.

    Returns
    -------
    isotropic : bool
        False also where a registered rule does not say so.

    Raises
    ------
    TypeError
        If `kernel` is not a scikit-learn kernel.

    NotImplementedError
        If a part of it has no rule.

    See Also
    --------
    Rule : Where a rule says that its kernel is.

    Examples
    --------
    >>> from sklearn.gaussian_process.kernels import RBF, DotProduct
    >>> from gplvm.kernels import is_isotropic
    >>> is_isotropic(RBF(2.0) + DotProduct()), is_isotropic(RBF([1.0, 2.0]))
    (True, False)
    """
    if type(kernel) in (sk.Sum, sk.Product):
        return is_isotropic(kernel.k1) and is_isotropic(kernel.k2)
    if type(kernel) is sk.Exponentiation:
        return is_isotropic(kernel.kernel)
    if not isinstance(kernel, sk.Kernel):
        raise TypeError(f"expected a scikit-learn kernel object, got {kernel!r}")
    sizes = [np.size(getattr(kernel, h.name)) for h in kernel.hyperparameters]
    return _rule(kernel).isotropic and all(size == 1 for size in sizes)


def _only_periodic(kernel):
    """Whether a summand has ExpSineSquared and nothing in it that dies out."""
    if type(kernel) is sk.Sum:
        return _only_periodic(kernel.k1) or _only_periodic(kernel.k2)
    leaves = {type(leaf) for leaf in _leaves(kernel)}
    endless = {sk.ExpSineSquared, sk.ConstantKernel, sk.WhiteKernel, sk.DotProduct}
    return sk.ExpSineSquared in leaves and leaves <= endless


def _leaves(kernel):
    if type(kernel) in (sk.Sum, sk.Product):
        return [*_leaves(kernel.k1), *_leaves(kernel.k2)]
    if type(kernel) is sk.Exponentiation:
        return _leaves(kernel.kernel)
    return [kernel]


def _unsupported(kernel):
    names = sorted(rule.__name__ for rule in RULES)
    return (
        f"{type(kernel).__name__} is not supported. Supported kernels are "
        f"{', '.join(names)}, and their sums, products and powers; register_rule adds "
        "others."
    )


def check_inputs(*inputs):
    """Raise `NotFiniteError` unless the squares of all entries are finite."""
    for X in inputs:
        if not np.abs(X).max(initial=0.0) <= _FARTHEST:
            raise NotFiniteError(
                f"Inputs of a kernel must be finite and at most {_FARTHEST}, in its "
                f"length scales too, got {np.abs(X).max():.3g}"
            )


def _check_columns(kernel, X, Z):
    """Raise unless the inputs are of one dimension, and the kernel of it too."""
    if X.shape[1] != Z.shape[1]:
        raise ValueError(
            f"X and Z have shapes {X.shape} and {Z.shape}, expected as many columns"
        )
    for leaf in _leaves(kernel):
        if type(leaf) in RULES:  # others are refused for that
            for hyperparameter in _hyperparameters(leaf):
                _check_size(leaf, hyperparameter.name, X.shape[1])


def _check_size(kernel, name, n_components):
    size = np.size(getattr(kernel, name))
    if size not in (1, n_components):
        raise ValueError(
            f"{name} of {kernel!r} has {size} entries, expected 1 or "
            f"n_components={n_components}"
        )


@finite_or_refused(NOT_OF_ORDER_ONE, on_the_way=False)
@takes_arrays(X=2, Z=2)
def evaluate(kernel, X, Z=None):
    """A covariance matrix and its pullback.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        Any supported kernel.

    X : ndarray of shape (n, q)
        Inputs.

    Z : ndarray of shape (m, q), default=None
        Other inputs. None is `X` itself, and then a `WhiteKernel` has its noise on
        the diagonal, as in scikit-learn: ``k(X)`` is not ``k(X, X)``.

    Returns
    -------
    K : ndarray of shape (n, n) or (n, m)
        The covariance.

    pullback : callable
        ``pullback(G)`` with G = dL/dK of the shape of K, symmetric if `Z` is None:
        (dL/dtheta, dL/dX), or (dL/dtheta, dL/dX, dL/dZ) if `Z` is given. theta are
        the free log-hyperparameters in the order of ``kernel.theta``.

    Raises
    ------
    ValueError
        If an input is not finite, or its square or a result would not be, or if the
        inputs' dimensions are not the kernel's.

    See Also
    --------
    matrix : The covariance alone.
    vjp : The pullback, applied at once.
    evaluate_diagonal : The same for the variances.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.gaussian_process.kernels import RBF
    >>> from gplvm.kernels import evaluate
    >>> X = np.array([[0.0], [1.0]])
    >>> K, pullback = evaluate(RBF(1.0), X)
    >>> dL_dtheta, dL_dX = pullback(np.ones((2, 2)))  # L is the sum of K
    >>> dL_dX.round(3)
    array([[ 1.213],
           [-1.213]])
    """
    symmetric = Z is None
    Z = X if symmetric else Z
    _check_columns(kernel, X, Z)
    check_inputs(X, Z)
    K, pull = _evaluate(kernel, X, Z, symmetric)
    shape = K.shape  # the pullback keeps no K that its rule does not need

    def pullback(G):
        if np.shape(G) != shape:
            raise ValueError(f"dL/dK has shape {np.shape(G)}, expected {shape}")
        theta, dX, dZ = pull(G)
        return (theta, dX + dZ) if symmetric else (theta, dX, dZ)

    return K, pullback


@finite_or_refused(NOT_OF_ORDER_ONE, on_the_way=False)
@takes_arrays(X=2)
def evaluate_diagonal(kernel, X):
    """The diagonal of ``evaluate(kernel, X)`` and its pullback.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        Any supported kernel.

    X : ndarray of shape (n, q)
        Inputs.

    Returns
    -------
    k : ndarray of shape (n,)
        Variances, with the noise of a `WhiteKernel`.

    pullback : callable
        ``pullback(g)`` with g = dL/dk (n,): (dL/dtheta, dL/dX).

    Raises
    ------
    ValueError
        If an input is not finite, or its square or a result would not be, or if the
        inputs' dimensions are not the kernel's.

    See Also
    --------
    diagonal : The variances alone.
    evaluate : The same for the whole matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.gaussian_process.kernels import DotProduct
    >>> from gplvm.kernels import evaluate_diagonal
    >>> kernel = DotProduct(1.0, "fixed")
    >>> k, pullback = evaluate_diagonal(kernel, np.array([[1.0], [2.0]]))
    >>> k
    array([2., 5.])
    >>> pullback(np.ones(2))[1]
    array([[2.],
           [4.]])
    """
    _check_columns(kernel, X, X)
    check_inputs(X)
    kind = type(kernel)
    if kind is sk.Sum:
        k1, pull1 = evaluate_diagonal(kernel.k1, X)
        k2, pull2 = evaluate_diagonal(kernel.k2, X)

        def pullback(g):
            return tuple(_join(pull1(g), pull2(g)))

        return k1 + k2, pullback
    if kind is sk.Product:
        k1, pull1 = evaluate_diagonal(kernel.k1, X)
        k2, pull2 = evaluate_diagonal(kernel.k2, X)

        def pullback(g):
            return tuple(_join(pull1(g * k2), pull2(g * k1)))

        return k1 * k2, pullback
    if kind is sk.Exponentiation:
        k, pull = evaluate_diagonal(kernel.kernel, X)
        p = kernel.exponent
        return k**p, lambda g: pull(g * (p * k ** (p - 1)))
    k, pull = _rule(kernel).diagonal(kernel, X)

    def pullback(g):
        by_name, dX = pull(g)
        return _free_theta(kernel, by_name), dX

    return k, pullback


def matrix(kernel, X, Z=None):
    """The covariance of `X` with itself, or with `Z`.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        Any supported kernel.

    X : ndarray of shape (n, q)
        Inputs.

    Z : ndarray of shape (m, q), default=None
        Other inputs. None is `X` itself, with the noise of a `WhiteKernel`.

    Returns
    -------
    K : ndarray of shape (n, n) or (n, m)
        The covariance.

    Raises
    ------
    ValueError
        As `evaluate` does.

    See Also
    --------
    evaluate : The covariance with its pullback.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.gaussian_process.kernels import RBF
    >>> from gplvm.kernels import matrix
    >>> matrix(RBF(1.0), np.array([[0.0], [1.0]])).round(3)
    array([[1.   , 0.607],
           [0.607, 1.   ]])
    """
    return evaluate(kernel, X, Z)[0]


def diagonal(kernel, X):
    """The variances of the latent functions at the rows of `X`.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        Any supported kernel.

    X : ndarray of shape (n, q)
        Inputs.

    Returns
    -------
    k : ndarray of shape (n,)
        Variances, with the noise of a `WhiteKernel`.

    Raises
    ------
    ValueError
        As `evaluate_diagonal` does.

    See Also
    --------
    evaluate_diagonal : The variances with their pullback.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.gaussian_process.kernels import ConstantKernel, RBF
    >>> from gplvm.kernels import diagonal
    >>> diagonal(ConstantKernel(2.0) * RBF(1.0), np.array([[0.0], [1.0]]))
    array([2., 2.])
    """
    return evaluate_diagonal(kernel, X)[0]


@finite_or_refused(NOT_OF_ORDER_ONE, on_the_way=False)
@takes_arrays(X=2, dL_dK=2)
def vjp(kernel, X, dL_dK):
    """Vector-Jacobian product of ``matrix(kernel, X)``.

    Parameters
    ----------
    kernel : sklearn.gaussian_process.kernels.Kernel
        Any supported kernel.

    X : ndarray of shape (n, q)
        Inputs.

    dL_dK : ndarray of shape (n, n)
        Gradient of a scalar with respect to the covariance, symmetric.

    Returns
    -------
    dL_dtheta : ndarray of shape (n_free_hyperparameters,)
        Gradient with respect to ``kernel.theta``.

    dL_dX : ndarray of shape (n, q)
        Gradient with respect to the inputs.

    Raises
    ------
    ValueError
        As `evaluate` does, and if a gradient is not finite or `dL_dK` of another shape.

    See Also
    --------
    evaluate : The matrix and the product as a function.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.gaussian_process.kernels import DotProduct
    >>> from gplvm.kernels import vjp
    >>> X = np.array([[1.0], [2.0]])
    >>> dL_dtheta, dL_dX = vjp(DotProduct(1.0), X, np.eye(2))  # L is the trace
    >>> dL_dtheta, dL_dX
    (array([4.]), array([[2.],
           [4.]]))
    """
    return evaluate(kernel, X)[1](dL_dK)


def _evaluate(kernel, X, Z, symmetric):
    kind = type(kernel)
    if kind is sk.Sum:
        K1, pull1 = _evaluate(kernel.k1, X, Z, symmetric)
        K2, pull2 = _evaluate(kernel.k2, X, Z, symmetric)
        return K1 + K2, lambda G: _join(pull1(G), pull2(G))
    if kind is sk.Product and sk.ConstantKernel in (type(kernel.k1), type(kernel.k2)):
        return _evaluate_scaled(kernel, X, Z, symmetric)
    if kind is sk.Product:
        # d(K1 * K2) = dK1 * K2 + K1 * dK2, entry by entry.
        K1, pull1 = _evaluate(kernel.k1, X, Z, symmetric)
        K2, pull2 = _evaluate(kernel.k2, X, Z, symmetric)
        return K1 * K2, lambda G: _join(pull1(G * K2), pull2(G * K1))
    if kind is sk.Exponentiation:
        K, pull = _evaluate(kernel.kernel, X, Z, symmetric)
        p = kernel.exponent
        return K**p, lambda G: pull(G * (p * K ** (p - 1)))
    K, pull = _rule(kernel).evaluate(kernel, X, Z, symmetric)

    def pullback(G):
        by_name, dX, dZ = pull(G)
        return _free_theta(kernel, by_name), dX, dZ

    return K, pullback


def _evaluate_scaled(kernel, X, Z, symmetric):
    """The product of a constant with a kernel: no pass over the matrix but one."""
    constant_first = type(kernel.k1) is sk.ConstantKernel
    constant, other = kernel.k1, kernel.k2
    if not constant_first:
        constant, other = other, constant
    c = constant.constant_value
    K_other, pull = _evaluate(other, X, Z, symmetric)

    def pullback(G):
        # dK/dlog c = K, and a pullback is linear: that of c G is c times that of G.
        own = _free_theta(constant, {"constant_value": c * np.vdot(G, K_other)})
        theta, dX, dZ = pull(G)
        parts = [own, c * theta] if constant_first else [c * theta, own]
        return np.concatenate(parts), c * dX, c * dZ

    return c * K_other, pullback


def _rule(kernel):
    try:
        return RULES[type(kernel)]
    except KeyError:
        raise NotImplementedError(_unsupported(kernel)) from None


def _join(first, second):
    """Concatenate theta's gradients, add those of the inputs."""
    theta = np.concatenate([first[0], second[0]])
    return theta, *(a + b for a, b in zip(first[1:], second[1:], strict=True))


def _free_theta(kernel, by_name):
    """Gradients by hyperparameter name, as a vector in the order of kernel.theta."""
    parts = [
        np.atleast_1d(by_name[hyperparameter.name])
        for hyperparameter in _hyperparameters(kernel)
        if not hyperparameter.fixed
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _hyperparameters(leaf):
    """A leaf's `hyperparameters`, which would search its attributes at every call."""
    return [getattr(leaf, name) for name in _hyperparameter_names(type(leaf))]


@cache
def _hyperparameter_names(kind):
    return [name for name in dir(kind) if name.startswith("hyperparameter_")]
