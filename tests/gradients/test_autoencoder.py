"""The autoencoder's loss against finite differences, itself, and the closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from gplvm.gradients.autoencoder import (
    ACTIVATIONS,
    autoencoder_gradient_paths,
    autoencoder_loss,
    centred_autoencoder_loss,
    gram_autoencoder_loss,
    optimal_loss,
    shrink_axes,
)
from gplvm.gradients.check import check_gradient

shapes = st.tuples(st.integers(1, 12), st.integers(1, 8), st.integers(1, 4))
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=30, deadline=None, derandomize=True)


def _problem(n=15, p=6, m=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(m, p)), rng.normal(size=(n, p))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("alpha", [0.0, 0.7])
def test_gradient_agrees_with_differences(activation, alpha):
    W, X = _problem()

    def loss(W):
        return autoencoder_loss(
            W, X, activation=activation, alpha=alpha, eval_gradient=True
        )

    assert check_gradient(loss, W, step=1e-4) < 1e-7


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_loss_is_the_reconstruction_error_written_out(activation):
    W, X = _problem()
    f = ACTIVATIONS[activation][0]
    error = f(f(X @ W.T) @ W) - X
    expected = 0.5 * np.sum(error**2) + 0.15 * np.sum(W**2)
    loss = autoencoder_loss(W, X, activation=activation, alpha=0.3)
    np.testing.assert_allclose(loss, expected)


@few
@given(shapes, seeds)
def test_paths_sum_to_the_gradient(shape, seed):
    n, p, m = shape
    W, X = _problem(n, p, m, seed)
    _, gradient = autoencoder_loss(W, X, eval_gradient=True)
    paths = autoencoder_gradient_paths(W, X)
    atol = 1e-12 * np.abs(paths).max()
    np.testing.assert_allclose(sum(paths), gradient, atol=atol)


def test_each_path_is_the_gradient_of_its_own_layer():
    W, X = _problem()

    def loss(encoder, decoder):
        """Weights untied, and the two paths as its gradients."""
        R = X @ encoder.T @ decoder - X
        gradients = autoencoder_gradient_paths(W, X)
        pairs = zip(("encoder", "decoder"), gradients, strict=True)
        return 0.5 * np.sum(R**2), dict(pairs)

    assert check_gradient(loss, {"encoder": W, "decoder": W}) < 1e-8


@few
@given(shapes, seeds, st.sampled_from([1e-8, 1.0, 1e8]))
def test_gram_form_equals_data_form(shape, seed, scale):
    n, p, m = shape
    W, X = _problem(n, p, m, seed)
    X *= scale
    alpha = 0.3 * scale**2
    loss, gradient = autoencoder_loss(W, X, alpha=alpha, eval_gradient=True)
    gram_loss, gram_gradient = gram_autoencoder_loss(
        W, X.T @ X, alpha=alpha, eval_gradient=True
    )
    size = np.sum(X**2) * (1.0 + np.sum(W**2)) ** 2
    np.testing.assert_allclose(gram_loss, loss, atol=1e-13 * size)
    np.testing.assert_allclose(gram_gradient, gradient, atol=1e-13 * size)


def test_gram_gradient_does_not_cancel_at_the_optimum():
    X = np.random.default_rng(0).normal(size=(40, 6)) * 10.0 ** np.arange(0, -6, -1)
    S = X.T @ X
    W = np.linalg.eigh(S)[1][:, -2:].T
    gradient = gram_autoencoder_loss(W, S, eval_gradient=True)[1]
    assert np.abs(gradient).max() < 1e-14 * np.trace(S)


def test_eigen_subspaces_are_stationary_and_only_the_leading_one_is_a_minimum():
    """Baldi and Hornik (1989), facts 3 and 4."""
    X = _problem(n=30, p=4)[1] * [4.0, 3.0, 2.0, 1.0]
    S = X.T @ X
    values, vectors = np.linalg.eigh(S)
    for chosen in [(3, 2), (3, 1), (3, 0), (2, 1), (2, 0), (1, 0)]:
        W = vectors[:, chosen].T
        loss, gradient = autoencoder_loss(W, X, eval_gradient=True)
        assert np.abs(gradient).max() < 1e-12 * values[-1]
        others = np.delete(values, chosen)
        np.testing.assert_allclose(loss, 0.5 * others.sum())
        # Turn each chosen axis a little towards each other one.
        turned = []
        for row, index in enumerate(chosen):
            for other in set(range(4)) - set(chosen):
                moved = W.copy()
                moved[row] = np.cos(1e-2) * W[row] + np.sin(1e-2) * vectors[:, other]
                turned.append((autoencoder_loss(moved, X), values[other], index))
        for turned_loss, other, index in turned:
            assert (turned_loss < loss) == (other > values[index])
        assert (min(turned)[0] < loss) == (chosen != (3, 2))


def test_shrunk_axes_are_the_minimum_of_the_penalised_loss():
    X = _problem(n=40)[1] * [4.0, 3.0, 2.0, 1.0, 0.5, 0.2]
    S = X.T @ X
    values, vectors = np.linalg.eigh(S)
    axes, variances = vectors[:, :-4:-1].T, values[:-4:-1]
    alpha = 2.0 * np.sqrt(variances[1] * variances[2])  # switches the third off
    W = shrink_axes(axes, variances, alpha)
    loss, gradient = gram_autoencoder_loss(W, S, alpha=alpha, eval_gradient=True)
    assert np.abs(gradient).max() < 1e-11 * np.trace(S)
    assert not W[2].any()
    assert W[:2].any(axis=1).all()
    rng = np.random.default_rng(0)
    for size in 10.0 ** rng.uniform(-4, 0, size=200):
        moved = W + size * rng.normal(size=W.shape)
        assert gram_autoencoder_loss(moved, S, alpha=alpha) >= loss


@few
@given(shapes, seeds, st.sampled_from([0.0, 0.7]))
def test_centred_loss_equals_that_of_centred_data(shape, seed, alpha):
    n, p, m = shape
    W, X = _problem(n, p, m, seed)
    X = np.where(np.abs(X) > 0.7, X, 0.0)
    mean = X.mean(axis=0) + 0.1  # any mean, not only that of the rows
    expected, slope = autoencoder_loss(W, X - mean, alpha=alpha, eval_gradient=True)
    size = np.sum((X - mean) ** 2) * (1.0 + np.sum(W**2)) ** 2 + 1.0
    for data in (X, sparse.csr_array(X), sparse.csr_matrix(X)):
        loss, gradient = centred_autoencoder_loss(
            W, data, mean, alpha=alpha, eval_gradient=True
        )
        np.testing.assert_allclose(loss, expected, atol=1e-13 * size)
        np.testing.assert_allclose(gradient, slope, atol=1e-13 * size)
        assert centred_autoencoder_loss(W, data, mean, alpha=alpha) == loss


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array])
def test_centred_gradient_agrees_with_differences(form):
    W, X = _problem()

    def loss(W):
        return centred_autoencoder_loss(
            W, form(X), X.mean(axis=0), alpha=0.7, eval_gradient=True
        )

    assert check_gradient(loss, W, step=1e-4) < 1e-7


@pytest.mark.parametrize("alpha", [0.0, 0.3, 3.0, 1e3])
def test_optimal_loss_is_the_loss_of_shrunk_axes(alpha):
    X = _problem(n=40)[1] * [4.0, 3.0, 2.0, 1.0, 0.5, 0.0]
    S = X.T @ X
    values, vectors = np.linalg.eigh(S)
    for m in (1, 3, 6):
        axes, variances = vectors[:, ::-1].T[:m], values[::-1][:m]
        W = shrink_axes(axes, variances, alpha)
        np.testing.assert_allclose(
            optimal_loss(np.trace(S), variances, alpha),
            autoencoder_loss(W, X, alpha=alpha),
            atol=1e-12 * np.trace(S),
        )
