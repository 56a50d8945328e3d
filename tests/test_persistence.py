"""Models come back from the disk to the bit, and nothing else comes with them."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import model_files
import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.gaussian_process import kernels as sk
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    RobustScaler,
    StandardScaler,
)

import gplvm
from gplvm import GPLVM, BayesianGPLVM, LinearAutoencoder, SwishMLPClassifier
from gplvm._files import FORMAT, read_container, write_container
from gplvm.kernels import register_rule
from gplvm.kernels.covariance import RULES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = load_iris(return_X_y=True)
X, Y = X[::4], Y[::4]
MISSING = X.copy()
MISSING[3, 2] = np.nan
SHORT = {"max_iter": 3, "random_state": 0}
KERNELS = [
    sk.ConstantKernel(2.0, "fixed") * sk.RBF(0.5, (1e-3, 1e3)),
    sk.Matern(1.0, nu=1.5) + sk.WhiteKernel(0.1, "fixed"),
    sk.Matern([1.0, 2.0], nu=np.inf) * sk.RationalQuadratic(alpha=0.3),
    sk.DotProduct(1.0) ** 2 + sk.Matern(1.0, nu=2.5),
]
MODELS = [
    GPLVM(**SHORT),
    GPLVM(kernel="linear"),
    GPLVM(n_inducing=5, latent_prior="normal", **SHORT),
    GPLVM(back_constraint="kernel", **SHORT),
    GPLVM(back_constraint="mlp", **SHORT),
    GPLVM(init=X[:, :2].copy(), **SHORT),
    BayesianGPLVM(3, n_inducing=8, **SHORT),
    BayesianGPLVM(2, kernel=sk.RBF([1.0, 1.0]) + sk.ConstantKernel(0.5), **SHORT),
    BayesianGPLVM(2, n_inducing=8, batch_size=10, **SHORT),
    make_pipeline(StandardScaler(), BayesianGPLVM(2, n_inducing=8, **SHORT)),
    LinearAutoencoder(3, alpha=0.1),
    LinearAutoencoder(2, activation="swish", max_iter=5),
    *(
        LinearAutoencoder(2, activation=activation, solver="adam", **SHORT)
        for activation in ("identity", "swish", "tanh", "relu", "logistic")
    ),
    SwishMLPClassifier(5, **SHORT),
    make_pipeline(StandardScaler(), GPLVM(**SHORT)),
    make_pipeline(StandardScaler(), SwishMLPClassifier(5, solver="lbfgs", **SHORT)),
    make_pipeline("passthrough", RobustScaler(), "passthrough", GPLVM(**SHORT)),
    make_pipeline(MinMaxScaler(), LinearAutoencoder(2), "passthrough"),
    *(GPLVM(kernel=kernel, **SHORT) for kernel in KERNELS),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a model.gplvm"


def _forge(model, path):
    """Write what `save` refuses."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gplvm._persistence._working_model", lambda *arguments: None)
        gplvm.save(model, path)


def _round_trip(model, path):
    gplvm.save(model, path)
    return gplvm.load(path)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: repr(m)[:60])
def test_a_fitted_model_comes_back_to_the_bit(model, path):
    model = clone(model).fit(X, Y)
    again = _round_trip(model, path)
    rows = X[:5] + 0.1
    for name in ("transform", "predict_proba", "score_samples"):
        if hasattr(model, name):
            expected = getattr(model, name)(rows)
            np.testing.assert_array_equal(getattr(again, name)(rows), expected)
    if hasattr(model, "inverse_transform"):
        latent = model.transform(rows)
        expected = model.inverse_transform(latent)
        np.testing.assert_array_equal(again.inverse_transform(latent), expected)
    if hasattr(model, "elbo"):
        assert again.elbo() == model.elbo()
        for expected, answer in zip(
            model.transform(rows, return_std=True),
            again.transform(rows, return_std=True),
            strict=True,
        ):
            np.testing.assert_array_equal(answer, expected)
    if hasattr(model, "log_likelihood"):
        assert again.log_likelihood() == model.log_likelihood()
    assert repr(again) == repr(model)
    assert str(again.get_params()) == str(model.get_params())


