"""Data that nobody cleaned, given to every estimator.

Each case either fits, and everything that comes out is finite, or raises one clear
error of a documented type. ``python campaigns/hostile_data.py --cases 20000 --seed 1``
runs as many as one likes, of one estimator with ``--estimator GPLVM``; a short part of
it is among the tests. A case is told by its number: ``--only 1234 --seed 1`` runs that
one alone, and shows its traceback.
"""

import argparse
import contextlib
import copy
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import kernels as sk

import gplvm
from gplvm import _starts

DOCUMENTED = (ValueError, TypeError, NotImplementedError, MemoryError)
# A case that computes for longer hangs, and so does one that waits for that long,
# however busy the machine is.
SECONDS, WAITING_SECONDS = 300, 3600


# --- Numbers -----------------------------------------------------------------------


def numbers(rng, p=None):
    """A table of hostile numbers."""
    n = int(rng.choice([1, 2, 3, 4, 5, 8, 20, 40]))
    p = int(rng.choice([1, 2, 3, 5, 12, 50])) if p is None else p
    X = rng.choice(_BASES)(rng, n, p)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        X = rng.choice(_CHANGES)(rng, X)
    return X


def _low_rank(rng, n, p):
    return rng.normal(size=(n, 2)) @ rng.normal(size=(2, p))


_BASES = [
    lambda rng, n, p: rng.normal(size=(n, p)),
    lambda rng, n, p: rng.standard_cauchy(size=(n, p)),
    lambda rng, n, p: rng.integers(-3, 4, size=(n, p)).astype(float),
    lambda rng, n, p: np.full((n, p), 7.0),
    lambda rng, n, p: np.zeros((n, p)),
    _low_rank,
]


def _somewhere(value):
    def change(rng, X):
        X = X.copy()
        X[rng.integers(X.shape[0]), rng.integers(X.shape[1])] = value
        return X

    return change


def _column(make):
    def change(rng, X):
        X = X.copy()
        j = rng.integers(X.shape[1])
        X[:, j] = make(X[:, j])
        return X

    return change


def _row(make):
    def change(rng, X):
        X = X.copy()
        i = rng.integers(X.shape[0])
        X[i] = make(X[i])
        return X

    return change


def _missing_at_random(rng, X):
    return np.where(rng.random(X.shape) < 0.2, np.nan, X)


def _missing_in_every_row(rng, X):
    X = X.copy()
    X[np.arange(len(X)), rng.integers(X.shape[1], size=len(X))] = np.nan
    return X


_CHANGES = [
    lambda rng, X: X * 10.0 ** rng.choice([-150, -50, -8, 8, 50, 150]),
    lambda rng, X: X * 10.0 ** rng.uniform(-150, 150, size=X.shape[1]),
    lambda rng, X: X * 10.0 ** rng.uniform(-8, 8, size=X.shape[1]),
    lambda rng, X: X + 10.0 ** rng.choice([3, 8, 15]),
    lambda rng, X: X * 10.0 ** rng.choice([-300, -160, 152, 160]),
    lambda rng, X: np.full_like(X, rng.choice([5e-324, 1e-310, 1e154, 1.7e308])),
    lambda rng, X: np.maximum(X, 0.0) * (rng.random(X.shape) < 0.3),
    lambda rng, X: X[rng.integers(len(X), size=len(X))],
    lambda rng, X: X[:, rng.integers(X.shape[1], size=X.shape[1])],
    _column(lambda column: np.full_like(column, 3.0)),
    _column(np.zeros_like),
    _column(lambda column: np.full_like(column, np.nan)),
    _row(lambda row: np.full_like(row, np.nan)),
    _row(lambda row: 1e6 * row),
    _somewhere(np.nan),
    _somewhere(np.inf),
    _somewhere(-np.inf),
    _somewhere(1e300),
    _missing_at_random,
    _missing_in_every_row,
]


# --- Containers ---------------------------------------------------------------------


def contained(X, rng):
    """The numbers in a container of some kind, and its name."""
    containers = _CONTAINERS if rng.random() < 0.85 else _NO_TABLES
    name = rng.choice(list(containers))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return name, containers[name](X)


