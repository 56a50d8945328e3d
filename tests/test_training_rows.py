"""Weights of rows and classes, and scikit-learn's tools that need them."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

from gplvm._swish_classifier import SwishMLPClassifier
from gplvm._training_rows import row_weights

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture(scope="module")
def blobs():
    X, y = make_classification(
        150, 6, n_informative=4, n_classes=3, weights=[0.6, 0.3], random_state=0
    )
    return X, np.array(["eft", "ibex", "owl"])[y]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("class_weight", ["balanced", {"owl": 3, "eft": 0.5}])
@pytest.mark.parametrize("sample_weight", [None, np.arange(150) % 3])
def test_class_weights_are_weights_of_their_rows(
    blobs, solver, class_weight, sample_weight
):
    X, y = blobs
    model = SwishMLPClassifier(4, solver=solver, max_iter=4, random_state=0)
    of_rows = np.ones(150) if sample_weight is None else sample_weight
    if class_weight == "balanced":
        total = {label: of_rows[y == label].sum() for label in np.unique(y)}
        expected = of_rows / np.array([total[label] for label in y])
    else:
        expected = of_rows * compute_sample_weight(class_weight | {"ibex": 1}, y)
    theirs = clone(model).fit(X, y, sample_weight=expected)
    ours = model.set_params(class_weight=class_weight)
    ours.fit(X, y, sample_weight=sample_weight)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)
    assert_allclose(ours.loss_curve_, theirs.loss_curve_)


def test_balanced_classes_are_equally_probable():
    # A penalty so strong that only the intercepts are left: the probabilities are the
    # classes' shares of the weight, in closed form.
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = np.repeat([0, 1], [10, 30])
    model = SwishMLPClassifier(
        3, solver="lbfgs", alpha=50.0, tol=1e-13, class_weight="balanced"
    )
    weight = np.where(np.arange(40) % 3 == 0, 5.0, 1.0)
    for sample_weight in (None, weight):
        model.fit(X, y, sample_weight=sample_weight)
        assert_allclose(model.predict_proba(X), 0.5, atol=1e-4)
    model.set_params(class_weight={0: 9.0}).fit(X, y)
    assert_allclose(model.predict_proba(X), np.tile([0.75, 0.25], (40, 1)), atol=1e-4)


def test_balance_of_classes_that_lost_their_rows():
    y, classes = np.array([0, 0, 1, 2]), np.arange(4)
    weight = row_weights([1.0, 1.0, 0.0, 1.0], "balanced", y, classes, "it")
    assert_allclose(weight / weight.sum(), [0.25, 0.25, 0, 0.5])


def test_partial_fit_with_class_weights(blobs):
    X, y = blobs
    classes, class_weight = np.unique(y), {"owl": 4.0}
    model = SwishMLPClassifier(4, random_state=0)
    theirs = clone(model).partial_fit(
        X, y, classes, sample_weight=np.where(y == "owl", 4.0, 1.0)
    )
    ours = model.set_params(class_weight=class_weight).partial_fit(X, y, classes)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X))
    some = y != "owl"  # a piece without the class that has the weight
    assert ours.partial_fit(X[some], y[some]).t_ == 150 + some.sum()
    with pytest.raises(ValueError, match="partial_fit does not see; pass a dict"):
        model.set_params(class_weight="balanced").partial_fit(X, y)


@pytest.mark.parametrize(
    ("class_weight", "words"),
    [
        ({"yak": 2.0}, "not in class_weight"),
        ({"owl": -1.0}, r"Negative values .* \(class_weight\)"),
        (dict.fromkeys(["eft", "ibex", "owl"], 0), "class_weight is zero for every"),
        ("even", "'class_weight' parameter"),
    ],
)
def test_class_weights_that_are_none(blobs, class_weight, words):
    with pytest.raises(ValueError, match=words):
        SwishMLPClassifier(2, class_weight=class_weight).fit(*blobs)


def test_sample_weights_are_routed_through_pipeline_and_search(blobs):
    X, y = blobs
    weight = np.random.default_rng(0).random(150)
    folds = KFold(2, shuffle=True, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        network = SwishMLPClassifier(4, max_iter=9, random_state=0)
        network.set_fit_request(sample_weight=True)
        network.set_score_request(sample_weight=True)
        steps = make_pipeline(
            StandardScaler().set_fit_request(sample_weight=False), network
        )
        grid = {"swishmlpclassifier__class_weight": [None, "balanced"]}
        search = GridSearchCV(steps, grid, cv=folds)
        search.fit(X, y, sample_weight=weight)
    for candidate, class_weight in enumerate([None, "balanced"]):
        for fold, (train, test) in enumerate(folds.split(X)):
            scaler = StandardScaler().fit(X[train])
            model = clone(network).set_params(class_weight=class_weight)
            model.fit(scaler.transform(X[train]), y[train], sample_weight=weight[train])
            score = model.score(
                scaler.transform(X[test]), y[test], sample_weight=weight[test]
            )
            found = search.cv_results_[f"split{fold}_test_score"][candidate]
            assert_allclose(found, score)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibration_mends_an_overconfident_network(method):
    X, y = make_classification(
        900, 10, n_informative=3, flip_y=0.3, n_classes=2, random_state=0
    )
    network = SwishMLPClassifier(
        32, alpha=0, max_iter=150, learning_rate_init=0.01, random_state=0
    )
    train, test = slice(300), slice(300, None)
    raw = clone(network).fit(X[train], y[train]).predict_proba(X[test])
    calibrated = CalibratedClassifierCV(network, method=method, cv=3)
    probability = calibrated.fit(X[train], y[train]).predict_proba(X[test])
    assert_allclose(probability.sum(axis=1), 1)
    assert log_loss(y[test], probability) < log_loss(y[test], raw)
