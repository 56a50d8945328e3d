"""
Is a network as sure as it should be?
=====================================

Of the pictures that a classifier names with 80 % confidence, 80 % should be named
rightly. The reliability curve shows whether they are, and scikit-learn's
`CalibratedClassifierCV` mends it where they are not.
"""

# %%
# Three networks
# --------------
# One is trained far longer than it takes to name its training pictures without a
# mistake. It goes on all the same, for the loss still falls where it grows surer. One
# stops when held-out accuracy no longer improves. The third is the first one again,
# calibrated: cross-validation shows how wrong it is where it is sure, and a single
# number, the temperature, divides its logits.

import matplotlib.pyplot as plt
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from gplvm import SwishMLPClassifier
from gplvm.datasets import make_creatures

creatures = make_creatures(n_samples=2400, image_size=28, random_state=0)
images, new_images, species, new_species = train_test_split(
    creatures.data,
    creatures.target,
    test_size=1400,
    stratify=creatures.target,
    random_state=0,
)
long = SwishMLPClassifier(64, alpha=0, tol=0, n_iter_no_change=100, random_state=0)
networks = {
    "trained long": long,
    "stopped early": SwishMLPClassifier(64, early_stopping=True, random_state=0),
    "trained long, calibrated": CalibratedClassifierCV(
        long, method="temperature", cv=3
    ),
}

# %%
# Reliability
# -----------
# A network's confidence is the probability of the class it names. Against it stands
# the share of pictures that it names rightly, in ten groups of equal number. Below the
# diagonal a network is surer than it should be.

import warnings

from sklearn.exceptions import ConvergenceWarning

figure, ax = plt.subplots(figsize=(6, 5), layout="constrained")
styles = [("#EF414E", "s"), ("#CF6E00", "^"), ("#005DBC", "o")]
for (name, network), (color, marker) in zip(networks.items(), styles, strict=True):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # trained long on purpose
        network.fit(images, species)
    probability = network.predict_proba(new_images)
    named = network.classes_[probability.argmax(axis=1)]
    confidence = probability.max(axis=1)
    loss = log_loss(new_species, probability)
    right = named == new_species
    print(
        f"{name:25s} right {right.mean():.1%}, mean confidence "
        f"{confidence.mean():.1%}, log loss {loss:.2f} nats"
    )
    CalibrationDisplay.from_predictions(
        right, confidence, n_bins=10, strategy="quantile", name=name, ax=ax,
        color=color, marker=marker,
    )  # fmt: skip
ax.set(
    xlabel="confidence (mean of the group)",
    ylabel="share named rightly",
    xlim=(0.3, 1.02),
    ylim=(0.3, 1.02),
    aspect="equal",
)
ax.legend(loc="upper left")
plt.show()