@pytest.mark.parametrize(
    "model",
    [GPLVM(**SHORT), GPLVM(n_inducing=5, **SHORT), BayesianGPLVM(2, **SHORT)],
    ids=repr,
)
def test_missing_values_come_back(path, model):
    model = clone(model).fit(MISSING)
    again = _round_trip(model, path)
    np.testing.assert_array_equal(again.transform(MISSING), model.transform(MISSING))


def test_a_model_of_sparse_rows_comes_back(path):
    model = GPLVM(kernel="linear").fit(sparse.csr_array(X))
    again = _round_trip(model, path)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_type_names_and_labels_come_back(path, dtype):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X.astype(dtype), columns=["a", "é", "c d", "日本"])
    labels = np.array(["x", "y", "z"], dtype=object)[Y]
    model = SwishMLPClassifier(4, **SHORT).fit(frame, labels)
    again = _round_trip(model, path)
    assert list(again.feature_names_in_) == list(frame.columns)
    assert list(again.classes_) == ["x", "y", "z"]
    assert again.transform(frame).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_training_goes_on_as_if_nothing_had_happened(path, dtype):
    rows = X.astype(dtype)
    model = SwishMLPClassifier(5, **SHORT).fit(rows, Y)
    again = _round_trip(model, path)
    for copy in (model, again):
        for _ in range(20):
            copy.partial_fit(rows[::-1], Y[::-1])
    np.testing.assert_array_equal(again.coefs_[0], model.coefs_[0])


def test_a_random_state_goes_on_where_it_was(path):
    rng = np.random.RandomState(3)
    rng.normal(size=5)
    again = _round_trip(GPLVM(random_state=rng), path)
    np.testing.assert_array_equal(again.random_state.normal(size=9), rng.normal(size=9))


def test_an_unfitted_model_keeps_its_parameters(path):
    model = GPLVM(3, kernel=KERNELS[2], noise_variance=0.1)
    assert repr(_round_trip(model, path)) == repr(model)


def test_a_registered_kernel_comes_back_where_it_is_registered(path):
    class Smooth(sk.RBF):
        pass

    register_rule(Smooth, RULES[sk.RBF])
    try:
        model = GPLVM(kernel=Smooth(), **SHORT).fit(X)
        assert type(_round_trip(model, path).kernel_) is Smooth
    finally:
        del RULES[Smooth]
    with pytest.raises(ValueError, match="Smooth is unknown here"):
        gplvm.load(path)


def test_other_classes_are_refused_before_anything_is_written(path):
    with pytest.raises(TypeError, match="PCA cannot be saved"):
        gplvm.save(PCA(), path)
    with pytest.raises(TypeError, match="PCA, which cannot be saved"):
        gplvm.save(make_pipeline(PCA(), GPLVM()), path)
    assert not path.exists()


def test_a_file_of_the_future_is_refused(path):
    gplvm.save(GPLVM(), path)
    data = bytearray(path.read_bytes())
    data[8] += 1
    path.write_bytes(data[:-32] + hashlib.sha256(data[:-32]).digest())
    old, new = FORMAT, FORMAT + 1
    message = rf"has format {new}, and this version .* format {old}"
    with pytest.raises(ValueError, match=message):
        gplvm.load(path)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" * 50, b"\x80\x04pickle" * 20])
def test_foreign_files_are_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is no gplvm file"):
        gplvm.load(path)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(OSError):
        gplvm.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        gplvm.load(tmp_path / "nothing")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="no regular file"):
        gplvm.load(pipe)


