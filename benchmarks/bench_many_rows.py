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
from sklearn.exceptions import ConvergenceWarning

from gplvm import _batch_fitting, _growing_fit
from gplvm._bayesian_gplvm import BayesianGPLVM
from gplvm._stochastic_fit import n_passes
from gplvm.datasets import make_creatures

HEADING = "Many rows"
COMPONENTS, INDUCING, BATCH, FEATURES = 5, 50, 1000, 50
# Rows, and how many of them climb together at most; None: as many as by default.
SIZES = (
    (25_000, 10_000),
    (100_000, 10_000),
    (1_000_000, None),
)


def functions_of_three(n_samples, n_features, random_state=0, slope=1 / 1.2):
    """Smooth functions of three normal variables plus noise, block by block."""
    rng = np.random.default_rng(random_state)
    weights, phases = slope * rng.normal(size=(3, 64)), rng.uniform(0, 6.3, 64)
    mixing = rng.normal(size=(64, n_features)) / np.sqrt(32)
    for start in range(0, n_samples, 50_000):
        x = rng.normal(size=(min(50_000, n_samples - start), 3))
        noise = 0.1 * rng.normal(size=(len(x), n_features))
        yield start, np.cos(x @ weights + phases) @ mixing + noise


def one_fit(path, n_joint):
    """Seconds of the climbs, of the rest of a fit, and peak memory in GiB.

    Prints them: it runs in a process of its own, whose memory is nobody else's.
    """
    X = np.load(path, mmap_mode="r")
    model = BayesianGPLVM(
        COMPONENTS, n_inducing=INDUCING, batch_size=BATCH, random_state=0
    )
    run_passes, walks = _batch_fitting.run_passes, []

    def timed(*args, **kwargs):
        walks.append(time.perf_counter())
        return run_passes(*args, **kwargs)

    _batch_fitting.run_passes = timed
    begin = time.perf_counter()
    with held_to(n_joint):
        model.fit(X)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(walks[0] - begin, end - walks[0], peak)


def growth(options):
    table = Table(
        f"Memory-mapped rows of {FEATURES} features in single precision",
        [
            "rows",
            "that climb together",
            "climbs, s",
            "passes",
            "passes, s",
            "microseconds a row and pass",
            "peak memory, GiB",
        ],
        f"""q = {COMPONENTS}, M = {INDUCING}, batches of {BATCH}, everything else by
        default: five hundred batches, but three passes at least. Their seconds are all
        that comes after the climbs, with the settling at the end, the bound and the
        predictions. Memory is the most that the process held, with what of the mapped
        file the system counts to it.""",
    )
    for n_samples, n_joint in SIZES[: 1 if options.quick else None]:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.npy"
            shape = (n_samples, FEATURES)
            X = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            for start, block in functions_of_three(*shape):
                X[start : start + len(block)] = block
            X.flush()
            del X
            command = [sys.executable, __file__, str(path), str(n_joint or 0)]
            answer = subprocess.run(command, check=True, capture_output=True, text=True)
        climbs, passes, peak = map(float, answer.stdout.split())
        number = n_passes(n_samples, BATCH)
        table.rows.append(
            [
                f"{n_samples:,}",
                f"{n_joint:,}" if n_joint else "by default",
                f"{climbs:.1f}",
                f"{number}",
                f"{passes:.1f}",
                f"{1e6 * passes / n_samples / number:.0f}",
                f"{peak:.2f}",
            ]
        )
        print(f"  {table.rows[-1]}", flush=True)
    return table


def datasets():
    """Names and data that both can do."""
    for seed, n_samples in [(3, 2000), (4, 2000), (5, 5000)]:
        flow, _ = make_flow(n_samples, seed)
        yield f"flow, seed {seed}", flow / flow.std(axis=0)
    creatures = make_creatures(2000, image_size=16, random_state=0).data
    yield "creatures", creatures
    for name, slope in [("rough functions", 1 / 1.2), ("smooth functions", 0.4)]:
        for seed, n_samples in [(1, 5000), (2, 5000)]:
            blocks = functions_of_three(n_samples, 20, seed, slope)
            yield f"{name}, seed {seed}", np.vstack([block for _, block in blocks])


@contextmanager
def held_to(n_rows):
    """At most so many rows climb together; None or 0: as many as by default."""
    before = _batch_fitting._JOINT_PARAMETERS
    if n_rows:
        _batch_fitting._JOINT_PARAMETERS = 2 * COMPONENTS * n_rows
    try:
        yield
    finally:
        _batch_fitting._JOINT_PARAMETERS = before


@contextmanager
def all_at_once():
    """No fit grows."""
    before = _growing_fit._FIRST_ROWS
    _growing_fit._FIRST_ROWS = 10**9
    try:
        yield
    finally:
        _growing_fit._FIRST_ROWS = before


def bounds(options):
    table = Table(
        "Fits that grow, and fits in batches",
        [
            "data",
            "all rows at once, nats a row",
            "seconds",
            "by default, nats a row",
            "seconds",
            "half in batches, nats a row",
            "seconds",
        ],
        f"""q = {COMPONENTS}, M = {INDUCING}. All bounds are the collapsed one of all
        rows at the fitted parameters. The first fit has all rows in every iteration,
        from principal components on; the second grows. In the third only half of the
        rows climb together, and the others are met in batches of {BATCH}, as they are
        where there are too many.""",
    )
    for name, X in datasets():
        with all_at_once():
            whole = timed_fit(X, None, options)
        grown = timed_fit(X, None, options)
        with held_to(len(X) // 2):
            batches = timed_fit(X, BATCH, options)
        table.rows.append(
            [
                f"{name} ({X.shape[0]} x {X.shape[1]})",
                f"{whole[0]:.3f}",
                f"{whole[1]:.1f}",
                f"{grown[0]:.3f}",
                f"{grown[1]:.1f}",
                f"{batches[0]:.3f}",
                f"{batches[1]:.1f}",
            ]
        )
        print(f"  {table.rows[-1]}", flush=True)
    return table


def timed_fit(X, batch_size, options):
    """The bound per row of a fit, and its seconds."""
    model = BayesianGPLVM(
        COMPONENTS, n_inducing=INDUCING, batch_size=batch_size, random_state=0
    )
    if options.quick:
        model.set_params(max_iter=3)
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    return model.elbo_ / len(X), time.perf_counter() - begin


def run(options):
    return [growth(options), bounds(options)]


if __name__ == "__main__":
    one_fit(sys.argv[1], int(sys.argv[2]))
