"""What LatentSpaceDisplay draws, measured on the drawn figure."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color, to_hex, to_rgb
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from gplvm.plotting import LatentSpaceDisplay
from gplvm.plotting._style import class_styles


def _inside(inner, outer, slack=0.5):
    return (
        inner.x0 >= outer.x0 - slack
        and inner.y0 >= outer.y0 - slack
        and inner.x1 <= outer.x1 + slack
        and inner.y1 <= outer.y1 + slack
    )


def _overlap(a, b, slack=0.5):
    return (
        min(a.x1, b.x1) - max(a.x0, b.x0) > slack
        and min(a.y1, b.y1) - max(a.y0, b.y0) > slack
    )


def _legend_colors(display):
    legend = display.legend_
    return {
        text.get_text(): to_hex(handle.get_color())
        for text, handle in zip(legend.get_texts(), legend.legend_handles, strict=True)
    }


def _figure_fits(display):
    """All of the axes, with legend and colour bar, lies in the figure."""
    display.figure_.canvas.draw()
    return _inside(display.ax_.get_tightbbox(), display.figure_.bbox, slack=1.0)


@pytest.fixture
def gp(fake_gp, faces):
    return fake_gp().fit(faces[0].reshape(140, -1))


def test_from_estimator_draws_everything(gp, faces, species):
    images, target = faces
    display = LatentSpaceDisplay.from_estimator(gp, images, target, label_names=species)
    assert isinstance(display, LatentSpaceDisplay)
    assert display.figure_ is display.ax_.figure
    assert display.ax_.get_aspect() == 1
    assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == (
        "latent 1",
        "latent 2",
    )
    assert sum(len(points.get_offsets()) for points in display.points_) == 140
    expected = {n: to_hex(s.color) for n, s in zip(species, class_styles(species))}  # noqa: B905
    assert _legend_colors(display) == expected
    for points, style in zip(display.points_, class_styles(species), strict=True):
        assert same_color(points.get_facecolor()[0, :3], style.color)
    assert display.background_ is not None
    assert display.thumbnails_
    assert _figure_fits(display)
    legend = display.legend_.get_window_extent()
    assert legend.x0 >= display.ax_.bbox.x1
    bar = display.colorbar_.ax.get_tightbbox()
    assert not _overlap(bar, legend)
    assert not _overlap(bar, display.ax_.bbox)


def test_points_lie_where_the_estimator_puts_them(gp, faces):
    rows = faces[0].reshape(140, -1)
    display = LatentSpaceDisplay.from_estimator(gp, rows)
    np.testing.assert_allclose(display.points_[0].get_offsets(), gp.transform(rows))


def test_background_is_the_mean_std(gp, faces):
    display = LatentSpaceDisplay.from_estimator(
        gp, faces[0], grid_resolution=20, thumbnails=False
    )
    values, (x0, x1, y0, y1) = display.uncertainty
    assert max(values.shape) == 20
    n_y, n_x = values.shape
    x = x0 + (3 + 0.5) * (x1 - x0) / n_x
    y = y0 + (5 + 0.5) * (y1 - y0) / n_y
    assert values[5, 3] == pytest.approx(1 + np.hypot(x, y))
    assert display.background_.get_extent() == [x0, x1, y0, y1]


def test_no_background_without_a_std(gp, faces):
    pca = PCA(2).fit(faces[0].reshape(140, -1))
    for display in (
        LatentSpaceDisplay.from_estimator(pca, faces[0]),
        LatentSpaceDisplay.from_estimator(gp, faces[0], uncertainty=False),
        LatentSpaceDisplay.from_estimator(gp, faces[0], background=False),
    ):
        assert display.background_ is None
        assert display.colorbar_ is None


@pytest.mark.parametrize("stretch", [(1, 1), (20, 1), (1, 8)])
@pytest.mark.parametrize("n_thumbnails", [True, 5])
def test_thumbnails_neither_overlap_nor_leave_the_axes(faces, stretch, n_thumbnails):
    images, target = faces
    Z = np.random.default_rng(1).normal(size=(140, 2)) * stretch
    display = LatentSpaceDisplay.from_embedding(
        Z, labels=target, images=images, thumbnails=n_thumbnails
    )
    assert _figure_fits(display)
    boxes = [image.get_window_extent() for image in display.thumbnails_]
    assert len(boxes) == 5 if n_thumbnails == 5 else len(boxes) >= 7
    assert len(set(display.thumbnail_indices_)) == len(boxes)
    assert not any(_overlap(a, b, 0) for a, b in itertools.combinations(boxes, 2))
    assert all(_inside(box, display.ax_.bbox) for box in boxes)
    for box in boxes:
        assert box.width == pytest.approx(box.height)
    for image, index in zip(
        display.thumbnails_, display.thumbnail_indices_, strict=True
    ):
        np.testing.assert_array_equal(image.get_array(), images[index])


def test_every_class_has_a_thumbnail(faces):
    images, target = faces
    Z = np.column_stack([target * 2.0, np.random.default_rng(0).normal(size=140)])
    display = LatentSpaceDisplay.from_embedding(Z, labels=target, images=images)
    assert set(target[display.thumbnail_indices_]) == set(range(7))


@pytest.mark.parametrize("layout", ["constrained", None])
def test_given_axes_are_used_and_neighbours_left_alone(gp, faces, species, layout):
    images, target = faces
    fig, axes = plt.subplots(2, 2, figsize=(11, 8), layout=layout)
    displays = [
        LatentSpaceDisplay.from_estimator(
            gp, images, target, label_names=species, ax=ax, thumbnails=4
        )
        for ax in axes.flat
    ]
    fig.canvas.draw()
    assert [display.ax_ for display in displays] == list(axes.flat)
    assert all(display.figure_ is fig for display in displays)
    assert len(plt.get_fignums()) == 1
    for display, other in itertools.permutations(displays, 2):
        legend = display.legend_.get_window_extent()
        assert not _overlap(legend, other.ax_.bbox)
        assert _inside(legend, fig.bbox, slack=1)
    for display in displays:
        box = display.ax_.bbox
        assert not _overlap(display.legend_.get_window_extent(), box)
        boxes = [image.get_window_extent() for image in display.thumbnails_]
        assert all(_inside(image, box) for image in boxes)


def test_saving_tightly_keeps_legend_and_bar(gp, faces, tmp_path):
    from matplotlib.image import imread

    display = LatentSpaceDisplay.from_estimator(gp, faces[0], faces[1])
    path = tmp_path / "latent.png"
    display.figure_.savefig(path, bbox_inches="tight")
    assert imread(path).std() > 0
    display.figure_.savefig(tmp_path / "latent.pdf")


def test_same_species_same_colour_whatever_is_present(species):
    Z = np.random.default_rng(0).normal(size=(30, 2))
    full = LatentSpaceDisplay.from_embedding(
        Z, labels=np.arange(30) % 7, label_names=species
    )
    some = LatentSpaceDisplay.from_embedding(
        Z, labels=np.array(["viperwolf", "hexapede", "newcomer"])[np.arange(30) % 3]
    )
    full, some = _legend_colors(full), _legend_colors(some)
    assert set(some) == {"viperwolf", "hexapede", "newcomer"}
    assert some["viperwolf"] == full["viperwolf"]
    assert some["hexapede"] == full["hexapede"]
    assert some["newcomer"] not in (some["viperwolf"], some["hexapede"])


def test_integer_classes_keep_their_colour_when_others_are_absent():
    Z = np.random.default_rng(0).normal(size=(30, 2))
    full = LatentSpaceDisplay.from_embedding(Z, labels=np.arange(30) % 5)
    some = LatentSpaceDisplay.from_embedding(Z, labels=np.arange(30) % 2 + 3)
    full, some = _legend_colors(full), _legend_colors(some)
    assert some == {name: full[name] for name in ("3", "4")}


@pytest.mark.parametrize("labels", [None, np.ones(20, dtype=int)])
def test_no_legend_for_one_class(labels):
    Z = np.random.default_rng(0).normal(size=(20, 2))
    display = LatentSpaceDisplay.from_embedding(Z, labels=labels)
    assert display.legend_ is None
    assert len(display.points_) == 1
    assert _figure_fits(display)


@pytest.mark.parametrize("labelled", [True, False])
def test_one_dimension_is_a_strip(fake_gp, faces, species, labelled):
    images, target = faces
    rows = images.reshape(140, -1)
    gp = fake_gp(1).fit(rows)
    display = LatentSpaceDisplay.from_estimator(
        gp, images, target if labelled else None, label_names=species
    )
    assert _figure_fits(display)
    assert display.legend_ is None
    x = np.concatenate([points.get_offsets()[:, 0] for points in display.points_])
    np.testing.assert_allclose(np.sort(x), np.sort(gp.transform(rows)[:, 0]))
    names = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert names == (species[::-1] if labelled else [])
    assert display.background_.get_array().shape[0] == 1
    boxes = [image.get_window_extent() for image in display.thumbnails_]
    assert boxes
    assert all(_inside(box, display.ax_.bbox) for box in boxes)
    assert not any(_overlap(a, b) for a, b in itertools.combinations(boxes, 2))
    for box in boxes:
        assert box.width == pytest.approx(box.height)


def test_most_relevant_dimensions_are_shown(fake_gp, faces):
    gp = fake_gp(4).fit(faces[0].reshape(140, -1))
    gp.relevance_ = np.array([0.1, 3.0, 0.0, 5.0])
    display = LatentSpaceDisplay.from_estimator(gp, faces[0], grid_resolution=5)
    assert display.dimensions == (3, 1)
    assert display.ax_.get_xlabel() == "latent 4"
    display = LatentSpaceDisplay.from_estimator(
        gp, faces[0], dimensions=2, grid_resolution=5, feature_names=list("abcd")
    )
    assert display.ax_.get_xlabel() == "c"


def test_five_thousand_points_are_small_and_rasterized():
    Z = np.random.default_rng(0).normal(size=(5000, 2))
    many = LatentSpaceDisplay.from_embedding(Z, labels=np.arange(5000) % 7)
    few = LatentSpaceDisplay.from_embedding(Z[:50], labels=np.arange(50) % 7)
    crowd, sparse = many.points_[0], few.points_[0]
    assert crowd.get_rasterized()
    assert crowd.get_alpha() < sparse.get_alpha()
    assert crowd.get_sizes().max() < sparse.get_sizes().min()
    assert _figure_fits(many)


def test_a_crowd_keeps_place_colour_and_marker_in_an_order_that_mixes_the_classes():
    rng = np.random.default_rng(0)
    Z, labels = rng.normal(size=(3000, 2)), np.repeat(np.arange(5), 600)
    display = LatentSpaceDisplay.from_embedding(Z, labels=labels)
    crowd, *keys = display.points_
    drawn = np.asarray(crowd.get_offsets())
    order = np.lexsort(drawn.T)
    np.testing.assert_array_equal(drawn[order], Z[np.lexsort(Z.T)])
    place = np.empty(3000, dtype=int)  # the class of each point as it is drawn
    place[order] = labels[np.lexsort(Z.T)]
    colors = [style.color for style in class_styles([str(i) for i in range(5)])]
    faces = crowd.get_facecolors()
    assert all(
        same_color(face[:3], colors[i]) for face, i in zip(faces, place, strict=True)
    )
    paths = {i: crowd.get_paths()[np.argmax(place == i)] for i in range(5)}
    assert all(
        path is paths[i] for path, i in zip(crowd.get_paths(), place, strict=True)
    )
    assert len({path.vertices.tobytes() for path in paths.values()}) == 5
    # Any tenth of the drawing has every class about as often.
    for part in np.split(place, 10):
        assert np.all(np.abs(np.bincount(part, minlength=5) - 60) < 35)
    assert all(len(key.get_offsets()) == 0 for key in keys)
    assert [key.get_label() for key in keys] == list("01234")
    assert _legend_colors(display).keys() == set("01234")
    for handle in display.legend_.legend_handles:
        assert handle.get_alpha() in (None, 1)


def test_no_class_of_a_crowd_is_buried():
    """Of equal classes in one place each keeps its share of the ink."""
    Z = np.random.default_rng(0).normal(size=(5000, 2)) * 0.1
    display = LatentSpaceDisplay.from_embedding(
        Z, labels=np.arange(5000) % 2, scatter_kwargs={"alpha": 1, "marker": "o"}
    )
    figure = display.figure_
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3].astype(float)
    box = display.ax_.bbox
    high = pixels.shape[0]
    inside = pixels[
        int(high - box.y1) : int(high - box.y0), int(box.x0) : int(box.x1)
    ].reshape(-1, 3)
    counts = []
    for style in class_styles(["0", "1"]):
        color = 255 * np.array(to_rgb(style.color))
        counts.append(np.sum(np.abs(inside - color).max(axis=1) < 2))
    assert 0.7 < counts[0] / counts[1] < 1.4


def test_values_per_point_follow_their_points_in_a_crowd():
    Z = np.random.default_rng(0).normal(size=(1500, 2))
    display = LatentSpaceDisplay.from_embedding(
        Z, labels=np.arange(1500) % 3, scatter_kwargs={"c": Z[:, 0], "s": 9 + Z[:, 1]}
    )
    crowd = display.points_[0]
    np.testing.assert_array_equal(crowd.get_array(), crowd.get_offsets()[:, 0])
    np.testing.assert_array_equal(crowd.get_sizes(), 9 + crowd.get_offsets()[:, 1])


def test_keyword_arguments_win(gp, faces):
    display = LatentSpaceDisplay.from_estimator(
        gp,
        faces[0],
        faces[1],
        thumbnail_size=0.2,
        scatter_kwargs={"alpha": 0.3, "marker": "x", "edgecolors": None},
        thumbnail_kwargs={"cmap": "viridis", "clim": (0, 2)},
        background_kwargs={"cmap": "Reds", "vmin": 0},
        legend_kwargs={"title": "species", "ncols": 2},
    )
    assert display.points_[0].get_alpha() == 0.3
    assert display.thumbnails_[0].get_cmap().name == "viridis"
    assert display.thumbnails_[0].get_clim() == (0, 2)
    assert display.background_.get_cmap().name == "Reds"
    assert display.background_.norm.vmin == 0
    assert display.legend_.get_title().get_text() == "species"
    width = display.thumbnails_[0].get_window_extent().width
    longest = max(display.ax_.bbox.width, display.ax_.bbox.height)
    assert width == pytest.approx(0.2 * longest, rel=0.01)


def test_tables_are_not_mistaken_for_images(faces):
    table = np.random.default_rng(0).normal(size=(60, 100))
    pca = PCA(2).fit(table)
    assert LatentSpaceDisplay.from_estimator(pca, table).images is None
    display = LatentSpaceDisplay.from_estimator(pca, table, image_shape=(5, 20))
    assert display.images.shape == (60, 5, 20)
    rows = faces[0].reshape(140, -1)
    display = LatentSpaceDisplay.from_estimator(PCA(2).fit(rows), rows)
    assert display.images.shape == (140, 12, 12)


def test_colour_images(faces):
    colour = np.repeat(faces[0][..., None], 3, axis=3)
    Z = np.random.default_rng(0).normal(size=(140, 2))
    display = LatentSpaceDisplay.from_embedding(Z, images=colour, thumbnails=3)
    assert len(display.thumbnails_) == 3
    assert _figure_fits(display)


def test_data_frames(faces):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(faces[0].reshape(140, -1)).add_prefix("pixel")
    pca = PCA(2).set_output(transform="pandas").fit(frame)
    display = LatentSpaceDisplay.from_estimator(pca, frame, faces[1])
    assert display.images.shape == (140, 12, 12)
    assert isinstance(display.embedding, np.ndarray)


@pytest.mark.parametrize("n", [1, 2])
def test_a_point_or_two(n):
    Z = np.zeros((n, 2))
    display = LatentSpaceDisplay.from_embedding(Z, images=np.ones((n, 3, 3)))
    assert _figure_fits(display)


def test_a_std_that_is_equal_everywhere():
    Z = np.random.default_rng(0).normal(size=(9, 2))
    for value in (0.0, 2.0):
        grid = np.full((4, 5), value), (-3, 3, -3, 3)
        display = LatentSpaceDisplay.from_embedding(Z, uncertainty=grid)
        assert _figure_fits(display)


def test_global_settings_stay(gp, faces):
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    LatentSpaceDisplay.from_estimator(gp, faces[0], faces[1])
    assert dict(mpl.rcParams) == before


Z = np.random.default_rng(0).normal(size=(10, 3))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"labels": [0, 1]}, "labels has 2 entries for 10"),
        ({"labels": np.ones((10, 2))}, "one-dimensional"),
        ({"labels": np.linspace(0, 1, 10)}, "must be classes"),
        ({"labels": [3] * 10, "label_names": ["a", "b"]}, "label_names has 2"),
        ({"labels": [-1] * 10, "label_names": ["a", "b"]}, "label_names has 2"),
        ({"labels": ["x"] * 10, "label_names": ["a", "b"]}, "not among label_names"),
        ({"images": np.ones((9, 4, 4))}, "images has 9 entries"),
        ({"images": np.ones((10, 5))}, "no square number"),
        ({"images": np.ones((10, 4)), "image_shape": (3, 3)}, "does not fit"),
        ({"images": np.ones((10, 4, 4, 2))}, "must have shape"),
        ({"dimensions": (0, 3)}, "from 0 to 2"),
        ({"dimensions": (0, -1)}, "from 0 to 2"),
        ({"dimensions": (1, 1)}, "different"),
        ({"dimensions": (0, 1, 2)}, "one or two"),
        ({"feature_names": ["a"]}, "feature_names has 1 entries for 3"),
        ({"thumbnails": 4}, "no images"),
        ({"thumbnails": -1}, "a bool or a count"),
        ({"images": np.ones((10, 4, 4)), "thumbnail_size": 2}, "thumbnail_size"),
        ({"uncertainty": np.ones((3, 3))}, "uncertainty must be a tuple"),
        ({"uncertainty": (np.ones(4), (0, 1, 0, 1))}, "as many axes"),
    ],
)
def test_errors_say_what_is_wrong(settings, message):
    with pytest.raises(ValueError, match=message):
        LatentSpaceDisplay.from_embedding(Z, **settings)


def test_errors_about_the_estimator(gp, faces):
    images, _ = faces
    with pytest.raises(NotFittedError):
        LatentSpaceDisplay.from_estimator(PCA(2), images)
    with pytest.raises(TypeError, match="no method 'transform'"):
        LatentSpaceDisplay.from_estimator(object(), images)
    with pytest.raises(TypeError, match="is a class"):
        LatentSpaceDisplay.from_estimator(PCA, images)
    with pytest.raises(ValueError, match="grid_resolution"):
        LatentSpaceDisplay.from_estimator(gp, images, grid_resolution=1)
    with pytest.raises(TypeError, match="integers"):
        LatentSpaceDisplay.from_estimator(gp, images, dimensions=("a", "b"))
    with pytest.raises(ValueError, match="NaN"):
        LatentSpaceDisplay.from_embedding([[0.0, np.nan]])
    with pytest.raises(ValueError, match="not empty"):
        LatentSpaceDisplay.from_embedding(np.empty((0, 2)))
