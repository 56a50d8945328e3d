"""Blocks of rows on threads, with BLAS at one thread inside them.

numpy and BLAS release the interpreter's lock, so threads share the arrays and use all
the cores; for the thin matrices of a block that beats BLAS's own threads.
"""

import os
from collections import deque
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from functools import cache
from queue import SimpleQueue
from threading import Lock, Thread

import numpy as np
from threadpoolctl import ThreadpoolController

# Rows of a block: with a thousand columns it stays in a core's cache.
BLOCK_ROWS = 128

TILE = 16  # rows that BLAS computes together

# Handing blocks to threads, and waiting for them, takes as long as some blocks.
_BLOCKS_PER_THREAD = 4

# A product of fewer multiplications than this, about a millisecond, is done before the
# threads of BLAS have found together; where the cores are busy, long before.
_SMALL_PRODUCT = 10**8

# Whether this is one of the threads that share blocks, which has no others for its own.
_is_sharing = ContextVar("is_sharing", default=False)


@cache
def _blas():
    return ThreadpoolController().select(user_api="blas")


def n_threads():
    """As many threads as BLAS would use, which is where users set their limit.

    Whatever the contexts of this module have set. Within a map it is one.
    """
    if _is_sharing.get():
        return 1
    return max(map(_limit_of_users, _blas().lib_controllers), default=1)