def _read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def _memory_map(X):
    with tempfile.NamedTemporaryFile() as file:
        mapped = np.memmap(file, dtype=float, mode="w+", shape=X.shape)
        mapped[:] = X
        mapped.flush()
        return np.memmap(file.name, dtype=float, mode="r", shape=X.shape)


def _frame(kind):
    def make(X):
        import pandas as pd

        frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
        if kind == "strings":
            frame["c0"] = "text"
        elif kind is not None:
            frame = frame.astype(kind)
        return frame

    return make


def _polars(X):
    import polars as pl

    return pl.DataFrame({f"c{i}": X[:, i] for i in range(X.shape[1])})


def _labelled_frame(X):
    import pandas as pd

    index = [f"row {i // 2}" for i in range(len(X))]
    return pd.DataFrame(X, columns=range(X.shape[1]), index=index)


def _twice_the_same_name(X):
    import pandas as pd

    return pd.DataFrame(X, columns=["c"] * X.shape[1])


def _dates(X):
    return _whole(np.int64)(X).astype("datetime64[D]")


def _explicit_zeros(X):
    matrix = sparse.csr_array(np.ones(X.shape))
    matrix.data[:] = X.ravel()
    return matrix


def _whole(dtype):
    return lambda X: np.clip(np.nan_to_num(X), -100, 100).astype(dtype)


_CONTAINERS = {
    "float64": lambda X: X,
    "again float64": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int8": _whole(np.int8),
    "uint64": lambda X: np.abs(_whole(np.int64)(X)).astype(np.uint64),
    "bool": lambda X: X > 0,
    "big-endian": lambda X: X.astype(">f8"),
    "Fortran": np.asfortranarray,
    "backwards": lambda X: X[::-1, ::-1],
    "strided": lambda X: np.repeat(np.repeat(X, 2, 0), 3, 1)[::2, ::3],
    "read-only": _read_only,
    "memory map": _memory_map,
    "objects": lambda X: X.astype(object),
    "lists": lambda X: X.tolist(),
    "pandas": _frame(None),
    "pandas Float64": _frame("Float64"),
    "pandas Int64 with NA": lambda X: _frame("Int64")(np.sign(X)),
    "pandas, rows labelled": _labelled_frame,
    "polars": _polars,
    "long double": lambda X: X.astype(np.longdouble),
    "masked": lambda X: np.ma.masked_invalid(X),
    "explicit zeros": _explicit_zeros,
    "csr float32": lambda X: sparse.csr_matrix(X.astype(np.float32)),
    "csr of integers": lambda X: sparse.csr_array(_whole(np.int32)(X)),
    "csr": lambda X: sparse.csr_array(X),
    "csc": lambda X: sparse.csc_matrix(X),
    "coo": lambda X: sparse.coo_array(X),
}

_NO_TABLES = {
    "pandas with strings": _frame("strings"),
    "pandas, one name": _twice_the_same_name,
    "np.matrix": np.asmatrix,
    "dates": _dates,
    "ragged": lambda X: [list(row[: 1 + i % 2]) for i, row in enumerate(X)],
    "a number": lambda X: float(X[0, 0]),
    "nothing": lambda X: None,
    "text": lambda X: X.astype(str),
    "complex": lambda X: X.astype(complex),
    "1-D": lambda X: X.ravel(),
    "3-D": lambda X: X[None],
    "no rows": lambda X: X[:0],
    "no columns": lambda X: X[:, :0],
}


# --- Estimators ---------------------------------------------------------------------


KINDS = ["LinearAutoencoder", "SwishMLPClassifier", "GPLVM", "BayesianGPLVM"]


