"""
The linear GP-LVM is PCA
========================

With a linear kernel the optimum of the likelihood is known in closed form: it is the
plane of PCA. From random positions, descent with the analytic gradient finds it.
"""

# %%
# Three random starts
# -------------------
# The closed form (Lawrence 2005) is built from the eigenvalues of Y Y' / D: the noise
# is the mean of those that two dimensions leave over.

import matplotlib.pyplot as plt
import numpy as np
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from gplvm import GPLVM
from gplvm.gradients import gplvm_log_likelihood
from gplvm.plotting import LatentSpaceDisplay

X, y = load_digits(n_class=6, return_X_y=True)
Y = X - X.mean(axis=0)
N, D = Y.shape
U, singular, _ = np.linalg.svd(Y, full_matrices=False)
eigenvalues = singular**2 / D
noise = eigenvalues[2:].sum() / (N - 2)
best_positions = U[:, :2] * np.sqrt(eigenvalues[:2] - noise)
best = gplvm_log_likelihood(best_positions, Y, alpha=1.0, beta=1 / noise)

models = [
    GPLVM(kernel="linear", init="random", random_state=seed).fit(X) for seed in range(3)
]
pca = PCA(2).fit(X)
print("start  iterations  below the closed form  angle to PCA's  noise, relative")
print("                           (nats a row)   plane (degrees)      difference")
for seed, model in enumerate(models):
    corners = model.inverse_transform([[0, 0], [1, 0], [0, 1]])
    angle = subspace_angles((corners[1:] - corners[0]).T, pca.components_.T).max()
    below = (best - model.log_likelihood_) / N
    excess = model.noise_variance_ / noise - 1
    line = f"{seed:5d} {model.n_iter_:11d} {below:22.0e}"
    print(line, f"{np.degrees(angle):15.0e} {excess:16.0e}")

# %%
# The way up, as the distance that is left to the closed form.

figure, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
for seed, (model, marker) in enumerate(zip(models, "os^", strict=True)):
    left = np.array(model.loss_curve_) + best / N
    ax.semilogy(
        1 + np.arange(len(left)),
        np.maximum(left, 1e-13),
        marker=marker,
        markersize=4,
        label=f"random start {seed}",
    )
ax.set(xlabel="iteration", ylabel="below the closed form,\nnats a row")
ax.legend()
plt.show()

# %%
# One plane
# ---------
# The positions are PCA's scores, of which each axis is shrunk a little and measured in
# another unit: by (1 - noise / eigenvalue)^(1/2) and D^(1/2).

model = max(models, key=lambda model: model.log_likelihood_)
scores = pca.transform(X)
shrunk = scores * np.sqrt((1 - noise / eigenvalues[:2]) / D)
difference = np.abs(model.embedding_ - shrunk).max() / np.abs(shrunk).max()
print(f"largest difference of two positions, relative: {difference:.0e}")

figure, axes = plt.subplots(1, 2, figsize=(9.5, 4.4), layout="constrained")
planes = {"PCA": scores, "GPLVM, linear kernel": model.embedding_}
for ax, (name, embedding) in zip(axes, planes.items(), strict=True):
    ax.set_title(name)
    names = ["first axis", "second axis"]
    LatentSpaceDisplay.from_embedding(
        embedding, labels=y, feature_names=names, ax=ax, scatter_kwargs={"s": 14}
    )
axes[0].get_legend().remove()
plt.show()

# sphinx_gallery_thumbnail_number = 2
