"""Gaussian-process latent variable models with the manners of scikit-learn."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for tools that read the source
    from gplvm import datasets, gradients, kernels
    from gplvm._autoencoder import LinearAutoencoder
    from gplvm._bayesian_gplvm import BayesianGPLVM
    from gplvm._gplvm import GPLVM
    from gplvm._persistence import load, save
    from gplvm._swish_classifier import SwishMLPClassifier

__version__ = "0.1.0.dev0"

__all__ = [
    "LinearAutoencoder",
    "GPLVM",
    "BayesianGPLVM",
    "SwishMLPClassifier",
    "datasets",
    "gradients",
    "kernels",
    "load",
    "save",
]

_HOMES = {
    "LinearAutoencoder": "_autoencoder",
    "GPLVM": "_gplvm",
    "BayesianGPLVM": "_bayesian_gplvm",
    "SwishMLPClassifier": "_swish_classifier",
    "load": "_persistence",
    "save": "_persistence",
}


def __getattr__(name):
    """Import what is asked for: the command starts, and can be stopped, before."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"{__name__}.{_HOMES.get(name, name)}")
    globals()[name] = found = getattr(module, name) if name in _HOMES else module
    return found


def __dir__():
    return sorted({*globals(), *__all__})
