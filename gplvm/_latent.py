"""What every latent model shares: where it starts and how it lies."""

import warnings

import numpy as np
from scipy.sparse import SparseEfficiencyWarning
from sklearn.decomposition import PCA
from sklearn.utils.extmath import randomized_svd

from gplvm import kernels

# Missing values are filled in for the start by an approximation of at most this rank,
# or of that of the latent space if it is higher, after so many iterations.
_FILLED_RANK = 20
_FILLED_ITERATIONS = 20

# Positions that vary by less than this share of their size are the same.
_ROUNDING = 1e-14


def initial_embedding(Y, n_components, init, random_state):
    """Latent positions to start from, each column with variance at most one.

    Parameters
    ----------
    Y : ndarray of shape (n_samples, n_features)
        Data, centred. Missing values are filled in by a low-rank approximation, for
        the start only.

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
        Y = _filled(Y, n_components)
        if init == "pca":
            embedding = _principal_components(Y, n_components, random_state)
        else:
            embedding = _isomap(Y, n_components)
        spread = embedding.std(axis=0).max()
        return embedding / spread if spread > 0 else embedding
    return given_embedding(init, shape)


def given_embedding(init, shape):
    """The array `init` as positions of this shape (n_samples, n_components).

    Raises
    ------
    ValueError
        If its shape is another one, or it holds NaN or infinity.
    """
    embedding = np.array(init, dtype=float)
    if embedding.shape != shape:
        raise ValueError(
            f"init has shape {embedding.shape}, expected (n_samples, n_components) = "
            f"{shape}"
        )
    if not np.all(np.isfinite(embedding)):
        raise ValueError("init holds NaN or infinity")
    return embedding


def check_amplitude(kernel, n_components, dtype):
    """Refuse a kernel whose functions the answers' precision cannot hold.

    Raises
    ------
    ValueError
        If the standard deviation at zero is beyond the largest number.
    """
    variance = kernels.diagonal(kernel, np.zeros((1, n_components)))[0]
    if np.sqrt(variance) > np.finfo(dtype).max:
        raise ValueError(
            f"functions of {kernel} have a standard deviation of "
            f"{np.sqrt(variance):.1g}, which {np.dtype(dtype)}, the precision of X, "
            "cannot represent"
        )


def spread_of(embedding):
    """Standard deviations of the columns; rounding of a constant column is none."""
    spread = embedding.std(axis=0)
    rounding = _ROUNDING * np.abs(embedding).max(axis=0)
    return np.where(spread > rounding, spread, 0.0)


def without_functions(kernel, embedding):
    """Whether positions are the same at which a kernel's functions are all zero.

    Those of a linear kernel are, where all data are equal and all positions zero.
    """
    first = embedding[:1]
    return not (
        spread_of(embedding).any() or kernels.matrix(kernel, first, first).any()
    )


def _filled(Y, n_components):
    """`Y` with its missing values replaced by a low-rank approximation of the rest.

    Singular values are shrunk as is best for white noise [1]_, those within the noise
    to nothing: unshrunk ones follow the noise of the observed entries, and the worse
    the more of them there are. So the rank may be higher than that of the latent space,
    whose few columns would know less of what is missing.

    References
    ----------
    .. [1] M. Gavish and D. L. Donoho, "Optimal Shrinkage of Singular Values", IEEE
       Transactions on Information Theory 63, 2017, equation 7.
    """
    missing = np.isnan(Y)
    if not missing.any():
        return Y
    filled = np.where(missing, 0.0, Y)
    smaller, larger = sorted(Y.shape)
    rank = min(max(n_components, min(_FILLED_RANK, smaller // 4)), smaller - 1)
    if rank < 1:
        return filled
    for _ in range(_FILLED_ITERATIONS):
        U, s, Vt = randomized_svd(filled, rank, random_state=0)
        # The noise of a direction is what the rank leaves over; the filled entries
        # have none of their own.
        rest = max(np.vdot(filled, filled) - np.vdot(s, s), 0.0)
        noise = rest / (smaller - rank) / np.mean(~missing)
        filled[missing] = ((U * _shrunk(s, noise, smaller / larger)) @ Vt)[missing]
    return filled


def _shrunk(s, noise, aspect):
    # With y^2 = s^2 / noise: s sqrt((y^2 - b - 1)^2 - 4 b) / y^2, b the smaller side
    # over the larger, above the noise's own edge y = 1 + sqrt(b); zero below it.
    squared = np.square(s)
    signal = np.square(squared - (1.0 + aspect) * noise) - 4.0 * aspect * noise**2
    above = squared > noise * (1.0 + np.sqrt(aspect)) ** 2
    return np.where(above, np.sqrt(np.maximum(signal, 0.0)), 0.0) / np.where(
        above, s, 1
    )


def _principal_components(Y, n_components, random_state):
    scale = np.abs(Y).max()
    if scale == 0:
        return np.zeros((Y.shape[0], n_components))
    pca = PCA(n_components=n_components, random_state=random_state)
    pca.set_output(transform="default")  # whatever the user has set for all
    with np.errstate(invalid="ignore"):  # its ratios, where only rounding varies
        return pca.fit_transform(Y / scale)


def _isomap(Y, n_components):
    from sklearn.manifold import Isomap  # slow to import, seldom used

    scale = np.abs(Y).max()
    neighbours = min(10, Y.shape[0] - 1)
    isomap = Isomap(n_neighbors=neighbours, n_components=n_components)
    isomap.set_output(transform="default")
    with warnings.catch_warnings():
        # Groups of rows with no neighbour in common are joined by the shortest line
        # between them, and scikit-learn warns that this is slow.
        warnings.filterwarnings("ignore", ".*connected components")
        warnings.filterwarnings("ignore", category=SparseEfficiencyWarning)
        distances = isomap.fit(Y / (scale or 1.0)).dist_matrix_
    # Its own decomposition starts from numpy's global random state, and rounds so.
    decomposition = isomap.kernel_pca_.set_params(random_state=0)
    embedding = decomposition.fit_transform(-0.5 * distances**2)
    # Geodesic distances of one dimension leave the others undetermined.
    return np.nan_to_num(embedding)


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
    coefficients = (Y.T @ (embedding @ rotation)).T
    largest = np.take_along_axis(
        coefficients, np.abs(coefficients).argmax(axis=1)[:, None], axis=1
    )
    return rotation * np.where(largest[:, 0] < 0, -1.0, 1.0)
