"""What the commands read: CSV, NPY, NPZ, and folders of images."""

import os
import stat
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gplvm.cli._arrays import Npy, Npz
from gplvm.cli._csv import checked_labels, read_csv
from gplvm.cli._errors import UserError
from gplvm.cli._text import utf8

_TEXT = {".csv", ".tsv", ".txt"}
_LARGEST = 1e150  # with room for the sum of squares of all rows
_KINDS = "a .csv, .tsv, .txt, .npy or .npz file, or a folder of images"


@dataclass
class Input:
    """A data set and where it came from.

    Attributes
    ----------
    source : str
        The path that the user gave.

    data : ndarray of shape (n_samples, n_features)
        The numbers; images are rows of pixels in [0, 1].

    labels, filenames : ndarray of shape (n_samples,) or None
        What is known of each row.

    image_shape : tuple or None
        (height, width) or (height, width, 3) of each row, if rows are images.

    feature_names, lines : sequence or None
        The names of the columns, or their numbers where there is no header, and the
        line of each row, of a text file.

    notes : list of str
        What was left out, for the user to know.
    """

    source: str
    data: np.ndarray
    labels: np.ndarray | None = None
    filenames: np.ndarray | None = None
    image_shape: tuple | None = None
    feature_names: list | None = None
    lines: np.ndarray | None = None
    notes: list = field(default_factory=list)

    def rows(self, which):
        """Labels and file names of some of the rows, without the data."""
        labels, filenames = (
            None if known is None else known[which]
            for known in (self.labels, self.filenames)
        )
        return Input(self.source, self.data[:0], labels, filenames)

    def first(self, where):
        """The place of the first True of a mask of the data's shape, in words."""
        row, column = np.argwhere(where)[0]
        if self.lines is not None:
            return f"{self.row(row)}, column {self.feature_names[column]!r}"
        if self.filenames is not None:
            return self.row(row)
        return f"row {row}, column {column}, counted from 0"

    def row(self, row):
        """Where a row is, in words."""
        if self.lines is not None:
            return f"line {self.lines[row]}"
        if self.filenames is not None:
            return str(self.filenames[row])
        return f"row {row}, counted from 0"

    def column(self, column):
        """Which column it is, in words."""
        if self.feature_names is not None:
            return f"column {self.feature_names[column]!r}"
        return f"column {column}, counted from 0"

    def check_scalable(self):
        """Refuse a column whose variance is not represented: no scaler divides it."""
        highest, lowest = (f.reduce(self.data, axis=0) for f in (np.fmax, np.fmin))
        with np.errstate(over="ignore", invalid="ignore"):
            spread = highest.astype(float) - lowest
        largest = np.maximum(np.abs(highest), np.abs(lowest))
        lost = (largest > _LARGEST) & (largest < np.inf)
        lost |= (spread > 0) & (spread < 1.0 / _LARGEST)
        if lost.any():
            column = int(np.argmax(lost))
            raise UserError(
                f"{self.source}: {self.column(column)} cannot be standardized: its "
                f"numbers reach from {lowest[column]:.3g} to {highest[column]:.3g}; "
                "their squares are not represented: divide them by a constant"
            )