def row_blocks(n_rows, size=BLOCK_ROWS):
    """Slices that cover `n_rows` rows."""
    return [slice(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]


def whole_tiles(rows):
    """The indices `rows` with the last one repeated, to a multiple of a BLAS tile.

    BLAS treats the last rows of a product, and a single row, in another order of
    summation: padded, a row's result does not depend on the batch it came in.
    """
    return np.pad(rows, (0, -len(rows) % TILE), mode="edge")


_lock = Lock()
_limited = {}  # path of a BLAS: (its threads before, the contexts that limit it)


def _limit_of_users(library):
    threads, _ = _limited.get(library.filepath, (library.num_threads, None))
    return threads


@contextmanager
def _at_one_thread(libraries):
    """A context in which these have one thread.

    The number belongs to the process: of several contexts at a time, in whatever
    threads, the first sets it, and the last to end puts back what was there.
    """
    # Ctrl-C may come between any two lines: each can be done again, or undone undone.
    context = object()
    try:
        with _lock:
            for library in libraries:
                n_before = library.num_threads
                state = _limited.setdefault(library.filepath, (n_before, set()))
                state[1].add(context)
                if n_before > 1:
                    _set_threads(library, 1)
        yield
    finally:
        try:
            _leave(libraries, context)
        except BaseException:
            _leave(libraries, context)
            raise


def _leave(libraries, context):
    """Put back what was there before the first of the contexts, if this is the last."""
    with _lock:
        for library in libraries:
            threads, contexts = _limited.get(library.filepath, (None, set()))
            contexts.discard(context)
            if threads is not None and not contexts:
                if threads > 1:
                    _set_threads(library, threads)
                del _limited[library.filepath]


def _set_threads(library, n_threads):
    # From threadpoolctl 3.8 on, one thread controls OpenBLAS, until it is told to let
    # go; contexts that overlap may end in another thread than the first began in.
    let_go = getattr(library, "clear_controlling_thread", lambda force: None)
    let_go(force=True)
    library.set_num_threads(n_threads)
    let_go(force=True)


def one_blas_thread():
    """A context in which BLAS runs on one thread.

    For many small operations, and for all whose rounding a long walk would magnify:
    several threads of BLAS round as their number has it. Maps have theirs all the same.
    """
    return _at_one_thread(_blas().lib_controllers)


def threads_for_products(multiplications):
    """A context for a loop of products by numpy, of so many multiplications each.

    Around them there may be passes over vectors by scipy's BLAS, which are not worth
    more than one thread. Small products are not either.
    """
    of_numpy, of_scipy = _blas_by_owner()
    small = multiplications < _SMALL_PRODUCT
    return _at_one_thread(of_numpy + of_scipy if small else of_scipy)


def _blas_by_owner():
    """The libraries that numpy uses, and those that only scipy does."""
    libraries = _blas().lib_controllers
    of_numpy = [library for library in libraries if "numpy" in library.filepath]
    if not of_numpy:  # one library serves both
        return libraries, []
    return of_numpy, [library for library in libraries if library not in of_numpy]


@cache
def keep_freed_memory():
    """Let the C library keep the memory of arrays of up to some megabytes.

    glibc hands large blocks back to the system when they are freed, and each page of
    the next is faulted in anew, at the cost of a page's exponentials. Once a block near
    its limit of 32 MiB was freed, it keeps whatever is smaller. Elsewhere nothing
    happens.
    """
    np.empty(31 * 2**20, dtype=np.uint8)


@contextmanager
def block_map(n_blocks, threads=None):
    """A context that gives a ``map_blocks`` for several times `n_blocks` blocks.

    BLAS is at one thread as long as it lasts, between the maps too.

    Parameters
    ----------
    n_blocks : int
        Number of blocks, each of which takes far longer than a thread's start.

    threads : int, default=None
        Threads at most. None: as many as BLAS would use.
    """
    workers = min(n_threads() if threads is None else threads, n_blocks)
    with one_blas_thread():
        if workers <= 1:
            yield lambda function, blocks: [function(block) for block in blocks]
            return
        yield lambda function, blocks: _share(function, blocks, workers)


def _share(function, blocks, workers):
    """``[function(block) for block in blocks]``, by this thread and others.

    These have numpy's error state of this one.
    """
    # Each takes the next block as soon as it is free; the others have to wake up first.
    results, numbers = [None] * len(blocks), iter(range(len(blocks)))

    def work():
        _is_sharing.set(True)
        for i in numbers:
            results[i] = function(blocks[i])

    others, queue = [_Share(work) for _ in range(workers - 1)], _queue(workers - 1)
    try:
        for other in others:
            queue.put(other)
        copy_context().run(work)
    except BaseException:
        deque(numbers, maxlen=0)  # nobody begins another block
        raise
    finally:
        for other in others:
            other.wait()
    for error in filter(None, [other.take_error() for other in others]):
        try:
            raise error
        finally:  # its traceback has this frame, which would keep it
            del error
    return results


class _Share:
    """Work for another thread, unless it is done before that one comes to it."""

    # Two locks, where a future would take as long as a small block.

    def __init__(self, work):
        self._work, self._context, self.error = work, copy_context(), None
        self._begun, self._going_on = Lock(), Lock()
        self._going_on.acquire()

    def do(self):
        if self._begun.acquire(blocking=False):
            try:
                self._context.run(self._work)
            except BaseException as error:
                self.error = error
            finally:
                self._going_on.release()

    def take_error(self):
        """The error, if there was one, which then is the caller's alone."""
        error, self.error = self.error, None
        return error

    def wait(self):
        if not self._begun.acquire(blocking=False):
            self._going_on.acquire()


@cache
def _queue(workers):
    """The queue of threads that wait for work: to start them takes as long as some."""
    queue = SimpleQueue()

    def work():
        while True:
            queue.get().do()

    for _ in range(workers):
        Thread(target=work, name="gplvm", daemon=True).start()
    return queue


if hasattr(os, "register_at_fork"):  # a fork has none of its parent's threads
    os.register_at_fork(after_in_child=_queue.cache_clear)


def map_blocks(function, blocks, per_thread=_BLOCKS_PER_THREAD):
    """``[function(block) for block in blocks]``, in that order, on threads.

    BLAS is at one thread meanwhile, however few blocks there are: neither the order of
    the results, and so of any sum over them, nor their rounding depend on the number of
    threads.
    """
    workers = min(n_threads(), len(blocks) // per_thread)
    with one_blas_thread():
        if workers <= 1:
            return [function(block) for block in blocks]
        return _share(function, blocks, workers)
