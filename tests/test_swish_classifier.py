"""The swish classifier: manners, budget, training, and its independent judges."""

import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, sparse
from sklearn.base import clone
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.datasets import load_digits, make_classification, make_moons
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gplvm._optimize import Minimum
from gplvm._stochastic import Adam, Momentum, minimize_stochastic
from gplvm._swish_classifier import SwishMLPClassifier
from gplvm.gradients.network import n_network_parameters, two_layer_loss

unconverged = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning"
)


@unconverged
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks(
    [SwishMLPClassifier(), SwishMLPClassifier(4, solver="lbfgs", max_parameters=200)]
)
def test_sklearn_manners(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def moons():
    return make_moons(120, noise=0.2, random_state=0)


@pytest.fixture(scope="module")
def blobs():
    X, y = make_classification(
        150, 6, n_informative=4, n_classes=3, random_state=0, shift=2.0
    )
    return X, np.array(["eft", "ibex", "owl"])[y]


def quiet_fit(model, *args, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*args, **kwargs)


def layers(model):
    (W1, W2), (b1, b2) = (coef.T for coef in model.coefs_), model.intercepts_
    return {"W1": W1, "b1": b1, "W2": W2, "b2": b2}


def vector(model):
    return np.concatenate([array.ravel() for array in layers(model).values()])


# The budget ------------------------------------------------------------------------


@given(st.integers(1, 5), st.integers(2, 4), st.integers(1, 60))
@settings(max_examples=25, deadline=None)
def test_widest_network_within_the_budget(n_features, n_classes, budget):
    X = np.random.default_rng(0).normal(size=(2 * n_classes, n_features))
    y = np.tile(np.arange(n_classes), 2)
    model = SwishMLPClassifier(max_parameters=budget, max_iter=1, tol=1e9)
    # Counted by hand: one unit has its weights in, its intercept, its weights out.
    smallest = (n_features + 1) + n_classes + n_classes
    if budget < smallest:
        with pytest.raises(ValueError, match=f"= {smallest} parameters"):
            model.fit(X, y)
        return
    quiet_fit(model, X, y)
    counted = sum(array.size for array in model.coefs_ + model.intercepts_)
    assert model.n_parameters_ == counted <= budget
    wider = n_network_parameters(n_features, model.coefs_[0].shape[1] + 1, n_classes)
    assert wider > budget


def test_a_size_over_the_budget_is_an_error_with_its_arithmetic():
    X, y = np.eye(4), np.arange(4) % 2
    model = SwishMLPClassifier(10, max_parameters=60)
    message = (
        r"hidden_layer_size=10 is over max_parameters=60: 10 hidden units on 4 "
        r"features and 2 classes need 10 \* \(4 \+ 1\) \+ 2 \* \(10 \+ 1\) = 72 "
        r"parameters. The widest that fits is 8."
    )
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert quiet_fit(model.set_params(hidden_layer_size=8), X, y).n_parameters_ == 58
    with pytest.raises(ValueError, match="No network fits max_parameters=8: 1 hidden"):
        model.set_params(max_parameters=8).fit(X, y)


def test_default_size():
    X, y = np.eye(4), np.arange(4) % 2
    model = SwishMLPClassifier(max_iter=1)
    assert quiet_fit(model, X, y).coefs_[0].shape == (4, 64)


# What is minimised -----------------------------------------------------------------


@unconverged
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_loss_is_the_public_one(blobs, solver):
    X, y = blobs
    alpha, n = 0.02, len(X)
    # A vanishing step: the loss of the only epoch is that at the parameters.
    model = SwishMLPClassifier(
        5, solver=solver, alpha=alpha, batch_size=n, max_iter=3, random_state=0,
        learning_rate_init=1e-14,
    ).fit(X, y)  # fmt: skip
    p, s2 = layers(model), X.var(axis=0).mean()
    codes = np.searchsorted(model.classes_, y)
    penalty = (s2 * (p["W1"] ** 2).sum() + (p["W2"] ** 2).sum()) * alpha / 2
    assert_allclose(model.best_loss_, two_layer_loss(**p, X=X, y=codes) + penalty)
    log_p = model.predict_log_proba(X)[np.arange(n), codes]
    assert_allclose(model.best_loss_, penalty - log_p.mean())


def test_lbfgs_finds_scipys_minimum():
    # A penalty so strong that the minimum is unique: no hidden unit, only intercepts.
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = np.repeat([0, 1], [10, 30])
    model = SwishMLPClassifier(3, solver="lbfgs", alpha=50.0, tol=1e-13, random_state=0)
    quiet_fit(model, X, y)
    assert_allclose(model.predict_proba(X), np.tile([0.25, 0.75], (40, 1)), atol=1e-4)
    assert_allclose(model.coefs_[1], 0, atol=1e-4)


@unconverged
def test_lbfgs_minimum_is_stationary_for_scipy(moons):
    X, y = moons
    X = (X - X.mean(axis=0)) / np.sqrt(X.var(axis=0).mean())  # s = 1
    model = SwishMLPClassifier(
        3, solver="lbfgs", alpha=0.05, tol=1e-12, max_iter=3000, random_state=0
    ).fit(X, y)
    shapes = {name: array.shape for name, array in layers(model).items()}
    stops = np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1]

    def loss(x):
        parts = [
            part.reshape(shape)
            for part, shape in zip(np.split(x, stops), shapes.values(), strict=True)
        ]
        value, gradient = two_layer_loss(
            *parts, X, y, alpha=0.05, eval_gradient=True
        )  # fmt: skip
        return value, np.concatenate([g.ravel() for g in gradient.values()])

    polished = optimize.minimize(loss, vector(model), jac=True, method="BFGS")
    assert_allclose(model.best_loss_, polished.fun, atol=1e-8)


