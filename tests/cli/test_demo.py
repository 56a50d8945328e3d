"""`gplvm demo`: a small story, with every file, and numbers that agree."""

import base64
import html
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from gplvm.cli import main
from gplvm.cli._pictures import PICTURES
from gplvm.cli._report import (
    _CLASSIFIER_COLUMNS,
    _EMBEDDING_COLUMNS,
    _without_iterations,
)
from gplvm.datasets import load_image_folder

ARGUMENTS = ["--n-samples", "140", "--image-size", "16", "--max-iter", "20"]


class Page(HTMLParser):
    """What a browser would make of the report: tables, pictures, open tags."""

    VOID = ("meta", "img", "br", "link", "hr")

    def __init__(self, text):
        super().__init__()
        self.tables, self.images, self.headings, self.links = [], [], [], []
        self.open, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "img":
            self.images.append(attributes)
        self.links += [attributes[key] for key in ("src", "href") if key in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data
        elif self.open and self.open[-1] in ("h1", "h2"):
            self.headings.append(data)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """The folder that a small demo wrote."""
    out = tmp_path_factory.mktemp("demo") / "a story"
    assert main(["demo", "--output", str(out), *ARGUMENTS]) == 0
    return out


@pytest.fixture(scope="module")
def results(story):
    """Its results.json."""
    return json.loads((story / "results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(story):
    """Its report."""
    return Page((story / "report.html").read_text(encoding="utf-8"))


def test_every_file_is_there(story):
    images = load_image_folder(story / "creatures")
    assert images.images.shape == (140, 16, 16) and len(images.target_names) == 7
    for name in PICTURES.values():
        with Image.open(story / name) as picture:
            picture.load()
            assert min(picture.size) > 300
            assert np.asarray(picture.convert("L")).std() > 5
    written = {path.name for path in story.iterdir() if path.name[0] != "."}
    assert written == {"creatures", "report.html", "results.json", *PICTURES.values()}
    assert not list(story.parent.glob(".*"))


def test_the_report_needs_nothing_else(story, page):
    text = (story / "report.html").read_text(encoding="utf-8")
    assert "http:" not in text and "https:" not in text and "<link" not in text
    assert "src=" not in re.sub(r'src="data:', "", text)
    assert len(page.images) == len(PICTURES)
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert all(image["alt"] for image in page.images)
    assert not page.open and page.headings[0] == "Creatures, classified and embedded"
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text


@pytest.fixture(scope="module")
def plane(story):
    """The data of the interactive plane."""
    text = (story / "report.html").read_text(encoding="utf-8")
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', text)
    return json.loads(data)


def test_the_plane_has_the_images_and_the_species(story, plane):
    assert len(plane["points"]) == 105
    loaded = load_image_folder(story / "creatures")
    assert plane["names"] == list(loaded.target_names)
    counts = np.bincount([kind for _, _, kind in plane["points"]])
    assert counts.sum() == 105 and counts.min() > 0
    head, _, encoded = plane["mosaic"].partition(",")
    assert head == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(encoded))) as picture:
        mosaic = np.asarray(picture)
    columns = plane["columns"]
    known = {image.tobytes() for image in np.round(255 * loaded.images).astype("u1")}
    species = {
        image.tobytes(): kind
        for image, kind in zip(
            np.round(255 * loaded.images).astype("u1"), loaded.target, strict=True
        )
    }
    for index, (_, _, kind) in enumerate(plane["points"]):
        row, column = divmod(index, columns)
        cell = mosaic[16 * row : 16 * row + 16, 16 * column : 16 * column + 16]
        assert cell.tobytes() in known
        assert species[cell.tobytes()] == kind


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_plane_works_in_a_browser(story, plane, tmp_path):
    # A script of the test's own moves the pointer to the middle of some points.
    moves = """<script>
    const svg = document.querySelector(".plane svg"), told = [];
    for (const dot of [...svg.querySelectorAll("circle:not(.ring)")].slice(0, 40)) {
      const r = dot.getBoundingClientRect();
      svg.dispatchEvent(new PointerEvent("pointermove", {
        clientX: r.x + r.width / 2, clientY: r.y + r.height / 2 }));
      told.push(document.querySelector(".plane .name").textContent);
    }
    document.querySelector(".plane button").click();
    told.push(svg.querySelectorAll(".dim").length);
    document.body.dataset.told = JSON.stringify(told);
    </script>"""
    text = (story / "report.html").read_text(encoding="utf-8")
    page = tmp_path / "page.html"
    page.write_text(text.replace("</body>", f"{moves}</body>"), encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    (told,) = re.findall(r'<body data-told="(.*?)">', done.stdout)
    *names, dimmed = json.loads(html.unescape(told))
    points = plane["points"]
    for name, (x, y, _) in zip(names, points[:40], strict=True):
        # The nearest point may be another one at the same place, to a tenth.
        species, _, index = name.partition(", image ")
        x_shown, y_shown, kind = points[int(index) - 1]
        assert (x_shown - x) ** 2 + (y_shown - y) ** 2 < 1.0
        assert plane["names"][kind] == species
    assert dimmed == sum(kind != 0 for _, _, kind in points)


def test_the_tables_show_the_numbers_of_the_run(results, page):
    for table, key, columns in zip(
        page.tables,
        ("classifiers", "embeddings"),
        (_CLASSIFIER_COLUMNS, _EMBEDDING_COLUMNS),
        strict=True,
    ):
        assert table[0][1:] == [heading for heading, *_ in columns]
        assert len(table) == 1 + len(results[key])
        for row, fit in zip(table[1:], results[key], strict=True):
            shown = [
                "\N{EN DASH}" if fit[name] is None else form.format(fit[name])
                for _, name, form, _ in columns
            ]
            assert row == [fit["name"], *shown]
    assert f"Seed {results['seed']};" in page.text


def test_the_numbers_are_sane(results):
    assert results["images"] == {
        "count": 140,
        "size": [16, 16],
        "species": results["images"]["species"],
        "train": 105,
        "embedded": 105,
        "held_out": 35,
    }
    swish, relu, logistic = results["classifiers"]
    assert swish["parameters"] == relu["parameters"] <= 70_000
    assert swish["hidden"] == relu["hidden"] and logistic["hidden"] is None
    assert logistic["parameters"] == 7 * (16 * 16 + 1)
    assert all(1 / 7 < fit["accuracy"] <= 1 for fit in results["classifiers"])
    embeddings = {fit["name"]: fit for fit in results["embeddings"]}
    for fit in embeddings.values():
        assert 0 <= fit["nn_error"] <= 1 and 0.4 < fit["trustworthiness"] <= 1
    errors = [
        embeddings[name]["reconstruction_rmse"]
        for name in ("PCA", "Linear autoencoder", "Linear GP-LVM", "RBF GP-LVM")
    ]
    assert min(errors) > 0.01 and max(errors) < 0.3
    np.testing.assert_allclose(errors[1], errors[0], rtol=1e-3)
    likelihoods = [
        embeddings[name]["log_likelihood"] for name in ("Linear GP-LVM", "RBF GP-LVM")
    ]
    assert all(np.isfinite(likelihoods))


def test_fits_that_stop_early_are_noted(results, page):
    for title in (
        "Training Swish network",
        "Training MLPClassifier",
        "Training LogisticRegression",
        "Fitting RBF GP-LVM",
    ):
        (note,) = [note for note in results["notes"] if note.startswith(title)]
        assert note.endswith("Raise --max-iter.") and "max_iter" not in note
    assert all(note in page.text for note in results["notes"])


@pytest.mark.parametrize("iterations", [0, 3])
def test_a_fit_without_iterations_is_named(results, iterations):
    fits = [{**fit, "iterations": iterations} for fit in results["embeddings"][2:3]]
    assert ("Linear GP-LVM" in _without_iterations(fits)) == (iterations == 0)


def test_the_command_is_told_as_it_was_given(results, page, story):
    assert results["command"].startswith("gplvm demo --output ")
    assert results["command"] in page.text
    assert results["command"].endswith(" ".join(ARGUMENTS))


def test_not_again_without_force(story, command):
    before = (story / "results.json").read_bytes()
    status, _, err = command("demo", "--output", story, *ARGUMENTS)
    assert status == 2 and err.count("\n") == 1 and "--force" in err
    assert (story / "results.json").read_bytes() == before