def test_arrays_larger_than_the_file_are_refused_before_memory_is_taken(path):
    gplvm.save(LinearAutoencoder().fit(X), path)
    data = path.read_bytes()
    length = int.from_bytes(data[12:20], "little")
    header = json.loads(data[20 : 20 + length])
    header["arrays"][0][1] = [2**40, 8]
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * ((length - len(text)) % 64)
    made = data[:12] + len(text).to_bytes(8, "little") + text + data[20 + length : -32]
    path.write_bytes(made + hashlib.sha256(made).digest())
    with pytest.raises(ValueError, match="its length and its header disagree"):
        gplvm.load(path)


def test_damaged_and_forged_files_are_refused_or_work(tmp_path):
    counts = model_files.run(200, seed=7, folder=tmp_path)
    assert counts.pop(("damaged", "refused")) == 50
    assert {what for _, what in counts} <= {"refused", "loaded", "loaded, not fitted"}


def test_a_full_disk_leaves_the_old_file(path):
    gplvm.save(LinearAutoencoder().fit(X), path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    large = GPLVM(kernel="linear").fit(np.random.default_rng(0).normal(size=(500, 9)))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with pytest.raises(OSError):
            gplvm.save(large, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


_SAVE_FOREVER = """
import sys
import gplvm
models = [gplvm.load(sys.argv[1]), gplvm.LinearAutoencoder()]
print("ready", flush=True)
while True:
    for model in models:
        gplvm.save(model, sys.argv[1])
"""


def test_a_killed_process_leaves_a_whole_file(path):
    gplvm.save(GPLVM(**SHORT).fit(X), path)
    for seconds in (0.0, 0.003, 0.011):
        process = subprocess.Popen(
            [sys.executable, "-c", _SAVE_FOREVER, str(path)], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        process.kill()
        process.communicate()
        gplvm.load(path)


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    target, link = tmp_path / "target.gplvm", tmp_path / "link.gplvm"
    gplvm.save(GPLVM(), target)
    target.chmod(0o640)
    link.symlink_to(target)
    gplvm.save(LinearAutoencoder(), link)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert type(gplvm.load(target)) is LinearAutoencoder


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_is_written_to_and_not_replaced(path):
    gplvm.save(LinearAutoencoder(), path)
    pipe = path.parent / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        gplvm.save(LinearAutoencoder(), pipe)
        assert reader.stdout.read() == path.read_bytes()
    assert pipe.is_fifo()


def test_a_folder_that_is_not_there_or_a_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        gplvm.save(GPLVM(), tmp_path / "nowhere" / "model.gplvm")
    with pytest.raises(IsADirectoryError):
        gplvm.save(GPLVM(), tmp_path)
    assert list(Path(tmp_path).iterdir()) == []


def _with_model(path, tree, target):
    """The file at `path` with another model in its header."""
    header, arrays = read_container(path)
    del header["arrays"]
    write_container(target, {**header, "model": tree}, arrays)


_RBF = {"kernel": "sklearn.gaussian_process.kernels.RBF", "params": {}}


def _doubled_kernel(level):
    """Sums whose second part is their first part again: 2^level kernels."""
    if level == 40:
        return _RBF
    parts = {"k1": _doubled_kernel(level + 1), "k2": {"same": level + 2}}
    return {"kernel": "sklearn.gaussian_process.kernels.Sum", "params": parts}


def _doubled_pipeline(level):
    if level == 40:
        return {"estimator": "StandardScaler", "params": {}, "state": {}}
    steps = [["a", _doubled_pipeline(level + 1)], ["b", {"same": level + 1}]]
    steps = [{"tuple": step} for step in steps]
    return {"estimator": "Pipeline", "params": {"steps": steps}, "state": {}}


def _doubled_array(level):
    if level == 40:
        return {"objects": ["a", None, "b"], "shape": [3]}
    parts = [_doubled_array(level + 1), None, {"same": level + 2}]
    return {"objects": parts, "shape": [3]}


def _gplvm(**params):
    return {"estimator": "GPLVM", "params": params, "state": {}}


@pytest.mark.parametrize("name", ["predict", "kernel", "transform", "__class__"])
def test_attributes_that_a_fit_does_not_make_are_refused(path, name):
    gplvm.save(GPLVM(kernel="linear").fit(X), path)
    tree = read_container(path)[0]["model"]
    tree["state"][name] = "rbf"
    _with_model(path, tree, path)
    with pytest.raises(ValueError, match=f"GPLVM has no attribute '{name}'"):
        gplvm.load(path)


_CIRCLE = {
    "estimator": "Pipeline",
    "params": {"steps": []},
    "state": {"steps": [{"tuple": ["a", {"same": 0}]}]},
}


@pytest.mark.parametrize(
    "tree",
    [
        _gplvm(kernel=_doubled_kernel(0)),
        _doubled_pipeline(0),
        _gplvm(init=_doubled_array(0)),
        _CIRCLE,
    ],
    ids=["kernel", "pipeline", "array", "circle"],
)
def test_what_grows_without_an_end_is_refused_at_once(path, tmp_path, tree):
    gplvm.save(LinearAutoencoder(), path)
    _with_model(path, tree, tmp_path / "bomb.gplvm")
    with pytest.raises(ValueError, match="does not hold a working model"):
        gplvm.load(tmp_path / "bomb.gplvm")


def test_a_kernel_of_too_many_parts_is_refused_when_saved(path):
    kernel = sk.RBF()
    for _ in range(100):
        kernel = kernel + sk.ConstantKernel()
    with pytest.raises(TypeError, match="has more than 128 parts"):
        gplvm.save(GPLVM(kernel=kernel), path)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 10**6,
        b'{"arrays":[' + b"[]," * 10**6 + b"[]]}",
        b'{"arrays":[],"arrays":[]}',
    ],
    ids=["deep", "many", "twice"],
)
def test_a_header_that_is_a_bomb_is_refused(path, text):
    gplvm.save(LinearAutoencoder(), path)
    made = path.read_bytes()[:12] + len(text).to_bytes(8, "little") + text
    path.write_bytes(made + hashlib.sha256(made).digest())
    with pytest.raises(ValueError, match="its header"):
        gplvm.load(path)


def test_more_features_than_any_array_are_refused_before_memory_is_taken(path):
    gplvm.save(LinearAutoencoder().fit(X), path)
    header, _ = read_container(path)
    tree = header["model"]
    tree["state"] |= {"n_features_in_": 2**31 - 1, "mean_": 0.0}
    _with_model(path, tree, path)
    with pytest.raises(ValueError, match="no array is as large as 2147483647"):
        gplvm.load(path)


def test_more_dimensions_than_any_array_are_refused_before_they_are_named(path):
    model = GPLVM(**SHORT).fit(X)
    model._n_features_out = 2**31 - 1
    _forge(model, path)
    with pytest.raises(ValueError, match="no array is as large as 2147483647"):
        gplvm.load(path)


@pytest.mark.parametrize("name", ["embedding_", "weights", "_embedding"])
@pytest.mark.parametrize("change", [np.ravel, lambda a: a[1:], lambda a: a * np.nan])
def test_arrays_that_do_not_fit_together_are_refused(path, name, change):
    """Also where only a method that is used later would notice."""
    gplvm.save(GPLVM(**SHORT).fit(X), path)
    header, arrays = read_container(path)
    number = _index_of(header["model"], name)
    changed = change(arrays[number])
    if changed.shape == arrays[number].shape and np.all(np.isfinite(changed)):
        pytest.skip("nothing is changed")
    arrays[number] = changed
    del header["arrays"]
    write_container(path, header, arrays)
    with pytest.raises(ValueError, match="does not hold a working model"):
        gplvm.load(path)


def test_a_model_without_inducing_points_is_refused_in_silence(path, capfd):
    model = GPLVM(n_inducing=5, **SHORT).fit(X)
    model._blocks["inducing_points"] = model.inducing_points_ = np.empty((0, 2))
    _forge(model, path)
    with pytest.raises(ValueError, match="does not hold a working model"):
        gplvm.load(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("part", "value"), [(0, 1e300), (1, 0.0), (1, -1.0)])
def test_starts_of_new_rows_that_no_fit_ends_at_are_refused(path, part, value):
    model = BayesianGPLVM(2, n_inducing=8, **SHORT).fit(X)
    starts = [np.array(block) for block in model._start_posterior]
    starts[part][-1, 0] = value
    model._start_posterior = tuple(starts)
    _forge(model, path)
    with pytest.raises(ValueError, match="positions that no fit ends at"):
        gplvm.load(path)


@pytest.mark.parametrize("is_public", [True, False])
@pytest.mark.parametrize("cls", [GPLVM, BayesianGPLVM])
def test_more_inducing_points_than_the_file_has_factors_of_are_refused(
    path, cls, is_public
):
    """In the file they are small, but their covariance would fill the memory."""
    model = cls(2, n_inducing=8, **SHORT).fit(X)
    many = np.zeros((10**5, 2))
    if is_public:
        model._blocks["inducing_points"] = model.inducing_points_ = many
    else:
        vars(model._posterior)["inputs"] = many
    _forge(model, path)
    with pytest.raises(ValueError, match=r"working model: (?!Unable to allocate)"):
        gplvm.load(path)


def test_a_forged_step_of_a_pipeline_is_noticed_before_it_is_used(path):
    inner = make_pipeline(StandardScaler(), GPLVM(**SHORT))
    model = make_pipeline(inner, LinearAutoencoder(1)).fit(X)
    inner[-1]._n_features_out = 2**62
    _forge(model, path)
    with pytest.raises(ValueError, match="no array is as large as 4611686018427387904"):
        gplvm.load(path)


def test_features_that_no_part_of_a_model_predicts_are_noticed(path):
    model = GPLVM(**SHORT).fit(MISSING)
    features, _ = model._posterior._patterns[0]
    assert len(features) > 1
    features[:] = features[0]
    _forge(model, path)
    with pytest.raises(ValueError, match="does not hold a working model"):
        gplvm.load(path)


@pytest.mark.parametrize("name", ["embedding_std_", "relevance_", "loss_curve_"])
def test_numbers_that_no_method_uses_must_be_finite_too(path, name):
    model = BayesianGPLVM(2, n_inducing=8, **SHORT).fit(X)
    setattr(model, name, np.full(np.shape(getattr(model, name)), np.nan).tolist())
    _forge(model, path)
    with pytest.raises(ValueError, match=f"working model: {name} is not finite"):
        gplvm.load(path)


def test_numbers_for_rows_that_are_not_tried_must_be_finite_too(path):
    model = BayesianGPLVM(2, n_inducing=8, **SHORT).fit(X)
    means, variances = model._start_posterior
    model._start_posterior = (
        means,
        variances * np.r_[np.ones(len(X) - 1), np.nan][:, None],
    )
    _forge(model, path)
    with pytest.raises(ValueError, match="_start_posterior is not finite"):
        gplvm.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("noise_variance_", 0.0),
        ("noise_variance_", (1, 2)),
        ("embedding_std_", np.ones((len(X), 2))),
        ("theta_", np.zeros(4)),
        ("loss_curve_", [1.0, [2.0]]),
    ],
)
def test_a_model_that_tells_other_numbers_than_it_uses_is_refused(path, name, value):
    model = BayesianGPLVM(2, n_inducing=8, **SHORT).fit(X)
    setattr(model, name, value)
    _forge(model, path)
    with pytest.raises(ValueError, match="does not hold a working model"):
        gplvm.load(path)


