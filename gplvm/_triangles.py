"""Factors and inverses of triangles in place, the same to the bit on any threads.

LAPACK's own threads share a matrix out as their number has it, and round accordingly,
which a long walk magnifies. Here a large triangle is cut into halves, and what is off
their diagonal is products of blocks, of a size that no number of threads changes.
Between them these threads sleep, where BLAS's own wait busily: beside other work, or
each other's, those have been seen to take ten times as long.

A triangle is the lower one of a C-ordered matrix; what is above it is arbitrary.
"""

import numpy as np

from gplvm._lapack import Blocks
from gplvm._parallel import TILE, map_blocks, row_blocks

# Rows of a triangle that is left to LAPACK: its own blocks are no larger.
_LEAF = 256

# Up to so many rows two threads have a half each to invert.
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
    K = np.ascontiguousarray(K)
    return K, _factor(Blocks(K), slice(0, len(K)))


def solve(L, B):
    """``(L L')^-1 B`` in the memory of an F-ordered `B`."""
    blocks = Blocks(np.ascontiguousarray(L))
    _map(lambda columns: blocks.solve(B, columns), row_blocks(B.shape[-1]))
    return B


def invert(L):
    """``L^-1`` in the memory of `L`, and whether there is one."""
    L = np.ascontiguousarray(L)
    return L, _invert(Blocks(L), slice(0, len(L)))


def square(W):
    """``W' W`` of the triangle W, the lower triangle of it, in its memory."""
    _square(Blocks(W), slice(0, len(W)))
    return W


def _factor(blocks, t):
    # K11 = L11 L11',  L21 = K21 L11'^-1,  K22 - L21 L21' = L22 L22'.
    if _size(t) <= _LEAF:
        return blocks.factor(t)
    first, second = _halves(t)
    if not _factor(blocks, first):
        return False
    pieces = _pieces(second)
    _map(lambda rows: _divide(blocks, rows, first), pieces)

    def subtract(rows):
        blocks.subtract_product(rows, slice(second.start, rows.start), first)
        blocks.subtract_product(rows, rows, first)

    _map(subtract, pieces[::-1])  # the longest first
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
        both = _map(lambda half: _invert(blocks, half), halves)
    else:
        both = [_invert(blocks, half) for half in halves]
    _map(lambda rows: blocks.multiply_right(rows, first), _pieces(second))
    _map(lambda columns: blocks.multiply_left(second, columns, -1.0), _pieces(first))
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
    _map(add, pieces[::-1])
    _map(lambda columns: blocks.multiply_left(second, columns, transpose=True), pieces)
    _square(blocks, second)


def _size(t):
    return t.stop - t.start


def _halves(t):
    # Whole tiles of BLAS's products; the first half is the larger one.
    middle = t.start + -(-_size(t) // (2 * TILE)) * TILE
    return slice(t.start, middle), slice(middle, t.stop)


def _pieces(rows):
    return [
        slice(rows.start + piece.start, rows.start + piece.stop)
        for piece in row_blocks(_size(rows))
    ]


def _map(function, pieces):
    if len(pieces) == 1:  # of a small matrix: to ask for threads takes longer
        return [function(pieces[0])]
    return map_blocks(function, pieces, per_thread=1)
