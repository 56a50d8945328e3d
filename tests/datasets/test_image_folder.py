"""Image folders: round trips, kinds of image, and every way to be refused."""

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gplvm.datasets import _image_folder as module
from gplvm.datasets import load_image_folder, save_image_folder

NAMES = ["mountain banshee", "viperwolf"]


@pytest.fixture
def images():
    return np.random.default_rng(0).uniform(size=(5, 6, 9))


@pytest.fixture
def target():
    return np.array([1, 0, 1, 1, 0])


@pytest.fixture
def folder(tmp_path):
    """A minimal valid folder: one black and one white image."""
    for name, value in (("black", 0), ("white", 255)):
        (tmp_path / "data" / name).mkdir(parents=True)
        pixels = np.full((4, 6), value, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "data" / name / "0.png")
    return tmp_path / "data"


def listing(path):
    return sorted(p.relative_to(path).as_posix() for p in Path(path).rglob("*"))


# Round trips


@pytest.mark.parametrize("color", [False, True])
def test_png_round_trip(tmp_path, target, color):
    shape = (5, 6, 9, 3) if color else (5, 6, 9)
    images = np.random.default_rng(1).uniform(size=shape)
    save_image_folder(tmp_path / "out", images, target, NAMES)
    loaded = load_image_folder(tmp_path / "out", color=color)
    order = np.argsort(target, kind="stable")
    assert loaded.images.shape == shape
    np.testing.assert_allclose(loaded.images, images[order], atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(loaded.target, target[order])
    assert list(loaded.target_names) == NAMES
    assert np.shares_memory(loaded.data, loaded.images)
    assert loaded.data.shape == (5, images[0].size)
    assert all(Path(file).is_file() for file in loaded.filenames)
    assert "5 " in loaded.DESCR and NAMES[0] in loaded.DESCR


def test_jpeg_round_trip(tmp_path, target):
    x = np.linspace(0, 1, 32)
    images = np.stack([0.5 + 0.4 * np.outer(np.sin(k * x), x) for k in range(1, 6)])
    save_image_folder(tmp_path / "out", images, target, NAMES, format="jpeg")
    loaded = load_image_folder(tmp_path / "out")
    assert all(file.endswith(".jpg") for file in loaded.filenames)
    order = np.argsort(target, kind="stable")
    np.testing.assert_allclose(loaded.images, images[order], atol=0.03)


def test_file_names_sort_in_the_order_of_images(tmp_path):
    images = np.linspace(0, 1, 12)[:, None, None] * np.ones((12, 2, 2))
    save_image_folder(tmp_path / "out", images, np.arange(12) % 2, ["a", "b"])
    loaded = load_image_folder(tmp_path / "out")
    assert (np.diff(loaded.images[:6, 0, 0]) > 0).all()


def test_integer_and_boolean_images(tmp_path):
    images = np.eye(4, dtype=bool)[None].repeat(2, axis=0)
    save_image_folder(tmp_path / "out", images, [0, 1], ["a", "b"])
    np.testing.assert_array_equal(load_image_folder(tmp_path / "out").images, images)


# Kinds of image


def test_every_format_is_read(folder):
    pixels = np.full((4, 6), 128, dtype=np.uint8)
    endings = ["bmp", "gif", "tif", "tiff", "webp", "jpg", "jpeg", "PNG"]
    for ending in endings:
        Image.fromarray(pixels).save(folder / "black" / f"{ending}_.{ending}")
    loaded = load_image_folder(folder)
    assert len(loaded.images) == 2 + len(endings)
    np.testing.assert_allclose(loaded.images[1:-1], 128 / 255, atol=0.01)


def test_sixteen_bits(folder):
    values = np.array([[0, 1000, 65535], [30000, 256, 65534]], dtype=np.uint16)
    for name in ("black", "white"):
        Image.fromarray(values).save(folder / name / "0.png")
    Image.fromarray(values).save(folder / "white" / "1.tiff")
    for color in (False, True):
        loaded = load_image_folder(folder, color=color).images
        expected = values[..., None] / 65535 if color else values / 65535
        np.testing.assert_allclose(
            loaded, np.broadcast_to(expected, loaded.shape), atol=1e-6
        )


def test_floating_point_in_and_out_of_range(folder):
    values = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    Image.fromarray(values).save(folder / "black" / "1.tiff")
    np.testing.assert_allclose(load_image_folder(folder).images[1], values, atol=1e-6)
    Image.fromarray(300 * values).save(folder / "black" / "1.tiff")
    with pytest.raises(ValueError, match=r"1\.tiff.*convert it to 8 or 16 bits"):
        load_image_folder(folder)


def test_palette_and_one_bit(folder):
    rgb = np.zeros((4, 6, 3), dtype=np.uint8)
    rgb[:, 3:] = (255, 0, 0)
    Image.fromarray(rgb).quantize(4).save(folder / "black" / "0.png")
    Image.fromarray(rgb[..., 0] > 0).save(folder / "black" / "1.png")
    loaded = load_image_folder(folder, color=True).images
    np.testing.assert_allclose(loaded[0], rgb / 255, atol=1e-6)
    np.testing.assert_allclose(loaded[1], rgb[..., :1].repeat(3, axis=2) / 255)
    red = load_image_folder(folder).images[0, 0, 5]
    assert red == pytest.approx(0.299, abs=0.01)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparent_parts_are_white(folder, mode):
    image = Image.new("RGBA", (6, 4), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 3, 4))
    options = {"transparency": 1} if mode == "P" else {}
    if mode == "P":
        image = Image.new("P", (6, 4), 1)
        image.putpalette([0, 0, 0, 10, 20, 30])
        image.paste(0, (0, 0, 3, 4))
    else:
        image = image.convert(mode)
    image.save(folder / "black" / "0.png", **options)
    loaded = load_image_folder(folder).images[0]
    np.testing.assert_array_equal(loaded[:, :3], 0)
    np.testing.assert_array_equal(loaded[:, 3:], 1)


