"""`impute` against quadrature over positions, closed forms, held-out entries."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp, softmax

from gplvm import GPLVM, BayesianGPLVM
from gplvm._imputation import moments_over_positions
from gplvm._projection import apart_starts


def _parabola(n, seed, noise=0.05):
    """Rows whose first two entries do not tell on which side they are."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    clean = np.column_stack([x**2, 0.5 * x**2, x, np.sin(x)])
    return clean + noise * rng.normal(size=clean.shape)


@pytest.fixture(scope="module")
def model():
    return BayesianGPLVM(1, n_inducing=15, random_state=0).fit(_parabola(80, 0))


def _covered(rows):
    """Rows where training rows are, too, the last two entries missing.

    Far from them the density has maxima that no walk from training rows finds.
    """
    rows = rows[rows[:, 0] < 4.0]
    rows[:, 2:] = np.nan
    return rows


def _by_quadrature(model, rows, Z, log_prior, expected=False):
    """Mean and std of all entries given the observed ones, by a sum over a grid."""
    m, s = model.inverse_transform(Z, return_std=True)
    terms = ((rows[:, None] - m) / s) ** 2 + np.log(2 * np.pi * s**2)
    if expected:  # of log p over functions with variances s^2 - noise
        noise = model.noise_variance_
        terms = ((rows[:, None] - m) ** 2 + s**2) / noise
    weights = softmax(-0.5 * np.nansum(terms, axis=2) + log_prior, axis=1)
    mean = weights @ m
    return mean, np.sqrt(weights @ (m**2 + s**2) - mean**2)


def _assert_close(mean, std, expected, expected_std):
    """Equal up to the error of some hundred draws."""
    assert np.all(np.abs(mean - expected) < 0.15 * expected_std)
    assert_allclose(std, expected_std, rtol=0.12)


def test_two_sides_and_all_between_by_quadrature(model):
    rows = _covered(_parabola(25, 1))
    completed, std = model.impute(rows, return_std=True)
    Z = np.linspace(-6, 6, 6001)[:, None]
    mean, expected = _by_quadrature(model, rows, Z, -0.5 * Z[:, 0] ** 2, True)
    _assert_close(completed[:, 2:], std[:, 2:], mean[:, 2:], expected[:, 2:])
    # Both sides are in it: one place would be nearly certain.
    far = rows[:, 0] > 1.0
    assert far.any()
    _, around = model.inverse_transform(
        *model.transform(rows[far], return_std=True)[:1], return_std=True
    )
    assert np.all(std[far, 2] > 4 * around[:, 2])


def test_positions_as_points_by_quadrature():
    # The density of positions is the training positions', smoothed, as in `sample`.
    model = GPLVM(1, random_state=0).fit(_parabola(40, 0))
    rows = _covered(_parabola(25, 1))
    completed, std = model.impute(rows, return_std=True)
    places = model.embedding_[:, 0]
    width = places.std()
    Z = np.linspace(places.min() - width, places.max() + width, 4001)[:, None]
    log_prior = logsumexp(-0.5 * ((Z - places) / (0.1 * width)) ** 2, axis=1)
    mean, expected = _by_quadrature(model, rows, Z, log_prior)
    _assert_close(completed[:, 2:], std[:, 2:], mean[:, 2:], expected[:, 2:])


def test_of_a_linear_model_it_is_the_conditional_normal():
    rng = np.random.default_rng(0)
    data = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6))
    data += 0.3 * rng.normal(size=data.shape)
    model = BayesianGPLVM(2, kernel="linear", n_inducing=4).fit(data)
    # The loadings are the differences of the mean along the axes.
    corners = model.inverse_transform(np.vstack([np.zeros(2), np.eye(2)]))
    W, mean = corners[1:] - corners[0], corners[0]
    C = W.T @ W + model.noise_variance_ * np.eye(6)
    rows = data[:12].copy()
    rows[:, 4:] = np.nan
    gain = C[4:, :4] @ np.linalg.inv(C[:4, :4])
    expected = mean[4:] + (rows[:, :4] - mean[:4]) @ gain.T
    variance = np.diag(C[4:, 4:] - gain @ C[:4, 4:])
    completed, std = model.impute(rows, return_std=True)
    assert_allclose(completed[:, 4:], expected, atol=0.05)
    assert_allclose(std[:, 4:], np.sqrt(variance) * np.ones((12, 1)), rtol=0.06)


def test_certain_positions_weigh_more_in_expectation():
    # At x = -1 and 1 the prediction is 0, with variances 1 and 3 of which 1 is noise:
    # exp <log p> is exp(-(3 - 1) / 2) times less at 1, for one observed entry.
    Y = np.array([[0.0, np.nan]])
    maxima = np.array([[[-1.0], [1.0]]])

    def predict(X):
        sign = np.where(X > 0, 1.0, -1.0)
        return np.hstack([0.0 * sign, sign]), 2.0 + sign[:, 0]

    mean, _ = moments_over_positions(
        predict,
        lambda X: 0.0 * X[:, 0],
        Y,
        maxima,
        np.full((1, 2, 1, 1), 1e-6),
        noise_variance=1.0,
    )
    assert_allclose(mean[0, 1], (np.exp(-1) - 1) / (np.exp(-1) + 1), rtol=1e-2)


