"""The autoencoder with tied weights: PCA learnt by descent on the reconstruction."""

from contextlib import nullcontext
from copy import deepcopy
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from gplvm._autoencoder_solvers import (
    NonlinearProblem,
    encode,
    reconstruction_loss,
)
from gplvm._autoencoder_walks import Settings
from gplvm._centred import column_means, unit_near
from gplvm._compat import Interval, StrOptions, _fit_context
from gplvm._linear_autoencoder import LinearProblem, linear_optimum
from gplvm._moments import running_moments
from gplvm._optimize import FitMonitor
from gplvm._parallel import one_blas_thread
from gplvm._validation import (
    all_or_nothing,
    checked_array,
    refuse_infinite,
    refuse_nan,
    refuse_overflow,
    validated,
)
from gplvm.gradients.autoencoder import ACTIVATIONS


def _learns_in_batches(estimator):
    if estimator.activation == "identity" or estimator.solver == "adam":
        return True
    raise AttributeError(
        "partial_fit needs activation='identity' or solver='adam', got "
        f"activation={estimator.activation!r} and solver={estimator.solver!r}."
    )


def _few_threads(linear):
    """A context for a fit: what rounds differently on several threads is magnified.

    Not of the identity, from which every walk ends at one place.
    """
    return nullcontext() if linear else one_blas_thread()


# Up to this many, a batch is done before the threads of BLAS have found together.
_FEW_FEATURES = 512