def test_camera_rotation_is_honoured(folder):
    pixels = np.zeros((6, 4), dtype=np.uint8)
    pixels[0] = 255
    image = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned clockwise by a quarter
    image.save(folder / "black" / "0.png", exif=exif)
    loaded = load_image_folder(folder).images[0]
    assert loaded.shape == (4, 6)
    np.testing.assert_array_equal(loaded[:, -1], 1)
    np.testing.assert_array_equal(loaded[:, :-1], 0)


def test_resizing_averages(folder):
    board = np.indices((40, 60)).sum(axis=0) % 2 * 255
    Image.fromarray(board.astype(np.uint8)).save(folder / "black" / "0.png")
    square = load_image_folder(folder, image_size=5).images
    assert square.shape == (2, 5, 5)
    np.testing.assert_allclose(square[0], 0.5, atol=0.05)
    np.testing.assert_allclose(square[1], 1.0, atol=1e-6)
    assert load_image_folder(folder, image_size=(3, 8)).images.shape == (2, 3, 8)
    wide = load_image_folder(folder, image_size=(3, 8), color=True)
    assert wide.images.shape == (2, 3, 8, 3) and wide.data.shape == (2, 72)


def test_order_is_sorted_and_the_rest_is_ignored(folder):
    white = Image.open(folder / "white" / "0.png")
    for name in ("b.png", "a.png", "B.png"):
        white.save(folder / "white" / name)
    (folder / "white" / "notes.txt").write_text("not an image")
    (folder / "white" / ".hidden.png").write_bytes(b"not an image")
    (folder / "white" / "folder.png").mkdir()
    (folder / ".cache").mkdir()
    (folder / "readme.txt").write_text("not a class")
    loaded = load_image_folder(str(folder))
    names = [Path(file).name for file in loaded.filenames[1:]]
    assert names == ["0.png", "B.png", "a.png", "b.png"]
    np.testing.assert_array_equal(loaded.target, [0, 1, 1, 1, 1])


# Refusals of the reader


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*nowhere"):
        load_image_folder(tmp_path / "nowhere")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(NotADirectoryError, match="is a file"):
        load_image_folder(file)


def test_no_classes_one_class_empty_class(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no class folders"):
        load_image_folder(tmp_path / "empty")
    (folder / "void").mkdir()
    with pytest.raises(ValueError, match="void holds no image"):
        load_image_folder(folder)
    (folder / "void").rmdir()
    (folder / "white" / "0.png").unlink()
    (folder / "white").rmdir()
    with pytest.raises(ValueError, match="one class folder only, 'black'"):
        load_image_folder(folder)


def test_mixed_sizes(folder):
    Image.new("L", (5, 7)).save(folder / "white" / "1.png")
    with pytest.raises(ValueError, match=r"1\.png is 5 x 7.*is 6 x 4.*image_size"):
        load_image_folder(folder)
    assert load_image_folder(folder, image_size=4).images.shape == (3, 4, 4)


@pytest.mark.parametrize("ending", ["png", "jpg", "gif", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("damage", ["empty", "foreign", "truncated"])
def test_unreadable_files(folder, ending, damage):
    file = folder / "white" / f"1.{ending}"
    noise = np.random.default_rng(0).integers(0, 255, (40, 60)).astype(np.uint8)
    Image.fromarray(noise).save(file)
    whole = file.read_bytes()
    parts = {"empty": b"", "foreign": b"GIF, but not quite", "truncated": whole[:400]}
    file.write_bytes(parts[damage])
    with pytest.raises(ValueError, match=rf"1\.{ending} cannot be read as an image"):
        load_image_folder(folder, image_size=8)


@pytest.mark.parametrize("limit", [200, 100])  # pixels: Pillow warns, Pillow refuses
def test_decompression_bombs_are_refused(folder, monkeypatch, limit):
    Image.new("L", (18, 18)).save(folder / "white" / "1.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ours to turn into an error
        with pytest.raises(ValueError, match=r"1\.png is refused: .*pixels"):
            load_image_folder(folder, image_size=8)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"image_size": 0}, ValueError, "at least 1; got 0"),
        ({"image_size": (4, -1)}, ValueError, r"at least 1; got \(4, -1\)"),
        ({"image_size": (4, 4, 4)}, TypeError, "two ints"),
        ({"image_size": 4.5}, TypeError, "two ints; got 4.5"),
        ({"image_size": True}, TypeError, "two ints; got True"),
        ({"image_size": "32"}, TypeError, "two ints"),
        ({"color": "yes"}, TypeError, "color must be True or False"),
    ],
)
def test_wrong_parameters_are_refused(folder, parameters, error, message):
    with pytest.raises(error, match=message):
        load_image_folder(folder, **parameters)