def test_the_classes_are_linearly_separable_in_the_hidden_layer(moons):
    X, y = moons
    model = SwishMLPClassifier(16, solver="lbfgs", max_iter=500, random_state=0)
    hidden = quiet_fit(model, X, y).transform(X)
    assert LogisticRegression(max_iter=5000).fit(X, y).score(X, y) < 0.92
    linear = LogisticRegression(C=1e4, max_iter=20000).fit(hidden, y)
    assert linear.score(hidden, y) > 0.97
    p = layers(model)
    assert_allclose(
        model.predict_log_proba(X),
        np.log(model.predict_proba(X)),
        atol=1e-12,
    )
    logits = hidden @ p["W2"].T + p["b2"]
    assert_array_equal(model.predict(X), model.classes_[logits.argmax(axis=1)])


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_learns_digits(solver):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0, stratify=y)
    rate = 0.05 if solver == "sgd" else 1e-3
    model = SwishMLPClassifier(
        32, solver=solver, max_iter=60, learning_rate_init=rate, random_state=0
    )
    assert quiet_fit(model, X, y).score(X_test, y_test) > 0.94


@pytest.mark.parametrize("name", ["moons", "digits"])
def test_as_accurate_as_the_relu_network(name):
    # Moons have two features: a start near the linear solution can end there.
    if name == "moons":
        X, y = make_moons(600, noise=0.2, random_state=0)
    else:
        X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=0.3, random_state=0, stratify=y
    )
    if name == "moons":
        scaler = StandardScaler().fit(X)
        X, X_test = scaler.transform(X), scaler.transform(X_test)
    epochs = 1000 if name == "moons" else 60

    def accuracies(estimator):
        models = [clone(estimator).set_params(random_state=seed) for seed in range(3)]
        return [quiet_fit(m, X, y).score(X_test, y_test) for m in models]

    ours = accuracies(SwishMLPClassifier(32, max_iter=epochs))
    theirs = accuracies(MLPClassifier((32,), max_iter=epochs))
    assert np.mean(ours) > np.mean(theirs) - 0.02
    assert min(ours) > 0.93


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_all_that_single_precision_holds_far_from_zero_is_learned(blobs, solver):
    X = (blobs[0] + 2e6).astype(np.float32)
    model = SwishMLPClassifier(8, solver=solver, max_iter=5, random_state=0)
    single, double = (
        clone(model).fit(given, blobs[1]) for given in (X, X.astype(float))
    )
    assert_allclose(single.loss_curve_, double.loss_curve_, rtol=1e-12)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize(
    ("offset", "unit"),
    [(0.0, 1e-6), (0.0, 1e6), (30.0, 1.0), (0.0, 1e-160), (0.0, 1e145)],
)
def test_units_and_offset_of_the_data_do_not_matter(blobs, solver, offset, unit):
    X, y = blobs
    model = SwishMLPClassifier(5, solver=solver, max_iter=20, random_state=0)
    expected = quiet_fit(model, X, y).predict_proba(X)
    moved = unit * X + offset
    assert_allclose(
        quiet_fit(clone(model), moved, y).predict_proba(moved), expected, atol=1e-5
    )