class LinearAutoencoder(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Autoencoder with one hidden layer and tied weights.

    The weights `W` minimise the reconstruction error
    ``||f(f(X W') W) - X||^2 / (2 n_samples) + alpha ||W||^2 / 2`` of the data `X`.
    With the identity for `f` the data are centred, every local minimum is a global
    one, and it spans the leading principal components: from any random start the
    fit ends at the result of :class:`sklearn.decomposition.PCA`. Its rows are returned
    as orthonormal principal axes, with PCA's signs.

    Data that do not fit in memory are learnt in batches by `partial_fit`, or read from
    a memory-mapped array, which is not copied. Sparse data are never filled.

    Parameters
    ----------
    n_components : int, default=2
        Width of the hidden layer, at most ``min(n_samples, n_features)``.

    activation : {"identity", "swish", "tanh", "relu", "logistic"}, \
            default="identity"
        The function `f` of both layers. Whatever differs from the identity fixes the
        range of what can be reconstructed, such as 0 to 1 for ``"logistic"``; the
        data are then taken as they are, without centring, and the minimum found
        depends on the start.

    solver : {"lbfgs", "adam", "eigen"}, default="lbfgs"
        ``"lbfgs"`` descends from a random start, with all the rows. ``"adam"`` takes
        steps over shuffled mini-batches [2]_, halved while the loss does not fall. The
        noise of the batches leaves them near the optimum of the identity: when they
        have converged, a descent like that of ``"lbfgs"`` takes them there.
        ``"eigen"`` computes that optimum by an eigendecomposition: of large or sparse
        data the fastest.

    alpha : float, default=0.0
        Weight of the penalty on `W`. With the identity, it shrinks the axis of
        variance ``v`` by ``sqrt(1 - alpha / (2 v))``, to zero where that is not real.

    batch_size : int or "auto", default="auto"
        Rows in a mini-batch of ``"adam"``; more than there are means all. "auto" is a
        sixteenth of the rows, but at least 10 and at most 200.

    learning_rate_init : float, default=1e-3
        The first step size of ``"adam"``.

    max_iter : int, default=1000
        The number of L-BFGS iterations, and of epochs of ``"adam"``, at most. With the
        identity as many iterations with all the rows may follow the epochs.

    tol : float, default=None
        L-BFGS has converged when an iteration lowers the loss by less than this
        fraction of the data's mean square (of the reconstruction's without weights,
        where that is more), averaged over five iterations, or, with the identity, when
        its gradient says that no more than this is left; Adam when ten epochs in a row
        do not lower it by as much. None means 1e-14 for L-BFGS with the identity, for
        which some tens of iterations reach the precision of the machine, 1e-8 for the
        other activations, and 1e-5 for Adam.

    warm_start : bool, default=False
        Whether to start from the weights of the previous fit instead of random ones.

    random_state : int, RandomState instance or None, default=None
        Determines the random start and the shuffling of the rows.

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
        With the identity it is exact to rounding of the data's mean square. After
        `partial_fit`, that of all the rows so far (with the identity; above 1000
        features from above), or that of the batch.

    loss_curve_ : list of float
        The loss after each iteration, and during each epoch of ``"adam"``. For L-BFGS
        with the identity the penalty, whose effect is computed at the end in closed
        form, is not in it. `partial_fit` continues it.

    n_iter_ : int
        Number of epochs and iterations, or of calls of `partial_fit`.

    n_samples_seen_ : int
        Rows of the last fit and the calls of `partial_fit` since.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features seen during fit, where `X` has string column names.

    Raises
    ------
    ValueError
        If `X` contains NaN (:class:`GPLVM` accepts missing values), or if its squares
        overflow. By `fit`, if there are fewer samples or features than components, if
        ``solver="eigen"`` meets another activation than the identity, if the previous
        weights have another shape with ``warm_start=True``, or if Adam diverges.

    See Also
    --------
    sklearn.decomposition.PCA : The same subspace by singular value decomposition.
    sklearn.decomposition.IncrementalPCA : It in batches, approximately.
    gplvm.gradients.autoencoder_loss : The loss and its gradient.

    Notes
    -----
    With the identity, plain descent on `W` crawls when the variances of the leading
    axes differ widely. L-BFGS works instead on the loss at the best mixture of the
    rows of `W`, which has the same minima, in coordinates that it renews now and then:
    the rows are scaled to the standard deviations along them and, from 100 coordinates
    on, the directions of as many further axes are stretched by what is known of the
    curvature towards them. These axes are found by some products with the second
    moments from a random start (randomized subspace iteration [3]_).

    It works on the second moments of the data in the cheapest form: as a matrix of
    ``min(n_samples, n_features)`` rows, or, where that has thousands of them or the
    data are sparse enough, as products with the data. An eigendecomposition of the
    latter is by ARPACK. With the identity it computes in the data's own unit: data
    of the order of 1e-150 and 1e150 fit alike.

    All of it is computed in double precision. With another activation digits of the
    data that single precision does not hold are left out, if they change the loss by
    far less than `tol` (1e-8 for Adam): both precisions end in the same place.

    Ctrl-C leaves the best weights so far. Any other exception, such as one of a
    callback or for data that are refused, leaves the estimator as it was before.

    References
    ----------
    .. [1] Baldi, P., & Hornik, K. (1989). Neural networks and principal component
           analysis: Learning from examples without local minima. Neural Networks,
           2(1), 53-58.
    .. [2] Kingma, D. P., & Ba, J. (2015). Adam: a method for stochastic
           optimization. International Conference on Learning Representations.
    .. [3] Halko, N., Martinsson, P. G., & Tropp, J. A. (2011). Finding structure with
           randomness: Probabilistic algorithms for constructing approximate matrix
           decompositions. SIAM Review, 53(2), 217-288.

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
        "solver": [StrOptions({"lbfgs", "adam", "eigen"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
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
        batch_size="auto",
        learning_rate_init=1e-3,
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
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
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
        with all_or_nothing(self), _few_threads(linear):
            if not linear and self.solver == "eigen":
                raise ValueError(
                    "solver='eigen' needs activation='identity', got "
                    f"activation={self.activation!r}; use solver='lbfgs' or 'adam'."
                )
            X, largest = self._validate(X, reset=True)
            n_samples, n_features = X.shape
            if self.n_components > min(n_samples, n_features):
                raise ValueError(
                    f"n_components={self.n_components} must not exceed "
                    f"min(n_samples, n_features)={min(n_samples, n_features)}; X has "
                    f"n_samples={n_samples} and n_features={n_features}."
                )
            refuse_overflow(largest, X.shape, X.dtype)
            previous = self._previous_components(n_features)
            most = 1 if self.solver == "eigen" else self.max_iter
            if linear and self.solver == "adam":
                most *= 2  # the descent after the epochs
            monitor = FitMonitor(self, X, y, max_iter=most)
            mean = column_means(X) if linear else np.zeros(n_features)
            self._random_state = check_random_state(self.random_state)
            settings = Settings.of(self, n_samples, self._random_state)

            def report(loss, weights):
                return monitor.iteration(
                    loss, lambda: self._attributes(weights(), mean, X.dtype)
                )

            if linear:
                problem = LinearProblem(X, mean, settings, report, unit_near(largest))
            else:
                problem = NonlinearProblem(
                    X, self.activation, settings, report, largest
                )
            fitted = getattr(problem, self.solver)(previous)
            self._set(fitted, mean, X.dtype)
            self._moments = self._optimizer = None
            self._known = fitted.total, fitted.variances, fitted.unit
            self.loss_curve_, self.n_iter_ = fitted.curve, len(fitted.curve)
            self.n_samples_seen_ = n_samples
            monitor.close()
        return self

    @available_if(_learns_in_batches)
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y=None):
        """Learn from one more batch of rows.

        With the identity, mean and second moments of all the rows so far are kept and
        the weights are their optimum, whatever the `solver`: after all the batches
        those of a `fit` to all the rows, up to 1000 features. A call costs up to
        ``O(n_samples * n_features^2 + n_features^3)``: take batches of at least
        `n_features` rows. Above 1000 features ``n_components + max(n_components, 10)``
        axes are kept instead, and the weights are approximate. After a `fit`, its axes
        and its loss are all that is known of its rows.

        With another activation, one epoch of Adam over the batch; the optimizer's
        moments are kept from call to call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data, of which nothing is kept as it is.

        y : None
            Ignored.

        Returns
        -------
        self : LinearAutoencoder
            The estimator after the batch.

        Raises
        ------
        ValueError
            If there are fewer features than components, or `n_components` or
            `activation` is not that of the calls before.

        AttributeError
            If `activation` is not the identity and `solver` not ``"adam"``.
        """
        linear = self.activation == "identity"
        with all_or_nothing(self), _few_threads(linear):
            fresh = not hasattr(self, "components_")
            X, largest = self._validate(X, reset=fresh)
            if fresh:
                if self.n_components > X.shape[1]:
                    raise ValueError(
                        f"n_components={self.n_components} must not exceed "
                        f"n_features={X.shape[1]}."
                    )
                self._random_state = check_random_state(self.random_state)
                self._moments = self._optimizer = None
                self.loss_curve_, self.n_iter_, self.n_samples_seen_ = [], 0, 0
            elif self.n_components != len(self.components_):
                raise ValueError(
                    f"n_components={self.n_components} differs from the "
                    f"{len(self.components_)} of the calls before; use fit to start "
                    "anew."
                )
            elif self.activation != self._activation:
                raise ValueError(
                    f"activation={self.activation!r} differs from the "
                    f"{self._activation!r} of the calls before; use fit to start anew."
                )
            dtype = X.dtype if fresh else self.components_.dtype
            refuse_overflow(largest, X.shape, dtype)
            curve = self._update_moments(X) if linear else self._one_epoch(X)
            self.loss_curve_ = self.loss_curve_ + curve
            self.n_iter_ += len(curve)
            self.n_samples_seen_ += X.shape[0]
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
        X, _ = self._validate(X, reset=False)
        with np.errstate(over="ignore", invalid="ignore"):
            Z = encode(self.components_, X, self.mean_, self._activation)
        return refuse_infinite(Z, "The code")

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
        Z = checked_array(X, input_name="X", dtype=[np.float64, np.float32])
        n_components = len(self.components_)
        if Z.shape[1] != n_components:
            raise ValueError(
                f"X has {Z.shape[1]} columns, but {type(self).__name__} has "
                f"n_components={n_components}."
            )
        f, _ = ACTIVATIONS[self._activation]
        with np.errstate(over="ignore", invalid="ignore"):
            X_original = f(Z @ self.components_) + self.mean_
        return refuse_infinite(X_original, "The reconstruction")

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
        X, largest = self._validate(X, reset=False)
        mean = self.mean_.astype(np.float64)
        refuse_overflow(largest, X.shape)
        unit = 1.0
        if self._activation == "identity":
            unit = unit_near(max(largest, float(np.abs(mean).max())))
        total = reconstruction_loss(
            self.components_.astype(np.float64), X, mean, self._activation, unit
        )
        mean_square = 2.0 * float(total) / (X.shape[0] * X.shape[1])
        return -mean_square * unit * unit

    @property
    def _n_features_out(self):
        return self.components_.shape[0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _validate(self, X, *, reset):
        X = validated(
            self,
            X,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            reset=reset,
        )
        return X, refuse_nan(self, X)

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
        return self._weights()

    def _weights(self):
        """Those of the last fit or batch, in double precision."""
        W = self.components_.astype(np.float64)
        lost = getattr(self, "_lost_digits", None)
        return W if lost is None else W + lost

    def _attributes(self, W, mean, dtype):
        """What `transform` needs, in the precision of the data."""
        components = W.astype(dtype, copy=False)
        # Further steps start from the weights as they were: those of the same data in
        # double precision would not have lost these digits.
        lost = self.activation != "identity" and dtype == np.float32
        return {
            "_activation": self.activation,
            "_lost_digits": W - components if lost else None,
            "components_": components,
            "mean_": mean.astype(dtype, copy=False),
        }

    def _set(self, fitted, mean, dtype):
        for name, value in self._attributes(fitted.W, mean, dtype).items():
            setattr(self, name, value)
        self.loss_ = fitted.loss

    def _update_moments(self, X):
        """One batch of the linear case; the loss is that of all the rows so far."""
        if self._moments is None:
            self._moments = running_moments(X.shape[1], self.n_components)
            if hasattr(self, "components_"):
                total, variances, unit = self._known
                self._moments.resume(
                    self.n_samples_seen_,
                    self.mean_.astype(np.float64),
                    total,
                    self.components_.astype(np.float64),
                    variances,
                    unit,
                )
        moments = self._moments
        few = X.shape[1] <= _FEW_FEATURES
        with one_blas_thread() if few else nullcontext():
            moments.update(X)
            fitted = linear_optimum(
                *moments.leading(self.n_components),
                moments.total,
                moments.n,
                self.alpha,
                moments.unit,
            )
        fitted.curve = [fitted.loss]
        self._set(fitted, moments.mean, X.dtype)
        return fitted.curve

    def _one_epoch(self, X):
        """One batch of the other activations."""
        W, dtype = None, X.dtype
        if hasattr(self, "components_"):
            W, dtype = self._weights(), self.components_.dtype
        settings = Settings.of(self, X.shape[0], self._random_state)
        problem = NonlinearProblem(X, self.activation, settings, report=None)
        # A copy: an epoch that diverges leaves the one before as it was.
        fitted, self._optimizer = problem.epoch(W, deepcopy(self._optimizer))
        self._set(fitted, np.zeros(X.shape[1]), dtype)
        return fitted.curve
