"""The two-layer network against dense formulas, differences and limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import optimize, sparse
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from gplvm.gradients.check import check_gradient
from gplvm.gradients.network import (
    hidden_representation,
    loss_buffers,
    loss_into,
    n_network_parameters,
    parameter_views,
    two_layer_forward,
    two_layer_loss,
)
from gplvm.gradients.standardized import (
    fold,
    mean_and_scale,
    standardized_loss_into,
    unfold,
)

sizes = st.tuples(*[st.integers(1, 4)] * 3, st.integers(1, 6))


def problem(n_features=4, n_hidden=3, n_classes=3, n_samples=8, seed=0):
    rng = np.random.default_rng(seed)
    parameters = {
        "W1": rng.normal(size=(n_hidden, n_features)),
        "b1": rng.normal(size=n_hidden),
        "W2": rng.normal(size=(n_classes, n_hidden)),
        "b2": rng.normal(size=n_classes),
    }
    X = rng.normal(size=(n_samples, n_features))
    return parameters, X, rng.integers(n_classes, size=n_samples)


@given(sizes, st.floats(0, 2), st.integers(0, 1000))
@settings(max_examples=25, deadline=None)
def test_gradient_against_finite_differences(size, alpha, seed):
    parameters, X, y = problem(*size, seed=seed)
    weight = np.random.default_rng(seed).random(y.size) + 0.1

    def loss(**parameters):
        return two_layer_loss(
            **parameters,
            X=X,
            y=y,
            alpha=alpha,
            sample_weight=weight,
            eval_gradient=True,
        )

    assert check_gradient(loss, parameters) < 1e-6


def test_loss_against_the_formula_row_by_row():
    p, X, y = problem()
    losses, hidden = [], []
    for x, label in zip(X, y, strict=True):
        z1 = p["W1"] @ x + p["b1"]
        h = z1 * expit(z1)
        z2 = p["W2"] @ h + p["b2"]
        losses.append(np.log(np.exp(z2).sum()) - z2[label])
        hidden.append(h)
    penalty = 0.35 * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())
    assert_allclose(two_layer_loss(**p, X=X, y=y, alpha=0.7), np.mean(losses) + penalty)
    assert_allclose(two_layer_forward(**p, X=X)[0], hidden)
    assert_allclose(hidden_representation(p["W1"], p["b1"], X), hidden)


def test_loss_is_log_loss_of_the_forward_pass():
    p, X, y = problem(n_samples=30)
    _, logits = two_layer_forward(**p, X=X)
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = log_loss(y, probability, labels=range(3))
    assert_allclose(two_layer_loss(**p, X=X, y=y), expected)


@given(st.permutations(range(5)))
def test_order_of_the_hidden_units_does_not_matter(order):
    p, X, y = problem(n_hidden=5)
    loss, gradient = two_layer_loss(**p, X=X, y=y, alpha=0.1, eval_gradient=True)
    q = {
        "W1": p["W1"][order],
        "b1": p["b1"][order],
        "W2": p["W2"][:, order],
        "b2": p["b2"],
    }
    moved, moved_gradient = two_layer_loss(**q, X=X, y=y, alpha=0.1, eval_gradient=True)
    assert_allclose(moved, loss)
    assert_allclose(moved_gradient["W1"], gradient["W1"][order], atol=1e-14)
    assert_allclose(moved_gradient["W2"], gradient["W2"][:, order], atol=1e-14)


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8).filter(any))
def test_weights_are_repetitions_of_rows(counts):
    p, X, y = problem()
    weighted = two_layer_loss(**p, X=X, y=y, sample_weight=counts, eval_gradient=True)
    rows = np.repeat(np.arange(8), counts)
    repeated = two_layer_loss(**p, X=X[rows], y=y[rows], eval_gradient=True)
    assert_allclose(weighted[0], repeated[0])
    for name in p:
        assert_allclose(weighted[1][name], repeated[1][name], atol=1e-14)


def test_far_right_the_network_is_multinomial_regression():
    # swish(x + 50) = x + 50 to 1e-20, so W1 = I, b1 = 50 makes the logits linear in
    # x: minimising over W2 and b2 is logistic regression, a convex problem.
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = (X @ [[1.0, 0.0, -1.0], [0.0, 1.0, 1.0]] + rng.gumbel(size=(60, 3))).argmax(1)
    first, alpha = {"W1": np.eye(2), "b1": np.full(2, 50.0)}, 0.05

    def loss(x):
        W2, b = x[:6].reshape(3, 2), x[6:]
        value, gradient = two_layer_loss(
            **first, W2=W2, b2=b - W2 @ first["b1"], X=X, y=y, alpha=alpha,
            eval_gradient=True,
        )  # fmt: skip
        dW2 = gradient["W2"] - np.outer(gradient["b2"], first["b1"])
        return value, np.concatenate([dW2.ravel(), gradient["b2"]])

    ours = optimize.minimize(loss, np.zeros(9), jac=True, method="BFGS", tol=1e-9)
    theirs = LogisticRegression(C=1 / (alpha * y.size), tol=1e-10, max_iter=1000)
    theirs.fit(X, y)
    assert_allclose(ours.x[:6].reshape(3, 2), theirs.coef_, atol=1e-5)


@pytest.mark.parametrize(
    "form", [sparse.csr_array, sparse.csr_matrix, sparse.coo_array]
)
def test_sparse_equals_dense(form):
    p, X, y = problem()
    X[X < 0.3] = 0
    dense = two_layer_loss(**p, X=X, y=y, alpha=0.1, eval_gradient=True)
    loss, gradient = two_layer_loss(**p, X=form(X), y=y, alpha=0.1, eval_gradient=True)
    assert_allclose(loss, dense[0])
    for name in p:
        assert_allclose(gradient[name], dense[1][name], atol=1e-14)
    assert_allclose(
        two_layer_forward(**p, X=form(X))[1], two_layer_forward(**p, X=X)[1]
    )


@given(sizes)
@settings(max_examples=20, deadline=None)
def test_shapes_and_float32(size):
    parameters, X, y = problem(*size)
    single = {name: array.astype(np.float32) for name, array in parameters.items()}
    X32 = X.astype(np.float32)
    loss, gradient = two_layer_loss(**parameters, X=X, y=y, eval_gradient=True)
    loss32, gradient32 = two_layer_loss(**single, X=X32, y=y, eval_gradient=True)
    assert_allclose(loss32, loss, rtol=1e-4, atol=1e-5)
    for name, array in parameters.items():
        assert gradient[name].shape == array.shape
        assert gradient[name].dtype == np.float64
        assert gradient32[name].dtype == np.float32
    hidden, logits = two_layer_forward(**single, X=X32)
    assert hidden.dtype == logits.dtype == np.float32
    assert two_layer_forward(**single, X=X)[1].dtype == np.float64


def test_arguments_are_not_changed():
    p, X, y = problem()
    before = [array.copy() for array in (*p.values(), X, y)]
    two_layer_loss(**p, X=X, y=y, alpha=1.0, eval_gradient=True)
    for array, copy in zip((*p.values(), X, y), before, strict=True):
        assert_allclose(array, copy, rtol=0)


def test_flat_vector_and_its_views_are_one_memory():
    p, X, y = problem()
    shape = (4, 3, 3)
    x = np.concatenate([array.T.ravel() for array in p.values()])
    assert x.size == n_network_parameters(*shape)
    flat = np.full_like(x, np.nan)
    buffers = loss_buffers(20, 3, 3, x.dtype)  # room for more rows than there are
    loss = loss_into(
        parameter_views(x, *shape),
        parameter_views(flat, *shape),
        X,
        y,
        1 / 8,
        (0.3, 0.3),
        buffers,
    )
    expected = two_layer_loss(**p, X=X, y=y, alpha=0.3, eval_gradient=True)
    assert_allclose(loss, expected[0])
    assert_allclose(flat, np.concatenate([g.T.ravel() for g in expected[1].values()]))


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_standardized_network_is_the_network_on_standardized_data(form):
    p, X, y = problem()
    X = np.where(X > 0.5, 3 * X, 0)
    alpha, weight = 0.3, np.arange(1.0, 9) / 36
    mean, scale = mean_and_scale(form(X), weight)
    expected = two_layer_loss(
        **p, X=(X - mean) / scale, y=y, alpha=alpha, sample_weight=weight,
        eval_gradient=True,
    )  # fmt: skip
    gradients = [np.full_like(array, np.nan) for array in p.values()]
    loss = standardized_loss_into(
        list(p.values()), gradients, form(X), y, weight, alpha, (mean, scale),
        loss_buffers(8, 3, 3, float),
    )  # fmt: skip
    assert_allclose(loss, expected[0])
    for ours, theirs in zip(gradients, expected[1].values(), strict=True):
        assert_allclose(ours, theirs, atol=1e-13)


def test_fold_and_unfold():
    p, X, _ = problem()
    standard = mean_and_scale(X + 5)
    W1, b1 = fold(p["W1"], p["b1"], standard)
    hidden = hidden_representation(
        p["W1"], p["b1"], (X + 5 - standard[0]) / standard[1]
    )
    assert_allclose(hidden_representation(W1, b1, X + 5), hidden)
    V, c = unfold(W1, b1, standard)
    assert_allclose(V, p["W1"])
    assert_allclose(c, p["b1"])


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_mean_and_scale(offset):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 3)) * [1.0, 2.0, 0.1] + offset
    X[rng.random(X.shape) < 0.5] = 0 if offset == 0 else offset
    counts = rng.integers(0, 3, size=3000)
    mean, scale = mean_and_scale(X, counts)
    repeated = np.repeat(X, counts, axis=0)
    assert_allclose(mean, repeated.mean(axis=0))
    assert_allclose(scale, np.sqrt(repeated.var(axis=0).mean()))
    if offset == 0:
        assert_allclose(mean_and_scale(sparse.csr_array(X), counts)[1], scale)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_of_constant_data(form, dtype):
    assert mean_and_scale(form(np.zeros((4, 2), dtype)))[1] == 1
    X = np.full((5, 2), 0.1, dtype)
    assert_allclose(mean_and_scale(form(X))[1], 0.1, rtol=1e-6)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_data_too_large_to_square(form):
    mean, scale = mean_and_scale(form(np.array([[1e200], [-1e200]])))
    assert_allclose(mean, 0.0)
    assert_allclose(scale, 1e200)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W1": np.ones((3, 5))}, r"W1 must have shape \(3, 4\), got \(3, 5\)"),
        ({"b1": np.ones(2)}, r"b1 must have shape \(3,\)"),
        ({"W2": np.ones((3, 2))}, r"W2 must have shape \(3, 3\)"),
        ({"b2": np.ones(1)}, r"b2 must have shape \(3,\)"),
        ({"X": np.ones(4)}, "two dimensions"),
        ({"y": np.full(8, 3)}, "from 0 to 2"),
        ({"y": np.zeros(7, int)}, r"y must have shape \(8,\)"),
        ({"sample_weight": -np.ones(8)}, "not negative"),
    ],
)
def test_errors_name_what_is_wrong(change, message):
    p, X, y = problem()
    with pytest.raises(ValueError, match=message):
        two_layer_loss(**{**p, "X": X, "y": y, **change})