@pytest.mark.parametrize(
    "model",
    [
        LinearAutoencoder(2, activation="tanh", **SHORT),
        SwishMLPClassifier(5, **SHORT),
    ],
)
def test_a_model_that_would_go_on_from_other_weights_is_refused(path, model):
    model = clone(model).fit(X.astype(np.float32), Y)
    model._lost_digits[0][-1] += 1.0
    _forge(model, path)
    with pytest.raises(ValueError, match="does not hold a working model"):
        gplvm.load(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scale_", np.zeros(4)),
        ("scale_", np.ones(4, dtype=np.uint16)),
        ("scale_", np.full(4, 1e-20)),
        ("mean_", np.full(4, -1e300)),
        ("mean_", np.full(4, np.nan)),
    ],
)
def test_a_scaler_as_no_fit_makes_it_is_refused(path, name, value):
    model = make_pipeline(StandardScaler(), LinearAutoencoder()).fit(X)
    setattr(model[0], name, value)
    _forge(model, path)
    with pytest.raises(ValueError, match="does not hold a working model"):
        gplvm.load(path)


@pytest.mark.parametrize("scaler", [MinMaxScaler(), MaxAbsScaler(), RobustScaler()])
@pytest.mark.parametrize("model", [LinearAutoencoder(), GPLVM(**SHORT)], ids=repr)
def test_constant_columns_far_away_come_back(path, scaler, model):
    far = X.copy()
    far[:, 1] = -1e300
    model = make_pipeline(clone(scaler), clone(model)).fit(far)
    again = _round_trip(model, path)
    np.testing.assert_array_equal(again.transform(far), model.transform(far))


