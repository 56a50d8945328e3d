"""Where a Bayesian GP-LVM starts.

The prior N(0, I) fixes the scale of latent space, so every column of positions starts
with a spread of one, and what PCA knows about the columns goes into their length
scales: in length scales the columns have PCA's proportions. The widest has a spread of
q^(-1/2), near enough to the linear model that the first maps are PCA's, and enough
of the data is noise that functions bend before positions settle.
"""

import numpy as np
from sklearn.gaussian_process import kernels as sk

from gplvm import kernels
from gplvm._latent import initial_embedding, spread_of, without_functions
from gplvm._sparse import initial_inducing_points

_NOISE = 0.1  # share of the data's variance that is noise at the start
_STD = 0.5  # of every position, where the prior's is 1
_FARTHEST = 1e6  # entry of an array to start from
_STEP = 0.3  # of the shaken copies that restarts begin from

# Bounds of the default kernel: of the length scales, in spreads of the prior, and of
# the amplitude, in the data's variance. Beyond them a function is linear, or noise.
_LENGTH_SCALES = (1e-2, 1e3)
_AMPLITUDES = (1e-3, 1e3)


def default_kernel(shape, n_components, variance):
    """The kernel that ``"rbf"`` or ``"linear"`` stands for, in the data's unit.

    Parameters
    ----------
    shape : {"rbf", "linear"}
        Its name.

    n_components : int
        Number of latent dimensions; each has its own length scale or variance.

    variance : float
        The data's mean variance.
    """
    each = np.ones(n_components) if n_components > 1 else 1.0
    bounds = tuple(variance * bound for bound in _AMPLITUDES)
    if shape == "linear":
        lowest = (1e-3 * bounds[0], bounds[1])
        return kernels.Linear(variance / n_components * each, lowest)
    return sk.ConstantKernel(variance, bounds) * sk.RBF(each, _LENGTH_SCALES)


def first_start(
    Y, kernel, variance, *, shape, n_components, init, noise_variance, random_state
):
    """Positions, their uncertainty and theta to start from, without inducing points.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_features)
        Data, centred; NaN where they are missing.

    kernel : sklearn.gaussian_process.kernels.Kernel
        The kernel; one of the user's own starts where it is.

    variance : float
        The data's mean variance.

    shape : {"rbf", "linear"} or None
        Which default kernel `kernel` is, if it is one.

    n_components : int
        Number of latent dimensions.

    init : {"pca", "isomap", "random"} or array-like
        As the parameter of `BayesianGPLVM`.

    noise_variance : float or None
        A fixed noise variance.

    random_state : RandomState
        Source of ``init="random"``.

    Returns
    -------
    start : dict of str to ndarray
        ``"embedding"``, ``"embedding_std"`` and ``"theta"``.

    Raises
    ------
    ValueError
        If an array to start from is far outside the prior.
    """
    embedding = initial_embedding(Y, n_components, init, random_state)
    farthest = np.abs(embedding).max()
    if farthest > _FARTHEST:
        raise ValueError(
            f"init holds entries of {farthest:.1g}, where the prior of positions has a "
            "spread of 1; divide it by a constant"
        )
    if without_functions(kernel, embedding):
        embedding = random_state.normal(size=embedding.shape)
    spread = spread_of(embedding)
    widest = spread.max() or 1.0
    share = np.maximum(spread / widest, 1e-2)
    if isinstance(init, str):
        embedding = embedding / np.where(spread > 0, spread, 1.0)
    else:
        share = np.full(n_components, 1.0 / max(widest, 1.0 / _FARTHEST))
    theta = kernel.theta
    if shape == "rbf":
        theta[1:] = np.log(np.sqrt(n_components) / share)
    elif shape == "linear":
        # The data's variance, in PCA's proportions.
        theta = np.log(variance * share**2 / np.sum(share**2))
    noise = np.log(noise_variance or _NOISE * variance)
    return {
        "embedding": embedding,
        "embedding_std": np.full(embedding.shape, _STD),
        "theta": np.append(theta, noise),
    }


def shaken(start, random_state):
    """A copy of a start whose positions have moved a little."""
    embedding = start["embedding"]
    step = _STEP * embedding.std() * random_state.normal(size=embedding.shape)
    return {**start, "embedding": embedding + step}


def with_inducing_points(start, n_inducing, random_state):
    """The start with inducing points drawn from its positions, far from each other."""
    points = initial_inducing_points(start["embedding"], n_inducing, random_state)
    return {**start, "inducing_points": points}
