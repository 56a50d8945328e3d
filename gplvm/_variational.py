"""The walks of the Bayesian model: to its highest bound, and of new rows to theirs.

Both see each position in the unit of its own uncertainty. At the optimum a position's
curvature is about 1 / S and that of log S about 1/2, so that in mu / S^(1/2) and log S
all rows, well known or not, have curvatures of order one, and L-BFGS needs a fraction
of the iterations.
"""

import numpy as np

from gplvm._optimize import Packing, minimize_lbfgs
from gplvm._parallel import row_blocks
from gplvm._projection import equal_rows, minimize_rows, nearest_rows

# Units in which the walk sees the inducing points and theta, on which all the rows
# pull. On three data sets of 1000 rows a unit of theta three times larger or smaller
# ended up to 2000 nats lower after 160 iterations: the hyperparameters run away from
# positions that have not settled, or lag behind them. The other matters little.
_UNITS = {"log_std": 1.0, "inducing_points": 0.05, "theta": 0.01}

# Iterations over which a gain below `tol` ends the walk, which creeps over plateaus:
# with 5, five in forty fits of 60 rows near a plane stopped on one 16 nats below the
# end, with 15 none, and six fits of 1000 rows ended 12 to 86 nats higher for 4 to 19
# percent more iterations.
_WINDOW = 15

# The positions' unit is renewed before the first iteration and after 5, 15, 35, 75.
_RENEWALS = 5

# Bounds of a position's standard deviation; the prior's is 1.
_STD_BOUNDS = (1e-4, 10.0)

# Entries of the curvatures, (2 q)^2 for each row, of the rows that walk side by side:
# 16 MB. Fewer rows at a time take longer, since the last of them walk almost alone.
_CURVATURES = 2**21

# First step of a new row's walk, in standard deviations.
_FIRST_STEP = 0.1

# New rows start from two of so many nearest training rows: the best of them, and the
# best at half the positions' spread from it.
_N_NEIGHBORS = 10
_ELSEWHERE = 0.5

# Ends whose bounds differ by less, in nats, may be on their way to the same optimum.
_MEETING = 0.1

# A walk that has stopped has left some rows' positions up to half the prior's standard
# deviation from where their own bounds are highest, on data of 1000 rows; two rounds of
# so many steps bring them to a few hundredths, for a hundredth of the walk's time.
_SETTLING_ROUNDS, _SETTLING_STEPS = 2, 15


def ascend(
    start,
    *,
    likelihood,
    theta_bounds,
    max_iter,
    tol,
    name,
    max_renewals=_RENEWALS,
    report=None,
):
    """Maximise the Bayesian model's bound from one start, by L-BFGS.

    The unit of positions is renewed on the way.

    Parameters
    ----------
    start : dict of str to ndarray
        ``"embedding"`` and ``"embedding_std"`` (n_samples, q), ``"inducing_points"``
        (n_inducing, q) and ``"theta"``.

    likelihood : BayesianLikelihood or BayesianPatternLikelihood
        Whose `elbo` is maximised.

    theta_bounds : ndarray of shape (n_hyperparameters + 1, 2)
        Bounds of theta.

    max_iter, tol, name
        As in `minimize_lbfgs`; `tol` in nats per row.

    max_renewals : int, default=5
        How often, the one before the first iteration included. For a start whose
        uncertainties are almost right once is enough, and the walk does not end early
        in the short steps after a renewal.

    report : callable, default=None
        ``report(make_blocks, loss) -> stop`` after each iteration; ``make_blocks()``
        returns the blocks as of then.

    Returns
    -------
    blocks : dict of str to ndarray
        The end of the walk, keyed as `start`.

    minimum : Minimum
        How the walk went; values are minus the bound per row. Its `problem`, if there
        is one, is for the caller to tell.
    """
    n_samples = len(start["embedding"])
    packing = Packing(
        embedding=start["embedding"],
        log_std=start["embedding"],
        inducing_points=start["inducing_points"],
        theta=start["theta"],
    )
    units = {"embedding": start["embedding_std"], **_UNITS}

    def pack(blocks):
        values = {**blocks, "log_std": np.log(blocks["embedding_std"])}
        return packing.pack(**{k: values[k] / unit for k, unit in units.items()})

    def unpack(packed):
        blocks = {k: units[k] * v for k, v in packing.unpack(packed).items()}
        blocks["embedding_std"] = np.exp(blocks.pop("log_std"))
        return blocks

    def objective(packed):
        blocks = unpack(packed)
        value, gradient = likelihood.elbo(**blocks, eval_gradient=True)
        # dF/dlog s = s dF/ds.
        gradient["log_std"] = blocks["embedding_std"] * gradient["embedding_std"]
        scaled = {k: unit * gradient[k] for k, unit in units.items()}
        return -value / n_samples, -packing.pack(**scaled) / n_samples

    def renew(packed):
        blocks = unpack(packed)
        units["embedding"] = blocks["embedding_std"]
        return pack(blocks)

    minimum = minimize_lbfgs(
        objective,
        pack(start),
        bounds=np.column_stack(
            [packing.pack(**_bounds(start, theta_bounds, side)) for side in (0, 1)]
        ),
        max_iter=max_iter,
        tol=tol,
        renew=renew,
        window=_WINDOW,
        max_renewals=max_renewals,
        on_iteration=report and (lambda x, loss: report(lambda: unpack(x), loss)),
        name=name,
        warn=False,
    )
    return unpack(minimum.x), minimum


