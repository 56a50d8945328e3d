"""What LossCurveDisplay draws."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

from gplvm.plotting import LossCurveDisplay

CURVES = {"nats": 100 + 8.0 * 0.5 ** np.arange(12), "mse": 3 + 0.9 ** np.arange(40)}


def test_raw_is_the_loss_at_each_iteration():
    display = LossCurveDisplay.from_curves(CURVES)
    assert isinstance(display, LossCurveDisplay)
    for line, curve in zip(display.lines_, CURVES.values(), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), curve)
        np.testing.assert_array_equal(line.get_xdata(), np.arange(1, len(curve) + 1))
    assert display.ax_.get_yscale() == "linear"


@pytest.mark.parametrize("scale", ["gap", "relative"])
def test_gap_is_the_excess_over_the_lowest_value(scale):
    display = LossCurveDisplay.from_curves(CURVES, scale=scale)
    assert display.ax_.get_yscale() == "log"
    for line, curve in zip(display.lines_, CURVES.values(), strict=True):
        gap = curve - curve[-1]
        gap = gap / gap[0] if scale == "relative" else gap
        np.testing.assert_allclose(line.get_ydata()[:-1], gap[:-1])
        assert np.isnan(line.get_ydata()[-1])


def test_legend_stands_outside_and_inside_the_figure():
    display = LossCurveDisplay.from_curves(CURVES)
    display.figure_.canvas.draw()
    legend = display.legend_.get_window_extent()
    assert [text.get_text() for text in display.legend_.get_texts()] == list(CURVES)
    assert legend.x0 >= display.ax_.bbox.x1
    assert legend.x1 <= display.figure_.bbox.x1
    looks = {(line.get_color(), line.get_linestyle()) for line in display.lines_}
    assert len({color for color, _ in looks}) == len({dash for _, dash in looks}) == 2


def test_estimators(fake_gp):
    gp = fake_gp().fit(np.eye(5))
    display = LossCurveDisplay.from_estimator(gp)
    np.testing.assert_array_equal(display.lines_[0].get_ydata(), gp.loss_curve_)
    assert display.legend_ is None
    display = LossCurveDisplay.from_estimators([gp, gp], line_kwargs={"linewidth": 5})
    assert list(display.curves) == ["FakeGP", "FakeGP 2"]
    assert display.lines_[0].get_linewidth() == 5


@pytest.mark.parametrize("scale", ["raw", "gap", "relative"])
def test_short_and_flat_curves(scale):
    curves = {"one": [2.0], "flat": [1.0, 1.0, 1.0]}
    display = LossCurveDisplay.from_curves(curves, scale=scale)
    display.figure_.canvas.draw()


def test_given_axes():
    fig, ax = plt.subplots()
    display = LossCurveDisplay(CURVES).plot(ax=ax, legend_kwargs={"title": "fits"})
    assert display.ax_ is ax
    assert display.figure_ is fig
    assert display.legend_.get_title().get_text() == "fits"
    fig.canvas.draw()
    assert display.legend_.get_window_extent().x1 <= fig.bbox.x1


@pytest.mark.parametrize(
    ("curves", "settings", "message"),
    [
        ({"a": []}, {}, "not empty"),
        ({"a": [[1.0]]}, {}, "must have shape"),
        ({"a": [1.0, np.nan]}, {}, "NaN"),
        ({}, {}, "empty"),
        ({"a": [1.0]}, {"scale": "log"}, "scale must be one of"),
    ],
)
def test_errors_say_what_is_wrong(curves, settings, message):
    with pytest.raises(ValueError, match=message):
        LossCurveDisplay.from_curves(curves, **settings)


def test_errors_about_the_estimator():
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(PCA(2))
    with pytest.raises(TypeError, match="loss_curve_"):
        LossCurveDisplay.from_estimator(PCA(2).fit(np.eye(4)))
    with pytest.raises(TypeError, match="dict"):
        LossCurveDisplay.from_curves(np.ones(4))
