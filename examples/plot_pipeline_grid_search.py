"""
A GP-LVM in a pipeline, chosen by grid search
=============================================

Every estimator here obeys scikit-learn's contract, so pipelines, cross-validation
and grid search work as usual: unseen rows are projected, one by one or in a batch.
"""

# %%
# How many latent dimensions, and which kernel, serve a nearest-neighbour
# classification of digits best? (Digits share one unit: no scaling is needed.) Each
# extra dimension is worth much to the linear kernel, and little to the RBF kernel,
# which has bent its plane to the data already.

import pandas as pd
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from gplvm import GPLVM

X, y = load_digits(n_class=5, return_X_y=True)
X, y = X[:240], y[:240]

pipeline = Pipeline([("embed", GPLVM(tol=0.1)), ("classify", KNeighborsClassifier(3))])
search = GridSearchCV(
    pipeline,
    {"embed__n_components": [1, 2, 3], "embed__kernel": ["linear", "rbf"]},
    cv=3,
).fit(X, y)

table = pd.DataFrame(search.cv_results_)[
    ["param_embed__kernel", "param_embed__n_components", "mean_test_score"]
]
table.columns = ["kernel", "n_components", "accuracy"]
print(table.pivot(index="n_components", columns="kernel", values="accuracy").round(3))
print("best:", search.best_params_)

# %%
# The best pipeline is refitted and ready for new rows.

import matplotlib.pyplot as plt

from gplvm.plotting import LatentSpaceDisplay

embed = search.best_estimator_["embed"]
if embed.n_components >= 2:
    LatentSpaceDisplay.from_estimator(embed, X, y, image_shape=(8, 8))
plt.show()
