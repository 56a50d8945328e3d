"""`gplvm transform` and `gplvm predict`: what was fitted, on rows that are new."""

import csv
import io
import os
import subprocess
import sys

import numpy as np
import pytest
from sklearn.datasets import load_iris

import gplvm

NAMES = ["a", "b", "c", "d"]
X, TARGET = load_iris(return_X_y=True)
X = X[::4]
LABELS = load_iris().target_names[TARGET[::4]]


def _write(path, columns, header=None):
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        if header is not None:
            writer.writerow(header)
        writer.writerows(columns)
    return path


def _read(text):
    header, *rows = csv.reader(io.StringIO(text))
    return header, rows


@pytest.fixture
def embedded(command, tmp_path):
    """A folder of `gplvm embed`, and the table that was embedded."""
    table = _write(tmp_path / "a table.csv", X, NAMES)
    status, _, err = command(
        "embed", table, "--model", "linear", "--output", tmp_path / "embedded"
    )
    assert status == 0, err
    return tmp_path / "embedded", table


@pytest.fixture
def classified(command, tmp_path):
    """A folder of `gplvm classify`, and its table with labels."""
    rows = [[*row, label] for row, label in zip(X, LABELS, strict=True)]
    table = _write(tmp_path / "labelled.csv", rows, [*NAMES, "kind"])
    status, said, err = command(
        "classify", table, "--labels", "kind", "--standardize", "--hidden", 8,
        "--output", tmp_path / "classified",
    )  # fmt: skip
    assert status == 0, err
    assert "8 hidden units, 67 parameters, 3 classes" in said
    return tmp_path / "classified", table


def test_new_rows_go_where_the_library_puts_them(command, embedded, tmp_path):
    folder, _ = embedded
    new = X[:5] + 0.05
    # Other columns in another order: they are found by their names.
    shuffled = np.column_stack([new[:, [3, 1]], np.arange(5), new[:, [0, 2]]])
    table = _write(tmp_path / "new.csv", shuffled, ["d", "b", "extra", "a", "c"])
    status, said, _ = command("transform", folder / "model.gplvm", table, "--std")
    assert status == 0
    header, rows = _read(said)
    assert header == ["gplvm0", "gplvm1", "gplvm0_std", "gplvm1_std"]
    model = gplvm.GPLVM(kernel="linear", random_state=0).fit(X)
    expected = np.hstack(model.transform(new, return_std=True))
    np.testing.assert_allclose(np.array(rows, dtype=float), expected, rtol=1e-9)


def test_there_and_back_again(command, embedded, tmp_path):
    folder, table = embedded
    positions = tmp_path / "positions.csv"
    status, said, _ = command(
        "transform", folder / "model.gplvm", table, "--output", positions
    )
    assert (status, said) == (0, "")
    assert positions.read_text() == (folder / "embedding.csv").read_text()
    status, said, _ = command(
        "transform", folder / "model.gplvm", positions, "--inverse"
    )
    header, rows = _read(said)
    assert header == NAMES
    assert np.abs(np.array(rows, dtype=float) - X).mean() < 0.2


@pytest.mark.parametrize("option", [[], ["--std"]])
def test_many_rows_are_asked_about_piece_by_piece(
    command, embedded, monkeypatch, option
):
    folder, table = embedded
    whole = command("transform", folder / "model.gplvm", table, *option)
    monkeypatch.setattr("gplvm.cli._apply._ROWS", 7)
    assert command("transform", folder / "model.gplvm", table, *option) == whole


def test_the_line_of_a_row_that_the_model_refuses(
    command, embedded, monkeypatch, tmp_path
):
    folder, _ = embedded
    monkeypatch.setattr("gplvm.cli._apply._ROWS", 7)
    X_bad = X.astype(object)
    X_bad[14, 1] = X_bad[20] = ""
    table = _write(tmp_path / "bad.csv", X_bad, NAMES)
    status, _, err = command("transform", folder / "model.gplvm", table)
    assert status == 2
    assert "bad.csv, line 22" in err and "no observed entry" in err


def test_standard_input_and_missing_entries(command, embedded, monkeypatch):
    folder, _ = embedded
    text = "a,b,c,d\n5.1,3.5,1.4,0.2\n5.1,,1.4,0.2\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    status, said, _ = command("transform", folder / "model.gplvm", "-")
    assert status == 0
    _, rows = _read(said)
    assert np.all(np.isfinite(np.array(rows, dtype=float)))


