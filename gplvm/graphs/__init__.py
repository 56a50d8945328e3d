"""The losses as computational graphs: small, executable, drawn.

A graph is made of named nodes, each with its operation and shape. `forward` computes
them from the inputs, `backward` accumulates matrix vector-Jacobian products node by
node, and `gradient_paths` tells what each path contributes. Nothing has more than two
dimensions. The graphs teach; to fit a model, `gplvm.gradients` has the same losses
without the N x N matrices.
"""

from gplvm.graphs._functions import (
    add_to_diagonal,
    exp,
    inverse,
    log,
    log_determinant,
    softmax_cross_entropy,
    squared_norm,
    swish,
    total,
    trace,
)
from gplvm.graphs._graph import ComputationalGraph, GradientPath
from gplvm.graphs._losses import (
    autoencoder_graph,
    gplvm_graph,
    gplvm_log_determinant_graph,
    gplvm_trace_graph,
    two_layer_graph,
)
from gplvm.graphs._node import Dimension, Input, Node, apply
from gplvm.graphs._operation import Operation

__all__ = [
    "ComputationalGraph",
    "Dimension",
    "GradientPath",
    "Input",
    "Node",
    "Operation",
    "add_to_diagonal",
    "apply",
    "autoencoder_graph",
    "exp",
    "gplvm_graph",
    "gplvm_log_determinant_graph",
    "gplvm_trace_graph",
    "inverse",
    "log",
    "log_determinant",
    "softmax_cross_entropy",
    "squared_norm",
    "swish",
    "total",
    "trace",
    "two_layer_graph",
]
