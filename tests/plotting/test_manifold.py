"""What LatentManifoldDisplay draws."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gplvm import GPLVM, LinearAutoencoder
from gplvm.plotting import LatentManifoldDisplay


@pytest.fixture
def rows(faces):
    return faces[0].reshape(140, -1)


def _fits(display):
    display.figure_.canvas.draw()
    inner, outer = display.ax_.get_tightbbox(), display.figure_.bbox
    return (
        min(inner.x0, inner.y0) >= -1
        and inner.x1 <= outer.x1 + 1
        and inner.y1 <= outer.y1 + 1
    )


def _centres(display):
    """Latent positions of the cells, from the extent alone."""
    x_min, x_max, y_min, y_max = display.extent
    n_rows, n_columns = display.images.shape[:2]
    x = x_min + (np.arange(n_columns) + 0.5) * (x_max - x_min) / n_columns
    y = y_min + (np.arange(n_rows) + 0.5) * (y_max - y_min) / n_rows
    return x, y


@pytest.mark.parametrize(
    "make",
    [
        lambda: PCA(2),
        lambda: LinearAutoencoder(2),
        lambda: make_pipeline(StandardScaler(), PCA(2)),
    ],
)
def test_every_image_is_what_its_place_decodes_to(make, rows):
    model = make().fit(rows)
    display = LatentManifoldDisplay.from_estimator(model, rows, n_images=6)
    assert isinstance(display, LatentManifoldDisplay)
    x, y = _centres(display)
    for i, j in ((0, 0), (len(y) - 1, 2), (1, len(x) - 1)):
        expected = model.inverse_transform(np.array([[x[j], y[i]]])).reshape(12, 12)
        np.testing.assert_allclose(display.images[i, j], expected)
    # A row of pixels of the drawing is that of the images, from the top.
    assert max(display.images.shape[:2]) == 6
    sheet = display.image_.get_array()
    low, high = display.images.min(), display.images.max()
    top_left = (display.images[-1, 0] - low) / (high - low)
    np.testing.assert_allclose(sheet[:12, :12, 0], top_left, atol=1 / 255)
    assert tuple(display.image_.get_extent()) == pytest.approx(display.extent)
    Z = model.transform(rows)
    assert display.extent[0] < Z[:, 0].min() and display.extent[3] > Z[:, 1].max()
    assert _fits(display)


def test_grid_around_the_models_own_positions(rows):
    model = GPLVM(kernel="linear").fit(rows)
    own = LatentManifoldDisplay.from_estimator(model, n_images=3)
    given = LatentManifoldDisplay.from_estimator(model, rows, n_images=3)
    np.testing.assert_allclose(own.extent, given.extent, rtol=1e-3)
    pipe = make_pipeline(StandardScaler(), GPLVM(kernel="linear")).fit(rows)
    assert LatentManifoldDisplay.from_estimator(pipe, n_images=2).images.ndim == 4
    with pytest.raises(ValueError, match="PCA keeps no latent positions"):
        LatentManifoldDisplay.from_estimator(PCA(2).fit(rows))


def test_images_fade_where_the_model_is_unsure(fake_gp, rows):
    gp = fake_gp().fit(rows)  # its std grows with the distance from the origin
    display = LatentManifoldDisplay.from_estimator(gp, rows, limits=(-30, 30, -30, 30))
    x, y = _centres(display)
    distance = np.hypot(*np.meshgrid(x, y))
    order = np.argsort(distance.ravel())
    assert np.all(np.diff(display.opacity.ravel()[order]) <= 1e-12)
    assert display.opacity.max() > 0.9 and 0 < display.opacity.min() < 0.2
    whole = LatentManifoldDisplay.from_estimator(gp, rows, fade=False)
    assert whole.opacity is None


def test_walk_between_two_classes(faces, rows, species):
    target = faces[1]
    pca = PCA(3).fit(rows)
    display = LatentManifoldDisplay.from_estimator(
        pca, faces[0], target, label_names=species, path=("thanator", 6), n_steps=5
    )
    Z = pca.transform(rows)
    for end, code in ((0, 3), (-1, 6)):
        members = Z[target == code]
        place = np.flatnonzero((members[:, :2] == display.path[end]).all(axis=1))
        assert len(place) == 1  # a member, and in all three dimensions:
        expected = pca.inverse_transform(members[place]).reshape(12, 12)
        np.testing.assert_allclose(display.path_images[end], expected)
        spread = np.linalg.norm(members - np.median(members, axis=0), axis=1)
        assert spread[place[0]] == spread.min()
    np.testing.assert_allclose(np.diff(display.path, n=2, axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(display.path_.get_xydata(), display.path)
    names = [text.get_text() for text in display.path_ax_.texts]
    assert names == ["thanator", "hexapede"]
    assert display.path_image_.get_array().shape == (12, 60, 3)
    assert _fits(display)
    plane, strip = display.ax_.get_window_extent(), display.path_ax_.get_window_extent()
    assert strip.y0 > plane.y1
    assert strip.width / strip.height == pytest.approx(5, rel=0.02)  # square images


def test_walk_between_positions_and_one_dimension(rows):
    pca = PCA(1).fit(rows)
    display = LatentManifoldDisplay.from_estimator(
        pca, rows, path=([-2.0], [3.0]), n_images=7, n_steps=4
    )
    assert display.images.shape[:2] == (1, 7)
    np.testing.assert_allclose(display.path[:, 0], np.linspace(-2, 3, 4))
    assert display.ax_.get_ylabel() == "" and _fits(display)


def test_images_that_are_not_square_and_colours(faces):
    colour = np.repeat(faces[0][:, :6, :, None], 3, axis=3)
    pca = PCA(2).fit(colour.reshape(140, -1))
    display = LatentManifoldDisplay.from_estimator(pca, colour, n_images=5)
    assert display.images.shape[2:] == (6, 12, 3)
    x_min, x_max, y_min, y_max = display.extent
    n_rows, n_columns = display.images.shape[:2]
    cell = (x_max - x_min) / n_columns, (y_max - y_min) / n_rows
    assert cell[1] / cell[0] == pytest.approx(0.5)


def test_given_axes_and_keyword_arguments(rows):
    figure, axes = plt.subplots(1, 2)
    display = LatentManifoldDisplay.from_estimator(
        PCA(2).fit(rows),
        rows,
        path=([0, 0], [1, 1]),
        ax=axes[1],
        image_kwargs={"cmap": "viridis", "interpolation": "nearest"},
        path_kwargs={"color": "red"},
    )
    assert display.ax_ is axes[1] and display.figure_ is figure
    assert len(plt.get_fignums()) == 1
    assert np.ptp(display.image_.get_array(), axis=2).max() > 0.3  # colours
    assert display.image_.get_interpolation() == "nearest"
    assert display.path_.get_color() == "red"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_images": 1}, "n_images must be an integer above 1"),
        ({"n_steps": 2.5, "path": (0, 1)}, "n_steps must be an integer"),
        ({"limits": (0, 1)}, "limits must have 4 edges"),
        ({"limits": (0, 1, 2, 2)}, "limits must increase"),
        ({"dimensions": (0, 2)}, "from 0 to 1"),
        ({"image_shape": (5, 5)}, "does not fit"),
        ({"path": (0, 9)}, "the class 9; y has 0, 1"),
        ({"path": "ab"}, "path must be a tuple"),
        ({"path": ([0, 0], [1, 2, 3])}, "has 2 dimensions"),
        ({"path": (0, 1), "y": None}, "there is no y"),
        ({"y": [1, 2], "path": (0, 1)}, "labels has 2 entries"),
    ],
)
def test_errors_say_what_is_wrong(rows, faces, settings, message):
    settings = {"y": faces[1]} | settings
    y = settings.pop("y")
    with pytest.raises(ValueError, match=message):
        LatentManifoldDisplay.from_estimator(PCA(2).fit(rows), rows, y, **settings)


def test_errors_about_the_estimator_and_the_parts(rows):
    with pytest.raises(NotFittedError):
        LatentManifoldDisplay.from_estimator(PCA(2), rows)
    with pytest.raises(TypeError, match="no method 'inverse_transform'"):
        LatentManifoldDisplay.from_estimator(object(), rows)
    images, extent = np.ones((2, 2, 4, 4)), (0, 1, 0, 1)
    for settings, message in (
        ({"images": np.ones((2, 4, 4))}, "images must have shape"),
        ({"opacity": np.ones(3)}, "opacity has shape"),
        ({"path": np.ones((3, 3))}, "path must have shape"),
        ({"path": np.ones((3, 2)), "path_images": np.ones((3, 5, 5))}, "the grid's"),
    ):
        parts = {"images": images, "extent": extent} | settings
        with pytest.raises(ValueError, match=message):
            LatentManifoldDisplay(**parts).plot()
