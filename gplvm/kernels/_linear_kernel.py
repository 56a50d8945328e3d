"""A linear kernel with a variance for each dimension, which scikit-learn has not."""

import numpy as np
from sklearn.gaussian_process import kernels as sk

from gplvm.kernels.covariance import Rule, register_rule


class Linear(sk.Kernel):
    """Linear kernel, ``k(x, x') = sum_q v_q x_q x'_q``.

    Functions of it are linear, without an offset (add a `ConstantKernel` for one). With
    a variance for each dimension those of irrelevant dimensions go to zero.

    Parameters
    ----------
    variances : float or array-like of shape (n_dimensions,), default=1.0
        Prior variance of the slope, of all dimensions or of each; positive.

    variances_bounds : pair of floats, array-like of pairs or "fixed", \
            default=(1e-5, 1e5)
        Bounds of the variances, or ``"fixed"``.

    See Also
    --------
    sklearn.gaussian_process.kernels.DotProduct : One variance for all, and an offset.

    References
    ----------
    M. K. Titsias and N. D. Lawrence, "Bayesian Gaussian Process Latent Variable
    Model", AISTATS 2010, section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.kernels import Linear
    >>> kernel = Linear([1.0, 0.5])
    >>> kernel(np.array([[1.0, 2.0], [0.0, 2.0]]))
    array([[3., 2.],
           [2., 2.]])
    >>> kernel.theta.round(3)
    array([ 0.   , -0.693])
    """

    def __init__(self, variances=1.0, variances_bounds=(1e-5, 1e5)):
        self.variances = variances
        self.variances_bounds = variances_bounds

    @property
    def anisotropic(self):
        """Whether each dimension has a variance of its own."""
        return np.iterable(self.variances) and len(self.variances) > 1

    @property
    def hyperparameter_variances(self):
        """The variances, as scikit-learn describes hyperparameters."""
        n_elements = len(self.variances) if self.anisotropic else 1
        return sk.Hyperparameter(
            "variances", "numeric", self.variances_bounds, n_elements
        )

    def __call__(self, X, Y=None, eval_gradient=False):
        """Covariance of the rows of `X` with those of `Y`.

        Parameters
        ----------
        X : array-like of shape (n, n_dimensions)
            Inputs.

        Y : array-like of shape (m, n_dimensions), default=None
            Other inputs. None is `X`.

        eval_gradient : bool, default=False
            Whether to return the gradient with respect to the log-variances too. Only
            without `Y`.

        Returns
        -------
        K : ndarray of shape (n, n) or (n, m)
            The covariance.

        K_gradient : ndarray of shape (n, n, n_free_variances)
            Only if `eval_gradient`.

        Raises
        ------
        ValueError
            If the variances do not fit the inputs, or the gradient is wanted with `Y`.
        """
        X = np.atleast_2d(X)
        variances = self._variances(X)
        if Y is not None:
            if eval_gradient:
                raise ValueError("The gradient can only be evaluated when Y is None.")
            return (X * variances) @ np.atleast_2d(Y).T
        K = (X * variances) @ X.T
        if not eval_gradient:
            return K
        if self.hyperparameter_variances.fixed:
            return K, np.empty((len(X), len(X), 0))
        if not self.anisotropic:
            return K, K[:, :, None].copy()
        return K, variances * X[:, None, :] * X[None, :, :]

    def diag(self, X):
        """The diagonal of ``self(X)``.

        Parameters
        ----------
        X : array-like of shape (n, n_dimensions)
            Inputs.

        Returns
        -------
        k : ndarray of shape (n,)
            Variances.
        """
        X = np.atleast_2d(X)
        return np.square(X) @ self._variances(X)

    def is_stationary(self):
        """Whether the covariance depends on differences of inputs only.

        Returns
        -------
        stationary : bool
            False.
        """
        return False

    def __repr__(self):
        values = ", ".join(f"{v:.3g}" for v in np.atleast_1d(self.variances))
        return f"Linear(variances={f'[{values}]' if self.anisotropic else values})"

    def _variances(self, X):
        """One variance for each column of X."""
        variances = np.squeeze(self.variances).astype(float)
        if variances.ndim and len(variances) != X.shape[1]:
            raise ValueError(
                f"Linear has {len(variances)} variances, but the inputs have "
                f"{X.shape[1]} dimensions"
            )
        return np.broadcast_to(variances, X.shape[1])


def _linear(kernel, X, Z, symmetric):
    # dk/dlog v_q = v_q x_q z_q, dL/dX = v G Z, dL/dZ = v G'X.
    variances = np.asarray(kernel.variances, dtype=float)

    def pullback(G):
        dX = variances * (G @ Z)
        dlog_v = np.einsum("nq,nq->q", X, dX)
        if variances.size == 1:
            dlog_v = dlog_v.sum()
        return {"variances": dlog_v}, dX, variances * (G.T @ X)

    return (X * variances) @ Z.T, pullback


def _linear_diagonal(kernel, X):
    variances = np.asarray(kernel.variances, dtype=float)

    def pullback(g):
        dlog_v = variances * (g @ X**2)
        if variances.size == 1:
            dlog_v = dlog_v.sum()
        return {"variances": dlog_v}, 2.0 * g[:, None] * X * variances

    return np.sum(X**2 * variances, axis=1), pullback


register_rule(Linear, Rule(_linear, _linear_diagonal, isotropic=True))
