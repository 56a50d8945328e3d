"""Many rows: the Bayesian model in batches, its time, its memory and its bound."""

import resource
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from _flow import make_flow
from _report import Table
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from gplvm import _stochastic_fit
from gplvm._bayesian_gplvm import BayesianGPLVM

HEADING = "Many rows"
COMPONENTS, INDUCING, BATCH, FEATURES = 5, 50, 1000, 50
SIZES = (20_000, 100_000, 1_000_000)


def functions_of_three(n_samples, n_features, random_state=0):
    """Smooth functions of three normal variables plus noise, block by block."""
    rng = np.random.default_rng(random_state)
    weights, phases = rng.normal(size=(3, 64)) / 1.2, rng.uniform(0, 6.3, 64)
    mixing = rng.normal(size=(64, n_features)) / np.sqrt(32)
    for start in range(0, n_samples, 50_000):
        x = rng.normal(size=(min(50_000, n_samples - start), 3))
        noise = 0.1 * rng.normal(size=(len(x), n_features))
        yield start, np.cos(x @ weights + phases) @ mixing + noise


def one_pass(path):
    """Seconds of a fit with one pass, of its start, and peak memory in GiB.

    Prints them: it runs in a process of its own, whose memory is nobody else's.
    """
    X = np.load(path, mmap_mode="r")
    model = BayesianGPLVM(
        COMPONENTS,
        n_inducing=INDUCING,
        batch_size=BATCH,
        max_iter=1,
        random_state=0,
    )
    climb, start = model._climb, [0.0]

    def timed_climb(*args, **kwargs):
        begin = time.perf_counter()
        answer = climb(*args, **kwargs)
        start[0] = time.perf_counter() - begin
        return answer

    model._climb = timed_climb
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(seconds, start[0], peak)


def growth(options):
    table = Table(
        f"One pass over memory-mapped rows of {FEATURES} features in single precision",
        ["rows", "start, s", "pass, s", "microseconds a row", "peak memory, GiB"],
        f"""q = {COMPONENTS}, M = {INDUCING}, batches of {BATCH}. The start is the fit
        of 10,000 rows, the same for any number; the pass is everything else: reading
        the data three times, a batch's steps, the positions, and the bound and
        predictions at the end. Memory is the most that the process held, with what of
        the mapped file the system counts to it.""",
    )
    for n_samples in SIZES[: 1 if options.quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.npy"
            shape = (n_samples, FEATURES)
            X = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            for start, block in functions_of_three(*shape):
                X[start : start + len(block)] = block
            X.flush()
            del X
            command = [sys.executable, __file__, str(path)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, start, peak = map(float, answer.stdout.split())
        rest = seconds - start
        table.rows.append(
            [
                f"{n_samples:,}",
                f"{start:.1f}",
                f"{rest:.1f}",
                f"{1e6 * rest / n_samples:.0f}",
                f"{peak:.2f}",
            ]
        )
        print(f"  {table.rows[-1]}", flush=True)
    return table


def datasets():
    """Data that both can do: name, rows, batch size, and rows of the start."""
    for seed, n_samples, batch_size, n_first in [
        (3, 1000, 100, None),
        (4, 1000, 100, None),
        (5, 4000, 500, 1500),
    ]:
        flow, _ = make_flow(n_samples, seed)
        yield f"flow, seed {seed}", flow / flow.std(axis=0), batch_size, n_first
    yield "digits 0-4", load_digits(n_class=5).data / 16, 100, None
    blocks = [block for _, block in functions_of_three(6000, 20, random_state=1)]
    yield "functions of three", np.vstack(blocks), 500, 2000


@contextmanager
def held_to(n_rows):
    """The start, and the climb at the end, on so many rows at most; None: as it is."""
    known = {"_FIRST_ROWS": n_rows, "_JOINT_PARAMETERS": 2 * COMPONENTS * (n_rows or 1)}
    before = {name: getattr(_stochastic_fit, name) for name in known}
    try:
        for name in known if n_rows else ():
            setattr(_stochastic_fit, name, known[name])
        yield
    finally:
        for name, value in before.items():
            setattr(_stochastic_fit, name, value)


def bounds(options):
    table = Table(
        "Batches beside the collapsed bound",
        [
            "data",
            "rows of the start",
            "collapsed, nats a row",
            "batches, nats a row",
            "difference / collapsed",
            "collapsed, s",
            "batches, s",
        ],
        f"""q = {COMPONENTS}, M = {INDUCING}, one seed. Both bounds are the collapsed
        one at the fitted parameters. Up to 10,000 rows the start is a fit of all of
        them, and batches can only do no harm. Where fewer are given, the start and the
        climb at the end are held to them, as they are with more rows.""",
    )
    for name, X, batch_size, n_first in datasets():
        figures = []
        for size in (None, batch_size):
            model = BayesianGPLVM(
                COMPONENTS, n_inducing=INDUCING, batch_size=size, random_state=0
            )
            if options.quick:
                model.set_params(max_iter=3)
            begin = time.perf_counter()
            with warnings.catch_warnings(), held_to(n_first):
                warnings.simplefilter("ignore", ConvergenceWarning)
                model.fit(X)
            figures.append((model.elbo_ / len(X), time.perf_counter() - begin))
        (collapsed, slow), (batches, fast) = figures
        table.rows.append(
            [
                f"{name} ({X.shape[0]} x {X.shape[1]})",
                f"{n_first or len(X):,}",
                f"{collapsed:.3f}",
                f"{batches:.3f}",
                f"{(batches - collapsed) / abs(collapsed):+.1%}",
                f"{slow:.1f}",
                f"{fast:.1f}",
            ]
        )
        print(f"  {table.rows[-1]}", flush=True)
    return table


def run(options):
    return [growth(options), bounds(options)]


if __name__ == "__main__":
    one_pass(sys.argv[1])
