"""A classifier with one hidden swish layer, and a budget of parameters."""

from copy import deepcopy
from numbers import Integral, Real
from typing import ClassVar

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from gplvm._compat import Interval, StrOptions, _fit_context
from gplvm._network_budget import hidden_size, refuse_too_large
from gplvm._network_training import TrainedNetwork, walks_alike
from gplvm._optimize import FitMonitor, minimize_lbfgs
from gplvm._stochastic import MOMENTUM, Adam, Momentum, minimize_stochastic
from gplvm._training_rows import hold_out, row_weights, weighted_rows
from gplvm._validation import (
    all_or_nothing,
    refuse_infinite,
    refuse_nan,
    refuse_overflow,
    validated,
)
from gplvm.gradients.network import forward_pass, hidden_layer


class SwishMLPClassifier(
    ClassNamePrefixFeaturesOutMixin,
    ClassifierMixin,
    TransformerMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    """Neural network with one hidden layer of swish units, under a parameter budget.

    A classifier in the manner of :class:`sklearn.neural_network.MLPClassifier`, and a
    transformer: the hidden layer ``swish(W1 x + b1)`` is an embedding of the data in
    which the classes are linearly separable, as far as the network separates them.

    It minimises the mean cross-entropy plus
    ``alpha / 2 * (s**2 * ||W1||^2 + ||W2||^2)``, where ``s`` is the features' common
    standard deviation: the same function for a mini-batch, for all the data, and for
    data in other units. (`MLPClassifier` divides `alpha` by the number of rows in the
    batch, so that its penalty is weaker.)

    Parameters
    ----------
    hidden_layer_size : int, default=None
        The number of hidden units. None: the most that `max_parameters` allows, or 64
        if that is None too.

    max_parameters : int, default=None
        The most weights and intercepts the network may have. With h hidden units, p
        features and c classes there are ``h * (p + 1) + c * (h + 1)``. None sets no
        limit.

    solver : {"adam", "sgd", "lbfgs"}, default="adam"
        Adam [1]_; gradient descent with a momentum of 0.9; or L-BFGS, which takes all
        the rows at once and suits small data. "lbfgs" computes in double precision, the
        others too if ``n_features * n_hidden`` is at most 4096, where it takes little
        more time; else in the precision of the data.

    alpha : float, default=1e-4
        Strength of the L2 penalty on the weights.

    class_weight : dict or "balanced", default=None
        Weights of the classes in the loss, by label; 1 for those that a dict leaves
        out. "balanced" weighs the classes so that each has the same part in the loss,
        however many rows it has. They multiply `sample_weight`.

    batch_size : int or "auto", default="auto"
        Rows in a mini-batch; more than there are means all. "auto" is 200.

    learning_rate_init : float, default=1e-3
        The step size of "adam" and "sgd", constant through the fit.

    max_iter : int, default=200
        The number of epochs (iterations, for "lbfgs") at most.

    early_stopping : bool, default=False
        Whether to hold rows out, stratified by class, and to stop when the accuracy
        on them (weighted as the loss is) no longer improves; the parameters of the
        best epoch are kept. Has no effect for "lbfgs".

    validation_fraction : float, default=0.1
        The share of the rows that early stopping holds out.

    n_iter_no_change : int, default=10
        After this many epochs in a row without an improvement of `tol` the fit has
        converged. Not used for "lbfgs".

    tol : float, default=1e-4
        By how much the loss (or the held-out accuracy) has to improve. "lbfgs" has
        converged when an iteration lowers the loss by less, on average over five.

    warm_start : bool, default=False
        Whether `fit` starts from the parameters of the fit before.

    random_state : int, RandomState instance or None, default=None
        Determines the initial weights, the shuffling of the rows in each epoch, and
        the rows held out.

    verbose : bool or int, default=False
        Whether `fit` prints the loss: every ten epochs if True, every epoch if 2.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.

    coefs_ : list of two ndarrays
        Weights of the hidden layer, of shape (n_features, n_hidden), and of the
        output layer, of shape (n_hidden, n_classes).

    intercepts_ : list of two ndarrays
        Intercepts of the hidden layer, of shape (n_hidden,), and of the output layer,
        of shape (n_classes,).

    n_parameters_ : int
        The number of all weights and intercepts.

    loss_ : float or None
        The loss in the last epoch; None if Ctrl-C has ended the fit in the first.

    best_loss_ : float or None
        The lowest loss of an epoch; None with early stopping, or without an epoch.

    loss_curve_ : list of float
        The loss of each epoch, averaged over its mini-batches. A warm start and
        `partial_fit` continue it.

    validation_scores_ : list of float or None
        The held-out accuracy after each epoch; None without early stopping.

    best_validation_score_ : float or None
        The highest of these; None without early stopping.

    n_iter_ : int
        Epochs of the last fit.

    t_ : int
        Rows seen in training, each as often as it was seen.

    n_features_in_ : int
        Number of features seen during fit.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of features seen during fit. Defined only when `X` has feature names
        that are all strings.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Any number of layers, other activations.
    gplvm.gradients.two_layer_loss : The loss, with its gradient.

    Notes
    -----
    The network is trained as one that sees ``(x - mean) / s``, whose first layer is
    then folded into weights for the data as they are: `X` is neither copied nor, if
    sparse, filled. So the learning rate means the same whatever the units of the
    data, and an offset does not slow the fit down. Features of very different
    variances still want a :class:`~sklearn.preprocessing.StandardScaler`.

    On that scale hidden weights start from a normal distribution of variance
    ``1 / n_features`` and hidden intercepts from a uniform one over [-2, 2], so that
    the units bend all over the data and not only at their centre. Output weights start
    from a normal distribution of standard deviation ``0.5 / sqrt(n_hidden)``, small
    enough for the first predictions to be alike; output intercepts start at zero.

    Where data in single precision are computed with in double precision, digits that
    it does not hold are left out of data in double precision, if they are far below the
    features' scale: both end in the same place, however long the steps. A larger
    network amplifies the rounding of single precision where steps are long.

    BLAS has one thread as long as a batch's largest product takes about a millisecond
    or less: more of them would mostly wait for each other.

    The parameters kept are those after the epoch of the lowest loss, whatever ends
    the fit, be it Ctrl-C. An exception, such as one of a callback or for data that are
    refused, leaves the classifier as it was before.

    References
    ----------
    .. [1] Kingma, D. P., & Ba, J. (2015). Adam: a method for stochastic
           optimization. International Conference on Learning Representations.
    .. [2] Ramachandran, P., Zoph, B., & Le, Q. V. (2017). Searching for activation
           functions. arXiv:1710.05941.
    .. [3] Elfwing, S., Uchibe, E., & Doya, K. (2018). Sigmoid-weighted linear units
           for neural network function approximation in reinforcement learning.
           Neural Networks, 107, 3-11.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from gplvm import SwishMLPClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    >>> model = SwishMLPClassifier(max_parameters=2500, tol=1e-3, random_state=0)
    >>> model.fit(X, y).n_parameters_
    2485
    >>> model.score(X_test, y_test) > 0.95
    True
    >>> model.transform(X_test).shape
    (450, 33)
    """

    _parameter_constraints: ClassVar[dict] = {
        "hidden_layer_size": [Interval(Integral, 1, None, closed="left"), None],
        "max_parameters": [Interval(Integral, 1, None, closed="left"), None],
        "solver": [StrOptions({"adam", "sgd", "lbfgs"})],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        hidden_layer_size=None,
        *,
        max_parameters=None,
        solver="adam",
        alpha=1e-4,
        class_weight=None,
        batch_size="auto",
        learning_rate_init=1e-3,
        max_iter=200,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=10,
        tol=1e-4,
        warm_start=False,
        random_state=None,
        verbose=False,
    ):
        self.hidden_layer_size = hidden_layer_size
        self.max_parameters = max_parameters
        self.solver = solver
        self.alpha = alpha
        self.class_weight = class_weight
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the network to data and their classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data; float32 stays float32, other types become float64.

        y : array-like of shape (n_samples,)
            Class labels.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss; a row of weight zero is left out.

        Returns
        -------
        self : SwishMLPClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If no network, or not the one asked for, fits `max_parameters`; if a warm
            start meets other classes or another hidden layer; if the rows are too few
            for early stopping; if the loss diverges, or with "sgd" would because of
            `alpha`; if the squares of the data overflow; if weights are negative or all
            zero; or if the data are invalid, such as NaN in `X`, which :class:`GPLVM`
            accepts.

        MemoryError
            If the network cannot fit in memory.

        Warns
        -----
        ConvergenceWarning
            If `max_iter` is reached before convergence or Ctrl-C is pressed; the best
            parameters so far are kept.
        """
        with all_or_nothing(self):
            fresh = not (self.warm_start and hasattr(self, "coefs_"))
            X, labels = self._validated(X, y, reset=fresh)
            if fresh:
                self.classes_ = np.unique(labels)
            y = self._class_indices(labels)
            weight = self._row_weights(sample_weight, labels)
            n_hidden = self._hidden_size(X)
            if not fresh and n_hidden != self._n_features_out:
                raise ValueError(
                    f"warm_start goes on with {self._n_features_out} hidden units, but "
                    f"the parameters ask for {n_hidden}; set warm_start=False."
                )
            self._random_state = check_random_state(self.random_state)
            monitor = FitMonitor(
                self,
                X,
                labels,
                max_iter=self.max_iter,
                metadata={"sample_weight": sample_weight},
            )
            X, y, weight = weighted_rows(X, y, weight)
            held_out = None
            if self.early_stopping and self.solver != "lbfgs":
                (X, y, weight), held_out = hold_out(
                    X, y, weight, self.classes_, self.validation_fraction,
                    self._random_state,
                )  # fmt: skip
            network = self._network_for(X, weight, n_hidden)
            X = network.rows(X)
            if held_out is not None:  # few rows, and looked at after each epoch
                held_out = network.rows(held_out[0])[:], *held_out[1:]
            x = network.start(self._random_state) if fresh else self._resumed(network)
            name, alpha = type(self).__name__, self.alpha
            batch = self._batch_size(y.size)
            if self.solver == "lbfgs":
                self._optimizer = None
                with network.few_threads(y.size):
                    best = minimize_lbfgs(
                        network.objective_of_all_rows(X, y, weight, alpha),
                        x,
                        max_iter=self.max_iter,
                        tol=self.tol,
                        on_iteration=lambda point, loss: monitor.iteration(
                            loss, lambda: network.layers(point)
                        ),
                        name=name,
                    )
            else:
                self._optimizer = self._new_optimizer(x)
                with network.few_threads(batch):
                    best = minimize_stochastic(
                        network.objective(x, X, y, weight, alpha, batch),
                        x,
                        self._optimizer,
                        n_samples=y.size,
                        batch_size=batch,
                        max_iter=self.max_iter,
                        random_state=self._random_state,
                        tol=self.tol,
                        n_iter_no_change=self.n_iter_no_change,
                        score=held_out and (lambda: network.accuracy(x, *held_out)),
                        on_epoch=lambda loss: monitor.iteration(
                            loss, lambda: network.layers(x)
                        ),
                        name=name,
                    )
            self._finish(best, network, fresh, y.size)
            monitor.close()
        return self

    @available_if(lambda self: self.solver != "lbfgs")
    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train for one epoch over the given rows.

        The first call also fixes the classes, the size of the network, and the mean
        and scale in which it is trained, so that its rows should resemble the rest.
        The optimizer's moments are kept from call to call.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.

        y : array-like of shape (n_samples,)
            Class labels.

        classes : array-like of shape (n_classes,), default=None
            All the classes there will be. Required in the first call.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss; a row of weight zero is left out.

        Returns
        -------
        self : SwishMLPClassifier
            The classifier after the epoch.

        Raises
        ------
        ValueError
            If `classes` is missing in the first call or changed later, `y` has others,
            early stopping is on, or `class_weight` is "balanced".
        """
        with all_or_nothing(self):
            if self.early_stopping:
                raise ValueError("partial_fit does not support early_stopping=True.")
            if self.class_weight == "balanced":
                raise ValueError(
                    'class_weight="balanced" takes the numbers of rows in the classes '
                    "from all the data, which partial_fit does not see; pass a dict of "
                    "weights."
                )
            fresh = not hasattr(self, "coefs_")
            if fresh and classes is None:
                raise ValueError(
                    "classes must be passed on the first call to partial_fit."
                )
            X, labels = self._validated(X, y, reset=fresh)
            if classes is not None:
                classes = np.unique(classes)
                if classes.dtype.kind == "f" and not np.isfinite(classes).all():
                    raise ValueError(f"classes={classes} holds NaN or infinity.")
                if fresh:
                    self.classes_ = classes
                elif not np.array_equal(classes, self.classes_):
                    raise ValueError(
                        f"classes={classes} differs from that of the first call, "
                        f"{self.classes_}."
                    )
            y = self._class_indices(labels)
            X, y, weight = weighted_rows(X, y, self._row_weights(sample_weight, labels))
            if fresh:
                self._random_state = check_random_state(self.random_state)
                network = self._network_for(X, weight, self._hidden_size(X))
                x = network.start(self._random_state)
            else:
                network = self._network()
                x = self._resumed(network)
            X = network.rows(X)
            # A copy: an epoch that diverges leaves the one before as it was.
            self._optimizer = deepcopy(getattr(self, "_optimizer", None))
            if self._optimizer is None:
                self._optimizer = self._new_optimizer(x)
            batch_size = self._batch_size(y.size)
            with network.few_threads(batch_size):
                best = minimize_stochastic(
                    network.objective(x, X, y, weight, self.alpha, batch_size),
                    x,
                    self._optimizer,
                    n_samples=y.size,
                    batch_size=batch_size,
                    max_iter=1,
                    random_state=self._random_state,
                    name=type(self).__name__,
                )
            self._finish(best, network, fresh, y.size)
        return self

    def predict(self, X):
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        columns = self._logits(X).argmax(axis=1)
        return self.classes_[columns]

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        probability : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; each row sums to 1.
        """
        return softmax(self._logits(X), axis=1)

    def predict_log_proba(self, X):
        """Logarithm of the probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        log_probability : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`; finite even where the probability underflows.
        """
        return log_softmax(self._logits(X), axis=1)

    def transform(self, X):
        """The hidden representation ``swish(W1 x + b1)`` of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Data.

        Returns
        -------
        hidden : ndarray of shape (n_samples, n_hidden)
            The activations of the hidden units.
        """
        X = self._validated_new(X)
        with np.errstate(over="ignore", invalid="ignore"):
            hidden = hidden_layer(self.coefs_[0].T, self.intercepts_[0], X)
        return refuse_infinite(hidden, "The hidden representation")

    @property
    def _n_features_out(self):
        return self.coefs_[0].shape[1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _validated(self, X, y, *, reset):
        X, y = validated(
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            reset=reset,
        )
        largest = refuse_nan(self, X)
        refuse_overflow(largest, X.shape, X.dtype if reset else self.coefs_[0].dtype)
        check_classification_targets(y)
        return X, y

    def _validated_new(self, X):
        check_is_fitted(self)
        X = validated(
            self,
            X,
            accept_sparse="csr",
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
            reset=False,
        )
        refuse_nan(self, X)
        return X

    def _logits(self, X):
        X = self._validated_new(X)
        (W1, W2), (b1, b2) = (coef.T for coef in self.coefs_), self.intercepts_
        with np.errstate(over="ignore", invalid="ignore"):
            logits = forward_pass(W1, b1, W2, b2, X)[1]
            # Differences of two of them have to be finite too.
            refuse_infinite(4.0 * logits, "The network's output")
        return logits

    def _class_indices(self, y):
        indices = np.searchsorted(self.classes_, y)
        known = self.classes_[indices.clip(max=self.classes_.size - 1)] == y
        if not np.all(known):
            raise ValueError(
                f"y has the classes {np.unique(y[~known])}, which are not among those "
                f"seen first, {self.classes_}."
            )
        return indices

    def _row_weights(self, sample_weight, labels):
        return row_weights(
            sample_weight,
            self.class_weight,
            labels,
            self.classes_,
            type(self).__name__,
        )

    def _hidden_size(self, X):
        n_classes = len(self.classes_)
        size = hidden_size(
            self.hidden_layer_size, self.max_parameters, X.shape[1], n_classes
        )
        n_rows = X.shape[0]
        batch = n_rows if self.solver == "lbfgs" else self._batch_size(n_rows)
        alike = walks_alike(self.solver, X.shape[1], size)
        dtype = np.dtype(float) if alike else X.dtype
        refuse_too_large(size, X.shape[1], n_classes, batch, dtype)
        return size

    def _network_for(self, X, weight, n_hidden):
        """The network of a first fit or batch, or of another fit."""
        n_classes = len(self.classes_)
        return TrainedNetwork.of_data(X, weight, n_hidden, n_classes, self.solver)

    def _network(self):
        """That of the last fit or batch, which the next batch trains."""
        W1, W2 = self.coefs_
        shape = *W1.shape, W2.shape[1]
        return TrainedNetwork(*shape, W1.dtype, self.solver, self._standard)

    def _resumed(self, network):
        """The parameters at which the last fit or batch ended."""
        # A file of an earlier version has no lost digits.
        lost = getattr(self, "_lost_digits", None)
        return network.resume(self.coefs_ + self.intercepts_, lost)

    def _new_optimizer(self, x):
        if self.solver == "adam":
            return Adam(x, self.learning_rate_init)
        # A step of gradient descent on the penalty overshoots ever further where
        # rate * alpha >= 2 (1 + momentum).
        if self.learning_rate_init * self.alpha >= 2 * (1 + MOMENTUM):
            raise ValueError(
                f"solver='sgd' diverges with alpha={self.alpha} and "
                f"learning_rate_init={self.learning_rate_init}; their product must be "
                f"below {2 * (1 + MOMENTUM)}."
            )
        return Momentum(x, self.learning_rate_init)

    def _batch_size(self, n_samples):
        return min(200 if self.batch_size == "auto" else self.batch_size, n_samples)

    def _finish(self, best, network, fresh, n_rows):
        """Set the fitted attributes from where a walk ended."""
        for name, value in network.layers(best.x).items():
            setattr(self, name, value)
        self._standard = network.standard
        self.n_parameters_ = best.x.size
        self.n_iter_ = best.n_iter
        self.t_ = (0 if fresh else self.t_) + best.n_iter * n_rows
        self.loss_curve_ = ([] if fresh else self.loss_curve_) + best.loss_curve
        self.loss_ = self.loss_curve_[-1] if self.loss_curve_ else None
        self.best_loss_ = min(self.loss_curve_, default=None)
        self.validation_scores_ = self.best_validation_score_ = None
        if self.early_stopping and self.solver != "lbfgs":
            self.best_loss_ = None
            self.validation_scores_ = best.scores
            self.best_validation_score_ = max(best.scores, default=None)
