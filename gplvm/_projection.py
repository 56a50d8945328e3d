"""How new rows join a latent model: many small optimisations, side by side.

Each row takes its own path, so that it ends in the same place alone and in a batch.
"""

import numpy as np

from gplvm._centred import CentredSparse
from gplvm._parallel import TILE, row_blocks, whole_tiles

# A step is no longer than so many first steps: far from all training rows the density
# is a plateau, which may be higher than a start and leads nowhere.
_LONGEST_STEP = 10.0


def nearest_rows(Y, training, n_neighbors):
    """Indices (n_rows, n_neighbors) of the nearest training rows, nearest first.

    Distances are mean squares over the entries that both rows have; of sparse training
    rows, missing entries of the others count as the mean.
    """
    nearest = np.empty((len(Y), n_neighbors), dtype=int)
    if isinstance(training, CentredSparse):
        squares = training.row_squares()
        for rows in row_blocks(len(Y)):
            products = (training @ np.nan_to_num(Y[rows]).T).T
            nearest[rows] = _smallest(squares - 2.0 * products, n_neighbors)
        return nearest
    # sum m (y - t)^2 = m t^2 - 2 y t + y^2 m over masks: products of the rows' values
    # (zero where they are missing), squares and masks.
    t_observed = ~np.isnan(training)
    complete = t_observed.all()
    t = training if complete else np.where(t_observed, training, 0.0)
    t_squares, t_mask = (t**2).T, t_observed.astype(float)
    of_whole = t_squares.sum(axis=0)
    for rows in row_blocks(len(Y)):
        observed = ~np.isnan(Y[rows])
        if complete and observed.all():
            distance = of_whole - 2.0 * _products(Y[rows], t.T)
            nearest[rows] = _smallest(distance, n_neighbors)
            continue
        y, mask = np.where(observed, Y[rows], 0.0), observed.astype(float)
        distance = _products(mask, t_squares) - 2.0 * _products(y, t.T)
        if not complete:
            shared = mask @ t_mask.T
            distance += _products(y**2, t_mask.T)
            with np.errstate(divide="ignore", invalid="ignore"):
                distance = np.where(shared > 0, distance / shared, np.inf)
        nearest[rows] = _smallest(distance, n_neighbors)
    return nearest


def _products(A, B):
    """``A @ B``, each row the same to the bit whatever rows it comes with.

    Where many training rows are equally near, rounding decides which are taken. BLAS
    rounds products of other shapes differently, so all have the same.
    """
    padded = A[whole_tiles(np.arange(len(A)))]
    tiles = np.matmul(padded.reshape(-1, TILE, A.shape[1]), B)
    return tiles.reshape(len(padded), -1)[: len(A)]


def equal_rows(Y, training):
    """Which training row each row equals to the bit, the first of equal ones, or -1.

    Parameters
    ----------
    Y : ndarray of shape (n_rows, n_features)
        Rows, NaN where they are missing.

    training : ndarray of shape (n_samples, n_features)
        Training rows.

    Returns
    -------
    owner : ndarray of shape (n_rows,)
    """
    marks = _marks(training)
    order = np.argsort(marks, kind="stable")
    place = np.searchsorted(marks, _marks(Y), sorter=order)
    candidate = order[np.minimum(place, len(order) - 1)]
    return np.where(_same(training[candidate], Y), candidate, -1)


def equal_neighbors(Y, neighbors, training):
    """`equal_rows` for a `CentredSparse` `training`, among each row's nearest.

    Of equal rows the first that is among them counts.
    """
    owner = np.full(len(Y), -1)
    for candidates in np.sort(neighbors, axis=1).T[::-1]:
        same = _same(training.rows(candidates), Y)
        owner[same] = candidates[same]
    return owner


def _same(rows, Y):
    return ((rows == Y) | (np.isnan(Y) & np.isnan(rows))).all(axis=1)


def _marks(Y):
    """A number of 64 bits for each row, the same for equal rows."""
    factors = np.random.default_rng(0).integers(2**63, size=Y.shape[1], dtype=np.uint64)
    marks = np.empty(len(Y), dtype=np.uint64)
    for rows in row_blocks(len(Y)):
        # One NaN and one zero, whichever bits they have.
        block = np.where(np.isnan(Y[rows]), np.nan, Y[rows]) + 0.0
        marks[rows] = block.view(np.uint64) @ (2 * factors + 1)  # modulo 2^64
    return marks


def _smallest(distance, n_neighbors):
    """Columns of the smallest entries of each row, smallest first."""
    part = np.argpartition(distance, n_neighbors - 1, axis=1)[:, :n_neighbors]
    order = np.take_along_axis(distance, part, axis=1).argsort(axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)


