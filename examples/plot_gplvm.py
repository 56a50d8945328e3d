"""
Creatures in the latent plane of a GP-LVM
=========================================

A Gaussian-process latent variable model lays images out in a plane without being
told their species, and can draw the image that belongs to any point of it.
"""

# %%
# Three hundred images of seven species, in all poses. PCA's plane mixes them; the
# RBF GP-LVM starts from that plane and unfolds it.

from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from gplvm import GPLVM
from gplvm.datasets import make_creatures
from gplvm.plotting import LatentSpaceDisplay, ReconstructionDisplay

creatures = make_creatures(450, image_size=32, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(
    creatures.data, creatures.target, test_size=150, random_state=0
)

pca = PCA(2).fit(X_train)
model = GPLVM(kernel="rbf", tol=1e-2).fit(X_train)
print(f"log-likelihood {model.log_likelihood_:.0f} nats in {model.n_iter_} iterations")

for name, estimator in [("PCA", pca), ("GPLVM", model)]:
    neighbour = KNeighborsClassifier(1).fit(estimator.transform(X_train), y_train)
    accuracy = neighbour.score(estimator.transform(X_test), y_test)
    print(f"{name}: nearest neighbour in the plane names {accuracy:.0%} of new images")

# %%
# The plane, with the model's uncertainty behind the points: bright where it has
# seen images, dark where it would have to guess.

LatentSpaceDisplay.from_estimator(
    model, X_train, y_train, label_names=creatures.target_names
)

# %%
# New images, projected into the plane and drawn again from their two coordinates.

ReconstructionDisplay.from_estimators({"PCA": pca, "GPLVM": model}, X_test)
