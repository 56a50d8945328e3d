"""Computational graphs equal the gradient module, and finite differences."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gplvm import gradients
from gplvm.graphs import (
    ComputationalGraph,
    Dimension,
    Input,
    Operation,
    add_to_diagonal,
    apply,
    autoencoder_graph,
    exp,
    gplvm_graph,
    gplvm_log_determinant_graph,
    gplvm_trace_graph,
    inverse,
    log,
    log_determinant,
    softmax_cross_entropy,
    squared_norm,
    swish,
    total,
    trace,
    two_layer_graph,
)
from gplvm.graphs import _formulas as formulas

SIZES = {"n": st.integers(1, 9), "p": st.integers(1, 6), "m": st.integers(1, 4)}
SIZES |= {"seed": st.integers(0, 2**31)}


def _agree(graph, inputs, value, gradient):
    """The graph's value and gradients against those of a function."""
    np.testing.assert_allclose(graph.forward(**inputs), value, rtol=1e-9, atol=1e-9)
    found = graph.backward()
    assert set(found) == set(gradient)
    for name, expected in gradient.items():
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found[name], expected, rtol=1e-7, atol=1e-9 * scale)
        assert np.shape(found[name]) == np.shape(inputs[name])
        paths = graph.gradient_paths(name)
        np.testing.assert_allclose(
            sum(path.gradient for path in paths), expected, rtol=1e-7, atol=1e-8 * scale
        )
    for name in graph.nodes:
        assert np.ndim(graph.value(name)) <= 2


@given(**SIZES)
def test_autoencoder(n, p, m, seed):
    rng = np.random.default_rng(seed)
    X, W = rng.normal(size=(n, p)), rng.normal(size=(m, p))
    graph = autoencoder_graph()
    loss, gradient = gradients.autoencoder_loss(W, X, eval_gradient=True)
    _agree(graph, {"X": X, "W": W}, loss, {"W": gradient})
    by_path = {path.nodes: path.gradient for path in graph.gradient_paths("W")}
    encoder, decoder = gradients.autoencoder_gradient_paths(W, X)
    assert set(by_path) == {("W", "W'", "H", "O", "R", "L"), ("W", "O", "R", "L")}
    scale = np.abs(encoder).max() + np.abs(decoder).max()
    for nodes, gradient in by_path.items():
        expected = encoder if "W'" in nodes else decoder
        np.testing.assert_allclose(gradient, expected, rtol=1e-9, atol=1e-12 * scale)


