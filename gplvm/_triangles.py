"""Factors and inverses of triangles in place, the same to the bit on any threads.

LAPACK's own threads share a matrix out as their number has it, and round accordingly,
which a long walk magnifies. Here a large triangle is cut into halves, and what is off
their diagonal is products of blocks, of a size that no number of threads changes.
Between them these threads sleep, where BLAS's own wait busily: beside other work, or
each other's, those have been seen to take ten times as long.

A triangle is the lower one of a C-ordered matrix; what is above it is arbitrary.
"""

import numpy as np
from scipy.linalg import lapack

from gplvm._lapack import Blocks
from gplvm._parallel import TILE, map_blocks, row_blocks

# Up to so many rows a triangle is whole, and scipy's to call, who is faster at it.
_WHOLE = 256

# Rows of a part that is left to LAPACK, and of a piece of a product: larger ones take
# less time each, and smaller ones keep more threads busy.
_LEAF = 128
_PIECES = 128, 256

# Up to so many rows all is done before another thread has woken up; and up to so many
# two threads have a half each to invert.
_ALONE = 512
_TWO_HALVES = 1024


def factor(K):
    """The Cholesky factor of a symmetric `K`, in its memory, and whether there is one.

    Parameters
    ----------
    K : ndarray of shape (n, n)
        Of which the lower triangle is read.

    Returns
    -------
    L : ndarray of shape (n, n)

    is_positive : bool
    """
    _check(K)
    if len(K) <= _WHOLE:
        L, info = lapack.dpotrf(K.T, lower=0, clean=0, overwrite_a=1)
        return L.T, info == 0
    K = np.ascontiguousarray(K)
    return K, _factor(Blocks(K), slice(0, len(K)))


def solve(L, B):
    """``(L L')^-1 B`` in the memory of an F-ordered `B`."""
    _check(L, B)
    if len(L) <= _WHOLE:
        return lapack.dpotrs(L.T, B, lower=0, overwrite_b=1)[0]
    blocks, whole = Blocks(np.ascontiguousarray(L)), slice(0, len(L))
    _map(lambda columns: blocks.solve(B, columns), row_blocks(B.shape[1]), whole)
    return B


def invert(L):
    """``L^-1`` in the memory of `L`, and whether there is one."""
    _check(L)
    if len(L) <= _WHOLE:
        W, info = lapack.dtrtri(L.T, lower=0, overwrite_c=1)
        return W.T, info == 0
    L = np.ascontiguousarray(L)
    return L, _invert(Blocks(L), slice(0, len(L)))


def square(W):
    """``W' W`` of the triangle W, the lower triangle of it, in its memory."""
    _check(W)
    if len(W) <= _WHOLE:
        return lapack.dlauum(W.T, lower=0, overwrite_c=1)[0].T
    W = np.ascontiguousarray(W)
    _square(Blocks(W), slice(0, len(W)))
    return W


def _check(A, B=None):
    """Refuse what is no square matrix, or has other rows: its address has no bounds."""
    if A.shape != (len(A), len(A)) or not (A.dtype == float and A.flags.behaved):
        raise ValueError(f"A triangle needs a square matrix, got shape {A.shape}.")
    if B is not None and (B.ndim != 2 or len(B) != len(A)):
        raise ValueError(f"A triangle of {len(A)} rows divides no array of {B.shape}.")


def _factor(blocks, t):
    # K11 = L11 L11',  L21 = K21 L11'^-1,  K22 - L21 L21' = L22 L22'.
    if _size(t) <= _LEAF:
        return blocks.factor(t)
    first, second = _halves(t)
    if not _factor(blocks, first):
        return False
    pieces = _pieces(second)
    _map(lambda rows: _divide(blocks, rows, first), pieces, t)

    def subtract(rows):
        blocks.subtract_product(rows, slice(second.start, rows.start), first)
        blocks.subtract_product(rows, rows, first)

    _map(subtract, pieces[::-1], t)  # the longest first
    return _factor(blocks, second)


def _divide(blocks, rows, t):
    # X L' = B:  X1 L11' = B1,  X2 L22' = B2 - X1 L21'.
    if _size(t) <= _LEAF:
        blocks.divide(rows, t)
        return
    first, second = _halves(t)
    _divide(blocks, rows, first)
    blocks.subtract_product(rows, second, first)
    _divide(blocks, rows, second)


def _invert(blocks, t):
    # W11 = L11^-1,  W22 = L22^-1,  W21 = -W22 L21 W11.
    if _size(t) <= _LEAF:
        return blocks.invert(t)
    halves = first, second = _halves(t)
    if _size(t) <= _TWO_HALVES:
        both = _map(lambda half: _invert(blocks, half), halves, t)
    else:
        both = [_invert(blocks, half) for half in halves]
    _map(lambda rows: blocks.multiply_right(rows, first), _pieces(second), t)
    _map(lambda columns: blocks.multiply_left(second, columns, -1.0), _pieces(first), t)
    return all(both)


def _square(blocks, t):
    # (W'W)11 = W11' W11 + W21' W21,  (W'W)21 = W22' W21,  (W'W)22 = W22' W22.
    if _size(t) <= _LEAF:
        blocks.square(t)
        return
    first, second = _halves(t)
    pieces = _pieces(first)

    def add(rows):
        blocks.add_product(rows, slice(first.start, rows.start), second)
        blocks.add_product(rows, rows, second)

    _square(blocks, first)
    _map(add, pieces[::-1], t)
    _map(
        lambda columns: blocks.multiply_left(second, columns, transpose=True), pieces, t
    )
    _square(blocks, second)


def _size(t):
    return t.stop - t.start


def _halves(t):
    # Whole tiles of BLAS's products; the first half is the larger one.
    middle = t.start + -(-_size(t) // (2 * TILE)) * TILE
    return slice(t.start, middle), slice(middle, t.stop)


def _pieces(rows):
    smallest, largest = _PIECES
    size = min(max(smallest, _size(rows) // (4 * TILE) * TILE), largest)
    return [
        slice(rows.start + piece.start, rows.start + piece.stop)
        for piece in row_blocks(_size(rows), size)
    ]


def _map(function, pieces, t):
    """`map_blocks` for pieces of work on the triangle t."""
    return map_blocks(function, pieces, 1 if _size(t) > _ALONE else len(pieces))
