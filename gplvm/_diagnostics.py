"""What a fitted Bayesian model says about itself: relevance, and warnings in words."""

import numpy as np

from gplvm.kernels._form import Form

# A dimension is relevant from this share of the largest relevance on.
RELEVANT_SHARE = 0.01

# Ratios of signal to noise variance beyond which something is amiss.
_ALL_NOISE = 0.1
_NO_NOISE = 1e5

_ALIKE = 2.0  # all dimensions look alike within this ratio of relevances
_LINEAR = 0.15  # functions look linear where the widest dimension is this few scales


def relevance(kernel, n_components):
    """How much the functions vary along each latent dimension, (q,).

    Their mean squared slope there is c / l^2 for an RBF of amplitude c, v for a linear
    kernel, and the sum of these for a sum. It is in the unit of the amplitudes of all
    the RBFs together, if there are any: 1 / l^2 for one RBF, whatever its amplitude.
    """
    form = Form(kernel, n_components)
    slopes = np.array(form.variances, dtype=float)
    amplitude = 0.0
    for scale, precisions in form.gaussians:
        slopes = slopes + scale * precisions
        amplitude += scale
    return slopes / amplitude if amplitude > 0 else slopes


def exchangeable(kernel, n_components):
    """Whether the kernel lets dimensions change places: no values or bounds differ."""
    return all(
        not hyperparameter.fixed and np.ptp(hyperparameter.bounds, axis=0).max() == 0
        for hyperparameter in kernel.hyperparameters
        if hyperparameter.n_elements == n_components > 1
    )


def reordered(kernel, order):
    """A copy of the kernel with its dimensions in another order."""
    values = kernel.get_params()
    changed = {
        hyperparameter.name: np.asarray(values[hyperparameter.name])[order]
        for hyperparameter in kernel.hyperparameters
        if hyperparameter.n_elements == len(order) > 1
    }
    return kernel.clone_with_theta(kernel.theta).set_params(**changed)


def count_relevant(relevances):
    """Number of dimensions with at least `RELEVANT_SHARE` of the largest relevance."""
    return int(np.sum(relevances >= RELEVANT_SHARE * np.max(relevances)))


def findings(*, relevances, spread, variance, noise_variance, noise_bounds, converged):
    """What is suspicious about a fit, in sentences.

    Parameters
    ----------
    relevances : ndarray of shape (q,)
        From `relevance`.

    spread : ndarray of shape (q,) or None
        Spread of the positions along each dimension, in length scales; None where the
        functions are linear by choice.

    variance : float
        The data's mean variance.

    noise_variance : float
        The fitted one.

    noise_bounds : tuple of float or None
        Bounds that it had; None if it was fixed.

    converged : bool
        Whether the walk ended by itself.

    Returns
    -------
    sentences : list of str
        Empty if nothing is.
    """
    sentences = []
    if not converged:
        sentences.append(
            "The fit did not converge: it was stopped by max_iter, Ctrl-C or a "
            "callback. Raise max_iter, or go on with warm_start=True."
        )
    ratio = variance / noise_variance
    if ratio < 1.0 + _ALL_NOISE:
        sentences.append(
            f"Noise is all the model sees (variance of the data / noise = {ratio:.3g}):"
            " it found no structure. Scale the features, try init='isomap' or more "
            "restarts, or hold the noise down with noise_variance."
        )
    elif ratio > _NO_NOISE or (
        noise_bounds is not None and noise_variance < 1.01 * noise_bounds[0]
    ):
        sentences.append(
            f"The signal-to-noise ratio is extreme ({ratio:.3g}): the model takes the "
            "data for exact, and its uncertainty for nothing. Look for copied rows or "
            "columns, or set noise_variance."
        )
    if len(relevances) > 1 and np.max(relevances) < _ALIKE * np.min(relevances):
        sentences.append(
            f"All {len(relevances)} dimensions look alike (relevances within a factor "
            f"of {np.max(relevances) / np.min(relevances):.2g}): none was switched off."
            " The fit may have stopped in its first iterations, or n_components is "
            "too small."
        )
    if spread is not None and np.max(spread) < _LINEAR:
        sentences.append(
            "The functions are almost linear (the positions span "
            f"{np.max(spread):.2g} length scales): this is PCA. It may be right; if "
            "not, try init='isomap', more restarts or more inducing points."
        )
    return sentences
