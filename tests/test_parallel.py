"""Blocks on threads leave the process as they found it."""

import contextlib
import gc
import multiprocessing
import os
import threading
import time
import warnings
import weakref

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_info, threadpool_limits

from gplvm import GPLVM, BayesianGPLVM, LinearAutoencoder, _parallel


def _threads():
    blas = [info for info in threadpool_info() if info["user_api"] == "blas"]
    return [info["num_threads"] for info in blas]


@pytest.fixture(autouse=True)
def two_threads():
    """BLAS at two threads, whatever the test run has."""
    with threadpool_limits(2, user_api="blas"):
        yield


@pytest.mark.parametrize(
    "context",
    [
        _parallel.one_blas_thread,
        lambda: _parallel.threads_for_products(10**9),
    ],
)
def test_contexts_that_overlap_put_back_what_was_there(context):
    before = _threads()
    entered, leave = threading.Event(), threading.Event()

    def other():
        with _parallel.one_blas_thread():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with context():
        thread.start()
        assert entered.wait(10)
    # The first has ended, the other goes on.
    assert set(_threads()) == {1}
    leave.set()
    thread.join()
    assert _threads() == before


def test_only_products_worth_it_have_threads():
    with _parallel.threads_for_products(10**5):
        assert set(_threads()) == {1}
    with _parallel.threads_for_products(10**9):
        of_numpy = [
            info["num_threads"]
            for info in threadpool_info()
            if info["user_api"] == "blas" and "numpy" in info["filepath"]
        ]
        assert set(of_numpy or _threads()) == {2}


def test_results_keep_the_order_of_the_blocks():
    blocks = _parallel.row_blocks(1000, 10)
    found = _parallel.map_blocks(lambda rows: rows.start, blocks)
    assert found == list(range(0, 1000, 10))


def test_maps_in_several_threads_at_once():
    X = np.arange(64.0 * 300).reshape(300, 64)
    expected = [X[rows] @ X[rows].T for rows in _parallel.row_blocks(300, 10)]
    answers = {}

    def work(name):
        answers[name] = _parallel.map_blocks(
            lambda rows: X[rows] @ X[rows].T, _parallel.row_blocks(300, 10)
        )

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for answer in answers.values():
        for part, known in zip(answer, expected, strict=True):
            np.testing.assert_array_equal(part, known)
    assert len(answers) == 4
    assert _threads() == [2] * len(_threads())


def test_threads_have_the_error_state_of_their_caller():
    both = threading.Barrier(2)

    def square(block):
        both.wait(10)  # each thread has one of the two blocks
        return np.square(np.float64(1e200))

    with _parallel.block_map(2, 2) as map_blocks:
        with np.errstate(over="ignore"):
            assert np.isinf(map_blocks(square, range(2))).all()
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            map_blocks(square, range(2))


@pytest.mark.parametrize("in_caller", [True, False])
def test_an_error_in_any_thread_reaches_the_caller(in_caller):
    caller, both = threading.get_ident(), threading.Barrier(2)

    def work(block):
        both.wait(10)  # each thread has one of the two blocks
        if (threading.get_ident() == caller) == in_caller:
            raise KeyError(block)
        return block

    with _parallel.block_map(2, 2) as map_blocks:
        with pytest.raises(KeyError):
            map_blocks(work, range(2))
        assert map_blocks(lambda block: -block, range(8)) == [-i for i in range(8)]


def test_nobody_begins_another_block_after_an_error_of_the_caller():
    caller, both, begun = threading.get_ident(), threading.Barrier(2), []

    def work(block):
        begun.append(block)
        if block < 2:
            both.wait(10)
            if threading.get_ident() == caller:
                raise KeyError(block)
            time.sleep(0.2)  # the caller has failed by then

    with _parallel.block_map(50, 2) as map_blocks, pytest.raises(KeyError):
        map_blocks(work, range(50))
    assert len(begun) < 50


