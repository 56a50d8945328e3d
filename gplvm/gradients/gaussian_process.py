"""The log-likelihood of the Gaussian-process latent variable model.

``p(Y | X) = prod_d N(y_d | 0, K)`` over the columns of the centred data `Y` (N, D),
with a covariance `K` (N, N) of the latent positions `X` (N, q) [1]_. For the linear
kernel, ``K = alpha X X' + I / beta``, nothing larger than the data is ever formed.

References
----------
.. [1] N. D. Lawrence, "Gaussian Process Latent Variable Models for Visualisation of
   High Dimensional Data", NIPS 2004.
"""

import numpy as np

from gplvm import _linalg
from gplvm._parallel import map_blocks, row_blocks
from gplvm._validation import NOT_OF_ORDER_ONE, finite_or_refused, takes_arrays

LOG_2_PI = np.log(2.0 * np.pi)


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(K=None, Y=None, n_features=0)
def gp_log_likelihood(K, Y, *, n_features=None, eval_gradient=False):
    """Log-likelihood of independent Gaussian columns with one covariance.

    ``L = -(N D / 2) log 2 pi - (D / 2) log |K| - tr(K^-1 Y Y') / 2``.

    Parameters
    ----------
    K : array-like of shape (n_samples, n_samples)
        Covariance of the rows, noise included; symmetric positive definite.

    Y : array-like of shape (n_samples, n_features)
        Data, centred.

    n_features : int, default=None
        D, where `Y` is a factor of the data that stands for them: the data enter only
        through Y Y', so any F (n_samples, r) with F F' = Y Y' gives the same value at
        a cost that does not grow with D. None: the number of columns of `Y`.

    eval_gradient : bool, default=False
        Whether to return dL/dK too.

    Returns
    -------
    value : float
        L, in nats.

    gradient : ndarray of shape (n_samples, n_samples)
        dL/dK, symmetric, with the entries of `K` taken as independent. Only if
        `eval_gradient`.

    Raises
    ------
    numpy.linalg.LinAlgError
        If `K` is not positive definite, even with jitter.

    ValueError
        If the shapes do not fit, or the result is not finite.

    See Also
    --------
    gplvm_log_likelihood : The linear kernel, without an N x N matrix.
    gplvm.kernels.vjp : From dL/dK to a kernel's inputs and hyperparameters.

    References
    ----------
    .. [1] N. D. Lawrence, "Gaussian Process Latent Variable Models for Visualisation
       of High Dimensional Data", NIPS 2004.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import gp_log_likelihood
    >>> value = gp_log_likelihood(np.eye(2), np.zeros((2, 1)))
    >>> bool(np.isclose(value, -np.log(2 * np.pi)))
    True
    """
    K = np.asarray(K, dtype=float)
    Y = np.asarray(Y, dtype=float)
    if Y.ndim != 2:
        raise ValueError(f"Y has shape {Y.shape}, expected (n_samples, n_features)")
    n_samples = Y.shape[0]
    n_features = Y.shape[1] if n_features is None else n_features
    if K.shape != (n_samples, n_samples):
        raise ValueError(
            f"K has shape {K.shape}; {n_samples} rows of Y need "
            f"{(n_samples, n_samples)}"
        )
    L = _linalg.cholesky(K)
    value, weights = _value_and_weights(L, Y, n_features)
    if not eval_gradient:
        return value
    K_inv = _linalg.inverse(L)
    return value, dense_gradient_block(weights, weights, K_inv, n_features)