def apart_starts(candidates, density, *, n_starts, distance):
    """Of each row's candidates, the densest ones that lie apart.

    Parameters
    ----------
    candidates : ndarray of shape (n_rows, n_candidates, q)
        Positions.

    density : ndarray of shape (n_rows, n_candidates)
        How good each is; overwritten.

    n_starts : int
        How many are wanted; where fewer lie apart, the first comes again.

    distance : float
        How far from each other they are.

    Returns
    -------
    starts : ndarray of shape (n_rows, min(n_starts, n_candidates), q)
    """
    rows = np.arange(len(candidates))
    starts = []
    for _ in range(min(n_starts, candidates.shape[1])):
        best = density.argmax(axis=1)
        chosen = candidates[rows, best]
        if starts:
            left = density[rows, best] > -np.inf
            chosen = np.where(left[:, None], chosen, starts[0])
        starts.append(chosen)
        near = np.linalg.norm(candidates - chosen[:, None], axis=2) <= distance
        density[near] = -np.inf
    return np.stack(starts, axis=1)


def project_rows(log_density, Y, starts, *, spread, judge=None, max_iter=200, tol=1e-9):
    """Latent positions that maximise a density of each row.

    Parameters
    ----------
    log_density : callable
        ``log_density(X, Y) -> (values (B,), gradients (B, q))``, row by row.

    Y : ndarray of shape (n_rows, n_features)
        Data rows, centred.

    starts : ndarray of shape (n_rows, n_starts, n_components)
        Each row's starts; the best end wins.

    spread : float
        Standard deviation of all positions, the unit of latent space.

    judge : callable, default=None
        ``judge(X) -> values (B,)``, added to the density at the ends of a row's walks
        to choose among them. None: the density alone.

    max_iter : int, default=200
        Iterations at most.

    tol : float, default=1e-9
        Tolerance of `minimize_rows`.

    Returns
    -------
    positions : ndarray of shape (n_rows, n_components)
    """
    n_rows, n_starts, n_components = starts.shape
    owner = np.repeat(np.arange(n_rows), n_starts)

    def negative(X, active):
        value, gradient = log_density(X, Y[owner[active]])
        return -value, -gradient

    ends, values = minimize_rows(
        negative,
        starts.reshape(-1, n_components),
        first_step=0.02 * spread,
        max_iter=max_iter,
        tol=tol,
    )
    if judge is not None:
        values = values - judge(ends)
    values = values.reshape(n_rows, n_starts)
    # Starts that meet in one optimum differ by rounding only: the first of them wins,
    # so that a row's answer does not depend on the batch it came in.
    lowest = values.min(axis=1, keepdims=True)
    winner = np.argmax(values <= lowest + 1e-7 * (1.0 + np.abs(lowest)), axis=1)
    return ends.reshape(starts.shape)[np.arange(n_rows), winner]


def laplace_covariance(log_density, X, Y, *, spread):
    """Covariances of projected positions, from the density's curvature.

    Laplace's approximation: the covariance of x given y is the inverse of
    H = -d^2 log p / dx^2 at its maximum. H comes from central differences of
    the analytic gradient.

    Parameters
    ----------
    log_density : callable
        As in `project_rows`.

    X : ndarray of shape (n_rows, n_components)
        Positions at their maxima.

    Y : ndarray of shape (n_rows, n_features)
        Data rows, centred.

    spread : float
        Standard deviation of all positions: where the data say less than that about
        a direction, it stands.

    Returns
    -------
    covariance : ndarray of shape (n_rows, n_components, n_components)
    """
    n_components = X.shape[1]
    step = 1e-4 * spread
    H = np.empty((len(X), n_components, n_components))
    for q in range(n_components):
        shift = np.zeros(n_components)
        shift[q] = step
        above = log_density(X + shift, Y)[1]
        below = log_density(X - shift, Y)[1]
        H[:, q] = (below - above) / (2.0 * step)
    precision, axes = np.linalg.eigh(0.5 * (H + H.transpose(0, 2, 1)))
    variance = 1.0 / np.maximum(precision, spread**-2)
    return (axes * variance[:, None, :]) @ axes.transpose(0, 2, 1)


