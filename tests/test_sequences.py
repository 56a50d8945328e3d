"""Estimators that are used on and on: after a failure, after other settings, again."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.gaussian_process import kernels as sk

import gplvm
from gplvm import GPLVM, BayesianGPLVM, LinearAutoencoder
from gplvm._stochastic_bayesian import StochasticModel

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(12, 3))


def _fitted(model):
    return [name for name in vars(model) if name.endswith("_")]


@pytest.mark.parametrize(
    "model, rows",
    [
        (BayesianGPLVM(2), X[:1]),
        (BayesianGPLVM(4), X),
        (BayesianGPLVM(2, kernel=sk.Matern()), X),
        (BayesianGPLVM(2, init=X[:3, :2]), X),
    ],
)
def test_a_first_batch_that_is_refused_leaves_nothing(model, rows):
    with pytest.raises((ValueError, NotImplementedError)):
        model.partial_fit(rows)
    assert not _fitted(model)


def test_a_stream_that_is_interrupted_goes_on_as_if_nothing_had_happened(monkeypatch):
    model, other = (
        BayesianGPLVM(2, n_inducing=5, max_iter=5, random_state=0)
        .partial_fit(X[:6])
        .partial_fit(X[6:9])
        for _ in range(2)
    )

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(StochasticModel, "_rescale", interrupted)
        model.partial_fit(X[9:])
    assert_array_equal(model.transform(X), other.transform(X))
    for again in (model, other):
        again.partial_fit(X[9:])
    assert_array_equal(model.transform(X), other.transform(X))


@pytest.mark.filterwarnings("ignore:A covariance matrix was numerically singular")
@pytest.mark.parametrize("model", [GPLVM(1), BayesianGPLVM(1)], ids=repr)
@pytest.mark.parametrize("unit", [1e-12, 1e-60])
def test_a_model_whose_kernel_is_far_above_the_data_is_saved(model, unit, tmp_path):
    kernel = sk.ConstantKernel(1.0, "fixed") * sk.RBF(1.0, "fixed")
    model.set_params(kernel=kernel, max_iter=2).fit(unit * X)
    gplvm.save(model, tmp_path / "model.gplvm")
    again = gplvm.load(tmp_path / "model.gplvm")
    assert_array_equal(again.transform(unit * X), model.transform(unit * X))


@pytest.mark.parametrize("activations", [("tanh", "identity"), ("identity", "tanh")])
@pytest.mark.parametrize("way", ["fit", "partial_fit"])
def test_an_activation_holds_from_the_fit_to_the_next(activations, way, tmp_path):
    before, after = activations
    model = LinearAutoencoder(2, activation=before, solver="adam", max_iter=5)
    model = getattr(model, way)(X)
    code, rows, score = (
        model.transform(X), model.inverse_transform(X[:, :2]), model.score(X)
    )  # fmt: skip
    model.set_params(activation=after)
    with pytest.raises(ValueError, match=f"'{after}' differs from the '{before}'"):
        model.partial_fit(X)
    gplvm.save(model, tmp_path / "model.gplvm")
    for same in (model, gplvm.load(tmp_path / "model.gplvm")):
        assert_array_equal(same.transform(X), code)
        assert_array_equal(same.inverse_transform(X[:, :2]), rows)
        assert same.score(X) == score


@pytest.mark.parametrize(
    "model",
    [GPLVM(), GPLVM(n_inducing=5), BayesianGPLVM(2), BayesianGPLVM(2, kernel="linear")],
    ids=repr,
)
def test_the_order_in_memory_does_not_count(model):
    model.set_params(max_iter=5, random_state=0).fit(X)
    new = X[::-1] + 0.3
    for method in (model.transform, model.score_samples):
        assert_array_equal(method(np.asfortranarray(new)), method(new))
        assert_array_equal(method(new[:, ::-1][:, ::-1]), method(new))
