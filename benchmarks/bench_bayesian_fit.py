"""Fits of the Bayesian GP-LVM: where they end and when, beside other packages."""

import time
import warnings

import numpy as np
from _flow import make_flow
from _peers import Peer, find
from _report import Table
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from gplvm import BayesianGPLVM

HEADING = "Bayesian GP-LVM: whole fits"
SEEDS = (0, 1, 2)
Q, M = 10, 50
PEERS = {"GPy": ("GPy", "GPy fit"), "GPflow": ("gpflow", "GPflow fit")}
PEER_ITERATIONS = 500


def errors(Z, y):
    """Rows per 1000 whose nearest neighbour is of another class."""
    nearest = NearestNeighbors(n_neighbors=1).fit(Z).kneighbors()[1][:, 0]
    return 1000.0 * np.mean(y[nearest] != y)


def fit(X, seed):
    """One default fit: the model, and its seconds."""
    model = BayesianGPLVM(Q, n_inducing=M, random_state=seed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X)
    return model, time.perf_counter() - start


def peer_fits(python, task, X, iterations):
    """Bound, noise-free plane and seconds of a peer's fits, one for each seed."""
    for seed in SEEDS:
        with Peer(
            python,
            task,
            1,
            Y=X,
            seed=seed,
            n_components=Q,
            n_inducing=M,
            iterations=iterations,
        ) as peer:
            seconds = peer()
            bound, plane, relevance = peer.value
            yield bound, np.array(plane), np.array(relevance), seconds, peer.versions


def in_brief(values, digits=0):
    """``best (median, worst)`` of a few values, of which more is better."""
    worst, median, best = np.quantile(values, [0.0, 0.5, 1.0])
    return f"{best:.{digits}f} ({median:.{digits}f}, {worst:.{digits}f})"


def summary(name, fits, y, ours):
    """A row of the table, from (bound, plane, relevance, seconds) of each fit."""
    bounds, planes, relevances, seconds = zip(*fits, strict=True)
    kept = [int(np.sum(r >= 0.01 * r.max())) for r in relevances]
    wrong = [errors(plane, y) for plane in planes]
    return [
        name,
        in_brief(bounds),
        f"{np.median(wrong):.0f} ({min(wrong):.0f} to {max(wrong):.0f})",
        ", ".join(map(str, kept)),
        f"{np.median(seconds):.1f}",
        "-" if ours is None else f"{np.median(seconds) / ours:.1f}",
    ]


def run(options):
    n = 200 if options.quick else 1000
    iterations = 20 if options.quick else PEER_ITERATIONS
    tables = []
    pythons = {
        name: find(module, options.pythons) for name, (module, _) in PEERS.items()
    }
    for data_seed in SEEDS[: 1 if options.quick else None]:
        X, y = make_flow(n, random_state=data_seed)
        X = StandardScaler().fit_transform(X)
        table = Table(
            f"Simulated pipe flow {data_seed}, {n} x 12, Q = {Q}, M = {M}",
            [
                "model",
                "bound, nats: best (median, worst)",
                "1-NN errors per 1000: median (range)",
                "dimensions kept",
                "seconds, median",
                "seconds / gplvm's",
            ],
            f"""Three fits each, with other random inducing points: `BayesianGPLVM` at
            its defaults on two threads, the others with an ARD kernel, their own starts
            and {PEER_ITERATIONS} iterations of L-BFGS on one BLAS thread: GPy is
            fastest on one; an evaluation of GPflow's takes two thirds of the time on
            two. All bounds are the same quantity. Errors are leave-one-out in the two
            most relevant dimensions, among the three flow regimes, which no model saw;
            a dimension is kept if its relevance, 1 / l^2, is at least a hundredth of
            the largest. The data are simulated (`benchmarks/_flow.py`).""",
        )
        fits = []
        for seed in SEEDS:
            model, seconds = fit(X, seed)
            fits.append(
                (model.elbo_, model.embedding_[:, :2], model.relevance_, seconds)
            )
            print(f"  flow {data_seed}, gplvm {seed}: {model.elbo_:.0f}", flush=True)
        ours = np.median([seconds for *_, seconds in fits])
        table.rows.append(summary("BayesianGPLVM", fits, y, ours))
        for name, (_, task) in PEERS.items():
            if pythons[name] is None:
                continue
            fits = []
            for *result, versions in peer_fits(pythons[name], task, X, iterations):
                fits.append(result)
                table.versions |= versions
                print(f"  flow {data_seed}, {name}: {result[0]:.0f}", flush=True)
            table.rows.append(summary(name, fits, y, ours))
        wrong = errors(PCA(2).fit_transform(X), y)
        table.rows.append(["PCA", "-", f"{wrong:.0f}", "-", "-", "-"])
        tables.append(table)
    return tables
