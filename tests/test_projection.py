"""The row-wise minimiser, the search for near rows, and the curvature."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize, rosen, rosen_der
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.metrics.pairwise import nan_euclidean_distances

from gplvm import GPLVM, BayesianGPLVM
from gplvm._centred import CentredSparse
from gplvm._projection import (
    equal_neighbors,
    equal_rows,
    laplace_covariance,
    minimize_rows,
    nearest_rows,
    project_rows,
)


def _rosenbrock(scales):
    def function(X, rows):
        values = np.array([s * rosen(x) for x, s in zip(X, scales[rows], strict=True)])
        slopes = np.array(
            [s * rosen_der(x) for x, s in zip(X, scales[rows], strict=True)]
        )
        return values, slopes

    return function


def test_rows_reach_the_minimum_that_scipy_finds():
    rng = np.random.default_rng(0)
    starts = rng.normal(size=(25, 3))
    ends, values = minimize_rows(
        _rosenbrock(np.ones(25)), starts, first_step=0.1, max_iter=500, tol=1e-9
    )
    for start, end, value in zip(starts, ends, values, strict=True):
        judge = minimize(rosen, start, jac=rosen_der, method="BFGS")
        assert value <= judge.fun + 1e-10
        assert np.abs(rosen_der(end)).max() < 1e-5


def test_where_values_are_rough_slopes_lead_to_the_minimum():
    # As where the value is a small difference of large terms, and the slope is not.
    rough, scales = 1e-4, np.ones(25)

    def function(X, rows):
        values, slopes = _rosenbrock(scales)(X, rows)
        return values + rough * np.sin(1e12 * X.sum(axis=1)), slopes

    starts = np.random.default_rng(0).normal(size=(25, 3))
    steps = {"first_step": 0.1, "max_iter": 500, "tol": 1e-9}
    smooth, _ = minimize_rows(_rosenbrock(scales), starts, **steps)
    ends, _ = minimize_rows(function, starts, rounding=2 * rough, **steps)
    assert_allclose(ends, smooth, atol=1e-6)


def test_rows_do_not_see_each_other():
    rng = np.random.default_rng(1)
    starts, scales = rng.normal(size=(9, 2)), np.logspace(-8, 8, 9)
    together, _ = minimize_rows(
        _rosenbrock(scales), starts, first_step=0.1, max_iter=500, tol=1e-9
    )
    for row in range(9):
        alone, _ = minimize_rows(
            _rosenbrock(scales[[row]]),
            starts[[row]],
            first_step=0.1,
            max_iter=500,
            tol=1e-9,
        )
        assert_allclose(alone[0], together[row], atol=1e-12)
        assert_allclose(together[row], 1.0, atol=1e-5)


def test_a_flat_start_stays():
    starts = np.ones((2, 2))
    ends, values = minimize_rows(
        lambda X, rows: (np.zeros(len(X)), np.zeros_like(X)),
        starts,
        first_step=0.1,
        max_iter=10,
        tol=1e-9,
    )
    assert_allclose(ends, starts)
    assert_allclose(values, 0)


def test_nearest_rows_equal_scikit_learns_distances():
    rng = np.random.default_rng(0)
    Y, training = rng.normal(size=(40, 6)), rng.normal(size=(30, 6))
    for missing_in_training in (False, True):
        Y[rng.random(Y.shape) < 0.3] = np.nan
        if missing_in_training:
            training[rng.random(training.shape) < 0.3] = np.nan
        distance = nan_euclidean_distances(Y, training)
        expected = np.sort(np.nan_to_num(distance, nan=np.inf), axis=1)[:, :4]
        nearest = nearest_rows(Y, training, 4)
        found = np.take_along_axis(distance, nearest, axis=1)
        assert_allclose(np.nan_to_num(found, nan=np.inf), expected)


def test_a_row_is_its_own_nearest():
    rows = np.random.default_rng(0).normal(size=(300, 5))
    assert_array_equal(nearest_rows(rows, rows, 3)[:, 0], np.arange(300))


def test_curvature_of_a_gaussian_is_its_covariance():
    covariance = np.array([[0.5, 0.3], [0.3, 0.4]])
    precision = np.linalg.inv(covariance)

    def log_density(X, Y):
        return -0.5 * np.einsum("ni,ij,nj->n", X, precision, X), -X @ precision

    found = laplace_covariance(log_density, np.zeros((3, 2)), None, spread=10.0)
    assert_allclose(found, np.broadcast_to(covariance, (3, 2, 2)), rtol=1e-8)
    # Without information about a position, the spread of all positions stands.
    flat = laplace_covariance(
        lambda X, Y: (0 * X[:, 0], 0 * X), np.zeros((1, 2)), None, spread=2.0
    )
    assert_allclose(flat[0], 4.0 * np.eye(2))


def test_the_judge_chooses_among_the_maxima():
    # Two maxima of x^2 (2 - x^2): at 1 and -1, equally high; the judge prefers one.
    def log_density(X, Y):
        x = X[:, 0]
        return x**2 * (2.0 - x**2), (4.0 * x - 4.0 * x**3)[:, None]

    starts = np.tile([[[0.9], [-0.8]]], (3, 1, 1))
    problem = {"log_density": log_density, "Y": np.zeros((3, 1)), "starts": starts}
    for sign in (1.0, -1.0):
        found = project_rows(
            **problem, spread=1.0, judge=lambda X, sign=sign: 0.1 * sign * X[:, 0]
        )
        assert_allclose(found, sign, atol=1e-6)
    assert_allclose(project_rows(**problem, spread=1.0), 1.0, atol=1e-6)


def test_a_step_does_not_leap_onto_the_plateau():
    # A wall without curvature around a well at 1; below 0 lies a plateau that is lower
    # than the start, where a step as long as the missing curvature says would end.
    def function(X, rows):
        x = X[:, 0]
        wall = np.sqrt(1.0 + 1e6 * (x - 1.0) ** 2)
        on_wall = x > 0
        slope = np.where(on_wall, 1e6 * (x - 1.0) / wall, 0.0)
        return np.where(on_wall, wall, 1200.0), slope[:, None]

    ends, _ = minimize_rows(
        function, np.full((1, 1), 2.5), first_step=0.02, max_iter=300, tol=1e-9
    )
    assert_allclose(ends, 1.0, atol=1e-6)


def test_rows_know_themselves_among_equal_ones():
    training = np.array([[0.0, 1.0], [2.0, np.nan], [0.0, 1.0], [2.0, np.nan]])
    Y = np.array([[-0.0, 1.0], [2.0, np.nan], [0.0, np.nan], [0.0, 1.0 + 1e-15]])
    assert_array_equal(equal_rows(Y, training), [0, 1, -1, -1])
    assert_array_equal(equal_rows(training[1:], training), [1, 0, 1])
    sparse = CentredSparse(csr_array(np.nan_to_num(training)), np.zeros(2))
    for neighbors in ([[0, 2], [1, 3]], [[2, 0], [3, 1]]):
        owner = equal_neighbors(np.nan_to_num(Y[:2]), np.array(neighbors), sparse)
        assert_array_equal(owner, [0, 1])


@pytest.mark.parametrize("holes", [False, True])
def test_neighbours_do_not_depend_on_the_batch(holes):
    # Binary rows, of which many are equally near.
    rng = np.random.default_rng(3)
    training = rng.integers(2, size=(40, 60)) - 0.3
    Y = rng.integers(2, size=(150, 60)) - 0.3
    if holes:
        Y[rng.random(Y.shape) < 0.3] = np.nan
    together = nearest_rows(Y, training, 5)
    for rows in (slice(7, 8), slice(3, 40), slice(149, None)):
        assert_array_equal(nearest_rows(Y[rows], training, 5), together[rows])
    order = rng.permutation(150)
    assert_array_equal(nearest_rows(Y[order], training, 5), together[order])


@pytest.mark.parametrize("model", [GPLVM(2, n_inducing=5), BayesianGPLVM(2)])
def test_training_rows_with_holes_and_many_equally_near_know_themselves(model):
    # Rows of zeros are at no distance from each other, whatever is missing.
    rng = np.random.default_rng(0)
    X = np.where(rng.random((60, 4)) < 0.5, 0.0, rng.normal(size=(60, 4)))
    X[20:] = 0.0
    X[rng.random(X.shape) < 0.3] = np.nan
    X[np.isnan(X).all(axis=1), 0] = 0.0
    _, first = np.unique(np.nan_to_num(X, nan=9.0), axis=0, return_index=True)
    model = clone(model).set_params(noise_variance=0.1, random_state=0, tol=0.1).fit(X)
    assert_array_equal(model.transform(X)[first], model.embedding_[first])
