"""No window opens, and no figure outlives its test."""

import matplotlib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin

matplotlib.use("Agg")

SPECIES = [
    "direhorse",
    "mountain banshee",
    "great leonopteryx",
    "thanator",
    "viperwolf",
    "hammerhead titanothere",
    "hexapede",
]


class FakeGP(TransformerMixin, BaseEstimator):
    """A linear map with a std that grows with the distance from the origin."""

    def __init__(self, n_components=2):
        self.n_components = n_components

    def fit(self, X, y=None):
        X = np.asarray(X)
        rng = np.random.default_rng(0)
        self.W_ = np.linalg.qr(rng.normal(size=(X.shape[1], self.n_components)))[0]
        self.loss_curve_ = list(5 + 0.8 ** np.arange(30))
        return self

    def transform(self, X):
        return np.asarray(X) @ self.W_

    def inverse_transform(self, Z, return_std=False):
        mean = np.asarray(Z) @ self.W_.T
        if not return_std:
            return mean
        std = 1 + np.linalg.norm(Z, axis=1)
        return mean, np.broadcast_to(std[:, None], mean.shape)  # read-only


@pytest.fixture(scope="session")
def faces():
    """Smooth images (n, 12, 12) of seven classes, and their species."""
    rng = np.random.default_rng(0)
    grid = np.linspace(-1, 1, 12)
    target = np.arange(140) % 7
    angle = 2 * np.pi * target / 7
    x, y = 0.6 * np.cos(angle), 0.6 * np.sin(angle)
    x, y = x + rng.normal(0, 0.1, 140), y + rng.normal(0, 0.1, 140)
    square = (grid - x[:, None])[:, None, :] ** 2 + (grid - y[:, None])[:, :, None] ** 2
    return np.exp(-3 * square), target


@pytest.fixture(scope="session")
def fake_gp():
    return FakeGP


@pytest.fixture(scope="session")
def species():
    return list(SPECIES)
