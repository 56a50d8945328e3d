"""The L-BFGS driver: what it keeps, when it stops, and what it says."""

import warnings

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der
from sklearn.exceptions import ConvergenceWarning

from gplvm._autoencoder import LinearAutoencoder
from gplvm._optimize import (
    BadStartError,
    FitMonitor,
    Minimum,
    Packing,
    _Walk,
    minimize_lbfgs,
    walks_from,
)

START = np.array([-1.2, 1.0, -0.5, 0.8])


def _rosen(x):
    return rosen(x), rosen_der(x)


def _bowl(x):
    return 0.5 * x @ x, x.copy()


def test_packing_round_trip():
    arrays = {
        "scalar": np.array(3.0),
        "matrix": np.arange(6.0).reshape(2, 3),
        "empty": np.empty((0, 4)),
        "vector": np.arange(2.0),
    }
    packing = Packing(**arrays)
    vector = packing.pack(**dict(reversed(arrays.items())))
    assert vector.shape == (9,)
    back = packing.unpack(vector)
    assert list(back) == list(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(back[name], array)
        assert back[name].shape == array.shape
    back["matrix"][0, 0] = -1.0
    assert vector[1] == -1.0  # a view, not a copy


def test_packing_of_nothing():
    packing = Packing()
    assert packing.unpack(packing.pack()) == {}


def test_finds_the_minimum_and_records_the_way():
    minimum = minimize_lbfgs(_rosen, START, tol=1e-14)
    np.testing.assert_allclose(minimum.x, np.ones(4), atol=1e-5)
    assert minimum.converged
    assert minimum.n_iter == len(minimum.loss_curve) > 10
    assert minimum.fun == rosen(minimum.x) <= min(minimum.loss_curve)
    np.testing.assert_array_equal(START, [-1.2, 1.0, -0.5, 0.8])


def test_a_looser_tol_stops_earlier():
    loose = minimize_lbfgs(_rosen, START, tol=1e-2)
    tight = minimize_lbfgs(_rosen, START, tol=1e-12)
    assert loose.converged
    assert loose.n_iter < tight.n_iter


def test_bounds_hold_and_clip_the_start():
    seen = []

    def objective(x):
        seen.append(x.copy())
        return _bowl(x)

    bounds = np.array([[1.0, np.inf], [-np.inf, -2.0]])
    minimum = minimize_lbfgs(objective, [-5.0, 5.0], bounds=bounds)
    np.testing.assert_allclose(minimum.x, [1.0, -2.0])
    assert all(x[0] >= 1.0 and x[1] <= -2.0 for x in seen)


def test_max_iter_is_said_and_the_best_point_kept():
    with pytest.warns(ConvergenceWarning) as caught:
        minimum = minimize_lbfgs(_rosen, START, max_iter=5, name="Thing")
    (message,) = (str(w.message) for w in caught)
    assert message == (
        "Thing (L-BFGS) stopped after 5 iterations without converging: max_iter "
        "reached. Raise max_iter or tol."
    )
    assert minimum.n_iter == 5
    assert not minimum.converged
    assert minimum.fun < rosen(START)


def test_a_failed_line_search_is_said():
    def lying(x):  # the gradient points uphill
        return 0.5 * x @ x, -x

    said = (
        r"Thing \(L-BFGS\) stopped after \d iterations without converging: .*\. "
        r"Scale the data to unit variance, or raise tol\."
    )
    with pytest.warns(ConvergenceWarning, match=said):
        minimum = minimize_lbfgs(lying, np.full(5, 3.0), name="Thing")
    assert not minimum.converged


def test_on_iteration_sees_copies_and_can_stop():
    seen = []

    def on_iteration(x, value):
        assert value == rosen(x)
        seen.append(x)
        return len(seen) == 4

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        minimum = minimize_lbfgs(_rosen, START, on_iteration=on_iteration)
    assert minimum.n_iter == 4
    assert minimum.converged  # stopped on request: no failure
    assert [rosen(x) for x in seen] == minimum.loss_curve
    assert len({x.tobytes() for x in seen}) == 4


def test_the_best_point_is_a_copy():
    best = Minimum(x=START, fun=np.inf)
    walk = _Walk(_rosen, best, bounds=None, tol=1e-8, window=5, on_iteration=None)
    x = np.array([1.0, 1.0, 2.0])
    walk.evaluate(x)
    x[:] = 7.0  # as scipy does with the memory of its iterate
    assert best.fun == rosen(best.x)


def test_stop_iteration_from_on_iteration_ends_the_walk():
    def on_iteration(x, value):
        raise StopIteration

    minimum = minimize_lbfgs(_rosen, START, on_iteration=on_iteration)
    assert minimum.n_iter == 1
    assert minimum.converged
    assert minimum.fun < rosen(START)


@pytest.mark.parametrize("where", ["objective", "on_iteration"])
def test_ctrl_c_keeps_the_best_so_far(where):
    best = [np.inf]

    def objective(x):
        if where == "objective" and best[0] < 3.0:
            raise KeyboardInterrupt
        best[0] = min(best[0], rosen(x))
        return _rosen(x)

    def on_iteration(x, value):
        if where == "on_iteration" and value < 3.0:
            raise KeyboardInterrupt

    with pytest.warns(ConvergenceWarning, match=r"Thing was interrupted after \d+"):
        minimum = minimize_lbfgs(
            objective, START, on_iteration=on_iteration, name="Thing"
        )
    assert minimum.fun == best[0] == rosen(minimum.x)
    assert minimum.fun < 3.0
    assert not minimum.converged
    assert minimum.message == "interrupted"


@pytest.mark.parametrize("failure", ["nan", "gradient", "error"])
def test_a_region_without_values_is_a_wall(failure):
    """The minimum of x - log(x) is 1; a long step lands at x <= 0."""
    hits = []

    def objective(x):
        if x[0] <= 0:
            hits.append(x[0])
            if failure == "error":
                raise np.linalg.LinAlgError
            return (np.nan if failure == "nan" else 0.0), np.full(1, np.nan)
        return 50 * (x[0] - np.log(x[0])), 50 * (1 - 1 / x)

    minimum = minimize_lbfgs(objective, [1e3], tol=1e-13)
    steep = minimize_lbfgs(lambda x: objective(x), [0.9], tol=1e-13)
    np.testing.assert_allclose([minimum.x, steep.x], 1.0, atol=1e-5)

    with pytest.raises(ValueError, match="not finite at the start"):
        minimize_lbfgs(objective, [-1.0])
    assert hits


def test_the_wall_turns_a_step_back():
    hits = []

    def objective(x):
        if x[0] < 0.5:
            hits.append(x[0])
            return np.inf, np.zeros(1)
        return (x[0] - 0.6) ** 2 * 100, 200 * (x - 0.6)

    minimum = minimize_lbfgs(objective, [1.0], tol=1e-14)
    assert hits
    np.testing.assert_allclose(minimum.x, 0.6, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_wall_is_finite_and_rises(bad):
    best = Minimum(x=START, fun=np.inf)
    walk = _Walk(
        lambda x: _rosen(x) if x[0] < 0 else (bad, np.zeros(4)),
        best,
        bounds=None,
        tol=1e-8,
        window=5,
        on_iteration=None,
    )
    inside = walk.evaluate(START)[0]
    away = np.array([3.0, 0.0, 0.0, 0.0])
    near, far = walk.evaluate(START + away), walk.evaluate(START + 2 * away)
    assert inside < near[0] < far[0] < np.inf
    assert near[1] @ away > 0
    assert best.fun == inside


@pytest.mark.parametrize("far", [1e100, 1e300])
def test_the_wall_is_finite_from_anywhere(far):
    walk = _Walk(
        lambda x: (np.exp(np.square(x)).sum(), np.zeros(1)),  # which overflows
        Minimum(x=np.zeros(1), fun=1.0),
        bounds=None,
        tol=1e-8,
        window=5,
        on_iteration=None,
    )
    value, gradient = walk.evaluate(np.array([far]))
    assert np.isfinite([value, *gradient]).all()


def test_walks_pass_over_a_start_without_a_value():
    def walk(start):
        if start < 0:
            raise BadStartError(f"no value at {start}")
        return start, Minimum(x=np.zeros(1), fun=float(start), interrupted=start == 2)

    assert [number for number, _ in walks_from([-1, 0, -2, 1], walk)] == [0, 1]
    assert [number for number, _ in walks_from([0, 2, 1], walk)] == [0, 2]
    with pytest.raises(BadStartError, match="no value at -1"):
        walks_from([-1, -2], walk)


def test_a_start_at_the_minimum_is_no_failure():
    rounding = 1e-17 * np.random.default_rng(0).normal(size=4)

    def objective(x):  # a gradient above gtol, but nothing to gain in the value
        return 1.0 + 0.5 * x @ x, x + 1e-10

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert minimize_lbfgs(objective, rounding).converged
        assert minimize_lbfgs(_bowl, np.zeros(3)).converged


def _stiff(x):
    """A common scale of the last two coordinates changes nothing but the slope."""
    ratio = x[1] / x[2]
    value = 0.5 * (x[0] ** 2 + 1e2 * (ratio - 2.0) ** 2)
    slope = 1e2 * (ratio - 2.0)
    return value, np.array([x[0], slope / x[2], -slope * ratio / x[2]])


def test_renewing_the_scale_helps():
    start = np.array([1.0, 1e3, 1e4])  # far too flat in the last two
    renewed = minimize_lbfgs(
        _stiff,
        start,
        renew=lambda x: np.append(x[0], x[1:] * 10.0 / x[2]),
        tol=1e-15,
    )
    assert renewed.fun < 1e-10
    assert renewed.n_iter == len(renewed.loss_curve)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        plain = minimize_lbfgs(_stiff, start, tol=1e-15, max_iter=renewed.n_iter)
    assert plain.fun > 1e3 * renewed.fun


def test_the_legs_between_renewals_double():
    calls, curve = [], []

    def renew(x):
        calls.append(len(curve))
        return x

    start = np.linspace(-1.5, 1.5, 30)
    minimize_lbfgs(
        _rosen, start, renew=renew, on_iteration=lambda x, value: curve.append(value)
    )
    assert calls[:4] == [0, 5, 15, 35]


def test_at_a_bound_the_gradient_need_not_vanish():
    def objective(x):  # downhill only through the bound; its rounding hides the rest
        return 1e3 + x[0] + 1e-13 * x[1] ** 2, np.array([1.0, 2e-13 * x[1]])

    bounds = np.array([[0.0, np.inf], [-1.0, 1.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        minimum = minimize_lbfgs(objective, [0.0, 0.5], bounds=bounds)
    assert minimum.converged


def test_renewed_walks_respect_max_iter_and_stops():
    with pytest.warns(ConvergenceWarning, match="after 7 iterations .* max_iter"):
        minimum = minimize_lbfgs(_rosen, START, max_iter=7, renew=lambda x: x)
    assert minimum.n_iter == 7
    stopped = minimize_lbfgs(
        _rosen, START, renew=lambda x: x, on_iteration=lambda x, value: value < 3.0
    )
    assert stopped.converged
    assert stopped.loss_curve[-1] < 3.0 <= stopped.loss_curve[-2]
    full = minimize_lbfgs(_rosen, START, renew=lambda x: x, tol=1e-14)
    np.testing.assert_allclose(full.x, 1.0, atol=1e-5)


def test_monitor_prints_as_often_as_asked(capsys):
    X = np.eye(3)
    for verbose, lines in [(0, 0), (1, 2), (2, 25)]:
        estimator = LinearAutoencoder(verbose=verbose)
        monitor = FitMonitor(estimator, X, max_iter=20)
        for iteration in range(25):  # more than announced is harmless
            assert not monitor.iteration(float(iteration), dict)
        monitor.close()
        printed = capsys.readouterr().out.splitlines()
        assert len(printed) == lines
        assert all(line.startswith("Iteration ") for line in printed)