@given(
    alpha=st.floats(0.1, 5.0), beta=st.floats(0.1, 20.0), d=st.integers(1, 5), **SIZES
)
def test_gplvm(n, p, m, d, alpha, beta, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.normal(size=(n, m)), rng.normal(size=(n, d))
    latent = {"X": X, "alpha": alpha, "beta": beta}
    L1 = gradients.gplvm_log_determinant_term(X, alpha, beta, d, eval_gradient=True)
    _agree(gplvm_log_determinant_graph(), {**latent, "D": d}, *L1)
    L2 = gradients.gplvm_trace_term(X, Y, alpha, beta, eval_gradient=True)
    _agree(gplvm_trace_graph(), {**latent, "Y": Y}, *L2)
    L = gradients.gplvm_log_likelihood(X, Y, alpha, beta, eval_gradient=True)
    graph = gplvm_graph()
    _agree(graph, {**latent, "Y": Y}, *L)
    assert len(graph.gradient_paths("X")) == 4
    assert graph.value("L1") == pytest.approx(L1[0], rel=1e-9, abs=1e-9)
    dL_dK = gradients.gp_log_likelihood(graph.value("K"), Y, eval_gradient=True)[1]
    scale = np.abs(dL_dK).max()
    np.testing.assert_allclose(graph.gradient("K"), dL_dK, rtol=1e-7, atol=1e-9 * scale)


@given(c=st.integers(2, 5), **SIZES)
def test_two_layer_network(n, p, m, c, seed):
    rng = np.random.default_rng(seed)
    inputs = {"W1": rng.normal(size=(m, p)), "b1": rng.normal(size=m)}
    inputs |= {"W2": rng.normal(size=(c, m)), "b2": rng.normal(size=c)}
    inputs |= {"X": rng.normal(size=(n, p)), "y": rng.integers(c, size=n)}
    expected = gradients.two_layer_loss(**inputs, eval_gradient=True)
    _agree(two_layer_graph(), inputs, *expected)


def _check(graph, point, **constants):
    def evaluate(**variables):
        return graph.forward(**variables, **constants), graph.backward()

    return gradients.check_gradient(evaluate, point)


COLUMN_SUMS = Operation(
    "column_sums",
    lambda A: A.sum(axis=0),
    (lambda g, z, A: np.tile(g, (len(A), 1)),),
    lambda shape: shape[1:],
    r"{0}^\top 1",
)


def test_own_graph_against_finite_differences():
    """Every operation, with factors, a node used twice, and an own operation."""
    A, s, v = Input("A", (3, 3)), Input("s", ()), Input("v", ("n",))
    B, y = Input("B", ("n", 3)), Input("y", ("n",), constant=True)
    K = add_to_diagonal(A @ A.T, exp(s)).named("K")
    hidden = swish(B @ inverse(K) - 2 * B)
    likelihood = -0.5 * trace(K) + 0.25 * log_determinant(K) + log(s) * squared_norm(B)
    logits = hidden * B + apply(COLUMN_SUMS, A * s)
    fit = softmax_cross_entropy(logits, y) / Dimension("n")
    rest = total(v * v) - total(-B) * s + 3 * (s + s) - 0.1 * (s / total(v))
    graph = ComputationalGraph((likelihood + fit + rest).named("L"))
    rng = np.random.default_rng(0)
    point = {"A": rng.normal(size=(3, 3)), "s": 1.3, "v": rng.normal(size=4)}
    point["B"] = rng.normal(size=(4, 3))

    def evaluate(**variables):
        return graph.forward(**variables, y=[0, 2, 1, 1]), graph.backward()

    assert gradients.check_gradient(evaluate, point) < 1e-8
    for name in point:
        paths = graph.gradient_paths(name)
        np.testing.assert_allclose(
            sum(path.gradient for path in paths), graph.gradient(name), rtol=1e-9
        )


def test_operators_and_their_names():
    X, W, b = Input("X", ("n", "p")), Input("W", ("m", "p")), Input("b", ("m",))
    s = Input("s", ())
    assert (X @ W.T + b).name == "(X @ W') + b"
    assert (b + X @ W.T).shape == ("n", "m")
    assert (2 * squared_norm(X)).factor == (squared_norm(X) * 2).factor == 2
    assert (np.float64(2) * X).name == (X * 2).name == "2 * X"
    assert (-X).name == "-X"
    assert (X / s).name == "(1 / s) * X"
    assert (X + X + X).parents == (X, X, X)
    assert ((X + X).named("S") + X).name == "S + X"
    assert (2 * (X + X)).name == "2 * (X + X)"
    assert (0.5 * (3 * X)).factor == 1.5
    H = X @ W.T
    assert 2 * H.named("H") is not H and (2 * H.named("H")).parents[0].name == "H"
    graph = ComputationalGraph(squared_norm(X @ W.T - X @ W.T))
    assert {"X @ W'", "X @ W' (2)", "W'", "W' (2)"} <= set(graph.nodes)
    assert "inputs X, W" in repr(graph)


def test_numbers_and_what_is_constant():
    x, c = Input("x", ()), Input("c", (), constant=True)
    graph = ComputationalGraph(((6 / x) * c / 2).named("L"))
    assert graph.forward(x=4.0, c=2) == 1.5
    assert graph.backward() == {"x": -0.375}
    assert graph.gradient("L") == 1.0
    assert graph.differentiates("6 * 1 / x", "L")
    assert not graph.differentiates("c", "L") and not graph.differentiates("x", "L")
    only = ComputationalGraph(c)
    assert only.forward(c=1) == 1 and only.backward() == {}


def test_values_are_copies():
    x = Input("x", ("n",))
    graph = ComputationalGraph(squared_norm(x))
    given = np.ones(2)
    graph.forward(x=given)
    given[:] = 7
    graph.value("x")[:] = 8
    graph.backward()["x"][:] = 9
    np.testing.assert_array_equal(graph.gradient("x"), [2, 2])


def test_many_paths_are_counted_before_they_are_walked():
    x = Input("x", ())
    node = x
    for _ in range(40):
        node = node + node
    graph = ComputationalGraph(node)
    graph.forward(x=1.0)
    assert graph.backward()["x"] == 2.0**40
    with pytest.raises(ValueError, match=f"{2**40} paths"):
        graph.gradient_paths("x")


AUTOENCODER = {"X": np.ones((3, 2)), "W": np.ones((1, 2))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"W": None}, "input 'W' of shape (m, p) is missing"),
        ({"Z": 1.0}, "unknown input 'Z'; the inputs are X, W"),
        ({"X": np.ones(3)}, "value of X has shape (3,), expected (n, p)"),
        (
            {"W": np.ones((1, 5))},
            "value of W has shape (1, 5), expected (m, p) with p = 2, as in X",
        ),
        ({"W": np.ones((1, 2), complex)}, "W must hold real numbers"),
        ({"W": [["a", "b"]]}, "W must hold real numbers"),
    ],
)
def test_wrong_inputs(change, message):
    inputs = {k: v for k, v in (AUTOENCODER | change).items() if v is not None}
    graph = autoencoder_graph()
    with pytest.raises(ValueError, match=re.escape(message)):
        graph.forward(**inputs)
    with pytest.raises(ValueError, match="needs forward"):
        graph.backward()


