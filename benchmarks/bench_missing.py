"""Missing values: how well hidden entries come back, and what an evaluation costs."""

import time
import warnings

import numpy as np
from _report import Table, in_words, milliseconds
from _timing import peak_bytes, race, ratio, timed
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.gaussian_process import kernels as sk
from sklearn.impute import IterativeImputer, KNNImputer

from gplvm import GPLVM
from gplvm._missing import SparsePatternLikelihood
from gplvm.datasets import make_creatures

HEADING = "Missing values"
SEEDS = (0, 1, 2)
SHARE = 0.3
COMPONENTS = (2, 5, 10)
PCA_COMPONENTS = (2, 5, 10, 15, 20, 30)
KERNEL = sk.ConstantKernel(1.0) * sk.RBF(1.0, "fixed")

# N, D, M of the evaluations that are timed.
SIZES = ((20_000, 200, 100), (5_000, 64, 100), (300, 256, 40))


def datasets(seed, quick):
    """Data in [0, 1], of which `damaged` hides a share."""
    digits = load_digits(n_class=5).data / 16
    rows = np.random.default_rng(seed).permutation(len(digits))
    creatures = make_creatures(300, image_size=16, random_state=seed).data
    data = {
        "digits 0-4": digits[rows[:400]],
        "creatures": creatures,
    }
    return {name: X[:100] for name, X in data.items()} if quick else data


def damaged(X, seed):
    """The rows with a share of their entries missing, and which they are."""
    hidden = np.random.default_rng(100 + seed).random(X.shape) < SHARE
    return np.where(hidden, np.nan, X), hidden


def pca_filled(X, n_components):
    """PCA of the rows with the features' means in their gaps."""
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    pca = PCA(n_components, random_state=0).fit(filled)
    return pca.inverse_transform(pca.transform(filled))


def gplvm_filled(X, n_components, quick):
    model = GPLVM(
        n_components,
        n_inducing=40,
        max_iter=20 if quick else 150,
        random_state=0,
    )
    return model.inverse_transform(model.fit_transform(X))


def methods(quick):
    """The contenders: from rows with NaN to rows without."""
    contenders = {
        f"GPLVM, q = {q}": lambda X, q=q: gplvm_filled(X, q, quick) for q in COMPONENTS
    }
    for q in PCA_COMPONENTS:
        contenders[f"PCA of mean-imputed rows, q = {q}"] = lambda X, q=q: pca_filled(
            X, q
        )
    contenders["KNNImputer"] = KNNImputer().fit_transform
    nearest = IterativeImputer(n_nearest_features=40, random_state=0)
    contenders["IterativeImputer, n_nearest_features=40"] = nearest.fit_transform
    if not quick:
        everything = IterativeImputer(random_state=0)
        contenders["IterativeImputer, defaults"] = everything.fit_transform
    return contenders


def reconstruction(quick):
    """A table for each data set: the error of the hidden entries."""
    errors, seconds, shapes = {}, {}, {}
    for seed in SEEDS[:1] if quick else SEEDS:
        for name, X in datasets(seed, quick).items():
            holed, hidden = damaged(X, seed)
            shapes[name] = X.shape
            for method, fill in methods(quick).items():
                if "defaults" in method and X.shape[1] > 100 and seed > 0:
                    continue  # a minute each
                start = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    filled = fill(holed)
                elapsed = time.perf_counter() - start
                error = np.sqrt(np.mean((filled - X)[hidden] ** 2))
                errors.setdefault(name, {}).setdefault(method, []).append(error)
                seconds.setdefault((name, method), []).append(elapsed)
                print(f"  {name}, seed {seed}, {method}", flush=True)
    tables = []
    for name, by_method in errors.items():
        table = Table(
            f"Hidden entries of {name} ({shapes[name][0]} x {shapes[name][1]})",
            ["method", "RMSE of the hidden entries", "seeds", "seconds"],
            f"""Mean and standard deviation over seeds, with {SHARE:.0%} of the entries,
            of 0 to 1, removed at random; seconds are the median of a fit with its
            reconstruction. PCA is shown at GPLVM's numbers of components and at more,
            so that its best number is among them, a choice that needs the hidden
            entries. GPLVM has 40 inducing points and at most 150 iterations, and is
            otherwise at its defaults. IterativeImputer at its defaults regresses each
            feature on all others and is run with one seed where they are many.""",
        )
        for method, values in by_method.items():
            spread = f" ± {np.std(values, ddof=1):.4f}" if len(values) > 1 else ""
            table.rows.append(
                [
                    method,
                    f"{np.mean(values):.4f}{spread}",
                    len(values),
                    f"{np.median(seconds[name, method]):.1f}",
                ]
            )
        tables.append(table)
    return tables


def floor(mask, n_inducing):
    """The products of a mask with the rows' packed v_n' v_n, there and back."""
    n_samples, n_patterns = mask.shape
    n_pairs = n_inducing * (n_inducing + 1) // 2
    products = np.ones((min(512, n_samples), n_pairs))
    sums = np.zeros((n_patterns, n_pairs))

    def run():
        for start in range(0, n_samples, len(products)):
            rows = mask[start : start + len(products)]
            np.add(sums, rows.T @ products[: len(rows)], out=sums)
        for start in range(0, n_samples, len(products)):
            mask[start : start + len(products)] @ sums

    return run


def evaluations(options):
    """Time and memory of the sparse model with a pattern for every feature."""
    table = Table(
        "Sparse model, a pattern of missing values for every feature: one value and "
        "gradient",
        ["N x D, M", "gplvm, ms", "products, ms", "gplvm / products", "memory, MB"],
        f"""{SHARE:.0%} of the entries missing at random, RBF, five latent dimensions.
        The products are those of the dense mask with the packed lower triangles of
        v_n' v_n and back, N D M (M + 1) / 2 multiply-adds twice, as BLAS does them on
        all cores, without any kernel or factorisation: what the bound would cost if
        every row counted for every feature. gplvm is below them where it sums over the
        missing rows, the fewer ones, and subtracts. Memory is what an evaluation
        allocates at most, beyond the data and the mask.""",
    )
    rng = np.random.default_rng(0)
    for n_samples, n_features, n_inducing in SIZES[options.quick :]:
        Y = rng.normal(size=(n_samples, n_features))
        Y[rng.random(Y.shape) < SHARE] = np.nan
        likelihood = SparsePatternLikelihood(KERNEL, Y)
        point = (
            rng.normal(size=(n_samples, 5)),
            rng.normal(size=(n_inducing, 5)),
            np.array([0.0, -1.0]),
        )

        def evaluate(likelihood=likelihood, point=point):
            likelihood.log_likelihood(*point, eval_gradient=True)

        products = floor((~np.isnan(Y)).astype(float), n_inducing)
        repeats = min(options.repeats, 5)
        seconds = race({"gplvm": timed(evaluate), "products": timed(products)}, repeats)
        table.rows.append(
            [
                f"{n_samples} x {n_features}, {n_inducing}",
                milliseconds(seconds["gplvm"]),
                milliseconds(seconds["products"]),
                in_words(ratio(seconds["gplvm"], seconds["products"])),
                f"{peak_bytes(evaluate) / 2**20:.0f}",
            ]
        )
        print(f"  {table.rows[-1]}", flush=True)
    return table


def run(options):
    return [*reconstruction(options.quick), evaluations(options)]