def test_weights_are_right_whatever_the_proposal():
    # p(x) is N(0, I); y = x + noise of variance 1/2: E x | y = 2 y / 3, var 1 / 3.
    Y = np.array([[0.6, np.nan], [-1.0, np.nan]])
    maxima = np.array([[[0.1], [0.9]], [[-0.7], [-0.7]]])  # not where they are
    covariances = np.full((2, 2, 1, 1), 0.5)

    def predict(X):
        return np.hstack([X, X]), np.full(len(X), 0.5)

    mean, variance = moments_over_positions(
        predict, lambda X: -0.5 * X[:, 0] ** 2, Y, maxima, covariances
    )
    assert_allclose(mean[:, 1], 2 * Y[:, 0] / 3, atol=0.05)
    assert_allclose(variance[:, 1], 1 / 3 + 0.5, rtol=0.05)


@pytest.mark.parametrize("hidden_in_training", [0.0, 0.25])
def test_coverage_on_data_of_the_models_own_making(hidden_in_training):
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 2))
    squares = ((X[:, None] - X) ** 2).sum(axis=2)
    root = np.linalg.cholesky(np.exp(-squares / 8) + 1e-8 * np.eye(200))
    data = root @ rng.normal(size=(200, 8)) + 0.1 * rng.normal(size=(200, 8))
    train, rows = data[:140].copy(), data[140:].copy()
    train[rng.random(train.shape) < hidden_in_training] = np.nan
    rows[rng.random(rows.shape) < 0.4] = np.nan
    model = BayesianGPLVM(2, n_inducing=20, tol=0.01, random_state=0).fit(train)
    for holes, truth in [(rows, data[140:]), (train, data[:140])]:
        missing = np.isnan(holes)
        if not missing.any():
            continue
        completed, std = model.impute(holes, return_std=True)
        errors = (np.abs(completed - truth) / np.where(missing, std, 1.0))[missing]
        # Some 200 entries, those of a row not independent of each other.
        assert 0.58 < np.mean(errors < 1.0) < 0.78
        assert 0.90 < np.mean(errors < 1.96) < 0.99


def test_what_is_observed_stays_and_rows_are_each_their_own(model):
    rows = _parabola(9, 2)
    rows[::2, 2] = np.nan
    rows[4, :3] = np.nan
    completed, std = model.impute(rows, return_std=True)
    seen = ~np.isnan(rows)
    assert_array_equal(completed[seen], rows[seen])
    assert_array_equal(std > 0, ~seen)
    assert_array_equal(model.impute(rows), completed)
    for row in range(9):
        alone, alone_std = model.impute(rows[row : row + 1], return_std=True)
        assert_allclose(alone[0], completed[row], rtol=1e-7)
        assert_allclose(alone_std[0], std[row], rtol=1e-7)
    whole = _parabola(3, 5)
    copy, nothing = model.impute(whole, return_std=True)
    assert_array_equal(copy, whole)
    assert copy is not whole
    assert not nothing.any()
    single, single_std = model.impute(rows.astype(np.float32), return_std=True)
    assert single.dtype == single_std.dtype == np.float32
    with pytest.raises(ValueError, match="row 1 of X has no observed entry"):
        model.impute(np.vstack([whole[:1], np.full((1, 4), np.nan)]))


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_expected_density_at_points_is_the_limit_of_the_row_bound(share):
    rng = np.random.default_rng(0)
    train, rows = _parabola(30, 0), _parabola(7, 1)
    train[rng.random(train.shape) < share] = np.nan
    rows[rng.random(rows.shape) < 0.3] = np.nan
    rows[:, 2] = 0.1
    posterior = BayesianGPLVM(2, n_inducing=8, tol=0.1).fit(train)._posterior
    X, S = rng.normal(size=(7, 2)), np.full((7, 2), 1e-8)
    value, gradient = posterior.expected_log_density(X, rows)
    bound, dmu, _ = posterior.row_bound(rows)(X, S, np.arange(len(rows)))
    divergence = 0.5 * (S + X**2 - 1 - np.log(S)).sum(axis=1)
    assert_allclose(value, bound + divergence, rtol=1e-5)
    assert_allclose(gradient, dmu + X, rtol=1e-4, atol=1e-4)


def test_starts_lie_apart_and_the_best_come_first():
    candidates = np.array([[[0.0], [0.1], [2.0], [2.05]]])
    starts = apart_starts(
        candidates, np.array([[1.0, 3.0, 0.0, 0.5]]), n_starts=3, distance=0.5
    )
    assert_array_equal(starts[0, :, 0], [0.1, 2.05, 0.1])