def _bounds(start, theta_bounds, side):
    """Lower (0) or upper (1) bounds of what the walk sees, by block."""
    # Positions and inducing points have none, whatever their unit.
    shape, infinity = start["embedding"].shape, (-np.inf, np.inf)[side]
    log_std = np.log(_STD_BOUNDS[side]) / _UNITS["log_std"]
    return {
        "embedding": np.full(shape, infinity),
        "log_std": np.full(shape, log_std),
        "inducing_points": np.full(start["inducing_points"].shape, infinity),
        "theta": theta_bounds[:, side] / _UNITS["theta"],
    }


def settle(blocks, likelihood):
    """The end of a walk, with every row's posterior at the optimum of its own bound.

    Parameters
    ----------
    blocks : dict of str to ndarray
        From `ascend`.

    likelihood : BayesianLikelihood or BayesianPatternLikelihood
        The walk's.

    Returns
    -------
    blocks : dict of str to ndarray
        Of a bound at least as high.

    bound : float
        That bound, in nats.
    """
    # The collapsed bound is the highest of F(q(X), q(u)) over q(u), which for a given
    # q(u) is a sum over rows: climbing each of its terms, and then taking the best
    # q(u) anew, only raises it.
    bound = likelihood.elbo(**blocks)
    for _ in range(_SETTLING_ROUNDS):
        with np.errstate(over="ignore", invalid="ignore"):
            settled = _settled(blocks, likelihood)
            higher = likelihood.elbo(**settled)
        if not higher > bound:
            break
        blocks, bound = settled, higher
    return blocks, bound


def _settled(blocks, likelihood):
    functions = likelihood.posterior(**blocks)
    ends = [
        functions.row_bound(likelihood.Y[rows], likelihood.n_threads).settle(
            blocks["embedding"][rows], blocks["embedding_std"][rows], _SETTLING_STEPS
        )
        for rows in row_blocks(len(likelihood.Y), functions.most_rows)
    ]
    mean, std, _ = map(np.concatenate, zip(*ends, strict=True))
    return {**blocks, "embedding": mean, "embedding_std": std}


