"""Reading what users pass to a Display: images, labels, estimators."""

import numbers
import operator
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from sklearn.utils.validation import check_is_fitted

from gplvm._validation import real_array
from gplvm.plotting._style import class_styles

_LARGEST = 1e200  # beyond it, margins of axes and sums of colorbars overflow
_SMALLEST_SIDE = 8  # below it, a square number of columns is more likely a table


class Classes(NamedTuple):
    """Labels as codes into names, with a style per name."""

    codes: np.ndarray
    names: list
    styles: list

    @property
    def present(self):
        """Codes that occur, in the order of the names."""
        return [int(code) for code in np.unique(self.codes)]


def check_estimator_like(estimator, *methods):
    """Raise unless `estimator` is fitted and has all `methods`."""
    if isinstance(estimator, type):
        raise TypeError(f"{estimator.__name__} is a class, not a fitted estimator.")
    for method in methods:
        if not callable(getattr(estimator, method, None)):
            raise TypeError(
                f"{type(estimator).__name__} has no method {method!r}, which this "
                "display needs."
            )
    if hasattr(estimator, "__sklearn_tags__"):  # others cannot be asked
        check_is_fitted(estimator)


def check_mapping(values, what):
    """A dict with at least one entry and names that are strings."""
    if not isinstance(values, Mapping):
        raise TypeError(f"{what} must be a dict; got {type(values).__name__}.")
    if not values:
        raise ValueError(f"{what} is empty.")
    return {str(name): value for name, value in values.items()}


def name_estimators(estimators):
    """Fitted estimators by name: a dict as it is, a list by class and count."""
    if isinstance(estimators, list | tuple):
        classes = [type(estimator).__name__ for estimator in estimators]
        counts = [classes[: i + 1].count(name) for i, name in enumerate(classes)]
        names = [
            f"{name} {count}" if count > 1 else name
            for name, count in zip(classes, counts, strict=True)
        ]
        estimators = dict(zip(names, estimators, strict=True))
    return check_mapping(estimators, "estimators")


def drawable(values, name, ndim=None):
    """`values` as an array of double precision that matplotlib can draw."""
    values = np.asarray(real_array(values, name, ndim), dtype=float)
    if (np.abs(values) > _LARGEST).any():  # NaN is missing, or refused elsewhere
        raise ValueError(f"{name} holds infinity, or numbers beyond {_LARGEST}.")
    return values


def as_extent(extent, n_edges):
    """Edges of an area, lower and upper of each axis, as a tuple."""
    extent = tuple(drawable(extent, "extent", 1).tolist())
    sides = np.diff(extent)[::2]
    least = 1e-12 * np.max(np.abs(extent), initial=0.0)
    if len(extent) != n_edges or not (sides > least).all():  # nor NaN
        raise ValueError(f"extent must be {n_edges} edges of an area; got {extent}.")
    return extent


def as_matrix(values, name):
    """Finite floats of shape (n, k), n > 0."""
    values = drawable(values, name)
    if values.ndim == 1:
        values = values[:, None]
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(
            f"{name} must have shape (n_samples, n_components), not empty; got "
            f"{values.shape}."
        )
    if not np.isfinite(values).all():
        raise ValueError(f"{name} contains NaN or infinity.")
    return values


def flat_rows(X):
    """Rows for an estimator: (n, h, w) images become (n, h * w), tables stay."""
    if hasattr(X, "columns"):  # a data frame keeps its feature names
        return X
    shape = np.shape(X)
    return np.reshape(X, (shape[0], -1)) if len(shape) > 2 else X


def as_images(images, *, image_shape=None, n_samples=None, name="images"):
    """Images as (n, h, w) or (n, h, w, 3 or 4) floats.

    Rows of (n, p) become images of `image_shape`, or square ones.
    """
    images = drawable(images, name)
    if image_shape is not None:
        image_shape = _sides(image_shape)
        size = np.prod(images.shape[1:])
        if images.ndim < 2 or size != np.prod(image_shape):
            raise ValueError(
                f"image_shape={image_shape} does not fit {name} of shape "
                f"{images.shape}."
            )
        images = images.reshape(-1, *image_shape)
    elif images.ndim == 2:
        side = round(images.shape[1] ** 0.5)
        if side * side != images.shape[1]:
            raise ValueError(
                f"{name} has {images.shape[1]} columns, no square number: give "
                "image_shape=(height, width)."
            )
        images = images.reshape(-1, side, side)
    colour = images.ndim == 4 and images.shape[-1] in (3, 4)
    if (images.ndim != 3 and not colour) or 0 in images.shape:
        raise ValueError(
            f"{name} must have shape (n, height, width) or (n, height, width, 3); "
            f"got {images.shape}."
        )
    if not np.isfinite(images).any():
        raise ValueError(f"{name} hold no finite number.")
    check_length(images, n_samples, name)
    return images


def _sides(image_shape):
    """The sides of an image, whole numbers, from one of them or several."""
    try:
        sides = tuple(image_shape) if np.ndim(image_shape) else (image_shape,)
        return tuple(operator.index(side) for side in sides)
    except TypeError as error:
        raise TypeError(
            f"image_shape must be (height, width) of whole numbers, got {image_shape!r}"
        ) from error


def check_length(values, n, name, *, of="samples"):
    """Raise unless there is one value each; None on either side is fine."""
    if values is not None and n is not None and len(values) != n:
        raise ValueError(f"{name} has {len(values)} entries for {n} {of}.")


