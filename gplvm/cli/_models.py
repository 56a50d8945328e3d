"""Model files, and tables of what a model says of rows."""

import csv
import io
import warnings
from collections import Counter

import numpy as np

from gplvm.cli._errors import UserError


def write_model(path, model, found):
    """Write a model that remembers the columns of the table it was fitted to."""
    from gplvm._persistence import save

    names = found.feature_names
    if names is not None and len(set(names)) == len(names) and any(names):
        # As scikit-learn does with a data frame: the first that sees it knows them.
        first = model.steps[0][1] if hasattr(model, "steps") else model
        first.feature_names_in_ = np.array(names, dtype=object)
    save(model, path)


def read_model(path):
    """A model of a file, or the reason in one line."""
    from gplvm._persistence import load

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # written by another scikit-learn
            return load(path)
    except ValueError as error:
        raise UserError(" ".join(str(error).split())) from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error


def fitting_columns(model, found, names=None):
    """The data, its columns in the order that the model expects.

    Parameters
    ----------
    model : estimator
        A fitted model.

    found : Input
        The data.

    names : list of str, default=None
        Names of the columns to take; None: those that the model was fitted to.

    Returns
    -------
    data : ndarray of shape (n_samples, n_features)

    Raises
    ------
    UserError
        If a column is missing, or their number is wrong.
    """
    n_features = model.n_features_in_ if names is None else len(names)
    if names is None:
        names = getattr(model, "feature_names_in_", None)
    known = found.feature_names
    if names is not None and known is not None and set(names) & set(known):
        place = {name: column for column, name in enumerate(known)}
        missing = [name for name in names if name not in place]
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise UserError(
                f"{found.source}: no column {missing[0]!r}{more}, which the model was "
                "fitted to"
            )
        if len(place) < len(known):
            counts = Counter(known)
            for name in names:
                if counts[name] > 1:
                    raise UserError(f"{found.source}: two columns are {name!r}")
        return found.data[:, [place[name] for name in names]]
    columns = found.data.shape[1]
    if columns == n_features:
        return found.data
    told = f"{found.source}: rows of {columns}, but the model takes {n_features}"
    if found.image_shape is not None:
        told = (
            f"{found.source}: images of {' x '.join(map(str, found.image_shape))}, but "
            f"the model takes {n_features} numbers"
        )
        side = round(n_features**0.5)
        if side**2 == n_features:
            told += f"; give --image-size {side}"
    raise UserError(told)


def write_table(stream, names, values, found):
    """Write numbers as CSV, with the labels and file names of their rows.

    Parameters
    ----------
    stream : binary file
        Where to.

    names : sequence of str
        Names of the columns.

    values : ndarray of shape (n_samples, n_columns)
        Numbers, or text.

    found : Input
        The rows that the numbers belong to.
    """
    columns, extra = list(names), []
    for name, known in (("label", found.labels), ("filename", found.filenames)):
        if known is not None:
            columns.append(name)
            extra.append(known)
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row, *rest in zip(values, *extra, strict=True):
        writer.writerow([*(_field(value) for value in row), *rest])
    text.detach()  # flushes, and leaves the stream open


def _field(value):
    return value if isinstance(value, str) else repr(float(value))
