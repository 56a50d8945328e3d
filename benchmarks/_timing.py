"""Interleaved paired timing: contenders take turns, so that they share the weather.

A machine speeds up and slows down while one watches. Contenders that run in turn meet
the same conditions, and the ratio within a round is steadier than either time: every
figure is a median of such ratios, with its quartiles.
"""

import gc
import time
import tracemalloc

import numpy as np
from threadpoolctl import threadpool_limits


def blas_threads(number):
    """A context in which BLAS uses that many threads; the package follows BLAS."""
    return threadpool_limits(number, user_api="blas")


def timed(function, prepare=None):
    """A contender: runs ``function()`` and returns its seconds.

    With `prepare`, it is ``function(prepare())`` and `prepare` is not timed.
    """

    def run():
        arguments = () if prepare is None else (prepare(),)
        start = time.perf_counter()
        function(*arguments)
        return time.perf_counter() - start

    return run


def race(contenders, repeats, warm_up=1, *, lead=0):
    """Seconds of each contender in each round, by name.

    Parameters
    ----------
    contenders : dict of str to callable
        Each returns the seconds of one run, as those of `timed` do.

    repeats : int
        Number of rounds. Every other round runs in reverse order.

    warm_up : int, default=1
        Rounds before them that are not recorded.

    lead : int, default=0
        Runs of a contender before each that is recorded: what runs many times in a row
        when it is used finds the caches, and the cores awake, as it left them.

    Returns
    -------
    seconds : dict of str to ndarray of shape (repeats,)
    """
    names = list(contenders)
    seconds = {name: np.empty(repeats) for name in names}
    gc.collect()
    for turn in range(-warm_up, repeats):
        for name in names if turn % 2 else reversed(names):
            for _ in range(lead):
                contenders[name]()
            elapsed = contenders[name]()
            if turn >= 0:
                seconds[name][turn] = elapsed
    return seconds


def ratio(numerator, denominator):
    """The ratio within each round, median and quartiles, and that of the fastest runs.

    Other work on the machine only ever slows a run down: where it is heavy, the
    fastest runs are the ones that it left alone.
    """
    rounds = np.percentile(numerator / denominator, [50, 25, 75])
    return *rounds, numerator.min() / denominator.min()


def peak_bytes(function):
    """The most memory that ``function()`` held at once beyond what was there before.

    numpy reports its arrays to tracemalloc; what BLAS allocates itself is not seen.
    """
    function()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        function()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
