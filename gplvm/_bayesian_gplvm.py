"""The Bayesian Gaussian-process latent variable model as an estimator."""

import warnings
from numbers import Integral, Real

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import kernels as sk
from sklearn.utils.validation import check_is_fitted

from gplvm import _diagnostics, _latent, kernels
from gplvm._batch_fitting import BatchFitting
from gplvm._bayesian import BayesianLikelihood, BayesianPatternLikelihood
from gplvm._bayesian_starts import default_kernel
from gplvm._centred import (
    centred,
    centred_for_walk,
    check_unit,
    has_nan,
    mean_variance,
)
from gplvm._compat import Interval, StrOptions, _fit_context
from gplvm._growing_fit import GrowingFit
from gplvm._latent_model import LatentModel
from gplvm._optimize import FitMonitor
from gplvm._parallel import one_blas_thread
from gplvm._validation import (
    FAR_ARGUMENTS,
    FAR_POSITIONS,
    FAR_ROWS,
    checked_array,
    finite_or_refused,
    given_or_fitted,
    keeps_last_fit,
    validated,
)
from gplvm._variational import infer_new_rows
from gplvm.gradients.prediction import standard_normal

# Bounds of the noise variance relative to the data's: below, the products of
# covariances have no digits left; above, nothing is left to explain.
_NOISE_BOUNDS = (1e-6, 10.0)

_MAX_COMPONENTS = 10
_MAX_INDUCING = 50


