"""Gaussian-process latent variable models with the manners of scikit-learn."""

__version__ = "0.1.0.dev0"
