"""Displays of latent spaces and fits, in the way of scikit-learn's.

The only room that imports matplotlib.
"""

from gplvm.plotting._explore import LatentExplorer, explore_latent_space
from gplvm.plotting._graph import ComputationalGraphDisplay
from gplvm.plotting._latent_space import LatentSpaceDisplay
from gplvm.plotting._loss_curve import LossCurveDisplay
from gplvm.plotting._manifold import LatentManifoldDisplay
from gplvm.plotting._reconstruction import ReconstructionDisplay
from gplvm.plotting._relevance import RelevanceDisplay

__all__ = [
    "ComputationalGraphDisplay",
    "LatentExplorer",
    "LatentManifoldDisplay",
    "LatentSpaceDisplay",
    "LossCurveDisplay",
    "ReconstructionDisplay",
    "RelevanceDisplay",
    "explore_latent_space",
]
