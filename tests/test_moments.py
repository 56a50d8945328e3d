"""Second moments in every form, and of streams, against dense algebra."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from gplvm import _moments
from gplvm._centred import CentredDense, CentredSparse, centred_operator
from gplvm._moments import (
    Moments,
    ProductMoments,
    RowMoments,
    RunningAxes,
    RunningMoments,
    second_moments,
)
from gplvm.gradients.autoencoder import autoencoder_loss
from gplvm.gradients.subspace import subspace_autoencoder_loss

FORMS = [np.asarray, sparse.csr_array, sparse.csc_matrix]
few = settings(max_examples=25, deadline=None, derandomize=True)


def _data(n=12, p=5, rank=None, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, rank or p)) @ rng.normal(size=(rank or p, p))
    return np.where(rng.random((n, p)) < 0.5, X, 0.0) if rank is None else X


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_centred_operators_equal_the_centred_matrix(form, dtype, monkeypatch):
    monkeypatch.setattr("gplvm._centred._BLOCK", 100)  # several blocks
    X = (_data(50, 4) + 3.0).astype(dtype)
    mean = X.mean(axis=0, dtype=float)
    Y = X.astype(float) - mean
    operator = centred_operator(form(X), mean)
    assert isinstance(operator, CentredDense if form is np.asarray else CentredSparse)
    B, C = np.random.default_rng(1).normal(size=(2, 4, 3))
    close = {"rtol": 1e-9, "atol": 1e-9}
    assert_allclose(operator @ B, Y @ B, **close)
    assert_allclose(operator.T @ Y, Y.T @ Y, **close)
    assert_allclose(operator.gram_product(C), Y.T @ Y @ C, **close)
    assert_allclose(operator.gram(of_rows=False), Y.T @ Y, **close)
    assert_allclose(operator.gram(of_rows=True), Y @ Y.T, **close)
    assert_allclose(operator.row_squares(), (Y**2).sum(axis=1), **close)


@few
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(0, 2**32 - 1),
)
def test_every_form_has_the_losses_of_the_data(n, p, m, rank, seed):
    m = min(m, n, p)
    X = _data(n, p, rank, seed)
    Y = X - X.mean(axis=0)
    total = np.sum(Y**2)
    values = np.linalg.svd(Y, compute_uv=False)[:m] ** 2
    operator = centred_operator(X, X.mean(axis=0))
    forms = [Moments(operator), RowMoments(operator, m)]
    if m < p:
        forms.append(ProductMoments(operator))
    rng = np.random.default_rng(seed)
    for moments in forms:
        assert_allclose(moments.S.trace(), total, atol=1e-12 * total)
        axes, variances = moments.leading(m, np.random.RandomState(0))
        assert_allclose(variances, values, atol=1e-11 * total)
        W = moments.on_data(axes)
        assert_allclose(W @ W.T, np.eye(m), atol=1e-12)
        least = 0.5 * (total - values.sum())
        assert_allclose(autoencoder_loss(W, Y), least, atol=1e-11 * total)
        # On the way down too: the loss of a V is that of its weights on the data.
        V = rng.normal(size=(m, moments.S.shape[0]))
        W = moments.on_data(np.linalg.qr(V.T)[0].T)
        atol = 1e-9 * total
        if total > 0 and min(n - 1, p, rank) >= m:
            loss = subspace_autoencoder_loss(V, moments.S)
            assert_allclose(autoencoder_loss(W, Y), loss, atol=atol)


def test_weights_go_to_the_row_space_and_back():
    X = _data(6, 30, 30)
    moments = RowMoments(centred_operator(X, X.mean(axis=0)), 2)
    W = moments.on_data(np.linalg.qr(np.random.default_rng(0).normal(size=(5, 2)))[0].T)
    again = moments.on_data(moments.from_data(W))
    assert_allclose(np.abs(again @ W.T), np.eye(2), atol=1e-10)


def test_the_form_is_chosen_by_its_cost():
    rng = np.random.default_rng(0)
    thin = sparse.random_array((700, 900), density=0.002, rng=rng, format="csr")
    cases = [
        (_data(30, 5), Moments),
        (_data(5, 30), RowMoments),
        (sparse.csr_array(_data(30, 5)), Moments),
        (thin, ProductMoments),
    ]
    for X, kind in cases:
        mean = np.asarray(X.mean(axis=0)).ravel()
        assert type(second_moments(X, mean, 2)) is kind


@few
@given(
    st.lists(st.integers(1, 20), min_size=1, max_size=6),
    st.integers(1, 8),
    st.sampled_from([1e-150, 1e-8, 1.0, 1e8, 1e150]),
    st.sampled_from(FORMS),
    st.integers(0, 2**32 - 1),
)
def test_running_moments_do_not_depend_on_the_batches(sizes, p, scale, form, seed):
    X = scale * (_data(sum(sizes), p, p, seed) + 2.0)
    running = RunningMoments(p)
    for batch in np.split(X, np.cumsum(sizes)[:-1]):
        running.update(form(batch))
    Y = X - X.mean(axis=0)
    values = np.linalg.eigvalsh(Y.T @ Y)
    axes, variances = running.leading(p)
    variances = variances * running.unit**2
    total = np.sum(X**2)
    assert running.n == len(X)
    assert_allclose(running.mean, X.mean(axis=0), atol=1e-12 * np.abs(X).max())
    assert_allclose(variances, values[::-1], atol=1e-12 * total)
    assert_allclose(axes.T * variances @ axes, Y.T @ Y, atol=1e-12 * total)


@pytest.mark.parametrize("form", FORMS)
def test_running_axes_are_exact_up_to_the_rank_that_they_keep(form):
    X = _data(700, 40, 12) + 5.0
    running = RunningAxes(40, 3)
    for start in range(0, 700, 350):  # more rows than are taken at a time
        running.update(form(X[start : start + 350]))
    Y = X - X.mean(axis=0)
    axes, variances = running.leading(3)
    values, vectors = np.linalg.eigh(Y.T @ Y)
    assert_allclose(variances, values[:-4:-1], rtol=1e-9)
    assert_allclose(np.abs(axes @ vectors[:, :-4:-1]), np.eye(3), atol=1e-6)
    assert_allclose(running.total, np.sum(Y**2), rtol=1e-9)
    assert_allclose(running.mean, X.mean(axis=0))


def test_running_axes_lose_little_of_full_rank():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1500, 60)) * 0.9 ** np.arange(60) @ _data(60, 60, 60)
    running = RunningAxes(60, 4)
    for batch in np.array_split(X, 30):
        running.update(batch)
    Y = X - X.mean(axis=0)
    best = np.linalg.eigvalsh(Y.T @ Y)[-4:].sum()
    axes, variances = running.leading(4)
    kept = np.sum((Y @ axes.T) ** 2)
    assert 0.999 * best < kept <= best * (1 + 1e-12)
    assert variances.sum() <= kept * (1 + 1e-12)  # what is forgotten is missing


def test_arpack_that_gives_up_is_replaced(monkeypatch):
    X = _data(400, 300, 300)
    running = RunningMoments(300)
    running.update(X)
    expected = running.leading(2)

    def fails(*args, **kwargs):
        raise _moments.ArpackError(-9999)

    monkeypatch.setattr(_moments, "eigsh", fails)
    axes, variances = running.leading(2)
    assert_allclose(variances, expected[1])
    assert_allclose(np.abs(axes @ expected[0].T), np.eye(2), atol=1e-9)