def triangular_gp_log_likelihood(
    make_covariance, Y, n_features, *, eval_gradient=False
):
    """`gp_log_likelihood` on one triangle of the matrix, with its gradient by blocks.

    Parameters
    ----------
    make_covariance : callable
        Returns a C-ordered matrix with the covariance in its lower triangle, whose
        memory is taken over. It is called again if jitter is needed.

    Y : ndarray of shape (n_samples, r)
        The data as `data_factor` returns them.

    n_features : int
        D.

    eval_gradient : bool, default=False
        Whether to return the gradient too.

    Returns
    -------
    value : float
        L, in nats.

    gradient_block : callable
        ``gradient_block(rows, columns)`` is that block of dL/dK, for two equal slices
        or columns that all come before the rows. Only if `eval_gradient`.
    """
    L = _linalg.cholesky_of(make_covariance)
    if eval_gradient and _is_wide(*Y.shape):
        return _wide_value_and_gradient(L, Y, n_features)
    value, weights = _value_and_weights(L, Y, n_features)
    if not eval_gradient:
        return value
    K_inv = _linalg.inverse_in_place(L)

    def gradient_block(rows, columns):
        inverse = K_inv[rows, columns]
        if rows == columns:
            inverse = _linalg.symmetrize(inverse)
        return dense_gradient_block(
            weights[rows], weights[columns], inverse, n_features
        )

    return value, gradient_block


def data_factor(Y):
    """F (N, min(N, D)) with F F' = Y Y', through which alone the data enter.

    `Y` itself where D is small; otherwise a lower trapezoidal factor, whose zeros
    `triangular_gp_log_likelihood` does not multiply.
    """
    # Y' = Q R with Q'Q = I: Y Y' = R'R.
    return np.linalg.qr(Y.T, mode="r").T.copy() if _is_wide(*Y.shape) else Y


def _is_wide(n_samples, rank):
    """Whether the products with the data cost more than those that avoid them."""
    # Beside the factor of K, N^3 (2/3 + 3 r / N) flops against 2 N^3 at most, the
    # latter in smaller products: the two take the same time near r = 0.6 N.
    return 5 * rank > 3 * n_samples


def _wide_value_and_gradient(L, F, n_features):
    """Value and blocks of dL/dK for a lower trapezoidal factor F of many columns."""
    # With K = L L', M = L^-1 and A = M F, lower trapezoidal as F is:
    # tr(K^-1 Y Y') = |A|^2 and dL/dK = M' S M / 2 with S = A A' - D I. Products of
    # triangles take, after L, at most N^3 / 3 (M) + N^3 / 3 (A) + N^3 / 3 (S) +
    # 2 N^3 / 3 (S M) + N^3 / 3 flops, whatever D is.
    log_determinant = _linalg.log_determinant(L)
    M = _linalg.inverse_factor_in_place(L)
    A = _trapezoidal_product(M, F)
    value = _value(n_features, log_determinant, np.vdot(A, A), len(M))
    S = _square_of_trapezoid(A, n_features)
    del A
    S_M = _below_diagonal_product(S, M)
    del S

    def gradient_block(rows, columns):
        block = M[rows.start :, rows].T @ S_M[rows.start :, columns]
        block *= 0.5
        return block

    return value, gradient_block


def _trapezoidal_product(M, F):
    """M F of a lower triangle and a lower trapezoid."""
    product = np.zeros(F.shape)

    def fill(rows):
        for columns in row_blocks(min(rows.stop, F.shape[1])):
            inner = slice(columns.start, rows.stop)
            product[rows, columns] = M[rows, inner] @ F[inner, columns]

    map_blocks(fill, row_blocks(len(M))[::-1])  # the longest first
    return product


def _square_of_trapezoid(A, shift):
    """A A' - shift I of a lower trapezoid."""
    square = np.empty((len(A), len(A)))

    def fill(columns):
        below, inner = slice(columns.start, None), slice(0, columns.stop)
        panel = A[below, inner] @ A[columns, inner].T
        square[below, columns] = panel
        square[columns, below] = panel.T
        np.einsum("ii->i", square[columns, columns])[:] -= shift  # a view

    map_blocks(fill, row_blocks(len(A)))
    return square


