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
    if np.isnan(np.min(values, initial=np.inf)):  # a NaN is the least, without a copy
        raise ValueError(
            f"Input X contains NaN. {type(estimator).__name__} does not accept missing "
            "values; gplvm.GPLVM does."
        )


def given_or_fitted(given, fitted, name):
    """An argument of a public objective: the fitted value where none is given.

    Raises
    ------
    ValueError
        If it has another shape than the fitted one, or is not finite.
    """
    if given is None:
        return fitted
    given = np.asarray(given, dtype=float)
    if given.shape != fitted.shape:
        raise ValueError(f"{name} has shape {given.shape}, expected {fitted.shape}")
    if not np.all(np.isfinite(given)):
        raise ValueError(f"{name} holds NaN or infinity")
    return given
