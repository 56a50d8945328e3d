"""What to show, and how large: defaults of the displays, choices of the user."""

import numbers

import numpy as np
from sklearn.utils import check_random_state

from gplvm.plotting._inputs import as_extent, as_images, drawable
from gplvm.plotting._points import plane_ratio, strip_ratio

MAX_THUMBNAILS = 21


def leading_dimensions(estimator, n_components):
    relevance = getattr(estimator, "relevance_", None)
    if relevance is None or np.shape(relevance) != (n_components,):
        return (0, 1)[:n_components]
    order = np.argsort(-np.asarray(relevance), kind="stable")
    return tuple(int(dimension) for dimension in order[:2])


def check_thumbnails(thumbnails, images, n_samples):
    """The images and how many of them to show."""
    if isinstance(thumbnails, bool | np.bool_):
        max_images = MAX_THUMBNAILS if thumbnails and images is not None else 0
    elif isinstance(thumbnails, numbers.Integral) and thumbnails >= 0:
        max_images = int(thumbnails)
        if max_images and images is None:
            raise ValueError(f"thumbnails={thumbnails}, but there are no images.")
    else:
        raise ValueError(f"thumbnails must be a bool or a count; got {thumbnails!r}.")
    if images is not None:
        images = as_images(images, n_samples=n_samples)
    return images, max_images


def check_uncertainty(uncertainty, n_dimensions):
    """Values and extent of the grid, or None."""
    if uncertainty is None:
        return None
    try:
        values, extent = uncertainty
    except (TypeError, ValueError) as error:
        raise ValueError(
            "uncertainty must be a tuple (grid of values, extent of the grid)."
        ) from error
    values = drawable(values, "uncertainty")
    if values.ndim != n_dimensions:
        raise ValueError(
            f"uncertainty of {n_dimensions} latent dimension(s) needs values with as "
            f"many axes; got shape {values.shape}."
        )
    return values, as_extent(extent, 2 * n_dimensions)


def check_spread(embedding_std, shape):
    """Standard deviations of positions, or None."""
    if embedding_std is None:
        return None
    stds = drawable(embedding_std, "embedding_std")
    if stds.shape != shape:
        raise ValueError(
            f"embedding_std has shape {stds.shape}, the embedding {shape}."
        )
    if not (np.isfinite(stds) & (stds >= 0)).all():
        raise ValueError("embedding_std must be finite and not negative.")
    return stds


def thumbnail_side(size, inches):
    """Side as a fraction of the longer side of the axes: some 0.42 inch."""
    if size is None:
        return float(np.clip(0.42 / inches, 0.085, 0.2))
    if not 1e-3 <= size <= 1:
        raise ValueError(f"thumbnail_size must lie in [0.001, 1]; got {size!r}.")
    return float(size)


def axes_size(limits, classes, max_images):
    """Inches of axes that show a plane or strip of this shape well."""
    if len(limits) == 2:
        n_rows = 1 if classes is None else len(classes.present)
        return 5.5, 5.5 * strip_ratio(n_rows, 0.085 if max_images else 0.0)
    ratio = plane_ratio(limits)
    width = min(4.5 / ratio**0.5, 5.6)
    return width, width * ratio


_MOST_CELLS = 10_000  # along a side: no screen shows more


def check_resolution(grid_resolution):
    """A grid needs at least two cells."""
    whole = isinstance(grid_resolution, numbers.Integral)
    if not (whole and 2 <= grid_resolution <= _MOST_CELLS):
        raise ValueError(
            f"grid_resolution must be an integer from 2 to {_MOST_CELLS}; got "
            f"{grid_resolution!r}."
        )


def choose_rows(n, n_images, indices, random_state):
    """Rows to show, in their order in X unless the user gave another."""
    if indices is not None:
        chosen = np.asarray(indices)
        if chosen.ndim != 1 or not chosen.size or chosen.dtype.kind not in "iu":
            raise ValueError("indices must be a non-empty list of integers.")
        if chosen.min() < -n or chosen.max() >= n:
            raise ValueError(f"indices {chosen} do not fit {n} samples.")
        return chosen
    if not isinstance(n_images, numbers.Integral) or n_images < 1:
        raise ValueError(f"n_images must be a positive integer; got {n_images!r}.")
    count = min(int(n_images), n)
    if random_state is None:
        return (2 * np.arange(count) + 1) * n // (2 * count)
    random_state = check_random_state(random_state)
    return np.sort(random_state.choice(n, count, replace=False))