def check_dimensions(dimensions, n_components):
    """One or two different indices of latent dimensions, as a tuple."""
    if isinstance(dimensions, numbers.Integral):
        dimensions = (dimensions,)
    try:
        dimensions = tuple(operator.index(dimension) for dimension in dimensions)
    except TypeError:
        raise TypeError(
            f"dimensions must be one or two integers; got {dimensions!r}."
        ) from None
    if n_components == 1 and dimensions == (0, 1):  # the default of a plane
        dimensions = (0,)
    if len(dimensions) not in (1, 2) or len(set(dimensions)) < len(dimensions):
        raise ValueError(
            f"dimensions must be one or two different integers; got {dimensions}."
        )
    if min(dimensions) < 0 or max(dimensions) >= n_components:
        raise ValueError(
            f"dimensions={dimensions}, but the latent space has {n_components}: "
            f"they run from 0 to {n_components - 1}."
        )
    return dimensions


def guess_images(X, image_shape=None):
    """X as images when it plainly is, else None.

    A table may have a square number of columns by chance. In images neighbouring
    pixels resemble each other more than distant ones do; in tables the order of
    the columns means nothing.
    """
    if image_shape is not None or np.ndim(X) > 2:
        return as_images(X, image_shape=image_shape, name="X")
    rows = np.asarray(X)
    if rows.ndim != 2 or not np.issubdtype(rows.dtype, np.number):
        return None
    side = round(rows.shape[1] ** 0.5)
    if side < _SMALLEST_SIDE or side * side != rows.shape[1]:
        return None
    some = rows[:: max(1, len(rows) // 200)].astype(float).reshape(-1, side, side)
    step = side // 2
    near = (
        np.nanmean(np.abs(np.diff(some, axis=1))),
        np.nanmean(np.abs(np.diff(some, axis=2))),
    )
    far = (
        np.nanmean(np.abs(some[:, step:] - some[:, :-step])),
        np.nanmean(np.abs(some[:, :, step:] - some[:, :, :-step])),
    )
    if sum(near) < 0.75 * sum(far):
        return as_images(rows, name="X")
    return None


def as_classes(labels, label_names=None, *, n_samples=None):
    """Labels (ints or strings) as :class:`Classes`, or None without labels.

    Colours belong to names: with `label_names`, or with small integer labels, a
    class keeps its colour when another class is absent.
    """
    if labels is None:
        return None
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"labels must be one-dimensional; got shape {labels.shape}.")
    check_length(labels, n_samples, "labels")
    if labels.dtype.kind == "f":
        labels = labels.astype(float)  # half precision does not reach so far
        whole = np.abs(labels) < 2.0**53  # not NaN, nor infinity
        if not np.all(whole & (labels == np.floor(labels))):
            raise ValueError("labels must be classes (integers or strings), not reals.")
        labels = labels.astype(int)
    if labels.dtype.kind in "iu":
        return _integer_classes(labels, label_names)
    labels = labels.astype(str)
    names = np.unique(labels) if label_names is None else np.asarray(label_names, str)
    position = {str(name): code for code, name in enumerate(names)}
    unknown = sorted(set(labels.tolist()) - set(position))
    if unknown:
        raise ValueError(f"labels {unknown[:5]} are not among label_names.")
    codes = np.array([position[label] for label in labels.tolist()])
    names = list(position)
    return Classes(codes, names, class_styles(names))


def _integer_classes(labels, label_names):
    if label_names is not None:
        names = [str(name) for name in label_names]
        if labels.min() < 0 or labels.max() >= len(names):
            raise ValueError(
                f"label_names has {len(names)} entries, but labels run from "
                f"{labels.min()} to {labels.max()}."
            )
        return Classes(labels, names, class_styles(names))
    values, codes = np.unique(labels, return_inverse=True)
    names = [str(value) for value in values]
    small = values.min() >= 0 and values.max() < 20
    styles = class_styles(names, indices=values.tolist() if small else None)
    return Classes(codes, names, styles)


def by_name(values, shape, what, *, like=None):
    """Images by name of the model; a bare array belongs to the only one."""
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        if like is not None and len(like) > 1:
            raise ValueError(f"{what} must be a dict with the keys {list(like)}.")
        values = {next(iter(like)) if like else "reconstruction": values}
    named = {}
    for name, value in check_mapping(values, what).items():
        if like is not None and name not in like:
            raise ValueError(f"{what} has the key {name!r}, which no model has.")
        value = drawable(value, what)
        if value.shape != shape and value.shape != (shape[0], np.prod(shape[1:])):
            raise ValueError(
                f"{what} {name!r} has shape {value.shape}; the images have {shape}."
            )
        named[name] = value.reshape(shape)
    return named


def image_errors(errors, images, models):
    """Numbers beneath each model's row: given, or root mean squared errors."""
    if errors is None:
        axes = tuple(range(1, images.ndim))
        seen = np.isfinite(images)
        counts = np.maximum(seen.sum(axis=axes), 1)
        found = {}
        for name, model in models.items():
            residual = np.where(seen, images - model, 0.0)
            unit = np.abs(residual).max(initial=0.0) or 1.0  # whose squares are finite
            squares = (residual / unit) ** 2
            found[name] = unit * np.sqrt(squares.sum(axis=axes) / counts)
        return found
    if not isinstance(errors, Mapping):
        if len(models) > 1:
            raise ValueError(f"errors must be a dict with the keys {list(models)}.")
        errors = {next(iter(models)): errors}
    if set(errors) != set(models):
        raise ValueError(f"errors must have the keys {list(models)}.")
    errors = {name: drawable(value, "errors", 1) for name, value in errors.items()}
    for name, value in errors.items():
        check_length(value, len(images), f"errors {name!r}", of="images")
    return errors