def read_input(path, *, labels=None, image_size=None):
    """Read a data set, of whatever kind the path is.

    Parameters
    ----------
    path : path-like
        A CSV, NPY or NPZ file, or a folder with one folder of images per class; ``-``
        is a CSV file from standard input.

    labels : str, default=None
        The column (CSV) or array (NPZ) of labels.

    image_size : int, default=None
        Resize the images of a folder to this many pixels a side.

    Returns
    -------
    Input
        The data set.

    Raises
    ------
    UserError
        With one line that says what is wrong where.
    """
    if str(path) == "-":
        if image_size is not None:
            raise UserError("--image-size is for folders of images; - is a table")
        if sys.stdin is None:
            raise UserError("-: there is no standard input")
        return _read_text("standard input", labels, sys.stdin.buffer)
    place = Path(path)
    kind = place.suffix.lower()
    try:
        mode = place.stat().st_mode
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError | FileNotFoundError | NotADirectoryError):
            raise UserError(f"{path}: no such file or folder") from error
        raise UserError(f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(mode):
        if labels is not None:
            raise UserError(
                "--labels is for tables; images are labelled by their folder"
            )
        return _read_images(place, image_size)
    if image_size is not None:
        raise UserError(f"--image-size is for folders of images; {path} is a file")
    try:
        if kind in _TEXT:
            with place.open("rb") as stream:
                return _read_text(place, labels, stream)
        if kind in (".npy", ".npz") and not stat.S_ISREG(mode):
            raise UserError(f"{path}: is no regular file")  # a pipe would be waited for
        if kind == ".npy":
            if labels is not None:
                raise UserError("--labels needs a CSV or NPZ file; an NPY has no names")
            with place.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                return _from_array(str(path), Npy(place, stream, size).read())
        if kind == ".npz":
            with Npz(place) as archive:
                return _from_archive(path, archive, labels)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from error
    raise UserError(f"{path}: unknown kind of file; expected {_KINDS}")


def _read_text(path, labels, stream):
    data, names, found, lines, notes = read_csv(path, stream, labels)
    return Input(str(path), data, found, feature_names=names, lines=lines, notes=notes)


def _from_archive(path, archive, labels):
    """Choose the data and the labels of an NPZ; no other array is read."""
    key = next((key for key in ("X", "data", "images") if key in archive), None)
    if key is None:
        others = [key for key in archive if key != labels]
        two_dimensional = [key for key in others if len(archive.shape(key)) >= 2]
        if len(two_dimensional) != 1:
            raise UserError(
                f"{path}: expected an array named X, data or images, or only one with "
                f"rows and columns; it has {_some(archive)}"
            )
        key = two_dimensional[0]
    if labels is not None and labels not in archive:
        raise UserError(
            f"{path}: no array {labels!r} for --labels; it has {_some(archive)}"
        )
    found = _from_array(f"{path}: {key}", archive.read(key))
    found.source = str(path)
    label_key = labels or next((k for k in ("y", "target") if k in archive), None)
    if label_key is not None:
        found.labels = _labels(path, archive, label_key, len(found.data))
    return found


def _some(names):
    """Some of the names, in one line."""
    names = sorted(names)
    told = ", ".join(name[:40] for name in names[:20]) or "none"
    return told + (", ..." if len(names) > 20 else "")


def _labels(path, archive, key, n_rows):
    """The labels of an archive as text, by name where it has their names."""
    shape = archive.shape(key)
    if shape != (n_rows,):
        raise UserError(
            f"{path}: the labels {key!r} have shape {shape}, the data {n_rows} rows"
        )
    y = archive.read(key)
    if "target_names" in archive and y.dtype.kind in "iu":
        names = archive.read("target_names")
        if names.ndim == 1 and y.size and 0 <= y.min() <= y.max() < len(names):
            key, y = "target_names", names[y]
    if y.dtype.kind not in "biufUS":
        raise UserError(f"{path}: {key}: holds {y.dtype}, expected numbers or text")
    try:
        if y.dtype.kind == "S":
            y = np.char.decode(y, "utf-8")
        y = y.astype(str)
        "".join(np.unique(y)).encode("utf-8")
    except ValueError as error:
        raise UserError(f"{path}: {key}: holds what is not text") from error
    return checked_labels(y, lambda row: f"{path}: {key}, row {row}, counted from 0")


def _from_array(name, array):
    if array.dtype.kind not in "fiub":
        raise UserError(f"{name}: holds {array.dtype}, expected real numbers")
    if array.ndim < 2 or array.ndim > 4 or (array.ndim == 4 and array.shape[3] != 3):
        raise UserError(
            f"{name}: has shape {array.shape}; expected (rows, columns), or images as "
            "(images, height, width) with or without a last 3 for colours"
        )
    if 0 in array.shape:
        raise UserError(f"{name}: is empty, of shape {array.shape}")
    image_shape = array.shape[1:] if array.ndim > 2 else None
    # An infinity, or what is no number, is the estimator's to refuse.
    with np.errstate(over="ignore", invalid="ignore"):
        data = array.reshape(len(array), -1).astype(np.float64)
    if image_shape is not None and array.dtype == np.uint8:
        data /= 255.0
    return Input(name, data, image_shape=image_shape)


@contextmanager
def _quiet_libraries():
    """A context in which libtiff does not write of its own to standard error."""
    try:
        kept = os.dup(2)
    except OSError:  # closed
        yield
        return
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _read_images(path, image_size):
    from gplvm.datasets import load_image_folder

    try:
        with _quiet_libraries():
            folder = load_image_folder(path, image_size=image_size)
    except MemoryError as error:
        raise UserError(f"{path}: {error}; give a smaller --image-size") from error
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        option = "Pass image_size=(height, width)"
        raise UserError(reason.replace(option, "Give --image-size N")) from error
    return Input(
        str(path),
        folder.data,
        labels=np.array([utf8(name) for name in folder.target_names])[folder.target],
        filenames=np.array(
            [utf8(Path(name).relative_to(path).as_posix()) for name in folder.filenames]
        ),
        image_shape=folder.images.shape[1:],
    )
