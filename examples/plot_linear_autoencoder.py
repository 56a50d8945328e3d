"""
==============================================
PCA found by descent: a linear autoencoder
==============================================

An autoencoder with one linear hidden layer and tied weights reconstructs each row x
as ``x W' W``. Baldi and Hornik (1989) showed that its loss has no local minima other
than the global ones, which span the leading principal components. So descent from
any random start ends where :class:`sklearn.decomposition.PCA` does.
"""

# %%
# Two random starts and PCA
# -------------------------
#
# The digits are 1797 images of 8 x 8 pixels.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from gplvm import LinearAutoencoder

digits, labels = load_digits(return_X_y=True)

fits = [LinearAutoencoder(2, random_state=seed).fit(digits) for seed in (0, 1)]
pca = PCA(2).fit(digits)
optimum = 0.5 * np.mean(
    np.sum((pca.inverse_transform(pca.transform(digits)) - digits) ** 2, axis=1)
)

for seed, autoencoder in enumerate(fits):
    distance = np.abs(autoencoder.components_ - pca.components_).max()
    print(
        f"start {seed}: {autoencoder.n_iter_} iterations, loss / PCA's - 1 = "
        f"{autoencoder.loss_ / optimum - 1:.0e}, largest difference between the axes "
        f"{distance:.0e}"
    )

# %%
# The way down
# ------------
#
# The distance to PCA's loss, on a logarithmic scale: it ends at the rounding error.

figure, axes = plt.subplots(layout="constrained", figsize=(6, 3.5))
for seed, autoencoder in enumerate(fits):
    excess = np.array(autoencoder.loss_curve_) / optimum - 1
    iterations = 1 + np.arange(len(excess))
    axes.semilogy(
        iterations, np.maximum(excess, 1e-16), marker=".", label=f"random start {seed}"
    )
axes.set(xlabel="iteration", ylabel="loss above PCA's, relative")
axes.legend()
plt.show()

# %%
# The two embeddings
# ------------------
#
# The rows of W are returned as principal axes with PCA's signs, so that the codes
# can be compared column by column.

from gplvm.plotting import LatentSpaceDisplay

figure, panels = plt.subplots(1, 2, layout="constrained", figsize=(9.5, 4.4))
embeddings = {
    "LinearAutoencoder": fits[0].transform(digits),
    "PCA": pca.transform(digits),
}
for panel, (name, embedding) in zip(panels, embeddings.items(), strict=True):
    panel.set_title(name)
    LatentSpaceDisplay.from_embedding(
        embedding,
        labels=labels,
        feature_names=["first axis", "second axis"],
        ax=panel,
        scatter_kwargs={"s": 10},
    )
panels[0].get_legend().remove()
plt.show()
