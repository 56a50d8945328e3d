"""The linear autoencoder beside PCA: in memory, in batches, and on sparse data."""

import tempfile
from pathlib import Path

import numpy as np
from _report import Table, at_most, in_words, milliseconds
from _timing import peak_bytes, race, ratio, timed
from scipy import sparse
from scipy.linalg import subspace_angles
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD

from gplvm import LinearAutoencoder
from gplvm.datasets import make_creatures

HEADING = "Linear autoencoder: end to end, in batches, on sparse data"
TARGET = 2.0


def run(options):
    return [_end_to_end(options), _streams(options), _sparse(options)]


def _end_to_end(options):
    n = 1000 if options.quick else 10_000
    X = make_creatures(n, image_size=28, random_state=0).data
    table = Table(
        f"Fit of {n} x 784",
        [
            "components",
            "autoencoder, ms",
            "PCA, ms",
            "autoencoder / PCA",
            "target <= 2",
            "iterations",
            "relative excess of the loss",
        ],
        """`LinearAutoencoder(solver="lbfgs")` from random weights against
        `PCA(svd_solver="covariance_eigh")`, both from the raw array to the fitted
        estimator. The excess is that of the reconstruction error over PCA's.
        Both form the same 784 x 784 matrix, which is most of the work; the table says
        nothing about data with many more features.""",
    )
    for m in (2, 10, 32, 50, 100):
        fits = {}

        def autoencoder(m=m, fits=fits):
            model = LinearAutoencoder(m, solver="lbfgs", random_state=len(fits))
            fits[len(fits)] = model.fit(X)

        def pca(m=m):
            return PCA(m, svd_solver="covariance_eigh").fit(X)

        seconds = race({"ours": timed(autoencoder), "PCA": timed(pca)}, options.repeats)
        relative = ratio(seconds["ours"], seconds["PCA"])
        reference = pca()
        decoded = reference.inverse_transform(reference.transform(X))
        least = 0.5 * ((X - decoded) ** 2).sum() / n
        excess = max(model.loss_ for model in fits.values()) / least - 1
        iterations = sorted(model.n_iter_ for model in fits.values())
        table.rows.append(
            [
                m,
                milliseconds(seconds["ours"]),
                milliseconds(seconds["PCA"]),
                in_words(relative),
                at_most(relative, TARGET),
                f"{iterations[0]} to {iterations[-1]}",
                f"{excess:.0e}",
            ]
        )
    return table


def _streams(options):
    n, p, m, batch = (20_000 if options.quick else 1_000_000), 100, 10, 1000
    table = Table(
        f"`partial_fit` on {n} x {p}, memory-mapped, in batches of {batch} rows",
        [
            "components",
            "autoencoder, ms",
            "IncrementalPCA, ms",
            "autoencoder / IncrementalPCA",
            "peak memory, MB, of both",
            "largest angle to PCA's subspace, of both",
            "excess of the squared error over PCA's, of both",
        ],
        """Ten axes of data whose variances fall by a tenth from one to the next. The
        autoencoder keeps all the second moments and is exact; IncrementalPCA keeps its
        axes. The memory is what numpy allocates beyond the map. Above 1000 features
        the autoencoder is approximate too, which is not measured here.""",
    )
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.standard_normal((p, p)))[0]
    turn *= 0.9 ** (0.5 * np.arange(p))
    mean = rng.standard_normal(p)
    with tempfile.TemporaryDirectory() as folder:
        X = np.memmap(Path(folder) / "X", dtype=float, mode="w+", shape=(n, p))
        for start in range(0, n, 10_000):
            X[start : start + 10_000] = rng.standard_normal((10_000, p)) @ turn.T + mean

        def stream(make, rows=n):
            model = make()
            for start in range(0, rows, batch):
                model.partial_fit(X[start : start + batch])
            return model

        makers = {
            "ours": lambda: LinearAutoencoder(m),
            "theirs": lambda: IncrementalPCA(m),
        }
        repeats = min(options.repeats, 5)
        seconds = race(
            {
                name: timed(lambda make=make: stream(make))
                for name, make in makers.items()
            },
            repeats,
            warm_up=0,
        )
        exact = PCA(m, svd_solver="covariance_eigh").fit(X)
        least = _squared_error(exact.components_, exact.mean_, X)
        cells = {}
        for name, make in makers.items():
            model = stream(make)
            peak = peak_bytes(lambda make=make: stream(make, min(n, 20 * batch)))
            angle = subspace_angles(model.components_.T, exact.components_.T).max()
            error = _squared_error(model.components_, model.mean_, X)
            cells[name] = (
                f"{peak / 1e6:.1f}",
                f"{angle:.0e}",
                f"{error / least - 1:.0e}",
            )
    table.rows.append(
        [
            m,
            milliseconds(seconds["ours"]),
            milliseconds(seconds["theirs"]),
            in_words(ratio(seconds["ours"], seconds["theirs"])),
            *map(", ".join, zip(cells["ours"], cells["theirs"], strict=True)),
        ]
    )
    return table