def infer_rows(row_bound, rows, mean, std, *, max_iter=200, tol=1e-9):
    """Variational posteriors of rows' positions, each row by itself, by BFGS.

    Parameters
    ----------
    row_bound : RowBound
        The rows' bounds.

    rows : ndarray of shape (n_rows,)
        Their numbers there.

    mean, std : ndarray of shape (n_rows, q)
        Where they start; `std` is the unit of the steps too.

    max_iter, tol
        As in `minimize_rows`.

    Returns
    -------
    mean, std : ndarray of shape (n_rows, q)
        Of q(x).

    bound : ndarray of shape (n_rows,)
        The highest bound on each row's log density, in nats.
    """
    limits, q = np.log(_STD_BOUNDS), mean.shape[1]

    def positions(coordinates, some):
        mu = std[some] * coordinates[:, :q]
        return mu, np.exp(np.clip(coordinates[:, q:], *limits))

    def negative(coordinates, some):
        mu, s = positions(coordinates, some)
        bound, dmu, dS = row_bound(mu, s**2, rows[some])
        # dF/dlog s = 2 s^2 dF/dS, inside the limits.
        inside = (coordinates[:, q:] > limits[0]) & (coordinates[:, q:] < limits[1])
        return -bound, -np.hstack([std[some] * dmu, 2.0 * s**2 * dS * inside])

    starts = np.hstack([mean / std, np.log(std)])
    ends, values = minimize_rows(
        negative,
        starts,
        first_step=_FIRST_STEP,
        max_iter=max_iter,
        tol=tol,
        rounding=row_bound.rounding,
    )
    return *positions(ends, slice(None)), -values


def infer_new_rows(functions, Y, *, training, means, stds, n_threads=None):
    """Posteriors of rows, from those of their nearest training rows.

    Parameters
    ----------
    functions : BayesianPosterior
        What is known of the functions.

    Y : ndarray of shape (n_rows, n_features)
        Data rows, centred; NaN where they are missing.

    training : ndarray of shape (n_samples, n_features)
        The training rows, centred. A row that is among them to the bit keeps its
        posterior, which maximises its bound already: the functions' posterior is the
        one at which its gradient is zero.

    means, stds : ndarray of shape (n_samples, q)
        The training rows' posteriors.

    n_threads : int, default=None
        Threads over chunks of rows. None: as many as BLAS would use.

    Returns
    -------
    mean, std, bound
        As `infer_rows` returns them.
    """
    curvatures = (2 * means.shape[1]) ** 2
    size = max(1, min(_CURVATURES // curvatures, functions.most_rows))
    owner = equal_rows(Y, training)
    parts = [
        _infer_block(
            functions.row_bound(Y[rows], n_threads),
            Y[rows],
            owner[rows],
            training,
            means,
            stds,
        )
        for rows in row_blocks(len(Y), size)
    ]
    return tuple(map(np.concatenate, zip(*parts, strict=True)))


def _infer_block(row_bound, Y, owner, training, means, stds):
    known, new = np.flatnonzero(owner >= 0), np.flatnonzero(owner < 0)
    mean, std = np.empty((2, len(Y), means.shape[1]))
    bound = np.empty(len(Y))
    mean[known], std[known] = means[owner[known]], stds[owner[known]]
    if known.size:
        bound[known], _, _ = row_bound(mean[known], std[known] ** 2, known)
    if new.size:
        neighbors = nearest_rows(Y[new], training, min(_N_NEIGHBORS, len(training)))
        starts = _two_starts(row_bound, new, neighbors, means, stds).ravel()
        *ends, values = row_bound.settle(
            means[starts], stds[starts], _SETTLING_STEPS, np.repeat(new, 2)
        )
        # Of ends that meet in one optimum the first wins, whatever the rounding.
        values = values.reshape(-1, 2)
        second = values[:, 1] > values[:, 0] + _MEETING
        best = 2 * np.arange(len(new)) + second
        mean[new], std[new], bound[new] = infer_rows(
            row_bound, new, *(end[best] for end in ends)
        )
    return mean, std, bound


def _two_starts(row_bound, rows, neighbors, means, stds):
    """Two training rows each, (n_rows, 2): the neighbour of highest bound, and the one
    of highest bound elsewhere."""
    n_rows, n_neighbors = neighbors.shape
    flat = neighbors.ravel()
    bound, _, _ = row_bound(means[flat], stds[flat] ** 2, np.repeat(rows, n_neighbors))
    bound = bound.reshape(n_rows, n_neighbors)
    rows = np.arange(n_rows)
    first = bound.argmax(axis=1)
    candidates = means[neighbors]
    distance = np.linalg.norm(candidates - candidates[rows, first][:, None], axis=2)
    elsewhere = distance > _ELSEWHERE * means.std(axis=0).max()
    bound[~elsewhere] = -np.inf
    second = np.where(elsewhere.any(axis=1), bound.argmax(axis=1), first)
    return np.column_stack([neighbors[rows, first], neighbors[rows, second]])
