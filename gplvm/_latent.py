"""What every latent model shares: where it starts, how it lies, how rows join it."""

import numpy as np
from sklearn.decomposition import PCA

# --- Initialisation ----------------------------------------------------------------


def initial_embedding(Y, n_components, init, random_state):
    """Latent positions to start from, each column with variance at most one.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_features)
        Data, centred.

    n_components : int
        Number of latent dimensions.

    init : {"pca", "isomap", "random"} or array-like of shape \
            (n_samples, n_components)
        An array is taken as it is.

    random_state : RandomState
        Source of the random start, and of PCA's solver.

    Returns
    -------
    embedding : ndarray of shape (n_samples, n_components)

    Raises
    ------
    ValueError
        If an array has the wrong shape.
    """
    shape = (Y.shape[0], n_components)
    if isinstance(init, str):
        if init == "random":
            return random_state.normal(size=shape)
        if init == "pca":
            embedding = _principal_components(Y, n_components, random_state)
        else:
            from sklearn.manifold import Isomap  # slow to import, seldom used

            neighbours = min(10, Y.shape[0] - 1)
            embedding = Isomap(
                n_neighbors=neighbours, n_components=n_components
            ).fit_transform(Y)
        spread = embedding.std(axis=0).max()
        return embedding / spread if spread > 0 else embedding
    embedding = np.array(init, dtype=float)
    if embedding.shape != shape:
        raise ValueError(
            f"init has shape {embedding.shape}, expected (n_samples, n_components) = "
            f"{shape}"
        )
    if not np.all(np.isfinite(embedding)):
        raise ValueError("init holds NaN or infinity")
    return embedding


def _principal_components(Y, n_components, random_state):
    scale = np.abs(Y).max()
    if scale == 0:
        return np.zeros((Y.shape[0], n_components))
    pca = PCA(n_components=n_components, random_state=random_state)
    return pca.fit_transform(Y / scale)


# --- Orientation -------------------------------------------------------------------


def orientation(embedding, Y, *, isotropic):
    """The rotation that makes equal fits look equal.

    Where the model does not change when latent space is rotated, the columns become
    principal axes in the order of their variance; otherwise they keep their places.
    Signs follow PCA's convention: of the data's regression on a column, the
    coefficient of largest magnitude is positive.

    Parameters
    ----------
    embedding : ndarray of shape (n_samples, n_components)
        Latent positions.

    Y : ndarray of shape (n_samples, n_features)
        Data, centred.

    isotropic : bool
        Whether the model is invariant to rotations.

    Returns
    -------
    rotation : ndarray of shape (n_components, n_components)
        Orthogonal; ``embedding @ rotation`` is oriented.
    """
    rotation = np.eye(embedding.shape[1])
    if isotropic:
        rotation = np.linalg.eigh(embedding.T @ embedding)[1][:, ::-1]
    coefficients = (embedding @ rotation).T @ Y
    largest = np.take_along_axis(
        coefficients, np.abs(coefficients).argmax(axis=1)[:, None], axis=1
    )
    return rotation * np.where(largest[:, 0] < 0, -1.0, 1.0)


# --- Projection of new rows ----------------------------------------------------------


def nearest_rows(Y, training, n_neighbors):
    """Indices (n_rows, n_neighbors) of the nearest training rows, nearest first."""
    from sklearn.neighbors import NearestNeighbors  # slow to import

    search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute")
    return search.fit(training).kneighbors(Y, return_distance=False)


def project_rows(posterior, Y, starts, *, max_iter=200, tol=1e-9):
    """Latent positions that maximise the predictive density of each row.

    Parameters
    ----------
    posterior : Posterior
        Its ``log_density(X, Y)`` gives values (B,) and gradients (B, q).

    Y : ndarray of shape (n_rows, n_features)
        Data rows, centred.

    starts : ndarray of shape (n_rows, n_starts, n_components)
        Each row's starts; the best end wins.

    max_iter : int, default=200
        Iterations at most.

    tol : float, default=1e-9
        Tolerance of `minimize_rows`.

    Returns
    -------
    positions : ndarray of shape (n_rows, n_components)

    log_density : ndarray of shape (n_rows,)
        log p(y | x) at those positions.
    """
    n_rows, n_starts, n_components = starts.shape
    owner = np.repeat(np.arange(n_rows), n_starts)

    def negative_log_density(X, active):
        value, gradient = posterior.log_density(X, Y[owner[active]])
        return -value, -gradient

    ends, values = minimize_rows(
        negative_log_density,
        starts.reshape(-1, n_components),
        max_iter=max_iter,
        tol=tol,
    )
    values = values.reshape(n_rows, n_starts)
    # Starts that meet in one optimum differ by rounding only: the first of them wins,
    # so that a row's answer does not depend on the batch it came in.
    lowest = values.min(axis=1, keepdims=True)
    winner = np.argmax(values <= lowest + 1e-7 * (1.0 + np.abs(lowest)), axis=1)
    rows = np.arange(n_rows)
    return ends.reshape(starts.shape)[rows, winner], -values[rows, winner]


def minimize_rows(function, X0, *, max_iter, tol):
    """Minimise many small independent functions side by side by BFGS.

    Parameters
    ----------
    function : callable
        ``function(X, rows) -> (values, gradients)``: problems ``rows`` (B,) at
        positions ``X`` (B, q); each row's result depends on that row alone.

    X0 : ndarray of shape (n_problems, q)
        Starts.

    max_iter : int
        Iterations at most.

    tol : float
        A problem is done when its next step, or its predicted decrease relative to
        ``1 + |value|``, is that small.

    Returns
    -------
    X : ndarray of shape (n_problems, q)

    values : ndarray of shape (n_problems,)
    """
    n, q = X0.shape
    X = X0.copy()
    value, gradient = function(X, np.arange(n))
    inverse_hessian = np.zeros((n, q, q))
    active = np.flatnonzero(np.einsum("nq,nq->n", gradient, gradient) > 0)
    # A first step of a tenth of a unit of latent space, whatever the slope.
    first = 0.1 / np.maximum(np.linalg.norm(gradient, axis=1), 1e-300)
    inverse_hessian[:] = first[:, None, None] * np.eye(q)
    fresh = np.ones(n, dtype=bool)

    for _ in range(max_iter):
        if active.size == 0:
            break
        H, g, x, f = (a[active] for a in (inverse_hessian, gradient, X, value))
        step = -np.einsum("nij,nj->ni", H, g)
        slope = np.einsum("ni,ni->n", step, g)
        t, f_new, g_new = _backtrack(function, active, x, f, step, slope)
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
        small = np.abs(s).max(axis=1) <= tol * (1.0 + np.abs(x).max(axis=1))
        flat = np.abs(slope) <= tol**2 * (1.0 + np.abs(f))
        active = active[moved & ~small & ~flat]
    return X, value


def _backtrack(function, rows, x, f, step, slope):
    """Armijo's rule for each row: step lengths (0: no decrease), values, gradients."""
    t = np.ones(len(rows))
    f_new, g_new = np.full(len(rows), np.inf), np.zeros_like(x)
    trying = np.arange(len(rows))
    for _ in range(40):
        f_try, g_try = function(
            x[trying] + t[trying, None] * step[trying], rows[trying]
        )
        f_new[trying], g_new[trying] = f_try, g_try
        # Near the optimum the decrease drowns in rounding; accept that much.
        slack = 1e-13 * (1.0 + np.abs(f[trying]))
        with np.errstate(invalid="ignore"):
            good = f_try <= f[trying] + 1e-4 * t[trying] * slope[trying] + slack
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