def test_sparse_equals_dense(blobs):
    X, y = blobs
    X = np.where(X > 1, X, 0)
    model = SwishMLPClassifier(5, max_iter=20, batch_size=40, random_state=0)
    expected = quiet_fit(model, X, y)
    for form in (sparse.csr_array, sparse.csr_matrix, sparse.csc_array):
        fitted = quiet_fit(clone(model), form(X), y)
        assert_allclose(fitted.coefs_[0], expected.coefs_[0], atol=1e-7)
        assert_allclose(fitted.transform(form(X)), expected.transform(X), atol=1e-7)


@unconverged
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_memory_layout_does_not_matter(blobs, solver):
    X, y = blobs
    model = SwishMLPClassifier(
        5, solver=solver, max_iter=5, batch_size=40, random_state=0
    )
    expected = clone(model).fit(X, y).predict_proba(X)
    before = X.copy()
    for form in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2]):
        assert not form.flags.c_contiguous
        found = clone(model).fit(form, y).predict_proba(X)
        assert_allclose(found, expected, atol=1e-9)
    assert_array_equal(X, before)


def _peak(function):
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@unconverged
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_hidden", [2, 80])  # walked in double precision, and not
def test_mapped_data_are_not_read_into_memory(tmp_path, dtype, n_hidden):
    X = np.memmap(tmp_path / "X", dtype=dtype, mode="w+", shape=(50_000, 64))
    X[:] = np.tile(np.random.default_rng(0).normal(size=(1000, 64)), (50, 1))
    y = np.arange(len(X)) % 3
    model = SwishMLPClassifier(n_hidden, max_iter=1, random_state=0)
    assert _peak(lambda: model.fit(X, y)) < X.nbytes / 2
    assert _peak(lambda: model.partial_fit(X, y)) < X.nbytes / 2


@unconverged
def test_weights_are_repetitions_of_rows(blobs):
    X, y = blobs
    counts = np.random.default_rng(0).integers(0, 3, size=len(X))
    model = SwishMLPClassifier(5, max_iter=15, batch_size=1000, random_state=0)
    weighted = model.fit(X, y, sample_weight=counts)
    rows = np.repeat(np.arange(len(X)), counts)
    repeated = clone(model).fit(X[rows], y[rows])
    assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=1e-7)
    assert_allclose(weighted.loss_curve_, repeated.loss_curve_)
    # In mini-batches too, only the ratios of weights matter.
    model.set_params(batch_size=20)
    one = clone(model).fit(X, y, sample_weight=counts).predict_proba(X)
    ten = clone(model).fit(X, y, sample_weight=10.0 * counts).predict_proba(X)
    assert_allclose(one, ten, atol=1e-7)


