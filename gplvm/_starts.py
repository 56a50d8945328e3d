"""Where a GP-LVM starts: the latent spread decides which optimum is found.

The spread in length scales at the start chooses between regimes: one near the linear
model, where PCA's map is already explained, and one in which the map can bend.
Neither serves all data, so a few starts race for some iterations (`race`), judged by
the likelihood. Of an array that the user gives, the shape counts and not the unit: its
scale is free too.
"""

import numpy as np
from sklearn.gaussian_process import kernels as sk

from gplvm._centred import divided, unit_near
from gplvm._latent import initial_embedding, spread_of, without_functions
from gplvm._likelihoods import LinearLikelihood
from gplvm._maximize import maximize
from gplvm._optimize import walks_from

_SPREAD = 2.0  # of every column, in length scales: a map that can bend
_MILD_SPREAD = 1.0  # of the widest column, the others in PCA's proportions
_LINEAR_SPREAD = 0.1  # of the widest column: an RBF that short is linear
_NOISE = 0.3  # share of the data's variance that is noise at the start

# Iterations of all starts, then of the two that lead.
_RACE_ITERATIONS = (20, 30)

# An array's scale is looked for from these, relative to its first start.
_DILATIONS = (0.05, 0.25, 1.0, 4.0, 16.0)
_DILATION_ITERATIONS = 10

# Decimals of an array's positions, in their own spread: what is left of the unit it
# came in is rounding, and the walk would make much of it.
_DECIMALS = 9

# An array's column of relatively less spread than this starts with a little noise.
_STILL = 1e-6
_NUDGE = 0.1


def candidate_starts(
    Y, kernel, variance, *, n_components, init, noise_variance, random_state
):
    """Latent positions and theta to start from, the usual one first.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_features)
        Data, centred; NaN where they are missing.

    kernel : sklearn.gaussian_process.kernels.Kernel
        The kernel, with its hyperparameters at the start.

    variance : float
        The data's mean variance.

    n_components : int
        Number of latent dimensions.

    init : {"pca", "isomap", "random"} or array-like
        As the parameter of `GPLVM`; an array's scale makes no difference.

    noise_variance : float or None
        A fixed noise variance.

    random_state : RandomState
        Source of ``init="random"``.

    Returns
    -------
    starts : list of dict of str to ndarray
        ``"embedding"`` and ``"theta"``.
    """
    embedding = initial_embedding(Y, n_components, init, random_state)
    embedding = divided(embedding, unit_near(np.abs(embedding).max()))
    log_noise = np.log(noise_variance or _NOISE * variance)
    theta = np.append(kernel.theta, log_noise)
    spread = spread_of(embedding)
    given = not isinstance(init, str)
    if given and spread.any():
        embedding = np.round(embedding / spread.max(), _DECIMALS)
    # Linear functions have the variance of the positions. Without any, they would have
    # none of their own.
    linear = LinearLikelihood.is_linear(kernel)
    if (linear and not spread.any()) or without_functions(kernel, embedding):
        embedding = random_state.normal(size=embedding.shape)
        spread = spread_of(embedding)
    if linear:
        return [{"embedding": np.sqrt(variance) * embedding, "theta": theta}]
    if given:
        # A column without spread is a saddle: no gradient leads out of it.
        still = spread <= _STILL * spread.max()
        noise = random_state.normal(size=embedding.shape)
        embedding = np.where(still, _NUDGE * noise, embedding)
    elif not spread.any():
        return [{"embedding": embedding, "theta": theta}]
    if given:
        starts = [{"embedding": _SPREAD * embedding, "theta": theta}]
    else:
        even = embedding * (_SPREAD / np.where(spread > 0, spread, 1.0))
        starts = [{"embedding": even, "theta": theta}]
    proportional = embedding / embedding.std(axis=0).max()
    starts.append({"embedding": _MILD_SPREAD * proportional, "theta": theta})
    linear = _linear_theta(Y, kernel, theta, proportional, noise_variance)
    if linear is not None:
        starts.append({"embedding": _LINEAR_SPREAD * proportional, "theta": linear})
    return starts


