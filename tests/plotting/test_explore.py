"""The window that shows the image beneath the pointer, by simulated events."""

import gc
import weakref

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gplvm import GPLVM
from gplvm.plotting import explore_latent_space


@pytest.fixture
def rows(faces):
    return faces[0].reshape(140, -1)


def _event(explorer, kind, place, ax=None):
    """The pointer at a place in data coordinates."""
    x, y = (ax or explorer.ax_).transData.transform(place)
    button = {"button": 1} if kind == "button_press_event" else {}
    event = MouseEvent(kind, explorer.figure_.canvas, x, y, **button)
    explorer.figure_.canvas.callbacks.process(kind, event)


def _move(explorer, place, ax=None):
    _event(explorer, "motion_notify_event", place, ax)


def _click(explorer, place, ax=None):
    _event(explorer, "button_press_event", place, ax)


def test_the_image_follows_the_pointer(rows, faces):
    pca = PCA(2).fit(rows)
    explorer = explore_latent_space(pca, faces[0], faces[1])
    explorer.figure_.canvas.draw()
    for place in ([0.5, -0.3], [1.0, 1.1]):
        _move(explorer, place)
        expected = pca.inverse_transform([place]).reshape(12, 12)
        np.testing.assert_allclose(explorer.image_.get_array(), expected, atol=1e-12)
        np.testing.assert_allclose(explorer.position_, place)
        np.testing.assert_allclose(explorer.marker_.get_xydata(), [place])
        nearest = np.argmin(np.linalg.norm(pca.transform(rows) - place, axis=1))
        said = explorer.caption_.get_text()
        assert f"nearest sample: {faces[1][nearest]}" in said
        assert f"{place[0]:.2f}, {place[1]:.2f}" in said


def test_a_click_holds_and_lets_go(rows):
    explorer = explore_latent_space(PCA(2).fit(rows), rows)
    explorer.figure_.canvas.draw()
    _click(explorer, [0.5, 0.5])
    _move(explorer, [1.0, 1.0])
    np.testing.assert_allclose(explorer.position_, [0.5, 0.5])
    assert explorer.held_ and "held" in explorer.caption_.get_text()
    _click(explorer, [-0.5, 0.2])
    np.testing.assert_allclose(explorer.position_, [-0.5, 0.2])
    _move(explorer, [1.0, 1.0])
    np.testing.assert_allclose(explorer.position_, [1.0, 1.0])
    assert not explorer.held_


def test_elsewhere_and_after_the_end_nothing_happens(rows):
    explorer = explore_latent_space(PCA(2).fit(rows), rows)
    explorer.figure_.canvas.draw()
    _move(explorer, [0.5, 0.5])
    for act in (_move, _click):
        act(explorer, [3, 3], ax=explorer.image_ax_)
        np.testing.assert_allclose(explorer.position_, [0.5, 0.5])
    explorer.disconnect()
    _move(explorer, [1.0, 1.0])
    _click(explorer, [1.0, 1.0])
    np.testing.assert_allclose(explorer.position_, [0.5, 0.5])


def test_zooming_does_not_hold(rows):
    explorer = explore_latent_space(PCA(2).fit(rows), rows)
    explorer.figure_.canvas.draw()
    explorer.figure_.canvas.widgetlock(explorer)  # as the toolbar's zoom does
    _click(explorer, [0.5, 0.5])
    assert not explorer.held_


def test_other_dimensions_stay_at_their_mean(fake_gp, rows):
    gp = fake_gp(n_components=3).fit(rows)
    explorer = explore_latent_space(gp, rows, dimensions=(2, 0))
    explorer.figure_.canvas.draw()
    Z = gp.transform(rows)
    _move(explorer, [Z[5, 2], Z[9, 0]])
    np.testing.assert_allclose(explorer.position_, [Z[9, 0], Z[:, 1].mean(), Z[5, 2]])
    std = 1 + np.linalg.norm(explorer.position_)
    assert f"std {std:.3g}" in explorer.caption_.get_text()
    assert explorer.display.background_ is not None
    plain = explore_latent_space(gp, rows, uncertainty=False)
    assert plain.display.background_ is None


def test_one_dimension_and_pipelines_and_own_positions(rows, faces):
    pipe = make_pipeline(StandardScaler(), PCA(1)).fit(rows)
    explorer = explore_latent_space(pipe, rows, faces[1])
    explorer.figure_.canvas.draw()
    _move(explorer, [2.0, 1.0])
    np.testing.assert_allclose(explorer.position_, [2.0])
    model = GPLVM(kernel="linear").fit(rows)
    own = explore_latent_space(model)
    np.testing.assert_array_equal(own.embedding, model.embedding_)


def test_colour_images(faces):
    colour = np.repeat(faces[0][:, :6, :, None], 3, axis=3)
    explorer = explore_latent_space(PCA(2).fit(colour.reshape(140, -1)), colour)
    shown = explorer.image_.get_array()
    assert shown.shape == (6, 12, 3) and 0 <= shown.min() <= shown.max() <= 1


def test_nothing_is_cut_or_overlaps(rows, faces, species):
    explorer = explore_latent_space(
        PCA(2).fit(rows), rows, faces[1], label_names=species
    )
    explorer.figure_.canvas.draw()
    plane, image = explorer.ax_.get_tightbbox(), explorer.image_ax_.get_tightbbox()
    for box in (plane, image):
        assert box.x0 >= -1 and box.y0 >= -1
        assert box.x1 <= explorer.figure_.bbox.x1 + 1
    assert plane.x1 <= image.x0


def test_without_a_window_it_lives_as_long_as_its_figure(rows):
    shown = explore_latent_space(PCA(2).fit(rows), rows)  # Agg: no window, no warning
    figure, alive = shown.figure_, weakref.ref(shown)
    del shown
    gc.collect()
    assert alive() is not None
    plt.close(figure)
    del figure
    gc.collect()
    assert alive() is None


def test_a_window_is_shown_without_waiting(rows, monkeypatch):
    calls = []
    monkeypatch.setattr(plt, "show", lambda **settings: calls.append(settings))
    pca = PCA(2).fit(rows)
    explore_latent_space(pca, rows)
    monkeypatch.setattr("matplotlib.get_backend", lambda: "TkAgg")
    explore_latent_space(pca, rows)
    explore_latent_space(pca, rows, show=False)
    assert calls == [{"block": False}]


def test_errors_say_what_is_wrong(rows):
    pca = PCA(2).fit(rows)
    with pytest.raises(NotFittedError):
        explore_latent_space(PCA(2), rows)
    with pytest.raises(TypeError, match="no method"):
        explore_latent_space(object(), rows)
    for settings, message in (
        ({"X": None}, "give X"),
        ({"y": [1, 2]}, "y has 2 entries"),
        ({"dimensions": (0, 5)}, "from 0 to 1"),
        ({"image_shape": (7, 7)}, "does not fit"),
    ):
        with pytest.raises(ValueError, match=message):
            explore_latent_space(pca, **({"X": rows} | settings))
    explorer = explore_latent_space(pca, rows)
    for position in ([1.0], [np.nan, 0.0]):
        with pytest.raises(ValueError, match="2 finite numbers"):
            explorer.show_at(position)
