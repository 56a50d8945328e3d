"""Latent positions of a fitted model, and the images that it makes of others."""

import numbers

import numpy as np

from gplvm.plotting._background import _CHUNK, predicts_std
from gplvm.plotting._inputs import as_classes, as_images, as_matrix, flat_rows

_FAINTEST = 0.12  # opacity of an image where the model is least sure


def known_positions(estimator, X):
    """Latent positions of `X`, or those of the training data that the model keeps.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_components)

    Raises
    ------
    ValueError
        If there are none.
    """
    if X is not None:
        return as_matrix(estimator.transform(flat_rows(X)), "the estimator's transform")
    last = getattr(estimator, "steps", [(None, estimator)])[-1][1]  # of a Pipeline
    if getattr(last, "embedding_", None) is None:
        raise ValueError(
            f"{type(last).__name__} keeps no latent positions of its training data: "
            "give X."
        )
    return as_matrix(last.embedding_, "embedding_")


def decode(estimator, Z, *, return_std=False):
    """Rows of pixels, by chunks; with each row's mean std where that is predicted.

    Returns
    -------
    rows : ndarray of shape (n, n_pixels)

    std : ndarray of shape (n,) or None
        Only if `return_std`.
    """
    with_std = return_std and predicts_std(estimator)
    rows, spreads = [], []
    for start in range(0, len(Z), _CHUNK):
        some = Z[start : start + _CHUNK]
        if with_std:
            mean, spread = estimator.inverse_transform(some, return_std=True)
            spread = np.asarray(spread, dtype=float).reshape(len(some), -1)
            spreads.append(spread.mean(axis=1))
        else:
            mean = estimator.inverse_transform(some)
        rows.append(np.asarray(mean, dtype=float).reshape(len(some), -1))
    rows = np.concatenate(rows)
    if not return_std:
        return rows
    return rows, np.concatenate(spreads) if with_std else None


def decoded_images(rows, image_shape):
    """Rows of pixels as images."""
    return as_images(rows, image_shape=image_shape, name="the decoded images")


def image_shape_of(X, image_shape):
    """The shape of an image: as given, or that of `X` where it has one."""
    if image_shape is None and X is not None and np.ndim(X) > 2:
        return np.shape(X)[1:]
    return image_shape


def decoding_grid(limits, n_images, ratio):
    """Edges of a grid of images around the limits, and the cells' centres.

    A cell has the images' `ratio`, height over width; one row for one dimension.
    """
    edges = np.reshape(limits, (-1, 2)).astype(float)
    spans = edges[:, 1] - edges[:, 0]
    if not np.all(spans > 0):
        raise ValueError(f"limits must increase; got {tuple(limits)}.")
    if len(edges) == 1:
        width = spans[0] / n_images
        edges = np.vstack([edges, [0.0, ratio * width]])
        counts = np.array([n_images, 1])
    else:
        # As many images as asked for along the side that takes more of them.
        needed = spans / [1.0, ratio]
        width = needed.max() / n_images
        counts = np.maximum(np.round(needed / width), 1).astype(int)
        half = counts * width * np.array([1.0, ratio]) / 2
        centre = edges.mean(axis=1)
        edges = np.column_stack([centre - half, centre + half])
    axes = [
        low + (np.arange(count) + 0.5) * (high - low) / count
        for (low, high), count in zip(edges, counts, strict=True)
    ]
    return tuple(edges.ravel().tolist()), np.meshgrid(*axes)


def sureness(std, known):
    """Opacities: 1 where the model is as sure as of the samples, faint where least."""
    low = float(np.quantile(known, 0.9))
    high = max(float(std.max()), float(known.max()))
    if high - low <= 1e-6 * abs(high):
        return np.ones(len(std))
    sure = np.clip((high - std) / (high - low), 0.0, 1.0)
    return _FAINTEST + (1.0 - _FAINTEST) * sure**1.5


def walk_ends(path, Z, y, label_names):
    """Latent positions of a walk's ends, and their names."""
    if isinstance(path, str) or len(path) != 2:
        raise ValueError(f"path must be a tuple (start, end); got {path!r}.")
    ends, names = [], []
    for end in path:
        if np.ndim(end) == 0:
            position, name = _typical_member(end, Z, y, label_names)
        else:
            position, name = as_matrix([end], "an end of path")[0], ""
            if position.shape != (Z.shape[1],):
                raise ValueError(
                    f"an end of path has shape {position.shape}; the latent space has "
                    f"{Z.shape[1]} dimensions."
                )
        ends.append(position)
        names.append(name)
    return ends, tuple(names)


def _typical_member(label, Z, y, label_names):
    """The member of a class nearest to its median: the mean may lie among others."""
    classes = as_classes(y, label_names, n_samples=len(Z))
    if classes is None:
        raise ValueError(f"path has the class {label!r}, but there is no y.")
    name = str(label)
    if label_names is not None and isinstance(label, numbers.Integral):
        name = str(label_names[label])
    present = [classes.names[code] for code in classes.present]
    if name not in present:
        raise ValueError(f"path has the class {label!r}; y has {', '.join(present)}.")
    members = Z[classes.codes == classes.names.index(name)]
    distance = np.linalg.norm(members - np.median(members, axis=0), axis=1)
    return members[np.argmin(distance)], name