def minimize_rows(function, X0, *, first_step, max_iter, tol, rounding=0.0):
    """Minimise many small independent functions side by side by BFGS.

    Parameters
    ----------
    function : callable
        ``function(X, rows) -> (values, gradients)``: problems ``rows`` (B,) at
        positions ``X`` (B, q); each row's result depends on that row alone.

    X0 : ndarray of shape (n_problems, q)
        Starts.

    first_step : float
        Length of the first step, whatever the slope; later ones are at most ten times
        as long.

    max_iter : int
        Iterations at most.

    tol : float
        A problem is done when its next step, or its predicted decrease relative to
        ``1 + |value|``, is that small.

    rounding : float, default=0.0
        How far rounding may move a value, if that is more than its last digits.

    Returns
    -------
    X : ndarray of shape (n_problems, q)

    values : ndarray of shape (n_problems,)
    """
    n, q = X0.shape
    X = X0.copy()
    value, gradient = function(X, np.arange(n))
    inverse_hessian = np.zeros((n, q, q))
    # A slope below this is none: its square would underflow.
    steepness = np.linalg.norm(gradient, axis=1)
    active = np.flatnonzero(steepness > 1e-150)
    first = first_step / np.maximum(steepness, 1e-150)
    inverse_hessian[:] = first[:, None, None] * np.eye(q)
    fresh = np.ones(n, dtype=bool)

    for _ in range(max_iter):
        if active.size == 0:
            break
        H, g, x, f = (a[active] for a in (inverse_hessian, gradient, X, value))
        step = -np.einsum("nij,nj->ni", H, g)
        length = np.maximum(np.linalg.norm(step, axis=1), 1e-300)
        step *= np.minimum(1.0, _LONGEST_STEP * first_step / length)[:, None]
        slope = np.einsum("ni,ni->n", step, g)
        t, f_new, g_new = _backtrack(function, active, x, f, step, slope, rounding)
        moved = t > 0
        s = t[:, None] * step
        y = g_new - g
        s_y = np.einsum("ni,ni->n", s, y)
        y_y = np.einsum("ni,ni->n", y, y)
        curved = moved & (s_y > 1e-10 * np.sqrt(np.einsum("ni,ni->n", s, s) * y_y))
        # The first curvature seen sets the scale of the identity (Nocedal and Wright).
        scaled = curved & fresh[active]
        H[scaled] = (s_y[scaled] / y_y[scaled])[:, None, None] * np.eye(q)
        H[curved] = _bfgs_update(H[curved], s[curved], y[curved], s_y[curved])
        keep = active[moved]
        X[keep] += s[moved]
        value[keep], gradient[keep] = f_new[moved], g_new[moved]
        inverse_hessian[active] = H
        fresh[active[curved]] = False
        small = np.abs(s).max(axis=1) <= tol * (first_step + np.abs(x).max(axis=1))
        flat = np.abs(slope) <= tol**2 * (1.0 + np.abs(f))
        active = active[moved & ~small & ~flat]
    return X, value


def _backtrack(function, rows, x, f, step, slope, rounding):
    """Armijo's rule for each row: step lengths (0: no decrease), values, gradients."""
    t = np.ones(len(rows))
    f_new, g_new = np.full(len(rows), np.inf), np.zeros_like(x)
    trying = np.arange(len(rows))
    for _ in range(40):
        f_try, g_try = function(
            x[trying] + t[trying, None] * step[trying], rows[trying]
        )
        f_new[trying], g_new[trying] = f_try, g_try
        # Near the optimum the decrease drowns in rounding; accept that much. Where it
        # drowns earlier, slopes tell: of a parabola, f(t) <= f(0) + c t f'(0) is
        # f'(t) <= (2 c - 1) f'(0) (Hager and Zhang 2005).
        slack = 1e-13 * (1.0 + np.abs(f[trying]))
        with np.errstate(over="ignore", invalid="ignore"):
            ahead = np.einsum("ni,ni->n", step[trying], g_try)
            good = f_try <= f[trying] + 1e-4 * t[trying] * slope[trying] + slack
            good |= (f_try <= f[trying] + rounding) & (
                ahead <= (2e-4 - 1.0) * slope[trying]
            )
        trying = trying[~good]
        if trying.size == 0:
            return t, f_new, g_new
        t[trying] *= 0.3
    t[trying] = 0.0
    return t, f_new, g_new


def _bfgs_update(H, s, y, s_y):
    """H+ = (I - s y'/y's) H (I - y s'/y's) + s s'/y's, for each row."""
    rho = 1.0 / s_y
    H_y = np.einsum("nij,nj->ni", H, y)
    y_H_y = np.einsum("ni,ni->n", y, H_y)
    outer = s[:, :, None] * H_y[:, None, :]
    s_s = s[:, :, None] * s[:, None, :]
    return (
        H
        - rho[:, None, None] * (outer + outer.transpose(0, 2, 1))
        + (rho**2 * y_H_y + rho)[:, None, None] * s_s
    )
