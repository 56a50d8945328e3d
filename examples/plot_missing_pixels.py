"""
Missing pixels, filled in by a GP-LVM
=====================================

NaN is a missing value: a GP-LVM is fitted to the pixels that were seen, imputes
nothing on the way, and afterwards predicts the others.
"""

# %%
# Three hundred digits, of which 30 percent of the pixels are removed at random: no
# image is complete, and no pixel is seen in all of them.

import numpy as np
from sklearn.datasets import load_digits
from sklearn.utils import shuffle

X, y = load_digits(n_class=5, return_X_y=True)
X, y = shuffle(X, y, n_samples=300, random_state=0)
missing = np.random.default_rng(0).random(X.shape) < 0.3
damaged = np.where(missing, np.nan, X)

# %%
# The peers: PCA needs complete rows, so that the mean of a pixel stands in where it is
# missing; ten components are about the best here. ``IterativeImputer`` regresses each
# pixel on the others. For the GP-LVM each of the 64 pixels is missing in rows of its
# own and has its own share of the likelihood: 40 inducing points keep that short.

from sklearn.decomposition import PCA
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.pipeline import make_pipeline

from gplvm import GPLVM

model = GPLVM(n_components=4, n_inducing=40, tol=0.1, random_state=0).fit(damaged)
pca = make_pipeline(SimpleImputer(), PCA(10)).fit(damaged)
imputer = IterativeImputer(max_iter=40, tol=1e-2, random_state=0)
filled = {
    "PCA, mean imputed": pca[-1].inverse_transform(pca.transform(damaged)),
    "IterativeImputer": imputer.fit_transform(damaged),
    "GPLVM": model.inverse_transform(model.embedding_),
}
errors = {
    name: np.sqrt(np.mean((images - X)[missing] ** 2))
    for name, images in filled.items()
}
for name, error in errors.items():
    print(f"{name:18s} RMSE of the missing pixels, of 0 to 16: {error:.2f}")

# %%
# What was seen stays, what was missing is filled in. (With other digits and other
# holes the order is the same: three seeds were tried.)

import matplotlib.pyplot as plt

rows = {"original": X, "damaged": damaged}
for name, images in filled.items():
    rows[f"{name}\nRMSE {errors[name]:.2f}"] = np.where(missing, images, X)
shown = [np.flatnonzero(y == digit)[k] for digit in range(5) for k in (0, 1)]

cmap = plt.colormaps["gray"].with_extremes(bad="#F3D9C6")  # no grey: a missing pixel
figure, axes = plt.subplots(
    len(rows), len(shown), figsize=(8.6, 4.0), layout="constrained"
)
figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0, hspace=0)
for line, (name, images) in zip(axes, rows.items(), strict=True):
    line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
    for ax, image in zip(line, images[shown], strict=True):
        ax.imshow(image.reshape(8, 8), cmap=cmap, vmin=0, vmax=16)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_color("#BBBBBB")
plt.show()
