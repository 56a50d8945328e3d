"""
Classify creatures with 70,000 parameters
=========================================

A network with one hidden layer of swish units tells seven species apart, under a
budget of weights and intercepts. Its hidden layer is an embedding of the pictures too.
"""

# %%
# The budget
# ----------
# Given `max_parameters`, the hidden layer is as wide as the budget allows. With
# 28 x 28 = 784 pixels and 7 classes a hidden unit costs 784 + 1 + 7 parameters.

import matplotlib.pyplot as plt
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from gplvm import SwishMLPClassifier
from gplvm.datasets import make_creatures
from gplvm.plotting import LatentSpaceDisplay

creatures = make_creatures(n_samples=1400, image_size=28, random_state=0)
images, test_images, species, test_species = train_test_split(
    creatures.data, creatures.target, stratify=creatures.target, random_state=0
)

network = SwishMLPClassifier(max_parameters=70_000, tol=1e-3, random_state=0)
network.fit(images, species)
print(f"{network.n_parameters_} parameters, {network.coefs_[0].shape[1]} hidden units")

# %%
# Is the hidden layer worth it? Logistic regression is the network without it.

linear = LogisticRegression(max_iter=1000).fit(images, species)
print(f"swish network:       {network.score(test_images, test_species):.1%}")
print(f"logistic regression: {linear.score(test_images, test_species):.1%}")

# %%
# The hidden layer as an embedding
# --------------------------------
# `transform` returns the activations of the hidden units. Their two leading principal
# components separate what those of the pixels mix: all the pictures are unseen ones.

spaces = {
    "pixels": (images, test_images),
    "hidden layer": (network.transform(images), network.transform(test_images)),
}
figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
for ax, (name, (train, test)) in zip(axes, spaces.items(), strict=True):
    ax.set_title(name)
    LatentSpaceDisplay.from_embedding(
        PCA(n_components=2, random_state=0).fit(train).transform(test),
        labels=test_species,
        label_names=creatures.target_names,
        ax=ax,
    )
axes[0].get_legend().remove()
plt.show()
