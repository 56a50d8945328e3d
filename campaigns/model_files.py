"""Damaged and forged model files: each is refused clearly, or holds a working model.

``python campaigns/model_files.py --cases 5000 --seed 1`` runs as many as one likes; a
short part of it is among the tests.
"""

import argparse
import hashlib
import json
import random
import tempfile
import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import gplvm

PREFIX, DIGEST = 20, 32


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
    short = {"max_iter": 3, "tol": 100.0}
    yield gplvm.LinearAutoencoder().fit(X)
    yield gplvm.SwishMLPClassifier(4, max_iter=3, tol=100.0).fit(X, y)
    yield gplvm.GPLVM(kernel="linear").fit(X)
    yield gplvm.GPLVM(n_inducing=5, **short).fit(missing)
    yield gplvm.GPLVM(back_constraint="mlp", **short).fit(X)
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
            container[key] = rng.choice(_VALUES)
    text = json.dumps(header, separators=(",", ":")).encode()
    # The spaces that JSON allows keep the arrays at multiples of 64.
    text += b" " * ((length - len(text)) % 64)
    rest = data[PREFIX + length : -DIGEST]
    made = data[:12] + len(text).to_bytes(8, "little") + text + rest
    return made + hashlib.sha256(made).digest()


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
        return "refused"
    try:
        check = model.transform(np.zeros((2, model.n_features_in_)))
        assert np.all(np.isfinite(check))
    except (ValueError, AttributeError):  # not fitted, or the user's own mistake
        return "loaded, not fitted"
    return "loaded"


def run(n_cases, seed, folder):
    """Count what happened to `n_cases` files, half of them damaged, half forged."""
    rng = random.Random(seed)
    path = Path(folder) / "model.gplvm"
    originals = []
    for model in models():
        gplvm.save(model, path)
        originals.append(path.read_bytes())
    counts = {}
    for case in range(n_cases):
        make = (damaged, forged)[case % 2]
        path.write_bytes(make(rng.choice(originals), rng))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcome = (make.__name__, try_file(path))
        counts[outcome] = counts.get(outcome, 0) + 1
    return counts


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for outcome, count in run(options.cases, options.seed, folder).items():
            print(*outcome, count)


if __name__ == "__main__":
    main()
