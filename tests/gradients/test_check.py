"""The gradient check finds wrong gradients, and passes right ones."""

import numpy as np
import pytest

from gplvm.gradients.check import check_gradient


def _quartic(x):
    return np.sum(x**4) + np.prod(np.sin(x)), 4 * x**3 + np.prod(np.sin(x)) / np.tan(x)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_a_right_gradient_passes(scale):
    x = scale * np.array([[0.3, -1.2], [2.0, 0.7]])
    assert check_gradient(lambda x: (np.sum(x**4), 4 * x**3), x) < 1e-6
    assert check_gradient(_quartic, np.array([0.3, -1.2, 2.0])) < 1e-8


@pytest.mark.parametrize("index", range(3))
def test_one_wrong_component_is_found(index):
    def wrong(x):
        value, gradient = _quartic(x)
        gradient[index] += 1e-3 * np.abs(gradient).max()
        return value, gradient

    error = check_gradient(wrong, np.array([0.3, -1.2, 2.0]))
    np.testing.assert_allclose(error, 1e-3, rtol=0.01)


def test_a_wrong_sign_and_a_missing_gradient_are_found():
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(check_gradient(lambda x: (x @ x, -2 * x), x), 2.0)
    np.testing.assert_allclose(check_gradient(lambda x: (x @ x, 0 * x), x), 1.0)


def test_gradients_by_name():
    rng = np.random.default_rng(0)
    point = {"A": rng.normal(size=(2, 3)), "b": rng.normal(size=3), "c": 1.5}

    def function(A, b, c):
        r = A @ b
        return c * r @ r, {
            "A": 2 * c * np.outer(r, b),
            "b": 2 * c * A.T @ r,
            "c": np.asarray(r @ r),
            "unrelated": np.zeros(7),
        }

    assert check_gradient(function, point) < 1e-9

    def wrong(**point):
        value, gradients = function(**point)
        return value, {**gradients, "b": 1.1 * gradients["b"]}

    assert check_gradient(wrong, point) > 0.01


def test_shapes_and_names_are_checked():
    x = np.ones((2, 3))
    with pytest.raises(ValueError, match=r"shape \(3, 2\), expected \(2, 3\)"):
        check_gradient(lambda x: (x.sum(), np.ones((3, 2))), x)
    with pytest.raises(ValueError, match=r"no entry 'b'; it has \['a'\]"):
        check_gradient(lambda a, b: (0.0, {"a": a}), {"a": x, "b": x})


def test_the_start_is_not_touched():
    x = np.array([1.0, 2.0])

    def greedy(x):
        value, gradient = x @ x, 2 * x.copy()
        x += 1.0
        return value, gradient

    check_gradient(greedy, x)
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_a_zero_gradient_and_an_empty_argument_are_right():
    assert check_gradient(lambda x: (3.0, np.zeros(2)), np.ones(2)) == 0.0
    assert check_gradient(lambda x: (3.0, np.zeros(0)), np.ones(0)) == 0.0
