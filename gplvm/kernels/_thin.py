"""Products of matrices of which one has few rows or columns, in pieces.

OpenBLAS copies the factors of a product into blocks that fit its kernels, which with
factors this thin takes as long as to multiply them, but multiplies small matrices as
they are. numpy multiplies stacks of small matrices in one call, so that threads do not
meet at the interpreter's lock between them. Its kernels are a fifth faster where each
row begins with a cache line.
"""

import numpy as np

# Multiplications up to which OpenBLAS takes a product for small.
SMALL = 10**6

# Rows of a piece, which fill its kernels' registers evenly, six or eight at a time.
PIECE_ROWS = 24

# Doubles of a cache line.
LINE = 8


def whole_lines(k):
    """Doubles from a row to the next, for k that begin with a cache line."""
    # Long rows have an odd number of lines: with a multiple of a power of two from one
    # to the next, a column's entries would share few sets of the cache.
    lines = -(-k // LINE)
    return LINE * (lines | 1 if lines > LINE else lines)


def in_lines(n, width):
    """Memory (n, width) that begins with a cache line."""
    memory = np.empty(n * width + LINE)
    start = -memory.__array_interface__["data"][0] // memory.itemsize % LINE
    return memory[start : start + n * width].reshape(n, width)


def multiply_rows(A, B, out):
    """``A @ B`` in `out`, for many rows A.

    Parameters
    ----------
    A : ndarray of shape (n, k)
        Many rows.

    B : ndarray of shape (k, m)
        With k m of at most SMALL / PIECE_ROWS for this to pay.

    out : ndarray of shape (n, m)
        With contiguous rows.
    """
    whole = len(A) // PIECE_ROWS * PIECE_ROWS
    if A.size * B.shape[1] <= SMALL:
        whole = 0
    if whole:
        stacked = -1, PIECE_ROWS
        np.matmul(
            A[:whole].reshape(*stacked, A.shape[1]),
            B,
            out=out[:whole].reshape(*stacked, out.shape[1]),
        )
    if whole < len(A):
        np.matmul(A[whole:], B, out=out[whole:])
    return out


def multiply_columns(A, B):
    """``A @ B`` (k, m), for few rows A (k, n) and many columns B (n, m)."""
    # Pieces are of whole cache lines, but for what is left over.
    n_columns = B.shape[1]
    most = max(1, SMALL // (LINE * max(1, A.size))) * LINE
    n_pieces = max(1, -(-n_columns // most))
    width = max(1, -(-n_columns // (LINE * n_pieces))) * LINE
    n_pieces = n_columns // width
    whole = n_pieces * width
    out = np.empty((len(A), n_columns))
    if whole:
        np.matmul(A, _stack(B, n_pieces, width), out=_stack(out, n_pieces, width))
    if whole < n_columns:
        np.matmul(A, B[:, whole:], out=out[:, whole:])
    return out


def _stack(array, n_pieces, width):
    pieces = array[:, : n_pieces * width].reshape(len(array), n_pieces, width)
    return pieces.swapaxes(0, 1)