@unconverged
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_float32_is_preserved(blobs, solver, form):
    X, y = blobs
    model = SwishMLPClassifier(5, solver=solver, max_iter=5, random_state=0)
    single = clone(model).fit(form(X.astype(np.float32)), y)
    for array in single.coefs_ + single.intercepts_:
        assert array.dtype == np.float32
    X32 = form(X.astype(np.float32))
    assert single.transform(X32).dtype == single.predict_proba(X32).dtype == np.float32
    double = clone(model).fit(form(X), y)
    assert double.coefs_[0].dtype == np.float64
    assert_allclose(single.predict_proba(X32), double.predict_proba(X), atol=1e-3)


# The update rules ------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 7, 200])
def test_adam_is_algorithm_1_of_the_paper(steps):
    rng = np.random.default_rng(0)
    x = rng.normal(size=6)
    ours, rule = x.copy(), Adam(x, 0.01, epsilon=1e-3)
    m = v = np.zeros(6)
    for t in range(1, steps + 1):
        g = rng.normal(size=6)
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        x = x - 0.01 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-3)
        rule.update(ours, g.copy())
    assert_allclose(ours, x, rtol=1e-12)


def test_momentum():
    x, rule = np.array([1.0]), Momentum(np.zeros(1), 0.1)
    for expected in (0.8, 0.42):  # v = -0.2, then 0.9 * -0.2 - 0.1 * 2 = -0.38
        rule.update(x, np.array([2.0]))
        assert_allclose(x, expected)


@pytest.mark.parametrize("rule", [Adam, Momentum])
def test_stochastic_walk_solves_least_squares(rule):
    rng = np.random.default_rng(0)
    A, truth = rng.normal(size=(90, 3)), np.array([1.0, -2.0, 0.5])
    b, x, seen = A @ truth, np.zeros(3), []

    def objective(rows):
        seen.append(rows)
        residual = A[rows] @ x - b[rows]
        return 0.5 * np.mean(residual**2), A[rows].T @ residual / rows.size

    minimum = minimize_stochastic(
        objective, x, rule(x, 0.02), n_samples=90, batch_size=40, max_iter=400,
        random_state=np.random.RandomState(0),
    )  # fmt: skip
    assert isinstance(minimum, Minimum)
    assert_allclose(minimum.x, truth, atol=1e-3)
    assert [rows.size for rows in seen[:3]] == [40, 40, 10]
    assert_array_equal(np.sort(np.concatenate(seen[:3])), np.arange(90))
    assert not np.array_equal(seen[0], seen[3])
    assert len(minimum.loss_curve) == 400


# How it ends, and goes on ----------------------------------------------------------


def test_partial_fit_is_an_epoch_of_fit(blobs):
    X, y = blobs
    model = SwishMLPClassifier(5, batch_size=40, random_state=0, max_iter=3)
    with pytest.warns(ConvergenceWarning, match=r"3 epochs.*Raise max_iter or tol"):
        whole = clone(model).fit(X, y)
    for _ in range(3):
        model.partial_fit(X, y, classes=np.unique(y))
    assert_allclose(vector(model), vector(whole), rtol=1e-9)
    assert_allclose(model.loss_curve_, whole.loss_curve_)
    assert (model.n_iter_, whole.n_iter_, model.t_, whole.t_) == (1, 3, 450, 450)


def test_partial_fit_knows_classes_to_come(blobs):
    X, y = blobs
    model = SwishMLPClassifier(10, learning_rate_init=0.02, random_state=0)
    first = np.flatnonzero(y != "owl")
    with pytest.raises(ValueError, match="classes must be passed on the first call"):
        model.partial_fit(X, y)
    model.partial_fit(X[first], y[first], classes=["owl", "eft", "ibex"])
    assert_array_equal(model.classes_, ["eft", "ibex", "owl"])
    for _ in range(100):
        model.partial_fit(X, y)
    assert model.score(X, y) > 0.8
    with pytest.raises(ValueError, match="differs from that of the first call"):
        model.partial_fit(X, y, classes=["eft", "ibex"])
    with pytest.raises(ValueError, match=r"classes \['yak'\], which are not among"):
        model.partial_fit(X[:1], ["yak"])
    with pytest.raises(ValueError, match="early_stopping"):
        model.set_params(early_stopping=True).partial_fit(X, y)
    assert not hasattr(SwishMLPClassifier(solver="lbfgs"), "partial_fit")


