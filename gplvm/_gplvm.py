"""The Gaussian-process latent variable model as an estimator."""

import os
from numbers import Integral, Real

import numpy as np
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.gaussian_process import kernels as sk
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from gplvm import _latent, kernels
from gplvm._compat import Interval, StrOptions, _fit_context
from gplvm._likelihoods import DenseLikelihood, LinearLikelihood
from gplvm._optimize import FitMonitor, Packing, minimize_lbfgs

# Bounds of the noise variance relative to the data's: below, float64 cannot factor
# the covariance of a smooth kernel; above, nothing is left to explain.
_NOISE_BOUNDS = (1e-8, 10.0)

# The latent spread, in length scales, and the share of noise at the start: together
# they decide which optimum is found. Measured on digits and creatures: a small spread
# climbs out of the linear model slowly, a large one tears neighbours apart.
_START_SPREAD = 2.0
_START_NOISE = 0.3

# New rows start from this many of the nearest training rows: the best of them, and
# the best that lies elsewhere in latent space.
_N_NEIGHBORS = 10


class GPLVM(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    r"""Gaussian-process latent variable model.

    Each feature is a Gaussian process over unknown latent positions X, with one
    covariance K for all of them; the positions, the kernel's hyperparameters and the
    noise variance maximise

    .. math:: \log p(Y \mid X) = -\tfrac{ND}{2} \log 2\pi - \tfrac{D}{2} \log |K|
              - \tfrac12 \operatorname{tr}(K^{-1} Y Y^\top)

    by L-BFGS with its analytic gradient [1]_. With the linear kernel this is
    probabilistic PCA, and the optimum is known in closed form [2]_; with any other it
    is its non-linear successor.

    Parameters
    ----------
    n_components : int, default=2
        Number of latent dimensions.

    kernel : {"linear", "rbf"}, kernel object or None, default=None
        Covariance of the latent functions. ``"rbf"``, or None, is
        ``ConstantKernel() * RBF(1.0, "fixed")``; ``"linear"`` is
        ``ConstantKernel(1.0, "fixed") * DotProduct(0.0, "fixed")``, whose likelihood
        is computed without an N x N matrix. A scikit-learn kernel object is cloned;
        `gplvm.kernels` names the supported ones. The scale of latent space is
        free, so a kernel needs no length scale of its own: fix it at 1, and the
        positions are measured in length scales.

    noise_variance : float, default=None
        Variance of the noise, in squared units of the data, held fixed. None: it is
        estimated, between 1e-8 and 10 times the data's mean variance.

    init : {"pca", "isomap", "random"} or array-like of shape \
            (n_samples, n_components), default="pca"
        Start of the latent positions. An array is taken as it is.

    max_iter : int, default=1000
        Iterations of L-BFGS at most.

    tol : float, default=1e-4
        The fit has converged when an iteration raises the log-likelihood by less than
        this many nats per row, averaged over five iterations. The linear kernel,
        whose iterations cost next to nothing, is run to a hundred-thousandth of it.

    warm_start : bool, default=False
        Whether `fit` starts from the embedding and hyperparameters of the last fit,
        if the shapes agree.

    random_state : int, RandomState instance or None, default=None
        Source of ``init="random"``.

    verbose : int, default=0
        1 prints every tenth iteration, 2 every one.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_samples, n_components)
        Latent positions of the training rows: centred, and, where the kernel is
        isotropic, along their principal axes; signs are fixed.

    kernel_ : kernel object
        The kernel with fitted hyperparameters.

    noise_variance_ : float
        Variance of the noise, in squared units of the data.

    theta_ : ndarray of shape (n_hyperparameters + 1,)
        ``kernel_.theta`` followed by the log noise variance.

    log_likelihood_ : float
        log p(Y | X) at the fit, in nats, for all the data.

    loss_curve_ : list of float
        Minus the log-likelihood per row after each iteration, in nats.

    n_iter_ : int
        Number of iterations.

    mean_ : ndarray of shape (n_features,)
        Mean of the training data.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, if `X` had string names.

    See Also
    --------
    LinearAutoencoder : The same subspace as the linear kernel, without probabilities.
    sklearn.decomposition.PCA : The linear kernel's solution in closed form.

    Notes
    -----
    An iteration costs O(N^3) time and O(N^2) memory (about five N x N arrays),
    whatever the number of features; with the linear kernel O(min(N, D) q^2) after one
    eigendecomposition.

    Data are centred and not scaled: features in different units belong into a
    `StandardScaler` first.

    References
    ----------
    .. [1] N. D. Lawrence, "Gaussian Process Latent Variable Models for Visualisation
       of High Dimensional Data", NIPS 2004.
    .. [2] N. D. Lawrence, "Probabilistic Non-linear Principal Component Analysis with
       Gaussian Process Latent Variable Models", JMLR 6, 2005.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from gplvm import GPLVM
    >>> X = load_iris().data
    >>> model = GPLVM(kernel="linear").fit(X[:100])
    >>> model.transform(X[100:]).shape
    (50, 2)
    >>> mean, std = model.inverse_transform(model.embedding_, return_std=True)
    >>> mean.shape, std.shape
    ((100, 4), (100, 4))
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "kernel": [StrOptions({"linear", "rbf"}), sk.Kernel, None],
        "noise_variance": [Interval(Real, 0, None, closed="neither"), None],
        "init": [StrOptions({"pca", "isomap", "random"}), "array-like"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=2,
        *,
        kernel=None,
        noise_variance=None,
        init="pca",
        max_iter=1000,
        tol=1e-4,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.noise_variance = noise_variance
        self.init = init
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # --- Fitting -----------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Find the latent positions, the hyperparameters and the noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.

        y : None
            Ignored.

        Returns
        -------
        self : GPLVM
            The fitted model.

        Raises
        ------
        ValueError
            If `n_components` exceeds the rows or the features, `init` has the wrong
            shape, or the data are not finite.

        NotImplementedError
            If the kernel is not supported.

        MemoryError
            If the matrices of the exact model cannot fit in memory.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` is reached, or Ctrl-C is pressed; the best parameters so far
            are kept.
        """
        data = validate_data(
            self, X, dtype=[np.float64, np.float32], ensure_min_samples=2
        )
        self._check_n_components(data)
        Y, mean = _centred(data)
        variance = _mean_variance(Y)
        kernel = self._resolve_kernel(variance)
        linear = LinearLikelihood.is_linear(kernel)
        if not linear:
            _check_memory(len(Y))
        monitor = FitMonitor(self, X, y, max_iter=self.max_iter)
        likelihood = (LinearLikelihood if linear else DenseLikelihood)(kernel, Y)
        embedding, theta = self._start(Y, kernel, variance, linear)

        # The optimiser sees coordinates of order one, whatever the data's unit.
        scale = embedding.std() or 1.0
        packing = Packing(embedding=likelihood.encode(embedding), theta=theta)
        n_samples = len(Y)

        def objective(packed):
            values = packing.unpack(packed)
            log_likelihood, gradient = likelihood.evaluate(
                scale * values["embedding"], values["theta"]
            )
            gradient["embedding"] *= scale
            return -log_likelihood / n_samples, -packing.pack(**gradient) / n_samples

        def decode(packed):
            values = packing.unpack(packed)
            return likelihood.decode(scale * values["embedding"]), values["theta"]

        def on_iteration(packed, loss):
            return monitor.iteration(
                loss,
                lambda: self._fitted_attributes(
                    likelihood, mean, data, *decode(packed)
                ),
            )

        minimum = minimize_lbfgs(
            objective,
            packing.pack(embedding=likelihood.encode(embedding) / scale, theta=theta),
            bounds=self._bounds(packing, kernel, variance),
            max_iter=self.max_iter,
            tol=self.tol * (1e-5 if linear else 1.0),
            on_iteration=on_iteration,
            name=type(self).__name__,
        )
        attributes = self._fitted_attributes(likelihood, mean, data, *decode(minimum.x))
        for name, value in attributes.items():
            setattr(self, name, value)
        self.log_likelihood_ = self.log_likelihood()
        self.loss_curve_ = minimum.loss_curve
        self.n_iter_ = minimum.n_iter
        monitor.close()
        return self

    def fit_transform(self, X, y=None):
        """Fit, and return the latent positions of the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.

        y : None
            Ignored.

        Returns
        -------
        embedding : ndarray of shape (n_samples, n_components)
            `embedding_`.
        """
        return self.fit(X, y).embedding_

    def _check_n_components(self, data):
        n_samples, n_features = data.shape
        if self.n_components > min(n_samples, n_features):
            raise ValueError(
                f"n_components={self.n_components} must not exceed "
                f"n_samples={n_samples} or n_features={n_features}"
            )

    def _resolve_kernel(self, variance):
        """The kernel to fit, a shortcut being in the data's unit."""
        if isinstance(self.kernel, sk.Kernel):
            kernel = self.kernel.clone_with_theta(self.kernel.theta)
        elif self.kernel == "linear":
            kernel = sk.ConstantKernel(1.0, "fixed") * sk.DotProduct(0.0, "fixed")
        else:
            bounds = (1e-5 * variance, 1e5 * variance)
            kernel = sk.ConstantKernel(variance, bounds) * sk.RBF(1.0, "fixed")
        kernels.check_kernel(kernel, self.n_components)
        return kernel

    def _start(self, Y, kernel, variance, linear):
        """Embedding and theta to start from."""
        shape = (len(Y), self.n_components)
        if self.warm_start and getattr(self, "embedding_", np.empty(0)).shape == shape:
            theta = self.theta_.copy()
            if self.noise_variance is not None:
                theta[-1] = np.log(self.noise_variance)
            if len(theta) == kernel.n_dims + 1:
                return self.embedding_.astype(float), theta
        embedding = _latent.initial_embedding(
            Y, self.n_components, self.init, check_random_state(self.random_state)
        )
        if isinstance(self.init, str):
            if linear:
                # The linear kernel's functions have the variance of the positions.
                embedding = embedding * np.sqrt(variance)
            else:
                spread = embedding.std(axis=0)
                embedding = embedding * (
                    _START_SPREAD / np.where(spread > 0, spread, 1)
                )
        noise_variance = self.noise_variance or _START_NOISE * variance
        return embedding, np.append(kernel.theta, np.log(noise_variance))

    def _bounds(self, packing, kernel, variance):
        """Box constraints: free positions, the kernel's bounds, the noise's."""
        low, high = np.log(variance) + np.log(_NOISE_BOUNDS)
        if self.noise_variance is not None:
            low = high = np.log(self.noise_variance)
        theta = np.vstack([kernel.bounds.reshape(-1, 2), [[low, high]]])
        free = np.full(packing.shapes["embedding"], np.inf)
        return np.column_stack(
            [
                packing.pack(embedding=-free, theta=theta[:, 0]),
                packing.pack(embedding=free, theta=theta[:, 1]),
            ]
        )

    def _fitted_attributes(self, likelihood, mean, data, embedding, theta):
        """Everything that transform and its kin need, from one state of the fit."""
        dtype = data.dtype
        kernel = likelihood.kernel.clone_with_theta(theta[:-1])
        # Only stationary kernels forget a shift; the linear one, fitted to centred
        # data, keeps its positions centred.
        if kernel.is_stationary():
            embedding = embedding - embedding.mean(axis=0)
        embedding = embedding @ _latent.orientation(
            embedding, likelihood.Y, isotropic=_is_isotropic(kernel)
        )
        return {
            "embedding_": embedding.astype(dtype),
            "kernel_": kernel,
            "noise_variance_": float(np.exp(theta[-1])),
            "theta_": theta.copy(),
            "mean_": mean.astype(dtype),
            "_mean": mean,
            "_embedding": embedding,
            "_likelihood": likelihood,
            "_posterior": likelihood.posterior(embedding, theta),
            "_n_features_out": self.n_components,
        }

    # --- The objective -------------------------------------------------------------

    def log_likelihood(self, *, embedding=None, theta=None, eval_gradient=False):
        """Log-likelihood log p(Y | X, theta) of the training data.

        Parameters
        ----------
        embedding : array-like of shape (n_samples, n_components), default=None
            Latent positions X. None: the fitted ones.

        theta : array-like of shape (n_hyperparameters + 1,), default=None
            ``kernel_.theta`` followed by the log noise variance. None: `theta_`.

        eval_gradient : bool, default=False
            Whether to return the gradient too.

        Returns
        -------
        log_likelihood : float
            In nats, for all the data.

        gradient : dict of str to ndarray
            ``"embedding"`` (n_samples, n_components) and ``"theta"``
            (n_hyperparameters + 1,). Only if `eval_gradient`.

        Raises
        ------
        ValueError
            If a shape is wrong.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from gplvm import GPLVM
        >>> from gplvm.gradients import check_gradient
        >>> model = GPLVM(kernel="rbf", max_iter=20, tol=1.0)
        >>> model = model.fit(load_iris().data[::10])
        >>> def function(**point):
        ...     return model.log_likelihood(**point, eval_gradient=True)
        >>> point = {"embedding": model.embedding_, "theta": model.theta_}
        >>> bool(check_gradient(function, point) < 1e-5)
        True
        """
        check_is_fitted(self)
        embedding = _checked(embedding, self._embedding, "embedding")
        theta = _checked(theta, self.theta_, "theta")
        return self._likelihood.log_likelihood(
            embedding, theta, eval_gradient=eval_gradient
        )

    # --- New rows ------------------------------------------------------------------

    def transform(self, X):
        """Latent positions of rows, seen or unseen.

        A new row's position maximises its predictive density log p(y | x), by BFGS
        from the positions of its nearest training rows; each row is treated by itself.
        A row of the training data gets its fitted position, which maximises the
        predictive density given the *other* rows: it does not count twice.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Data rows.

        Returns
        -------
        embedding : ndarray of shape (n_rows, n_components)
            Latent positions.
        """
        positions, _, dtype = self._project(X)
        return positions.astype(dtype)

    def score_samples(self, X):
        """Log density of each row at its own latent position.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Data rows.

        Returns
        -------
        log_density : ndarray of shape (n_rows,)
            log p(y | x) in nats, x being the row's position from `transform`.
        """
        return self._project(X)[1]

    def score(self, X, y=None):
        """Mean log density of the rows.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Data rows.

        y : None
            Ignored.

        Returns
        -------
        log_density : float
            Mean of `score_samples`, in nats.
        """
        return float(np.mean(self.score_samples(X)))

    def _project(self, X):
        """Positions and log densities of rows, and the dtype of the answer."""
        check_is_fitted(self)
        data = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        Y = data.astype(float) - self._mean
        training = self._likelihood.Y
        n_neighbors = min(_N_NEIGHBORS, len(training))
        neighbors = _latent.nearest_rows(Y, training, n_neighbors)
        starts = self._starts(Y, neighbors)
        positions, log_density = _latent.project_rows(self._posterior, Y, starts)
        # A training row is its own nearest neighbour, to the bit.
        same = (Y[:, None, :] == training[neighbors[:, :1]]).all(axis=2)[:, 0]
        if same.any():
            positions[same] = self._embedding[neighbors[same, 0]]
            log_density[same] = self._posterior.log_density(positions[same], Y[same])[0]
        return positions, log_density, data.dtype

    def _starts(self, Y, neighbors):
        """Two starts a row: the neighbour of highest density, and one elsewhere."""
        n_rows, n_neighbors = neighbors.shape
        candidates = self._embedding[neighbors]
        flat = candidates.reshape(-1, self.n_components)
        density, _ = self._posterior.log_density(
            flat, np.repeat(Y, n_neighbors, axis=0)
        )
        density = density.reshape(n_rows, n_neighbors)
        rows = np.arange(n_rows)
        first = density.argmax(axis=1)
        distance = np.linalg.norm(candidates - candidates[rows, first][:, None], axis=2)
        elsewhere = distance > 0.5 * self._embedding.std(axis=0).max()
        density[~elsewhere] = -np.inf
        second = np.where(elsewhere.any(axis=1), density.argmax(axis=1), first)
        return candidates[rows[:, None], np.column_stack([first, second])]

    # --- Back to the data ------------------------------------------------------------

    def inverse_transform(self, Z, return_std=False):
        """Data rows at latent positions.

        Parameters
        ----------
        Z : array-like of shape (n_rows, n_components)
            Latent positions.

        return_std : bool, default=False
            Whether to return the standard deviation too.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features)
            Predictive mean.

        std : ndarray of shape (n_rows, n_features)
            Predictive standard deviation, noise included: that of a new observation.
            All features share it, so this is a read-only broadcast. Only if
            `return_std`.
        """
        check_is_fitted(self)
        Z = check_array(Z, dtype=[np.float64, np.float32], input_name="Z")
        if Z.shape[1] != self.n_components:
            raise ValueError(
                f"Z has {Z.shape[1]} columns, expected n_components={self.n_components}"
            )
        mean, variance = self._posterior.predict(Z.astype(float))
        mean = (mean + self._mean).astype(Z.dtype)
        if not return_std:
            return mean
        std = np.sqrt(variance).astype(Z.dtype)
        return mean, np.broadcast_to(std[:, None], mean.shape)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _centred(data):
    mean = data.mean(axis=0, dtype=float)
    return data.astype(float) - mean, mean


def _mean_variance(Y):
    """The data's mean variance, the unit of noise and signal; 1 for constant data."""
    scale = np.abs(Y).max()
    if scale == 0:
        return 1.0
    return max(float(np.mean((Y / scale) ** 2)) * scale**2, np.finfo(float).tiny * 1e12)


def _is_isotropic(kernel):
    """Whether a kernel is unchanged when its inputs are rotated."""
    return all(
        not name.endswith("length_scale") or np.size(value) == 1
        for name, value in kernel.get_params().items()
    )


def _checked(given, fitted, name):
    if given is None:
        return fitted
    given = np.asarray(given, dtype=float)
    if given.shape != fitted.shape:
        raise ValueError(f"{name} has shape {given.shape}, expected {fitted.shape}")
    return given


def _check_memory(n_samples):
    """Refuse an exact model whose five N x N arrays exceed the machine's memory."""
    needed = 5 * 8 * n_samples**2
    try:
        available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return
    if needed > available:
        raise MemoryError(
            f"The exact GPLVM of {n_samples} rows needs about {needed / 2**30:.0f} "
            f"GiB, and this machine has {available / 2**30:.0f} GiB. Fit a subset of "
            "the rows and transform the others, or use kernel='linear'."
        )
