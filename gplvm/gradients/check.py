"""A finite-difference check of any value-and-gradient function."""

import numpy as np

from gplvm._validation import real_array


def check_gradient(function, x0, *, step=1e-3):
    """Compare an analytic gradient with finite differences.

    Every coordinate is stepped, so the check costs four evaluations a coordinate: it
    is made for small arrays.

    Parameters
    ----------
    function : callable
        ``function(x) -> (value, gradient)``, with `gradient` of the shape of `x`.
        If `x0` is a dict of arrays, ``function(**x0) -> (value, gradients)`` with a
        dict of gradients; those of the names in `x0` are compared.

    x0 : array-like or dict of str to array-like
        Where to compare.

    step : float, default=1e-3
        Step relative to ``max(1, |x|)``. The difference quotient is Richardson's
        extrapolation of two central ones, with an error of ``O(step**4)``.

    Returns
    -------
    error : float
        Largest absolute difference between the two gradients, divided by the largest
        component of either (by ``1e-6 |value|`` where both are smaller than that: a
        difference quotient cannot tell such a gradient from zero). For a right
        gradient of a smooth function it is about 1e-9.

    Raises
    ------
    ValueError
        If the gradient's shape is not that of `x0`, or a name of `x0` is missing in it.

    See Also
    --------
    scipy.optimize.check_grad : One-sided differences, for functions of a vector.

    Examples
    --------
    >>> import numpy as np
    >>> from gplvm.gradients import autoencoder_loss, check_gradient
    >>> rng = np.random.default_rng(0)
    >>> X, W = rng.normal(size=(20, 5)), rng.normal(size=(2, 5))
    >>> def loss(W):
    ...     return autoencoder_loss(W, X, eval_gradient=True)
    >>> bool(check_gradient(loss, W) < 1e-8)
    True
    """
    if isinstance(x0, dict):
        point = {
            name: np.array(real_array(value, name), dtype=float)
            for name, value in x0.items()
        }
        evaluate = function
    else:
        point = {"x0": np.array(real_array(x0, "x0"), dtype=float)}

        def evaluate(x0):
            value, gradient = function(x0)
            return value, {"x0": gradient}

    step = real_array(step, "step", 0)
    if not step > 0:
        raise ValueError(f"step must be positive, got {step!r}")
    for name, array in point.items():
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{name} holds NaN or infinity")
    value, gradients = evaluate(**{name: array.copy() for name, array in point.items()})
    error = largest = 0.0
    for name, array in point.items():
        if name not in gradients:
            raise ValueError(
                f"the gradient has no entry {name!r}; it has {sorted(gradients)}"
            )
        analytic = np.asarray(gradients[name], dtype=float)
        if analytic.shape != array.shape:
            raise ValueError(
                f"the gradient of {name} has shape {analytic.shape}, expected "
                f"{array.shape}"
            )
        numeric = _differences(evaluate, point, name, step)
        if array.size:
            error = max(error, np.abs(analytic - numeric).max())
            largest = max(largest, np.abs(analytic).max(), np.abs(numeric).max())
    return float(error / max(largest, 1e-6 * abs(value), np.finfo(float).tiny))


def _differences(evaluate, point, name, step):
    """Richardson-extrapolated central differences of the value in ``point[name]``."""
    array = point[name]
    numeric = np.empty_like(array)
    for index in np.ndindex(array.shape):
        centre = array[index]
        h = step * max(1.0, abs(centre))

        def central(h, index=index, centre=centre):
            values = []
            for shifted in (centre + h, centre - h):
                moved = array.copy()
                moved[index] = shifted
                values.append(evaluate(**{**point, name: moved})[0])
            return (values[0] - values[1]) / (2.0 * h)

        # central(h) = f' + c h^2 + O(h^4): two of them cancel c.
        numeric[index] = (4.0 * central(h / 2) - central(h)) / 3.0
    return numeric