@unconverged
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_warm_start_goes_on(blobs, solver):
    X, y = blobs
    model = SwishMLPClassifier(
        5, solver=solver, max_iter=10, warm_start=True, random_state=0
    )
    first = model.fit(X, y).best_loss_
    model.fit(X, y)
    assert model.loss_curve_[10] < model.loss_curve_[0]
    assert model.best_loss_ < first
    assert (model.n_iter_, len(model.loss_curve_)) == (10, 20)
    with pytest.raises(
        ValueError, match="5 hidden units, but the parameters ask for 6"
    ):
        model.set_params(hidden_layer_size=6).fit(X, y)
    with pytest.raises(ValueError, match="not among those seen first"):
        model.fit(X, np.where(y == "owl", "yak", y))


@unconverged
def test_partial_fit_after_another_solver(blobs):
    X, y = blobs
    model = SwishMLPClassifier(5, max_iter=5, random_state=0).fit(X, y)
    model.set_params(hidden_layer_size=4, solver="lbfgs").fit(X, y)
    before = model.loss_
    model.set_params(solver="adam").partial_fit(X, y)
    assert abs(model.loss_ - before) < 0.1
    assert model.n_parameters_ == model.coefs_[0].size + 4 + model.coefs_[1].size + 3


@unconverged
@pytest.mark.parametrize("unit", [1e-25, 1e25])
def test_extreme_units_in_float32(blobs, unit):
    X, y = blobs
    model = SwishMLPClassifier(5, max_iter=20, random_state=0)
    expected = model.fit(X, y).predict_proba(X)
    moved = (unit * X).astype(np.float32)
    assert_allclose(model.fit(moved, y).predict_proba(moved), expected, atol=1e-3)


def test_early_stopping_keeps_the_best_epoch():
    X, y = make_classification(300, 10, n_informative=5, flip_y=0.3, random_state=0)
    model = SwishMLPClassifier(
        20, early_stopping=True, validation_fraction=0.2, learning_rate_init=0.03,
        n_iter_no_change=8, random_state=0,
    ).fit(X, y)  # fmt: skip
    assert model.n_iter_ == len(model.validation_scores_) < 200
    best = int(np.argmax(model.validation_scores_))
    assert model.n_iter_ >= best + 8
    assert model.best_validation_score_ == model.validation_scores_[best]
    assert model.best_loss_ is None
    # The same rows again: those held out are the first draw from the seed.
    _, held_out = train_test_split(
        np.arange(300), test_size=0.2, stratify=y, random_state=np.random.RandomState(0)
    )
    assert_allclose(model.score(X[held_out], y[held_out]), model.best_validation_score_)
    assert abs(y[held_out].mean() - y.mean()) < 0.02


def test_convergence_by_tol(moons):
    model = SwishMLPClassifier(4, tol=1.0, n_iter_no_change=3, random_state=0)
    assert model.fit(*moons).n_iter_ == 4


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_the_warning_points_to_the_caller(blobs, solver):
    with pytest.warns(ConvergenceWarning) as caught:
        SwishMLPClassifier(2, solver=solver, max_iter=1).fit(*blobs)
    assert caught[0].filename == __file__


