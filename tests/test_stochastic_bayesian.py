"""Batches against the collapsed bound and finite differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.gaussian_process import kernels as sk

from gplvm._bayesian import BayesianLikelihood
from gplvm._placement import Anchors
from gplvm._projection import nearest_rows
from gplvm._row_stream import SinglePrecision, stream_rows
from gplvm._stochastic_bayesian import (
    BatchLikelihood,
    StochasticModel,
    StreamLikelihood,
    _scales,
)
from gplvm.gradients import check_gradient
from gplvm.kernels import Linear

KERNELS = {
    "ard": sk.ConstantKernel(1.3) * sk.RBF([0.8, 1.4]),
    "sum": sk.ConstantKernel(0.6) * sk.RBF(1.1) + Linear(0.5) + sk.WhiteKernel(0.1),
}


def _problem(n=40, m=6, d=3, seed=0, kernel="ard"):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 2))
    Y = np.sin(x @ rng.normal(size=(2, d))) + 0.3 * rng.normal(size=(n, d))
    blocks = {
        "embedding": x,
        "embedding_std": rng.uniform(0.2, 0.8, size=(n, 2)),
        "inducing_points": rng.normal(size=(m, 2)),
        "theta": np.append(KERNELS[kernel].theta, np.log(0.2)),
    }
    return KERNELS[kernel], Y - Y.mean(axis=0), blocks


def _model(kernel, blocks, Y):
    bounds = np.tile([-10.0, 10.0], (len(blocks["theta"]), 1))
    return StochasticModel(kernel, blocks, Y, variance=Y.var(), theta_bounds=bounds)


def _part(blocks, rows):
    return {k: v[rows] if "embedding" in k else v for k, v in blocks.items()}


@pytest.mark.parametrize("kernel", list(KERNELS))
def test_at_the_best_posterior_it_is_the_collapsed_bound(kernel):
    kernel, Y, blocks = _problem(kernel=kernel)
    expected, slopes = BayesianLikelihood(kernel, Y).elbo(**blocks, eval_gradient=True)
    batch = BatchLikelihood(kernel, Y)
    batch.elbo(**blocks)  # one natural step of length 1
    value, gradient = batch.elbo(**blocks, eval_gradient=True)
    assert_allclose(value, expected, rtol=1e-9)
    for name, slope in slopes.items():
        assert_allclose(gradient[name], slope, rtol=1e-6, atol=1e-6, err_msg=name)


def test_gradient_with_the_posterior_held():
    kernel, Y, blocks = _problem(n=12, m=3, kernel="sum")
    some = _part(blocks, slice(0, 8))
    batch = BatchLikelihood(kernel, Y[:8])
    batch.elbo(**some)
    batch.take(Y)
    batch.rate, batch.weight = 0.0, 2.5

    def function(**point):
        return batch.elbo(**point, eval_gradient=True)

    assert check_gradient(function, blocks) < 1e-5


def test_a_partition_of_batches_has_the_whole_gradient():
    kernel, Y, blocks = _problem()
    batch = BatchLikelihood(kernel, Y[:10])
    batch.elbo(**_part(blocks, slice(0, 10)))
    batch.rate = 0.0
    batch.take(Y)
    whole, slopes = batch.elbo(**blocks, eval_gradient=True)
    total, sums = 0.0, {"inducing_points": 0.0, "theta": 0.0}
    for start in range(0, 40, 10):
        rows = slice(start, start + 10)
        batch.take(Y[rows])
        batch.weight = 4.0
        value, gradient = batch.elbo(**_part(blocks, rows), eval_gradient=True)
        total += value
        for name in sums:
            sums[name] = sums[name] + gradient[name]
        assert_allclose(gradient["embedding"], slopes["embedding"][rows])
    assert_allclose(total, whole)
    for name, expected in sums.items():
        assert_allclose(expected, slopes[name], rtol=1e-8, atol=1e-8, err_msg=name)


def test_rows_of_a_stream_are_those_of_an_array():
    kernel, Y, blocks = _problem()
    X = (Y + np.array([5.0, -3.0, 0.0])).astype(np.float32)
    rows, mean, variance = stream_rows(X, "none")
    centred = X.astype(float) - X.mean(axis=0, dtype=float)
    assert_allclose(mean, X.mean(axis=0, dtype=float))
    assert_allclose(variance, centred.var(axis=0).mean())
    stream, array = (
        StreamLikelihood(kernel, rows),
        BayesianLikelihood(kernel, centred),
    )
    assert_allclose(stream.elbo(**blocks), array.elbo(**blocks))
    predictions = [
        likelihood.posterior(**blocks).predict(blocks["embedding"])
        for likelihood in (stream, array)
    ]
    for one, other in zip(*predictions, strict=True):
        assert_allclose(one, other, atol=1e-10)


def test_a_stream_in_single_precision_is_that_of_such_data():
    X = np.random.default_rng(0).normal(7.0, 2.0, size=(50, 3))
    rounded, narrow = (
        (rows[:], mean, variance)
        for rows, mean, variance in (
            stream_rows(SinglePrecision(X), "none"),
            stream_rows(X.astype(np.float32), "none"),
        )
    )
    for one, other in zip(rounded, narrow, strict=True):
        assert_array_equal(one, other)


def test_moments_of_a_stream_in_blocks():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200_000, 8)) * np.arange(8) + np.linspace(-1e4, 1e4, 8)
    _, mean, variance = stream_rows(X, "none")
    assert_allclose(mean, X.mean(axis=0), rtol=1e-12)
    assert_allclose(variance, X.var(axis=0).mean(), rtol=1e-10)


def test_functions_of_all_rows_at_once_are_the_collapsed_ones():
    kernel, Y, blocks = _problem(kernel="sum")
    mu, S = blocks["embedding"], blocks["embedding_std"] ** 2
    known = BayesianLikelihood(kernel, Y).posterior(**blocks)
    ours, theirs = (
        bound(mu, S, np.arange(len(Y)))[0]
        for bound in (_model(kernel, blocks, Y).row_bound(Y), known.row_bound(Y))
    )
    assert_allclose(ours, theirs, rtol=1e-6)


def test_amplitude_is_the_best_for_the_functions_as_they_are():
    # Judged by the dense bound of u = R^-1 v at other amplitudes.
    kernel, Y, blocks = _problem()
    batch = BatchLikelihood(kernel, Y)
    batch.elbo(**blocks)
    natural, best = batch.natural, np.log(batch.scale)
    batch.rate = 0.0

    def bound(way):
        batch.natural = np.exp(way) * natural[0], np.exp(0.5 * way) * natural[1]
        theta = blocks["theta"].copy()
        theta[0] += way
        return batch.elbo(**blocks | {"theta": theta})

    step = 1e-3
    slope = (bound(best + step) - bound(best - step)) / (2 * step)
    assert bound(best) > max(bound(best + 0.1), bound(best - 0.1))
    assert abs(slope) < 1e-4 * abs(bound(0.0))


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (sk.ConstantKernel() * sk.RBF([1.0, 2.0]), [1, 0, 0]),
        (sk.RBF([1.0, 2.0]) * sk.ConstantKernel(), [0, 0, 1]),
        (Linear([1.0, 2.0]), [1, 1]),
        (sk.ConstantKernel() * Linear([1.0, 2.0]) + sk.ConstantKernel(), [1, 0, 0, 1]),
        (sk.RBF(), None),
        (sk.ConstantKernel(1.0, "fixed") * sk.RBF(), None),
        (sk.ConstantKernel() * sk.RBF() + sk.RBF(), None),
    ],
)
def test_what_multiplies_the_kernel(kernel, expected):
    scales = _scales(kernel)
    if expected is None:
        assert scales is None
        return
    assert_array_equal(scales, np.array(expected, dtype=bool))
    X = np.random.default_rng(0).normal(size=(4, 2))
    doubled = kernel.clone_with_theta(kernel.theta + scales * np.log(2.0))
    assert_allclose(doubled(X), 2.0 * kernel(X))


def test_rows_that_end_low_start_elsewhere_too():
    # A helix, whose next turn is an optimum too, and a low one.
    x = np.linspace(-2.0, 2.0, 40)[:, None]
    Y = np.hstack([np.sin(3 * x), np.cos(3 * x), 0.3 * x])
    kernel = sk.ConstantKernel() * sk.RBF(0.7)
    blocks = {
        "embedding": x,
        "embedding_std": np.full(x.shape, 0.05),
        "inducing_points": np.linspace(-2.2, 2.2, 12)[:, None],
        "theta": np.append(kernel.theta, np.log(0.001)),
    }
    model = _model(kernel, blocks, Y)
    # The nearest anchors, the row itself among them, are taken for the next turn.
    near = nearest_rows(Y[:1], Y, 10)[0]
    mean, std = x.copy(), blocks["embedding_std"]
    mean[near[:5]] += 2.0 * np.pi / 3.0
    place, *starts = Anchors(Y, mean, std).place, mean[near], std[near]
    bound = model.row_bound(Y[:1])
    values = bound.settle(*starts, 10, np.zeros(10, dtype=int))[2]
    lost, best = values[:5].max(), values.max()
    found = place(Y[:1], model.row_bound)
    value = bound(found[0], found[1] ** 2, np.zeros(1, dtype=int))[0]
    assert_allclose(value, best, rtol=1e-6)
    assert best > lost + 1.0
    # A row that is already high stays where it is.
    again = Anchors(Y, mean, std).settle(Y[:1], model.row_bound, *found)
    assert bound.settle(*again, 0)[2] >= best - 1e-9