def estimator(rng, shape, kinds=KINDS):
    """An estimator with some of its options, for data of a shape."""
    q = int(rng.choice([1, 2, 2, 2, 3, 10]))
    if rng.random() < 0.8:
        q = min(q, *shape)
    seed = int(rng.integers(100))
    max_iter = int(rng.choice([1, 5, 20]))
    kind = rng.choice(kinds)
    if kind == "LinearAutoencoder":
        options = {
            "solver": rng.choice(["lbfgs", "adam", "eigen"]),
            "alpha": rng.choice([0.0, 0.0, 0.1, 1e300]),
            "activation": rng.choice(
                ["identity", "identity", "swish", "tanh", "relu", "logistic"]
            ),
            "learning_rate_init": rng.choice([1e-3, 1e-3, 1.0]),
            "batch_size": rng.choice(["auto", 1, 1000]),
        }
        if options["activation"] != "identity" and options["solver"] == "eigen":
            options["solver"] = "lbfgs"
        return gplvm.LinearAutoencoder(
            q, max_iter=max_iter, random_state=seed, **options
        )
    if kind == "SwishMLPClassifier":
        return gplvm.SwishMLPClassifier(
            int(rng.choice([1, 5])),
            solver=rng.choice(["adam", "sgd", "lbfgs"]),
            alpha=rng.choice([0.0, 1e-4, 1e-4, 1e10]),
            class_weight=rng.choice([None, None, "balanced", {0: 1e-200}, {2: 0.0}]),
            learning_rate_init=rng.choice([1e-3, 1e-3, 0.1]),
            batch_size=rng.choice(["auto", 1, 1000]),
            early_stopping=bool(rng.random() < 0.1),
            max_iter=max_iter,
            random_state=seed,
        )
    options = {
        "kernel": rng.choice([None, None, "linear", "matern32", "rational_quadratic"]),
        "init": rng.choice(["pca", "pca", "random", "isomap"]),
        "n_inducing": rng.choice(["auto", "auto", None, 3]),
        "back_constraint": rng.choice([None, None, None, "kernel", "mlp"]),
        "latent_prior": rng.choice([None, None, "normal"]),
        "noise_variance": rng.choice([None, None, None, 0.1, extreme(rng)]),
        "n_restarts": rng.choice([1, 1, 1, 2]),
    }
    if rng.random() < 0.2:
        options["init"] = positions(rng, (shape[0], q))
    if kind == "GPLVM":
        if rng.random() < 0.2:
            options["kernel"] = kernel(rng, q)
        return gplvm.GPLVM(q, max_iter=max_iter, random_state=seed, **options)
    q = rng.choice([None, q, q])
    own_kernel = q is not None and rng.random() < 0.2
    return gplvm.BayesianGPLVM(
        q,
        kernel=kernel(rng, q, bayesian=True)
        if own_kernel
        else rng.choice([None, "linear"]),
        init=options["init"],
        n_inducing=rng.choice([None, 3]),
        batch_size=rng.choice([None, None, None, None, 3]),
        noise_variance=options["noise_variance"],
        n_restarts=options["n_restarts"],
        max_iter=max_iter,
        random_state=seed,
    )


def extreme(rng):
    """A positive number, often a usual one."""
    return float(
        10.0 ** rng.choice([0, 0, 0, -3, 3, -12, 12, -60, 60, -200, 200, -320])
    )


def kernel(rng, q, *, bayesian=False):
    """A kernel of the user's own, with hyperparameters and bounds that he chose."""

    def bounds():
        return rng.choice([(1e-5, 1e5), (1e-300, 1e300), "fixed"])

    def length_scale():
        return extreme(rng) * (np.ones(q) if rng.random() < 0.5 else 1.0)

    kinds = [
        lambda: sk.RBF(length_scale(), bounds()),
        lambda: gplvm.kernels.Linear(length_scale(), bounds()),
        lambda: sk.ConstantKernel(extreme(rng), bounds()),
        lambda: sk.DotProduct(0.0, "fixed"),
    ]
    if not bayesian:
        kinds += [
            lambda: sk.DotProduct(extreme(rng), bounds()),
            lambda: sk.Matern(length_scale(), bounds(), nu=rng.choice([1.5, 2.5])),
            lambda: sk.RationalQuadratic(extreme(rng), extreme(rng)),
            lambda: sk.ExpSineSquared(extreme(rng), extreme(rng)),
            lambda: sk.RBF(length_scale(), bounds()) ** 2,
        ]
    own = rng.choice(kinds)()
    if rng.random() < 0.5:
        own = sk.ConstantKernel(extreme(rng), bounds()) * own
    if rng.random() < 0.5:
        white = [lambda: sk.WhiteKernel(extreme(rng), bounds())]
        own = own + rng.choice(kinds + white)()
    return own


