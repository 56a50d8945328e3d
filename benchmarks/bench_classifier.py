"""The swish network, beside scikit-learn's and torch's."""

import warnings

import numpy as np
from _peers import Peer, find
from _report import Table, at_least, in_words, milliseconds
from _timing import blas_threads, race, ratio, timed
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from gplvm import SwishMLPClassifier
from gplvm.datasets import make_creatures

HEADING = "Swish classifier: one epoch, and accuracy at equal epochs"
HIDDEN, BATCH, EPOCHS, ACCURACY_EPOCHS = 64, 200, 5, 50
SEEDS = (0, 1, 2, 3, 4)
TARGETS = {"MLPClassifier": 1.5, "torch": 1.0}


def prepared(X, y, seed=0, test_size=0.25):
    """Standardised float32 rows (one scale for all features), split by class."""
    X, X_test, y, y_test = train_test_split(
        X, y, test_size=test_size, stratify=y, random_state=seed
    )
    mean, scale = X.mean(axis=0), X.std()
    X, X_test = (((A - mean) / scale).astype(np.float32) for A in (X, X_test))
    return X, X_test, y, y_test


def fit(kind, X, y, epochs, seed=0):
    """A fit of exactly that many epochs."""
    common = {"batch_size": BATCH, "max_iter": epochs, "random_state": seed}
    common |= {"tol": 0.0, "n_iter_no_change": 10_000}
    if kind is SwishMLPClassifier:
        model = SwishMLPClassifier(HIDDEN, **common)
    else:
        model = MLPClassifier((HIDDEN,), **common)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y)


def torch_peer(python, X, y, X_test, threads, epochs, seed=0):
    scalars = {"n_hidden": HIDDEN, "batch_size": BATCH, "epochs": epochs, "seed": seed}
    return Peer(python, "torch", threads, X=X, y=y, X_test=X_test, **scalars)


def run(options):
    python = find("torch", options.pythons)
    speed = Table(
        f"One epoch, 784-{HIDDEN}-7, batch {BATCH}, float32",
        ["package", "threads", "gplvm, ms", "package, ms", "package / gplvm", "target"],
        f"""Here the ratio says how many times faster gplvm is. Each fit is {EPOCHS}
        epochs from raw array to fitted estimator, divided by {EPOCHS}; torch, in a
        process of its own, has its tensors ready and runs SiLU and fused Adam.
        `MLPClassifier` has ReLU, which is cheaper than swish. Batches this small have
        one BLAS thread in gplvm, whatever there are: the more other work holds the
        cores, the longer the threads of the others wait for each other. The table says
        nothing about larger networks or a GPU.""",
    )
    n = 1400 if options.quick else 7000
    creatures = make_creatures(n, image_size=28, random_state=0)
    X, X_test, y, _ = prepared(creatures.data, creatures.target, test_size=1 / 7)
    for threads in (1, 2):
        with blas_threads(threads):
            contenders = {
                "gplvm": timed(lambda: fit(SwishMLPClassifier, X, y, EPOCHS)),
                "MLPClassifier": timed(lambda: fit(MLPClassifier, X, y, EPOCHS)),
            }
            if python is None:
                seconds = race(contenders, options.repeats)
            else:
                with torch_peer(python, X, y, X_test[:1], threads, EPOCHS) as peer:
                    seconds = race(contenders | {"torch": peer}, options.repeats)
                    speed.versions |= peer.versions
        ours = seconds.pop("gplvm") / EPOCHS
        for name, theirs in seconds.items():
            theirs = theirs / EPOCHS
            relative = ratio(theirs, ours)
            speed.rows.append(
                [
                    name,
                    threads,
                    milliseconds(ours),
                    milliseconds(theirs),
                    in_words(relative),
                    f">= {TARGETS[name]}: {at_least(relative, TARGETS[name])}",
                ]
            )

    names = ["gplvm", "MLPClassifier", *([] if python is None else ["torch"])]
    epochs = 5 if options.quick else ACCURACY_EPOCHS
    accuracy = Table(
        f"Accuracy on held-out rows after {epochs} epochs",
        ["data", *names],
        f"""Mean and standard deviation over {len(SEEDS)} seeds, each with its own
        split (a quarter held out) and start; {HIDDEN} hidden units, each package's
        own default penalty, the same standardised pixels for all. It shows that the
        speed is not bought with accuracy, not that any of the three is tuned.""",
    )
    digits = load_digits()
    pictures = make_creatures(2000, image_size=28, random_state=0)
    for label, data in (("creatures, 2000 x 784", pictures), ("digits", digits)):
        scores = {name: [] for name in names}
        for seed in SEEDS:
            X, X_test, y, y_test = prepared(data.data, data.target, seed)
            for name, kind in zip(
                names, (SwishMLPClassifier, MLPClassifier), strict=False
            ):
                scores[name].append(fit(kind, X, y, epochs, seed).score(X_test, y_test))
            if python is not None:
                with torch_peer(python, X, y, X_test, 1, epochs, seed) as peer:
                    peer()
                    scores["torch"].append(np.mean(np.array(peer.value) == y_test))
        row = [f"{np.mean(s):.3f} ± {np.std(s, ddof=1):.3f}" for s in scores.values()]
        accuracy.rows.append([label, *row])
    return [speed, accuracy]
