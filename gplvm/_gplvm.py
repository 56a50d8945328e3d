"""The Gaussian-process latent variable model as an estimator."""

import warnings
from numbers import Integral, Real

import numpy as np
from joblib import effective_n_jobs
from scipy.sparse import issparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import kernels as sk
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted

from gplvm import _latent, kernels
from gplvm._back_constraints import MAPPINGS
from gplvm._centred import (
    CentredSparse,
    centred,
    centred_for_walk,
    check_unit,
    has_nan,
    mean_variance,
)
from gplvm._compat import Interval, StrOptions, _fit_context
from gplvm._latent_model import LatentModel
from gplvm._likelihoods import DenseLikelihood, LinearLikelihood
from gplvm._maximize import maximize
from gplvm._missing import (
    PatternLikelihood,
    SparsePatternLikelihood,
    missing_patterns,
)
from gplvm._optimize import BadStartError, FitMonitor, walks_from
from gplvm._parallel import one_blas_thread
from gplvm._sparse import SparseLikelihood, initial_inducing_points
from gplvm._starts import candidate_starts, race
from gplvm._validation import (
    FAR_ARGUMENTS,
    finite_or_refused,
    given_or_fitted,
    keeps_last_fit,
    refuse_memory,
    validated,
)

# Bounds of the noise variance relative to the data's: below, float64 cannot factor
# the covariance of a smooth kernel; above, nothing is left to explain. The linear
# kernel's low-rank form factors no covariance.
_NOISE_BOUNDS = (1e-8, 10.0)
# From so many rows on, and above this share of copies, the noise has this floor.
_FEW_ROWS = 20
_FEW_COPIES = 0.2
_COPIES_FLOOR = 0.01

_LINEAR_NOISE_BOUNDS = (1e-14, 10.0)

_SHORTCUTS = {
    "rbf": lambda: sk.RBF(1.0, "fixed"),
    "matern32": lambda: sk.Matern(1.0, "fixed", nu=1.5),
    "matern52": lambda: sk.Matern(1.0, "fixed", nu=2.5),
    "rational_quadratic": lambda: sk.RationalQuadratic(1.0, 1.0, "fixed"),
}

# Up to this many rows "auto" is exact, beyond it has so many inducing points. With
# missing values, where a pattern costs the exact model as much as all of the complete
# data, it pays up to the cost of so many complete rows: about twice the sparse model's.
_EXACT_ROWS = 1500
_EXACT_ROWS_MISSING = 750
_AUTO_INDUCING = 100


