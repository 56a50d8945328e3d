"""Containers of arrays and JSON on the disk: written whole or not at all, checked.

A file is ``MAGIC``, the number of the format (4 bytes), the length of the header (8),
the header in JSON, the arrays' bytes, each from a multiple of 64 on, and the SHA-256 of
all that. The header's ``"arrays"`` says the type, shape and order of each array.
Numbers are little-endian.
"""

import hashlib
import json
import math
import os
import re
import stat
import struct
from contextlib import contextmanager, suppress
from secrets import token_hex

import numpy as np

MAGIC = b"\x89gplvm\r\n"
FORMAT = 2

_PREFIX = struct.Struct("<8sIQ")
_ALIGNMENT = 64
_DIGEST = hashlib.sha256
_DIGEST_SIZE = 32
# What a header may be: JSON takes up to some twenty times its own size in memory.
_HEADER_BYTES = 2**25
_HEADER_PARTS = 10**6
# What an array's type may be: no objects, no structures, nothing of unbounded size.
_DTYPE = re.compile(r"[<|](b1|[iu][1248]|f[248]|[US]\d{1,6})")


class FileError(ValueError):
    """A file that is not what it should be; the message names it."""


@contextmanager
def replacing(path):
    """A stream to a new file that takes the place of `path` when all went well.

    Until then, and if the context ends with an exception, what is at `path` stays.
    A device or a pipe is not replaced but written to.

    Parameters
    ----------
    path : path-like
        The file; where it is a symbolic link, what it points to.

    Yields
    ------
    stream : binary file
    """
    if os.path.isdir(path):
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as stream:
            yield stream
        return
    path = os.path.realpath(os.fsdecode(path))
    # Its name is known before there is such a file: whatever comes in between, it goes.
    temporary = os.path.join(os.path.dirname(path), f".gplvm-{token_hex(8)}")
    try:
        with open(temporary, "xb", opener=_for_owner) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, _permissions(path))
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def _for_owner(path, flags):
    """Open a file that nobody else may read until it is whole."""
    return os.open(path, flags, 0o600)


