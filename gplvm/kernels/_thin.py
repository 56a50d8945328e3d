"""Products of matrices of which one has few rows or columns, in pieces.

OpenBLAS copies the factors of a product into blocks that fit its kernels, which with
factors this thin takes as long as to multiply them, but multiplies small matrices as
they are. numpy multiplies stacks of small matrices in one call, so that threads do not
meet at the interpreter's lock between them.
"""

import numpy as np

# Multiplications up to which OpenBLAS takes a product for small.
SMALL = 10**6

# Rows of a piece, which fill its kernels' registers evenly, six or eight at a time.
PIECE_ROWS = 24


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
    n_columns = B.shape[1]
    fewest = max(1, -(-A.size * n_columns // SMALL))
    # A few columns that are left over would cost as much as a piece's half.
    numbers = range(fewest, min(2 * fewest, n_columns) + 1)
    n_pieces = next((n for n in numbers if n_columns % n == 0), fewest)
    width = n_columns // n_pieces
    whole = width * n_pieces
    out = np.empty((len(A), n_columns))
    if whole:
        np.matmul(A, _stack(B, n_pieces, width), out=_stack(out, n_pieces, width))
    if whole < n_columns:
        np.matmul(A, B[:, whole:], out=out[:, whole:])
    return out


def _stack(array, n_pieces, width):
    pieces = array[:, : n_pieces * width].reshape(len(array), n_pieces, width)
    return pieces.swapaxes(0, 1)
