"""Checks of the input that several estimators share."""

import os
from contextlib import contextmanager
from functools import wraps
from inspect import signature

import numpy as np
from scipy.sparse import issparse
from scipy.sparse.linalg import LinearOperator
from sklearn.utils.validation import check_array, validate_data

# Sums over a row of entries below this share of the largest number do not overflow.
_HEADROOM = 1e-6

# Why a public function has no finite result, for `finite_or_refused`.
FAR_ROWS = (
    "a row of X is too far from the training data, or its dtype too narrow for them"
)
FAR_POSITIONS = (
    "a position is too far from those of the training rows, or its dtype too narrow "
    "for the data"
)
FAR_ARGUMENTS = "an argument is too far from its fitted value"
NOT_OF_ORDER_ONE = "scale the arguments so that they are of order one"


@contextmanager
def all_or_nothing(estimator):
    """A context in which an exception leaves the estimator's attributes as they were.

    Data that are refused, or a callback that fails, in the middle of a second fit leave
    the model of the first one.
    """
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        # Those of scikit-learn's callbacks are taken away by itself.
        new = vars(estimator).keys() - before.keys()
        for name in new - {"_callback_fit_ctx", "_skl_callbacks_to_teardown"}:
            delattr(estimator, name)
        vars(estimator).update(before)
        raise


def keeps_last_fit(fit):
    """A decorator for a method that fits: `all_or_nothing` around it."""

    @wraps(fit)
    def wrapper(estimator, *args, **kwargs):
        with all_or_nothing(estimator):
            return fit(estimator, *args, **kwargs)

    return wrapper


def validated(estimator, X, *args, **kwargs):
    """scikit-learn's `validate_data`, and what it lets through is refused too."""
    with _refusals(X, *args):
        checked = validate_data(estimator, X, *args, **kwargs)
    if isinstance(checked, tuple):
        return _canonical(checked[0]), *checked[1:]
    return _canonical(checked)


def checked_array(array, **kwargs):
    """scikit-learn's `check_array`, as `validated` is its `validate_data`."""
    with _refusals(array):
        return _canonical(check_array(array, **kwargs))


@contextmanager
def _refusals(*arrays):
    dtype = getattr(arrays[0], "dtype", None)
    if getattr(dtype, "kind", None) in ("m", "M"):
        raise TypeError(f"Dates and durations ({dtype}) are no numbers.")
    for array in arrays:
        _refuse_masked(array)
        if issparse(array):
            _refuse_indices(array)
    try:
        with np.errstate(invalid="ignore"):  # where inf meets -inf
            yield
    except OverflowError as error:  # of Python's integers
        raise ValueError(
            f"An entry is too large for double precision: {error}"
        ) from error


def _refuse_indices(array):
    """scipy trusts the indices of a sparse array, and reads beyond its memory."""
    if array.format in ("csr", "csc", "bsr"):
        parts = (array.data, array.indices, array.indptr)
        type(array)(parts, shape=array.shape).check_format(full_check=True)
    elif array.format == "coo":
        type(array)((array.data, array.coords), shape=array.shape)


def _canonical(array):
    """A sparse array without duplicates, which scipy would add up in the user's own."""
    if issparse(array) and not array.has_canonical_format:
        array = array.copy()
        array.sum_duplicates()
    return array


def _refuse_masked(array):
    """numpy drops a mask, and what it hides would be taken for data."""
    if isinstance(array, np.ma.MaskedArray) and np.ma.is_masked(array):
        raise ValueError(
            "Masked entries cannot be told from others. Use filled(numpy.nan): NaN is "
            "a missing value to the GP models."
        )


def refuse_nan(estimator, X):
    """Raise a ValueError that names who can take missing values, if `X` has any.

    Parameters
    ----------
    estimator : estimator
        Who does not accept them.

    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Data, validated with ``ensure_all_finite="allow-nan"``: that pass refuses
        infinity in scikit-learn's words.

    Returns
    -------
    largest : float
        The largest absolute entry of `X`.

    Raises
    ------
    ValueError
        If an entry is NaN.
    """
    values = X.data if issparse(X) else X
    least = np.min(values, initial=0.0)  # a NaN is the least, without a copy
    if np.isnan(least):
        raise ValueError(
            f"Input X contains NaN. {type(estimator).__name__} does not accept missing "
            "values; gplvm.GPLVM does."
        )
    return max(-float(least), float(np.max(values, initial=0.0)))


def refuse_overflow(largest, shape, dtype=np.float64):
    """Raise a ValueError if a sum of squares of data overflows, or one over a row.

    Parameters
    ----------
    largest : float
        The largest absolute entry of the data.

    shape : tuple of int
        Their shape.

    dtype : dtype, default=float64
        What holds a row; the squares are summed in double precision.

    Raises
    ------
    ValueError
        If there may be an overflow.
    """
    largest = float(largest)  # of Python, which overflows in silence
    squares = 4.0 * largest * float(shape[0]) * float(shape[1])
    most = float(np.finfo(np.float64).max) / max(squares, 1.0)
    if largest > min(most, _HEADROOM * float(np.finfo(dtype).max)):
        raise ValueError(
            f"The squares of the data overflow (largest entry {largest:.3g}). Divide "
            "the data by a constant."
        )


