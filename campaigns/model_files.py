"""Damaged and forged model files: each is refused clearly, or holds a working model.

``python campaigns/model_files.py --cases 5000 --seed 1`` runs as many as one likes; a
short part of it is among the tests.
"""

import argparse
import copy
import hashlib
import json
import random
import resource
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from scipy.sparse import csr_array
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.gaussian_process.kernels import (
    DotProduct,
    Matern,
    RationalQuadratic,
    WhiteKernel,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted

import gplvm
from gplvm._files import read_container, write_container

PREFIX, DIGEST = 20, 32
# These files have some kilobytes: a load that takes more memory than this is unbounded,
# and gets no more than the other.
_MOST_MEMORY, _ALL_MEMORY = 2**28, 2**33


def models():
    """A small fitted model of each kind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return list(_fitted())


def _fitted():
    X, y = load_iris(return_X_y=True)
    X, y = X[::5], y[::5]
    missing = X.copy()
    missing[3, 2] = np.nan
    narrow = X.astype(np.float32)
    short = {"max_iter": 3, "tol": 100.0}
    yield gplvm.LinearAutoencoder().fit(X)
    tanh = {"activation": "tanh", "solver": "adam", "max_iter": 3}
    yield gplvm.LinearAutoencoder(**tanh).fit(narrow)
    yield gplvm.SwishMLPClassifier(4, **short).fit(X, y)
    yield gplvm.SwishMLPClassifier(4, **short).fit(narrow, y)
    yield gplvm.GPLVM(kernel="linear").fit(X)
    yield gplvm.GPLVM(kernel="linear").fit(csr_array(X))
    yield gplvm.GPLVM(**short).fit(missing)
    kernel = (Matern(nu=1.5) + DotProduct(1.0) ** 2) * RationalQuadratic()
    yield gplvm.GPLVM(kernel=kernel + WhiteKernel(0.1), **short).fit(X)
    yield gplvm.GPLVM(n_inducing=5, **short).fit(missing)
    yield gplvm.GPLVM(back_constraint="mlp", **short).fit(X)
    yield gplvm.BayesianGPLVM(2, n_inducing=5, max_iter=3).fit(missing)
    yield gplvm.BayesianGPLVM(2, n_inducing=5, batch_size=9, max_iter=3).fit(X)
    yield make_pipeline(StandardScaler(), gplvm.GPLVM(**short)).fit(X)


def damaged(data, rng):
    """The file with bits flipped, its end cut off, a piece repeated or inverted."""
    data = bytearray(data)
    kind = rng.randrange(5)
    at = rng.randrange(len(data))
    if kind == 0:
        data[at] ^= 1 << rng.randrange(8)
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        data[at:at] = data[at : at + rng.randrange(1, 200)]
    elif kind == 3:
        length = rng.randrange(1, 64)
        data[at : at + length] = bytes(255 - byte for byte in data[at : at + length])
    else:
        data += rng.randbytes(rng.randrange(1, 100))
    return bytes(data)


_VALUES = [None, True, -1, 0, 1, 2**31, 2**62, 10**30, 0.5, -1e300, 1e300, "", "rbf"]
_VALUES += ["__class__", "os.system", [], [1, 2], [[]], {}, {"same": 0}, {"part": "x"}]
_VALUES += [{"array": 0}, {"array": 10**6}, {"float": "nan"}, {"estimator": "GPLVM"}]
_VALUES += [{"tuple": [1, 2]}, {"kernel": "builtins.eval", "params": {}}]


def forged(data, rng):
    """The file with something in its header replaced, and a checksum that fits."""
    length = int.from_bytes(data[12:PREFIX], "little")
    header = json.loads(data[PREFIX : PREFIX + length])
    for _ in range(rng.choice([1, 1, 1, 2, 5])):
        places = list(_places(header))
        container, key = rng.choice(places)
        if rng.random() < 0.1:
            del container[key]
        elif rng.random() < 0.3:
            other, place = rng.choice(places)
            container[key] = json.loads(json.dumps(other[place]))
        else:
            container[key] = copy.deepcopy(rng.choice(_VALUES))
    text = json.dumps(header, separators=(",", ":")).encode()
    # The spaces that JSON allows keep the arrays at multiples of 64.
    text += b" " * ((length - len(text)) % 64)
    rest = data[PREFIX + length : -DIGEST]
    made = data[:12] + len(text).to_bytes(8, "little") + text + rest
    return made + hashlib.sha256(made).digest()


def disarranged(path, rng):
    """The file with one or two arrays of another type, shape or contents."""
    header, arrays = read_container(path)
    for _ in range(rng.choice([1, 1, 2])):
        at = rng.randrange(len(arrays))
        if rng.random() < 0.2:
            other = rng.randrange(len(arrays))
            arrays[at], arrays[other] = arrays[other], arrays[at]
        else:
            with np.errstate(all="ignore"):
                arrays[at] = _other(arrays[at], rng)
    del header["arrays"]
    write_container(path, header, arrays)


def rearranged(path, donor, rng):
    """The file with numbers a little off, and with parts of another model."""
    header, arrays = read_container(path)
    given, given_arrays = read_container(donor)
    _renumber(given["model"], len(arrays))
    arrays += given_arrays
    for _ in range(rng.choice([1, 1, 2, 3])):
        container, key = rng.choice(list(_places(header["model"])))
        kind = rng.randrange(4)
        if kind == 0:
            container[key] = _near(container[key], rng)
        elif kind == 1:
            other, place = rng.choice(list(_places(header["model"])))
            part = copy.deepcopy(container[key])
            container[key] = copy.deepcopy(other[place])
            other[place] = part
        elif kind == 2:
            same = [(c, k) for c, k in _places(given["model"]) if k == key]
            other, place = rng.choice(same or list(_places(given["model"])))
            container[key] = copy.deepcopy(other[place])
        else:
            at = rng.randrange(len(arrays) - len(given_arrays))
            with np.errstate(all="ignore"):
                arrays[at] = _moved(arrays[at], rng)
    del header["arrays"]
    write_container(path, header, arrays)


def _renumber(tree, first):
    """Let a tree refer to arrays that come after so many others."""
    for container, key in list(_places(tree)):
        if key in ("array", "scalar") and type(container[key]) is int:
            container[key] += first


def _near(value, rng):
    """A number or text that a person might have mistyped."""
    if type(value) is bool:
        return not value
    if type(value) is int:
        return rng.choice([value + 1, value - 1, 2 * value, -value, float(value)])
    if type(value) is float:
        return value * rng.choice([-1.0, 1.0 + 1e-9, 2.0, 1e-6, 1e6, 1e-200, 1e200])
    if type(value) is str and value:
        return rng.choice([value[:-1], value.upper(), value + "_", "_" + value])
    return rng.choice([None, [value], {"tuple": [value]}])


def _moved(array, rng):
    """An array of the same type and shape, with other values in it."""
    kind = rng.randrange(7)
    array = array.copy()
    if not array.size:
        return array
    if kind == 0 and array.ndim:
        return np.flip(array, rng.randrange(array.ndim))
    if kind == 1 and array.ndim:
        return array[np.random.default_rng(rng.randrange(99)).permutation(len(array))]
    if array.dtype.kind == "f":
        if kind == 2:
            return array + rng.choice([1e-12, 1e-3, 1.0, 1e6]) * np.ptp(array)
        if kind == 3:
            return array * rng.choice([-1.0, 1e-200, 1e-20, 1e20, 1e200])
        noise = np.random.default_rng(rng.randrange(99)).normal(size=array.shape)
        if kind == 4:
            return (array + 0.1 * noise * np.std(array)).astype(array.dtype)
        at = rng.randrange(array.size)
        array.flat[at] = rng.choice([0.0, -0.0, 1e-310, 1e30, 1e154, np.nan, -np.inf])
    elif array.dtype.kind in "biu":
        at = rng.randrange(array.size)
        array.flat[at] = not array.flat[at]
    return array


def _other(array, rng):
    """An array that is like this one, but for one thing."""
    kind = rng.randrange(9)
    if kind == 0 and array.dtype.kind != "U":
        return array.astype(rng.choice(["f2", "f4", "f8", "i1", "i8", "u2", "?", "U9"]))
    if kind == 1:
        return rng.choice([array.ravel(), array.T, array[None], array[..., None]])
    if kind == 2:
        return array[1:] if array.ndim else array
    if kind == 3:
        return array[..., 1:] if array.ndim else array
    if kind == 4 and array.ndim:
        return np.concatenate([array, array], rng.randrange(array.ndim))
    if kind == 5:
        return np.zeros(rng.choice([(), (0,), (1,), (2, 2), (0, 5), (3, 1, 2)]))
    if kind == 6:
        return np.broadcast_to(array.ravel()[:1], (7, 7)) if array.size else array
    array = array.copy()
    values = [np.nan, np.inf, 0, -1, 1e300, -1e300, 1e-300, 1e18, 2**31]
    part = slice(0, 1) if kind == 8 else slice(None)
    if array.size and array.dtype.kind in "biuf":
        array.reshape(-1)[part] = np.asarray(rng.choice(values)).astype(array.dtype)
    return array


def _places(tree):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items):
        yield tree, key
        if isinstance(value, (dict, list)) and value:
            yield from _places(value)


def try_file(path):
    """Load a file; what happened, or an exception that should not have been."""
    try:
        model = gplvm.load(path)
    except ValueError as error:
        assert str(path) in str(error), f"the message names no file: {error}"
        assert "\n" not in str(error), f"more than one line: {error}"
        return "refused"
    try:
        check_is_fitted(model)
    except NotFittedError:
        return "loaded, not fitted"
    use(model)
    return "loaded"


def _peak():
    """The most memory so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def use(model):
    """Every method on rows that a user may have: all answers are finite."""
    rows = np.random.default_rng(5).normal(size=(3, model.n_features_in_))
    latent = model.transform(rows)
    answers = [latent, model.transform(rows[:1])]
    for name in ("predict_proba", "predict_log_proba", "score_samples"):
        if hasattr(model, name):
            answers.append(getattr(model, name)(rows))
    if hasattr(model, "predict"):
        assert set(model.predict(rows)) <= set(model.classes_)
    if hasattr(model, "inverse_transform"):
        answers.append(model.inverse_transform(latent))
        assert answers[-1].shape == rows.shape
    if hasattr(model, "sample"):
        answers.append(model.sample(2, random_state=0))
        answers += model.inverse_transform(latent, return_std=True)
        answers += model.transform(rows, return_std=True)
        if isinstance(model, gplvm.BayesianGPLVM):
            std = np.ones(latent.shape)
            answers += model.inverse_transform(latent, True, latent_std=std)
    for name in ("log_likelihood", "elbo"):
        if hasattr(model, name):
            value, gradient = getattr(model, name)(eval_gradient=True)
            answers += [value, *gradient.values()]
    answers += [
        part
        for name, value in vars(model).items()
        if name.endswith("_") and not isinstance(value, (str, bool, type(None)))
        for part in (value if isinstance(value, list) else [value])
        if np.asarray(part).dtype.kind == "f"
    ]
    assert len(model.get_feature_names_out()) == latent.shape[1]
    for answer in answers:
        assert np.all(np.isfinite(answer)), "not finite"
    assert repr(model)
    if hasattr(model, "partial_fit"):
        known = [model.classes_[[0, 1, 0]]] if hasattr(model, "classes_") else []
        try:
            copy.deepcopy(model).partial_fit(rows, *known)
        except ValueError as error:  # a fit or set_params that leads there as well
            legal = ("n_components", "activation", "partial_fit")
            assert any(word in str(error) for word in legal), error


def run(n_cases, seed, folder, keep=None):
    """Count what happened to files, a quarter of each kind; keep what failed."""
    rng = random.Random(seed)
    path, donor = Path(folder) / "model.gplvm", Path(folder) / "donor.gplvm"
    originals = []
    for model in models():
        gplvm.save(model, path)
        originals.append(path.read_bytes())
    counts = {}
    for case in range(n_cases):
        make = (damaged, forged, disarranged, rearranged)[case % 4]
        original = rng.choice(originals)
        if make is disarranged:
            path.write_bytes(original)
            make(path, rng)
        elif make is rearranged:
            path.write_bytes(original)
            donor.write_bytes(rng.choice(originals))
            make(path, donor, rng)
        else:
            path.write_bytes(make(original, rng))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            before = _peak()
            try:
                what = try_file(path)
                assert _peak() - before < _MOST_MEMORY, "too much memory"
            except Exception as error:
                what = f"FAILED: {type(error).__name__}: {error}"
                if keep is not None:
                    Path(keep, f"{seed}-{case}.gplvm").write_bytes(path.read_bytes())
        outcome = make.__name__, what
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", metavar="DIR", help="where files that failed go")
    options = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (_ALL_MEMORY, _ALL_MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        counts = run(options.cases, options.seed, folder, options.keep)
    for outcome, count in sorted(counts.items()):
        print(*outcome, count)
    return any("FAILED" in what for _, what in counts)


if __name__ == "__main__":
    raise SystemExit(main())