# Refusals of the writer


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "a/b",
        "a\\b",
        "../up",
        ".hidden",
        "a\n",
        "a\0b",
        " a",
        "a.",
        "x" * 300,
    ],
)
def test_unsafe_class_names(tmp_path, images, target, name):
    with pytest.raises(ValueError, match="cannot be the name of a folder"):
        save_image_folder(tmp_path / "out", images, target, ["fine", name])
    assert listing(tmp_path) == []


def test_class_names_that_collide(tmp_path, images, target):
    with pytest.raises(ValueError, match="'Wolf' appears twice"):
        save_image_folder(tmp_path / "out", images, target, ["wolf", "Wolf"])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"images": np.ma.masked_equal(np.eye(4)[None], 0)}, ValueError, "masked"),
        ({"images": np.full((5, 4, 4), np.nan)}, ValueError, "image 0 holds NaN"),
        ({"images": np.full((5, 4, 4), 255)}, ValueError, "to 255. Divide"),
        ({"images": np.full((5, 4, 4), -0.1)}, ValueError, "values from -0.1"),
        ({"images": np.zeros((5, 16))}, ValueError, r"got \(5, 16\)"),
        ({"images": np.zeros((5, 4, 4, 2))}, ValueError, r"got \(5, 4, 4, 2\)"),
        ({"images": np.zeros((0, 4, 4))}, ValueError, "must not be empty"),
        ({"images": np.zeros((5, 4, 4), complex)}, TypeError, "complex128"),
        ({"target": [0, 1]}, ValueError, r"shape \(5,\); got shape \(2,\)"),
        ({"target": [0, 1, 2, 0, 1]}, ValueError, r"0\.\.1.*labels from 0 to 2"),
        ({"target": [0, 1, -1, 0, 1]}, ValueError, "labels from -1 to 1"),
        ({"target": [0.0, 1, 1, 0, 1]}, TypeError, "float64"),
        ({"target": [0] * 5}, ValueError, "'viperwolf' has no image"),
        ({"format": "gif"}, ValueError, "format must be 'png' or 'jpeg'; got 'gif'"),
    ],
)
def test_wrong_data_is_refused(tmp_path, images, target, change, error, message):
    given = {"images": images, "target": target, "target_names": NAMES, **change}
    with pytest.raises(error, match=message):
        save_image_folder(tmp_path / "out", **given)
    assert listing(tmp_path) == []


def test_nothing_is_overwritten_unless_asked(tmp_path, images, target):
    path = tmp_path / "out"
    path.mkdir()
    save_image_folder(path, images, target, NAMES)  # an empty folder is filled
    before = listing(path)
    with pytest.raises(FileExistsError, match=r"out exists.*overwrite=True"):
        save_image_folder(path, 0 * images, target, NAMES)
    assert listing(path) == before
    save_image_folder(path, 0 * images, target, ["x", "y"], overwrite=True)
    loaded = load_image_folder(path)
    assert list(loaded.target_names) == ["x", "y"] and loaded.images.max() == 0
    assert os.listdir(tmp_path) == ["out"]


def test_a_file_in_the_way(tmp_path, images, target):
    path = tmp_path / "out"
    path.write_text("precious")
    with pytest.raises(FileExistsError, match="not an empty folder"):
        save_image_folder(path, images, target, NAMES)
    assert path.read_text() == "precious"


