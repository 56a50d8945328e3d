"""Damaged files given to the command: a short part of campaigns/command_line.py."""

import io
import os
import zipfile

import command_line
import numpy as np
import pytest

from gplvm.cli import _csv
from gplvm.cli._errors import UserError
from gplvm.cli._inputs import read_input
from gplvm.datasets import _memory

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
]


def _header(shape, dtype="<f8"):
    stream = io.BytesIO()
    about = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, about)
    return stream.getvalue()


def test_the_command_works_or_says_why_not_in_one_line(tmp_path):
    counts, failures = command_line.run(25, seed=0, folder=tmp_path)
    assert not failures
    assert counts["refused"] and counts["done"]


def test_the_judge_sees_what_must_not_be(tmp_path):
    """A status 2 with an output, or more than one line; a status 0 without one."""
    assert "output" in command_line._judged("embed", 2, "gplvm: error: x\n", tmp_path)
    assert "one line" in command_line._judged("embed", 2, "a\nb\n", tmp_path / "no")
    assert "missing" in command_line._judged("embed", 0, "", tmp_path)


@pytest.mark.parametrize("shape", [(10**12, 4), (2**62, 2**62)])
def test_a_header_that_lies_is_refused_before_memory_is_taken(tmp_path, shape):
    path = tmp_path / "a.npy"
    path.write_bytes(_header(shape) + bytes(64))
    with pytest.raises(UserError, match="its header promises"):
        read_input(path)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("X.npy", path.read_bytes())
    with pytest.raises(UserError, match="its header promises"):
        read_input(tmp_path / "a.npz")


def test_more_dimensions_than_numpy_has_are_refused(tmp_path):
    (tmp_path / "a.npy").write_bytes(_header((1,) * 100) + bytes(8))
    with pytest.raises(UserError, match="not an array in NPY format"):
        read_input(tmp_path / "a.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match="is no regular file"):
        read_input(tmp_path / name)


def test_a_file_with_holes_larger_than_memory_is_refused(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(_header((10**11, 4)))
    os.truncate(path, path.stat().st_size + 32 * 10**11)
    with pytest.raises(UserError, match=r"needs .* GiB of memory"):
        read_input(path)


def test_an_archive_that_unpacks_to_more_than_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.zeros((10**5, 20)))
    assert path.stat().st_size < 50_000
    monkeypatch.setattr("gplvm.cli._arrays.available_memory", lambda: 2**24)
    with pytest.raises(UserError, match=r"a.npz: X: needs 0.0298 GiB of memory"):
        read_input(path)
    monkeypatch.undo()
    assert read_input(path).data.shape == (10**5, 20)


def test_sizes_that_deflate_cannot_reach_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.zeros((1000, 20)))
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match="not as long as the archive says"):
        read_input(path)


def test_available_memory_is_that_of_the_process_at_most():
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_AS)
    assert 0 < _memory.available_memory() < 2**60
    try:
        resource.setrlimit(resource.RLIMIT_AS, (2**40, limits[1]))
        assert _memory._of_the_process() == 2**40
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 2**20])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_pieces_and_ends_of_lines_change_nothing(monkeypatch, piece, end, encoding):
    text = 'é,"b\nc",k\n1,2.5,x\n3,,"y, ""z"""\n\n5,6,x\n'.replace("\n", end)
    monkeypatch.setattr(_csv, "_PIECE", piece if encoding != "utf-16" else 2 * piece)
    monkeypatch.setattr(_csv, "_BLOCK", 3)
    stream = io.BytesIO(text.encode(encoding))
    data, names, labels, lines, _ = _csv.read_csv("t", stream, "k")
    np.testing.assert_array_equal(data, [[1, 2.5], [3, np.nan], [5, 6]])
    assert names == ["é", f"b{end}c"]
    assert list(labels) == ["x", 'y, "z"', "x"]
    assert list(lines) == [3, 4, 6]
    with pytest.raises(UserError, match="line 3: binary data"):
        _csv.read_csv("t", io.BytesIO(f"a{end}b{end}\0".encode("utf-8-sig")))


def test_blocks_agree_with_one_block(monkeypatch):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 7))
    text = "\n".join(",".join(map(repr, row)) for row in X.tolist())
    for block in (1, 50, 10**6):
        monkeypatch.setattr(_csv, "_BLOCK", block)
        data, names, _, lines, _ = _csv.read_csv("t", io.BytesIO(text.encode()))
        np.testing.assert_array_equal(data, X)
        assert names == list("1234567")
        np.testing.assert_array_equal(lines, np.arange(1, 501))


@pytest.mark.parametrize(
    ("labels", "message"),
    [(None, ""), ("$\\frac{$", ""), ("a", "two columns are 'a'")],
)
def test_odd_names_of_columns(tmp_path, command, labels, message):
    rows = ["a,a,b,$\\frac{$"]
    rows += [f"{i},{i * i % 7},{i % 3},{'$x_{$' if i % 2 else '猫'}" for i in range(9)]
    (tmp_path / "t.csv").write_text("\n".join(rows), encoding="utf-8")
    options = [] if labels is None else ["--labels", labels]
    status, _, err = command(
        *("embed", tmp_path / "t.csv", "--output", tmp_path / "out"),
        *("--model", "autoencoder", *options),
    )
    assert status == (2 if message else 0) and message in err


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_an_infinite_entry_is_refused_on_whichever_side_of_the_split(
    tmp_path, command, seed
):
    rows = [f"{i},{i % 2}" for i in range(8)] + ["inf,1"]
    (tmp_path / "t.csv").write_text("\n".join(["a,k", *rows]))
    status, _, err = command(
        *("classify", tmp_path / "t.csv", "--labels", "k", "--seed", seed),
        *("--output", tmp_path / "o", "--max-iter", 2),
    )
    assert status == 2 and "line 10, column 'a': an infinite entry" in err


def test_control_characters_do_not_reach_the_terminal(tmp_path, command):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3,\x1b[31m\n5,6\n")
    status, _, err = command("embed", tmp_path / "t.csv", "--output", tmp_path / "o")
    assert status == 2 and "\x1b" not in err and err.count("\n") == 1


def test_a_very_long_name_is_told_in_brief(tmp_path, command):
    status, _, err = command("embed", "x" * 9000 + ".csv", "--output", tmp_path / "o")
    assert status == 2 and len(err) < 1000 and err.count("\n") == 1
    status, _, err = command("embed", tmp_path, "--output", tmp_path / ("y" * 300))
    assert status == 2 and err.count("\n") == 1
