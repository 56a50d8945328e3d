"""
How sure is the place of a new image?
=====================================

A GP-LVM puts an image that it has not seen at the place of the plane where it is most
likely, and says how well that place is known: the fewer pixels are seen, the less.
"""

# %%
# Three hundred digits, 0 to 5, make the plane. Two hundred others are new.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Ellipse
from sklearn.datasets import load_digits
from sklearn.utils import shuffle

from gplvm import GPLVM

X, y = shuffle(*load_digits(n_class=6, return_X_y=True), random_state=0)
model = GPLVM(kernel="rbf", tol=1e-2).fit(X[:300])
new = X[300:500]

# %%
# Fewer pixels, larger standard deviations
# ----------------------------------------
# Pixels are hidden at random: they become NaN, which is a missing value. `transform`
# gives the place and, from the curvature of the density there, its standard deviation.
# Is it right? The place found from all the pixels stands in for the true one: in a
# plane, it should lie within two standard deviations 86 times of 100.

rng = np.random.default_rng(0)
order = rng.permuted(np.tile(np.arange(64) / 64, (200, 1)), axis=1)  # of the hiding
whole = model.transform(new)
for share in (0.0, 0.25, 0.5, 0.75, 0.9):
    seen = np.where(order < share, np.nan, new)
    place, std = model.transform(seen, return_std=True)
    within = np.sum(((place - whole) / std) ** 2, axis=1) < 4
    line = f"{share:4.0%} hidden: median std {np.median(std):.3f}"
    print(line + (f", {within.mean():.0%} within two of them" if share else ""))

# %%
# It is right only as long as most pixels are seen. The next picture shows why.
#
# What the standard deviation does not say
# ----------------------------------------
# One digit, of which ever more is hidden. Below, what is seen of it (orange: not seen)
# and what the model draws at the place found. Above, the density of the place among the
# training positions (each shade of blue is e times as likely as the next lighter one)
# and the ellipse of two standard deviations. As long as most pixels are seen there is
# one peak, and the ellipse describes it. With few there are several, and the ellipse
# knows only the one that it stands on.

from matplotlib.colors import BoundaryNorm
from sklearn.neighbors import KernelDensity

row, shares = 24, (0.0, 0.5, 0.75, 0.9)
reach = 1.05 * np.abs(model.embedding_).max()
ticks = np.linspace(-reach, reach, 160)
grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
mean, std = model.inverse_transform(grid, return_std=True)
# p(x), from which `sample` draws: the training positions, a little smoothed.
bandwidth = 0.1 * model.embedding_.std(axis=0).max()
log_p_x = KernelDensity(bandwidth=bandwidth).fit(model.embedding_).score_samples(grid)

figure, axes = plt.subplot_mosaic(
    [[f"plane {k}" for k in range(4) for _ in "ab"],
     [f"{what} {k}" for k in range(4) for what in ("seen", "drawn")]],
    figsize=(10, 4.2), height_ratios=(2.1, 1), layout="constrained",
)  # fmt: skip
pixels = {
    "cmap": plt.colormaps["gray"].with_extremes(bad="#F3D9C6"),
    "vmin": 0,
    "vmax": 16,
}
levels = np.arange(-8, 1)
for k, share in enumerate(shares):
    seen = np.where(order[row] < share, np.nan, new[row])
    place, place_std = (a[0] for a in model.transform(seen[None], return_std=True))
    log_p = -0.5 * ((seen - mean) / std) ** 2 - np.log(std)
    log_p = np.nansum(log_p, axis=1) + log_p_x
    plane = axes[f"plane {k}"]
    plane.imshow(
        (log_p - log_p.max()).reshape(160, 160),
        origin="lower",
        extent=(-reach, reach, -reach, reach),
        norm=BoundaryNorm(levels, 256, extend="min"),
        cmap=plt.colormaps["Blues"].with_extremes(under="white"),
    )
    plane.scatter(*model.embedding_.T, s=3, color="0.6", linewidths=0)
    ellipse = Ellipse(
        place, *(4 * place_std), fill=False, color="#CF6E00", linewidth=1.5
    )
    plane.add_patch(ellipse)
    plane.set_title(f"{share:.0%} hidden", fontsize=10)
    axes[f"seen {k}"].imshow(seen.reshape(8, 8), **pixels)
    drawn = model.inverse_transform(place[None])
    axes[f"drawn {k}"].imshow(drawn.reshape(8, 8), **pixels)
    axes[f"seen {k}"].set_xlabel("seen")
    axes[f"drawn {k}"].set_xlabel("drawn back")
for ax in axes.values():
    ax.set(xticks=[], yticks=[])
plt.show()
