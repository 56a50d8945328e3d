"""
What a budget of parameters buys
================================

From a thousand weights and intercepts to seventy thousand: how well does the network
name the species of new pictures, and where does another parameter stop helping?
"""

# %%
# `max_parameters` sets the budget, and the hidden layer is as wide as it allows. With
# 28 x 28 = 784 pixels and 7 classes a hidden unit costs 784 + 1 + 7 = 792 parameters,
# and the output 7 more: a thousand pay for a single unit, seventy thousand for 88.
# Each budget is tried on several splits of the pictures, each with its own start. (The
# step is three times the default one: a layer of one or two units learns slowly.)

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from gplvm import SwishMLPClassifier
from gplvm.datasets import make_creatures

budgets = (1000, 2000, 4000, 8000, 16000, 32000, 70000)
seeds = range(4)
creatures = make_creatures(n_samples=1600, image_size=28, random_state=0)

accuracy = np.empty((len(seeds), len(budgets)))
linear = np.empty(len(seeds))
for i, seed in enumerate(seeds):
    images, new_images, species, new_species = train_test_split(
        creatures.data, creatures.target, stratify=creatures.target, random_state=seed
    )
    for j, budget in enumerate(budgets):
        network = SwishMLPClassifier(
            max_parameters=budget,
            learning_rate_init=3e-3,
            tol=1e-3,
            max_iter=1000,
            random_state=seed,
        )
        accuracy[i, j] = network.fit(images, species).score(new_images, new_species)
    regression = LogisticRegression(tol=1e-2, max_iter=500).fit(images, species)
    linear[i] = regression.score(new_images, new_species)

n_linear = regression.coef_.size + regression.intercept_.size
units = [(budget - 7) // 792 for budget in budgets]
for budget, n_units, mean in zip(budgets, units, accuracy.mean(axis=0), strict=True):
    print(f"{budget:6d} parameters, {n_units:2d} hidden units: {mean:.1%}")
print(f"{n_linear:6d} parameters, logistic regression: {linear.mean():.1%}")

# %%
# Accuracy against parameters
# ---------------------------
# The line is the mean over the splits, the dots are the splits. Logistic regression
# has no hidden layer and spends 784 + 1 parameters on each class.

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
ax.plot(budgets, accuracy.mean(axis=0), color="#005DBC", label="swish network, mean")
ax.plot(
    np.tile(budgets, len(seeds)),
    accuracy.ravel(),
    "o",
    color="#005DBC",
    alpha=0.5,
    markersize=4,
    label="a split",
)
ax.errorbar(
    n_linear,
    linear.mean(),
    yerr=[[linear.mean() - linear.min()], [linear.max() - linear.mean()]],
    fmt="s",
    color="#CF6E00",
    capsize=3,
    label="logistic regression, mean and range",
)
ax.axhline(1 / 7, color="0.6", linewidth=1, linestyle="--", label="guessing")
ax.set_xscale("log")
ax.set_xticks(
    budgets, [f"{budget:,}\n{n}" for budget, n in zip(budgets, units, strict=True)]
)
ax.minorticks_off()
ax.set(
    xlabel="budget of parameters, and the hidden units that it pays for",
    ylabel="accuracy on new pictures",
    ylim=(0, 1),
)
ax.legend(loc="center right")
plt.show()
