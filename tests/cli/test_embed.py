"""`gplvm embed`: files in, files out, and what it refuses."""

import contextlib
import csv
import io
import signal
import warnings

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import NearestNeighbors

from gplvm import GPLVM
from gplvm.cli import main
from gplvm.datasets import make_creatures, save_image_folder


@pytest.fixture(scope="module")
def iris():
    """Forty flowers and their names."""
    data = load_iris()
    rows = np.arange(0, 150, 4)
    return data.data[rows], data.target_names[data.target[rows]]


@pytest.fixture
def table(tmp_path, iris):
    """The flowers as a CSV file whose path has a space and an umlaut."""
    path = tmp_path / "iris für alle.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, delimiter=";")
        writer.writerow(["a", "b", "c", "d", "kind"])
        writer.writerows([*row, name] for row, name in zip(*iris, strict=True))
    return path


@pytest.fixture
def folder(tmp_path):
    """A folder of creatures."""
    creatures = make_creatures(21, image_size=12, random_state=0)
    save_image_folder(
        tmp_path / "images", creatures.images, creatures.target, creatures.target_names
    )
    return tmp_path / "images"


def _read(path):
    with open(path, newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    return header, rows


def _picture(path):
    with Image.open(path) as image:
        image.load()
        assert min(image.size) > 100
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


@pytest.mark.parametrize(
    ("model", "prefix", "n_components"),
    [
        ("gplvm", "gplvm", 2),
        ("bayesian", "bayesiangplvm", 4),
        ("linear", "gplvm", 2),
        ("autoencoder", "linearautoencoder", 2),
    ],
)
def test_table(command, table, iris, tmp_path, model, prefix, n_components):
    out = tmp_path / "a b"
    status, said, err = command(
        "embed", table, "--model", model, "--labels", "kind", "--output", out,
        "--standardize",
    )  # fmt: skip
    assert status == 0, err
    assert f"38 rows of 4 in {n_components} dimensions" in said
    header, rows = _read(out / "embedding.csv")
    assert header == [*(f"{prefix}{i}" for i in range(n_components)), "label"]
    assert [row[-1] for row in rows] == list(iris[1])
    embedding = np.array([row[:2] for row in rows], dtype=float)
    # Setosa lies apart in any of them.
    setosa = iris[1] == "setosa"
    nearest = NearestNeighbors(n_neighbors=1).fit(embedding).kneighbors()[1][:, 0]
    assert np.sum(setosa[nearest] != setosa) <= 2
    _picture(out / "latent.png")
    assert not (out / "reconstructions.png").exists()
    assert (out / "relevance.png").exists() == (model == "bayesian")


def test_a_bayesian_model_finds_the_dimensions(command, tmp_path):
    rng = np.random.default_rng(4)
    latent, noise = rng.normal(size=(120, 2)), 0.1 * rng.normal(size=(120, 8))
    np.save(tmp_path / "a.npy", latent @ rng.normal(size=(2, 8)) + noise)
    status, said, err = command(
        "embed", tmp_path / "a.npy", "--model", "bayesian", "--inducing", 30,
        "--output", tmp_path / "o",
    )  # fmt: skip
    assert status == 0, err
    assert "in 8 dimensions by the Bayesian GP-LVM, 2 of them relevant" in said
    assert said.endswith(", 30 inducing points\n")
    _picture(tmp_path / "o" / "relevance.png")


def test_equal_seeds_give_equal_files(command, table, tmp_path):
    for name in "ab":
        status, *_ = command(
            "embed", table, "--max-iter", 20, "--seed", 3, "--output", tmp_path / name
        )
        assert status == 0
    assert _read(tmp_path / "a" / "embedding.csv") == _read(
        tmp_path / "b" / "embedding.csv"
    )


@pytest.mark.parametrize("kernel", ["matern32", "matern52", "rational_quadratic"])
def test_kernels(command, iris, tmp_path, kernel):
    np.save(tmp_path / "a.npy", iris[0])
    options = ["--kernel", kernel, "--max-iter", 15]
    status, *_ = command(
        "embed", tmp_path / "a.npy", *options, "--output", tmp_path / "o"
    )
    assert status == 0
    expected = GPLVM(2, kernel=kernel, max_iter=15, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        expected.fit(iris[0])
    written = np.array(_read(tmp_path / "o" / "embedding.csv")[1], dtype=float)
    np.testing.assert_allclose(written, expected.embedding_)


@pytest.mark.parametrize(
    ("given", "n_inducing"), [("7", 7), ("none", None), (None, "auto")]
)
def test_inducing_points(command, iris, tmp_path, monkeypatch, given, n_inducing):
    monkeypatch.setattr("gplvm._gplvm._EXACT_ROWS", 30)
    monkeypatch.setattr("gplvm._gplvm._AUTO_INDUCING", 9)
    np.save(tmp_path / "a.npy", iris[0])
    options = ["--max-iter", 5] + (["--inducing", given] if given else [])
    status, said, _ = command(
        "embed", tmp_path / "a.npy", *options, "--output", tmp_path / "o"
    )
    assert status == 0
    points = {7: ", 7 inducing points", None: "", "auto": ", 9 inducing points"}
    assert said.endswith(f"by the GP-LVM, 5 iterations{points[n_inducing]}\n")


def test_missing_entries(command, iris, tmp_path):
    Y = iris[0].copy()
    Y[[3, 8], [1, 2]] = np.nan
    rows = [["" if np.isnan(value) else value for value in row] for row in Y]
    with open(tmp_path / "gaps.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([["a", "b", "c", "d"], *rows])
    for model in ("gplvm", "linear"):
        out = tmp_path / model
        status, _, err = command(
            "embed", tmp_path / "gaps.csv", "--model", model, "--max-iter", 30,
            "--standardize", "--output", out,
        )  # fmt: skip
        assert status == 0
        assert err.count("2 of 152 entries are missing") == 1
        assert len(_read(out / "embedding.csv")[1]) == len(Y)
        _picture(out / "latent.png")


def test_images_with_missing_pixels(command, tmp_path):
    images = make_creatures(21, image_size=12, random_state=0).images
    images[:9, 2:4, 2:5] = np.nan
    np.save(tmp_path / "images.npy", images)
    out = tmp_path / "out"
    status, _, err = command(
        "embed", tmp_path / "images.npy", "--max-iter", 10, "--output", out
    )
    assert status == 0 and "54 of 3024 entries are missing" in err
    assert "variances" not in err
    _picture(out / "latent.png")
    _picture(out / "reconstructions.png")


@pytest.mark.parametrize(
    ("unit", "option", "noted"),
    [(1.0, [], False), (100.0, [], True), (100.0, ["--standardize"], False)],
)
def test_unlike_columns_are_noted(command, iris, tmp_path, unit, option, noted):
    data = np.column_stack([iris[0] * [1, 1, 1, unit], np.ones(len(iris[0]))])
    np.save(tmp_path / "a.npy", data)
    status, _, err = command(
        "embed", tmp_path / "a.npy", "--model", "linear", *option,
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert status == 0 and ("--standardize" in err) == noted


@pytest.mark.parametrize("model", ["gplvm", "autoencoder", None])
@pytest.mark.parametrize("unit", [1e160, 1e-170])
def test_a_column_that_no_scaler_divides_is_refused(command, tmp_path, model, unit):
    lines = [f"{unit * i},{i % 3},{'ab'[i % 2]}" for i in range(12)]
    (tmp_path / "a.csv").write_text("\n".join(["x,y,kind", *lines]))
    name = ["classify"] if model is None else ["embed", "--model", model]
    status, _, err = command(
        *name, tmp_path / "a.csv", "--labels", "kind", "--standardize",
        "--output", tmp_path / "out",
    )  # fmt: skip
    assert status == 2 and "column 'x' cannot be standardized" in err
    assert err.count("\n") == 1 and not (tmp_path / "out").exists()


@pytest.mark.parametrize("n_components", [1, 3])
def test_other_numbers_of_components(command, iris, tmp_path, n_components):
    np.save(tmp_path / "a.npy", iris[0])
    out = tmp_path / "out"
    status, *_ = command(
        "embed", tmp_path / "a.npy", "--model", "linear", "--n-components",
        n_components, "--output", out,
    )  # fmt: skip
    assert status == 0
    header, rows = _read(out / "embedding.csv")
    assert header == [f"gplvm{i}" for i in range(n_components)]
    assert len(rows) == len(iris[0])
    _picture(out / "latent.png")


def test_image_folder(command, folder, tmp_path):
    out = tmp_path / "out"
    status, *_ = command(
        "embed", folder, "--image-size", 10, "--max-iter", 30, "--output", out
    )
    assert status == 0
    header, rows = _read(out / "embedding.csv")
    assert header == ["gplvm0", "gplvm1", "label", "filename"]
    assert len(rows) == 21
    for *_, label, filename in rows:
        assert filename.startswith(f"{label}/") and (folder / filename).is_file()
    _picture(out / "latent.png")
    _picture(out / "reconstructions.png")


def test_a_fit_that_stops_early_is_noted(command, table, tmp_path):
    status, _, err = command(
        "embed", table, "--max-iter", 2, "--output", tmp_path / "out"
    )
    assert status == 0 and "gplvm embed: note: " in err and "Raise --max-iter." in err


def test_nothing_is_overwritten_without_force(command, table, tmp_path):
    out = tmp_path / "out"
    arguments = ["embed", table, "--model", "autoencoder", "--output", out]
    assert command(*arguments)[0] == 0
    (out / "latent.png").write_text("old")
    (out / "mine.txt").write_text("mine")
    status, _, err = command(*arguments)
    assert status == 2 and "--force" in err and err.count("\n") == 1
    assert (out / "latent.png").read_text() == "old"
    assert command(*arguments, "--force")[0] == 0
    _picture(out / "latent.png")
    assert (out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("size", [0, 1500])
def test_a_full_disk_leaves_the_old_folder(command, table, tmp_path, size):
    resource = pytest.importorskip("resource")
    out = tmp_path / "out"
    arguments = ["embed", table, "--model", "linear", "--output", out, "--force"]
    assert command(*arguments)[0] == 0
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        # What is captured goes to files, which cannot grow either.
        told = io.StringIO()
        with contextlib.redirect_stderr(told):
            status = main([str(argument) for argument in arguments])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert status == 1
    assert "gplvm embed: error: File too large" in told.getvalue()
    after = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    assert after == before


def _refused(command, tmp_path, path, *options):
    """The one line that says why, with nothing written."""
    status, said, err = command("embed", path, "--output", tmp_path / "out", *options)
    assert status == 2 and not said
    assert err.startswith("gplvm embed: error: ") and err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    return err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3: 1 field, but line 1 has 2"),
        ("a,b\n1,2\n3,x\n4,5\n", "line 3, column 'b': 'x' is not a number"),
        ("a,b\nx,y\n", "no column of numbers"),
        ("", "the file is empty"),
        ("a,b\n1,2\n3,inf\n4,5\n", "line 3, column 'b': Input X contains infinity"),
        ("a,b\n1,2\n", "one row; an embedding needs at least two"),
        ("1 2\n", "one row; an embedding needs at least two"),
        ("a,b\n1,2\n,\n3,4\n", "line 3: no entry of this row is a number"),
        ("a,b\n1,\n2,\n3,\n", "column 'b': no entry of this column is a number"),
        ("a\n1\n2\n3\n", "3 rows of 1 column do not have 2 components"),
    ],
)
@pytest.mark.parametrize("model", ["gplvm", "autoencoder"])
def test_bad_tables(command, tmp_path, content, message, model):
    path = tmp_path / "bad table.csv"
    path.write_text(content)
    err = _refused(command, tmp_path, path, "--model", model)
    assert message in err and "bad table.csv" in err


@pytest.mark.parametrize("option", [[], ["--standardize"]])
def test_a_missing_value_is_placed(command, tmp_path, option):
    path = tmp_path / "gaps.csv"
    path.write_text("a,b\n1,2\n3,\n4,5\n6,8\n")
    err = _refused(command, tmp_path, path, "--model", "autoencoder", *option)
    assert "gaps.csv, line 3, column 'b': 1 of 8 entries is missing" in err
    assert "the GP-LVMs (--model) accept" in err


def test_more_inducing_points_than_rows(command, tmp_path, iris):
    np.save(tmp_path / "a.npy", iris[0])
    err = _refused(command, tmp_path, tmp_path / "a.npy", "--inducing", 39)
    assert "38 rows are fewer than 39 inducing points" in err


def test_an_exact_model_beyond_the_memory(command, tmp_path, iris, monkeypatch):
    monkeypatch.setattr("os.sysconf", lambda name: 1)
    np.save(tmp_path / "a.npy", iris[0])
    err = _refused(command, tmp_path, tmp_path / "a.npy", "--inducing", "none")
    assert "38 rows needs about" in err and "--inducing auto" in err
    assert "n_inducing" not in err


def test_bad_files_and_folders(command, tmp_path, folder):
    assert "no such file" in _refused(command, tmp_path, tmp_path / "none.csv")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert str(empty) in _refused(command, tmp_path, empty)
    broken = next(folder.rglob("*.png"))
    broken.write_bytes(b"no picture")
    assert broken.name in _refused(command, tmp_path, folder)
    broken.unlink()
    Image.new("L", (9, 7)).save(broken)
    err = _refused(command, tmp_path, folder)
    assert broken.name in err and "--image-size" in err
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([[{}]], dtype=object), allow_pickle=True)
    assert "never loaded" in _refused(command, tmp_path, objects)


def test_the_output_is_no_file(command, table, tmp_path):
    (tmp_path / "file").write_text("mine")
    status, _, err = command("embed", table, "--output", tmp_path / "file")
    assert status == 2 and "is a file" in err
    assert (tmp_path / "file").read_text() == "mine"