def test_parents_are_made(tmp_path, images, target):
    save_image_folder(tmp_path / "a" / "b" / "out", images, target, NAMES)
    assert len(load_image_folder(tmp_path / "a" / "b" / "out").images) == 5


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
@pytest.mark.parametrize("exists", [False, True])
def test_failure_midway_leaves_no_trace(
    tmp_path, images, target, monkeypatch, error, exists
):
    path = tmp_path / "out"
    if exists:
        save_image_folder(path, images, target, NAMES)
    before = listing(tmp_path)
    write, written = module._write_image, []

    def failing(file, image, format):
        if len(written) == 3:
            raise error
        written.append(file)
        write(file, image, format)

    monkeypatch.setattr(module, "_write_image", failing)
    with pytest.raises(type(error)):
        save_image_folder(path, 0 * images, target, NAMES, overwrite=True)
    assert len(written) == 3
    assert listing(tmp_path) == before
    if exists:
        assert load_image_folder(path).images.max() > 0.5


def test_failure_of_the_last_rename_brings_the_old_back(
    tmp_path, images, target, monkeypatch
):
    path = tmp_path / "out"
    save_image_folder(path, images, target, NAMES)
    before = listing(tmp_path)
    rename = Path.rename

    def failing(self, to):
        if self.name == "new":
            raise OSError("no")
        return rename(self, to)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="no"):
        save_image_folder(path, 0 * images, target, NAMES, overwrite=True)
    monkeypatch.undo()
    assert listing(tmp_path) == before
    assert load_image_folder(path).images.max() > 0.5


# Faults


def test_a_full_disk_leaves_the_old_folder(tmp_path, images, target):
    resource = pytest.importorskip("resource")
    path = tmp_path / "out"
    save_image_folder(path, images, target, NAMES)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*.png")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    noise = np.random.default_rng(0).uniform(size=(5, 40, 40))
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        with pytest.raises(OSError):
            save_image_folder(path, noise, target, NAMES, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.png")} == before
    assert os.listdir(tmp_path) == ["out"]


_SAVE_FOREVER = """
import sys
import numpy as np
from gplvm.datasets import save_image_folder
print("ready", flush=True)
while True:
    for shade in (0.2, 0.4):
        images = np.full((20, 8, 8), shade)
        target = np.arange(20) % 2
        save_image_folder(sys.argv[1], images, target, ["a", "b"], overwrite=True)
"""


def test_a_killed_process_leaves_a_whole_folder_or_none(tmp_path):
    path = tmp_path / "out"
    for seconds in (0.0, 0.007, 0.031):
        process = subprocess.Popen(
            [sys.executable, "-c", _SAVE_FOREVER, str(path)], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        time.sleep(seconds)
        process.kill()
        process.communicate()
        if path.exists():
            loaded = load_image_folder(path).images
            assert len(loaded) == 20 and np.ptp(loaded) == 0


def test_links_out_of_the_folder_are_refused_and_others_followed(tmp_path, folder):
    link = folder / "white" / "link.png"
    (tmp_path / "outside.png").write_bytes((folder / "white" / "0.png").read_bytes())
    for target, message in [
        (tmp_path / "outside.png", "leaves the folder"),
        ("../../outside.png", "leaves the folder"),
        ("/dev/zero", "leaves the folder"),
        ("nothing.png", "link to nothing"),
        ("link.png", "link to nothing"),
    ]:
        link.symlink_to(target)
        with pytest.raises(ValueError, match=rf"link\.png is a link .*{message[-7:]}"):
            load_image_folder(folder)
        link.unlink()
    (folder / "up").symlink_to("..")
    with pytest.raises(ValueError, match="up is a link that leaves the folder"):
        load_image_folder(folder)
    (folder / "up").unlink()
    link.symlink_to("../black/0.png")
    np.testing.assert_array_equal(load_image_folder(folder).images[2], 0.0)


def test_damaged_images_are_refused_or_in_range(folder):
    """Bytes of every format changed, cut off or inserted: nothing else happens."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)
    sound = {}
    for ending in ("png", "jpg", "gif", "tiff", "webp", "bmp"):
        Image.fromarray(pixels).save(folder / "white" / f"1.{ending}")
        sound[ending] = (folder / "white" / f"1.{ending}").read_bytes()
        (folder / "white" / f"1.{ending}").unlink()
    outcomes = {"refused": 0, "read": 0}
    for _ in range(300):
        ending = rng.choice(list(sound))
        content = bytearray(sound[ending])
        for at in rng.integers(len(content), size=rng.integers(1, 6)):
            extra = rng.bytes(rng.integers(1, 9))
            content[at : at + rng.choice([0, len(extra), 1000])] = extra
        file = folder / "white" / f"1.{ending}"
        file.write_bytes(content)
        try:
            loaded = load_image_folder(folder, image_size=4).images
        except ValueError as error:
            assert str(file) in str(error)
            outcomes["refused"] += 1
        else:
            assert np.all((loaded >= 0) & (loaded <= 1))
            outcomes["read"] += 1
        file.unlink()
    assert min(outcomes.values()) > 20