class BayesianGPLVM(BatchFitting, LatentModel):
    """Bayesian Gaussian-process latent variable model.

    Like `GPLVM`, but latent positions are integrated out: each has a prior N(0, I) and
    a Gaussian posterior q(x_n) = N(mu_n, diag S_n), and the kernel has a length scale
    for each dimension. All maximise a lower bound of log p(Y) [1]_ [2]_,

    .. math:: F = \\langle \\log p(Y \\mid X) \\rangle_{q(X)}
              - \\mathrm{KL}(q(X) \\,\\|\\, p(X))

    in which M inducing points stand for the functions, by L-BFGS with its analytic
    gradient. Since positions cost what they tell, dimensions that the data do not need
    are switched off: give it more than you expect, and read `relevance_`.

    Parameters
    ----------
    n_components : int, default=None
        Number of latent dimensions to choose from. None: 10, or as many as there are
        features or rows.

    kernel : {"rbf", "linear"}, kernel object or None, default=None
        Covariance of the latent functions. ``"rbf"``, or None, is a constant times an
        RBF with a length scale for each dimension, ``"linear"`` is
        `gplvm.kernels.Linear` with a variance for each (Bayesian PCA). Of a kernel
        object, which is cloned, the expectations must have a closed form: RBF, Linear,
        DotProduct, ConstantKernel, WhiteKernel, and sums of these. It starts with the
        hyperparameters that it has.

    noise_variance : float, default=None
        Variance of the noise, in squared units of the data, held fixed. None: it is
        estimated, between 1e-6 and 10 times the data's mean variance.

    init : {"pca", "isomap", "random"} or array-like of shape \
            (n_samples, n_components), default="pca"
        Start of the positions' means. An array is taken as it is; its spread should be
        about that of the prior, 1. With `batch_size` it is the start of the rows that
        the fit begins with.

    n_inducing : int, default=None
        Number of inducing points M. More tighten the bound and cost their square in
        time. None: 50, or as many as there are rows.

    batch_size : int, default=None
        Rows of a batch. None: the data are in memory, and all rows climb together in
        the end. A number, for rows that are too many for that: most of them are met in
        batches, by stochastic variational inference [3]_. They are read as they are
        needed, from a memory-mapped array if they are in one, and have to be complete.

    n_restarts : int, default=1
        Number of starts, of which the one that ends highest is kept. Starts after
        the first are shaken copies of it with other inducing points. A fit that grows
        has so many for each of its first fits, a warm start only itself.

    max_iter : int, default=1000
        Iterations of L-BFGS at most, of each climb if the fit grows (see the notes).
        With `batch_size` no climb takes more than 600, and it is the number of passes
        over the rows at most, too: there are 3, or as many as have 500 batches.

    tol : float, default=2e-3
        The fit has converged when an iteration raises the bound by less than this many
        nats per row, averaged over 15 iterations; a quarter of it in a warm start, and
        in a fit that grows once more rows take part. The number of passes does not
        depend on it.

    warm_start : bool, default=False
        Whether `fit` starts from the end of the last fit, if the shapes agree.

    n_jobs : int, default=None
        Threads over blocks of rows. None: as many as BLAS would use; -1: one for each
        core. The result does not depend on it.

    random_state : int, RandomState instance or None, default=None
        Source of ``init="random"``, of restarts, of inducing points, and of the order
        in which rows take part in a fit that grows.

    verbose : int, default=0
        1 prints every tenth iteration, 2 every one.

    Attributes
    ----------
    embedding_ : ndarray of shape (n_samples, n_components)
        Means of the latent positions, the dimensions in the order of their relevance;
        signs are fixed. A kernel object whose dimensions have fixed values or bounds
        of their own keeps its order.

    embedding_std_ : ndarray of shape (n_samples, n_components)
        Standard deviations of the latent positions; 1 is the prior's, that of a
        dimension about which the data say nothing.

    inducing_points_ : ndarray of shape (n_inducing, n_components)
        Inducing inputs.

    relevance_ : ndarray of shape (n_components,)
        How much the functions vary along each dimension, not normalised: 1 / l^2 of
        an RBF, the variances of a linear kernel, and for sums the functions' mean
        squared slope in units of the RBFs' amplitudes.

    n_relevant_ : int
        Number of dimensions whose relevance is at least a hundredth of the largest.

    kernel_ : kernel object
        The kernel with fitted hyperparameters.

    noise_variance_ : float
        Variance of the noise, in squared units of the data.

    theta_ : ndarray of shape (n_hyperparameters + 1,)
        ``kernel_.theta`` followed by the log noise variance.

    elbo_ : float
        The bound F on log p(Y) at the fit, in nats, for all the data.

    loss_curve_ : list of float
        Minus the bound per row after each iteration, in nats: of the last climb if the
        fit grew, and of the passes if there were any, for which it is an estimate.

    n_iter_ : int
        Number of these iterations.

    n_components_ : int
        Number of latent dimensions.

    mean_ : ndarray of shape (n_features,)
        Mean of the training data.

    n_features_in_ : int
        Number of features seen in `fit`.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if `X` had string names.

    See Also
    --------
    GPLVM : Positions as points, for two dimensions and any kernel.
    gplvm.plotting.RelevanceDisplay : The relevances as bars.

    Notes
    -----
    An iteration costs O(N M^2 q) time, and memory that beyond data and parameters does
    not grow with N. The D features cost no more than N of them.

    From two thousand rows on (or forty for each inducing point) a fit grows,
    unless `init` is an array: three fits of a thousand random rows each come first, the
    best of them goes on, and four times as many rows at a time are placed beside those
    that have positions, and climb with them. It mostly ends higher than a fit of all
    rows from the beginning, which with few thousands of rows would be sooner.

    Data are centred and not scaled: features in different units belong into a
    `StandardScaler` first.

    A long walk magnifies differences in the last digits of its data until it ends
    elsewhere: digits that single precision does not hold are left out of the walk, if
    they are far below the noise, so that both precisions end in the same place.
    Everything else is computed from the data as they are.

    References
    ----------
    .. [1] M. K. Titsias and N. D. Lawrence, "Bayesian Gaussian Process Latent Variable
       Model", AISTATS 2010.
    .. [2] A. C. Damianou, M. K. Titsias and N. D. Lawrence, "Variational Inference for
       Latent Variables and Uncertain Inputs in Gaussian Processes", JMLR 17, 2016.
    .. [3] J. Hensman, N. Fusi and N. D. Lawrence, "Gaussian Processes for Big Data",
       UAI 2013.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from gplvm import BayesianGPLVM
    >>> X = load_iris().data
    >>> model = BayesianGPLVM(n_inducing=20, random_state=0).fit(X[::2])
    >>> mean, std = model.transform(X[1::2], return_std=True)
    >>> mean.shape, std.shape
    ((75, 4), (75, 4))
    >>> rows = model.inverse_transform(mean, latent_std=std)
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "kernel": [StrOptions({"rbf", "linear"}), sk.Kernel, None],
        "noise_variance": [Interval(Real, 0, None, closed="neither"), None],
        "init": [StrOptions({"pca", "isomap", "random"}), "array-like"],
        "n_inducing": [Interval(Integral, 1, None, closed="left"), None],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
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
        n_components=None,
        *,
        kernel=None,
        noise_variance=None,
        init="pca",
        n_inducing=None,
        batch_size=None,
        n_restarts=1,
        max_iter=1000,
        tol=2e-3,
        warm_start=False,
        n_jobs=None,
        random_state=None,
        verbose=0,
    ):
        self.n_components = n_components
        self.kernel = kernel
        self.noise_variance = noise_variance
        self.init = init
        self.n_inducing = n_inducing
        self.batch_size = batch_size
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
        """Find the positions' posterior, the hyperparameters and the noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data; NaN is a missing value.

        y : None
            Ignored, but handed on to callbacks.

        Returns
        -------
        self : BayesianGPLVM
            The fitted model.

        Raises
        ------
        ValueError
            If `n_components` exceeds the rows or the features, `n_inducing` the rows,
            `init` has the wrong shape or is far outside the prior, the data are
            infinite or in a unit so far from one that their squares' squares overflow
            or vanish, `noise_variance` is as far from theirs, or a row or a column has
            no observed entry.

        NotImplementedError
            If the kernel's expectations have no closed form.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` is reached, or Ctrl-C is pressed; the best parameters so far
            are kept.
        """
        data = validated(
            self,
            X,
            dtype=[np.float64, np.float32],
            ensure_min_samples=2,
            ensure_all_finite="allow-nan",
        )
        shape = self._resolve_n_components(data), self._resolve_n_inducing(data)
        if isinstance(self.kernel, sk.Kernel):
            kernels.check_expectations(self.kernel, shape[0])
            _latent.check_amplitude(self.kernel, shape[0], data.dtype)
        with one_blas_thread():
            if self.batch_size is None:
                fit, mean = self._whole_fit(data, shape)
            else:
                fit, mean = self._batch_fit(data, shape)
        monitor = FitMonitor(self, X, y, max_iter=fit.most_iterations)

        def attributes(*state):
            return self._fitted_attributes(*state, mean=mean, dtype=data.dtype)

        def report(loss, make_state):
            return monitor.iteration(loss, lambda: attributes(*make_state()))

        with one_blas_thread():
            fit.run(report)
            self._set(attributes(*fit.end()))
            self.elbo_ = float(self.elbo())
        self.loss_curve_ = fit.losses
        self.n_iter_ = len(self.loss_curve_)
        self._converged = not fit.problem
        self._stream = None
        if fit.problem:
            warnings.warn(fit.problem, ConvergenceWarning, stacklevel=4)
        monitor.close()
        return self

    def fit_transform(self, X, y=None):
        """Fit, and return the means of the training rows' positions.

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

    def _whole_fit(self, data, shape):
        """A fit of `shape` dimensions and inducing points to come, and the mean."""
        Y, mean = centred(data)
        Y_walked = centred_for_walk(data, Y, self._least_noise(mean_variance(Y)))
        variance = mean_variance(Y_walked)
        likelihood = walked = self._make_likelihood(Y, shape[0], variance)
        if Y_walked is not Y:
            walked = self._make_likelihood(Y_walked, shape[0], variance)
        return GrowingFit(self, likelihood, variance, shape, walked), mean

    def _resolve_n_components(self, data):
        if self.n_components is None:
            return min(_MAX_COMPONENTS, *data.shape)
        if self.n_components > min(data.shape):
            n_samples, n_features = data.shape
            raise ValueError(
                f"n_components={self.n_components} must not exceed "
                f"n_samples={n_samples} or n_features={n_features}"
            )
        return self.n_components

    def _resolve_n_inducing(self, data):
        n_samples = len(data)
        if self.n_inducing is None:
            return min(_MAX_INDUCING, n_samples)
        if self.n_inducing > n_samples:
            raise ValueError(
                f"n_inducing={self.n_inducing} must not exceed n_samples={n_samples}"
            )
        return self.n_inducing

    def _kernel_shape(self):
        """The default kernel's name; None for a kernel of the user's own."""
        return None if isinstance(self.kernel, sk.Kernel) else self.kernel or "rbf"

    def _make_kernel(self, n_components, variance):
        check_unit(variance, self.noise_variance)
        shape = self._kernel_shape()
        if shape is None:
            return self.kernel.clone_with_theta(self.kernel.theta)
        return default_kernel(shape, n_components, variance)

    def _make_likelihood(self, Y, n_components, variance):
        kernel = self._make_kernel(n_components, variance)
        make = BayesianPatternLikelihood if has_nan(Y) else BayesianLikelihood
        return make(kernel, Y, n_threads=self._n_threads())

    def _least_noise(self, variance):
        """The least that the noise's variance may become."""
        return self.noise_variance or _NOISE_BOUNDS[0] * variance

    def _theta_bounds(self, likelihood, variance):
        """Bounds of theta: the kernel's own, and the noise's."""
        low, high = np.log(variance) + np.log(_NOISE_BOUNDS)
        if self.noise_variance is not None:
            low = high = np.log(self.noise_variance)
        return np.vstack([kernels.theta_bounds(likelihood.kernel), [[low, high]]])

    def _warm_blocks(self, likelihood, n_components, n_inducing):
        """The last fit's blocks, if this fit has the same shapes."""
        if not (self.warm_start and hasattr(self, "_blocks")):
            return None
        blocks = {name: value.copy() for name, value in self._blocks.items()}
        positions = (len(likelihood.Y), n_components)
        shapes = {
            "embedding": positions,
            "embedding_std": positions,
            "inducing_points": (n_inducing, n_components),
            "theta": (likelihood.kernel.n_dims + 1,),
        }
        if {name: value.shape for name, value in blocks.items()} != shapes:
            return None
        if self.noise_variance is not None:
            blocks["theta"][-1] = np.log(self.noise_variance)
        return blocks

    def _fitted_attributes(self, likelihood, blocks, anchors=None, *, mean, dtype):
        """Everything that transform and its kin need, from one state of the fit.

        `anchors` are the indices of the rows from which new ones start; None: all.
        """
        rows = likelihood.Y if anchors is None else likelihood.Y[anchors]
        n_components = blocks["embedding"].shape[1]
        kernel = likelihood.kernel.clone_with_theta(blocks["theta"][:-1])
        order = np.arange(n_components)
        if _diagnostics.exchangeable(kernel, n_components):
            # Where relevances are equal, by the spread of the positions.
            spread = blocks["embedding"].var(axis=0)
            relevance = _diagnostics.relevance(kernel, n_components)
            order = np.lexsort([-spread, -relevance])
            kernel = _diagnostics.reordered(kernel, order)
        embedding = blocks["embedding"][:, order]
        signs = np.diagonal(
            _latent.orientation(
                embedding if anchors is None else embedding[anchors],
                np.nan_to_num(rows),
                isotropic=False,
            )
        )
        blocks = {
            "embedding": embedding * signs,
            "embedding_std": blocks["embedding_std"][:, order],
            "inducing_points": blocks["inducing_points"][:, order] * signs,
            "theta": np.append(kernel.theta, blocks["theta"][-1]),
        }
        known = slice(None) if anchors is None else anchors
        return self._attributes(
            likelihood,
            kernel,
            mean,
            dtype,
            blocks,
            posterior=likelihood.posterior(**blocks),
            training_rows=rows,
            starts=(blocks["embedding"][known], blocks["embedding_std"][known]),
        )

    def _attributes(
        self,
        likelihood,
        kernel,
        mean,
        dtype,
        blocks,
        *,
        posterior,
        training_rows,
        starts,
    ):
        n_components = blocks["embedding"].shape[1]
        relevance = _diagnostics.relevance(kernel, n_components)
        return {
            "embedding_": blocks["embedding"].astype(dtype),
            "embedding_std_": blocks["embedding_std"].astype(dtype),
            "inducing_points_": blocks["inducing_points"].astype(dtype),
            "relevance_": relevance,
            "n_relevant_": _diagnostics.count_relevant(relevance),
            "kernel_": kernel,
            "noise_variance_": float(np.exp(blocks["theta"][-1])),
            "theta_": blocks["theta"].copy(),
            "mean_": mean.astype(dtype),
            "n_components_": n_components,
            "_mean": mean,
            "_embedding": blocks["embedding"],
            "_blocks": blocks,
            "_likelihood": likelihood,
            "_training_rows": training_rows,
            "_start_posterior": starts,
            "_latent_prior": "normal",
            "_back_constraint": None,
            "_posterior": posterior,
            "_n_features_out": n_components,
        }

    # --- Rows ----------------------------------------------------------------------

    @finite_or_refused(FAR_ROWS)
    def transform(self, X, return_std=False):
        """Latent positions of rows, seen or unseen.

        The posterior N(mu, diag S) of a new row's position maximises the row's own
        bound on its log density: natural gradient steps from the posteriors of two of
        the ten nearest training rows, and BFGS from the better end. Each row is treated
        by itself, and entries that are NaN drop out. A row of the training data gets
        its fitted posterior.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Data rows.

        return_std : bool, default=False
            Whether to return the standard deviations too.

        Returns
        -------
        embedding : ndarray of shape (n_rows, n_components)
            Means of the positions.

        std : ndarray of shape (n_rows, n_components)
            Their standard deviations. Only if `return_std`.

        Raises
        ------
        ValueError
            If a row has no observed entry, or is so far from the training data that
            its density underflows, or the number of features is wrong.
        """
        mean, std, _, dtype = self._infer(X)
        mean = mean.astype(dtype)
        return (mean, std.astype(dtype)) if return_std else mean

    @finite_or_refused(FAR_ROWS)
    def score_samples(self, X):
        """Lower bound on the log density of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_features)
            Data rows; the density is that of the entries that are not NaN.

        Returns
        -------
        bound : ndarray of shape (n_rows,)
            The variational bound on log p(y), in nats, at the row's own posterior.

        Raises
        ------
        ValueError
            As `transform` does.
        """
        return self._infer(X)[2]

    @finite_or_refused(FAR_POSITIONS)
    def inverse_transform(self, Z, return_std=False, *, latent_std=None):
        """Data rows at latent positions, known or uncertain.

        Parameters
        ----------
        Z : array-like of shape (n_rows, n_components)
            Latent positions, or their means.

        return_std : bool, default=False
            Whether to return the standard deviation too.

        latent_std : array-like of shape (n_rows, n_components), default=None
            Standard deviations of the positions, as `transform` returns them. Mean and
            standard deviation of the data are then over the positions too, in closed
            form. None: positions are known.

        Returns
        -------
        X : ndarray of shape (n_rows, n_features)
            Predictive mean.

        std : ndarray of shape (n_rows, n_features)
            Predictive standard deviation, noise included: that of a new observation.
            Where all features share it, it is a read-only broadcast. Only if
            `return_std`.

        Raises
        ------
        ValueError
            If `Z` has another number of columns than the embedding, `latent_std`
            another shape than `Z` or a negative entry, or the result is not finite.
        """
        if latent_std is None:
            return super().inverse_transform(Z, return_std)
        check_is_fitted(self)
        Z = checked_array(Z, dtype=[np.float64, np.float32], input_name="Z")
        latent_std = checked_array(latent_std, dtype=float, input_name="latent_std")
        expected = (len(Z), self.n_components_)
        for name, given in [("Z", Z), ("latent_std", latent_std)]:
            if given.shape != expected:
                raise ValueError(f"{name} has shape {given.shape}, expected {expected}")
        if (latent_std < 0).any():
            raise ValueError("latent_std has negative entries")
        mean, variance = self._posterior.predict_uncertain(
            Z.astype(float), latent_std**2
        )
        mean = (mean + self._mean).astype(Z.dtype)
        return (mean, np.sqrt(variance).astype(Z.dtype)) if return_std else mean

    def _training_positions(self):
        return self._start_posterior[0]

    def _log_posterior(self, X, Y):
        # The best q(x) of any form has log q(x) = <log p(y | x, u)> + log p(x) + const.
        value, gradient = self._posterior.expected_log_density(X, Y)
        prior, slope = standard_normal(X)
        return value + prior, gradient + slope

    def _noise_beside_expectations(self):
        return self.noise_variance_

    def _infer(self, X):
        """Means, standard deviations and bounds of rows, and the answer's dtype."""
        Y, dtype = self._checked_rows(X)
        means, stds = self._start_posterior
        answer = infer_new_rows(
            self._posterior,
            Y,
            training=self._training_rows,
            means=means,
            stds=stds,
            n_threads=self._n_threads(),
        )
        return *answer, dtype

    # --- The objective, and what to think of it ------------------------------------

    @finite_or_refused(FAR_ARGUMENTS)
    def elbo(
        self,
        *,
        embedding=None,
        embedding_std=None,
        inducing_points=None,
        theta=None,
        eval_gradient=False,
    ):
        """Lower bound on the log-likelihood log p(Y | theta) of the training data.

        Parameters
        ----------
        embedding : array-like of shape (n_samples, n_components), default=None
            Means mu of the positions. None: the fitted ones.

        embedding_std : array-like of shape (n_samples, n_components), default=None
            Their standard deviations S^(1/2), positive. None: the fitted ones.

        inducing_points : array-like of shape (n_inducing, n_components), default=None
            Inducing inputs Z. None: the fitted ones.

        theta : array-like of shape (n_hyperparameters + 1,), default=None
            ``kernel_.theta`` followed by the log noise variance. None: `theta_`.

        eval_gradient : bool, default=False
            Whether to return the gradient too.

        Returns
        -------
        elbo : float
            In nats, for all the data.

        gradient : dict of str to ndarray
            Keyed by argument, of their shapes. Only if `eval_gradient`.

        Raises
        ------
        ValueError
            If a shape is wrong, a standard deviation is not positive, or the result is
            not finite.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from gplvm import BayesianGPLVM
        >>> from gplvm.gradients import check_gradient
        >>> model = BayesianGPLVM(2, n_inducing=5, tol=0.1)
        >>> model = model.fit(load_iris().data[::10])
        >>> def function(**point):
        ...     return model.elbo(**point, eval_gradient=True)
        >>> point = {"embedding": model.embedding_, "theta": model.theta_}
        >>> bool(check_gradient(function, point) < 1e-5)
        True
        """
        check_is_fitted(self)
        given = {
            "embedding": embedding,
            "embedding_std": embedding_std,
            "inducing_points": inducing_points,
            "theta": theta,
        }
        blocks = {
            name: given_or_fitted(given[name], fitted, name)
            for name, fitted in self._blocks.items()
        }
        if not (blocks["embedding_std"] > 0).all():
            raise ValueError("embedding_std must be positive")
        return self._likelihood.elbo(**blocks, eval_gradient=eval_gradient)

    def diagnostics(self):
        """What is suspicious about the fit, in words.

        It looks at the signal-to-noise ratio, at whether all dimensions look alike, at
        whether the functions are almost linear (PCA would do), and at convergence.

        Returns
        -------
        sentences : list of str
            One for each finding, with what to do; empty if there is none.

        Examples
        --------
        >>> import numpy as np
        >>> from gplvm import BayesianGPLVM
        >>> noise = np.random.default_rng(0).normal(size=(50, 4))
        >>> model = BayesianGPLVM(2, n_inducing=10).fit(noise)
        >>> model.diagnostics()[0][:31]
        'Noise is all the model sees (va'
        """
        check_is_fitted(self)
        variance = mean_variance(self._training_rows)
        bounds = tuple(variance * bound for bound in _NOISE_BOUNDS)
        spread = self._blocks["embedding"].std(axis=0) * np.sqrt(self.relevance_)
        linear = self._kernel_shape() == "linear"
        return _diagnostics.findings(
            relevances=self.relevance_,
            spread=None if linear else spread,
            variance=variance,
            noise_variance=self.noise_variance_,
            noise_bounds=bounds if self.noise_variance is None else None,
            converged=self._converged,
        )