class Stop:
    """A callback that ends the fit at an iteration, by its answer or by Ctrl-C."""

    def __init__(self, at, how):
        self.at, self.how, self.seen, self.fitted = at, how, -1, None

    def setup(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name != "iteration":
            return False
        self.seen += 1
        if self.seen < self.at:
            return False
        self.fitted = fitted_estimator
        if self.how is KeyboardInterrupt:
            raise KeyboardInterrupt
        return True

    def teardown(self, estimator, context):
        pass


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_interrupt_keeps_a_fitted_model(blobs, solver):
    X, y = blobs
    model = SwishMLPClassifier(5, solver=solver, random_state=0)
    callback = Stop(5, KeyboardInterrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted after 6"):
        model.set_callbacks(callback).fit(X, y)
    assert model.n_iter_ == len(model.loss_curve_) == 6
    short = SwishMLPClassifier(5, solver=solver, max_iter=6, random_state=0)
    expected = quiet_fit(short, X, y).predict_proba(X)
    assert_allclose(model.predict_proba(X), expected, atol=1e-9)
    assert_allclose(callback.fitted.predict_proba(X), expected, atol=1e-9)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_a_callback_can_stop_the_fit(blobs, solver):
    model = SwishMLPClassifier(5, solver=solver, random_state=0)
    assert model.set_callbacks(Stop(2, True)).fit(*blobs).n_iter_ == 3


@unconverged
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_scikit_learns_callbacks(blobs, solver, capsys):
    X, y = blobs
    scores = ScoringMonitor(scoring="accuracy")
    model = SwishMLPClassifier(
        5, solver=solver, learning_rate_init=0.02, max_iter=7, verbose=2, random_state=0
    )
    model.set_callbacks(scores).fit(X, y)
    assert capsys.readouterr().out.count("loss = ") == 7
    accuracy = scores.get_logs().data_as_pandas["accuracy"].dropna()
    assert len(accuracy) == 8  # each epoch's and the fit's
    assert accuracy.nunique() > 1
    assert model.score(X, y) in accuracy.to_numpy()


@unconverged
def test_progress_bar(blobs):
    pytest.importorskip("rich")
    X, y = blobs
    model = SwishMLPClassifier(5, max_iter=7, random_state=0)
    search = GridSearchCV(model, {"alpha": [0, 1]}, cv=2).set_callbacks(ProgressBar())
    assert search.fit(X, y).predict(X).shape == (150,)
    assert model.set_callbacks(ProgressBar()).fit(X, y).n_iter_ == 7


def test_divergence_is_an_error(blobs):
    model = SwishMLPClassifier(5, solver="sgd", alpha=0.0, learning_rate_init=1e308)
    with pytest.raises(ValueError, match=r"diverged in epoch 2.*Lower learning_rate"):
        model.fit(*blobs)


# scikit-learn around it ------------------------------------------------------------


@unconverged
def test_pipeline_search_clone_pickle_and_pandas(blobs):
    X, y = blobs
    search = GridSearchCV(
        make_pipeline(
            StandardScaler(), SwishMLPClassifier(max_iter=50, random_state=0)
        ),
        {"swishmlpclassifier__hidden_layer_size": [1, 20]},
        cv=2,
    ).fit(X, y)
    assert search.best_params_ == {"swishmlpclassifier__hidden_layer_size": 20}
    model = search.best_estimator_[-1]
    copy = pickle.loads(pickle.dumps(model))
    assert_array_equal(copy.predict_proba(X), model.predict_proba(X))
    copy.partial_fit(X, y)
    frame = model.set_output(transform="pandas").transform(X)
    assert list(frame.columns[:2]) == ["swishmlpclassifier0", "swishmlpclassifier1"]
    assert frame.shape == (150, 20)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_degenerate_data(solver):
    model = SwishMLPClassifier(3, solver=solver, random_state=0)
    same = np.full((6, 2), 0.1)
    proba = quiet_fit(model, same, [0, 0, 0, 0, 1, 1]).predict_proba(same)
    assert np.all(np.isfinite(proba))
    one_class = quiet_fit(clone(model), np.eye(3), ["owl"] * 3)
    assert_array_equal(one_class.predict(np.eye(3)), ["owl"] * 3)
    assert_allclose(one_class.predict_proba(np.eye(3)), 1)
    single = quiet_fit(clone(model), [[1.0, 2.0]], [7])
    assert_array_equal(single.predict([[5.0, 5.0]]), [7])


def test_far_rows_have_finite_log_probabilities(blobs):
    X, y = blobs
    model = quiet_fit(SwishMLPClassifier(5, random_state=0, max_iter=20), X, y)
    log_p = model.predict_log_proba(1e6 * X)
    assert np.all(np.isfinite(log_p))
    assert log_p.min() < -800  # whose exponential is zero


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(3), r"sample_weight must have shape \(150,\), got shape \(3,\)"),
        (-np.ones(150), "Negative values"),
        (np.zeros(150), "zero for every row"),
        (np.full(150, np.nan), "NaN"),
    ],
)
def test_weights_that_are_none(blobs, weight, message):
    with pytest.raises(ValueError, match=message):
        SwishMLPClassifier(2).fit(*blobs, sample_weight=weight)


