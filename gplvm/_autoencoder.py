"""The autoencoder with tied weights: PCA learnt by descent on the reconstruction."""

from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from scipy import linalg
from scipy.sparse import issparse
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_array, check_is_fitted, validate_data
from threadpoolctl import threadpool_limits

from gplvm._compat import Interval, StrOptions, _fit_context
from gplvm._optimize import FitMonitor, minimize_lbfgs
from gplvm._validation import refuse_nan
from gplvm.gradients.autoencoder import (
    ACTIVATIONS,
    autoencoder_loss,
    centred_gram,
    gram_autoencoder_loss,
    principal_axes,
    row_space,
    scale_to_axes,
    shrink_axes,
    subspace_autoencoder_loss,
)

# Rows that are decoded at a time by `score`.
_CHUNK = 1024

# Up to this many coordinates an iteration takes about a millisecond, in which several
# BLAS threads cost more than they bring: 100 times more where the cores are busy.
_ONE_THREAD = 2000


class LinearAutoencoder(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Autoencoder with one hidden layer and tied weights, trained by L-BFGS.

    The weights `W` minimise the reconstruction error
    ``||f(f(X W') W) - X||^2 / (2 n_samples) + alpha ||W||^2 / 2`` of the data `X`.
    With the identity for `f` the data are centred, every local minimum is a global
    one, and it spans the leading principal components: from any random start the
    fit ends at the result of :class:`sklearn.decomposition.PCA`. Its rows are returned
    as orthonormal principal axes, with PCA's signs.

    Training works on the Gram matrix of the data, or on that of their coordinates in
    the space of the rows where there are more features than samples, so an iteration
    costs ``O(min(n_samples, n_features)^2 n_components)``.

    Parameters
    ----------
    n_components : int, default=2
        Width of the hidden layer, at most ``min(n_samples, n_features)``.

    activation : {"identity", "swish", "tanh", "relu", "logistic"}, \
            default="identity"
        The function `f` of both layers. Whatever differs from the identity fixes the
        range of what can be reconstructed, such as 0 to 1 for ``"logistic"``; the
        data are then taken as they are, without centring, an iteration passes over
        them, and the minimum found depends on the start.

    solver : {"lbfgs", "eigen"}, default="lbfgs"
        ``"lbfgs"`` descends from a random start. ``"eigen"`` computes the optimum of
        the identity from an eigendecomposition.

    alpha : float, default=0.0
        Weight of the penalty on `W`. With the identity, it shrinks the axis of
        variance ``v`` by ``sqrt(1 - alpha / (2 v))``, to zero where that is not real.

    max_iter : int, default=1000
        The number of L-BFGS iterations at most.

    tol : float, default=None
        L-BFGS has converged when an iteration lowers the loss by less than this
        fraction of the data's mean square, averaged over five iterations. None
        means 1e-14 for the identity, for which some tens of iterations reach the
        precision of the machine, and 1e-8 for the others.

    warm_start : bool, default=False
        Whether to start from the weights of the previous fit instead of random ones.

    random_state : int, RandomState instance or None, default=None
        Determines the random start.

    verbose : int, default=0
        Print the loss every ten iterations, or every iteration if above 1.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The weights `W`. With the identity, principal axes in the order of decreasing
        variance; with another activation, in the order of decreasing mean square of
        the code.

    mean_ : ndarray of shape (n_features,)
        Mean of the training data, zero if `activation` is not the identity.

    loss_ : float
        The mean over rows of half the squared reconstruction error, plus the penalty.
        With the identity it is exact to rounding of the data's mean square.

    loss_curve_ : list of float
        The loss after each iteration. With the identity the penalty, whose effect is
        computed at the end in closed form, is not in it.

    n_iter_ : int
        Number of iterations.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen during fit, where `X` has string column names.

    Raises
    ------
    ValueError
        If `X` contains NaN; :class:`GPLVM` accepts missing values. By `fit`, if there
        are fewer samples or features than components, if ``solver="eigen"`` or sparse
        data meet another activation than the identity, or if the previous weights have
        another shape with ``warm_start=True``.

    See Also
    --------
    sklearn.decomposition.PCA : The same subspace by singular value decomposition.
    gplvm.gradients.autoencoder_loss : The loss and its gradient.

    Notes
    -----
    With the identity, plain descent on `W` crawls when the variances of the leading
    axes differ widely. L-BFGS works instead on the loss at the best mixture of the
    rows of `W`, which has the same minima, and rescales these rows to the standard
    deviations along them after 5, 15, 35, ... iterations.

    Sparse data are accepted with the identity and not made dense, unless they have
    more features than samples.

    References
    ----------
    .. [1] Baldi, P., & Hornik, K. (1989). Neural networks and principal component
           analysis: Learning from examples without local minima. Neural Networks,
           2(1), 53-58.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from gplvm import LinearAutoencoder
    >>> X = load_iris().data
    >>> autoencoder = LinearAutoencoder(n_components=2, random_state=0).fit(X)
    >>> pca = PCA(n_components=2).fit(X)
    >>> bool(np.allclose(autoencoder.components_, pca.components_, atol=1e-6))
    True
    >>> round(autoencoder.loss_, 4)
    0.0507
    """

    _parameter_constraints: ClassVar = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "solver": [StrOptions({"lbfgs", "eigen"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left"), None],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=2,
        *,
        activation="identity",
        solver="lbfgs",
        alpha=0.0,
        max_iter=1000,
        tol=None,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn the weights.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.

        y : None
            Ignored.

        Returns
        -------
        self : LinearAutoencoder
            The fitted estimator.
        """
        linear = self.activation == "identity"
        if not linear and self.solver == "eigen":
            raise ValueError(
                "solver='eigen' needs activation='identity', got "
                f"activation={self.activation!r}; use solver='lbfgs'."
            )
        X = self._validate(X, reset=True)
        n_samples, n_features = X.shape
        if self.n_components > min(n_samples, n_features):
            raise ValueError(
                f"n_components={self.n_components} must not exceed "
                f"min(n_samples, n_features)={min(n_samples, n_features)}; X has "
                f"n_samples={n_samples} and n_features={n_features}."
            )
        previous = self._previous_components(n_features)
        monitor = FitMonitor(
            self, X, y, max_iter=self.max_iter if self.solver == "lbfgs" else 1
        )
        if linear:
            mean = np.asarray(X.mean(axis=0, dtype=np.float64)).ravel()
            fitted = self._fit_linear(X, mean, previous, monitor)
        else:
            mean = np.zeros(n_features)
            fitted = self._fit_nonlinear(X, previous, monitor)
        W, self.loss_, self.loss_curve_ = fitted
        self.n_iter_ = len(self.loss_curve_)
        for name, value in self._attributes(W, mean, X.dtype).items():
            setattr(self, name, value)
        monitor.close()
        return self

    def transform(self, X):
        """Encode data: ``f((X - mean_) W')``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            The code.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        if issparse(X):
            code = safe_sparse_dot(X, self.components_.T, dense_output=True)
            return code - self.mean_ @ self.components_.T
        f, _ = ACTIVATIONS[self.activation]
        return f((X - self.mean_) @ self.components_.T)

    def inverse_transform(self, X):
        """Decode: ``f(Z W) + mean_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            The code `Z`.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            The reconstructed data.
        """
        check_is_fitted(self)
        Z = check_array(X, input_name="X", dtype=[np.float64, np.float32])
        n_components = len(self.components_)
        if Z.shape[1] != n_components:
            raise ValueError(
                f"X has {Z.shape[1]} columns, but {type(self).__name__} has "
                f"n_components={n_components}."
            )
        f, _ = ACTIVATIONS[self.activation]
        return f(Z @ self.components_) + self.mean_

    def score(self, X, y=None):
        """Return minus the mean squared reconstruction error, over all entries.

        On the training data it is ``-2 * loss_ / n_features``, with ``alpha=0``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        y : None
            Ignored.

        Returns
        -------
        score : float
            ``-mean((inverse_transform(transform(X)) - X) ** 2)``; higher is better.
        """
        check_is_fitted(self)
        X = self._validate(X, reset=False)
        X = X.tocsr() if issparse(X) else X
        total = 0.0
        for rows in gen_batches(X.shape[0], _CHUNK):
            chunk = X[rows].toarray() if issparse(X) else X[rows]
            chunk = chunk.astype(np.float64, copy=False) - self.mean_
            total += 2.0 * autoencoder_loss(
                self.components_, chunk, activation=self.activation
            )
        return -float(total / (X.shape[0] * X.shape[1]))

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self.activation == "identity"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _validate(self, X, *, reset):
        X = validate_data(
            self,
            X,
            accept_sparse=("csr", "csc") if self.activation == "identity" else False,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            reset=reset,
        )
        refuse_nan(self, X)
        return X

    def _previous_components(self, n_features):
        """The weights to continue from, or None."""
        if not (self.warm_start and hasattr(self, "components_")):
            return None
        expected = (self.n_components, n_features)
        if self.components_.shape != expected:
            raise ValueError(
                f"warm_start=True needs weights of shape {expected}, but those of the "
                f"previous fit have shape {self.components_.shape}."
            )
        return self.components_.astype(np.float64)

    def _attributes(self, W, mean, dtype):
        """What `transform` needs, in the precision of the data."""
        return {
            "components_": W.astype(dtype, copy=False),
            "mean_": mean.astype(dtype, copy=False),
        }

    def _start(self, previous, n_columns):
        """Random weights, or the previous ones with random rows for those of zeros."""
        rng = check_random_state(self.random_state)
        W = rng.standard_normal((self.n_components, n_columns)) / np.sqrt(n_columns)
        if previous is not None:
            alive = previous.any(axis=1)
            W[alive] = previous[alive]
        return W

    def _fit_linear(self, X, mean, previous, monitor):
        n_samples, n_features = X.shape
        if n_features > n_samples:
            centred = (X.toarray() if issparse(X) else X) - mean
            S, basis = row_space(centred)
        else:
            S, basis = centred_gram(X, mean), None
        total = np.trace(S) or 1.0
        S /= total
        alpha = self.alpha * n_samples / total

        def loss_per_row(value):
            return float(max(value, 0.0) * total / n_samples)

        def weights(axes, variances):
            on_data = axes if basis is None else axes @ basis
            return shrink_axes(on_data, variances, alpha)

        if self.solver == "eigen":
            last = len(S) - 1
            variances, vectors = linalg.eigh(
                S, subset_by_index=[last - self.n_components + 1, last]
            )
            axes, variances = vectors[:, ::-1].T, variances[::-1]
            curve = []
        else:
            if previous is not None and basis is not None:
                previous = previous @ basis.T
            threads = 1 if len(S) <= _ONE_THREAD else None
            with threadpool_limits(threads, user_api="blas"):
                V, curve = self._descend(
                    lambda V: subspace_autoencoder_loss(V, S, eval_gradient=True),
                    self._start(previous, len(S)),
                    tol=1e-14 if self.tol is None else self.tol,
                    renew=lambda V: scale_to_axes(V, S),
                    report=lambda V, value: monitor.iteration(
                        loss_per_row(value),
                        lambda: self._attributes(
                            weights(*principal_axes(V, S)), mean, X.dtype
                        ),
                    ),
                )
                axes, variances = principal_axes(V, S)
        optimum = shrink_axes(axes, variances, alpha)
        loss = loss_per_row(gram_autoencoder_loss(optimum, S, alpha=alpha))
        if self.solver == "eigen":
            monitor.iteration(
                loss, lambda: self._attributes(weights(axes, variances), mean, X.dtype)
            )
        curve = [loss_per_row(value) for value in curve] or [loss]
        return weights(axes, variances), loss, curve

    def _fit_nonlinear(self, X, previous, monitor):
        n_samples, n_features = X.shape
        data = X.astype(np.float64, copy=False)
        total = np.vdot(data, data) or 1.0

        def objective(W):
            value, gradient = autoencoder_loss(
                W,
                data,
                activation=self.activation,
                alpha=self.alpha * n_samples,
                eval_gradient=True,
            )
            return value / total, gradient / total

        def per_row(value):
            return float(value * total / n_samples)

        zeros = np.zeros(n_features)
        W, curve = self._descend(
            objective,
            self._start(previous, n_features),
            tol=1e-8 if self.tol is None else self.tol,
            report=lambda W, value: monitor.iteration(
                per_row(value), lambda: self._attributes(W, zeros, X.dtype)
            ),
        )
        loss = per_row(objective(W)[0])
        f, _ = ACTIVATIONS[self.activation]
        order = np.argsort(-np.square(f(data @ W.T)).mean(axis=0), kind="stable")
        return W[order], loss, [per_row(value) for value in curve] or [loss]

    def _descend(self, objective, start, *, tol, report, renew=None):
        """L-BFGS on functions of a matrix: its end and the values on the way."""
        shape = start.shape

        def flat_objective(x):
            value, gradient = objective(x.reshape(shape))
            return value, gradient.ravel()

        minimum = minimize_lbfgs(
            flat_objective,
            start.ravel(),
            max_iter=self.max_iter,
            tol=tol,
            on_iteration=lambda x, value: report(x.reshape(shape), value),
            renew=renew and (lambda x: renew(x.reshape(shape)).ravel()),
            name=type(self).__name__,
        )
        return minimum.x.reshape(shape), minimum.loss_curve