def _below_diagonal_product(S, M):
    """The blocks on and below the diagonal of S M, for a lower triangle M."""
    product = np.empty(S.shape)

    def fill(columns):
        below = slice(columns.start, None)
        product[below, columns] = S[below, below] @ M[below, columns]

    map_blocks(fill, row_blocks(len(S)))
    return product


def _value_and_weights(L, Y, n_features):
    weights = _linalg.solve(L, Y)
    log_determinant = _linalg.log_determinant(L)
    return _value(n_features, log_determinant, np.vdot(Y, weights), len(L)), weights


def _value(n_features, log_determinant, trace, n_samples):
    constant = n_samples * n_features * LOG_2_PI
    return float(-0.5 * (constant + n_features * log_determinant + trace))


def dense_gradient_block(weights_rows, weights_columns, K_inv, n_features):
    """A block of dL/dK, from its rows and columns of K^-1 Y and the block of K^-1."""
    # d log|K| = tr(K^-1 dK) and d K^-1 = -K^-1 dK K^-1, so
    # dL = -(D/2) tr(K^-1 dK) + tr(K^-1 Y Y' K^-1 dK) / 2, that is
    # dL/dK = (K^-1 Y Y' K^-1 - D K^-1) / 2.
    block = weights_rows @ weights_columns.T
    block -= n_features * K_inv
    block *= 0.5
    return block


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(X=None, alpha=0, beta=0, n_features=0)
def gplvm_log_determinant_term(X, alpha, beta, n_features, *, eval_gradient=False):
    """L1 of the linear GP-LVM: the log-determinant's part of the log-likelihood.

    ``L1 = -(D / 2) log |K|`` with ``K = alpha X X' + I / beta``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_components)
        Latent positions.

    alpha : float
        Signal variance, positive.

    beta : float
        Noise precision, positive.

    n_features : int
        D, the number of columns of the data.

    eval_gradient : bool, default=False
        Whether to return the gradient too.

    Returns
    -------
    value : float
        L1, in nats.

    gradient : dict of str to ndarray or float
        ``"X"``: dL1/dX = -alpha D K^-1 X (n_samples, n_components), ``"alpha"`` and
        ``"beta"``. Only if `eval_gradient`.

    Raises
    ------
    ValueError
        If `alpha` or `beta` is not positive, `X` has not two dimensions, or the result
        is not finite.

    See Also
    --------
    gplvm_trace_term : The data's part.
    gplvm_log_likelihood : Both, with the constant.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import gplvm_log_determinant_term
    >>> X = np.array([[1.0], [2.0]])
    >>> K = 0.5 * X @ X.T + np.eye(2) / 4.0
    >>> value = gplvm_log_determinant_term(X, 0.5, 4.0, n_features=3)
    >>> bool(np.isclose(value, -1.5 * np.linalg.slogdet(K)[1]))
    True
    """
    X = _latent_positions(X)
    _check_positive(alpha=alpha, beta=beta)
    n_samples = X.shape[0]
    S = X.T @ X
    # |K| = beta^-N |I + alpha beta X'X| (Sylvester): a q x q determinant.
    L = _linalg.cholesky(np.eye(X.shape[1]) + alpha * beta * S)
    log_det = _linalg.log_determinant(L) - n_samples * np.log(beta)
    value = -0.5 * n_features * log_det
    if not eval_gradient:
        return float(value)
    # dL1/dX = -alpha D K^-1 X, and Woodbury gives K^-1 X = X A^-1 / alpha with
    # A = I / (alpha beta) + X'X. The scalars follow from tr(K^-1 X X') =
    # tr(A^-1 S) / alpha and tr K^-1 = beta (N - tr(A^-1 S)), S = X'X.
    A_inv_S = alpha * beta * _linalg.solve(L, S)
    trace = np.trace(A_inv_S)
    gradient = {
        "X": -n_features * alpha * beta * _linalg.solve(L, X.T).T,
        "alpha": float(-0.5 * n_features * trace / alpha),
        "beta": float(0.5 * n_features * (n_samples - trace) / beta),
    }
    return float(value), gradient


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(X=None, Y=None, alpha=0, beta=0)
def gplvm_trace_term(X, Y, alpha, beta, *, eval_gradient=False):
    """L2 of the linear GP-LVM: the data's part of the log-likelihood.

    ``L2 = -tr(K^-1 Y Y') / 2`` with ``K = alpha X X' + I / beta``.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_components)
        Latent positions.

    Y : array-like of shape (n_samples, n_features)
        Data, centred.

    alpha : float
        Signal variance, positive.

    beta : float
        Noise precision, positive.

    eval_gradient : bool, default=False
        Whether to return the gradient too.

    Returns
    -------
    value : float
        L2, in nats.

    gradient : dict of str to ndarray or float
        ``"X"``: dL2/dX = alpha K^-1 Y Y' K^-1 X (n_samples, n_components),
        ``"alpha"`` and ``"beta"``. Only if `eval_gradient`.

    Raises
    ------
    ValueError
        If `alpha` or `beta` is not positive, the shapes do not fit, or the result is
        not finite.

    See Also
    --------
    gplvm_log_determinant_term : The other part.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import gplvm_trace_term
    >>> X, Y = np.array([[1.0], [2.0]]), np.array([[1.0, 0.0], [0.0, 3.0]])
    >>> K = 0.5 * X @ X.T + np.eye(2) / 4.0
    >>> value = gplvm_trace_term(X, Y, 0.5, 4.0)
    >>> bool(np.isclose(value, -0.5 * np.trace(np.linalg.solve(K, Y @ Y.T))))
    True
    """
    X, Y = _latent_positions(X), np.asarray(Y, dtype=float)
    _check_positive(alpha=alpha, beta=beta)
    if Y.ndim != 2 or Y.shape[0] != X.shape[0]:
        raise ValueError(f"Y has shape {Y.shape}, expected ({X.shape[0]}, n_features)")
    # K^-1 = beta (I - X A^-1 X') with A = I / (alpha beta) + X'X (Woodbury). The
    # ridge regression of Y on X, M = A^-1 X'Y with residual E = Y - X M, gives
    # K^-1 Y = beta E and tr(K^-1 Y Y') = beta |E|^2 + |M|^2 / alpha: a sum of
    # squares, free of the cancellation in |Y|^2 - tr(Y'X A^-1 X'Y).
    L = _linalg.cholesky(np.eye(X.shape[1]) + alpha * beta * (X.T @ X))
    M = alpha * beta * _linalg.solve(L, X.T @ Y)
    E = Y - X @ M
    return _trace_term(
        np.vdot(E, E), np.vdot(M, M), alpha, beta, eval_gradient and E @ M.T
    )


