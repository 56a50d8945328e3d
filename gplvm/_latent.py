"""What every latent model shares: where it starts and how it lies."""

import numpy as np
from sklearn.decomposition import PCA
from sklearn.utils.extmath import randomized_svd


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


def _filled(Y, rank):
    """`Y` with its missing values replaced by a low-rank approximation of the rest."""
    missing = np.isnan(Y)
    if not missing.any():
        return Y
    filled = np.where(missing, 0.0, Y)
    for _ in range(20):
        U, s, Vt = randomized_svd(filled, rank, random_state=0)
        filled[missing] = ((U * s) @ Vt)[missing]
    return filled


def _principal_components(Y, n_components, random_state):
    scale = np.abs(Y).max()
    if scale == 0:
        return np.zeros((Y.shape[0], n_components))
    pca = PCA(n_components=n_components, random_state=random_state)
    with np.errstate(invalid="ignore"):  # its ratios, where only rounding varies
        return pca.fit_transform(Y / scale)


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
