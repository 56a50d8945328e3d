"""How wide a hidden layer a budget of parameters allows, with its arithmetic."""

from gplvm._validation import refuse_memory
from gplvm.gradients.network import n_network_parameters

_DEFAULT_SIZE = 64

# In training there are so many arrays of the parameters' size at least: themselves, the
# best so far, the gradient, and Adam's two moments; and so many of a batch's hidden
# layer.
_ARRAYS, _LAYERS = 5, 3


def hidden_size(size, budget, n_features, n_classes):
    """The number of hidden units, or an error that shows why there is none.

    Parameters
    ----------
    size : int or None
        The number asked for; None: the widest that fits, or 64 without a budget.

    budget : int or None
        The most parameters there may be; None: any number.

    n_features, n_classes : int
        Columns of the data, and classes.

    Returns
    -------
    size : int
        The number of hidden units.

    Raises
    ------
    ValueError
        If no hidden unit, or not as many as asked for, fits the budget.
    """
    if budget is None:
        return _DEFAULT_SIZE if size is None else size

    def needs(h):
        return (
            f"{h} hidden unit{'s' * (h > 1)} on {n_features} features and {n_classes} "
            f"classes {'need' if h > 1 else 'needs'} {h} * ({n_features} + 1) + "
            f"{n_classes} * ({h} + 1) = "
            f"{n_network_parameters(n_features, h, n_classes)} parameters"
        )

    # h (p + 1) + c (h + 1) = h (p + 1 + c) + c: each unit's share, and c intercepts.
    widest = (budget - n_classes) // (n_features + 1 + n_classes)
    if widest < 1:
        raise ValueError(
            f"No network fits max_parameters={budget}: {needs(1)}. Raise "
            "max_parameters or reduce the number of features."
        )
    if size is None:
        return widest
    if size > widest:
        raise ValueError(
            f"hidden_layer_size={size} is over max_parameters={budget}: "
            f"{needs(size)}. The widest that fits is {widest}."
        )
    return size


def refuse_too_large(n_hidden, n_features, n_classes, batch_size, dtype):
    """Raise a MemoryError if the machine cannot hold what training takes.

    Parameters
    ----------
    n_hidden, n_features, n_classes : int
        The network's shape.

    batch_size : int
        Rows in a batch.

    dtype : dtype
        That of the parameters.

    Raises
    ------
    MemoryError
        If it is more than the machine's memory.
    """
    # Python's own integers do not overflow.
    n_hidden = int(n_hidden)
    n_parameters = n_network_parameters(n_features, n_hidden, n_classes)
    n_numbers = _ARRAYS * n_parameters + _LAYERS * int(batch_size) * n_hidden
    refuse_memory(
        dtype.itemsize * n_numbers,
        f"A network of {n_parameters} parameters",
        "Use a smaller hidden_layer_size or max_parameters",
    )
