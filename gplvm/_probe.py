"""Whether a fitted model works: all that it can be asked, on a few rows."""

import copy
import warnings
from numbers import Integral

import numpy as np

# Of more rows the likelihood, which costs their cube, is not evaluated.
_LIKELIHOOD_ROWS = 500


def check_works(model, most_features):
    """Use every method of a fitted model, and a pipeline's steps, on made-up rows.

    Parameters
    ----------
    model : estimator or Pipeline
        A fitted model.

    most_features : int
        More features than this cannot be: no array is as long.

    Raises
    ------
    Exception
        Of any kind, if the model does not work, or gives what is not finite.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = _rows(model, most_features)
        _check_answers(model, rows)
        for _, step in getattr(model, "steps", ())[:-1]:
            rows = step.transform(rows)
        if hasattr(model, "steps"):
            _check_answers(model.steps[-1][1], rows)


def _rows(model, most_features):
    """Two rows as the model may have seen them: the mean, if known, and another."""
    n_features = model.n_features_in_
    if not isinstance(n_features, Integral) or not 0 < n_features <= most_features:
        raise ValueError(f"{str(n_features)[:20]} features")
    scalers, last = [], model
    if hasattr(model, "steps"):
        scalers, last = [step for _, step in model.steps[:-1]], model.steps[-1][1]
    middle = np.zeros(n_features)
    for name in ("mean_", "center_", "data_min_"):
        known = np.asarray(getattr((*scalers, last)[0], name, None))
        if known.shape == (n_features,) and np.all(np.isfinite(known)):
            middle = middle + known
            break
    if hasattr(last, "sample"):
        other = last.sample(1, random_state=0)
        for scaler in scalers[::-1]:
            other = scaler.inverse_transform(other)
    else:
        other = middle * (1 + 0.1 * np.random.default_rng(0).normal(size=n_features))
    return np.vstack([middle, other])


def _check_answers(model, rows):
    latent = model.transform(rows)
    _check(latent, (len(rows), len(model.get_feature_names_out())))
    if hasattr(model, "inverse_transform"):
        _check(model.inverse_transform(latent), rows.shape)
    if hasattr(model, "predict_proba"):
        _check_classifier(model, rows)
    if hasattr(model, "sample"):
        _check_gaussian_process(model, rows, latent)
    elif hasattr(model, "partial_fit"):
        _check_continues(model, rows)


def _check_classifier(model, rows):
    classes = model.classes_
    if classes.ndim != 1 or len(np.unique(classes)) != len(classes):
        raise ValueError("classes that are not distinct")
    _check(model.predict_proba(rows), (len(rows), len(classes)))
    model.predict(rows)


def _check_gaussian_process(model, rows, latent):
    _check(model.score_samples(rows), (len(rows),))
    for mean, std in (
        (model.transform(rows, return_std=True)),
        (model.inverse_transform(latent, return_std=True)),
    ):
        _check(std, mean.shape)
    _check(model.sample(1, random_state=0), (1, rows.shape[1]))
    if len(model.embedding_) != len(model._embedding):
        raise ValueError("as many positions as rows are needed")
    _check(model.embedding_, model._embedding.shape)
    _check(model.theta_, (np.size(model.theta_),))
    if len(model.embedding_) <= _LIKELIHOOD_ROWS:
        method = "elbo" if hasattr(model, "elbo") else "log_likelihood"
        _check(getattr(model, method)(), ())


def _check_continues(model, rows):
    """A copy learns from one more batch, where the settings allow it."""
    settings = model.get_params()
    if settings.get("early_stopping") or settings.get("class_weight") == "balanced":
        return
    if len(getattr(model, "components_", rows)) != settings.get("n_components", 2):
        return
    model = copy.deepcopy(model)
    classes = getattr(model, "classes_", None)
    model.partial_fit(rows, *([] if classes is None else [classes[[0, -1]]]))
    _check(model.transform(rows), None)


def _check(answer, shape):
    answer = np.asarray(answer)
    if shape is not None and answer.shape != shape:
        raise ValueError(f"an answer of shape {answer.shape} instead of {shape}")
    if answer.dtype.kind != "f" or not np.all(np.isfinite(answer)):
        raise ValueError("it does not give finite numbers")
