"""Whether a fitted model works: all that it can be asked, on a few rows."""

import copy
import warnings
from itertools import chain, takewhile
from numbers import Integral, Real

import numpy as np
from scipy import sparse
from sklearn.base import clone
from sklearn.gaussian_process.kernels import Kernel

# Positions, of training rows and drawn, at which it is asked for rows.
_DRAWS = 20

# An answer as near to the largest number overflows somewhere else.
_ROOM = 1e-4

# Numbers that may be as large as they like: labels, and counts of what was done. Others
# say how large something is.
_UNBOUNDED = {
    *("classes_", "n_iter_", "t_", "n_samples_seen_", "n_parameters_"),
    *("n", "_step", "_n_seen", "_n_batches"),
}

# Under a standard normal prior no position is as far away, or as uncertain.
_FARTHEST = 1e6

# What is wrong in numbers that may be NaN or infinite: training rows may lack entries,
# and an optimizer's sums of squares overflow where data are huge.
_WRONG = {"Y": np.isinf, "_training_rows": np.isinf, "_sums": np.isnan}

_SCALARS = ("noise_variance_", "log_likelihood_", "elbo_", "n_iter_")
_CURVES = ("loss_curve_", "validation_scores_")

# Of more rows the likelihood, which costs their cube, is not evaluated.
_LIKELIHOOD_ROWS = 500


def check_works(model, most):
    """Use every method of a fitted model, and a pipeline's steps, on made-up rows.

    Parameters
    ----------
    model : estimator or Pipeline
        A fitted model.

    most : int
        Entries of its largest array: nothing has more rows or columns.

    Raises
    ------
    Exception
        Of any kind, if the model does not work, or gives what is not finite.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = _steps(model)
        for step in steps:
            _check_size(step.n_features_in_, most)
            if hasattr(step, "scale_"):
                _check_scale(step)
            elif hasattr(step, "_n_features_out"):
                _check_attributes(step, most)
        rows = _rows(steps)
        _check_answers(model, rows)
        for step in steps[:-1]:
            rows = step.transform(rows)
            _check(rows, None)
        if steps[-1] is not model:
            _check_answers(steps[-1], rows)


def _steps(model):
    """The steps of a pipeline, and of those in it, that do something, or the model."""
    steps = [step for _, step in getattr(model, "steps", ())]
    found = [_steps(step) for step in steps if hasattr(step, "transform")]
    return list(chain.from_iterable(found)) or [model]


def _rows(steps):
    """Two rows as the model may have seen them: the mean, if known, and another.

    They are made for the last step that rows can be taken back from, and taken back.
    """
    before = list(takewhile(_can_take_back, steps[:-1]))
    rows = _rows_of(steps[len(before)])
    for step in before[::-1]:
        rows = step.inverse_transform(rows)
    return rows


def _can_take_back(step):
    return hasattr(step, "inverse_transform")


def _rows_of(model):
    unknown = np.zeros(model.n_features_in_)
    middle, unit = getattr(model, "_standard", (getattr(model, "mean_", None), None))
    middle = np.asarray(unknown if middle is None else middle)
    if middle.shape != unknown.shape or not np.all(np.isfinite(middle)):
        raise ValueError("means that are none")
    if hasattr(model, "noise_variance_"):
        unit = np.sqrt(model.noise_variance_)
    elif unit is None:
        # A model that centres nothing has zero for its mean: no row to learn from.
        unit = np.where(middle == 0.0, 1.0, 0.1 * np.abs(middle))
    other = middle + unit * np.random.default_rng(0).normal(size=middle.shape)
    return np.vstack([middle, other])


def _check_scale(scaler):
    """Refuse what nothing can be divided by, and a unit lost beside the middle.

    Constant columns are the exception: their unit is one, wherever they lie.
    """
    scale = scaler.scale_
    if scale is None:
        return
    if scale.dtype.kind != "f" or not np.all(scale > 0.0):
        raise ValueError("a scale that is not positive")
    zero = np.zeros((1, scaler.n_features_in_))
    constant = clone(scaler).fit(zero).scale_
    middle, apart = scaler.inverse_transform(np.vstack([zero, zero + 100.0]))
    if np.any((middle == apart) & (scale != constant)):
        raise ValueError("a scale that is lost beside the middle")


def _check_answers(model, rows):
    n_features_out = len(model.get_feature_names_out())
    _check(model.transform(rows[:1]), (1, n_features_out))
    latent = model.transform(rows)
    _check(latent, (len(rows), n_features_out))
    if hasattr(model, "inverse_transform"):
        _check(model.inverse_transform(latent), rows.shape)
    if hasattr(model, "predict_proba"):
        _check_classifier(model, rows)
    if hasattr(model, "sample"):
        _check_gaussian_process(model, rows, latent)
    if hasattr(model, "partial_fit"):
        _check_continues(model, rows)


def _check_attributes(model, most):
    """Numbers that these rows do not need: for other rows, and for people to read."""
    left_out = model.get_params(deep=False)
    seen = {}  # id: object, which must stay alive meanwhile
    for name, value in vars(model).items():
        if name not in left_out:
            _check_numbers(name, value, seen, most)
        numbers = [value] if name in _SCALARS else value if name in _CURVES else None
        if not all(isinstance(number, Real) for number in numbers or []):
            raise ValueError(f"{name} is no number")
    lost = getattr(model, "_lost_digits", None)
    if lost is not None:
        whole = not hasattr(model, "coefs_")
        layers = [model.components_] if whole else model.coefs_ + model.intercepts_
        for weights, digits in zip(layers, [lost] if whole else lost, strict=True):
            _check_same((weights + digits).astype(weights.dtype), weights)
    if hasattr(model, "inducing_points_"):  # of whose covariance the file has a factor
        _check_size(len(model._blocks["inducing_points"]) ** 2, most)


def _check_numbers(name, value, seen, most):
    """Refuse what is not finite or not so large, in whatever a model is made of."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, np.ndarray | np.generic | float | int):
        value = np.asarray(value)
        if value.dtype.kind == "f" and np.any(_WRONG.get(name, _is_not_finite)(value)):
            raise ValueError(f"{name} is not finite")
        if value.dtype.kind in "iu" and value.size and name not in _UNBOUNDED:
            _check_size(value.max(), most)
    elif isinstance(value, list | tuple):
        for part in value:
            _check_numbers(name, part, seen, most)
    elif isinstance(value, dict):
        for key, part in value.items():
            _check_numbers(key, part, seen, most)
    elif sparse.issparse(value):
        for part in (value.data, value.shape):
            _check_numbers(name, part, seen, most)
    elif hasattr(value, "__dict__") and not isinstance(value, Kernel):
        for key, part in (value.__getstate__() or {}).items():  # as in a file
            _check_numbers(key, part, seen, most)


