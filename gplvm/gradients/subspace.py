"""The linear autoencoder's loss as a function of the space that its weights span."""

import numpy as np
from scipy import linalg
from scipy.linalg import blas

from gplvm._validation import NOT_OF_ORDER_ONE, finite_or_refused, takes_arrays
from gplvm.gradients.autoencoder import as_moments

__all__ = ["AxisCoordinates", "principal_axes", "subspace_autoencoder_loss"]

# The sine of an angle below which a row lies in the span of those before it, and one
# above which Cholesky's factor of the rows' products loses no digits.
_DEPENDENT = 1e-14
_INDEPENDENT = 0.7

# An axis without variance keeps this much of the leading one's scale.
_SCALE_FLOOR = 1e-6

# Two variances that differ by less, relative to the larger, count as if by this much.
_LEAST_GAP = 1e-4

# By so many products with the moments the axes next to those sought are found.
_POWERS = 4


@finite_or_refused(NOT_OF_ORDER_ONE)
@takes_arrays(V=2, S=None)
def subspace_autoencoder_loss(V, S, *, eval_gradient=False):
    """The linear autoencoder's loss at the best mixture of the rows of `V`.

    The minimum of ``gram_autoencoder_loss(T V, S)`` over all square matrices T. It
    depends on `V` through the space of its rows only: mixing or scaling them changes
    nothing but the landscape's curvature, which is what `AxisCoordinates` uses.

    Parameters
    ----------
    V : array-like of shape (n_components, n_features)
        Linearly independent rows.

    S : array-like or LinearOperator of shape (n_features, n_features)
        ``X' X``; as an operator, it has a method ``trace()``.

    eval_gradient : bool, default=False
        Whether to return the gradient with respect to `V` too.

    Returns
    -------
    loss : float
        The loss.

    gradient : ndarray of shape (n_components, n_features)
        Its gradient. Only returned with ``eval_gradient=True``.

    Raises
    ------
    numpy.linalg.LinAlgError
        If the rows of `V` are linearly dependent.

    See Also
    --------
    gram_autoencoder_loss : The loss of one `W`.

    References
    ----------
    .. [1] Edelman, A., Arias, T. A., & Smith, S. T. (1998). The geometry of
           algorithms with orthogonality constraints. SIAM Journal on Matrix Analysis
           and Applications, 20(2), 303-353.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import subspace_autoencoder_loss
    >>> X = np.array([[3.0, 4.0], [0.0, 1.0]])
    >>> float(subspace_autoencoder_loss([[0.0, 7.0]], X.T @ X))
    4.5
    """
    V = np.asarray(V)
    S = as_moments(S, V)
    # Over T, L(T V) is least where W = T V has W W' = I: then R = X (W'W - I), and
    # L = (tr(S) - tr(C)) / 2 with C = W S W'. A change of W within its span leaves L as
    # it is; one outside of it changes L by -tr(dW' W S): dL/dW = -(W S - C W), and
    # dL/dV = T' dL/dW. W being orthonormal to rounding, L stays true.
    W, pull_back = _orthonormal(V)
    A = W @ S
    C = A @ W.T
    loss = 0.5 * (S.trace() - np.trace(C))
    if not eval_gradient:
        return loss
    return loss, pull_back(C @ W - A)


def _orthonormal(V):
    """``W = T V`` with orthonormal rows, and the map ``G -> T' G``."""
    # With D the lengths of the rows, D^-1 V V' D^-1 = L L' and W = L^-1 D^-1 V. Where
    # the rows are far from orthogonal this loses digits, and V' = W' B, B triangular,
    # does not, however long or aligned they are.
    L, unit, lengths = _factor(V)
    if np.diagonal(L).min() > _INDEPENDENT:
        return _solve(L, unit), lambda G: _solve(L, G, transposed=True) / lengths
    Q, B = np.linalg.qr(V.T)
    if np.any(np.abs(np.diagonal(B)) <= _DEPENDENT * np.linalg.norm(V, axis=1)):
        raise np.linalg.LinAlgError("the rows of V are linearly dependent")
    return Q.T, lambda G: linalg.solve_triangular(B, G, check_finite=False)


def _nearly_orthonormal(V):
    """Rows that span those of `V`, to be multiplied with a matrix: not yet aligned."""
    L, unit, _ = _factor(V)
    return _solve(L, unit) if L.any() else np.linalg.qr(V.T)[0].T


