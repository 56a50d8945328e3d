"""What RelevanceDisplay draws, and the spread that LatentSpaceDisplay does."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import same_color
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from gplvm import BayesianGPLVM
from gplvm.plotting import LatentSpaceDisplay, RelevanceDisplay

RELEVANCE = [0.001, 2.0, 0.5]


@pytest.fixture(scope="module")
def model():
    t = np.random.default_rng(0).normal(size=(40, 2))
    data = np.sin(np.hstack([t, t + 1.0, t * 0.5]))
    return BayesianGPLVM(3, n_inducing=10, tol=0.05, random_state=0).fit(data), data


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_bars_are_the_relevances(scale):
    display = RelevanceDisplay(RELEVANCE).plot(scale=scale)
    assert [bar.get_height() for bar in display.bars_] == RELEVANCE
    grey, *blue = (bar.get_facecolor() for bar in display.bars_)
    assert same_color(*blue)
    assert not same_color(grey, blue[0])
    labels = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert labels == ["1", "2", "3"]
    assert display.ax_.get_yscale() == scale
    if scale == "log":
        np.testing.assert_allclose(display.threshold_line_.get_ydata(), 0.02)
        assert display.ax_.get_ylim()[0] < 0.001
    display.figure_.canvas.draw()


def test_from_estimator(model):
    display = RelevanceDisplay.from_estimator(model[0], feature_names=["a", "b", "c"])
    heights = [bar.get_height() for bar in display.bars_]
    np.testing.assert_allclose(heights, model[0].relevance_)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == list("abc")


def test_given_axes_and_settings():
    figure, ax = plt.subplots()
    display = RelevanceDisplay([1.0, 0.0]).plot(ax=ax, bar_kwargs={"color": "red"})
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert same_color(display.bars_[1].get_facecolor(), "red")
    RelevanceDisplay(np.zeros(30)).plot(scale="log").figure_.canvas.draw()


@pytest.mark.parametrize(
    ("relevance", "settings", "message"),
    [
        ([], {}, "not empty"),
        ([[1.0]], {}, "must have shape"),
        ([1.0, np.nan], {}, "finite"),
        ([1.0, -1.0], {}, "not negative"),
        ([1.0], {"scale": "root"}, "scale must be"),
    ],
)
def test_errors_say_what_is_wrong(relevance, settings, message):
    with pytest.raises(ValueError, match=message):
        RelevanceDisplay(relevance).plot(**settings)


def test_errors_about_the_estimator():
    with pytest.raises(NotFittedError):
        RelevanceDisplay.from_estimator(BayesianGPLVM())
    with pytest.raises(TypeError, match="relevance_"):
        RelevanceDisplay.from_estimator(PCA(2).fit(np.eye(4)))


def test_latent_space_shows_the_posterior_spread(model):
    fitted, data = model
    labels = np.arange(40) % 2
    display = LatentSpaceDisplay.from_estimator(
        fitted, data, labels, dimensions=(2, 0), thumbnails=False
    )
    assert display.dimensions == (2, 0)
    for ellipses, points, code in zip(
        display.spread_, display.points_, (0, 1), strict=True
    ):
        members = labels == code
        np.testing.assert_allclose(
            ellipses.get_offsets(), fitted.embedding_[members][:, [2, 0]]
        )
        np.testing.assert_allclose(
            ellipses.get_widths(), 2 * fitted.embedding_std_[members, 2]
        )
        np.testing.assert_allclose(
            ellipses.get_heights(), 2 * fitted.embedding_std_[members, 0]
        )
        assert same_color(
            ellipses.get_facecolor()[0, :3], points.get_facecolor()[0, :3]
        )
        assert ellipses.get_zorder() < points.get_zorder()
    assert LatentSpaceDisplay.from_estimator(fitted, data, spread=False).spread_ == []


def test_latent_space_chooses_the_two_most_relevant(model):
    display = LatentSpaceDisplay.from_estimator(*model)
    assert set(display.dimensions) == set(np.argsort(-model[0].relevance_)[:2])


def test_spread_of_a_strip_and_of_positions_that_are_known():
    rng = np.random.default_rng(0)
    Z, stds = rng.normal(size=(30, 2)), np.full((30, 2), 0.2)
    display = LatentSpaceDisplay.from_embedding(Z, embedding_std=stds, dimensions=1)
    start, stop = display.spread_[0].get_segments()[4]
    np.testing.assert_allclose([start[0], stop[0]], Z[4, 1] + [-0.2, 0.2])
    few, many = (
        LatentSpaceDisplay.from_embedding(
            np.resize(Z, (n, 2)), embedding_std=np.resize(stds, (n, 2))
        )
        for n in (30, 3000)
    )
    assert few.spread_[0].get_alpha() > many.spread_[0].get_alpha()
    with pytest.raises(ValueError, match="embedding_std has shape"):
        LatentSpaceDisplay.from_embedding(Z, embedding_std=stds[:5])
    with pytest.raises(ValueError, match="not negative"):
        LatentSpaceDisplay.from_embedding(Z, embedding_std=-stds)