def positions(rng, shape):
    """Latent positions to start from, of any size and rank."""
    Z = rng.normal(size=shape)
    change = rng.integers(6)
    if change == 0:
        Z *= 10.0 ** rng.uniform(-160, 160)
    elif change == 1:
        Z *= 10.0 ** rng.uniform(-160, 160, size=shape[1])
    elif change == 2:
        Z[:] = Z[0]
    elif change == 3:
        Z[:, 0] = 1.0
    elif change == 4:
        Z[0, 0] = rng.choice([np.nan, np.inf, 1e308])
    return Z


def labels(n, rng):
    """Classes for so many rows; now and then something is wrong with them."""
    y = rng.integers(3, size=n)
    kind = rng.integers(24)
    if kind == 0:
        return np.zeros(n)
    if kind == 1:
        return np.where(y == 0, np.nan, y)
    if kind == 2:
        return y[:-1]
    if kind == 3:
        return np.array(["ü", "b", "c d"], dtype=object)[y]
    return y


def weights(n, rng):
    """Weights for so many rows, mostly none; some of them are wrong."""
    kind = rng.integers(16)
    if kind == 0:
        return 10.0 ** rng.uniform(-300, 307, size=n)
    if kind == 1:
        return rng.choice([np.full(n, 1e308), np.zeros(n), np.full(n, 5e-324)])
    if kind == 2:
        return rng.normal(size=n)
    if kind == 3:
        return np.maximum(rng.normal(size=n), 0.0)
    return None


@contextlib.contextmanager
def short_races():
    """A context in which the starts of a GPLVM race for as long as it then climbs."""
    usual = _starts._RACE_ITERATIONS, _starts._DILATION_ITERATIONS
    _starts._RACE_ITERATIONS, _starts._DILATION_ITERATIONS = (4, 4), 3
    try:
        yield
    finally:
        _starts._RACE_ITERATIONS, _starts._DILATION_ITERATIONS = usual


@dataclass
class Case:
    """One estimator, what it is given, and how."""

    name: str
    model: BaseEstimator
    X: object
    y: object
    sample_weight: object
    new_rows: np.ndarray
    in_batches: bool
    is_saved: bool


def case(seed, number, kinds=KINDS):
    """The case of a number."""
    rng = _Choices(np.random.default_rng([seed, number]))
    with np.errstate(all="ignore"):
        X = numbers(rng)
        other = numbers(rng, X.shape[1])
    model = estimator(rng, X.shape, kinds)
    container, data = contained(X, rng)
    in_batches = hasattr(model, "partial_fit") and rng.random() < 0.3
    name = f"{model!r} on {X.shape} as {container}{' in batches' * in_batches}"
    y, weight = labels(len(X), rng), weights(len(X), rng)
    is_saved = rng.random() < 0.1
    return Case(name, model, data, y, weight, other, in_batches, is_saved)


class _Choices:
    """A generator whose `choice` gives the objects themselves, not numpy's copies."""

    def __init__(self, rng):
        self._rng = rng

    def choice(self, options):
        return options[self._rng.integers(len(options))]

    def __getattr__(self, name):
        return getattr(self._rng, name)


# --- What happens -------------------------------------------------------------------


class Wrong(AssertionError):
    """An outcome that must not be."""


