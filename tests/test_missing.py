"""Missing values against the brute-force likelihood of the observed entries."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.gaussian_process import kernels as sk

from gplvm import GPLVM, _missing, _parallel
from gplvm._latent import _filled
from gplvm._likelihoods import DenseLikelihood
from gplvm._missing import (
    PatternLikelihood,
    SparsePatternLikelihood,
    missing_patterns,
)
from gplvm._sparse import SparseLikelihood
from gplvm.gradients import check_gradient

KERNEL = sk.ConstantKernel(1.3) * sk.RBF(0.8)
THETA = np.append(KERNEL.theta, np.log(0.3))


def _problem(n=9, d=5, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    Y = rng.normal(size=(n, d))
    Y[rng.random(Y.shape) < share] = np.nan
    Y[0] = 0.5  # every column has something
    return Y, rng.normal(size=(n, 2)), rng


def test_patterns_partition_the_features():
    Y = np.array([[1, 2, np.nan, 4], [1, 2, 3, 4], [np.nan, 2, 3, np.nan]])
    patterns = missing_patterns(Y)
    assert [rows.tolist() for rows, _ in patterns] == [[0, 1], [0, 1, 2], [1, 2]]
    assert [features.tolist() for _, features in patterns] == [[0, 3], [1], [2]]


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_likelihood_is_that_of_the_observed_entries(share):
    Y, X, _ = _problem(share=share)
    K = KERNEL(X) + 0.3 * np.eye(len(X))
    expected = 0.0
    for column in Y.T:
        seen = ~np.isnan(column)
        expected += multivariate_normal(cov=K[np.ix_(seen, seen)]).logpdf(column[seen])
    likelihood = PatternLikelihood(DenseLikelihood, KERNEL, Y)
    assert_allclose(likelihood.log_likelihood(X, THETA), expected, rtol=1e-10)


@pytest.mark.parametrize("sparse", [False, True])
def test_gradients_equal_differences(sparse):
    Y, X, rng = _problem()
    likelihood = PatternLikelihood(DenseLikelihood, KERNEL, Y)
    point = {"embedding": X, "theta": THETA}
    if sparse:
        likelihood = SparsePatternLikelihood(KERNEL, Y)
        point = {"embedding": X, "inducing_points": rng.normal(size=(4, 2)), **point}

    def function(**point):
        return likelihood.log_likelihood(*point.values(), eval_gradient=True)

    assert check_gradient(function, point) < 1e-6


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_one_pass_for_all_patterns_equals_one_for_each(share):
    Y, X, rng = _problem(n=30, share=share)
    Z = rng.normal(size=(6, 2))
    together = SparsePatternLikelihood(KERNEL, Y)
    apart = PatternLikelihood(SparseLikelihood, KERNEL, Y)
    ours, theirs = (
        likelihood.log_likelihood(X, Z, THETA, eval_gradient=True)
        for likelihood in (together, apart)
    )
    assert_allclose(ours[0], theirs[0], rtol=1e-10)
    for name, gradient in theirs[1].items():
        assert_allclose(ours[1][name], gradient, rtol=1e-6, atol=1e-8)
    new = rng.normal(size=(4, 2))
    for a, b in zip(
        together.posterior(X, Z, THETA).predict(new),
        apart.posterior(X, Z, THETA).predict(new),
        strict=True,
    ):
        assert_allclose(a, b, rtol=1e-7)


@settings(max_examples=20, deadline=None)
@given(
    n=st.integers(2, 60),
    d=st.integers(1, 40),
    share=st.floats(0.0, 0.95),
    threads=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_summing_the_fewer_rows_changes_nothing(n, d, share, threads, seed):
    # Chunks of a few rows, so that some hold none, or all, of a pattern's rows.
    Y, X, rng = _problem(n=n, d=d, share=share, seed=seed)
    Z = rng.normal(size=(3, 2))
    together = SparsePatternLikelihood(KERNEL, Y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_missing, "BLOCK_ROWS", 7)
        patch.setattr(_missing, "_SUM_ENTRIES", 1)
        patch.setattr(_missing, "_MIN_ROWS", 4)
        patch.setattr(_parallel, "_BLOCKS_PER_THREAD", 1 if threads else 1000)
        value, gradient = together.log_likelihood(X, Z, THETA, eval_gradient=True)
    apart = PatternLikelihood(SparseLikelihood, KERNEL, Y)
    expected = apart.log_likelihood(X, Z, THETA, eval_gradient=True)
    assert_allclose(value, expected[0], rtol=1e-9)
    for name, slope in expected[1].items():
        scale = np.abs(slope).max()
        assert_allclose(gradient[name], slope, rtol=1e-6, atol=1e-7 * scale)


def test_sums_need_no_more_than_a_chunk_beside_them():
    Y, X, rng = _problem(n=6000, d=30)
    Z = rng.normal(size=(40, 2))
    likelihood = SparsePatternLikelihood(KERNEL, Y)
    tracemalloc.start()
    likelihood.log_likelihood(X, Z, THETA, eval_gradient=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    rows_by_pairs = 8 * len(X) * 40 * 41 // 2  # of which the mask would have the sums
    assert peak < 0.3 * rows_by_pairs


def test_start_fills_low_rank_data():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(80, 3)) @ rng.normal(size=(3, 30))
    Y = signal + 0.5 * rng.normal(size=signal.shape)
    hidden = rng.random(Y.shape) < 0.3
    holed = np.where(hidden, np.nan, Y)
    filled = _filled(holed, 2)
    assert_array_equal(filled[~hidden], Y[~hidden])
    # Knowing the three directions, ordinary regression of each row is the judge.
    judge = np.empty(Y.shape)
    axes = np.linalg.svd(signal, full_matrices=False)[2][:3]
    for row, seen in enumerate(~hidden):
        judge[row] = np.linalg.lstsq(axes[:, seen].T, Y[row, seen])[0] @ axes
    error, best = (np.mean((Z - signal)[hidden] ** 2) for Z in (filled, judge))
    assert error < 1.5 * best


@pytest.mark.parametrize("shape", [(6, 1), (1, 6), (2, 2)])
def test_start_fills_the_smallest_data(shape):
    Y = np.arange(np.prod(shape), dtype=float).reshape(shape)
    Y.flat[1] = np.nan
    assert np.all(np.isfinite(_filled(Y, 1)))


def test_posterior_predicts_each_feature_from_its_own_rows():
    Y, X, rng = _problem()
    posterior = PatternLikelihood(DenseLikelihood, KERNEL, Y).posterior(X, THETA)
    new = rng.normal(size=(4, 2))
    mean, variance = posterior.predict(new)
    for feature, column in enumerate(Y.T):
        seen = ~np.isnan(column)
        K = KERNEL(X[seen]) + 0.3 * np.eye(seen.sum())
        k = KERNEL(new, X[seen])
        assert_allclose(mean[:, feature], k @ np.linalg.solve(K, column[seen]))
        expected = KERNEL.diag(new) - np.einsum("bn,nb->b", k, np.linalg.solve(K, k.T))
        assert_allclose(variance[:, feature], expected + 0.3)
    y = np.array([[0.3, np.nan, -1.0, np.nan, 0.2]])

    def density(x):
        value, gradient = posterior.log_density(x, y)
        return value[0], gradient

    assert check_gradient(density, new[:1]) < 1e-7
    mean, variance = posterior.predict(new[:1])
    seen = ~np.isnan(y)
    expected = -0.5 * (
        np.log(2 * np.pi * variance[seen]) + (y - mean)[seen] ** 2 / variance[seen]
    )
    assert_allclose(density(new[:1])[0], expected.sum())


def test_few_missing_digits_are_reconstructed():
    X = load_digits(n_class=5).data[:120]
    rng = np.random.default_rng(0)
    hidden = rng.random(X.shape) < 0.3
    damaged = np.where(hidden, np.nan, X)
    model = GPLVM(n_inducing=30, tol=0.05, random_state=0).fit(damaged)
    ours = model.inverse_transform(model.embedding_)
    mean_filled = np.where(hidden, np.nanmean(damaged, axis=0), X)
    pca = PCA(2).fit(mean_filled)
    theirs = pca.inverse_transform(pca.transform(mean_filled))
    error, pca_error = (np.mean((x - X)[hidden] ** 2) for x in (ours, theirs))
    assert error < 0.85 * pca_error


def test_new_rows_with_missing_entries():
    X = load_iris().data
    train, new = X[::2], X[1::2].copy()
    model = GPLVM(tol=1e-3).fit(train)
    whole = model.transform(new)
    new[::3, 2] = np.nan
    holed = model.transform(new)
    assert_array_equal(np.isfinite(holed), True)
    complete = ~np.isnan(new).any(axis=1)
    assert_allclose(holed[complete], whole[complete], atol=1e-7)
    # The hidden entry is predicted better than by the mean.
    error = (model.inverse_transform(holed) - X[1::2])[::3, 2]
    assert np.mean(error**2) < 0.1 * np.var(train[:, 2])


@pytest.mark.parametrize("n_inducing", [None, 20])
def test_training_rows_with_missing_entries_keep_their_place(n_inducing):
    X = load_iris().data[::3].copy()
    X[::4, 1] = np.nan
    model = GPLVM(n_inducing=n_inducing, tol=1e-2).fit(X)
    assert_array_equal(model.transform(X), model.embedding_)
    mean, std = model.inverse_transform(model.embedding_, return_std=True)
    assert mean.shape == std.shape == X.shape and np.all(std > 0)


@pytest.mark.parametrize("axis, name", [(0, "column 1"), (1, "row 1")])
def test_nothing_observed_is_named(axis, name):
    X = load_iris().data[:20].copy()
    X[(slice(None), 1) if axis == 0 else (1, slice(None))] = np.nan
    with pytest.raises(ValueError, match=f"{name} of X has no observed entry"):
        GPLVM().fit(X)
    if axis == 1:
        with pytest.raises(ValueError, match="row 1 of X has no observed entry"):
            GPLVM(kernel="linear").fit(load_iris().data).transform(X)
