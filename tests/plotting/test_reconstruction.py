"""What ReconstructionDisplay draws."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from gplvm.plotting import LatentSpaceDisplay, ReconstructionDisplay


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


def test_one_estimator(faces, rows):
    pca = PCA(3).fit(rows)
    display = ReconstructionDisplay.from_estimator(pca, faces[0], indices=[3, 1])
    assert isinstance(display, ReconstructionDisplay)
    assert list(display.images_) == ["original", "reconstruction", "|difference|"]
    expected = pca.inverse_transform(pca.transform(rows[[3, 1]]))
    for row, values in (
        ("original", rows[[3, 1]]),
        ("reconstruction", expected),
        ("|difference|", np.abs(rows[[3, 1]] - expected)),
    ):
        drawn = [image.get_array().ravel() for image in display.images_[row]]
        np.testing.assert_allclose(drawn, values)
    rmse = np.sqrt(np.mean((rows[[3, 1]] - expected) ** 2, axis=1))
    np.testing.assert_allclose(display.errors_["reconstruction"], rmse)
    assert [float(text.get_text()) for text in display.ax_.texts] == pytest.approx(
        list(rmse), rel=0.05
    )
    assert _fits(display)


def test_originals_and_reconstructions_share_the_grey_scale(rows):
    display = ReconstructionDisplay.from_estimator(PCA(3).fit(rows), rows[:3])
    shown = display.images_["original"] + display.images_["reconstruction"]
    assert len({image.get_clim() for image in shown}) == 1
    assert len(display.colorbars_) == 1


def test_std_where_the_estimator_offers_it(fake_gp, rows):
    gp = fake_gp().fit(rows)
    display = ReconstructionDisplay.from_estimator(gp, rows[:2], residual="std")
    assert list(display.images_) == ["original", "reconstruction", "std"]
    for image, z in zip(display.images_["std"], gp.transform(rows[:2]), strict=True):
        np.testing.assert_allclose(image.get_array(), 1 + np.linalg.norm(z))
    display = ReconstructionDisplay.from_estimator(gp, rows[:2], residual=None)
    assert len(display.images_) == 2
    assert not display.colorbars_


def test_automatic_residual_shows_a_std_that_varies_within_an_image(fake_gp, rows):
    gp = fake_gp().fit(rows)  # all pixels share their std
    display = ReconstructionDisplay.from_estimator(gp, rows[:2])
    assert list(display.images_)[-1] == "|difference|"
    display = ReconstructionDisplay.from_reconstructions(
        rows[:2], rows[:2], std=np.arange(288.0).reshape(2, 144)
    )
    assert list(display.images_)[-1] == "std"


def test_several_estimators(fake_gp, rows):
    models = {"PCA": PCA(2).fit(rows), "GP": fake_gp().fit(rows)}
    display = ReconstructionDisplay.from_estimators(models, rows, n_images=3)
    assert list(display.images_) == ["original", "PCA", "GP"]
    names = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert names == ["original", "PCA", "rmse", "GP", "rmse"]
    display = ReconstructionDisplay.from_estimators(
        [PCA(2).fit(rows), PCA(3).fit(rows)], rows, n_images=2, residual="difference"
    )
    assert list(display.images_)[1::2] == ["PCA", "PCA 2"]
    assert _fits(display)


def test_rows_are_chosen_reproducibly(faces, rows):
    pca = PCA(2).fit(rows)

    def chosen(**settings):
        display = ReconstructionDisplay.from_estimator(
            pca, rows, n_images=5, residual=None, **settings
        )
        return display.images

    np.testing.assert_array_equal(chosen(), faces[0][[14, 42, 70, 98, 126]])
    np.testing.assert_array_equal(chosen(random_state=1), chosen(random_state=1))
    assert not np.array_equal(chosen(random_state=1), chosen(random_state=2))
    display = ReconstructionDisplay.from_estimator(pca, rows[:3], n_images=999)
    assert len(display.images) == 3


def test_names_above_and_frames_in_the_colour_of_the_class(faces, rows, species):
    images, target = faces
    pca = PCA(2).fit(rows)
    display = ReconstructionDisplay.from_estimator(
        pca, images, target, label_names=species, indices=range(7)
    )
    titles = [tick.get_text() for tick in display.ax_.get_xticklabels()]
    assert [title.replace("\n", " ") for title in titles] == species
    latent = LatentSpaceDisplay.from_estimator(pca, images, target, label_names=species)
    frames = {patch.get_edgecolor() for patch in display.ax_.patches}
    for handle in latent.legend_.legend_handles:
        color = plt.matplotlib.colors.to_rgba(handle.get_color())
        assert color in frames


def test_missing_pixels_are_tinted_and_left_out_of_the_error(faces):
    images = faces[0][:3].copy()
    images[:, :4] = np.nan
    display = ReconstructionDisplay.from_reconstructions(images, faces[0][:3] + 0.1)
    np.testing.assert_allclose(display.errors_["reconstruction"], 0.1)
    assert _fits(display)


def test_colour_images_and_given_errors(faces):
    colour = np.repeat(faces[0][:4, ..., None], 3, axis=3)
    display = ReconstructionDisplay.from_reconstructions(
        colour, colour * 0.9, errors=[1, 2, 3, 4]
    )
    names = [tick.get_text() for tick in display.ax_.get_yticklabels()]
    assert "error" in names and "rmse" not in names
    assert not display.colorbars_
    assert _fits(display)


def test_given_axes(rows):
    fig, axes = plt.subplots(1, 2)
    display = ReconstructionDisplay.from_estimator(
        PCA(2).fit(rows), rows[:3], ax=axes[1]
    )
    assert display.ax_ is axes[1]
    assert display.figure_ is fig
    assert len(plt.get_fignums()) == 1


def test_keyword_arguments_win(rows):
    display = ReconstructionDisplay.from_estimator(
        PCA(2).fit(rows),
        rows[:3],
        image_kwargs={"cmap": "viridis", "clim": (-1, 3)},
        residual_kwargs={"cmap": "Reds"},
    )
    assert display.images_["original"][0].get_cmap().name == "viridis"
    assert display.images_["reconstruction"][0].get_clim() == (-1, 3)
    assert display.images_["|difference|"][0].get_cmap().name == "Reds"


IMAGES = np.ones((3, 4, 4))


@pytest.mark.parametrize(
    ("arguments", "settings", "message"),
    [
        ((IMAGES, IMAGES[:2]), {}, r"has shape \(2, 4, 4\)"),
        ((IMAGES, IMAGES), {"labels": [1]}, "labels has 1"),
        ((IMAGES, IMAGES), {"errors": [1]}, "has 1 entries for 3 images"),
        ((IMAGES, IMAGES), {"residual": "std"}, "not every model has a std"),
        ((IMAGES, IMAGES), {"residual": "x"}, "residual must be one of"),
        ((IMAGES, {"a": IMAGES, "b": IMAGES}), {"std": IMAGES}, "must be a dict"),
        ((IMAGES, {"a": IMAGES}), {"std": {"b": IMAGES}}, "which no model has"),
        ((IMAGES, {"a": IMAGES}), {"errors": {"b": [1, 2, 3]}}, "must have the keys"),
        ((IMAGES, {}), {}, "empty"),
        ((np.ones((3, 5)), IMAGES), {}, "no square number"),
    ],
)
def test_errors_say_what_is_wrong(arguments, settings, message):
    with pytest.raises(ValueError, match=message):
        ReconstructionDisplay.from_reconstructions(*arguments, **settings)


def test_errors_about_the_estimator(rows):
    pca = PCA(2).fit(rows)
    with pytest.raises(NotFittedError):
        ReconstructionDisplay.from_estimator(PCA(2), rows)
    with pytest.raises(TypeError, match="no method"):
        ReconstructionDisplay.from_estimator(object(), rows)
    with pytest.raises(TypeError, match="dict"):
        ReconstructionDisplay.from_estimators(pca, rows)
    with pytest.raises(ValueError, match="do not fit 140"):
        ReconstructionDisplay.from_estimator(pca, rows, indices=[140])
    with pytest.raises(ValueError, match="list of integers"):
        ReconstructionDisplay.from_estimator(pca, rows, indices=[])
    with pytest.raises(ValueError, match="n_images"):
        ReconstructionDisplay.from_estimator(pca, rows, n_images=0)
    with pytest.raises(ValueError, match="y has 3"):
        ReconstructionDisplay.from_estimator(pca, rows, [1, 2, 3])
