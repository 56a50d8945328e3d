"""The command as a whole: help, exit statuses, interruption."""

import errno
import os
import signal
import subprocess
import sys

import pytest

import gplvm
from gplvm.cli import _embed, main


def test_version(command):
    assert command("--version") == (0, f"gplvm {gplvm.__version__}\n", "")


@pytest.mark.parametrize(
    "name",
    ["demo", "creatures", "embed", "classify", "transform", "predict", "graphs"],
)
def test_help_has_examples(command, name):
    status, out, err = command(name, "--help")
    assert status == 0 and not err
    assert f"\n  gplvm {name} " in out.partition("examples:")[2]
    assert name in command("--help")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "gplvm: error: the following arguments are required: COMMAND"),
        (["fly"], "invalid choice: 'fly'"),
        (["demo"], "gplvm demo: error: the following arguments are required: --output"),
        (["demo", "--output", "x", "--n-samples", "10"], "'10' is not a whole number"),
        (["creatures", "x", "--noise", "-1"], "'-1' is not a number from 0 to 1"),
        (["creatures", "x", "--noise", "2"], "'2' is not a number from 0 to 1"),
        (["creatures", "x", "--image-size", "4000"], "whole number from 8 to 512"),
        (["embed", "x", "--output", "y", "--model", "umap"], "invalid choice: 'umap'"),
        (["embed", "x", "--output", "y", "--max-iter", "0"], "of at least 1"),
        (["embed", "x", "--output", "y", "--n-components", "two"], "'two' is not"),
        (
            ["embed", "x", "--output", "y", "--model", "linear", "--kernel", "rbf"],
            "--kernel is for --model gplvm, not linear",
        ),
        (["embed", "x", "--output", "y", "--kernel", "linear"], "choice: 'linear'"),
        (["embed", "", "--output", "y"], "embed: error: the name of the input is"),
        (["embed", "x", "--output", ""], "embed: error: the name of the output is"),
        (["creatures", ""], "creatures: error: the name of the output is empty"),
        (["predict", "", "x"], "predict: error: the name of the model is empty"),
        (
            ["embed", "x", "--output", "y", "--inducing", "few"],
            "'few' is not a whole number of at least 1, auto or none",
        ),
        (
            [
                "embed",
                "x",
                "--output",
                "y",
                "--model",
                "autoencoder",
                "--inducing",
                "5",
            ],
            "--inducing is for a GP-LVM (--model), not autoencoder",
        ),
        (
            [
                "embed",
                "x",
                "--output",
                "y",
                "--model",
                "bayesian",
                "--inducing",
                "none",
            ],
            "--model bayesian needs inducing points: --inducing auto or N",
        ),
    ],
)
def test_wrong_arguments_are_told_in_one_line(command, arguments, message):
    status, out, err = command(*arguments)
    assert status == 2 and not out
    assert message in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (OSError(errno.ENOSPC, "No space left on device", "f.png"), 1),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141),
    ],
)
def test_what_ends_a_command_from_outside(monkeypatch, tmp_path, capsys, error, status):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(_embed, "read_input", fail)
    # capsys, not a file: there is no descriptor to hand to the null device.
    assert main(["embed", "x.csv", "--output", str(tmp_path / "out")]) == status
    err = capsys.readouterr().err
    assert err.count("\n") == (status != 141)
    assert not list(tmp_path.iterdir())


def test_a_bug_shows_its_traceback(monkeypatch, tmp_path):
    def fail(*arguments, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(_embed, "read_input", fail)
    with pytest.raises(ZeroDivisionError):
        main(["embed", "x.csv", "--output", str(tmp_path / "out")])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("name", "told"),
    [("SIGINT", "interrupted"), ("SIGTERM", "terminated"), ("SIGHUP", "terminated")],
)
def test_signals_in_a_fit_stop_the_command(monkeypatch, tmp_path, capsys, name, told):
    signum = getattr(signal, name)

    def interrupt(*arguments, **options):
        try:  # as the estimators do
            os.kill(os.getpid(), signum)
        except KeyboardInterrupt:
            pytest.fail("the fit took the interruption for its own")

    # A test run in the background may ignore the signal: the command would too.
    outside = signal.signal(signum, signal.default_int_handler)
    before = signal.getsignal(signum)
    monkeypatch.setattr(_embed, "read_input", interrupt)
    try:
        status = main(["embed", "x.csv", "--output", str(tmp_path / "out")])
        after = signal.getsignal(signum)
    finally:
        signal.signal(signum, outside)
    assert status == 128 + signum
    assert capsys.readouterr().err == (
        f"gplvm embed: error: {told}; nothing was written\n"
    )
    assert after is before
    assert not list(tmp_path.iterdir())


_STOPPED_WHILE_IMPORTING = """
import os, signal, sys
class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except BaseException:
                if "C" not in sys.argv:
                    raise
                raise ImportError("multiarray failed to import") from None
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, CtrlC())
from gplvm.cli import main
sys.exit(main(["embed", "no.csv", "--output", "nothing"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("module", ["numpy", "sklearn.base", "gplvm.cli._apply"])
@pytest.mark.parametrize("written_in", ["Python", "C"])
def test_ctrl_c_while_the_command_is_imported(tmp_path, module, written_in):
    command = [sys.executable, "-c", _STOPPED_WHILE_IMPORTING, module, written_in]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr == "gplvm: error: interrupted; nothing was written\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX terminals")
def test_one_ctrl_d_ends_a_table_typed_into_a_terminal(tmp_path):
    import pty

    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "gplvm", "embed", "-", "--model", "linear"]
    command += ["--output", tmp_path / "out"]
    with subprocess.Popen(command, stdin=end, stderr=subprocess.PIPE) as process:
        os.close(end)
        os.write(terminal, b"a,b\n1,2\n3,x\n5,6\n\x04")
        told = process.stderr.read()
    os.close(terminal)
    assert process.returncode == 2
    assert b"standard input, line 3, column 'b': 'x' is not a number" in told


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_as_a_module_and_into_a_closed_pipe():
    run = [sys.executable, "-m", "gplvm", "embed", "--help"]
    # Unbuffered, argparse itself passes over the error, and so is the status 0.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            run, stdout=writing, stderr=subprocess.PIPE, env=environment
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_library_that_cannot_be_imported_is_told_in_one_line(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gplvm.cli._main", None)
    assert main(["--version"]) == 1
    err = capsys.readouterr().err
    assert (
        err.startswith("gplvm: error: a library is not there: ")
        and err.count("\n") == 1
    )
