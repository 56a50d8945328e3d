"""The only home of private scikit-learn imports.

When a scikit-learn release moves one of these, this is the file to mend.
"""

from sklearn.base import _fit_context
from sklearn.utils._param_validation import Hidden, Interval, StrOptions

__all__ = ["Hidden", "Interval", "StrOptions", "_fit_context"]
