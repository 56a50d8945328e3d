"""Checks of the input that several estimators share."""

import numpy as np
from scipy.sparse import issparse


def refuse_nan(estimator, X):
    """Raise a ValueError that names who can take missing values, if `X` has any.

    Parameters
    ----------
    estimator : estimator
        Who does not accept them.

    X : ndarray or sparse matrix of shape (n_samples, n_features)
        Data, validated with ``ensure_all_finite="allow-nan"``: that pass refuses
        infinity in scikit-learn's words.

    Raises
    ------
    ValueError
        If an entry is NaN.
    """
    values = X.data if issparse(X) else X
    if np.isnan(values).any():
        raise ValueError(
            f"Input X contains NaN. {type(estimator).__name__} does not accept missing "
            "values; gplvm.GPLVM does."
        )