def test_other_errors(blobs):
    X, y = blobs
    with pytest.raises(NotFittedError):
        SwishMLPClassifier().predict(X)
    with pytest.raises(ValueError, match="Unknown label type"):
        SwishMLPClassifier().fit(X, X[:, 0])
    with pytest.raises(ValueError, match="'solver' parameter"):
        SwishMLPClassifier(solver="newton").fit(X, y)


@unconverged
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_missing_values_are_referred_to_the_gp_models(blobs, form):
    X, y = blobs
    model = SwishMLPClassifier(2, max_iter=1, random_state=0).fit(X, y)
    gaps, infinite = X.copy(), X.copy()
    gaps[3, 1], infinite[3, 1] = np.nan, np.inf
    calls = [
        lambda X: clone(model).fit(X, y),
        lambda X: clone(model).partial_fit(X, y, classes=np.unique(y)),
        lambda X: model.score(X, y),
        *(getattr(model, name) for name in ("predict", "predict_proba", "transform")),
    ]
    words = (
        r"^Input X contains NaN\. SwishMLPClassifier does not accept missing values; "
        r"gplvm\.GPLVM does\.$"
    )
    for call in calls:
        with pytest.raises(ValueError, match=words):
            call(form(gaps))
        with pytest.raises(ValueError, match=r"^Input X contains infinity"):
            call(form(infinite))


@pytest.mark.parametrize(
    ("counts", "fraction", "words"),
    [
        ([5, 5], 0.1, "fraction=0.1 splits 10 rows into 9 to train on and 1 held out,"),
        ([5, 5], 0.95, "splits 10 rows into 0 to train on and 10 held out,"),
        ([2, 2, 2], 0.1, "each part needs one of each of the 3 classes; change valid"),
        ([9, 1], 0.2, "class yak has only one row; set early_stopping=False"),
        ([1], 0.1, "splits 1 row into 0 .*; set early_stopping=False"),
    ],
)
def test_too_few_rows_to_hold_out(counts, fraction, words):
    y = np.repeat(["eft", "yak", "owl"][: len(counts)], counts)
    X = np.random.default_rng(0).normal(size=(y.size, 2))
    model = SwishMLPClassifier(2, early_stopping=True, validation_fraction=fraction)
    with pytest.raises(ValueError, match=words):
        model.fit(X, y)


def test_just_enough_rows_to_hold_out():
    X, y = np.random.default_rng(0).normal(size=(10, 2)), np.arange(10) % 2
    model = SwishMLPClassifier(2, early_stopping=True, max_iter=2)
    for fraction in (0.11, 0.8):
        model.set_params(validation_fraction=fraction)
        assert len(quiet_fit(model, X, y).validation_scores_) == 2
