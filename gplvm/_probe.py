"""Whether a fitted model works: all that it can be asked, on a few rows."""

import copy
import warnings
from numbers import Integral

import numpy as np

# Positions, of training rows and drawn, at which it is asked for rows.
_DRAWS = 20

# An answer as near to the largest number overflows somewhere else.
_ROOM = 1e-4

# A stream refuses rows farther away than 1e10 deviations of the noise. A sample is, of
# a kernel whose amplitude is far above the data's.
_FARTHEST = 1e9

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
        *scalers, last = steps = _steps(model)
        rows = _rows(steps, most_features)
        _check_answers(model, rows)
        for step in scalers:
            rows = step.transform(rows)
        if last is not model:
            _check_answers(last, rows)


def _steps(model):
    """The steps of a pipeline that do something, or the model alone."""
    steps = [step for _, step in getattr(model, "steps", ())]
    return [step for step in steps if hasattr(step, "transform")] or [model]


def _rows(steps, most_features):
    """Two rows as the model may have seen them: the mean, if known, and another."""
    n_features = steps[0].n_features_in_
    if not isinstance(n_features, Integral) or not 0 < n_features <= most_features:
        raise ValueError(f"{str(n_features)[:20]} features")
    *scalers, last = steps
    middle = np.zeros(n_features)
    for name in ("mean_", "center_", "data_min_"):
        known = np.asarray(getattr(steps[0], name, None))
        if known.shape == (n_features,) and np.all(np.isfinite(known)):
            middle = middle + known
            break
    if hasattr(last, "sample"):
        other = last.sample(1, random_state=0) - last._mean
        far = np.abs(other).max() / (_FARTHEST * np.sqrt(last.noise_variance_))
        other = last._mean + other / max(far, 1.0)
        for scaler in scalers[::-1]:
            other = scaler.inverse_transform(other)
    else:
        # A model that centres nothing has zero for its mean: no row to learn from.
        size = np.where(middle == 0.0, 1.0, 0.1 * np.abs(middle))
        other = middle + size * np.random.default_rng(0).normal(size=n_features)
    return np.vstack([middle, other])


def _check_answers(model, rows):
    _check_attributes(model)
    latent = model.transform(rows)
    _check(latent, (len(rows), len(model.get_feature_names_out())))
    if hasattr(model, "inverse_transform"):
        _check(model.inverse_transform(latent), rows.shape)
    if hasattr(model, "predict_proba"):
        _check_classifier(model, rows)
    if hasattr(model, "sample"):
        _check_gaussian_process(model, rows, latent)
    if hasattr(model, "partial_fit"):
        _check_continues(model, rows)


def _check_attributes(model):
    """Numbers that no method uses are read by people."""
    for name, value in vars(model).items():
        if name.endswith("_"):
            for part in value if isinstance(value, list) else [value]:
                part = np.asarray(part)
                if part.dtype.kind == "f" and not np.all(np.isfinite(part)):
                    raise ValueError(f"{name} is not finite")


def _check_classifier(model, rows):
    classes = model.classes_
    if classes.ndim != 1 or len(np.unique(classes)) != len(classes):
        raise ValueError("classes that are not distinct")
    _check(model.predict_proba(rows), (len(rows), len(classes)))
    model.predict(rows)


def _check_gaussian_process(model, rows, latent):
    _check(model.score_samples(rows), (len(rows),))
    positions = np.vstack([latent, model._embedding[:_DRAWS]])
    answers = [
        model.transform(rows, return_std=True),
        model.inverse_transform(positions, return_std=True),
    ]
    if hasattr(model, "elbo"):
        answers.append(
            model.inverse_transform(positions, True, latent_std=np.ones_like(positions))
        )
    if model._back_constraint is None and rows.shape[1] > 1:
        holes = rows.copy()
        holes[:, 0] = np.nan
        answers.append(model.transform(holes, return_std=True))
    for mean, std in answers:
        _check(mean, None)
        _check(std, mean.shape)
    _check(model.sample(_DRAWS, random_state=0), (_DRAWS, rows.shape[1]))
    if len(model.embedding_) != len(model._embedding):
        raise ValueError("as many positions as rows are needed")
    _check(model.embedding_, model._embedding.shape)
    _check(model.theta_, (np.size(model.theta_),))
    if len(model.embedding_) <= _LIKELIHOOD_ROWS:
        method = "elbo" if hasattr(model, "elbo") else "log_likelihood"
        value, gradient = getattr(model, method)(eval_gradient=True)
        for answer in (value, *gradient.values()):
            _check(answer, np.shape(answer))


def _check_continues(model, rows):
    """A copy learns from one more batch, where settings and training rows allow it."""
    settings = model.get_params()
    if settings.get("early_stopping") or settings.get("class_weight") == "balanced":
        return
    if settings.get("n_components") not in (None, model._n_features_out):
        return
    if settings.get("activation") != getattr(model, "_activation", None):
        return
    if len(getattr(model, "_embedding", rows)) > _LIKELIHOOD_ROWS:
        return
    if np.isnan(getattr(model, "_training_rows", rows)).any():
        return
    model = copy.deepcopy(model)
    classes = getattr(model, "classes_", None)
    model.partial_fit(rows, *([] if classes is None else [classes[[0, -1]]]))
    _check(model.transform(rows), None)


def _check(answer, shape):
    answer = np.asarray(answer)
    if shape is not None and answer.shape != shape:
        raise ValueError(f"an answer of shape {answer.shape} instead of {shape}")
    if answer.dtype.kind != "f":
        raise ValueError("it does not give numbers")
    if not np.all(np.abs(answer) <= _ROOM * np.finfo(answer.dtype).max):  # nor NaN
        raise ValueError("it does not give finite numbers")
