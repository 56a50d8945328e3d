"""Latent positions as a smooth function of the data: back constraints.

A mapping turns a flat vector of parameters into the positions of rows, X = g(Y), so
that rows near in the data stay near in latent space and a new row's position is one
pass (N. D. Lawrence and J. Quinonero-Candela, ICML 2006).
"""

import numpy as np
from scipy import linalg
from scipy.spatial.distance import cdist
from sklearn.gaussian_process import kernels as sk

from gplvm import kernels
from gplvm._sparse import initial_inducing_points
from gplvm.gradients.network import (
    n_network_parameters,
    parameter_views,
    two_layer_pullback,
)

_N_CENTRES = 1000  # at most, of the kernel mapping
# Hidden units of the network: one for so many rows, within these bounds. More fit the
# training rows better and new ones worse: 64 for 200 digits reconstruct new ones with
# an error of 0.73 of their variance, 8 with 0.55.
_ROWS_PER_UNIT = 25
_N_HIDDEN = (8, 64)
_RIDGE = 1e-3  # of the fit to the initial positions, relative to the features


class KernelMapping:
    """``X = k(Y, C) A``: an RBF kernel around rows C of the data, linear in A.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_features)
        Data, centred.

    n_components : int
        Number of latent dimensions.

    random_state : RandomState
        Chooses the centres, where there are more than 1000 rows.
    """

    def __init__(self, Y, n_components, random_state):
        n_centres = min(len(Y), _N_CENTRES)
        self._centres = Y
        if n_centres < len(Y):
            self._centres = initial_inducing_points(Y, n_centres, random_state)
        # Rows at the median distance get a covariance of exp(-1/2).
        some = self._centres[:: max(1, n_centres // 100)]
        distance = cdist(self._centres, some)
        typical = np.median(distance[distance > 0]) if np.any(distance) else 1.0
        self._kernel = sk.RBF(typical)
        self._n_components = n_components
        self.Y, self._training = Y, self._features(Y)

    def start(self, embedding):
        """Parameters whose positions are near `embedding`."""
        return _ridge(self._training, embedding).ravel()

    def __call__(self, parameters, Y):
        """Positions (n_rows, n_components) of data rows."""
        return self._features(Y) @ parameters.reshape(-1, self._n_components)

    def pullback(self, parameters):
        """Positions of the training rows, and the map from dL/dX to dL/dparameters."""
        # X = Phi A: dL/dA = Phi' dL/dX.
        features = self._training
        positions = features @ parameters.reshape(-1, self._n_components)
        return positions, lambda dX: (features.T @ dX).ravel()

    def _features(self, Y):
        return kernels.matrix(self._kernel, Y, self._centres)


class NetworkMapping:
    """The two-layer swish network's forward pass, one output a latent dimension.

    It has a hidden unit for every 25 rows, at least 8 and at most 64.

    Parameters
    ----------
    Y, n_components, random_state
        As in `KernelMapping`; the random state draws the hidden layer.
    """

    def __init__(self, Y, n_components, random_state):
        n_hidden = int(np.clip(len(Y) // _ROWS_PER_UNIT, *_N_HIDDEN))
        self._shape = Y.shape[1], max(n_hidden, n_components), n_components
        self.Y = Y
        self._scale = Y.std() * np.sqrt(Y.shape[1]) or 1.0
        self._training = Y / self._scale
        self._random_state = random_state

    def start(self, embedding):
        """A random hidden layer, and the ridge regression of `embedding` on it."""
        _, n_hidden, n_components = self._shape
        parameters = np.zeros(n_network_parameters(*self._shape))
        W1, b1, W2, b2 = self._views(parameters)
        # Rows have a norm of about one: hidden inputs of about one use swish's bend.
        W1[:] = self._random_state.normal(size=W1.shape)
        b1[:] = self._random_state.normal(size=n_hidden)
        W2[:], b2[:] = np.eye(n_hidden)[:n_components], 0.0
        hidden, _ = two_layer_pullback(
            [W1, b1, np.eye(n_hidden), np.zeros(n_hidden)], self._training
        )
        weights = _ridge(np.column_stack([hidden, np.ones(len(hidden))]), embedding)
        W2[:], b2[:] = weights[:-1].T, weights[-1]
        return parameters

    def __call__(self, parameters, Y):
        """Positions (n_rows, n_components) of data rows."""
        return two_layer_pullback(self._views(parameters), Y / self._scale)[0]

    def pullback(self, parameters):
        """Positions of the training rows, and the map from dL/dX to dL/dparameters."""
        positions, pull = two_layer_pullback(self._views(parameters), self._training)

        def pullback(dX):
            gradient = np.empty_like(parameters)
            pull(dX, self._views(gradient))
            return gradient

        return positions, pullback

    def _views(self, parameters):
        return parameter_views(parameters, *self._shape)


MAPPINGS = {"kernel": KernelMapping, "mlp": NetworkMapping}


def _ridge(features, targets):
    """Ridge regression, with a penalty relative to the features' mean square."""
    gram = features.T @ features
    penalty = _RIDGE * np.trace(gram) / len(gram)
    gram.flat[:: len(gram) + 1] += penalty
    return linalg.solve(gram, features.T @ targets, assume_a="pos")