def test_wrong_order_and_wrong_names():
    graph = autoencoder_graph()
    for early in (graph.backward, lambda: graph.gradient_paths("W")):
        with pytest.raises(ValueError, match="needs forward"):
            early()
    with pytest.raises(ValueError, match="value needs forward"):
        graph.value("H")
    graph.forward(**AUTOENCODER)
    with pytest.raises(ValueError, match="needs backward"):
        graph.gradient("H")
    graph.backward()
    for method in (graph.value, graph.gradient, graph.gradient_paths):
        with pytest.raises(ValueError, match="no node is called 'V'; there are X, W"):
            method("V")
    for method in (graph.gradient, graph.gradient_paths):
        with pytest.raises(ValueError, match="'X' is constant"):
            method("X")
    graph.forward(**AUTOENCODER)  # what came back before belongs to other values
    with pytest.raises(ValueError, match="needs backward"):
        graph.gradient("H")


def test_wrong_graphs():
    X, W, s = Input("X", ("n", "p")), Input("W", ("m", "p")), Input("s", ())
    wrong = {
        "matrix product": lambda: X @ W,
        "equal shapes": lambda: X + W,
        "elementwise product": lambda: X * W,
        "only a scalar can divide": lambda: s / X,
        "transpose needs a matrix": lambda: Input("v", "n").T,
        "an inverse needs a square": lambda: inverse(X),
        "a determinant needs a square": lambda: log_determinant(X),
        "a trace needs a square": lambda: trace(X),
        "factor must be a scalar": lambda: add_to_diagonal(X @ X.T, X),
        "cross-entropy needs": lambda: softmax_cross_entropy(X, X),
        "cannot be added to each row": lambda: X + Input("v", "n"),
        "at most two dimensions": lambda: Input("T", ("a", "b", "c")),
        "positive sizes": lambda: Input("T", (0,)),
        "name must be a text": lambda: Input(3, ()),
        "takes 1 arguments, got 2": lambda: apply(squared_norm(X).operation, X, X),
        "two nodes are called 'X'": lambda: ComputationalGraph(
            squared_norm(X) + squared_norm(Input("X", ("n", "p")))
        ),
    }
    for message, build in wrong.items():
        with pytest.raises(ValueError, match=message):
            build()
    with pytest.raises(TypeError, match="an array enters a graph as the value"):
        X @ np.ones((2, 2))
    with pytest.raises(TypeError, match="output must be a node"):
        ComputationalGraph("L")
    matrix = ComputationalGraph(X @ W.T)
    matrix.forward(X=np.ones((2, 3)), W=np.ones((1, 3)))
    with pytest.raises(ValueError, match="only a scalar has a gradient"):
        matrix.backward()
    with pytest.raises(ValueError, match="no input's shape has the symbol 'k'"):
        ComputationalGraph(s * Dimension("k")).forward(s=1)


def test_own_operations_that_break_their_word():
    cube = Operation(
        "cube", lambda x: x[None, None] ** 3, (lambda g, z, x: g,), lambda s: s, "{0}^3"
    )
    x = Input("x", ("n",))
    with pytest.raises(ValueError, match=r"value of cube\(x\) has shape \(1, 1, 2\)"):
        ComputationalGraph(total(apply(cube, x))).forward(x=[1.0, 2.0])
    flat = cube._replace(forward=lambda x: x**3, pullbacks=(lambda g, z, x: g.sum(),))
    graph = ComputationalGraph(total(apply(flat, x)))
    graph.forward(x=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"gradient of x has shape \(\), expected"):
        graph.backward()


@pytest.mark.parametrize("build", [autoencoder_graph, gplvm_graph, two_layer_graph])
def test_dot(build):
    graph = build()
    dot = graph.to_dot()
    names = re.findall(r'^  "([^"]+)" \[label=', dot, flags=re.MULTILINE)
    assert names == list(graph.nodes)
    edges = re.findall(r'^  "([^"]+)" -> "([^"]+)";$', dot, flags=re.MULTILINE)
    assert sorted(edges) == sorted(
        (parent.name, name)
        for name, node in graph.nodes.items()
        for parent in node.parents
    )
    assert dot.startswith("digraph {") and dot.rstrip().endswith("}")
    assert '\\n(n, m)"' in autoencoder_graph().to_dot()


def test_formulas_say_what_is_computed():
    graph = gplvm_trace_graph()
    K, K_inv = graph.nodes["K"], graph.nodes["inv(K)"]
    T = formulas.TRANSPOSED
    assert formulas.formula(K) == rf"\alpha\,X\,X{T} + \beta^{{-1}}\,I"
    assert formulas.backward_formula(K, graph.uses) == (
        r"-K^{-\mathrm{T}} \overline{K^{-1}}\,K^{-\mathrm{T}}"
    )
    assert formulas.barred(K_inv) == r"\overline{K^{-1}}"
    X, b = Input("X", ("n", "n")), Input("lambda_2", ("n",))
    assert formulas.symbol(b) == r"\lambda_{2}"
    assert formulas.symbol(Input("noise", ())) == r"\mathrm{noise}"
    assert formulas.formula((X - X) @ X) == r"(X - X)\,X"
    assert formulas.formula(inverse(X @ X)) == r"(X\,X)^{-1}"
    assert formulas.formula(0.5 * (X + X)) == r"\frac{1}{2}\,(X + X)"
    assert formulas.formula((X @ X).T) == rf"(X\,X){T}"
