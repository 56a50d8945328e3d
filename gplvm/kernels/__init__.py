"""scikit-learn kernels as the specification of covariances and their gradients."""

import gplvm.kernels.leaves  # noqa: F401 (it registers the rules of the leaves)
from gplvm.kernels._linear_kernel import Linear
from gplvm.kernels.covariance import (
    Rule,
    check_kernel,
    diagonal,
    evaluate,
    evaluate_diagonal,
    is_isotropic,
    matrix,
    register_rule,
    theta_bounds,  # noqa: F401 (for the models, not for users)
    vjp,
)
from gplvm.kernels.expectations import (
    Expectations,  # noqa: F401 (for the models, not for users)
    check_expectations,
    evaluate_expectations,
)

__all__ = [
    "Linear",
    "Rule",
    "check_expectations",
    "check_kernel",
    "diagonal",
    "evaluate",
    "evaluate_diagonal",
    "evaluate_expectations",
    "is_isotropic",
    "matrix",
    "register_rule",
    "vjp",
]
