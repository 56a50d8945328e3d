"""
What the hidden units of a species classifier answer to
=======================================================

The hidden layer is a new description of each picture. Here it is read: by the mean
activations of each species, and by what was drawn in the pictures, the wings and the
size, which the network was never told.
"""

# %%
# Thirty-two units, trained on the species alone. Everything below is measured on
# pictures that the network has not seen.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from gplvm import SwishMLPClassifier
from gplvm.datasets import make_creatures

creatures = make_creatures(n_samples=2000, image_size=28, random_state=0)
names = creatures.target_names
images, new_images, species, new_species, _, pose = train_test_split(
    creatures.data,
    creatures.target,
    creatures.pose,
    stratify=creatures.target,
    random_state=0,
)
network = SwishMLPClassifier(32, tol=1e-3, random_state=0).fit(images, species)
print(f"named rightly: {network.score(new_images, new_species):.0%} of new pictures")

hidden = network.transform(new_images)
hidden = (hidden - hidden.mean(axis=0)) / hidden.std(axis=0)

# %%
# The species' centroids
# ----------------------
# One row for each species, one column for each unit, ordered by the species for which
# it is most active: how far the species' mean lies from the mean of all, in standard
# deviations. No species has a unit of its own. Each has a pattern.

centroids = np.array([hidden[new_species == k].mean(axis=0) for k in range(7)])
order = np.lexsort((-centroids.max(axis=0), centroids.argmax(axis=0)))
most = np.abs(centroids).max()

figure, ax = plt.subplots(figsize=(9, 3.2), layout="constrained")
picture = ax.imshow(
    centroids[:, order], cmap="RdBu_r", vmin=-most, vmax=most, aspect="auto"
)
ax.set(xlabel="hidden unit, by the species it prefers", xticks=[])
ax.set_yticks(range(7), names)
figure.colorbar(picture, label="mean activation, in std")

# %%
# The species whose centroids lie closest should be those that are confused.

distances = np.linalg.norm(centroids[:, None] - centroids, axis=2)
distances[np.tril_indices(7)] = np.inf
first, second = np.unravel_index(distances.argmin(), distances.shape)
predicted = network.predict(new_images)
wrong = predicted != new_species
pair = np.isin(predicted, [first, second]) & np.isin(new_species, [first, second])
print(f"closest centroids: {names[first]} and {names[second]}")
print(f"their share of the mistakes: {np.mean(pair[wrong]):.0%} (one of 21 pairs)")

# %%
# Units for wings, units for size
# -------------------------------
# Two species have wings, and `pose` holds the scale at which each animal was drawn.
# A unit's answer to wings is its correlation with having them; its answer to size is
# its correlation with the scale among pictures of the same species, so that neither
# can pass for the other. Where nothing is to be found, chance stays within the band.

winged = np.isin(new_species, [1, 2])
scale = pose[:, creatures.pose_names.index("scale")]


def correlation(activations, factor):
    activations = activations - activations.mean(axis=0)
    factor = factor - factor.mean()
    sizes = np.linalg.norm(activations, axis=0) * np.linalg.norm(factor)
    return factor @ activations / sizes


to_wings = correlation(hidden, winged)
to_size = correlation(hidden - centroids[new_species], scale)
chance = 2 / np.sqrt(len(hidden))
wing_unit, size_unit = np.abs(to_wings).argmax(), np.abs(to_size).argmax()

figure, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
ax.axvspan(-chance, chance, color="0.93", zorder=0)
ax.axhspan(-chance, chance, color="0.93", zorder=0)
ax.scatter(to_wings, to_size, color="#005DBC", s=28)
for unit, label in [(wing_unit, "most for wings"), (size_unit, "most for size")]:
    ax.annotate(
        label,
        (to_wings[unit], to_size[unit]),
        xytext=(0, 8),
        textcoords="offset points",
        ha="center",
    )
ax.set(
    xlabel="correlation with wings",
    ylabel="correlation with size, within species",
    xlim=(-0.6, 0.6),
    ylim=(-0.6, 0.6),
)

# %%
# What these two look at, and how they answer: their weights on the pixels (red
# excites, blue inhibits), and their activations over the factor. The wing unit answers
# to some wings and is silent for others: a picture's animal may head left or right,
# wings up or down, and it takes several units to know wings in all these places.

figure, axes = plt.subplots(
    2, 2, figsize=(8, 6), width_ratios=(1, 1.6), layout="constrained"
)
for row, unit, label in zip(
    axes, (wing_unit, size_unit), ("wing", "size"), strict=True
):
    weights = network.coefs_[0][:, unit].reshape(28, 28)
    most = np.abs(weights).max()
    row[0].imshow(weights, cmap="RdBu_r", vmin=-most, vmax=most)
    row[0].set(xticks=[], yticks=[], xlabel=f"weights of the {label} unit")
axes[0, 1].boxplot(
    [hidden[new_species == k, wing_unit] for k in range(7)],
    orientation="horizontal",
    tick_labels=names,
    medianprops={"color": "#CF6E00"},
)
axes[0, 1].set(xlabel="activation of the wing unit, in std")
axes[0, 1].invert_yaxis()
rest = hidden[:, size_unit] - centroids[new_species, size_unit]
axes[1, 1].scatter(scale, rest, s=8, alpha=0.6, color="#005DBC")
axes[1, 1].plot(scale, np.poly1d(np.polyfit(scale, rest, 1))(scale), color="#CF6E00")
axes[1, 1].set(
    xlabel="scale of the animal", ylabel="size unit, from its\nspecies' mean, in std"
)

# %%
# What is kept, and what is thrown away
# -------------------------------------
# How well can a linear regression read a factor off the pixels, and off the hidden
# layer? What says nothing about the species, such as the exposure of the picture, is
# partly forgotten, though no term of the loss asks for that.

from sklearn.linear_model import RidgeCV

all_poses = train_test_split(creatures.pose, stratify=creatures.target, random_state=0)
for factor in ("exposure", "scale", "x", "heading"):
    column = creatures.pose_names.index(factor)
    train, test = (part[:, column] for part in all_poses)
    read = {}
    for place, view in {"pixels": lambda A: A, "hidden": network.transform}.items():
        regression = RidgeCV(np.logspace(-2, 4, 7)).fit(view(images), train)
        read[place] = regression.score(view(new_images), test)
    print(f"{factor:9s} R2 {read['pixels']:.2f} (pixels) {read['hidden']:.2f} (hidden)")
plt.show()
