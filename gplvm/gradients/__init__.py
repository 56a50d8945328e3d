"""The shared gradient module: every loss, its value and its analytic gradient.

Pure functions of arrays in the literature's letters: `Y` data (n, d), `X` latent
positions (n, q), `W` weights. Each returns its value, or ``(value, gradient)`` with
``eval_gradient=True``; the gradient is an array where one argument varies and a dict
keyed by argument name otherwise.
"""

from gplvm.gradients.activations import (
    softmax_cross_entropy,
    swish,
    swish_derivative,
)
from gplvm.gradients.autoencoder import (
    autoencoder_gradient_paths,
    autoencoder_loss,
    gram_autoencoder_loss,
)
from gplvm.gradients.check import check_gradient
from gplvm.gradients.gaussian_process import (
    gp_log_likelihood,
    gplvm_log_determinant_term,
    gplvm_log_likelihood,
    gplvm_trace_term,
)
from gplvm.gradients.inducing import collapsed_bound
from gplvm.gradients.network import (
    hidden_representation,
    two_layer_forward,
    two_layer_loss,
)
from gplvm.gradients.subspace import subspace_autoencoder_loss
from gplvm.gradients.uncollapsed import uncollapsed_bound

__all__ = [
    "autoencoder_gradient_paths",
    "autoencoder_loss",
    "check_gradient",
    "collapsed_bound",
    "gp_log_likelihood",
    "gplvm_log_determinant_term",
    "gplvm_log_likelihood",
    "gplvm_trace_term",
    "gram_autoencoder_loss",
    "hidden_representation",
    "softmax_cross_entropy",
    "subspace_autoencoder_loss",
    "swish",
    "swish_derivative",
    "two_layer_forward",
    "two_layer_loss",
    "uncollapsed_bound",
]