def test_predictions_are_those_of_the_library(command, classified):
    folder, table = classified
    status, said, _ = command(
        "predict", folder / "model.gplvm", table, "--proba", "--labels", "kind"
    )
    assert status == 0
    header, rows = _read(said)
    assert header == [
        "predicted", "p(setosa)", "p(versicolor)", "p(virginica)", "label",
    ]  # fmt: skip
    proba = np.array([row[1:4] for row in rows], dtype=float)
    np.testing.assert_allclose(proba.sum(axis=1), 1.0, rtol=1e-6)
    model = gplvm.load(folder / "model.gplvm")
    np.testing.assert_allclose(proba, model.predict_proba(_frame(X)), rtol=1e-6)
    assert [row[0] for row in rows] == list(model.predict(_frame(X)))
    assert [row[4] for row in rows] == list(LABELS)


def _frame(X):
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(X, columns=NAMES)


def test_a_classifier_transforms_to_its_hidden_layer(command, classified):
    folder, table = classified
    status, said, _ = command("transform", folder / "model.gplvm", table)
    assert status == 0
    header, _ = _read(said)
    assert header == [f"swishmlpclassifier{i}" for i in range(8)]


def test_classify_writes_its_held_out_rows(classified):
    folder, _ = classified
    with open(folder / "predictions.csv", newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    assert header[0] == "predicted"
    assert header[-1] == "label"
    assert len(rows) == 10
    names = {path.name for path in folder.iterdir()}
    assert {"model.gplvm", "confusion.png", "loss-curve.png"} <= names


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["transform", "nothing.gplvm", "TABLE"], "No such file"),
        (["transform", "TABLE", "TABLE"], "is no gplvm file"),
        (["transform", "MODEL", "nothing.csv"], "no such file"),
        (["transform", "MODEL", "NARROW"], "no column 'c' and 1 more, which"),
        (["transform", "MODEL", "WIDE"], "rows of 5, but the model takes 4"),
        (["transform", "MODEL", "TABLE", "--output", "TABLE"], "exists; name another"),
        (["transform", "MODEL", "TABLE", "--output", "no/no.csv"], "No such file"),
        (["transform", "MODEL", "TABLE", "--inverse"], "but the model takes 2"),
        (["predict", "MODEL", "TABLE"], "a GPLVM, which is no classifier"),
        (["classify", "TABLE", "--output", "out"], "no labels"),
        (["classify", "TABLE", "--output", "out", "--labels", "a"], "has one row"),
        (["classify", "TABLE", "--output", "o", "--held-out", "2"], "between 0 and 1"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    command, embedded, tmp_path, arguments, message
):
    folder, table = embedded
    places = {
        "MODEL": folder / "model.gplvm",
        "TABLE": table,
        "NARROW": _write(tmp_path / "narrow.csv", X[:, :2], NAMES[:2]),
        "WIDE": _write(tmp_path / "wide.csv", np.hstack([X, X[:, :1]])),
        "out": tmp_path / "out",
    }
    before = table.read_bytes()
    status, said, err = command(*(places.get(a, a) for a in arguments))
    assert (status, said) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert table.read_bytes() == before
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
def test_a_pipe_as_output_needs_no_force(command, embedded, tmp_path):
    folder, table = embedded
    os.mkfifo(tmp_path / "pipe")
    with subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE) as reader:
        status, *_ = command(
            "transform", folder / "model.gplvm", table, "--output", tmp_path / "pipe"
        )
        assert status == 0
        assert reader.stdout.read() == (folder / "embedding.csv").read_bytes()
    assert (tmp_path / "pipe").is_fifo()


def test_nobody_reads(embedded, tmp_path):
    folder, _ = embedded
    rows = np.tile(X, (200, 1)) + np.linspace(0, 0.1, 200 * len(X))[:, None]
    table = _write(tmp_path / "long.csv", rows, NAMES)
    process = subprocess.Popen(
        [sys.executable, "-m", "gplvm", "transform", folder / "model.gplvm", table],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"gplvm0,gplvm1\n"
    process.stdout.close()
    complaint = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141
    assert complaint == b""


def test_a_table_for_a_closed_standard_output_is_no_success(embedded):
    folder, table = embedded[0], embedded[0] / "embedding.csv"
    done = subprocess.run(
        [
            *("sh", "-c", '"$@" >&-', "sh", sys.executable, "-m", "gplvm"),
            *("transform", folder / "model.gplvm", table),
        ],
        stderr=subprocess.PIPE,
    )
    assert done.returncode == 2
    assert done.stderr == b"gplvm transform: error: -: there is no standard output\n"
