"""NPY and NPZ files: what they say of themselves is checked before memory is taken.

An array is read only if its type is of numbers or text, the file is as long as its
shape asks for, and twice its size as float64 is available memory. An archive's member
must not be longer than its compressed bytes can be: deflate gives 1032 for one at most.
"""

import zipfile
import zlib
from contextlib import contextmanager

import numpy as np

from gplvm.cli._errors import UserError
from gplvm.datasets._memory import available_memory

_MOST_DEFLATED = 1032
_PIECE = 2**22  # bytes read at a time
_MOST_DIMENSIONS = 32  # what every numpy has
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Npy:
    """One array in NPY format, of which the header is read and found possible.

    Parameters
    ----------
    name : str
        What to call it in errors.

    stream : binary file
        At the beginning of the array.

    size : int
        Bytes that the stream has.

    Attributes
    ----------
    shape : tuple of int
        Its shape.

    dtype : dtype
        Its type.

    Raises
    ------
    UserError
        If it is no such array, or one of objects, or longer than the stream.
    """

    def __init__(self, name, stream, size):
        self._name, self._stream = name, stream
        try:
            version = np.lib.format.read_magic(stream)
            self.shape, self._fortran, self.dtype = _HEADERS[version](stream)
        except Exception as error:  # numpy's parser of hostile headers
            raise self._error("not an array in NPY format, or cut off") from error
        if self.dtype.hasobject:
            raise self._error(
                "holds Python objects, which are never loaded; save numbers"
            )
        if self.dtype.subdtype is not None:
            raise self._error(f"holds {self.dtype}, expected real numbers")
        whole = all(type(n) is int and n >= 0 for n in self.shape)
        if not whole or len(self.shape) > _MOST_DIMENSIONS:
            raise self._error("not an array in NPY format, or cut off")
        self._count = 1
        for n in self.shape:
            self._count *= n
        header = stream.tell()
        if self._count * self.dtype.itemsize > size - header:
            raise self._error(
                f"cut off: its header promises {self._count * self.dtype.itemsize} "
                f"bytes, and {size - header} follow"
            )
        check_memory(self._name, self._count * max(8, self.dtype.itemsize))

    def read(self):
        """The array, in memory that is taken only now."""
        array = np.empty(self._count, dtype=self.dtype)
        place = memoryview(array.view(np.uint8)) if array.nbytes else memoryview(b"")
        at = 0
        while at < len(place):
            piece = self._stream.read(min(_PIECE, len(place) - at))
            if not piece:
                raise self._error("not an array in NPY format, or cut off")
            place[at : at + len(piece)] = piece
            at += len(piece)
        return array.reshape(self.shape, order="F" if self._fortran else "C")

    def _error(self, reason):
        return UserError(f"{self._name}: {reason}")


def check_memory(name, n_bytes):
    """Refuse what does not fit into the memory that is available, twice."""
    available = available_memory()
    if 2 * n_bytes > available:
        raise UserError(
            f"{name}: needs {2 * n_bytes / 2**30:.3g} GiB of memory, and "
            f"{available / 2**30:.3g} GiB are available"
        )


class Npz:
    """The arrays of an archive, by name; only those asked for are read.

    Used as a context manager.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    UserError
        If it is no such archive.
    """

    def __init__(self, path):
        self._path = path

    def __enter__(self):
        with self._told():
            self._archive = zipfile.ZipFile(self._path)
            self._members = {
                info.filename.removesuffix(".npy"): info
                for info in self._archive.infolist()
                if info.filename.endswith(".npy")
            }
        return self

    def __exit__(self, *_):
        self._archive.close()

    def __contains__(self, key):
        return key in self._members

    def __iter__(self):
        return iter(self._members)

    def shape(self, key):
        """Shape of an array, of which no more than the header is read."""
        with self._opened(key) as array:
            return array.shape

    def read(self, key):
        """An array."""
        with self._opened(key) as array:
            return array.read()

    @contextmanager
    def _opened(self, key):
        info, name = self._members[key], f"{self._path}: {key}"
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise UserError(f"{name}: compressed in a way that NPZ files are not")
        if info.file_size > _MOST_DEFLATED * (info.compress_size + 1):
            raise UserError(f"{name}: not as long as the archive says of it")
        with self._told(), self._archive.open(info) as stream:
            yield Npy(name, stream, info.file_size)

    @contextmanager
    def _told(self):
        try:
            yield
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            RuntimeError,  # encrypted, or of an unknown compression
            ValueError,
            KeyError,
            OverflowError,
        ) as error:
            raise UserError(f"{self._path}: not an NPZ archive, or cut off") from error
