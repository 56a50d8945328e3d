"""Models on the disk, without pickle: JSON that names known classes, and arrays.

A file holds data only. Reading it makes objects of the classes listed here, and of no
other, and fills in their attributes; nothing in a file is ever run.
"""

import inspect
import warnings
from numbers import Number

import numpy as np
import scipy
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.exceptions import InconsistentVersionWarning, NotFittedError
from sklearn.gaussian_process import kernels as sk
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.validation import check_is_fitted

from gplvm import (
    _autoencoder,
    _back_constraints,
    _bayesian,
    _bayesian_gplvm,
    _bayesian_posterior,
    _centred,
    _gplvm,
    _likelihoods,
    _missing,
    _moments,
    _placement,
    _row_stream,
    _sparse,
    _stochastic,
    _stochastic_bayesian,
    _stochastic_fit,
    _swish_classifier,
)
from gplvm._files import FileError, read_container, write_container
from gplvm._probe import check_works
from gplvm.kernels.covariance import RULES

_KIND = "gplvm model"
_MESSAGE = 300  # characters of an error's message that are told
# Parts of a kernel, or steps of a pipeline, each time that one stands somewhere: one
# that stands twice in one that stands twice is four, and so on without an end.
_MOST_PARTS = 128

# Estimators are made by their constructors, from their parameters.
_ESTIMATORS = {
    cls.__name__: cls
    for cls in (
        _autoencoder.LinearAutoencoder,
        _gplvm.GPLVM,
        _bayesian_gplvm.BayesianGPLVM,
        _swish_classifier.SwishMLPClassifier,
    )
}
_COMPANIONS = {
    cls.__name__: cls
    for cls in (Pipeline, StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler)
}
# What fitted models are made of: the classes of these modules.
_PARTS = {
    cls.__name__: cls
    for module in (
        _back_constraints,
        _bayesian,
        _bayesian_posterior,
        _centred,
        _likelihoods,
        _missing,
        _moments,
        _placement,
        _row_stream,
        _sparse,
        _stochastic,
        _stochastic_bayesian,
        _stochastic_fit,
    )
    for cls in vars(module).values()
    if inspect.isclass(cls) and cls.__module__ == module.__name__
}
_SPARSE = {
    cls.__name__: cls
    for cls in (
        sparse.csr_array,
        sparse.csr_matrix,
        sparse.csc_array,
        sparse.csc_matrix,
    )
}
# Settings of a session, not of a model.
_NOT_SAVED = {"_skl_callbacks", "_metadata_request", "_sklearn_output_config"}


def save(model, path):
    """Write a model to a file, whole or not at all.

    The file holds arrays and JSON, no code: it is safe to share, and `load` never runs
    anything that is in it. An existing file is replaced when the new one is complete
    on the disk, and stays as it is if anything goes wrong before.

    Parameters
    ----------
    model : LinearAutoencoder, GPLVM, BayesianGPLVM, SwishMLPClassifier or Pipeline
        The model, fitted or not. A pipeline may have these and scikit-learn's
        StandardScaler, MinMaxScaler, MaxAbsScaler and RobustScaler as steps. Callbacks,
        metadata requests and the container set by `set_output` are not saved.

    path : path-like
        The file; ``.gplvm`` is the usual ending.

    Raises
    ------
    TypeError
        If the model, or something in it, is of a class that cannot be saved.

    ValueError
        If `load` would refuse it: a parameter was set since the fit to what no fit
        takes, or an attribute changed. Every method is tried, as `load` does.

    OSError
        If the file cannot be written.

    See Also
    --------
    load : Read it.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_iris
    >>> import gplvm
    >>> X = load_iris().data
    >>> model = gplvm.GPLVM(kernel="linear").fit(X[:100])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "iris.gplvm"
    ...     gplvm.save(model, path)
    ...     again = gplvm.load(path)
    >>> bool((again.transform(X) == model.transform(X)).all())
    True
    """
    if not _is_saveable(model):
        raise TypeError(
            f"{type(model).__name__} cannot be saved; one of "
            f"{', '.join([*_ESTIMATORS, 'Pipeline'])} can"
        )
    encoder = _Encoder()
    name = type(model).__name__
    tree = encoder.encode(model, name)
    header = {"kind": _KIND, "versions": _versions(), "model": tree}
    try:
        _working_model(tree, [array.copy() for array in encoder.arrays])
    except Exception as error:
        raise ValueError(
            f"this {name} would not be read again: {_in_brief(error)}"
        ) from error
    write_container(path, header, encoder.arrays)