def _permissions(path):
    """Those of the file that is replaced, or the usual ones of a new file."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def write_container(path, header, arrays):
    """Write a header and arrays, atomically.

    Parameters
    ----------
    path : path-like
        Where to.

    header : dict
        What JSON can hold.

    arrays : list of ndarray
        Of numbers, booleans or text.
    """
    arrays = [_little_endian(array) for array in arrays]
    header = {**header, "arrays": [_describe(array) for array in arrays]}
    text = json.dumps(header, allow_nan=False, separators=(",", ":")).encode("ascii")
    if len(text) > _HEADER_BYTES or _parts(text) > _HEADER_PARTS:
        raise ValueError(
            "what is not in arrays is too much for one file: names of features or "
            "classes, parts of a model"
        )
    digest = _DIGEST()
    with replacing(path) as stream:

        def write(data):
            digest.update(data)
            stream.write(data)

        write(_PREFIX.pack(MAGIC, FORMAT, len(text)))
        write(text)
        position = _PREFIX.size + len(text)
        for array in arrays:
            write(bytes(-position % _ALIGNMENT))
            write(_raw(array))
            position += -position % _ALIGNMENT + array.nbytes
        stream.write(digest.digest())


def read_container(path):
    """Header and arrays of a file, after every check that needs no understanding.

    No more memory is taken for the arrays than the file is long, whatever it says of
    itself, and about 500 MB at most for the header, which is 32 MiB at most.

    Parameters
    ----------
    path : path-like
        Where from.

    Returns
    -------
    header : dict

    arrays : list of ndarray
        Writable, and aligned.

    Raises
    ------
    FileError
        If it is no such file, or of another format, or damaged.

    OSError
        If it cannot be read.
    """
    with open(path, "rb", opener=_without_waiting) as stream:
        status = os.fstat(stream.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise FileError(f"{path} is no regular file")
        return _read(stream, status.st_size, path)


def _without_waiting(path, flags):
    """Open a file, but do not wait for somebody to write to a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _read(stream, size, path):
    digest = _DIGEST()

    def read(buffer):
        if stream.readinto(buffer) != len(buffer):
            raise FileError(f"{path} is damaged: it changed while it was read")
        digest.update(buffer)
        return buffer

    if size < _PREFIX.size + _DIGEST_SIZE:
        raise FileError(f"{path} is no gplvm file, or its end is missing")
    magic, number, length = _PREFIX.unpack(read(bytearray(_PREFIX.size)))
    if magic != MAGIC:
        raise FileError(f"{path} is no gplvm file")
    if number != FORMAT:
        raise FileError(
            f"{path} has format {number}, and this version of gplvm reads format "
            f"{FORMAT}; save the model again with this version"
        )
    end = size - _DIGEST_SIZE
    if length > end - _PREFIX.size:
        raise FileError(f"{path} is damaged: its end is missing")
    if length > _HEADER_BYTES:
        raise FileError(f"{path} is damaged: its header is too long")
    text = read(bytearray(length))
    if _parts(text) > _HEADER_PARTS:
        raise FileError(f"{path} is damaged: its header has too many parts")
    try:
        header = json.loads(
            text.decode("ascii"),
            parse_constant=_no_constant,
            object_pairs_hook=_no_duplicates,
        )
        described = [_described(entry) for entry in header["arrays"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise FileError(f"{path} is damaged: its header makes no sense") from error
    position = _PREFIX.size + length
    for _, shape, _, itemsize in described:
        position += -position % _ALIGNMENT + math.prod(shape) * itemsize
    if position != end:
        raise FileError(f"{path} is damaged: its length and its header disagree")
    arrays, position = [], _PREFIX.size + length
    for dtype, shape, order, itemsize in described:
        read(bytearray(-position % _ALIGNMENT))
        n_bytes = math.prod(shape) * itemsize
        position += -position % _ALIGNMENT + n_bytes
        raw = np.empty(n_bytes, dtype=np.uint8)
        if n_bytes:
            read(memoryview(raw))
        arrays.append(raw.view(dtype).reshape(shape, order=order))
    if stream.read(_DIGEST_SIZE + 1) != digest.digest():
        raise FileError(f"{path} is damaged: its contents and its checksum disagree")
    return header, arrays


def _no_constant(name):
    raise ValueError(f"{name} is no JSON")


def _no_duplicates(pairs):
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name that stands twice")
    return made


def _parts(text):
    """At least as many as there are lists and objects in the JSON."""
    return text.count(b"[") + text.count(b"{")


def _little_endian(array):
    array = np.asarray(array)
    dtype = array.dtype.newbyteorder("<")
    if not _DTYPE.fullmatch(dtype.str):
        raise TypeError(f"arrays of {array.dtype} cannot be saved")
    return array.astype(dtype, copy=False)


def _describe(array):
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    return [array.dtype.str, list(array.shape), "F" if fortran else "C"]


def _raw(array):
    order = _describe(array)[2]
    return np.ravel(array, order=order).view(np.uint8).data


def _described(entry):
    """Type, shape, order and size of an entry, or ValueError."""
    dtype, shape, order = entry
    fine = (
        isinstance(dtype, str)
        and _DTYPE.fullmatch(dtype)
        and isinstance(shape, list)
        and len(shape) <= 32
        and all(type(n) is int and 0 <= n < 2**48 for n in shape)
        and order in ("C", "F")
    )
    if not fine:
        raise ValueError(f"an array of type {dtype!r}")
    dtype = np.dtype(dtype)
    if dtype.itemsize == 0 or math.prod(n for n in shape if n) >= 2**62:
        raise ValueError("an array of impossible size")
    return dtype, tuple(shape), order, dtype.itemsize
