"""
The losses as computational graphs
==================================

Each loss of the library as a graph that runs: values forwards, gradients backwards,
node by node. The drawing comes from the object that computes, so it cannot be wrong
about it.
"""

# %%
# The linear autoencoder, ``L = ||X W' W - X||^2 / 2``. Blue is computed from left to
# right. Orange comes back from right to left: a bar means the gradient of the loss with
# respect to a node, and each use of a node adds a term to it.

import numpy as np

from gplvm.graphs import autoencoder_graph
from gplvm.plotting import ComputationalGraphDisplay

graph = autoencoder_graph()
ComputationalGraphDisplay.from_graph(graph)

# %%
# W is used twice, by the encoder and by the decoder: two paths lead from it to L, and
# the gradient is the sum of what comes back along them.

from gplvm.gradients import autoencoder_loss

rng = np.random.default_rng(0)
X, W = rng.normal(size=(20, 4)), rng.normal(size=(2, 4))
loss = graph.forward(X=X, W=W)
gradient = graph.backward()["W"]
for path in graph.gradient_paths("W"):
    print(" -> ".join(path.nodes), np.linalg.norm(path.gradient).round(1))

value, expected = autoencoder_loss(W, X, eval_gradient=True)
print("equals gplvm.gradients:", np.allclose(gradient, expected))

# %%
# The GP-LVM's log-likelihood with the linear kernel. K leads to L through its
# log-determinant and through its inverse, and X leads to K through both factors of
# X X': four paths.

from gplvm.graphs import gplvm_graph

graph = gplvm_graph()
ComputationalGraphDisplay.from_graph(graph)
X, Y = rng.normal(size=(6, 2)), rng.normal(size=(6, 3))
print(f"L = {graph.forward(X=X, Y=Y, alpha=0.5, beta=4.0):.3f} nats")
print(len(graph.gradient_paths("X")), "paths from X")

# %%
# The two-layer swish network, which ends in the softmax cross-entropy.

from gplvm.graphs import two_layer_graph

ComputationalGraphDisplay.from_graph(two_layer_graph())

# %%
# A graph of one's own, from the same nodes: ridge regression with a weight that is
# learned, checked against finite differences.

from gplvm.gradients import check_gradient
from gplvm.graphs import ComputationalGraph, Input, exp, squared_norm

A = Input("A", ("n", "p"), constant=True)
B = Input("B", ("n", "d"), constant=True)
W, s = Input("W", ("p", "d")), Input("s", ())
E = (A @ W - B).named("E")
fit = (0.5 * squared_norm(E)).named("F")
graph = ComputationalGraph((fit + exp(s) * squared_norm(W) - s).named("L"))
ComputationalGraphDisplay.from_graph(graph)

data = {"A": rng.normal(size=(9, 3)), "B": rng.normal(size=(9, 2))}


def objective(**parameters):
    return graph.forward(**parameters, **data), graph.backward()


start = {"W": rng.normal(size=(3, 2)), "s": 0.3}
print(f"largest relative error {check_gradient(objective, start):.0e}")