def operator_gplvm_trace_term(X, Y, y_squared, alpha, beta, *, eval_gradient=False):
    """`gplvm_trace_term` of data that are known by their products only.

    Parameters
    ----------
    X, alpha, beta, eval_gradient
        As in `gplvm_trace_term`.

    Y : scipy.sparse.linalg.LinearOperator of shape (n_samples, n_features)
        Data, centred.

    y_squared : float
        ``|Y|^2``. The residual's square is a difference here, and loses digits where
        the noise is small beside the data.

    Returns
    -------
    As `gplvm_trace_term`.
    """
    # |E|^2 = |Y|^2 - 2 tr(M'X'Y) + tr(M'X'X M) and E M' = Y M' - X M M'.
    S = X.T @ X
    L = _linalg.cholesky(np.eye(X.shape[1]) + alpha * beta * S)
    products = (Y.T @ X).T
    M = alpha * beta * _linalg.solve(L, products)
    M_M = M @ M.T
    E_squared = max(y_squared - 2.0 * np.vdot(M, products) + np.vdot(S, M_M), 0.0)
    E_M = eval_gradient and Y @ M.T - X @ M_M
    return _trace_term(E_squared, np.trace(M_M), alpha, beta, E_M)


def _trace_term(E_squared, M_squared, alpha, beta, E_M):
    """L2 from |E|^2 and |M|^2; with E M', its gradient too."""
    value = -0.5 * (beta * E_squared + M_squared / alpha)
    if E_M is False:
        return float(value)
    # dL2 = tr(K^-1 Y Y' K^-1 dK) / 2. With Y'K^-1 X = M' / alpha,
    # dL2/dX = alpha K^-1 Y Y' K^-1 X = beta E M'; dK/dalpha = X X' gives
    # |Y'K^-1 X|^2 / 2, and dK/dbeta = -I / beta^2 gives -|K^-1 Y|^2 / (2 beta^2).
    gradient = {
        "X": beta * E_M,
        "alpha": float(0.5 * M_squared / alpha / alpha),
        "beta": float(-0.5 * E_squared),
    }
    return float(value), gradient


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(X=None, Y=None, alpha=0, beta=0)
def gplvm_log_likelihood(X, Y, alpha, beta, *, eval_gradient=False):
    """Log-likelihood of the GP-LVM with the linear kernel, in the low-rank form.

    ``L = -(N D / 2) log 2 pi + L1 + L2`` with ``K = alpha X X' + I / beta`` costs
    O(N D q) time and never forms an N x N matrix.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_components)
        Latent positions.

    Y : array-like of shape (n_samples, n_features)
        Data, centred.

    alpha : float
        Signal variance, positive.

    beta : float
        Noise precision, positive.

    eval_gradient : bool, default=False
        Whether to return the gradient too.

    Returns
    -------
    value : float
        L, in nats.

    gradient : dict of str to ndarray or float
        ``"X"`` (n_samples, n_components), ``"alpha"``, ``"beta"``. Only if
        `eval_gradient`.

    Raises
    ------
    ValueError
        If `alpha` or `beta` is not positive, the shapes do not fit, or the result is
        not finite.

    See Also
    --------
    gp_log_likelihood : Any covariance, dense.

    References
    ----------
    N. D. Lawrence, "Gaussian Process Latent Variable Models for Visualisation of High
    Dimensional Data", NIPS 2004, equations 2 to 4.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import gp_log_likelihood, gplvm_log_likelihood
    >>> rng = np.random.default_rng(0)
    >>> X, Y = rng.normal(size=(6, 2)), rng.normal(size=(6, 4))
    >>> dense = gp_log_likelihood(0.5 * X @ X.T + np.eye(6) / 4.0, Y)
    >>> bool(np.isclose(gplvm_log_likelihood(X, Y, 0.5, 4.0), dense))
    True
    """
    L2 = gplvm_trace_term(X, Y, alpha, beta, eval_gradient=eval_gradient)
    return with_log_determinant(L2, X, alpha, beta, np.shape(Y)[1])


def with_log_determinant(L2, X, alpha, beta, n_features):
    """L = -(N D / 2) log 2 pi + L1 + L2, from L2 or (L2, its gradient)."""
    constant = -0.5 * np.shape(X)[0] * n_features * LOG_2_PI
    if not isinstance(L2, tuple):
        return constant + gplvm_log_determinant_term(X, alpha, beta, n_features) + L2
    L1 = gplvm_log_determinant_term(X, alpha, beta, n_features, eval_gradient=True)
    gradient = {name: L1[1][name] + L2[1][name] for name in L1[1]}
    return constant + L1[0] + L2[0], gradient


def _latent_positions(X):
    X = np.asarray(X, dtype=float)
    if X.ndim != 2 or X.size == 0:
        raise ValueError(f"X has shape {X.shape}, expected (n_samples, n_components)")
    return X


def _check_positive(**scalars):
    for name, value in scalars.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value!r}")
