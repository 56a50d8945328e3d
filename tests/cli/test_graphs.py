"""`gplvm graphs`: every loss's graph as PNG and as SVG."""

import xml.etree.ElementTree as ET

from PIL import Image

from gplvm.graphs._losses import LOSS_GRAPHS
from gplvm.plotting import _graph


def _files(folder):
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def test_writes_all_graphs(command, tmp_path):
    out = tmp_path / "the graphs"
    status, said, err = command("graphs", "--output", out)
    assert status == 0, err
    assert said == f"{out}: {len(LOSS_GRAPHS)} graphs, as PNG and SVG\n"
    assert _files(out) == {f"{n}.{e}" for n in LOSS_GRAPHS for e in ("png", "svg")}
    for name in LOSS_GRAPHS:
        with Image.open(out / f"{name}.png") as picture:
            assert min(picture.size) > 100
        assert ET.parse(out / f"{name}.svg").getroot().tag.endswith("svg")


def test_overwrites_only_if_forced_and_leaves_nothing_half(
    command, tmp_path, monkeypatch
):
    monkeypatch.setattr(_graph, "save_graph", lambda graph, stem: stem.write_text("1"))
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    status, _, err = command("graphs", "--output", out)
    assert status == 2 and err.count("\n") == 1 and "--force" in err
    assert _files(out) == {"mine.txt"}
    assert command("graphs", "--output", out, "--force")[0] == 0
    assert _files(out) == {"mine.txt", *LOSS_GRAPHS}

    def fail(graph, stem):
        stem.write_text("2")
        raise KeyboardInterrupt

    monkeypatch.setattr(_graph, "save_graph", fail)
    assert command("graphs", "--output", out, "--force")[0] == 130
    assert {(out / name).read_text() for name in LOSS_GRAPHS} == {"1"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_help_has_examples(command):
    status, out, _ = command("graphs", "--help")
    assert status == 0 and "\n  gplvm graphs --output graphs\n" in out
    assert "graphs" in command("--help")[1]
    status, _, err = command("graphs")
    assert status == 2 and "required: --output" in err
