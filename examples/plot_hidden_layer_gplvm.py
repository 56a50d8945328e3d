"""
The hidden layer of a classifier, embedded by a GP-LVM
======================================================

A classifier describes each picture by its hidden units: 64 numbers, too many to look
at. A GP-LVM behind it in a pipeline lays them out in a plane, new pictures included.
"""

# %%
# One pipeline for pictures in, positions out
# -------------------------------------------
# The network is a transformer too: `transform` returns its hidden layer. `fit` hands
# the species to the network; the GP-LVM behind it does not look at them.

import matplotlib.pyplot as plt
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from gplvm import GPLVM, SwishMLPClassifier
from gplvm.datasets import make_creatures
from gplvm.plotting import LatentSpaceDisplay

creatures = make_creatures(n_samples=1200, image_size=28, random_state=0)
images, new_images, species, new_species = train_test_split(
    creatures.data,
    creatures.target,
    test_size=300,
    stratify=creatures.target,
    random_state=0,
)


def network():
    return SwishMLPClassifier(64, tol=1e-3, random_state=0)


planes = {
    "pixels, GPLVM": GPLVM(n_inducing=40, tol=0.1, random_state=0),
    "hidden layer, PCA": make_pipeline(network(), PCA(2)),
    "hidden layer, GPLVM": make_pipeline(
        network(), GPLVM(n_inducing=40, tol=0.1, random_state=0)
    ),
}

# %%
# New pictures in the plane
# -------------------------
# A plane is worth what it says about pictures that were not there when it was made:
# how often is the species of a new picture that of its five nearest neighbours in it?
# All 64 units, and the 784 pixels, are the measure.

positions = {}
for name, plane in planes.items():
    positions[name] = plane.fit(images, species).transform(new_images)
    neighbours = KNeighborsClassifier(5).fit(plane.transform(images), species)
    accuracy = neighbours.score(positions[name], new_species)
    print(f"{name:20s} {accuracy:.0%} of new pictures among their own species")

classifier = planes["hidden layer, GPLVM"][0]
for name, view in {
    "all 784 pixels": lambda A: A,
    "64 units": classifier.transform,
}.items():
    neighbours = KNeighborsClassifier(5).fit(view(images), species)
    print(f"{name:20s} {neighbours.score(view(new_images), new_species):.0%}")

# %%
# The new pictures, in two planes of the hidden layer. The straight plane of PCA has to
# lay species over one another; the curved one of the GP-LVM has room for all.

figure, axes = plt.subplots(1, 2, figsize=(11, 5.2), layout="constrained")
for ax, name in zip(axes, ("hidden layer, PCA", "hidden layer, GPLVM"), strict=True):
    ax.set_title(name)
    LatentSpaceDisplay.from_embedding(
        positions[name],
        labels=new_species,
        label_names=creatures.target_names,
        ax=ax,
    )
axes[0].get_legend().remove()

# %%
# The plane with its uncertainty: bright where the model has seen hidden layers, dark
# where it would have to guess.

hidden = classifier.transform(new_images)
LatentSpaceDisplay.from_estimator(
    planes["hidden layer, GPLVM"][1],
    hidden,
    new_species,
    label_names=creatures.target_names,
)
plt.show()