def load(path):
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    model : LinearAutoencoder, GPLVM, BayesianGPLVM, SwishMLPClassifier or Pipeline
        As it was saved, to the bit.

    Raises
    ------
    ValueError
        If it is no such file, or of another format, or damaged, or does not hold a
        working model.

    OSError
        If it cannot be read.

    Warns
    -----
    InconsistentVersionWarning
        If a scaler or pipeline in it was written with another scikit-learn.

    See Also
    --------
    save : Write it.

    Notes
    -----
    No more memory is taken than a small multiple of the file's size. Every method of a
    fitted model is tried on a made-up row, so that a forged file fails here and not
    later; that takes up to some tenths of a second. The checksum tells
    damage, not who wrote the file.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import gplvm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "model.gplvm"
    ...     gplvm.save(gplvm.LinearAutoencoder(3, alpha=0.1), path)
    ...     gplvm.load(path)
    LinearAutoencoder(alpha=0.1, n_components=3)
    """
    header, arrays = read_container(path)
    if header.get("kind") != _KIND:
        raise FileError(f"{path} holds no model")
    try:
        model, companions = _working_model(header["model"], arrays)
        written = header["versions"]["scikit-learn"]
    except Exception as error:
        # Whatever it is: the file says things that no saved model says.
        reason = _in_brief(error)
        raise FileError(f"{path} does not hold a working model: {reason}") from error
    if companions and written != sklearn.__version__:
        warnings.warn(
            InconsistentVersionWarning(
                estimator_name=type(model).__name__,
                current_sklearn_version=sklearn.__version__,
                original_sklearn_version=str(written),
            ),
            stacklevel=2,
        )
    return model


def _working_model(tree, arrays):
    """The model, tried, and whether something of scikit-learn is in it."""
    most = max((array.size for array in arrays), default=0)
    decoder = _Decoder(arrays)
    model = decoder.decode(tree)
    if not _is_saveable(model):
        raise TypeError("something else than a model")
    repr(model)  # the constructors check no parameter
    if _is_fitted(model):
        check_works(model, most)
    return model, decoder.companions


def _is_fitted(model):
    try:
        check_is_fitted(model)
    except NotFittedError:
        return False
    return True


def _in_brief(error):
    return " ".join(str(error)[:_MESSAGE].split())


def _is_saveable(model):
    known = {*_ESTIMATORS.values(), Pipeline}
    return type(model) in known


def _versions():
    from gplvm import __version__

    return {
        "gplvm": __version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
        "scikit-learn": sklearn.__version__,
    }


def _kernels():
    """Kernels by name: the supported ones, those that users registered among them."""
    known = [*RULES, sk.Sum, sk.Product, sk.Exponentiation]
    return {f"{cls.__module__}.{cls.__qualname__}": cls for cls in known}


def _parts_of(kernel):
    """How many objects a kernel consists of."""
    params = kernel.get_params(deep=False).values()
    return 1 + sum(_parts_of(part) for part in params if isinstance(part, sk.Kernel))


class _Encoder:
    """Turns objects into what JSON can hold, and collects the arrays."""

    def __init__(self):
        self.arrays = []
        self._seen = {}  # id: (number, object), which must stay alive meanwhile

    def encode(self, value, where):
        if value is None or type(value) in (bool, int, str):
            return value
        if type(value) is float:
            return value if np.isfinite(value) else {"float": repr(value)}
        if type(value) is list:
            return [self.encode(v, f"{where}[{i}]") for i, v in enumerate(value)]
        if type(value) is tuple:
            return {"tuple": self.encode(list(value), where)}
        if type(value) is dict:
            items = [[k, v] for k, v in value.items()]
            return {"dict": self.encode(items, where)}
        if type(value) is slice:
            ends = [value.start, value.stop, value.step]
            return {"slice": self.encode(ends, where)}
        if id(value) in self._seen:
            return {"same": self._seen[id(value)][0]}
        self._seen[id(value)] = (len(self._seen), value)
        return self._encode_object(value, where)

    def _encode_object(self, value, where):
        cls = type(value)
        if isinstance(value, np.generic):
            return {"scalar": self._add(np.asarray(value), where)}
        if isinstance(value, np.ndarray):
            if value.dtype == object:
                flat = value.ravel().tolist()
                _check_names_and_numbers(flat, where)
                flat = self.encode(flat, where)
                return {"objects": flat, "shape": list(value.shape)}
            return {"array": self._add(np.asarray(value), where)}
        if isinstance(value, np.dtype):
            return {"dtype": value.str}
        if cls is np.random.RandomState:
            state = value.get_state(legacy=False)
            return {"random_state": self.encode(state, where)}
        if cls in _SPARSE.values():
            parts = [value.data, value.indices, value.indptr]
            return {
                "sparse": cls.__name__,
                "shape": list(value.shape),
                "parts": self.encode(parts, where),
            }
        if isinstance(value, sk.Kernel):
            name = f"{cls.__module__}.{cls.__qualname__}"
            if _kernels().get(name) is cls:
                if _parts_of(value) > _MOST_PARTS:
                    raise TypeError(f"{where} has more than {_MOST_PARTS} parts")
                params = value.get_params(deep=False)
                return {"kernel": name, "params": self._attributes(params, where)}
        if isinstance(value, BaseEstimator):
            if cls in _ESTIMATORS.values() or cls in _COMPANIONS.values():
                params = value.get_params(deep=False)
                left_out = {*params, *_NOT_SAVED}
                state = {k: v for k, v in vars(value).items() if k not in left_out}
                return {
                    "estimator": cls.__name__,
                    "params": self._attributes(params, where),
                    "state": self._attributes(state, where),
                }
        elif cls in _PARTS.values():
            state = value.__getstate__() or {}
            return {"part": cls.__name__, "state": self._attributes(state, where)}
        raise TypeError(f"{where} is of type {cls.__name__}, which cannot be saved")

    def _attributes(self, values, where):
        return {k: self.encode(v, f"{where}.{k}") for k, v in values.items()}

    def _add(self, array, where):
        if array.dtype.hasobject or array.dtype.names:
            raise TypeError(
                f"{where} is an array of {array.dtype}, which cannot be saved"
            )
        self.arrays.append(array)
        return len(self.arrays) - 1


class _Decoder:
    """Makes the objects again, of known classes only."""

    def __init__(self, arrays):
        self._arrays = dict(enumerate(arrays))
        self._made = []
        self._parts = {}  # id: how many parts a kernel or a pipeline has in all
        self.companions = False

    def decode(self, value):
        if isinstance(value, list):
            return [self.decode(v) for v in value]
        if not isinstance(value, dict):
            return value
        kind = next(iter(value))
        if kind == "float":
            return {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}[value[kind]]
        if kind == "tuple":
            return tuple(self.decode(value[kind]))
        if kind == "dict":
            return dict(self.decode(value[kind]))
        if kind == "slice":
            return slice(*(None if v is None else _index(v) for v in value[kind]))
        if kind == "same":
            return self._made[_index(value[kind])]
        number = len(self._made)
        self._made.append(None)
        self._made[number] = made = getattr(self, _MAKERS[kind])(value, number)
        return made

    def _make_scalar(self, value, number):
        return self._arrays.pop(_index(value["scalar"]))[()]

    def _make_array(self, value, number):
        # Once: two attributes that are one array change each other.
        return self._arrays.pop(_index(value["array"]))

    def _make_objects(self, value, number):
        flat = self.decode(value["objects"])
        _check_names_and_numbers(flat, "an array")
        array = np.empty(len(flat), dtype=object)
        array[:] = flat
        return array.reshape(value["shape"])

    def _make_dtype(self, value, number):
        return np.dtype({"<f4": "<f4", "<f8": "<f8"}[value["dtype"]])

    def _make_random_state(self, value, number):
        state = self.decode(value["random_state"])
        words = state["state"]
        # numpy takes these on trust.
        if words["key"].shape != (624,) or not 0 <= words["pos"] <= 624:
            raise ValueError("a state of no random generator")
        random_state = np.random.RandomState(0)
        random_state.set_state(state)
        return random_state

    def _make_sparse(self, value, number):
        parts = tuple(self.decode(value["parts"]))
        matrix = _SPARSE[value["sparse"]](parts, shape=tuple(value["shape"]))
        matrix.check_format(full_check=True)
        return matrix

    def _make_kernel(self, value, number):
        name = value["kernel"]
        known = _kernels()
        if name not in known:
            raise TypeError(
                f"the kernel {name} is unknown here; register its rule first"
            )
        params = self._attributes(value["params"])
        kernel = known[name](**params)
        self._count_parts(kernel, params.values())
        return kernel

    def _count_parts(self, whole, parts):
        """Refuse what is small in the file and without an end in use."""
        number = 1 + sum(self._parts.get(id(part), 0) for part in parts)
        if number > _MOST_PARTS:
            raise ValueError(f"a {type(whole).__name__} of too many parts")
        self._parts[id(whole)] = number

    def _make_estimator(self, value, number):
        name = value["estimator"]
        self.companions |= name in _COMPANIONS
        cls = (_ESTIMATORS | _COMPANIONS)[name]
        estimator = cls(**self._attributes(value["params"]))
        self._made[number] = estimator
        state = self._attributes(value["state"])
        _check_names(cls, state)
        vars(estimator).update(state)
        if cls is Pipeline:
            self._count_parts(estimator, [step for _, step in estimator.steps])
        else:
            self._parts[id(estimator)] = 1
        estimator._validate_params()
        return estimator

    def _make_part(self, value, number):
        cls = _PARTS[value["part"]]
        self._made[number] = part = object.__new__(cls)
        state = self._attributes(value["state"])
        _check_names(cls, state)
        if hasattr(part, "__setstate__"):
            part.__setstate__(state)
        else:
            vars(part).update(state)
        return part

    def _attributes(self, values):
        return {name: self.decode(value) for name, value in values.items()}


_MAKERS = {
    kind: f"_make_{kind}"
    for kind in (
        "scalar",
        "array",
        "objects",
        "dtype",
        "random_state",
        "sparse",
        "kernel",
        "estimator",
        "part",
    )
}


def _index(number):
    if type(number) is not int or number < 0:
        raise ValueError(f"{number!r} is no index")
    return number


def _check_names_and_numbers(objects, where):
    """Refuse arrays within an array: they could double at each level."""
    if not all(isinstance(v, str | Number | np.generic | None) for v in objects):
        raise TypeError(f"{where} holds more than names and numbers")


def _check_names(cls, state):
    """Refuse attributes that would stand before methods, or be taken for one."""
    for name in state:
        plain = not name.startswith("__") and name.isidentifier()
        if issubclass(cls, BaseEstimator):  # other names are parameters or methods
            plain = plain and (name.startswith("_") or name.endswith("_"))
        if not plain or callable(getattr(cls, name, None)):
            raise ValueError(f"{cls.__name__} has no attribute {name!r}")
