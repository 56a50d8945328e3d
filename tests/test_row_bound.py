"""Rows' own bounds: their limit, and the posteriors at their tops.

That they are the bounds themselves, `test_bayesian` shows.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.gaussian_process import kernels as sk

from gplvm._bayesian import BayesianLikelihood, BayesianPatternLikelihood
from gplvm._variational import infer_rows, settle
from gplvm.kernels import Linear

KERNELS = {
    "ard": sk.ConstantKernel(1.3) * sk.RBF([0.8, 1.4]),
    "sum": sk.ConstantKernel(0.6) * sk.RBF(1.1) + Linear(0.5) + sk.WhiteKernel(0.1),
}


def _problem(kernel, missing=0.0, n=40):
    """A likelihood, and blocks that are not at its top."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2))
    Y = np.sin(x @ rng.normal(size=(2, 3))) + 0.3 * rng.normal(size=(n, 3))
    Y -= Y.mean(axis=0)
    Y[1:][rng.random(size=(n - 1, 3)) < missing] = np.nan
    Y[np.isnan(Y).all(axis=1)] = 0.0
    make = BayesianPatternLikelihood if missing else BayesianLikelihood
    return make(KERNELS[kernel], Y), {
        "embedding": x,
        "embedding_std": rng.uniform(0.2, 0.8, size=(n, 2)),
        "inducing_points": rng.normal(size=(6, 2)),
        "theta": np.append(KERNELS[kernel].theta, np.log(0.2)),
    }


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("kernel", list(KERNELS))
def test_bounds_at_points_are_the_limit(kernel, missing):
    likelihood, blocks = _problem(kernel, missing)
    bound = likelihood.posterior(**blocks).row_bound(likelihood.Y)
    X, rows = blocks["embedding"][::2], np.arange(0, 40, 2)
    tiny = 1e-9
    value, *_ = bound(X, np.full(X.shape, tiny), rows)
    # KL = <log q> - <log p>, and the entropy of q has no limit.
    entropy = X.shape[1] * 0.5 * (1.0 + np.log(2.0 * np.pi * tiny))
    assert_allclose(bound.at_points(X, rows), value - entropy, rtol=1e-5)


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_settled_rows_are_at_their_maxima(missing):
    likelihood, blocks = _problem("ard", missing)
    functions, Y = likelihood.posterior(**blocks), likelihood.Y
    bound, rows = functions.row_bound(Y), np.arange(40)
    start = blocks["embedding"], blocks["embedding_std"]
    before, *_ = bound(start[0], start[1] ** 2, rows)
    few, many = bound.settle(*start, 1), bound.settle(*start, 200)
    assert (few[2] >= before).all()
    assert (many[2] >= few[2] - 1e-9).all()
    # What is left to gain is less than the tolerance: by Newton's decrement, and by
    # BFGS from there.
    mu, std, value = many
    again, dmu, dS = bound(mu, std**2, rows)
    assert_allclose(again, value)
    left = 0.5 * np.sum(std**2 * dmu**2 + 2.0 * std**4 * dS**2, axis=1)
    assert left.max() < 0.05
    *_, highest = infer_rows(bound, rows, mu, std)
    assert (highest >= value - 1e-9).all()
    assert (highest < value + 0.05).all()
    # Each row goes its own way.
    mu_alone, *_ = functions.row_bound(Y[7:8]).settle(start[0][7:8], start[1][7:8], 20)
    assert_allclose(mu_alone[0], bound.settle(*start, 20)[0][7], atol=1e-6)
    some = np.array([7, 3, 7])
    mu_some, *_ = bound.settle(start[0][some], start[1][some], 20, some)
    assert_allclose(mu_some, bound.settle(*start, 20)[0][some], atol=1e-6)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("kernel", list(KERNELS))
def test_settling_all_rows_raises_the_whole_bound(kernel, missing):
    likelihood, blocks = _problem(kernel, missing)
    settled, bound = settle(blocks, likelihood)
    assert_allclose(bound, likelihood.elbo(**settled), rtol=1e-12)
    assert bound > likelihood.elbo(**blocks) + 1.0
    for name in ("inducing_points", "theta"):
        assert settled[name] is blocks[name]