def attempt(case):
    """Fit and use the model: "fitted" or "refused", or `Wrong`."""
    model, X = case.model, case.X
    name = type(model).__name__
    before = copy.deepcopy(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings(
            "ignore", "A covariance matrix was numerically singular"
        )
        try:
            _fit(case)
        except DOCUMENTED as error:
            _check_message(error, name)
            _check_untouched(X, before)
            return "refused"
        for method in ("transform", "predict_proba", "score_samples"):
            if hasattr(model, method):
                _check_finite(getattr(model, method)(X), f"{name}.{method}")
        if hasattr(model, "inverse_transform"):
            Z = model.transform(X)
            _check_finite(model.inverse_transform(Z), f"{name}.inverse_transform")
        if hasattr(model, "score_samples"):
            for part in model.transform(X, return_std=True):
                _check_finite(part, f"{name}.transform with std")
            for part in model.inverse_transform(Z, return_std=True):
                _check_finite(part, f"{name}.inverse_transform with std")
            _check_finite(model.sample(3, random_state=0), f"{name}.sample")
            _check_finite(model.impute(X), f"{name}.impute")
            _check_objective(model)
            _check_positions(model, Z)
        _check_finite(model.loss_curve_, f"{name}.loss_curve_")
        if name != "SwishMLPClassifier":
            _check_finite(model.score(X), f"{name}.score")
        _check_single_row(model, X)
        if case.is_saved:
            _check_comes_back(model, X)
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        _check_new_rows(model, case.new_rows)
    _check_untouched(X, before)
    return "fitted"


def _fit(case):
    model, X = case.model, case.X
    is_classifier = isinstance(model, ClassifierMixin)
    args = (X, case.y) if is_classifier else (X,)
    weight = {"sample_weight": case.sample_weight} if is_classifier else {}
    if not case.in_batches:
        model.fit(*args, **weight)
        return
    # The first of the batches may be one of the others, of another scale.
    classes = {"classes": np.unique(case.y)} if is_classifier else {}
    model.partial_fit(*args, **weight, **classes)
    model.partial_fit(*args, **weight)
    if not is_classifier:
        with contextlib.suppress(ValueError), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            model.partial_fit(case.new_rows)


def _check_single_row(model, X):
    """A row has the same code alone as among the others."""
    if not (isinstance(X, np.ndarray) and X.ndim == 2):
        return
    Z = model.transform(X)
    # An offset of many standard deviations leaves so many digits fewer.
    values = X.astype(float)
    size = float(np.nanmax(np.abs(values)))
    spread = np.nanstd(values / (size or 1.0), axis=0)
    unit = float(np.sqrt(np.mean(spread**2))) * size
    lost = min(size / unit, 1e16) if unit else 1e16
    allowed = (1e-5 + 1e2 * np.finfo(Z.dtype).eps * lost) * np.abs(Z).max()
    if hasattr(model, "embedding_"):  # whose unit is 1
        allowed += 1e-9
    for i in {0, len(X) - 1}:
        alone = model.transform(X[[i]])
        if np.abs(alone - Z[[i]]).max() > allowed:
            raise Wrong(f"row {i} alone is at {alone[0]}, among the others at {Z[i]}")


def _check_comes_back(model, X):
    """A file holds the same model."""
    with tempfile.NamedTemporaryFile() as file:
        gplvm.save(model, file.name)
        again = gplvm.load(file.name)
    if not np.array_equal(again.transform(X), model.transform(X)):
        raise Wrong("the model that comes back from a file gives other codes")


def _check_new_rows(model, X):
    """Rows that the model has not seen have finite results, or are refused."""
    methods = ("transform", "predict_proba", "predict_log_proba", "score_samples")
    for method in (*methods, "impute"):
        if hasattr(model, method):
            try:
                result = getattr(model, method)(X)
            except DOCUMENTED as error:
                _check_message(error, method)
            else:
                _check_finite(result, f"{method} of new rows")


def _check_objective(model):
    """The public objective is finite with its gradient, at the fit and elsewhere."""
    bayesian = hasattr(model, "elbo")
    objective = model.elbo if bayesian else model.log_likelihood
    value, gradient = objective(eval_gradient=True)
    for array in (value, *gradient.values()):
        _check_finite(array, "the objective at the fit")
    embedding, theta = np.asarray(model.embedding_, dtype=float), model.theta_
    points = [{"embedding": factor * embedding} for factor in (0.0, 1e-90, 1e5, 1e90)]
    points += [{"theta": theta + step} for step in (-300.0, -30.0, 30.0, 300.0)]
    if bayesian:
        points += [{"embedding_std": np.full_like(embedding, s)} for s in (1e-90, 1e90)]
    for point in points:
        try:
            value, gradient = objective(**point, eval_gradient=True)
        except DOCUMENTED as error:
            _check_message(error, "the objective")
        else:
            for array in (value, *gradient.values()):
                _check_finite(array, f"the objective at another {list(point)}")


def _check_positions(model, Z):
    """Rows at any positions are finite, or refused."""
    Z = np.asarray(Z, dtype=float)[:3]
    kinds = [{"latent_std": np.full_like(Z, s)} for s in (0.0, 1.0, 1e-90, 1e200)]
    for options in [{}, *(kinds if hasattr(model, "elbo") else [])]:
        for at in (Z, 0.0 * Z, 1e3 + Z, 1e90 + Z, 1e300 + Z, np.float32(np.tanh(Z))):
            try:
                parts = model.inverse_transform(at, return_std=True, **options)
            except DOCUMENTED as error:
                _check_message(error, "inverse_transform")
            else:
                for part in parts:
                    _check_finite(part, "inverse_transform elsewhere")


def _check_untouched(X, before):
    if isinstance(X, np.ndarray):
        same = np.array_equal(X, before, equal_nan=X.dtype.kind in "fc")
    elif sparse.issparse(X):
        same = np.array_equal(X.data, before.data, equal_nan=True)
    else:
        return
    if not same and X.dtype.kind != "O":
        raise Wrong("the data were changed")


def _check_message(error, name):
    text = str(error)
    unclear = ("operands", "must not contain infs", "Singular matrix", "out of bounds")
    if len(text) < 10 or any(words in text for words in unclear):
        raise Wrong(f"{name}: unclear {type(error).__name__}: {text!r}") from error


def _check_finite(array, what):
    if not np.all(np.isfinite(np.asarray(array, dtype=float))):
        raise Wrong(f"{what} is not finite")


def _too_long(signum, frame):
    raise Wrong(f"no end after {SECONDS} s of computing or {WAITING_SECONDS} s")


def run(n_cases, seed, first=0, report=None, kinds=KINDS):
    """Run cases; counts of the outcomes, and the failures as (number, name, what)."""
    counts, failures = Counter(), []
    clocks = {}
    if hasattr(signal, "setitimer"):
        clocks = {
            signal.ITIMER_PROF: (signal.SIGPROF, SECONDS),
            signal.ITIMER_REAL: (signal.SIGALRM, WAITING_SECONDS),
        }
    previous = {
        number: signal.signal(number, _too_long) for number, _ in clocks.values()
    }
    try:
        for number in range(first, first + n_cases):
            this = case(seed, number, kinds)
            for clock, (_, seconds) in clocks.items():
                signal.setitimer(clock, seconds)
            try:
                with short_races():
                    outcome = attempt(this)
            except Exception as error:
                outcome = "wrong"
                what = f"{type(error).__name__}: {error}"
                failures.append((number, this.name, what))
            finally:
                for clock in clocks:
                    signal.setitimer(clock, 0)
            counts[type(this.model).__name__, outcome] += 1
            if report is not None:
                report(number, failures)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return counts, failures


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int)
    parser.add_argument("--estimator", choices=KINDS, action="append")
    options = parser.parse_args()
    kinds = options.estimator or KINDS
    if options.only is not None:
        this = case(options.seed, options.only, kinds)
        print(this)
        try:
            with short_races():
                print(attempt(this))
        except Exception:
            traceback.print_exc()
        return
    start, told = time.perf_counter(), 0

    def report(number, failures):
        nonlocal told
        for case_number, name, what in failures[told:]:
            text = " ".join(f"{case_number}: {name}: {what}".split())
            print(text[:400], flush=True)
        told = len(failures)

    counts, failures = run(options.cases, options.seed, options.first, report, kinds)
    for (name, outcome), count in sorted(counts.items()):
        print(f"{name:20} {outcome:8} {count}")
    print(f"{time.perf_counter() - start:.0f} s")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