def _check_size(number, most):
    if not isinstance(number, Integral) or number > most:
        raise ValueError(f"no array is as large as {str(number)[:20]}")


def _is_not_finite(array):
    return ~np.isfinite(array)


def _check_classifier(model, rows):
    classes = model.classes_
    if classes.ndim != 1 or len(np.unique(classes)) != len(classes):
        raise ValueError("classes that are not distinct")
    _check(model.predict_proba(rows), (len(rows), len(classes)))
    model.predict(rows)


def _check_copies(model):
    """What people read is what the methods use."""
    *theta, noise = model.theta_
    copies = [
        (np.log(model.noise_variance_), noise),
        (model.kernel_.theta, theta),
        (model.mean_, model._mean),
        (model._embedding, model._blocks["embedding"]),
    ]
    copies += [
        (getattr(model, f"{name}_"), block) for name, block in model._blocks.items()
    ]
    for said, used in copies:
        _check_same(said, used)


def _check_same(said, used):
    if np.shape(said) != np.shape(used) or not np.allclose(said, used):
        raise ValueError("it says other numbers than it uses")


def _check_starts(means, stds):
    """Where the inference of new rows begins, each near a training row."""
    if (
        np.abs(means).max() > _FARTHEST
        or not 0.0 < stds.min() <= stds.max() <= _FARTHEST
    ):
        raise ValueError("positions that no fit ends at")


def _check_gaussian_process(model, rows, latent):
    _check_copies(model)
    if hasattr(model, "elbo"):
        _check_starts(*model._start_posterior)
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