def refuse_memory(needed, what, way_out):
    """Raise a MemoryError if the machine has not so many bytes, before they are taken.

    Parameters
    ----------
    needed : int
        The bytes.

    what, way_out : str
        What needs them, and what to do, for the error.

    Raises
    ------
    MemoryError
        If they are more than there are.
    """
    try:
        there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not every system tells
        return
    if needed > there:
        raise MemoryError(
            f"{what} needs about {needed >> 30} GiB, and this machine has "
            f"{there >> 30} GiB. {way_out}."
        )


def refuse_infinite(result, what):
    """Raise a ValueError if the result of a computation overflowed, else return it."""
    if not np.all(np.isfinite(result)):
        raise ValueError(
            f"{what} overflows {np.asarray(result).dtype}: an entry of X is too far "
            "from the training data."
        )
    return result


class NotFiniteError(ValueError):
    """Raised where floating point has no finite number for a result."""


def finite_or_refused(reason, *, on_the_way=True):
    """A decorator for a public function: what it returns is finite, or NotFiniteError.

    Inside, numbers may overflow without a warning; infinity and NaN are found in the
    end, in arrays, and in tuples and dictionaries of them, beside functions.

    Parameters
    ----------
    reason : str
        Why there is one that is not, for the error.

    on_the_way : bool, default=True
        Whether that is the reason, too, why there was one on the way to the result; a
        `NotFiniteError` of that is raised as it is otherwise.
    """

    def decorate(function):
        @wraps(function)
        def wrapper(*args, **kwargs):
            cause, dtype = None, np.dtype(float)
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                try:
                    result = function(*args, **kwargs)
                    arrays = _arrays(result)
                    bad = [a for a in arrays if not np.all(np.isfinite(a))]
                    if not bad:
                        return result
                    dtype = np.asarray(bad[0]).dtype
                except NotFiniteError as error:  # of what was computed on the way
                    if not on_the_way or function.__name__ in str(error):
                        raise
                    cause = error
                except (OverflowError, ZeroDivisionError) as error:  # Python's own
                    cause = error
            raise NotFiniteError(
                f"The result of {function.__name__} is not finite in {dtype}: {reason}"
            ) from cause

        return wrapper

    return decorate


def _arrays(result):
    if isinstance(result, dict):
        result = tuple(result.values())
    if not isinstance(result, tuple):
        return [] if callable(result) else [result]
    return [array for part in result for array in _arrays(part)]


def takes_arrays(**dimensions):
    """A decorator: these arguments become arrays of floating point, or are refused.

    Integers and booleans would be computed with in their own arithmetic, which wraps
    around. None stays where it is the default, and sparse matrices and operators where
    the number of dimensions is left to the function.

    Parameters
    ----------
    **dimensions : int or None
        The number of dimensions of each argument; None leaves it to the function, and
        what has none becomes a number of Python.
    """

    def decorate(function):
        parameters = signature(function).parameters
        place = {name: i for i, name in enumerate(parameters)}

        @wraps(function)
        def wrapper(*args, **kwargs):
            args = list(args)
            for name, ndim in dimensions.items():
                given, key = (args, place[name])
                if key >= len(args):
                    given, key = kwargs, name
                    if name not in kwargs:
                        continue
                if given[key] is not None or parameters[name].default is not None:
                    given[key] = real_array(given[key], name, ndim)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def real_array(given, name, ndim=None):
    """`given` as an array of floats; `ndim` is that of `takes_arrays`."""
    if ndim is None and (issparse(given) or isinstance(given, LinearOperator)):
        return given
    _refuse_masked(given)
    try:
        array = np.asarray(given)
        if array.dtype.kind == "O":
            array = array.astype(float)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} is no array of real numbers: {error}") from error
    if array.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got dtype {array.dtype}")
    if ndim is not None and array.ndim != ndim:
        raise ValueError(
            f"{name} must have {ndim} dimension{'s' * (ndim != 1)}, got shape "
            f"{array.shape}"
        )
    if ndim == 0:
        return float(array)
    if array.dtype in (np.float32, np.float64):
        return array
    with np.errstate(over="ignore"):  # of a long double; infinity is seen later
        return array.astype(float)


def given_or_fitted(given, fitted, name):
    """An argument of a public objective: the fitted value where none is given.

    Raises
    ------
    ValueError
        If it has another shape than the fitted one, or is not finite.
    """
    if given is None:
        return fitted
    given = np.asarray(real_array(given, name), dtype=float)
    if given.shape != fitted.shape:
        raise ValueError(f"{name} has shape {given.shape}, expected {fitted.shape}")
    if not np.all(np.isfinite(given)):
        raise ValueError(f"{name} holds NaN or infinity")
    return given
