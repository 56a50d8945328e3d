"""Progress: plain lines in a log, a live bar on a terminal."""

import io
import re
import warnings

import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from gplvm.cli._progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_plain_lines():
    stream = io.StringIO()
    progress = Progress(2, stream)
    with progress.step("First") as step:
        step.remark = "well"
    with progress.step("Second"):
        pass
    first, second = stream.getvalue().splitlines()
    assert first.startswith("[1/2] First ") and first.endswith(" s  well")
    assert second.startswith("[2/2] Second ") and "\r" not in stream.getvalue()
    assert step.seconds >= 0


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_a_bar_follows_the_iterations(encoding, monkeypatch):
    monkeypatch.setattr("gplvm.cli._progress._PAUSE", 0.0)
    monkeypatch.setenv("COLUMNS", "120")
    stream_encoding = type("Encoded", (Terminal,), {"encoding": encoding})
    stream = stream_encoding()
    with Progress(1, stream).step("Fitting") as step:
        model = step.watch(LogisticRegression(max_iter=50))
        model.fit([[0.0], [1.0], [2.0]], [0, 1, 1])
    text = stream.getvalue()
    assert ("━" in text) == (encoding == "utf-8") and ("#" in text) != ("━" in text)
    assert re.search(r" 1/5\d at most, \d+ s", text)
    assert text.endswith("\n") and " s" in text.rsplit("\r", 1)[1]
    assert all(len(line.rstrip("\n")) < 120 for line in text.split("\r"))
    assert not hasattr(model, "_skl_callbacks")


def test_a_narrow_terminal_is_never_wrapped(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    stream = Terminal()
    with Progress(1, stream).step("A title that is longer than the terminal"):
        pass
    assert all(len(line.rstrip("\n")) < 30 for line in stream.getvalue().split("\r"))


def test_convergence_warnings_become_notes():
    progress = Progress(1, io.StringIO())
    with progress.step("Fitting"):
        warnings.warn("not\n there\n\nadvice", ConvergenceWarning, stacklevel=1)
    assert progress.notes == ["Fitting: not there"]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("1 epoch: max_iter reached. Raise max_iter or tol.", "1 epoch: --max-iter "
         "reached. Raise --max-iter."),
        ("Maximum iterations (2) reached", "Maximum iterations (2) reached. "
         "Raise --max-iter."),
        ("TOTAL ITERATIONS REACHED LIMIT\n\nadvice", "TOTAL ITERATIONS REACHED LIMIT. "
         "Raise --max-iter."),
        ("ABNORMAL. Scale the data to unit variance, or raise tol.", "ABNORMAL. Scale "
         "the data to unit variance."),
    ],
)  # fmt: skip
def test_notes_give_advice_for_the_command(said, shown):
    progress = Progress(1, io.StringIO())
    with progress.step("Fitting"):
        warnings.warn(said, ConvergenceWarning, stacklevel=1)
    assert progress.notes == [f"Fitting: {shown}"]


def test_other_warnings_are_still_heard():
    progress = Progress(1, io.StringIO())
    with (
        pytest.warns(UserWarning, match="odd"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("always")
        with progress.step("Fitting"):
            warnings.warn("odd", UserWarning, stacklevel=1)
    assert not progress.notes


@pytest.mark.parametrize("kind", [io.StringIO, Terminal])
def test_a_failed_step_leaves_no_line(kind):
    stream = kind()
    with pytest.raises(ValueError), Progress(1, stream).step("First"):
        raise ValueError
    assert "\n" not in stream.getvalue()
    assert not stream.getvalue().rpartition("\r")[0].rpartition("\r")[2].strip()