def test_an_error_keeps_no_block_alive():
    class Block:
        pass

    caller, both = threading.get_ident(), threading.Barrier(2)

    def work(block):
        both.wait(10)
        if threading.get_ident() != caller:
            raise KeyError

    gc.collect()
    gc.disable()
    try:
        blocks = [Block(), Block()]
        alive = [weakref.ref(block) for block in blocks]
        failing = contextlib.suppress(KeyError)
        with _parallel.block_map(2, 2) as map_blocks, failing:
            map_blocks(work, blocks)
        del blocks
        # The thread drops its work when it has given back its result.
        deadline = time.monotonic() + 10
        while any(ref() for ref in alive) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not any(ref() for ref in alive)
    finally:
        gc.enable()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_has_threads_of_its_own():
    with _parallel.block_map(4, 2) as map_blocks:
        expected = map_blocks(np.sqrt, range(4))
    context = multiprocessing.get_context("fork")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks with threads
        with context.Pool(1) as pool:
            assert pool.apply_async(_roots).get(30) == expected


def _roots():
    both = threading.Barrier(2)

    def root(block):
        if block < 2:
            both.wait(10)  # two threads there are
        return np.sqrt(block)

    with _parallel.block_map(4, 2) as map_blocks:
        return map_blocks(root, range(4))


def test_blocks_may_map_blocks():
    def outer(block):
        with _parallel.block_map(4, 2) as map_inner:
            return sum(map_inner(lambda inner: inner * block, range(4)))

    with _parallel.block_map(6, 2) as map_blocks:
        assert map_blocks(outer, range(6)) == [6 * block for block in range(6)]


def _digits(n_rows, share_missing=0.0):
    rng = np.random.default_rng(0)
    X = load_digits().data[:n_rows, 2:42:3] + rng.normal(size=(n_rows, 14))
    X[rng.random(X.shape) < share_missing] = np.nan
    return X


def _walked(model, X):
    """All that a fit tells."""
    told = vars(clone(model).set_params(random_state=0).fit(X))
    names = sorted(name for name in told if name.endswith("_") and name != "kernel_")
    return [told[name] for name in names]


def _assert_equal(walks):
    for walk in walks[1:]:
        for one, other in zip(walks[0], walk, strict=True):
            assert_array_equal(one, other)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("model", "X"),
    [
        (GPLVM(max_iter=5), _digits(700)),
        (GPLVM(max_iter=5), _digits(60, 0.02)),
        (GPLVM(kernel="linear"), _digits(450)),
        (GPLVM(init="isomap", max_iter=5), _digits(300)),
        (GPLVM(back_constraint="kernel", max_iter=9), _digits(300)),
        (GPLVM(n_inducing=20, max_iter=30), _digits(450)),
        (GPLVM(n_inducing=20, max_iter=30), _digits(450, 0.1)),
        (GPLVM(n_inducing=20, back_constraint="mlp", max_iter=9), _digits(450)),
        (BayesianGPLVM(2, n_inducing=20, max_iter=30), _digits(450)),
        (BayesianGPLVM(2, n_inducing=20, max_iter=10), _digits(450, 0.1)),
        (BayesianGPLVM(2, n_inducing=9, batch_size=50, max_iter=5), _digits(200)),
        (LinearAutoencoder(3, activation="relu"), _digits(450)),
        (LinearAutoencoder(3, activation="relu", solver="adam"), _digits(450)),
    ],
)
def test_fits_are_the_same_to_the_bit_whatever_the_threads(model, X):
    walks = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"):
            walks.append(_walked(model, X))
    _assert_equal(walks)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_restarts_are_the_same_to_the_bit_whatever_the_jobs():
    """Processes of several jobs have fewer threads each."""
    X = _digits(300)
    model = GPLVM(n_restarts=2, max_iter=5)
    _assert_equal([_walked(model.set_params(n_jobs=n), X) for n in (1, 2)])


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("moment", [1, 2, 3, 4])
def test_ctrl_c_while_a_limit_is_set_or_lifted(moment, after, monkeypatch):
    before, calls, set_threads = _threads(), [], _parallel._set_threads

    def interrupted(library, n_threads):
        calls.append(n_threads)
        if len(calls) != moment or after:
            set_threads(library, n_threads)
        if len(calls) == moment:
            raise KeyboardInterrupt

    monkeypatch.setattr(_parallel, "_set_threads", interrupted)
    with contextlib.suppress(KeyboardInterrupt), _parallel.one_blas_thread():
        assert set(_threads()) == {1}
    assert _threads() == before
    assert not _parallel._limited
