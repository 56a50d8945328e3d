"""A short part of the campaign with data that nobody cleaned, and what it has found."""

import hostile_data
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone

from gplvm import GPLVM, BayesianGPLVM, LinearAutoencoder, SwishMLPClassifier

# Cases of each estimator; the Gaussian processes take several times as long.
CASES = {
    "LinearAutoencoder": 70,
    "SwishMLPClassifier": 70,
    "GPLVM": 30,
    "BayesianGPLVM": 30,
}


@pytest.mark.parametrize("kind", CASES)
def test_each_case_fits_or_is_refused(kind):
    counts, failures = hostile_data.run(CASES[kind], seed=2026, kinds=[kind])
    assert not failures
    assert set(counts) == {(kind, "fitted"), (kind, "refused")}


def test_a_case_is_told_by_its_number():
    first, second = (hostile_data.case(3, 14) for _ in range(2))
    assert first.name == second.name
    assert_array_equal(first.y, second.y)
    assert_array_equal(first.new_rows, second.new_rows)


def test_the_campaign_finds_what_is_wrong(monkeypatch):
    def fit(self, X, y=None):
        self.components_ = np.full((1, 1), np.nan)
        return self

    def transform(self, X):
        return np.full((1, 1), np.nan)

    monkeypatch.setattr(LinearAutoencoder, "fit", fit)
    monkeypatch.setattr(LinearAutoencoder, "transform", transform)
    counts, failures = hostile_data.run(10, seed=0, kinds=["LinearAutoencoder"])
    assert counts["LinearAutoencoder", "wrong"] == len(failures) > 0


def _table(n=12, p=4):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, p)) * [3.0, 2.0, 0.5, 0.1]


SOLVERS = ["lbfgs", "adam", "eigen", "partial_fit"]
FORMS = [np.asarray, sparse.csr_array]


def _learn(solver, X):
    if solver == "partial_fit":
        return LinearAutoencoder(2).partial_fit(X[:7]).partial_fit(X[7:])
    return LinearAutoencoder(2, solver=solver, tol=1e-3, random_state=0).fit(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("power", [-1000, -500, -30, 30, 500])
def test_the_autoencoder_does_not_depend_on_the_unit(power, solver, form):
    # A power of two is exact, so that the same numbers come out.
    X, unit = _table(), np.ldexp(1.0, power)
    plain, moved = _learn(solver, form(X)), _learn(solver, form(X * unit))
    assert_allclose(moved.components_, plain.components_, rtol=1e-7, atol=1e-9)
    assert_allclose(moved.mean_ / unit, plain.mean_, rtol=1e-12, atol=1e-15)
    codes = moved.transform(form(X * unit)) / unit
    assert_allclose(codes, plain.transform(form(X)), rtol=1e-7, atol=1e-8)
    if power > -500:  # there, its square has no digits
        assert_allclose(moved.loss_ / unit**2, plain.loss_, rtol=1e-9)


def test_batches_of_very_different_size():
    X = _table(40)
    for order in ([1e-140, 1e140], [1e140, 1e-140]):
        batches = [X[:20] * order[0], X[20:] * order[1]]
        model = LinearAutoencoder(2)
        for batch in batches:
            model.partial_fit(batch)
        expected = LinearAutoencoder(2, solver="eigen").fit(np.vstack(batches))
        assert_allclose(model.components_, expected.components_, atol=1e-9)
        assert_allclose(model.loss_, expected.loss_, rtol=1e-9)


def test_after_a_fit_batches_may_have_another_size():
    X = _table(40)
    model = LinearAutoencoder(4, solver="eigen").fit(X * 1e-140)
    expected = LinearAutoencoder(4, solver="eigen").fit(
        np.vstack([X * 1e-140, X * 1e140])
    )
    model.partial_fit(X * 1e140)
    assert_allclose(model.components_, expected.components_, atol=1e-9)


@pytest.mark.parametrize("model", [LinearAutoencoder(), SwishMLPClassifier()])
@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float64, 1e160), (np.float32, 1e38)], ids=str
)
def test_what_overflows_is_refused_before_any_work(model, dtype, size):
    X, y = (_table() * size / 8).astype(dtype), np.arange(12) % 3
    with pytest.raises(ValueError, match=r"squares of the data overflow.*Divide the"):
        clone(model).fit(X, y)
    args = (y, [0, 1, 2]) if isinstance(model, SwishMLPClassifier) else ()
    with pytest.raises(ValueError, match="squares of the data overflow"):
        clone(model).partial_fit(X, *args)


def test_squares_that_underflow_are_refused():
    with pytest.raises(ValueError, match="squares of the data underflow"):
        LinearAutoencoder(activation="tanh").fit(_table() * 1e-170)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_new_rows_far_outside_are_refused_and_not_infinite():
    X, y = _table(), np.arange(12) % 3
    far = np.full((2, 4), 1.7e308)
    autoencoder = LinearAutoencoder().fit(X)
    with pytest.raises(ValueError, match="too far from the training data"):
        autoencoder.transform(far)
    with pytest.raises(ValueError, match="overflow"):
        autoencoder.score(far)
    classifier = SwishMLPClassifier(3, max_iter=3, random_state=0).fit(X / 1e10, y)
    for method in ("transform", "predict", "predict_proba", "predict_log_proba"):
        with pytest.raises(ValueError, match="too far from the training data"):
            getattr(classifier, method)(far)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_only_the_ratios_of_weights_count():
    X, y = _table(), np.arange(12) % 3
    weight = np.random.default_rng(0).uniform(1.0, 2.0, size=12)
    model = SwishMLPClassifier(3, max_iter=3, random_state=0)
    expected = clone(model).fit(X, y, weight).predict_proba(X)
    for unit in (2.0**-1000, 2.0**1020):
        found = clone(model).fit(X, y, weight * unit).predict_proba(X)
        assert_allclose(found, expected, rtol=1e-9)
        by_class = clone(model).set_params(class_weight=dict.fromkeys(range(3), unit))
        found = by_class.fit(X, y, weight * unit).predict_proba(X)
        assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("weight", [np.nan, np.inf, "heavy", None, -1.0])
def test_bad_class_weights_are_refused(weight):
    model = SwishMLPClassifier(3, class_weight={0: weight, 1: 1.0, 2: 1.0})
    with pytest.raises((ValueError, TypeError)):
        model.fit(_table(), np.arange(12) % 3)


def test_a_step_that_must_diverge_is_refused():
    model = SwishMLPClassifier(3, solver="sgd", alpha=1e4, learning_rate_init=1e-3)
    with pytest.raises(ValueError, match="their product must be below"):
        model.fit(_table(), np.arange(12) % 3)


@pytest.mark.parametrize(
    "model", [LinearAutoencoder(), SwishMLPClassifier(), GPLVM(), BayesianGPLVM()]
)
def test_infinities_of_both_signs_have_no_warning(model):
    X = _table()
    X[0, 0], X[1, 1] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinity"):
        model.fit(X, np.arange(12) % 3)
