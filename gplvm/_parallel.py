"""Blocks of rows on threads, with BLAS at one thread inside them.

numpy and BLAS release the interpreter's lock, so threads share the arrays and use all
the cores; for the thin matrices of a block that beats BLAS's own threads.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

# Rows of a block: with a thousand columns it stays in a core's cache.
BLOCK_ROWS = 128

# Starting threads, and waiting for them, takes as long as some blocks.
_BLOCKS_PER_THREAD = 4


@cache
def _blas():
    return ThreadpoolController().select(user_api="blas")


def n_threads():
    """As many threads as BLAS would use, which is where users set their limit."""
    return max((library.num_threads for library in _blas().lib_controllers), default=1)


def row_blocks(n_rows, size=BLOCK_ROWS):
    """Slices that cover `n_rows` rows."""
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def one_blas_thread():
    """A context in which BLAS runs on one thread: for many small operations."""
    return _blas().limit(limits=1)


@contextmanager
def numpy_blas_at_one_thread():
    """A context in which numpy's own BLAS has one thread, and scipy's keeps its own.

    numpy and scipy may each bring a BLAS, and the threads of either wait busily for
    work: between two large factorisations by scipy, a small product by numpy on all
    the cores costs more than it saves.
    """
    libraries = _blas().lib_controllers
    of_numpy = [library for library in libraries if "numpy" in library.filepath]
    before = [library.num_threads for library in of_numpy]
    shared = len(of_numpy) == len(libraries)  # one library serves both
    for library in of_numpy:
        if not shared:
            library.set_num_threads(1)
    try:
        yield
    finally:
        for library, threads in zip(of_numpy, before, strict=True):
            if not shared:
                library.set_num_threads(threads)


def map_blocks(function, blocks):
    """``[function(block) for block in blocks]``, in that order, on threads.

    The order of the results, and so of any sum over them, does not depend on the
    number of threads.
    """
    workers = min(n_threads(), len(blocks) // _BLOCKS_PER_THREAD)
    if workers <= 1:
        return [function(block) for block in blocks]
    with one_blas_thread(), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, blocks))