def test_steps_of_which_one_takes_no_rows_back_come_back(path):
    steps = StandardScaler(), SwishMLPClassifier(5, **SHORT), GPLVM(**SHORT)
    model = make_pipeline(*steps).fit(X, Y)
    again = _round_trip(model, path)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


@pytest.mark.parametrize("fitted", [True, False])
def test_what_would_not_be_read_again_is_not_written(path, fitted):
    model = LinearAutoencoder(2, solver="eigen")
    gplvm.save(model, path)
    before = path.read_bytes()
    if fitted:
        model.fit(X).components_[0, 0] = np.nan
    else:
        model.set_params(learning_rate_init=0)
    with pytest.raises(ValueError, match="LinearAutoencoder would not be read again"):
        gplvm.save(model, path)
    assert path.read_bytes() == before
    if fitted:  # nor tried on the model itself
        assert np.isnan(model.components_[0, 0])
        assert np.isfinite(model.components_[1]).all()


def test_a_model_is_tried_beside_the_one_that_is_saved(path):
    model = LinearAutoencoder(2, solver="adam", random_state=0).partial_fit(X)
    other = LinearAutoencoder(2, solver="adam", random_state=0).partial_fit(X)
    gplvm.save(model, path)
    model.partial_fit(X)
    np.testing.assert_array_equal(model.components_, other.partial_fit(X).components_)


