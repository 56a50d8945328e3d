"""Swish and the softmax cross-entropy against scipy, scikit-learn and differences."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import expit, softmax
from sklearn.metrics import log_loss

from gplvm.gradients.activations import softmax_cross_entropy, swish, swish_derivative
from gplvm.gradients.check import check_gradient

finite = st.floats(-1e308, 1e308)


@given(finite)
def test_swish_is_x_times_the_logistic_function(x):
    assert_allclose(swish(x), x * expit(x), rtol=1e-14, atol=1e-300)


@given(st.floats(-700, 700))
def test_swish_of_opposite_numbers_differ_by_x(x):
    # x s(x) - (-x) s(-x) = x (s(x) + s(-x)) = x
    assert_allclose(swish(x) - swish(-x), x, rtol=1e-14, atol=1e-300)


@given(st.lists(st.floats(-20, 20), min_size=1, max_size=5))
def test_derivative_is_that_of_swish(x):
    # x is added, so that the gradient to compare with is nowhere near zero.
    def value(x):
        return (2 * x + swish(x)).sum(), 2 + swish_derivative(x)

    assert check_gradient(value, x) < 1e-8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_extremes_are_finite_and_silent(dtype):
    large = np.array([1e4, 1e30, np.finfo(dtype).max], dtype=dtype)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        assert_allclose(swish(large), large)
        assert_allclose(swish(-large), 0)
        assert_allclose(swish_derivative(large), 1)
        assert_allclose(swish_derivative(-large), 0)


@pytest.mark.parametrize("function", [swish, swish_derivative])
def test_shapes_and_dtypes(function):
    assert function(np.ones((2, 3), np.float32)).dtype == np.float32
    assert function(np.ones((2, 3), np.float32)).shape == (2, 3)
    assert function([1, 2]).dtype == np.float64
    assert np.ndim(function(1)) == 0
    assert function([]).shape == (0,)
    x = np.array([1.0, -2.0])
    function(x)
    assert_allclose(x, [1.0, -2.0])
    with pytest.raises(TypeError):
        function([1j])


logits_and_classes = st.integers(1, 5).flatmap(
    lambda c: st.lists(
        st.tuples(
            st.lists(st.floats(-30, 30), min_size=c, max_size=c),
            st.integers(0, c - 1),
        ),
        min_size=1,
        max_size=6,
    )
)


@given(logits_and_classes)
@settings(max_examples=50)
def test_cross_entropy_gradient(rows):
    z, y = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    weight = np.arange(1.0, len(y) + 1)
    loss, gradient = softmax_cross_entropy(
        z, y, sample_weight=weight, eval_gradient=True
    )
    # The dense formula: d/dz of -sum w log p[y] is w (p - onehot).
    onehot = np.eye(z.shape[1])[y]
    w = weight / weight.sum()
    assert_allclose(gradient, w[:, None] * (softmax(z, axis=1) - onehot), atol=1e-14)
    assert loss >= 0

    def value(z):
        return softmax_cross_entropy(z, y, sample_weight=weight, eval_gradient=True)

    if np.abs(gradient).max() > 1e-6:  # else differences see only rounding
        assert check_gradient(value, z) < 1e-6


def test_cross_entropy_is_log_loss():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(30, 4)), rng.integers(4, size=30)
    weight = rng.random(30)
    expected = log_loss(y, softmax(z, axis=1), sample_weight=weight, labels=range(4))
    assert_allclose(softmax_cross_entropy(z, y, sample_weight=weight), expected)


def test_cross_entropy_of_huge_logits():
    loss, gradient = softmax_cross_entropy(
        [[1e308, 0.0], [-1e300, 1e300]], [0, 1], eval_gradient=True
    )
    assert loss == 0
    assert_allclose(gradient, 0)
    assert_allclose(softmax_cross_entropy([[0.0, 1e6]], [0]), 1e6)


def test_cross_entropy_does_not_change_with_a_shift_of_the_logits():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(9, 3)), rng.integers(3, size=9)
    shift = rng.normal(size=(9, 1))
    assert_allclose(softmax_cross_entropy(z + shift, y), softmax_cross_entropy(z, y))


def test_cross_entropy_preserves_float32_and_its_input():
    z = np.ones((3, 2), np.float32)
    _, gradient = softmax_cross_entropy(z, [0, 1, 1], eval_gradient=True)
    assert gradient.dtype == np.float32
    assert_allclose(z, 1)


@pytest.mark.parametrize(
    ("logits", "y", "weight", "message"),
    [
        ([0.0, 1.0], [0], None, "logits must have shape"),
        ([[0.0, 1.0]], [0, 1], None, r"y must have shape \(1,\), got shape \(2,\)"),
        ([[0.0, 1.0]], [2], None, "from 0 to 1, got values from 2 to 2"),
        ([[0.0, 1.0]], [-1], None, "from 0 to 1"),
        ([[0.0, 1.0]], [0.5], None, "integer class indices"),
        ([[0.0, 1.0]], [0], [1.0, 2.0], "sample_weight must have shape"),
        ([[0.0, 1.0]], [0], [-1.0], "not negative"),
        ([[0.0, 1.0]], [0], [0.0], "positive sum"),
        ([[0.0, 1.0]], [0], [np.nan], "finite"),
        (np.empty((0, 2)), np.empty(0, int), None, "no row"),
    ],
)
def test_cross_entropy_errors(logits, y, weight, message):
    with pytest.raises(ValueError, match=message):
        softmax_cross_entropy(logits, y, sample_weight=weight)
