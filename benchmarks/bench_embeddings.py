"""How good two-dimensional embeddings are, by four measures."""

import warnings

import numpy as np
from _report import Table
from sklearn.datasets import load_digits, make_s_curve, make_swiss_roll
from sklearn.decomposition import PCA, KernelPCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE, Isomap, trustworthiness
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

from gplvm import GPLVM
from gplvm.datasets import make_creatures

HEADING = "Embeddings in two dimensions: quality"
SEEDS = (0, 1, 2)


def methods(X, seed):
    """The contenders at their defaults, for training rows `X`."""
    return {
        "GPLVM, rbf": GPLVM(kernel="rbf", random_state=seed),
        "GPLVM, linear": GPLVM(kernel="linear", random_state=seed),
        "PCA": PCA(2),
        "KernelPCA, rbf": KernelPCA(
            2,
            kernel="rbf",
            gamma=0.5 / (X.shape[1] * X.var()),
            fit_inverse_transform=True,
        ),
        "Isomap": Isomap(n_neighbors=10),
        "t-SNE": TSNE(random_state=seed),
    }


def datasets(quick):
    digits = load_digits(n_class=5)
    creatures = make_creatures(500, random_state=0)
    curve, position = make_s_curve(500, noise=0.05, random_state=0)
    roll, turn = make_swiss_roll(500, noise=0.2, random_state=0)
    data = {
        "digits 0-4 (901 x 64)": (digits.data / 16, digits.target),
        "creatures (500 x 1024)": (creatures.data, creatures.target),
        "S-curve (500 x 3)": (curve, position),
        "Swiss roll (500 x 3)": (roll, turn),
    }
    if not quick:
        return data
    return {name: (X[:150], y[:150]) for name, (X, y) in data.items()}


def nearest_neighbour_error(Z, y):
    """Leave-one-out: the share of wrong classes, or the error in units of y's std."""
    nearest = NearestNeighbors(n_neighbors=1).fit(Z).kneighbors()[1][:, 0]
    if y.dtype.kind == "f":
        return np.sqrt(np.mean((y[nearest] - y) ** 2)) / y.std()
    return np.mean(y[nearest] != y)


def held_out_error(model, X):
    """Root mean squared error of rows encoded and decoded, where a method can."""
    if not (hasattr(model, "transform") and hasattr(model, "inverse_transform")):
        return None
    decoded = model.inverse_transform(model.transform(X))
    return np.sqrt(np.mean((decoded - X) ** 2))


def held_out_density(model, X):
    """Mean log density of unseen rows per feature, in nats, where there is one."""
    if not hasattr(model, "score_samples"):
        return None
    return np.mean(model.score_samples(X)) / X.shape[1]


def run(options):
    tables = []
    for name, (X, y) in datasets(options.quick).items():
        results = {}
        for seed in SEEDS:
            X_train, X_test, y_train, _ = train_test_split(
                X, y, test_size=0.2, random_state=seed
            )
            for method, model in methods(X_train, seed).items():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    # Isomap's, where the neighbours' graph falls into parts.
                    warnings.simplefilter("ignore", UserWarning)
                    Z = model.fit_transform(X_train)
                results.setdefault(method, []).append(
                    [
                        nearest_neighbour_error(Z, y_train),
                        trustworthiness(X_train, Z, n_neighbors=5),
                        held_out_error(model, X_test),
                        held_out_density(model, X_test),
                    ]
                )
                print(f"  {name}, seed {seed}, {method}", flush=True)
        continuous = y.dtype.kind == "f"
        first = "1-NN error of the position, in its std" if continuous else "1-NN error"
        table = Table(
            name,
            [
                "method",
                first,
                "trustworthiness",
                "held-out reconstruction RMSE",
                "held-out log density, nats per feature",
            ],
            """Mean and standard deviation over three splits, with a fifth of the rows
            held out. The nearest neighbour's error is leave-one-out among the
            training rows, which the methods never saw the labels of; trustworthiness
            has five neighbours and 1 as the best; a dash marks a method without a
            way to encode or to decode a new row, or without a density. The density
            integrates the positions out: GPLVM's by Laplace's approximation, PCA's in
            closed form. Every method is at its defaults
            (KernelPCA: width from the data's variance), so it shows what one gets
            without tuning and not what each could reach.""",
        )
        for method, rows in results.items():
            columns = zip(*rows, strict=True)
            cells = [
                "-"
                if values[0] is None
                else f"{np.mean(values):.3f} ± {np.std(values, ddof=1):.3f}"
                for values in columns
            ]
            table.rows.append([method, *cells])
        tables.append(table)
    return tables
