"""Displays of latent spaces and fits, in the way of scikit-learn's.

The only room that imports matplotlib.
"""

from gplvm.plotting._latent_space import LatentSpaceDisplay
from gplvm.plotting._loss_curve import LossCurveDisplay
from gplvm.plotting._reconstruction import ReconstructionDisplay

__all__ = ["LatentSpaceDisplay", "LossCurveDisplay", "ReconstructionDisplay"]
