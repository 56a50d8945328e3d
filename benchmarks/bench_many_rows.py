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

from gplvm import _batch_fitting, _stochastic_fit
from gplvm._bayesian_gplvm import BayesianGPLVM
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
            "passes, s",
            "microseconds a row",
            "peak memory, GiB",
        ],
        f"""q = {COMPONENTS}, M = {INDUCING}, batches of {BATCH}, everything else by
        default. The passes are all that comes after the climbs: three passes, the
        settling at the end, the bound and the predictions. Memory is the most that the
        process held, with what of the mapped file the system counts to it.""",
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
        table.rows.append(
            [
                f"{n_samples:,}",
                f"{n_joint:,}" if n_joint else "by default",
                f"{climbs:.1f}",
                f"{passes:.1f}",
                f"{1e6 * passes / n_samples:.0f}",
                f"{peak:.2f}",
            ]
        )
        print(f"  {table.rows[-1]}", flush=True)
    return table


def datasets():
    """Data that both can do: name, rows, and how many climb together; None: all."""
    for seed, n_samples in [(3, 2000), (4, 2000), (5, 5000)]:
        flow, _ = make_flow(n_samples, seed)
        flow /= flow.std(axis=0)
        yield f"flow, seed {seed}", flow, None
        yield f"flow, seed {seed}", flow, n_samples // 2
    creatures = make_creatures(2000, image_size=16, random_state=0).data
    yield "creatures", creatures, None
    for name, slope in [("rough functions", 1 / 1.2), ("smooth functions", 0.4)]:
        for seed, n_samples in [(1, 5000), (2, 5000)]:
            blocks = functions_of_three(n_samples, 20, seed, slope)
            X = np.vstack([block for _, block in blocks])
            yield f"{name}, seed {seed}", X, None
            yield f"{name}, seed {seed}", X, n_samples // 2


@contextmanager
def held_to(n_rows):
    """At most so many rows climb together; None or 0: as many as by default."""
    before = _stochastic_fit._JOINT_PARAMETERS
    if n_rows:
        _stochastic_fit._JOINT_PARAMETERS = 2 * COMPONENTS * n_rows
    try:
        yield
    finally:
        _stochastic_fit._JOINT_PARAMETERS = before


def bounds(options):
    table = Table(
        "Batches beside the collapsed bound",
        [
            "data",
            "rows that climb together",
            "collapsed, nats a row",
            "batches, nats a row",
            "difference / collapsed",
            "collapsed, s",
            "batches, s",
        ],
        f"""q = {COMPONENTS}, M = {INDUCING}, batches of {BATCH}. Both bounds are the
        collapsed one of all rows at the fitted parameters. Without batches every
        iteration is over all rows, from principal components on. Where only half of the
        rows climb together, the others are met in passes, as they are where there are
        too many.""",
    )
    collapsed, of_data = None, None
    for name, X, n_joint in datasets():
        if of_data is not X:
            collapsed, of_data = timed_fit(X, None, None, options), X
        batches = timed_fit(X, BATCH, n_joint, options)
        difference = (batches[0] - collapsed[0]) / abs(collapsed[0])
        table.rows.append(
            [
                f"{name} ({X.shape[0]} x {X.shape[1]})",
                f"{n_joint or len(X):,}",
                f"{collapsed[0]:.3f}",
                f"{batches[0]:.3f}",
                f"{difference:+.1%}",
                f"{collapsed[1]:.1f}",
                f"{batches[1]:.1f}",
            ]
        )
        print(f"  {table.rows[-1]}", flush=True)
    return table


def timed_fit(X, batch_size, n_joint, options):
    """The bound per row of a fit, and its seconds."""
    model = BayesianGPLVM(
        COMPONENTS, n_inducing=INDUCING, batch_size=batch_size, random_state=0
    )
    if options.quick:
        model.set_params(max_iter=3)
    begin = time.perf_counter()
    with warnings.catch_warnings(), held_to(n_joint):
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    return model.elbo_ / len(X), time.perf_counter() - begin


def run(options):
    return [growth(options), bounds(options)]


if __name__ == "__main__":
    one_fit(sys.argv[1], int(sys.argv[2]))
