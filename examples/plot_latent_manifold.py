"""
A walk from one species to another
==================================

A GP-LVM draws an image for every point of its latent plane, also between the points
that it has seen. A grid of them is a map of all creatures that it can imagine.
"""

# %%
# Three hundred images of seven species, in all poses, and the plane that an RBF GP-LVM
# finds for them.

from gplvm import GPLVM
from gplvm.datasets import make_creatures
from gplvm.plotting import LatentManifoldDisplay, LatentSpaceDisplay

creatures = make_creatures(300, image_size=32, random_state=0)
names = creatures.target_names
model = GPLVM(kernel="rbf", tol=1e-2).fit(creatures.data)

LatentSpaceDisplay.from_estimator(
    model, creatures.data, creatures.target, label_names=names, thumbnails=False
)

# %%
# The same plane, decoded. Images fade where the model would have to guess. The line is
# a straight walk from a typical hammerhead titanothere to a typical direhorse; its
# steps stand above. What lies between two species is not always a creature: a walk
# through a part of the plane without samples blurs.

LatentManifoldDisplay.from_estimator(
    model,
    creatures.data,
    creatures.target,
    label_names=names,
    path=("hammerhead titanothere", "direhorse"),
)

# %%
# The same for any estimator that can decode, PCA for example: where nothing says how
# sure it is, nothing fades, and two linear components blend all species.

from sklearn.decomposition import PCA

LatentManifoldDisplay.from_estimator(
    PCA(2).fit(creatures.data),
    creatures.data,
    creatures.target,
    label_names=names,
    n_images=11,
    path=("hammerhead titanothere", "direhorse"),
)