def _factor(V):
    """Cholesky's factor of the rows' cosines, unit rows, and lengths.

    The factor is zero if the rows are dependent to rounding.
    """
    lengths = np.linalg.norm(V, axis=1, keepdims=True)
    unit = V / np.where(lengths > 0, lengths, 1.0)
    try:
        return np.linalg.cholesky(unit @ unit.T), unit, lengths
    except np.linalg.LinAlgError:
        return np.zeros((1, 1)), unit, lengths


def _solve(L, V, transposed=False):
    """``L^-1 V``, or ``L'^-1 V``."""
    # On columns, as BLAS has them, it is V' L'^-1: nothing is copied to another order.
    trsm = blas.strsm if V.dtype == np.float32 else blas.dtrsm
    return trsm(1.0, L.T, V.T, side=1, lower=0, trans_a=transposed).T


class AxisCoordinates:
    """Coordinates in which `subspace_autoencoder_loss` is about equally curved.

    They are those of rows along the data's principal axes, each as long as the standard
    deviation along it, with the directions of some further axes, next to the cut
    between those sought and the rest, stretched.

    Parameters
    ----------
    S : ndarray or LinearOperator of shape (n_features, n_features)
        ``X' X``.

    spare : ndarray of shape (n_spare, n_features)
        What the search for the further axes starts from; there may be none of them.
    """

    # Turn axis i, of variance t_i and length s_i, towards an outer axis j: the second
    # derivative of the loss is (t_i - t_j) / s_i^2. With s_i^2 = t_i / t_1 it is
    # t_1 (1 - t_j / t_i), in [t_1 (1 - t_j / t_m), t_1]: only the gap at the cut is
    # left, not the spread of the variances. A direction that is stretched by
    # (1 - t_j / t_i)^(-1/2) has t_1, and of the gap that of the axes stretched is left.
    def __init__(self, S, spare):
        self._S, self._spare = S, spare
        self._stretch, self._curvature = np.zeros(len(spare)), 0.0

    def rows(self, U):
        """The rows `V` at the coordinates `U`; by the same map, dL/dU from dL/dV."""
        if not len(self._spare):
            return U
        return U + (self._stretch * (U @ self._spare.T)) @ self._spare

    def renew(self, U):
        """New coordinates, and where in them the rows at `U` are.

        Together with the spare rows they are multiplied with `S` some times (randomized
        subspace iteration) and turned to the leading axes in the span of all.
        """
        S, m, spare = self._S, len(U), self._spare
        block = self.rows(U)
        if len(spare):
            block = np.vstack([block, spare])
            for _ in range(_POWERS - 1):
                block = _nearly_orthonormal(block @ S)
            block = block @ S
        axes, variances = principal_axes(block, S)
        t = np.maximum(variances, 0.0)
        inner, outer = t[:m, np.newaxis], t[m:]
        gap = 1.0 - np.divide(
            outer, inner, out=np.zeros((m, len(spare))), where=inner > 0
        )
        gap = np.maximum(gap, _LEAST_GAP)
        lengths = np.maximum(np.sqrt(inner / (t[0] or 1.0)), _SCALE_FLOOR)
        if len(spare):
            self._spare, self._stretch = axes[m:], 1.0 / np.sqrt(gap) - 1.0
            self._curvature = t[0] * gap[-1, -1]
        return lengths * axes[:m]

    def promise(self, gradient):
        """An estimate of how far the loss still falls, from its gradient there."""
        # A quadratic whose curvature is h at least falls by |g|^2 / (2 h) at most. Off
        # the axes stretched it is about t_1 (1 - t_k / t_m), of the last of them, whose
        # t_k is a Ritz value, and so somewhat low.
        if self._curvature == 0.0:
            return np.inf
        return 0.5 * np.vdot(gradient, gradient) / self._curvature


def principal_axes(V, S):
    """Orthonormal principal axes of the data within the span of the rows of `V`.

    Parameters
    ----------
    V : ndarray of shape (n_components, n_features)
        Any rows. Where they are linearly dependent, further rows are made up.

    S : ndarray or LinearOperator of shape (n_features, n_features)
        ``X' X``.

    Returns
    -------
    axes : ndarray of shape (n_components, n_features)
        Orthonormal rows with ``axes @ S @ axes.T`` diagonal.

    variances : ndarray of shape (n_components,)
        That diagonal, decreasing.
    """
    basis = np.linalg.qr(V.T)[0].T
    variances, rotation = np.linalg.eigh(basis @ S @ basis.T)
    return rotation[:, ::-1].T @ basis, variances[::-1]