def test_a_kernel_that_cannot_be_shown_is_refused(path):
    _forge(GPLVM(kernel=sk.RBF(None)), path)
    with pytest.raises(ValueError, match="does not hold a working model"):
        gplvm.load(path)


def _index_of(tree, name):
    """Number of the array of this name, somewhere in the header."""
    if isinstance(tree, dict):
        if isinstance(tree.get(name), dict) and "array" in tree[name]:
            return tree[name]["array"]
        tree = list(tree.values())
    if isinstance(tree, list):
        found = (_index_of(value, name) for value in tree)
        return next((number for number in found if number is not None), None)
    return None


@pytest.mark.parametrize("name", ["\U0001d53e" * 60, "m" * 255], ids=["wide", "long"])
def test_a_file_may_have_the_longest_of_names(tmp_path, name):
    model = LinearAutoencoder(1, solver="eigen").fit(np.eye(3))
    for path in (tmp_path / name, os.fsencode(tmp_path / name)):
        gplvm.save(model, path)
        assert np.array_equal(gplvm.load(path).components_, model.components_)


def test_ctrl_c_as_soon_as_there_is_a_file_leaves_none(tmp_path, monkeypatch):
    genuine = os.open

    def interrupted(*arguments):
        os.close(genuine(*arguments))
        raise KeyboardInterrupt

    model = LinearAutoencoder(1, solver="eigen").fit(np.eye(3))
    monkeypatch.setattr("os.open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gplvm.save(model, tmp_path / "model.gplvm")
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
