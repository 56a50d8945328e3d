"""
How many dimensions? Automatic relevance
========================================

The Bayesian GP-LVM integrates latent positions out, so that a dimension costs what it
tells. Given more dimensions than the data have, it switches the others off.
"""

# %%
# Twenty measurements, each a smooth function of three hidden quantities, with some
# noise. PCA needs more than three components for functions that bend, and it has no
# place to stop; the model has three dimensions, and the others are off.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF

from gplvm import BayesianGPLVM
from gplvm.plotting import LatentSpaceDisplay, RelevanceDisplay

rng = np.random.default_rng(0)
hidden = rng.normal(size=(300, 3))
functions = GaussianProcessRegressor(RBF(1.5))
data = functions.sample_y(hidden, n_samples=20, random_state=0)
data += 0.1 * rng.normal(size=data.shape)
train, test = data[:250], data[250:]

model = BayesianGPLVM(n_components=10, random_state=0).fit(train)
pca = PCA(10).fit(train)

fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
RelevanceDisplay(pca.explained_variance_ratio_).plot(ax=axes[0])
axes[0].set(title="PCA", xlabel="component", ylabel="share of the variance")
RelevanceDisplay.from_estimator(model, ax=axes[1])
axes[1].set_title("BayesianGPLVM")
print(f"relevant dimensions: {model.n_relevant_}")
print(f"noise: {np.sqrt(model.noise_variance_):.3f}, in truth 0.1")

# %%
# The model says in words what is suspicious about its fit, if anything is.

print(model.diagnostics())

# %%
# The two most relevant dimensions, with one standard deviation of each position. The
# colour is the first hidden quantity, cut in three.

third = np.digitize(hidden[:250, 0], [-0.5, 0.5])
LatentSpaceDisplay.from_estimator(
    model, train, third, label_names=["low", "middle", "high"]
)

# %%
# A new row has a posterior too. Here half of each row is hidden from the model, which
# predicts it; the uncertainty of the position is part of that of the prediction.

half = test.copy()
half[:, ::2] = np.nan
mean, std = model.transform(half, return_std=True)
for name, latent_std in [("position known", None), ("with its spread", std)]:
    rows, rows_std = model.inverse_transform(
        mean, return_std=True, latent_std=latent_std
    )
    inside = np.abs(rows - test)[:, ::2] < 2 * rows_std[:, ::2]
    print(f"{name}: {inside.mean():.0%} of hidden entries within 2 std")
