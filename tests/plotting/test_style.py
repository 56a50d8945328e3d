"""Colours tell classes apart, for every eye, and always the same way."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgb

from gplvm.plotting._style import (
    MARKERS,
    PALETTE,
    SPECIES,
    class_styles,
    latent_axes,
    make_room,
    outside_legend,
)

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)


def _lab(colors, matrix):
    rgb = np.array([to_rgb(color) for color in colors])
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.clip(linear @ np.transpose(matrix), 0, 1) @ TO_XYZ.T / [0.9505, 1, 1.089]
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.column_stack(
        [116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])]
    )


@pytest.mark.parametrize("vision", VISION)
def test_palette_is_distinguishable(vision):
    lab = _lab(PALETTE, VISION[vision])
    distance = [np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)]
    assert min(distance) > 21  # 2.3 is just noticeable
    assert len(PALETTE) >= 8
    assert lab[:, 0].max() < 80  # none fades on white


def test_species_keep_their_style_in_any_company():
    alone = {name: class_styles([name])[0] for name in SPECIES}
    together = dict(zip(SPECIES[::-1], class_styles(SPECIES[::-1]), strict=True))
    assert alone == together
    assert len({style.color for style in alone.values()}) == 7
    assert len({style.marker for style in alone.values()}) == 7
    assert class_styles(["Great_Leonopteryx"])[0] == alone["great leonopteryx"]


def test_others_never_take_the_colour_of_a_species_present():
    names = ["cat", "hexapede", "dog", "direhorse", "bird"]
    styles = class_styles(names)
    assert len({style.color for style in styles}) == 5


def test_a_hundred_classes_stay_unique_pairs():
    styles = class_styles([str(i) for i in range(len(PALETTE) * len(MARKERS))])
    assert len(set(styles)) == len(styles)


def test_latent_axes():
    ax = latent_axes(plt.figure().add_subplot(), dimensions=(1, 3))
    assert ax.get_aspect() == 1
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("latent 2", "latent 4")
    latent_axes(ax, feature_names=["size", "pose"], limits=(0, 1, 2, 4))
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("size", "pose")
    assert ax.get_ylim() == (2, 4)


def test_legend_of_very_many_entries_is_cut_with_a_word():
    ax = plt.figure().add_subplot()
    lines = [ax.plot([0], [0], label=str(i))[0] for i in range(100)]
    texts = [text.get_text() for text in outside_legend(ax, lines).get_texts()]
    assert len(texts) == 41
    assert texts[-1] == "... and 60 more"


@pytest.mark.parametrize("layout", ["constrained", "tight", None])
def test_make_room_keeps_what_hangs_out_in_the_figure(layout):
    ax = plt.figure(layout=layout).add_subplot()
    ax.set_aspect("equal")
    text = ax.text(1.05, 0.5, "far out to the right", transform=ax.transAxes)
    make_room(ax)
    ax.figure.canvas.draw()
    assert text.get_window_extent().x1 <= ax.figure.bbox.x1
