"""The rows a classifier is trained on: their weights, and those it holds out."""

from math import ceil

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.validation import check_non_negative

from gplvm._validation import checked_array

# Weights of this size are taken as they are; only their ratios count.
_USUAL = 1e-100, 1e100


def row_weights(sample_weight, class_weight, y, classes, name):
    """Each row's weight, that of the row times that of its class; None: all alike.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
        Weights of the rows.

    class_weight : dict, "balanced" or None
        Weights of the classes, by label; those a dict leaves out have 1. "balanced"
        gives each class that is there the same total weight.

    y : ndarray of shape (n_samples,)
        Labels.

    classes : ndarray of shape (n_classes,)
        All the labels there may be, sorted.

    name : str
        The estimator's name, for the errors.

    Returns
    -------
    weight : ndarray of shape (n_samples,) or None
        Not negative, and not all zero.

    Raises
    ------
    ValueError
        If the weights are not so, of another shape, or of classes there are not.
    """
    weight = None
    if sample_weight is not None:
        weight = checked_array(
            sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
        )
        if weight.ndim == 0:
            weight = np.full(y.shape, weight)
        if weight.shape != y.shape:
            raise ValueError(
                f"sample_weight must have shape {y.shape}, got shape {weight.shape}."
            )
        weight = _checked(weight, "sample_weight", name)
    if class_weight is None:
        return weight
    if class_weight == "balanced":  # of the classes that are there
        used = slice(None) if weight is None else weight > 0
        weighed = np.unique(y[used])
        with np.errstate(over="ignore"):  # refused below
            of_class = compute_class_weight(
                class_weight,
                classes=weighed,
                y=y[used],
                sample_weight=None if weight is None else weight[used],
            )
        of_row = of_class[np.searchsorted(weighed, y).clip(max=weighed.size - 1)]
    else:
        of_class = compute_class_weight(class_weight, classes=classes, y=y)
        of_row = of_class[np.searchsorted(classes, y)]
    of_row = _checked(of_row, "class_weight", name)
    if weight is None:
        return of_row
    return _checked(weight * of_row, "sample_weight times class_weight", name)


def _checked(weight, what, name):
    """Weights whose sum neither over- nor underflows, or an error."""
    if not np.all(np.isfinite(weight)):
        raise ValueError(f"{what} holds NaN or infinity.")
    check_non_negative(weight, f"{name} ({what})")
    largest = weight.max()
    if largest == 0:
        raise ValueError(f"{what} is zero for every row.")
    usual = _USUAL[0] < largest < _USUAL[1]
    return weight if usual else weight / largest


def weighted_rows(X, y, weight):
    """The rows whose weight is not zero."""
    if weight is None or weight.all():
        return X, y, weight
    rows = np.flatnonzero(weight)
    return X[rows], y[rows], weight[rows]


def hold_out(X, y, weight, classes, fraction, random_state):
    """Rows to train on and rows held out, each as (X, y, weight), split by class.

    `y` are indices of `classes`; `fraction` of the rows are held out.

    Raises
    ------
    ValueError
        If one of the two parts would lack a class.
    """
    _check_held_out(y, classes, fraction)
    parts = train_test_split(
        np.arange(y.size), test_size=fraction, stratify=y, random_state=random_state
    )
    return [
        (X[rows], y[rows], None if weight is None else weight[rows]) for rows in parts
    ]


def _check_held_out(y, classes, fraction):
    """Refuse to hold rows out where a part would lack a class."""
    n_rows = y.size
    present, counts = np.unique(y, return_counts=True)
    if present.size > 1 and counts.min() < 2:
        label = classes[present[counts.argmin()]]
        raise ValueError(
            "early_stopping=True holds rows of every class out, but class "
            f"{label} has only one row; set early_stopping=False."
        )
    n_held_out = ceil(fraction * n_rows)
    if min(n_held_out, n_rows - n_held_out) < present.size:
        many = 2 * present.size <= n_rows
        remedy = f"{'change validation_fraction or ' if many else ''}set"
        raise ValueError(
            f"validation_fraction={fraction} splits {n_rows} "
            f"row{'s' * (n_rows > 1)} into {n_rows - n_held_out} to train on and "
            f"{n_held_out} held out, but each part needs one of each of the "
            f"{present.size} classes; {remedy} early_stopping=False."
        )
