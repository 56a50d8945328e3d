"""Public functions of arrays: any numbers are computed with, anything else refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.gaussian_process import kernels as sk

from gplvm import SwishMLPClassifier, datasets, gradients, graphs, kernels, plotting
from gplvm.plotting._background import latent_limits
from gplvm.plotting._inputs import image_errors

X = np.array([[1, 2, -1], [3, -2, 0], [0, 1, 2], [2, 2, 1]])
Z = X[:, :2]
K = 5 * np.eye(4, dtype=int) + 1
PSI = 2 * np.eye(3, dtype=int)
NETWORK = {"W1": X[:2], "b1": X[0, :2], "W2": X[1:, :2], "b2": X[2], "X": X}
BOUND = {"P": X[:3], "Psi2": PSI, "Kuu": PSI}
NUMBERS = {"y_squared": 40.0, "noise_variance": 0.5, "n_samples": 4}
KERNEL = sk.ConstantKernel(2.0) * sk.DotProduct(1.0) + sk.RBF(2.0)

CASES = {
    "autoencoder_loss": (gradients.autoencoder_loss, {"W": X[:2], "X": X}, {}),
    "paths": (gradients.autoencoder_gradient_paths, {"W": X[:2], "X": X}, {}),
    "gram": (gradients.gram_autoencoder_loss, {"W": X[:2], "S": X.T @ X}, {}),
    "subspace": (gradients.subspace_autoencoder_loss, {"V": X[:2], "S": X.T @ X}, {}),
    "cross_entropy": (gradients.softmax_cross_entropy, {"logits": X}, {"y": [0] * 4}),
    "network": (gradients.two_layer_loss, NETWORK, {"y": [0, 1, 2, 0]}),
    "forward": (gradients.two_layer_forward, NETWORK, {}),
    "gp": (gradients.gp_log_likelihood, {"K": K, "Y": X}, {}),
    "gplvm": (
        gradients.gplvm_log_likelihood,
        {"X": Z, "Y": X},
        {"alpha": 1.0, "beta": 2.0},
    ),
    "collapsed": (
        gradients.collapsed_bound,
        BOUND,
        {**NUMBERS, "psi0": 8.0, "n_features": 3},
    ),
    "uncollapsed": (
        gradients.uncollapsed_bound,
        {**BOUND, "mean": X[:3], "covariance": PSI},
        {**NUMBERS, "psi0": 8.0},
    ),
    "matrix": (kernels.matrix, {"X": Z, "Z": Z[1:]}, {"kernel": KERNEL}),
    "diagonal": (kernels.diagonal, {"X": Z}, {"kernel": KERNEL}),
    "vjp": (kernels.vjp, {"X": Z, "dL_dK": K}, {"kernel": KERNEL}),
    "expectations": (
        lambda **arguments: kernels.evaluate_expectations(**arguments)[0],
        {"mu": Z, "S": Z**2 + 1, "Z": Z[1:]},
        {"kernel": sk.RBF(2.0)},
    ),
}
each_argument = pytest.mark.parametrize(
    ("case", "name"),
    [(case, name) for case, (_, arrays, _) in CASES.items() for name in arrays],
)


def _flat(result):
    if isinstance(result, tuple):
        return np.concatenate([_flat(part) for part in result])
    return np.ravel(np.asarray(result, dtype=float))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", ["i1", "u1", ">f8", "f2", "O", "longdouble"])
def test_numbers_of_any_type_are_computed_with_as_floating_point(case, dtype):
    function, arrays, others = CASES[case]
    if dtype == "u1":
        arrays = {name: np.abs(array) for name, array in arrays.items()}
    # A hundred would not survive the multiplications of int8.
    scale = 30 if case in ("autoencoder_loss", "paths", "matrix") else 1
    arrays = {name: scale * array for name, array in arrays.items()}
    expected = function(**{n: a.astype(float) for n, a in arrays.items()}, **others)
    found = function(**{n: a.astype(dtype) for n, a in arrays.items()}, **others)
    assert_allclose(_flat(found), _flat(expected), rtol=1e-12)


@each_argument
def test_what_is_no_numbers_is_refused(case, name):
    function, arrays, others = CASES[case]
    array = arrays[name]
    for other in (
        array.astype(complex),
        array.astype(str),
        array.astype("M8[D]"),
        np.full(array.shape, 10**400),
        [[1.0], [1.0, 2.0]],
        object(),
        "text",
    ):
        with pytest.raises(TypeError, match=rf"^{name} (is no array|must hold)"):
            function(**{**arrays, name: other}, **others)


@each_argument
def test_other_shapes_are_refused(case, name):
    function, arrays, others = CASES[case]
    array = arrays[name]
    wrong = [np.float64(1.0), array[None, None]]
    if (case, name) != ("matrix", "Z"):  # None is its default
        wrong.append(None)
    for other in wrong:
        with pytest.raises(ValueError):
            function(**{**arrays, name: other}, **others)


@each_argument
@pytest.mark.parametrize("what", ["nan", "inf", "overflow"])
def test_nothing_but_finite_results(case, name, what):
    function, arrays, others = CASES[case]
    array = arrays[name].astype(float)
    if what == "overflow":
        array = array * 1e300
    else:
        array.flat[0] = float(what)
    try:
        result = function(**{**arrays, name: array}, **others)
    except ValueError:
        return
    assert np.isfinite(_flat(result)).all()


SCALARS = [
    (case, name)
    for case, (_, _, others) in CASES.items()
    for name, value in others.items()
    if isinstance(value, (int, float))
] + [("autoencoder_loss", "alpha"), ("gram", "alpha"), ("network", "alpha")]


@pytest.mark.parametrize(("case", "name"), SCALARS)
def test_what_is_no_number_is_refused_where_one_belongs(case, name):
    function, arrays, others = CASES[case]
    for other in (1j, "2", np.datetime64("2020"), {"a": 1}, len):
        with pytest.raises(TypeError, match=rf"^{name} (is no array|must hold)"):
            function(**arrays, **{**others, name: other})
    with pytest.raises(ValueError, match=rf"^{name} must have 0 dimensions"):
        function(**arrays, **{**others, name: [1.0, 2.0]})


@each_argument
def test_a_mask_is_not_lost(case, name):
    function, arrays, others = CASES[case]
    masked = np.ma.masked_equal(arrays[name], arrays[name].flat[0])
    with pytest.raises(ValueError, match="Masked entries"):
        function(**{**arrays, name: masked}, **others)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_swish_has_its_limits_at_infinity(dtype):
    ends = np.array([-np.inf, np.inf, np.nan], dtype)
    assert_array_equal(gradients.swish(ends), [0.0, np.inf, np.nan])
    assert_array_equal(gradients.swish_derivative(ends), [0.0, 1.0, np.nan])


@pytest.mark.parametrize("function", ["gram", "subspace"])
@pytest.mark.parametrize("S", [np.eye(4), np.ones((3, 2)), 1.0])
def test_moments_of_another_size_are_refused(function, S):
    function, arrays, _ = CASES[function]
    with pytest.raises(ValueError, match="S has shape"):
        function(**{**arrays, "S": S})


@pytest.mark.parametrize("function", ["autoencoder_loss", "paths"])
def test_data_of_other_columns_than_the_weights_are_refused(function):
    with pytest.raises(ValueError, match="as many columns"):
        CASES[function][0](W=X[:2], X=Z)


@pytest.mark.parametrize("kernel", [sk.RBF(), sk.RBF([1.0, 2.0]), sk.ConstantKernel()])
def test_inputs_of_another_dimension_are_refused(kernel):
    line = Z[:, :1]
    with pytest.raises(ValueError, match="as many columns"):
        kernels.matrix(kernel, Z, line)
    for wrong in (Z[:1] ** 2, line**2, Z[:3] ** 2):  # would broadcast
        with pytest.raises(ValueError, match="expected twice"):
            kernels.evaluate_expectations(kernel, Z, wrong, Z)
    for wrong in (K[:1], K[:, :1], K[:1, :1]):
        with pytest.raises(ValueError, match="dL/dK has shape"):
            kernels.vjp(kernel, Z, wrong)
    if not kernels.is_isotropic(kernel):
        for function in (kernels.matrix, kernels.diagonal):
            with pytest.raises(ValueError, match="has 2 entries"):
                function(kernel, line)


def test_noise_alone_has_no_expectations():
    with pytest.raises(NotImplementedError, match="only noise"):
        kernels.evaluate_expectations(sk.WhiteKernel(), Z, Z**2, Z)


@pytest.mark.parametrize("activation", [None, "elu", 3, ["tanh"]])
def test_an_unknown_activation_is_refused(activation):
    with pytest.raises(ValueError, match=r"one of identity, swish.*got"):
        gradients.autoencoder_loss(X[:2], X, activation=activation)


def test_no_kernel_is_told():
    with pytest.raises(TypeError, match="kernel object, got 'rbf'"):
        kernels.is_isotropic("rbf")


@pytest.mark.parametrize("x0", [np.nan, [np.inf, 1.0]])
def test_a_gradient_is_not_checked_at_infinity(x0):
    with pytest.raises(ValueError, match="x0 holds NaN or infinity"):
        gradients.check_gradient(lambda x: (np.sum(x), np.ones_like(x)), x0)
    with pytest.raises(ValueError, match="step must be positive"):
        gradients.check_gradient(lambda x: (x, 1.0), 1.0, step=0.0)


def test_a_graph_has_finite_values_and_gradients_or_says_where_not():
    graph = graphs.autoencoder_graph()
    for W in (np.full((2, 3), np.nan), np.full((2, 3), 1e200)):
        with pytest.raises(ValueError, match=r"the value of .* is not finite"):
            graph.forward(W=W, X=X)
        with pytest.raises(ValueError, match="forward"):
            graph.backward()
    x = graphs.Input("x", ())
    graph = graphs.ComputationalGraph(graphs.log(x) + 1e-300 * x)
    graph.forward(x=1e-310)
    with pytest.raises(ValueError, match=r"the gradient of .* is not finite"):
        graph.backward()


def test_graphs_refuse_what_is_no_operation_and_no_number():
    x = graphs.Input("x", ())
    with pytest.raises(TypeError, match="expected an Operation, got 'exp'"):
        graphs.apply("exp", x)
    with pytest.raises(ValueError, match="x cannot be divided by zero"):
        x / 0
    assert graphs.Dimension("{0}").name == "{0}"


@pytest.mark.parametrize("image_size", [10**30, (10**9, 10**9)])
def test_images_larger_than_memory_are_refused_before_any_is_read(image_size, tmp_path):
    images = np.zeros((2, 4, 4))
    datasets.save_image_folder(tmp_path / "images", images, [0, 1], ["a", "b"])
    with pytest.raises(MemoryError, match="does not fit"):
        datasets.load_image_folder(tmp_path / "images", image_size=image_size)
    loaded = datasets.load_image_folder(tmp_path / "images", image_size=np.int8(16))
    assert loaded.images.shape == (2, 16, 16)


@pytest.mark.parametrize("number", [10**12, 10**30, 10**400])
def test_what_is_larger_than_memory_is_refused_before_any_is_made(number):
    with pytest.raises(MemoryError, match="GiB are available"):
        datasets.make_creatures(number)
    X, y = np.zeros((4, 2)), [0, 1, 0, 1]
    for name in ("hidden_layer_size", "max_parameters"):
        for solver in ("adam", "lbfgs"):
            model = SwishMLPClassifier(solver=solver, **{name: number})
            with pytest.raises(MemoryError, match="needs about"):
                model.fit(X, y)


def test_displays_refuse_what_cannot_be_shown():
    points, images = X[:, :2].astype(float), np.ones((4, 2, 2))
    for labels in ([0.0, 1.0, np.inf, 1.0], [0.0, 1e300, 0.0, 1.0]):
        with pytest.raises(ValueError, match="integers or strings"):
            plotting.LatentSpaceDisplay.from_embedding(points, labels=labels)
    for wrong, error in ((images * 1j, TypeError), (images * np.nan, ValueError)):
        with pytest.raises(error, match="images"):
            plotting.LatentSpaceDisplay.from_embedding(points, images=wrong)
    pca = PCA(2).fit(X)
    for shape in (np.inf, 1.5, (1, 2 + 0j), "ab"):
        with pytest.raises(TypeError, match="whole numbers"):
            plotting.ReconstructionDisplay.from_estimator(pca, X, image_shape=shape)
    with pytest.raises(ValueError, match="X must have rows"):
        plotting.ReconstructionDisplay.from_estimator(pca, 1.0)
    for options in ({"n_images": 10**30}, {"n_steps": 10**9}):
        with pytest.raises(ValueError, match="at most 1000"):
            plotting.LatentManifoldDisplay.from_estimator(pca, X, **options)
    with pytest.raises(TypeError, match="relevance must hold real numbers"):
        plotting.RelevanceDisplay(np.array([1.0 + 1j])).plot()
    for images in (3.0, np.ones(4)):
        with pytest.raises(ValueError, match="does not fit images"):
            plotting.ReconstructionDisplay.from_reconstructions(
                images, images, image_shape=(2, 2)
            )
    for threshold, error in (
        (-1.0, ValueError),
        (np.nan, ValueError),
        ("x", TypeError),
    ):
        with pytest.raises(error, match="threshold"):
            plotting.RelevanceDisplay([1.0, 0.5], threshold=threshold).plot()


def test_displays_refuse_what_matplotlib_cannot_place():
    tiles = np.ones((2, 2, 3, 3))
    area = (0, 1, 0, 1)
    for options, message in (
        ({"dimensions": 2, "feature_names": ["a", "b"]}, "run from 0 to 1"),
        ({"dimensions": (0, 3), "feature_names": ["a", "b"]}, "run from 0 to 1"),
        ({"dimensions": 2**63}, "run from 0 to"),
    ):
        with pytest.raises(ValueError, match=message):
            plotting.LatentManifoldDisplay(tiles, area, **options).plot()
    points, grid = Z.astype(float), np.ones((3, 3))
    for extent in ((0, 0, 0, 1), (1, 0, 0, 1), (0, 1), (0, np.nan, 0, 1)):
        with pytest.raises(ValueError, match="edges of an area"):
            plotting.LatentManifoldDisplay(tiles, extent).plot()
        with pytest.raises(ValueError, match="edges of an area"):
            plotting.LatentSpaceDisplay(points, uncertainty=(grid, extent)).plot()
    for display in (
        plotting.LatentManifoldDisplay(1e308 * tiles, area),
        plotting.LatentSpaceDisplay(1e307 * points),
        plotting.LatentSpaceDisplay(points, embedding_std=np.full((4, 2), 1e308)),
        plotting.LossCurveDisplay({"fit": [1e308, -1e308]}),
        plotting.RelevanceDisplay([1e308, 1.0]),
        plotting.ReconstructionDisplay(tiles[0], tiles[0], std=1e308 * tiles[0]),
        plotting.ReconstructionDisplay(tiles[0], tiles[0], std=np.inf * tiles[0]),
        plotting.ReconstructionDisplay(np.where(tiles[0] > 0, np.inf, 0), tiles[0]),
    ):
        with pytest.raises(ValueError, match="or numbers beyond"):
            display.plot()
    with pytest.raises(ValueError, match="thumbnail_size must lie"):
        display = plotting.LatentSpaceDisplay(points, images=np.ones((4, 2, 2)))
        display.plot(thumbnail_size=1e-300)


def test_displays_of_extreme_numbers():
    images, rng = np.arange(24.0).reshape(6, 2, 2), np.random.default_rng(0)
    labels = np.arange(6.0, dtype="f2")
    display = plotting.ReconstructionDisplay(1e198 * images, images, labels=labels)
    display.plot(residual="difference").figure_.canvas.draw()
    points = rng.normal(size=(6, 2))
    points[0] = 1e150  # beyond the edges
    display = plotting.LatentSpaceDisplay(
        points, images=images, uncertainty=(np.ones((3, 3)), (-1, 1, -1, 1))
    )
    display.plot().figure_.canvas.draw()
    display = plotting.RelevanceDisplay([1.0, 0.5], threshold=0.0).plot(scale="log")
    assert display.ax_.get_ylim()[0] > 0
    images = np.array([3e200, 4e200]).reshape(2, 1, 1)
    errors = image_errors(None, images, {"model": 0 * images})
    assert_allclose(errors["model"], [3e200, 4e200])
    with np.errstate(all="raise"):
        for place in (0.0, 1.0, 1e20, -1e100):
            x_min, x_max, *_ = latent_limits(np.full((1, 2), place))
            assert x_min < place < x_max
