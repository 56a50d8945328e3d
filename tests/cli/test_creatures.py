"""`gplvm creatures`: an image folder."""

import numpy as np
import pytest

from gplvm.datasets import load_image_folder


@pytest.mark.parametrize(("form", "ending"), [("png", ".png"), ("jpeg", ".jp")])
def test_image_folder(command, tmp_path, form, ending):
    out = tmp_path / "some creatures"
    status, said, err = command(
        "creatures", out, "--n-samples", 14, "--image-size", 16, "--noise", 0,
        "--format", form, "--seed", 1,
    )  # fmt: skip
    assert status == 0, err
    assert "14 images of 7 species" in said
    loaded = load_image_folder(out)
    assert loaded.images.shape == (14, 16, 16)
    assert set(np.bincount(loaded.target)) == {2}
    assert all(ending in name for name in loaded.filenames)


def test_force(command, tmp_path):
    small = ["creatures", tmp_path / "out", "--image-size", 8, "--n-samples"]
    assert command(*small, 14)[0] == 0
    status, _, err = command(*small, 7)
    assert status == 2 and err.count("\n") == 1
    assert len(load_image_folder(tmp_path / "out").images) == 14
    assert command(*small, 7, "--force")[0] == 0
    assert len(load_image_folder(tmp_path / "out").images) == 7
