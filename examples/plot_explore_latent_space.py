"""
Explore the latent plane with the pointer
=========================================

In a window, the image follows the pointer over the latent plane. A click holds it.
"""

# %%
# Fit a GP-LVM to digits, and open the window. In a script, ``plt.show()`` keeps it
# open; in a notebook, choose an interactive backend first (``%matplotlib widget``).

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.utils import shuffle

from gplvm import GPLVM
from gplvm.plotting import explore_latent_space

digits = load_digits(n_class=6)
X, y = shuffle(digits.data, digits.target, n_samples=300, random_state=0)
model = GPLVM(kernel="rbf", tol=1e-2).fit(X)

explorer = explore_latent_space(model, X, y)
plt.show()

# %%
# This page has no pointer. What it would show at some other place:

explorer = explore_latent_space(model, X, y)
explorer.show_at(model.embedding_[y == 4].mean(axis=0))
plt.show()
