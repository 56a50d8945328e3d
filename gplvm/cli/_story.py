"""The fits of the demo, and what is measured of them."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier

from gplvm._autoencoder import LinearAutoencoder
from gplvm._gplvm import GPLVM
from gplvm._swish_classifier import SwishMLPClassifier

BUDGET = 70_000  # parameters of the classifier
_N_EMBEDDED = 800  # images; one step of the exact RBF model costs O(n^3)
_HELD_OUT = 0.25
_EPOCHS = 300
_RBF_TOL = 0.05  # nats per image of 1024 pixels, an iteration


@dataclass
class Parts:
    """The images and the rows of each part.

    Attributes
    ----------
    images, data, target, target_names
        As `load_image_folder` returns them.

    train, test : ndarray of int
        Rows for the classifiers, and rows that no fit sees.

    embedded : ndarray of int
        Those of `train` that the embeddings are fitted to.
    """

    images: np.ndarray
    data: np.ndarray
    target: np.ndarray
    target_names: list
    train: np.ndarray
    test: np.ndarray
    embedded: np.ndarray


@dataclass
class Fit:
    """A fitted model, its numbers, and for an embedding its held-out positions."""

    model: object
    numbers: dict
    latent: np.ndarray | None = None


def split_images(loaded, seed):
    """Cut the images into parts, each with its share of every species."""
    rows = np.arange(len(loaded.data))
    train, test = train_test_split(
        rows, test_size=_HELD_OUT, stratify=loaded.target, random_state=seed
    )
    embedded = train
    if len(train) > _N_EMBEDDED + len(loaded.target_names):
        embedded, _ = train_test_split(
            train,
            train_size=_N_EMBEDDED,
            stratify=loaded.target[train],
            random_state=seed,
        )
    return Parts(
        loaded.images,
        loaded.data,
        loaded.target,
        list(loaded.target_names),
        train,
        test,
        embedded,
    )


def classify(parts, arguments, progress):
    """Train the swish network and two peers; the swish network is the first."""
    epochs = arguments.max_iter or _EPOCHS
    swish = SwishMLPClassifier(
        max_parameters=BUDGET, max_iter=epochs, random_state=arguments.seed
    )
    fits = [_classifier("Swish network", swish, parts, progress)]
    hidden = swish.coefs_[0].shape[1]
    relu = MLPClassifier(
        (hidden,), activation="relu", max_iter=epochs, random_state=arguments.seed
    )
    fits.append(_classifier("MLPClassifier (relu)", relu, parts, progress))
    logistic = LogisticRegression(max_iter=arguments.max_iter or 1000)
    fits.append(_classifier("LogisticRegression", logistic, parts, progress))
    return fits


def _classifier(name, model, parts, progress):
    with progress.step(f"Training {name}") as step:
        start = perf_counter()
        step.watch(model).fit(parts.data[parts.train], parts.target[parts.train])
        seconds = perf_counter() - start
        right = model.predict(parts.data[parts.test]) == parts.target[parts.test]
        step.remark = f"held-out accuracy {right.mean():.3f}"
    weights = [*getattr(model, "coefs_", ()), *getattr(model, "intercepts_", ())]
    if not weights:
        weights = [model.coef_, model.intercept_]
    hidden = model.coefs_[0].shape[1] if hasattr(model, "coefs_") else None
    return Fit(
        model,
        {
            "name": name,
            "hidden": hidden,
            "parameters": int(sum(w.size for w in weights)),
            "accuracy": float(right.mean()),
            "iterations": int(np.max(model.n_iter_)),
            "seconds": seconds,
        },
    )


def embed(parts, classifier, arguments, progress):
    """Fit the embeddings, and place the held-out images in each."""
    limit = {} if arguments.max_iter is None else {"max_iter": arguments.max_iter}
    rbf_limit = limit or {"tol": _RBF_TOL}
    seed = arguments.seed
    models = {
        "PCA": PCA(2, random_state=seed),
        "Linear autoencoder": LinearAutoencoder(2, random_state=seed, **limit),
        "Linear GP-LVM": GPLVM(2, kernel="linear", random_state=seed, **limit),
        "RBF GP-LVM": GPLVM(2, kernel="rbf", random_state=seed, **rbf_limit),
    }
    fits = [_embedding(name, model, parts, progress) for name, model in models.items()]
    with progress.step("Looking into the hidden layer"):
        fits += _hidden_layer(classifier, parts)
    return fits


def _embedding(name, model, parts, progress):
    Y, Y_test = parts.data[parts.embedded], parts.data[parts.test]
    with progress.step(f"Fitting {name}") as step:
        start = perf_counter()
        step.watch(model).fit(Y)
        fitted = perf_counter()
        latent = model.transform(Y_test)
        placed = perf_counter()
        residual = model.inverse_transform(latent) - Y_test
        numbers = {
            "name": name,
            "dimensions": latent.shape[1],
            **_measures(latent, parts),
            "reconstruction_rmse": float(np.sqrt(np.mean(residual**2))),
            "log_likelihood": _optional_float(model, "log_likelihood_"),
            "iterations": _optional_int(model, "n_iter_"),
            "seconds": fitted - start,
            "seconds_to_place": placed - fitted,
        }
        step.remark = f"held-out 1-NN error {numbers['nn_error']:.3f}"
    return Fit(model, numbers, latent)


def _hidden_layer(classifier, parts):
    """The classifier's hidden layer as an embedding: a plane, and all of it."""
    hidden = classifier.transform(parts.data[parts.test])
    # The plane is chosen on training images and without their labels.
    plane = PCA(2).fit(classifier.transform(parts.data[parts.train]))
    fits = []
    for name, latent in (
        ("Hidden layer, leading plane", plane.transform(hidden)),
        (f"Hidden layer, all {hidden.shape[1]} units", hidden),
    ):
        numbers = {
            "name": name,
            "dimensions": latent.shape[1],
            **_measures(latent, parts),
            "reconstruction_rmse": None,
            "log_likelihood": None,
            "iterations": None,
            "seconds": None,
            "seconds_to_place": None,
        }
        fits.append(Fit(classifier, numbers, latent))
    return fits


def _measures(latent, parts):
    """How well held-out neighbours in the embedding agree with species and pixels."""
    X, y = parts.data[parts.test], parts.target[parts.test]
    # Without an argument, kneighbors leaves every row out of its own neighbours.
    nearest = NearestNeighbors(n_neighbors=1).fit(latent).kneighbors()[1][:, 0]
    return {
        "nn_error": float(np.mean(y[nearest] != y)),
        "trustworthiness": float(trustworthiness(X, latent, n_neighbors=5)),
    }


def _optional_float(model, name):
    value = getattr(model, name, None)
    return None if value is None else float(value)


def _optional_int(model, name):
    value = getattr(model, name, None)
    return None if value is None else int(value)