def _squared_error(W, mean, X):
    """Squared error of the reconstruction, a block of rows at a time."""
    total = 0.0
    for start in range(0, len(X), 10_000):
        Y = X[start : start + 10_000] - mean
        total += np.sum((Y - Y @ W.T @ W) ** 2)
    return total


def _sparse(options):
    n, p = (2000, 1000) if options.quick else (20_000, 10_000)
    X = _texts(n, p)
    table = Table(
        f"Sparse {n} x {p}, {100 * X.nnz / n / p:.2g} % stored",
        [
            "components",
            "L-BFGS, ms",
            "eigen, ms",
            "PCA, ms",
            "TruncatedSVD, ms",
            "L-BFGS / PCA",
            "eigen / PCA",
            "eigen / TruncatedSVD",
            "largest angle to PCA's subspace, L-BFGS and eigen",
        ],
        """Logarithmic counts of words that 40 topics draw: `LinearAutoencoder` with two
        solvers, `PCA(svd_solver="arpack")`, and `TruncatedSVD`, which is randomised,
        inexact, and does not centre. None of them fills the matrix.""",
    )
    for m in (2, 10) if options.quick else (2, 10, 32):
        makers = {
            "L-BFGS": lambda m=m: LinearAutoencoder(m, random_state=0).fit(X),
            "eigen": lambda m=m: LinearAutoencoder(m, solver="eigen").fit(X),
            "PCA": lambda m=m: PCA(m, svd_solver="arpack", random_state=0).fit(X),
            "TruncatedSVD": lambda m=m: TruncatedSVD(m, random_state=0).fit(X),
        }
        seconds = race(
            {name: timed(make) for name, make in makers.items()},
            min(options.repeats, 7),
        )
        axes = makers["PCA"]().components_
        angles = [
            subspace_angles(makers[name]().components_.T, axes.T).max()
            for name in ("L-BFGS", "eigen")
        ]
        table.rows.append(
            [
                m,
                *(milliseconds(seconds[name]) for name in makers),
                in_words(ratio(seconds["L-BFGS"], seconds["PCA"])),
                in_words(ratio(seconds["eigen"], seconds["PCA"])),
                in_words(ratio(seconds["eigen"], seconds["TruncatedSVD"])),
                ", ".join(f"{angle:.0e}" for angle in angles),
            ]
        )
    return table


def _texts(n, p, *, words=22, topics=40):
    """Sparse log counts of `words` words for each of `n` texts."""
    rng = np.random.default_rng(0)
    frequency = np.arange(1, p + 1) ** -0.8
    profile = rng.dirichlet(500 * frequency / frequency.sum(), size=topics)
    share = rng.dirichlet(np.full(topics, 0.1), size=n)
    columns = [
        rng.choice(p, size=(n, words), p=row) for row in profile
    ]  # one draw of each word from each topic, of which the text takes one
    chosen = np.array([rng.choice(topics, size=words, p=row) for row in share])
    words_of = np.take_along_axis(np.array(columns), chosen[np.newaxis], axis=0)[0]
    rows = np.repeat(np.arange(n), words)
    X = sparse.csr_array((np.ones(rows.size), (rows, words_of.ravel())), shape=(n, p))
    X.sum_duplicates()
    X.data = 1.0 + np.log(X.data)
    return X
