"""What ComputationalGraphDisplay draws, and how it is laid out."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.path import Path

from gplvm.graphs import ComputationalGraph, Input, squared_norm
from gplvm.graphs._losses import LOSS_GRAPHS
from gplvm.plotting import ComputationalGraphDisplay
from gplvm.plotting._graph import save_graph
from gplvm.plotting._layered import layered_layout


def _inside(inner, outer, slack=0.5):
    return (
        inner.x0 >= outer.x0 - slack
        and inner.x1 <= outer.x1 + slack
        and inner.y0 >= outer.y0 - slack
        and inner.y1 <= outer.y1 + slack
    )


@pytest.mark.parametrize("name", LOSS_GRAPHS)
def test_losses_are_drawn_whole_and_without_crossings(name):
    graph = LOSS_GRAPHS[name]()
    display = ComputationalGraphDisplay.from_graph(graph)
    display.figure_.canvas.draw()
    assert display.n_crossings_ == 0
    assert set(display.boxes_) == set(display.texts_) == set(graph.nodes)
    assert len(display.edges_) == sum(len(n.parents) for n in graph.nodes.values())
    boxes = {n: box.get_window_extent() for n, box in display.boxes_.items()}
    for node, box in boxes.items():
        assert _inside(box, display.figure_.bbox)
        for text in display.texts_[node]:
            assert _inside(text.get_window_extent(), box, slack=2)
            assert text.get_fontsize() * display.figure_.dpi / 72 >= 10  # pixels
        for parent in graph.nodes[node].parents:
            parent_name = next(n for n, p in graph.nodes.items() if p is parent)
            assert boxes[parent_name].x1 < box.x0  # left to right
    placed = list(boxes.values())
    for i, one in enumerate(placed):
        assert not any(one.overlaps(other) for other in placed[i + 1 :])


def test_edges_pass_by_the_boxes():
    graph = LOSS_GRAPHS["gplvm"]()
    display = ComputationalGraphDisplay.from_graph(graph, key=False)
    for edge in display.edges_:
        path = edge.get_path().cleaned(curves=False)  # in data coordinates
        drawn = path.vertices[np.isin(path.codes, (Path.MOVETO, Path.LINETO))]
        points = Path(drawn).interpolated(20).vertices
        for box in display.boxes_.values():
            x, y = box.get_x(), box.get_y()
            inside = (points > [x + 1, y + 1]) & (
                points < [x + box.get_width() - 1, y + box.get_height() - 1]
            )
            assert not inside.all(axis=1).any()


def test_what_is_said_in_a_box():
    graph = LOSS_GRAPHS["autoencoder"]()
    display = ComputationalGraphDisplay.from_graph(graph)
    forward, shape, backward = (text.get_text() for text in display.texts_["R"])
    assert (forward, shape, backward) == (
        "$R = O - X$", r"$n \times p$", r"$\bar{R} = R$"
    )  # fmt: skip
    assert len(display.texts_["X"]) == 2  # data: no gradient
    colours = {text.get_color() for text in display.texts_["R"]}
    assert len(colours) == 3
    plain = ComputationalGraphDisplay(graph).plot(backward=False, shapes=False)
    assert [len(texts) for texts in plain.texts_.values()] == [1] * 7
    assert plain.figure_.get_figheight() < display.figure_.get_figheight()


def test_given_axes_and_keyword_arguments():
    figure, axes = plt.subplots(1, 2, figsize=(12, 4))
    display = ComputationalGraphDisplay.from_graph(
        LOSS_GRAPHS["autoencoder"](),
        ax=axes[1],
        forward_kwargs={"color": "#112233", "size": 15},
        backward_kwargs={"color": "red"},
        box_kwargs={"facecolor": "yellow"},
        edge_kwargs={"linewidth": 3},
    )
    assert display.ax_ is axes[1] and display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert display.texts_["H"][0].get_color() == "#112233"
    assert display.texts_["H"][2].get_color() == "red"
    assert display.boxes_["H"].get_facecolor() == (1, 1, 0, 1)
    assert display.edges_[0].get_linewidth() == 3
    figure.canvas.draw()
    box = display.boxes_["H"].get_window_extent()
    for text in display.texts_["H"]:  # text shrinks with the axes
        assert _inside(text.get_window_extent(), box, slack=2)
    with pytest.raises(TypeError, match="must be a ComputationalGraph"):
        ComputationalGraphDisplay.from_graph("autoencoder")


def test_one_node_and_two_edges_between_two():
    x = Input("x", ())
    alone = ComputationalGraphDisplay.from_graph(ComputationalGraph(x))
    assert list(alone.boxes_) == ["x"] and not alone.edges_
    twice = ComputationalGraphDisplay.from_graph(ComputationalGraph(x * x))
    assert len(twice.edges_) == 2 and twice.n_crossings_ == 0


def test_saved_files_are_reproducible(tmp_path):
    graph = ComputationalGraph(squared_norm(Input("x", ("n",))).named("L"))
    (tmp_path / "again").mkdir()
    first = save_graph(graph, tmp_path / "v1.0")
    second = save_graph(graph, tmp_path / "again" / "v1.0")
    assert [path.name for path in first] == ["v1.0.png", "v1.0.svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert not plt.get_fignums()


@settings(max_examples=25)
@given(st.data())
def test_layouts_of_trees_have_no_crossing_and_nothing_overlaps(data):
    n = data.draw(st.integers(1, 9))
    heads = [data.draw(st.integers(0, i - 1)) for i in range(1, n)]
    edges = [(i, head) for i, head in enumerate(heads, start=1)]
    size = st.tuples(st.floats(5, 60), st.floats(5, 40))
    sizes = data.draw(st.lists(size, min_size=n, max_size=n))
    layout = layered_layout(sizes, edges)
    assert layout.crossings == 0
    centres, halves = np.column_stack([layout.x, layout.y]), np.array(sizes) / 2
    assert np.all(centres - halves > -1e-6)
    assert np.all(centres + halves < [layout.width + 1e-6, layout.height + 1e-6])
    for i in range(n):
        apart = np.abs(centres - centres[i]) >= halves + halves[i] - 1e-6
        assert np.delete(apart.any(axis=1), i).all()
    for (tail, head), route in zip(edges, layout.routes, strict=True):
        assert np.all(np.diff(route[:, 0]) >= -1e-9)
        assert route[0, 0] == pytest.approx(centres[tail, 0] + halves[tail, 0])
        assert route[-1, 0] == pytest.approx(centres[head, 0] - halves[head, 0])


def test_a_crossing_that_is_needed_is_counted():
    # K(3, 3) in two columns has nine crossings at least.
    edges = [(i, j) for i in range(3) for j in range(3, 6)]
    assert layered_layout(np.ones((6, 2)), edges).crossings == 9
    with pytest.raises(ValueError, match="cycle"):
        layered_layout(np.ones((2, 2)), [(0, 1), (1, 0)])
