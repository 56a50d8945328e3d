"""Back constraints: positions as a function of the data."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import shuffle

from gplvm import GPLVM
from gplvm._back_constraints import MAPPINGS
from gplvm._maximize import maximize
from gplvm.gradients import check_gradient


@pytest.fixture(params=sorted(MAPPINGS))
def kind(request):
    return request.param


def _mapping(kind, seed=0):
    rng = np.random.RandomState(seed)
    Y = rng.normal(size=(12, 4))
    return MAPPINGS[kind](Y, 2, rng), Y, rng


def test_pullback_is_the_maps_derivative(kind):
    mapping, Y, rng = _mapping(kind)
    G = rng.normal(size=(12, 2))
    parameters = mapping.start(rng.normal(size=(12, 2)))

    def function(parameters):
        positions, pull = mapping.pullback(parameters)
        return np.vdot(G, positions), pull(G)

    assert check_gradient(function, parameters) < 1e-7
    positions, _ = mapping.pullback(parameters)
    assert_allclose(mapping(parameters, Y), positions, atol=1e-12)


def test_start_is_near_the_wanted_positions(kind):
    mapping, Y, _ = _mapping(kind)
    wanted = Y[:, :2] - Y[:, :2].mean(axis=0)
    positions, _ = mapping.pullback(mapping.start(wanted))
    assert np.corrcoef(positions.ravel(), wanted.ravel())[0, 1] > 0.95


def test_transform_is_one_pass_and_agrees_with_the_embedding(kind):
    X = shuffle(load_digits(n_class=5).data, random_state=0)
    model = GPLVM(back_constraint=kind, tol=0.01, random_state=0).fit(X[:200])
    assert_allclose(model.transform(X[:200]), model.embedding_, atol=1e-8)
    new = model.transform(X[200:350])
    alone = np.vstack([model.transform(row[None]) for row in X[200:220]])
    assert_allclose(alone, new[:20], atol=1e-9)
    # A constrained model cannot be likelier than its own free continuation.
    free = GPLVM(init=model.embedding_, tol=0.01).fit(X[:200])
    assert free.log_likelihood_ > model.log_likelihood_


def test_near_rows_stay_near(kind):
    X = load_digits(n_class=5).data[:200]
    rng = np.random.default_rng(0)
    nearly = X + 0.1 * rng.normal(size=X.shape)
    model = GPLVM(back_constraint=kind, tol=0.01, random_state=0).fit(X)
    moved = np.linalg.norm(model.transform(nearly) - model.embedding_, axis=1)
    assert moved.max() < 0.2 * model.embedding_.std(axis=0).max()


def test_with_inducing_points_prior_and_linear_kernel(kind):
    X = load_iris().data[::3]
    for parameters in (
        {"n_inducing": 10},
        {"latent_prior": "normal"},
        {"kernel": "linear", "tol": 10.0},
    ):
        parameters = {"tol": 1e-2, "random_state": 0, **parameters}
        model = GPLVM(back_constraint=kind, **parameters)
        model.fit(X)
        assert_allclose(model.transform(X), model.embedding_, atol=1e-8)


def test_missing_values_are_refused(kind):
    X = load_iris().data[::3].copy()
    model = GPLVM(back_constraint=kind, tol=1.0, random_state=0).fit(X)
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="needs complete rows"):
        model.transform(X)
    with pytest.raises(ValueError, match="needs complete rows"):
        GPLVM(back_constraint=kind).fit(X)


def test_many_rows_have_fewer_centres(monkeypatch):
    monkeypatch.setattr("gplvm._back_constraints._N_CENTRES", 20)
    mapping, Y, _ = _mapping("kernel")
    assert mapping.start(Y[:, :2]).shape == (24,)
    X = load_iris().data
    model = GPLVM(back_constraint="kernel", tol=0.1, random_state=0).fit(X)
    assert model.transform(X[:3]).shape == (3, 2)


def test_maximize_reports_blocks_of_every_iteration():
    X = load_iris().data[::5]
    model = GPLVM(tol=1.0).fit(X)
    seen = []
    start = {"embedding": model.embedding_, "theta": model.theta_}
    with pytest.warns(ConvergenceWarning, match="max_iter reached"):
        blocks, minimum = maximize(
            start,
            likelihood=model._likelihood,
            theta_bounds=np.array([[-20.0, 20.0]] * 2),
            max_iter=5,
            tol=10.0,
            name="test",
            report=lambda make, loss: seen.append((make()["embedding"].shape, loss)),
        )
    assert [shape for shape, _ in seen] == [(30, 2)] * minimum.n_iter
    assert blocks["embedding"].shape == (30, 2)


def test_warm_start_continues_the_mapping(kind):
    X = load_iris().data[::3]
    model = GPLVM(back_constraint=kind, warm_start=True, max_iter=30, tol=0.0)
    for _ in range(3):
        before = getattr(model, "log_likelihood_", -np.inf)
        with pytest.warns(ConvergenceWarning, match="max_iter"):
            model.set_params(random_state=0).fit(X)
        assert model.log_likelihood_ > before
    assert_allclose(model.transform(X), model.embedding_, atol=1e-8)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["kernel", "mlp"])
def test_a_row_s_digits_do_not_depend_on_its_batch(kind):
    # One row far from the others: the mapping's large weights would show rounding.
    X = np.random.default_rng(0).normal(size=(21, 3))
    X[0] *= 1e6
    model = GPLVM(2, back_constraint=kind, max_iter=5, random_state=0).fit(X)
    positions = model.transform(X)
    for i in (0, 7, 20):
        assert_array_equal(model.transform(X[[i]])[0], positions[i])
