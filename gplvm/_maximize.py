"""The walk of a latent model from one start to its highest likelihood."""

import numpy as np

from gplvm._optimize import Packing, minimize_lbfgs
from gplvm.gradients.prediction import standard_normal

# Every row speaks about theta, and one row about a position: the curvature along theta
# is greater by the number of rows N. Steps of theta in units of this over sqrt(N) even
# that out; larger ones let the noise settle before the positions have unfolded.
_THETA_SCALE = 3.0


def maximize(
    start,
    *,
    likelihood,
    theta_bounds,
    latent_prior=None,
    mapping=None,
    max_iter,
    tol,
    name,
    report=None,
    warn=True,
):
    """Maximise a likelihood, plus the latent prior's density, from one start.

    Parameters
    ----------
    start : dict of str to ndarray
        ``"embedding"``, ``"inducing_points"`` if the likelihood has them, and
        ``"theta"``, in the order of the likelihood's arguments; with a mapping,
        ``"mapping"`` may hold its parameters, which then stand for the embedding.

    likelihood : DenseLikelihood, LinearLikelihood, SparseLikelihood, ...
        What is maximised.

    theta_bounds : ndarray of shape (n_hyperparameters + 1, 2)
        Bounds of theta.

    latent_prior : {"normal"} or None, default=None
        Prior of the positions.

    mapping : KernelMapping, NetworkMapping or None, default=None
        Back constraint: positions are a function of the data, and its parameters are
        optimised in their place.

    max_iter, tol, name, warn
        As in `minimize_lbfgs`; `tol` in nats per row.

    report : callable, default=None
        ``report(make_blocks, loss) -> stop`` after each iteration; ``make_blocks()``
        returns the blocks as of then.

    Returns
    -------
    blocks : dict of str to ndarray
        The end of the walk, keyed as `start`, and ``"mapping"`` with its parameters if
        there is a mapping.

    minimum : Minimum
        How the walk went; values are minus the objective per row.
    """
    n_samples = likelihood.Y.shape[0]
    coordinates = {block: a for block, a in start.items() if block != "mapping"}
    scale = theta_scale = 1.0
    if mapping is None:
        coordinates["embedding"] = likelihood.encode(start["embedding"])
        # The optimiser sees positions of order one, whatever the data's unit.
        scale = start["embedding"].std() or 1.0
        if not hasattr(likelihood, "renew"):
            theta_scale = min(1.0, _THETA_SCALE / np.sqrt(n_samples))
    else:
        parameters = start.get("mapping")
        if parameters is None:
            parameters = mapping.start(start["embedding"])
        coordinates["embedding"] = parameters
    scales = {block: scale for block in coordinates} | {"theta": theta_scale}
    packing = Packing(**coordinates)

    def unpack(packed):
        blocks = packing.unpack(packed)
        return {block: scales[block] * value for block, value in blocks.items()}

    def objective(packed):
        blocks = unpack(packed)
        if mapping is None:
            value, gradient = likelihood.evaluate(*blocks.values())
        else:
            blocks["embedding"], pull = mapping.pullback(blocks["embedding"])
            value, gradient = likelihood.log_likelihood(
                *blocks.values(), eval_gradient=True
            )
        if latent_prior is not None:
            # Where coordinates stand for positions X = U V, U'U = I: |X| = |V|.
            prior, slope = standard_normal(blocks["embedding"])
            value += float(prior.sum())
            gradient["embedding"] = gradient["embedding"] + slope
        if mapping is not None:
            gradient["embedding"] = pull(gradient["embedding"])
        scaled = {block: scales[block] * gradient[block] for block in coordinates}
        return -value / n_samples, -packing.pack(**scaled) / n_samples

    def decode(packed):
        blocks = {block: value.copy() for block, value in unpack(packed).items()}
        if mapping is None:
            blocks["embedding"] = likelihood.decode(blocks["embedding"])
        else:
            blocks["mapping"] = blocks["embedding"]
            blocks["embedding"] = mapping.pullback(blocks["mapping"])[0]
        return blocks

    def renew(packed):
        blocks = unpack(packed)
        blocks["embedding"], blocks["theta"] = likelihood.renew(
            blocks["embedding"], blocks["theta"], theta_bounds
        )
        return packing.pack(**{b: blocks[b] / scales[b] for b in blocks})

    # The linear likelihood knows the best scales along a span; not beside a prior.
    free = mapping is None and latent_prior is None
    renewable = free and hasattr(likelihood, "renew")
    infinite = {block: np.full(np.shape(a), np.inf) for block, a in coordinates.items()}
    bounds = [
        packing.pack(**{**infinite, "theta": sign * side / theta_scale}) * sign
        for side, sign in zip(theta_bounds.T, (-1.0, 1.0), strict=True)
    ]
    minimum = minimize_lbfgs(
        objective,
        packing.pack(**{b: coordinates[b] / scales[b] for b in coordinates}),
        bounds=np.column_stack(bounds),
        max_iter=max_iter,
        tol=tol,
        renew=renew if renewable else None,
        on_iteration=report and (lambda x, loss: report(lambda: decode(x), loss)),
        name=name,
        warn=warn,
    )
    return decode(minimum.x), minimum