class GPLVM(LatentModel):
    """Gaussian-process latent variable model.

    Each feature is a Gaussian process over unknown latent positions X, with one
    covariance K for all of them; the positions, the kernel's hyperparameters and the
    noise variance maximise

    .. math:: \\log p(Y \\mid X) = -\\tfrac{ND}{2} \\log 2\\pi - \\tfrac{D}{2} \\log |K|
              - \\tfrac12 \\operatorname{tr}(K^{-1} Y Y^\\top)

    by L-BFGS with its analytic gradient [1]_. With the linear kernel this is
    probabilistic PCA, and the optimum is known in closed form [2]_; with any other it
    is its non-linear successor.

    Parameters
    ----------
    n_components : int, default=2
        Number of latent dimensions.

    kernel : {"linear", "rbf", "matern32", "matern52", "rational_quadratic"}, kernel \
            object or None, default=None
        Covariance of the latent functions. ``"rbf"``, or None, is
        ``ConstantKernel() * RBF(1.0, "fixed")``, and so the other stationary ones;
        ``"linear"`` is ``ConstantKernel(1.0, "fixed") * DotProduct(0.0, "fixed")``.
        A scikit-learn kernel object is cloned; `gplvm.kernels` names the supported
        ones. The likelihood of a DotProduct, with constants and white noise around
        it, is computed without an N x N matrix. The scale of latent space is free, so
        a kernel needs no isotropic length scale of its own: fixed at 1, positions are
        measured in length scales.

    noise_variance : float, default=None
        Variance of the noise, in squared units of the data, held fixed. None: it is
        estimated, between 1e-8 (1e-14 for the linear kernel) and 10 times the data's
        mean variance.

    latent_prior : {"normal"} or None, default=None
        Prior of the latent positions: none, or the standard normal, which keeps them
        within a few length scales of the origin. None is the default since the scale
        of latent space carries how non-linear the data are, which a prior would
        decide beforehand; with a free isotropic length scale the prior is degenerate,
        for positions and length scale can shrink together.

    init : {"pca", "isomap", "random"} or array-like of shape \
            (n_samples, n_components), default="pca"
        Start of the latent positions. Unless it is ``"random"`` or the kernel is
        linear, a few spreads race for 20 iterations and the best two for 30 more,
        judged by the likelihood. Of an array the shape counts and not the scale: among
        the racers is the scale at which the likelihood is highest, so that the
        `embedding_` of an earlier fit stays where it is.

    n_inducing : int, "auto" or None, default="auto"
        Number of inducing points M of the sparse approximation [3]_, which maximises
        a lower bound of the likelihood at O(N M^2) instead of O(N^3). ``"auto"`` is
        exact up to 1500 rows, and 100 points beyond; None is always exact. With
        missing values an exact model has a matrix for each pattern of them, and
        ``"auto"`` is exact while all of them cost no more than 750 complete rows
        (375 rows with 8 patterns, 150 with 125).
        The linear kernel is always exact on complete data.

    back_constraint : {"kernel", "mlp"} or None, default=None
        Makes the latent positions a smooth function of the data [4]_: a kernel
        expansion around the training rows, or a two-layer swish network. Rows that are
        near in the data then stay near in latent space, and `transform` is one pass of
        the function. Missing values are refused.

    n_restarts : int, default=1
        Number of starts, of which the one that ends highest is kept. Starts after
        the first are shaken copies of it.

    max_iter : int, default=1000
        Iterations of L-BFGS at most.

    tol : float, default=1e-4
        The fit has converged when an iteration raises the log-likelihood by less than
        this many nats per row, averaged over five iterations. The linear kernel,
        whose iterations cost next to nothing, is run to a hundred-thousandth of it.

    warm_start : bool, default=False
        Whether `fit` starts from the embedding and hyperparameters of the last fit,
        if the shapes agree.

    n_jobs : int, default=None
        Number of restarts that run at the same time, through joblib; with more than
        one, callbacks and `verbose` see no single iterations. The result does not
        depend on it.

    random_state : int, RandomState instance or None, default=None
        Source of ``init="random"``, of restarts, of inducing points, and of what a
        back constraint draws.

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
        log p(Y | X) at the fit, in nats, for all the data; with inducing points the
        bound on it.

    inducing_points_ : ndarray of shape (n_inducing, n_components)
        Inducing inputs; only if the model has them.

    loss_curve_ : list of float
        Minus the log-likelihood per row after each iteration, in nats.

    n_iter_ : int
        Number of iterations.

    mean_ : ndarray of shape (n_features,)
        Mean of the training data.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if `X` had string names.

    See Also
    --------
    LinearAutoencoder : The same subspace as the linear kernel, without probabilities.
    sklearn.decomposition.PCA : The linear kernel's solution in closed form.

    Notes
    -----
    An exact iteration costs O(N^3) time and the memory of one N x N matrix, whatever
    the number of features; with M inducing points O(N M (M + min(N, D))) time and no
    more memory than a few blocks of rows; with the linear kernel O(min(N, D) q^2)
    after one eigendecomposition.

    Data are centred and not scaled: features in different units belong into a
    `StandardScaler` first.

    A long walk magnifies differences in the last digits of its data until it ends
    elsewhere: digits that single precision does not hold are left out of the walk, if
    they are far below the noise, so that both precisions end in the same place.
    Everything else is computed from the data as they are.

    References
    ----------
    .. [1] N. D. Lawrence, "Gaussian Process Latent Variable Models for Visualisation
       of High Dimensional Data", NIPS 2004.
    .. [2] N. D. Lawrence, "Probabilistic Non-linear Principal Component Analysis with
       Gaussian Process Latent Variable Models", JMLR 6, 2005.
    .. [3] M. K. Titsias, "Variational Learning of Inducing Variables in Sparse
       Gaussian Processes", AISTATS 2009.
    .. [4] N. D. Lawrence and J. Quinonero-Candela, "Local Distance Preservation in the
       GP-LVM Through Back Constraints", ICML 2006.

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
        "kernel": [StrOptions(set(_SHORTCUTS) | {"linear"}), sk.Kernel, None],
        "noise_variance": [Interval(Real, 0, None, closed="neither"), None],
        "latent_prior": [StrOptions({"normal"}), None],
        "init": [StrOptions({"pca", "isomap", "random"}), "array-like"],
        "n_inducing": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
            None,
        ],
        "back_constraint": [StrOptions(set(MAPPINGS)), None],
        "n_restarts": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_components=2,
        *,
        kernel=None,
        noise_variance=None,
        latent_prior=None,
        init="pca",
        n_inducing="auto",
        back_constraint=None,
        n_restarts=1,
        max_iter=1000,
        tol=1e-4,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.noise_variance = noise_variance
        self.latent_prior = latent_prior
        self.init = init
        self.n_inducing = n_inducing
        self.back_constraint = back_constraint
        self.n_restarts = n_restarts
        self.max_iter = max_iter
        self.tol = tol
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # --- Fitting -----------------------------------------------------------------

    @_fit_context(prefer_skip_nested_validation=True)
    @keeps_last_fit
    def fit(self, X, y=None):
        """Find the latent positions, the hyperparameters and the noise.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Training data; NaN is a missing value. Sparse matrices are for the linear
            kernel, and centred without being made dense.

        y : None
            Ignored, but handed on to callbacks.

        Returns
        -------
        self : GPLVM
            The fitted model.

        Raises
        ------
        ValueError
            If `n_components` exceeds the rows or the features, `n_inducing` the rows,
            `init` has the wrong shape, the data are infinite or in a unit so far from
            one that their squares' squares overflow or vanish, `noise_variance` is as
            far from theirs, a row or a column has no observed entry, or entries are
            missing under a back constraint.

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
        data = validated(
            self,
            X,
            accept_sparse=["csr", "csc"] if self._accepts_sparse() else False,
            dtype=[np.float64, np.float32],
            ensure_min_samples=2,
            ensure_all_finite="allow-nan",
        )
        self._check_n_components(data)
        with one_blas_thread():
            self._fit(data, X, y)
        return self

    def fit_transform(self, X, y=None):
        """Fit, and return the latent positions of the training rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data.

        y : None
            Ignored, but handed on to callbacks.

        Returns
        -------
        embedding : ndarray of shape (n_samples, n_components)
            `embedding_`.
        """
        return self.fit(X, y).embedding_

    def _fit(self, data, X, y):
        """`fit` to the validated `data`; callbacks see `X` and `y`."""
        Y, mean = centred(data)
        missing = not issparse(data) and np.isnan(Y).any()
        if self.back_constraint is not None and missing:
            raise ValueError(
                f"back_constraint={self.back_constraint!r} needs complete rows, but X "
                "contains NaN; use back_constraint=None"
            )
        variance = mean_variance(Y)
        check_unit(variance, self.noise_variance)
        Y_walked = Y
        if not LinearLikelihood.is_linear(self._resolve_kernel(variance)):
            least = self.noise_variance or _NOISE_BOUNDS[0] * variance
            Y_walked = centred_for_walk(data, Y, least)
            variance = mean_variance(Y_walked)
        kernel = self._resolve_kernel(variance)
        _latent.check_amplitude(kernel, self.n_components, data.dtype)
        n_inducing = self._resolve_n_inducing(Y, kernel)
        rng = check_random_state(self.random_state)
        monitor = FitMonitor(self, X, y, max_iter=self.max_iter * self.n_restarts)
        likelihood = walked = self._make_likelihood(kernel, Y, n_inducing)
        if Y_walked is not Y:
            walked = self._make_likelihood(kernel, Y_walked, n_inducing)
        first, mapping = self._warm_blocks(Y_walked, kernel, n_inducing)
        if mapping is None and self.back_constraint is not None:
            make_mapping = MAPPINGS[self.back_constraint]
            mapping = make_mapping(Y_walked, self.n_components, rng)

        def attributes(blocks):
            if Y_walked is not Y and mapping is not None:
                blocks = {**blocks, "embedding": mapping(blocks["mapping"], Y)}
            return self._fitted_attributes(likelihood, mapping, mean, data, blocks)

        def report(make_blocks, loss):
            return monitor.iteration(loss, lambda: attributes(make_blocks()))

        problem = {
            "likelihood": walked,
            "theta_bounds": self._theta_bounds(walked, variance),
            "latent_prior": self.latent_prior,
            "mapping": mapping,
            "max_iter": self.max_iter,
            # Iterations of the linear kernel cost next to nothing.
            "tol": self.tol * (1e-5 if isinstance(likelihood, LinearLikelihood) else 1),
            "name": type(self).__name__,
        }
        minimum = None
        if first is None:
            candidates = self._candidates(walked, variance, n_inducing, rng)
            first = candidates[0]
            if len(candidates) > 1:
                dilate = not isinstance(self.init, str)
                first, minimum = race(candidates, dilate=dilate, **problem)
        if minimum is not None and minimum.interrupted:
            _warn_of_interruption("while its starts raced: the best so far is kept")
            blocks = first
        else:
            starts = self._restarts(first, walked, variance, n_inducing, rng)
            walks = self._walks(starts, report, problem)
            blocks, minimum = min(walks, key=lambda walk: walk[1].fun)
        for name, value in attributes(blocks).items():
            setattr(self, name, value)
        self.log_likelihood_ = float(self.log_likelihood())
        # A start at the optimum is one iteration that found nothing to do.
        self.loss_curve_ = minimum.loss_curve or [minimum.fun]
        self.n_iter_ = len(self.loss_curve_)
        monitor.close()

    def _accepts_sparse(self):
        linear = isinstance(self.kernel, str) and self.kernel == "linear"
        if isinstance(self.kernel, sk.Kernel):
            linear = LinearLikelihood.is_linear(self.kernel)
        return linear and self.back_constraint is None

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
            kernels.check_kernel(self.kernel, self.n_components)
            return self.kernel.clone_with_theta(self.kernel.theta)
        if self.kernel == "linear":
            return sk.ConstantKernel(1.0, "fixed") * sk.DotProduct(0.0, "fixed")
        bounds = (1e-5 * variance, 1e5 * variance)
        shape = _SHORTCUTS[self.kernel or "rbf"]()
        return sk.ConstantKernel(variance, bounds) * shape

    def _resolve_n_inducing(self, Y, kernel):
        """The number of inducing points, or None for an exact likelihood."""
        n_samples = len(Y)
        n_patterns = len(missing_patterns(Y)) if has_nan(Y) else 1
        if isinstance(self.n_inducing, Integral) and self.n_inducing > n_samples:
            raise ValueError(
                f"n_inducing={self.n_inducing} must not exceed n_samples={n_samples}"
            )
        if LinearLikelihood.is_linear(kernel) and n_patterns == 1:
            return None  # exact, and cheaper than any approximation
        if self.n_inducing == "auto":
            # An exact model has a matrix for each pattern of missing values.
            most = _EXACT_ROWS if n_patterns == 1 else _EXACT_ROWS_MISSING
            exact = n_patterns * n_samples**3 <= most**3
            return None if exact else min(_AUTO_INDUCING, n_samples)
        if self.n_inducing is None:
            refuse_memory(
                (2 + n_patterns) * 8 * n_samples**2,
                f"The exact GPLVM of {n_samples} rows",
                f"Use inducing points, for example n_inducing={_AUTO_INDUCING}, or "
                "kernel='linear'",
            )
        return self.n_inducing

    @staticmethod
    def _make_likelihood(kernel, Y, n_inducing):
        missing = has_nan(Y)
        if LinearLikelihood.is_linear(kernel) and not missing:
            return LinearLikelihood(kernel, Y)
        if n_inducing is not None:
            return (SparsePatternLikelihood if missing else SparseLikelihood)(kernel, Y)
        if missing:
            return PatternLikelihood(DenseLikelihood, kernel, Y)
        return DenseLikelihood(kernel, Y)

    def _candidates(self, likelihood, variance, n_inducing, rng):
        """Blocks that race for the first start."""
        kernel, Y, init = likelihood.kernel, likelihood.Y, self.init
        if isinstance(Y, CentredSparse) and isinstance(init, str):
            if init == "isomap":
                raise ValueError(
                    "init='isomap' needs dense data; use 'pca' or 'random'"
                )
            if init == "pca":
                # What PCA would find, from the decomposition that is there.
                scores = likelihood.principal(self.n_components)
                init = scores / np.sqrt(self.n_features_in_)
        starts = candidate_starts(
            Y,
            kernel,
            variance,
            n_components=self.n_components,
            init=init,
            noise_variance=self.noise_variance,
            random_state=rng,
        )
        return [_with_inducing(start, n_inducing, rng) for start in starts]

    def _restarts(self, first, likelihood, variance, n_inducing, rng):
        """One start for each restart: the first, and shaken copies or new draws."""
        starts = [first]
        for _ in range(self.n_restarts - 1):
            if isinstance(self.init, str) and self.init == "random":
                starts += self._candidates(likelihood, variance, n_inducing, rng)[-1:]
                continue
            # Neighbours stay near, the rest may change.
            step = 0.5 * first["embedding"].std()
            embedding = first["embedding"] + step * rng.normal(
                size=first["embedding"].shape
            )
            start = {"embedding": embedding, "theta": first["theta"]}
            starts.append(_with_inducing(start, n_inducing, rng))
        return starts

    def _walks(self, starts, report, problem):
        """Blocks and `Minimum` from each start; Ctrl-C ends them all."""
        n_jobs = min(effective_n_jobs(self.n_jobs), len(starts))  # no idle processes
        if n_jobs > 1:
            try:
                ends = Parallel(n_jobs=n_jobs)(
                    delayed(_walk_or_error)(start, problem) for start in starts
                )
                return walks_from(ends, _raised)
            except KeyboardInterrupt:
                _warn_of_interruption("in parallel restarts: the first start is kept")
                problem = {**problem, "max_iter": 1, "warn": False}
                return [maximize(starts[0], **problem)]
        return walks_from(
            starts, lambda start: maximize(start, report=report, **problem)
        )

    def _warm_blocks(self, Y, kernel, n_inducing):
        """The last fit's blocks and mapping, if this fit has the same shapes."""
        if not (self.warm_start and hasattr(self, "_blocks")):
            return None, None
        blocks = {name: value.copy() for name, value in self._blocks.items()}
        shapes = {
            "embedding": (len(Y), self.n_components),
            "theta": (kernel.n_dims + 1,),
        }
        if n_inducing is not None:
            shapes["inducing_points"] = (n_inducing, self.n_components)
        if {name: value.shape for name, value in blocks.items()} != shapes:
            return None, None
        if self.noise_variance is not None:
            blocks["theta"][-1] = np.log(self.noise_variance)
        if self.back_constraint is None:
            return blocks, None
        mapping, parameters, shift, rotation = self._back_constraint or [None] * 4
        same_kind = type(mapping) is MAPPINGS[self.back_constraint]
        if not (same_kind and np.array_equal(mapping.Y, Y)):
            return blocks, None
        # The mapping knows positions before they were moved into their orientation.
        for name in blocks.keys() - {"theta"}:
            blocks[name] = blocks[name] @ rotation.T + shift
        return {**blocks, "mapping": parameters}, mapping

    def _theta_bounds(self, likelihood, variance):
        """Bounds of theta: the kernel's own, and the noise's."""
        low_rank = isinstance(likelihood, LinearLikelihood)
        bounds = _LINEAR_NOISE_BOUNDS if low_rank else _NOISE_BOUNDS
        if self.noise_variance is None and not low_rank:
            bounds = _above_copies(likelihood.Y, bounds)
        low, high = np.log(variance) + np.log(bounds)
        if self.noise_variance is not None:
            low = high = np.log(self.noise_variance)
        return np.vstack([kernels.theta_bounds(likelihood.kernel), [[low, high]]])

    def _fitted_attributes(self, likelihood, mapping, mean, data, blocks):
        """Everything that transform and its kin need, from one state of the fit."""
        dtype = data.dtype
        theta = blocks["theta"].copy()
        kernel = likelihood.kernel.clone_with_theta(theta[:-1])
        embedding = blocks["embedding"]
        # Only stationary kernels forget a shift, and only without a prior.
        movable = kernel.is_stationary() and self.latent_prior is None
        shift = embedding.mean(axis=0) if movable else 0.0
        rotation = _latent.orientation(
            embedding - shift,
            np.nan_to_num(likelihood.Y) if has_nan(likelihood.Y) else likelihood.Y,
            isotropic=kernels.is_isotropic(kernel),
        )
        parameters = blocks.get("mapping")
        blocks = {
            name: value if name == "theta" else (value - shift) @ rotation
            for name, value in blocks.items()
            if name != "mapping"
        }
        attributes = {
            "embedding_": blocks["embedding"].astype(dtype),
            "kernel_": kernel,
            "noise_variance_": float(np.exp(theta[-1])),
            "theta_": theta,
            "mean_": mean.astype(dtype),
            "_mean": mean,
            "_embedding": blocks["embedding"],
            "_blocks": blocks,
            "_likelihood": likelihood,
            "_training_rows": likelihood.Y,
            "_latent_prior": self.latent_prior,
            "_posterior": likelihood.posterior(*blocks.values()),
            "_back_constraint": mapping and (mapping, parameters, shift, rotation),
            "_n_features_out": self.n_components,
        }
        if "inducing_points" in blocks:
            attributes["inducing_points_"] = blocks["inducing_points"].astype(dtype)
        return attributes

    # --- The objective -------------------------------------------------------------

    @finite_or_refused(FAR_ARGUMENTS)
    def log_likelihood(
        self, *, embedding=None, inducing_points=None, theta=None, eval_gradient=False
    ):
        """Log-likelihood log p(Y | X, theta) of the training data.

        With inducing points it is the collapsed variational bound on it. A prior of
        the latent positions is not part of it.

        Parameters
        ----------
        embedding : array-like of shape (n_samples, n_components), default=None
            Latent positions X. None: the fitted ones.

        inducing_points : array-like of shape (n_inducing, n_components), default=None
            Inducing inputs Z, of a model that has them. None: the fitted ones.

        theta : array-like of shape (n_hyperparameters + 1,), default=None
            ``kernel_.theta`` followed by the log noise variance. None: `theta_`.

        eval_gradient : bool, default=False
            Whether to return the gradient too.

        Returns
        -------
        log_likelihood : float
            In nats, for all the data.

        gradient : dict of str to ndarray
            Keyed by argument: ``"embedding"``, ``"theta"`` and, where there are any,
            ``"inducing_points"``, of their shapes. Only if `eval_gradient`.

        Raises
        ------
        ValueError
            If a shape is wrong, a value is NaN or infinite, that of the likelihood or
            its gradient too, or inducing points are given to an exact model.

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
        given = {
            "embedding": embedding,
            "inducing_points": inducing_points,
            "theta": theta,
        }
        if inducing_points is not None and "inducing_points" not in self._blocks:
            raise ValueError("this model is exact and has no inducing points")
        blocks = [
            given_or_fitted(given[name], fitted, name)
            for name, fitted in self._blocks.items()
        ]
        return self._likelihood.log_likelihood(*blocks, eval_gradient=eval_gradient)


def _with_inducing(start, n_inducing, random_state):
    """A start with inducing points drawn from its embedding, if there are any."""
    if n_inducing is None:
        return start
    points = initial_inducing_points(start["embedding"], n_inducing, random_state)
    return {
        "embedding": start["embedding"],
        "inducing_points": points,
        "theta": start["theta"],
    }


def _walk_or_error(start, problem):
    """A walk, or why there is none: one that fails must not end the others."""
    try:
        with one_blas_thread():  # of this process
            return maximize(start, **problem)
    except BadStartError as error:
        return error


def _raised(walk):
    if isinstance(walk, BadStartError):
        raise walk
    return walk


def _warn_of_interruption(where):
    warnings.warn(f"GPLVM was interrupted {where}.", ConvergenceWarning, stacklevel=4)


def _above_copies(Y, bounds):
    """Bounds of the noise, with a higher floor where many rows are copies of others.

    Rows that are equal agree without noise, and each copy adds -D/2 log of the noise
    variance to the likelihood, which then has no maximum.
    """
    n_copies = len(Y) - len({row.tobytes() for row in Y + 0.0})  # -0.0 is 0.0
    if len(Y) < _FEW_ROWS or not _FEW_COPIES * len(Y) < n_copies < len(Y) - 1:
        return bounds
    warnings.warn(
        f"{n_copies} of {len(Y)} rows of X are copies of others, with which the "
        f"likelihood grows without end as the noise falls. It is kept above "
        f"{_COPIES_FLOOR:.0%} of the variance; leave the copies out, or give "
        "noise_variance.",
        ConvergenceWarning,
        stacklevel=4,
    )
    return _COPIES_FLOOR, bounds[1]
