"""
Handwritten digits in the plane, by four methods
================================================

PCA, Isomap and t-SNE beside a GP-LVM, on the digits 0 to 4. None of them is told
which digit an image shows.
"""

# %%
# How good is a plane? The *1-NN error* is the share of images whose nearest neighbour
# in the plane is another digit; *trustworthiness*, at most 1, is lower the more
# neighbours in the plane are none in the data.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE, Isomap, trustworthiness
from sklearn.neighbors import NearestNeighbors

from gplvm import GPLVM
from gplvm.plotting import LatentSpaceDisplay

X, y = load_digits(n_class=5, return_X_y=True)
X, y = X[:500], y[:500]


def quality(embedding):
    """Leave-one-out error of the nearest neighbour, and trustworthiness."""
    # Without an argument, kneighbors leaves out each point itself.
    neighbour = NearestNeighbors(n_neighbors=1).fit(embedding).kneighbors()[1][:, 0]
    return (y[neighbour] != y).mean(), trustworthiness(X, embedding)


methods = {
    "PCA": PCA(2),
    "Isomap": Isomap(n_neighbors=10),
    "t-SNE": TSNE(random_state=0),
    "GPLVM, rbf": GPLVM(kernel="rbf", tol=1e-2),
}
embeddings = {name: method.fit_transform(X) for name, method in methods.items()}

# %%
# t-SNE and the GP-LVM keep the digits apart. Of the two, only the GP-LVM can place an
# image that it has not seen, draw one back from its place, and say how sure it is.

figure, axes = plt.subplots(2, 2, figsize=(8, 7.4), layout="constrained")
for ax, (name, embedding) in zip(axes.flat, embeddings.items(), strict=True):
    display = LatentSpaceDisplay.from_embedding(embedding, labels=y, ax=ax)
    ax.legend_.remove()  # one for all, below
    middle = (embedding.max(axis=0) + embedding.min(axis=0)) / 2
    half = 0.55 * (embedding.max(axis=0) - embedding.min(axis=0)).max()
    ax.set(xlim=middle[0] + [-half, half], ylim=middle[1] + [-half, half])
    ax.set(xlabel="", ylabel="")
    error, trust = quality(embedding)
    ax.set_title(
        f"{name}: 1-NN error {error:.1%}, trustworthiness {trust:.2f}", fontsize=9
    )
    print(f"{name:11s} 1-NN error {error:.3f}, trustworthiness {trust:.3f}")
figure.legend(
    handles=display.legend_.legend_handles,
    labels=[text.get_text() for text in display.legend_.get_texts()],
    loc="outside right upper",
    title="digit",
    frameon=False,
)
plt.show()
