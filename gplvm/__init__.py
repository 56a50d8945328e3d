"""Gaussian-process latent variable models with the manners of scikit-learn."""

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
