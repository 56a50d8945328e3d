"""The demo's pictures: what the report's reader must not be left to guess."""

import numpy as np

from gplvm.plotting._sheets import embedding_panels


def test_panels_have_no_grid_without_numbers():
    Z = np.random.default_rng(0).normal(size=(20, 2))
    labels = np.arange(20) % 2
    figure = embedding_panels({"one": (Z, labels), "two": (Z, labels)})
    for ax in figure.axes:
        assert not any(label.get_text() for label in ax.get_xticklabels())
        lines = [*ax.get_xgridlines(), *ax.get_ygridlines()]
        assert not any(line.get_visible() for line in lines)
