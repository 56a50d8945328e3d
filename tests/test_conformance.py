"""What all four estimators owe their users beyond `check_estimator`."""

import contextlib
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings

import joblib
import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from threadpoolctl import threadpool_info

import gplvm
from gplvm import (
    GPLVM,
    BayesianGPLVM,
    LinearAutoencoder,
    SwishMLPClassifier,
    _batch_fitting,
    _growing_fit,
    _optimize,
    _stochastic_fit,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = load_iris(return_X_y=True)
X, Y = X[::6].copy(), Y[::6].copy()

SHORT = {"max_iter": 4, "random_state": 0}
MODELS = [
    LinearAutoencoder(2, solver="lbfgs", **SHORT),
    LinearAutoencoder(2, solver="eigen", **SHORT),
    LinearAutoencoder(2, solver="adam", activation="swish", **SHORT),
    SwishMLPClassifier(5, **SHORT),
    SwishMLPClassifier(5, solver="lbfgs", **SHORT),
    GPLVM(**SHORT),
    GPLVM(n_inducing=6, init="random", **SHORT),
    BayesianGPLVM(2, n_inducing=8, **SHORT),
]
ONE_OF_EACH = [MODELS[0], MODELS[3], MODELS[5], MODELS[7]]


def _name(value):
    return repr(value).replace("\n", "")[:60] if hasattr(value, "fit") else None


@pytest.fixture(autouse=True)
def short_race(monkeypatch):
    monkeypatch.setattr("gplvm._starts._RACE_ITERATIONS", (2, 1))


each_model = pytest.mark.parametrize("model", MODELS, ids=_name)
each_estimator = pytest.mark.parametrize("model", ONE_OF_EACH, ids=_name)


def _results(model, rows=X):
    """What a fitted model says of some rows."""
    results = [model.transform(rows)]
    for method in ("predict_proba", "score_samples"):
        if hasattr(model, method):
            results.append(getattr(model, method)(rows))
    if hasattr(model, "inverse_transform"):
        results.append(model.inverse_transform(results[0]))
    return results


def _assert_same(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert_array_equal(one, other)


# What parametrize_with_checks leaves out ---------------------------------------------

LEFT_OUT = [
    "check_param_validation",
    "check_get_feature_names_out_error",
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_global_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_set_output_transform_polars",
]


@each_estimator
@pytest.mark.parametrize("check", LEFT_OUT)
@pytest.mark.filterwarnings("ignore:X .* feature names")
def test_checks_that_scikit_learn_leaves_to_us(model, check):
    getattr(estimator_checks, check)(type(model).__name__, clone(model))


@each_estimator
@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_every_method_works_whatever_the_output_container(model, container):
    plain = clone(model).fit(X, Y)
    expected = _results(plain)
    framed = clone(model).set_output(transform=container).fit(X, Y)
    _assert_same([np.asarray(found) for found in _results(framed)], expected)
    with sklearn.config_context(transform_output=container):
        everywhere = _results(clone(model).fit(X, Y))
        assert clone(model).fit(X, Y).score(X, Y) == plain.score(X, Y)
    _assert_same([np.asarray(found) for found in everywhere], expected)


# Nothing that is given is written to -------------------------------------------------


@each_model
def test_read_only_arguments(model):
    given = {
        "X": X.copy(),
        "y": Y.copy(),
        "sample_weight": np.linspace(0.0, 1.0, len(X)),
    }
    model = clone(model)
    if "init" in model.get_params():
        given["init"] = X[:, :2] - X[:, :2].mean(axis=0)
        model.set_params(init=given["init"])
    for array in given.values():
        array.flags.writeable = False
    weight = {}
    if isinstance(model, SwishMLPClassifier):
        weight = {"sample_weight": given["sample_weight"]}
    model.fit(given["X"], given["y"], **weight)
    rows = X[:3] + 0.1
    rows.flags.writeable = False
    latent = model.transform(rows)
    latent.flags.writeable = False
    if hasattr(model, "inverse_transform"):
        model.inverse_transform(latent)
        model.score(rows)
    if hasattr(model, "partial_fit") and getattr(model, "solver", "") != "lbfgs":
        model.partial_fit(given["X"], given["y"], **weight)


@each_model
def test_results_are_not_views_of_the_model(model):
    model = clone(model).fit(X, Y)
    expected = [np.array(result) for result in _results(model)]
    for result in _results(model):
        result = np.asarray(result)
        if result.flags.writeable:
            result[...] = 0.0
    _assert_same(_results(model), expected)


# Metadata ----------------------------------------------------------------------------


def test_sample_weight_is_routed_through_a_pipeline():
    weight = np.random.default_rng(0).uniform(0.5, 2.0, size=len(X))
    scaled = StandardScaler().fit_transform(X)
    model = SwishMLPClassifier(5, **SHORT)
    expected = clone(model).fit(scaled, Y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = clone(model).set_fit_request(sample_weight=True)
        asking.set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        pipeline = make_pipeline(scaler, asking).fit(X, Y, sample_weight=weight)
        score = pipeline.score(X, Y, sample_weight=weight)
        other = make_pipeline(scaler, clone(model).set_fit_request(sample_weight=False))
        with pytest.raises(TypeError, match="sample_weight"):
            other.fit(X, Y, sample_weight=weight)
    _assert_same(_results(pipeline[-1], scaled), _results(expected, scaled))
    assert score == expected.score(scaled, Y, sample_weight=weight)
    assert not np.allclose(
        expected.coefs_[0], clone(model).fit(scaled, Y).coefs_[0], rtol=1e-3
    )


# Copies ------------------------------------------------------------------------------


def _parameters(model):
    return {name: repr(value) for name, value in model.get_params().items()}


@each_model
def test_clones_have_the_parameters_and_nothing_else(model):
    fitted = clone(model).fit(X, Y)
    for copy in (clone(model), clone(fitted)):
        assert _parameters(copy) == _parameters(model)
        assert not [name for name in vars(copy) if name.endswith("_")]
        _assert_same(_results(copy.fit(X, Y)), _results(fitted))


_READER = """
import pickle, sys, joblib, numpy as np
X = np.load(sys.argv[1])
for path in sys.argv[2:]:
    if path.endswith(".pickle"):
        with open(path, "rb") as file:
            model = pickle.load(file)
    else:
        model = joblib.load(path)
    np.save(path + ".npy", np.asarray(model.transform(X)))
"""


def test_pickle_and_joblib_in_another_process(tmp_path):
    rows = X[:4] + 0.1
    np.save(tmp_path / "rows.npy", rows)
    expected = {}
    for i, model in enumerate(MODELS):
        model = clone(model).fit(X, Y)
        for name in (f"{i}.pickle", f"{i}.joblib"):
            path = tmp_path / name
            if name.endswith("pickle"):
                path.write_bytes(pickle.dumps(model))
            else:
                joblib.dump(model, path)
            expected[path] = model.transform(rows)
    command = [sys.executable, "-c", _READER, tmp_path / "rows.npy", *expected]
    subprocess.run(command, check=True, timeout=120)
    for path, codes in expected.items():
        # Another process may run its BLAS on another number of threads.
        found = np.load(f"{path}.npy")
        assert_allclose(found, codes, rtol=1e-9, atol=1e-9 * np.abs(codes).max())


# Reproducible, at any time, in any thread -------------------------------------------


@each_model
def test_deterministic_whatever_ran_before(model):
    first = _results(clone(model).fit(X, Y))
    np.random.seed(1)  # noqa: NPY002
    np.random.normal(size=7)  # noqa: NPY002
    _assert_same(_results(clone(model).fit(X, Y)), first)
    seeded = clone(model).set_params(random_state=np.random.RandomState(0))
    _assert_same(_results(seeded.fit(X, Y)), first)


@pytest.mark.parametrize(
    "model", [m for m in MODELS if hasattr(m, "n_jobs")], ids=_name
)
def test_deterministic_whatever_n_jobs(model):
    model = clone(model).set_params(n_restarts=2)
    expected = _results(model.fit(X))
    for n_jobs in (2, -1):
        with joblib.parallel_config("threading"):
            again = clone(model).set_params(n_jobs=n_jobs).fit(X)
        _assert_same(_results(again), expected)


def test_several_threads_at_once():
    fitted = [clone(model).fit(X, Y) for model in MODELS]
    expected = [_results(model) for model in fitted]
    found = [None] * len(MODELS)
    barrier = threading.Barrier(len(MODELS))

    def work(i):
        # Each fits its own model, and all ask one that was fitted before.
        barrier.wait()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            own = _results(clone(MODELS[i]).fit(X, Y))
        shared = i // 2
        found[i] = own, shared, _results(fitted[shared])

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(MODELS))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for i, (own, shared, of_shared) in enumerate(found):
        _assert_same(own, expected[i])
        _assert_same(of_shared, expected[shared])


def _global_state():
    blas = {lib["filepath"]: lib["num_threads"] for lib in threadpool_info()}
    return {
        "errors of numpy": np.geterr(),
        "error call of numpy": np.geterrcall(),
        "printing of numpy": np.get_printoptions(),
        "scikit-learn": sklearn.get_config(),
        "threads": blas,
        "warnings": list(warnings.filters),
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "environment": dict(os.environ),
    }


@each_model
def test_no_global_state(model):
    clone(model).fit(X, Y)  # what is done once, such as an import
    before, numbers = _global_state(), np.random.get_state()  # noqa: NPY002
    fitted = clone(model).fit(X, Y)
    _results(fitted, X[:5] + 0.1)
    with contextlib.suppress(ValueError):
        clone(model).fit(X * np.inf, Y)
    assert _global_state() == before
    for one, other in zip(np.random.get_state(), numbers, strict=True):  # noqa: NPY002
        assert_array_equal(one, other)


# Numbers -----------------------------------------------------------------------------


def _fitted(model, X):
    return model.fit(X, Y)


def _assert_within_a_thousandth(model, narrow, wide, fit=_fitted):
    """Rows in single precision lead to what they do in double precision."""
    single, double = (_results(fit(clone(model), X), X) for X in (narrow, wide))
    for one, other in zip(single, double, strict=True):
        assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


@each_model
def test_single_precision_is_within_a_thousandth(model):
    narrow = X.astype(np.float32)
    _assert_within_a_thousandth(model, narrow, narrow.astype(float))


@pytest.mark.parametrize(
    "model",
    [
        LinearAutoencoder(2, random_state=0),
        SwishMLPClassifier(5, random_state=0),
        GPLVM(random_state=0),
        GPLVM(n_inducing=8, random_state=0),
        GPLVM(back_constraint="mlp", random_state=0),
        BayesianGPLVM(2, random_state=0),
        BayesianGPLVM(2, batch_size=10, random_state=0),
    ],
    ids=_name,
)
def test_digits_beyond_single_precision_do_not_part_long_walks(model):
    # No decimal fraction has an end in binary: the two differ in their last digits.
    smooth = np.sin(np.outer(np.linspace(0.1, 3.1, len(X)), [1, 2, 3, 4])) + X
    _assert_within_a_thousandth(model, smooth.astype(np.float32), smooth)


def _of_rows(model, X):
    return model.fit(X)


def _of_a_stream(model, X):
    for batch in np.split(X, [60, 80, 100, 120, 140]):
        model.partial_fit(batch)
    return model


def _after_a_fit(model, X):
    return model.fit(X).partial_fit(X[:40]).partial_fit(X[40:80])


def _many(data):
    return StandardScaler().fit_transform(data().data[:150])


def test_nor_those_of_classifiers():
    many, labels = load_wine(return_X_y=True)
    model = SwishMLPClassifier(10, solver="lbfgs", random_state=0)
    _assert_within_a_thousandth(
        model, many.astype(np.float32), many, lambda model, X: model.fit(X, labels)
    )


def _stopped_early(model, X, y):
    return model.set_params(early_stopping=True).fit(X, y)


def _in_batches(model, X, y):
    for start in [0, 1] * 50:
        model.partial_fit(X[start::2], y[start::2], classes=np.unique(y))
    return model


def _warm_started(model, X, y):
    model.set_params(warm_start=True, max_iter=10)
    for _ in range(10):
        model.fit(X, y)
    return model


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize(
    "fit", [SwishMLPClassifier.fit, _stopped_early, _in_batches, _warm_started]
)
def test_nor_those_of_classifiers_in_long_steps(fit, solver, form):
    many, labels = load_wine(return_X_y=True)
    model = SwishMLPClassifier(
        5, solver=solver, learning_rate_init=0.3, batch_size=20, max_iter=100, tol=0.0,
        n_iter_no_change=100, random_state=0,
    )  # fmt: skip
    _assert_within_a_thousandth(
        model,
        form(many.astype(np.float32)),
        form(many),
        lambda model, X: fit(model, X, labels),
    )


@pytest.mark.parametrize("solver", ["lbfgs", "adam"])
@pytest.mark.parametrize("activation", ["swish", "relu"])
@pytest.mark.parametrize("data", [load_wine, load_digits])
def test_nor_those_of_autoencoders(data, activation, solver):
    many = _many(data)
    model = LinearAutoencoder(3, activation=activation, solver=solver, random_state=1)
    _assert_within_a_thousandth(model, many.astype(np.float32), many, _of_rows)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_nor_those_of_streams_of_autoencoders(activation):
    """Long steps magnify each digit that is lost between two batches."""
    many = _many(load_digits)
    model = LinearAutoencoder(
        3, activation=activation, solver="adam", learning_rate_init=0.1, random_state=0
    )

    def fit(model, X):
        for batch in [X[:75], X[75:]] * 20:
            model.partial_fit(batch)
        return model

    _assert_within_a_thousandth(model, many.astype(np.float32), many, fit)


@pytest.mark.parametrize(
    ("fit", "n_joint"),
    [
        (_of_rows, 150),
        (_of_rows, 60),  # the others are met in passes
        (_of_a_stream, 150),
        (_after_a_fit, 150),
        (_after_a_fit, 60),
    ],
)
@pytest.mark.parametrize("data", [load_iris, load_wine, load_digits])
def test_nor_those_of_batches(monkeypatch, data, fit, n_joint):
    monkeypatch.setattr(_growing_fit, "_FIRST_ROWS", 60)
    monkeypatch.setattr(_growing_fit, "_ROWS_PER_POINT", 5)
    monkeypatch.setattr(_batch_fitting, "_JOINT_PARAMETERS", 4 * n_joint)
    monkeypatch.setattr(_stochastic_fit, "_FEWEST_BATCHES", 20)
    many = _many(data)
    model = BayesianGPLVM(2, n_inducing=10, batch_size=30, random_state=0)
    _assert_within_a_thousandth(model, many.astype(np.float32), many, fit)


@pytest.mark.parametrize(
    "model",
    [
        LinearAutoencoder(2, random_state=0),
        LinearAutoencoder(2, activation="tanh", max_iter=50, random_state=0),
        SwishMLPClassifier(5, solver="lbfgs", max_iter=50, random_state=0),
        GPLVM(max_iter=30, random_state=0),
        GPLVM(n_inducing=8, max_iter=30, random_state=0),
        BayesianGPLVM(2, n_inducing=8, max_iter=30, random_state=0),
    ],
    ids=_name,
)
def test_the_objective_descends_under_lbfgs(model):
    curve = np.array(model.fit(X, Y).loss_curve_)
    assert len(curve) > 3
    assert np.all(np.diff(curve) <= 1e-9 * np.abs(curve[:-1]))


# Interruption and faults ------------------------------------------------------------

ENDLESS = [
    LinearAutoencoder(2, activation="tanh", max_iter=10**6, tol=0.0, random_state=0),
    LinearAutoencoder(2, solver="adam", max_iter=10**6, tol=0.0, random_state=0),
    SwishMLPClassifier(5, max_iter=10**6, n_iter_no_change=10**6, random_state=0),
    SwishMLPClassifier(50, solver="lbfgs", max_iter=10**6, tol=0.0, random_state=0),
    GPLVM(max_iter=10**6, tol=0.0, random_state=0),
    BayesianGPLVM(2, n_inducing=20, max_iter=10**6, tol=0.0, random_state=0),
]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers")
@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", ENDLESS, ids=_name)
def test_ctrl_c_at_any_moment(model):
    rang, outcomes = [], []

    def ctrl_c(signum, frame):
        rang.append(True)
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGALRM, ctrl_c)
    gc.disable()  # Python swallows what is raised in a callback of the collector
    try:
        for delay in np.random.default_rng(0).uniform(0.001, 0.3, size=5):
            interrupted = clone(model)
            rang.clear()
            try:
                with warnings.catch_warnings(record=True) as caught:
                    warnings.simplefilter("always")
                    signal.setitimer(signal.ITIMER_REAL, delay)
                    interrupted.fit(X, Y)
                    signal.setitimer(signal.ITIMER_REAL, 0)
            except KeyboardInterrupt:
                # Before the first iteration or after the last: all as it was.
                assert not [name for name in vars(interrupted) if name.endswith("_")]
                outcomes.append("raised")
            else:
                messages = [str(w.message) for w in caught]
                assert all(w.category is ConvergenceWarning for w in caught), messages
                assert messages or not rang
                for result in _results(interrupted):
                    assert np.all(np.isfinite(result))
                outcomes.append("fitted")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        gc.enable()
    assert "fitted" in outcomes


@pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("evaluation", [1, 2, 3])
@pytest.mark.parametrize(
    "model",
    [
        LinearAutoencoder(2, activation="tanh", random_state=0),
        SwishMLPClassifier(5, solver="lbfgs", random_state=0),
        GPLVM(init="random", random_state=0),
        GPLVM(back_constraint="mlp", random_state=0),
        BayesianGPLVM(2, n_inducing=8, random_state=0),
    ],
    ids=_name,
)
def test_ctrl_c_in_the_first_evaluations(model, evaluation, monkeypatch, tmp_path):
    evaluate, seen = _optimize._Walk.evaluate, []

    def interrupted(walk, x):
        seen.append(x)
        if len(seen) == evaluation:
            raise KeyboardInterrupt
        return evaluate(walk, x)

    monkeypatch.setattr(_optimize._Walk, "evaluate", interrupted)
    fitted = clone(model)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        fitted.fit(X, Y)
    assert np.all(np.isfinite(fitted.loss_curve_))
    gplvm.save(fitted, tmp_path / "model.gplvm")
    _assert_same(_results(gplvm.load(tmp_path / "model.gplvm")), _results(fitted))


class Failing:
    """A callback that fails at an iteration."""

    def __init__(self, at):
        self.at = at

    def setup(self, estimator, context):
        self.seen = 0

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        self.seen += 1
        if self.seen == self.at:
            raise OSError("no space left on device")


@each_model
@pytest.mark.parametrize("at", [1, 2])
def test_an_exception_in_a_callback_leaves_the_model_of_before(model, at):
    other, labels = X[::2, :3], np.where(Y[::2] > 0, "ibex", "owl")
    at = min(at, 1 if getattr(model, "solver", "") == "eigen" else at)
    unfitted = clone(model).set_callbacks(Failing(at))
    with pytest.raises(OSError, match="no space left"):
        unfitted.fit(other, labels)
    assert not [name for name in vars(unfitted) if name.endswith("_")]

    fitted = clone(model).fit(X, Y)
    expected, before = _results(fitted), set(vars(fitted))
    fitted.set_callbacks(Failing(at))
    with pytest.raises(OSError, match="no space left"):
        fitted.fit(other, labels)
    assert set(vars(fitted)) - {"_skl_callbacks"} == before
    _assert_same(_results(fitted), expected)


@each_model
def test_refused_data_leave_the_model_of_before(model):
    fitted = clone(model).fit(X, Y)
    expected = _results(fitted)
    for bad in (np.full((5, 3), np.inf), np.empty((0, 2)), [["a", "b"]], X[:1, :1]):
        with contextlib.suppress(ValueError, TypeError):
            fitted.fit(bad, np.zeros(len(bad) + 1))
            fitted = clone(model).fit(X, Y)  # it was not refused
    _assert_same(_results(fitted), expected)


def test_a_batch_that_diverges_leaves_the_one_before():
    # One batch of all the rows, whose order does not matter then.
    model = SwishMLPClassifier(5, solver="sgd", random_state=0)
    model.partial_fit(X, Y, [0, 1, 2])
    expected = clone(model).partial_fit(X, Y, [0, 1, 2]).partial_fit(X, Y)
    model.set_params(batch_size=2)
    with pytest.raises(ValueError, match="diverged"):
        model.partial_fit(1e140 * X, Y)
    model.set_params(batch_size="auto").partial_fit(X, Y)
    assert_allclose(model.predict_proba(X), expected.predict_proba(X), rtol=1e-6)
