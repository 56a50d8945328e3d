"""scikit-learn kernels as the specification of covariances and their gradients."""

import gplvm.kernels.leaves  # noqa: F401 (it registers the rules of the leaves)
from gplvm.kernels.covariance import (
    Rule,
    check_kernel,
    diagonal,
    evaluate,
    evaluate_diagonal,
    is_isotropic,
    matrix,
    register_rule,
    vjp,
)

__all__ = [
    "Rule",
    "check_kernel",
    "diagonal",
    "evaluate",
    "evaluate_diagonal",
    "is_isotropic",
    "matrix",
    "register_rule",
    "vjp",
]
