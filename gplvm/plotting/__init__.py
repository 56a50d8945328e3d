"""Displays of latent spaces and fits, in the way of scikit-learn's.

The only room that imports matplotlib.
"""

from ._latent_space import LatentSpaceDisplay
from ._loss_curve import LossCurveDisplay
from ._reconstruction import ReconstructionDisplay

__all__ = ["LatentSpaceDisplay", "LossCurveDisplay", "ReconstructionDisplay"]