def _linear_theta(Y, kernel, theta, proportional, noise_variance):
    """theta that makes an amplitude times a stationary kernel the linear model."""
    is_amplitude = (
        type(kernel) is sk.Product
        and type(kernel.k1) is sk.ConstantKernel
        and kernel.k1.n_dims == 1
        and kernel.k2.is_stationary()
        and np.ndim(getattr(kernel.k2, "length_scale", ())) == 0
        and hasattr(kernel.k2, "length_scale")
        and not kernel.k2.get_params().get("periodicity")
    )
    if not is_amplitude:
        return None
    # Near the origin k = c (1 - d^2 / (2 l^2) + ...): the linear part is c x z' / l^2,
    # and c = l^2 b^2 / s^2 gives a column of spread s the coefficients b of the
    # regression of the data on the column of spread 1.
    filled = np.nan_to_num(Y)
    coefficients, *_ = np.linalg.lstsq(proportional, filled, rcond=None)
    residual = np.nanmean((Y - proportional @ coefficients) ** 2)
    slope = np.sqrt(np.mean(coefficients[np.argmax(proportional.std(axis=0))] ** 2))
    amplitude = (kernel.k2.length_scale * slope / _LINEAR_SPREAD) ** 2
    theta = theta.copy()
    with np.errstate(divide="ignore"):
        theta[0] = np.clip(np.log(amplitude), *kernel.bounds[0])
        if noise_variance is None:
            theta[-1] = max(np.log(residual), theta[-1] + np.log(1e-6))
    return theta


def race(starts, *, dilate=False, **problem):
    """The start whose walk is highest after a few iterations, as of then.

    Parameters
    ----------
    starts : list of dict of str to ndarray
        As `maximize` takes them.

    dilate : bool, default=False
        Whether the first start races in its best scale too: the one at which the
        likelihood is highest, its shape unchanged.

    **problem
        The other arguments of `maximize`.

    Returns
    -------
    blocks : dict of str to ndarray
        Where the winner stands, as `maximize` returns them.

    minimum : Minimum
        How its walk went; `interrupted` says that Ctrl-C ended the race.
    """
    problem = {**problem, "warn": False}
    if dilate:
        dilated, minimum = _dilated(starts[0], problem)
        if minimum.interrupted:
            return dilated, minimum
        starts = [*starts, dilated]
    for places, max_iter in zip((2, 1), _RACE_ITERATIONS, strict=True):
        walks = _walks(starts, {**problem, "max_iter": max_iter})
        if walks[0][1].interrupted:
            break
        starts = [blocks for blocks, _ in walks[:places]]
    return walks[0]


def _walks(starts, problem):
    """Blocks and `Minimum` of each walk, highest first; Ctrl-C ends them all."""
    walks = walks_from(starts, lambda start: maximize(start, **problem))
    interrupted = walks[-1][1].interrupted
    walks.sort(key=lambda walk: walk[1].fun)
    walks[0][1].interrupted = interrupted
    return walks


def _dilated(start, problem):
    """A start in the scale of highest likelihood, theta fitted to it."""
    problem = {
        **problem,
        "mapping": Dilation(start["embedding"]),
        "max_iter": _DILATION_ITERATIONS,
    }
    scaled = []
    for factor in _DILATIONS:
        scaled.append({**start, "mapping": np.log([factor])})
        if "inducing_points" in start:
            scaled[-1]["inducing_points"] = factor * start["inducing_points"]
    blocks, minimum = _walks(scaled, problem)[0]
    if not minimum.interrupted:
        problem["max_iter"] = 2 * _DILATION_ITERATIONS
        blocks, minimum = maximize(blocks, **problem)
    del blocks["mapping"]
    return blocks, minimum


class Dilation:
    """``X = exp(s) A``: positions of a shape A in any scale, a mapping for `maximize`.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, n_components)
        The shape A.
    """

    def __init__(self, embedding):
        self._shape = embedding

    def pullback(self, parameters):
        """Positions, and the map from dL/dX to dL/ds."""
        # X = e^s A: dX/ds = X, dL/ds = <dL/dX, X>.
        positions = np.exp(np.clip(parameters, -50.0, 50.0)) * self._shape
        return positions, lambda dX: np.array([np.vdot(dX, positions)])
