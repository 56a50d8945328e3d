"""Output folders: old whole or new whole, and nothing foreign is touched."""

import contextlib
import os
import shutil
import signal
import sys

import pytest

from gplvm.cli._errors import Interrupted, UserError, stopped_by_signals
from gplvm.cli._output import MANIFEST, OutputFolder


def _write(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _read(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }


def test_new_folder_with_parents(tmp_path):
    target = tmp_path / "a b" / "ü" / "out"
    with OutputFolder(target) as folder:
        _write(folder, one="1", sub__two="2")
        assert not target.exists()
    assert _read(target) == {"one": "1", "sub/two": "2"}
    assert [path.name for path in target.parent.iterdir()] == ["out"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_new_folder_is_open_to_those_whom_the_umask_allows(tmp_path):
    umask = os.umask(0o027)
    try:
        with OutputFolder(tmp_path / "out"):
            pass
    finally:
        os.umask(umask)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o750


def test_empty_folder_is_filled(tmp_path):
    with OutputFolder(tmp_path / "x") as folder:
        _write(folder, one="1")
    empty = tmp_path / "empty"
    empty.mkdir()
    before = empty.stat().st_ino
    with OutputFolder(empty) as folder:
        _write(folder, one="1")
    assert _read(empty) == {"one": "1"} and empty.stat().st_ino == before


def test_full_folder_needs_force(tmp_path):
    _write(tmp_path / "out", mine="m")
    with (
        pytest.raises(UserError, match=r"not empty.*--force"),
        OutputFolder(tmp_path / "out"),
    ):
        pass
    assert _read(tmp_path) == {"out/mine": "m"}


def test_force_replaces_what_was_written_and_keeps_the_rest(tmp_path):
    target = tmp_path / "out"
    with OutputFolder(target) as folder:
        _write(folder, kept="old", gone__a="old", shared__b="old")
    _write(target, mine="m", shared__mine="m")
    with OutputFolder(target, force=True) as folder:
        _write(folder, kept="new", fresh__c="new")
    assert _read(target) == {
        "kept": "new",
        "fresh/c": "new",
        "mine": "m",
        "shared/mine": "m",
    }
    assert not (target / "gone").exists()


def test_a_manifest_cannot_reach_outside(tmp_path):
    _write(tmp_path, precious="p")
    _write(tmp_path / "out", mine="m")
    manifest = f"../precious\n{tmp_path / 'precious'}\n"
    (tmp_path / "out" / MANIFEST).write_text(manifest)
    with OutputFolder(tmp_path / "out", force=True) as folder:
        _write(folder, one="1")
    assert _read(tmp_path) == {"precious": "p", "out/mine": "m", "out/one": "1"}


@pytest.mark.parametrize("error", [ValueError, Interrupted, KeyboardInterrupt])
def test_an_exception_leaves_everything_as_it_was(tmp_path, error):
    target = tmp_path / "out"
    _write(target, mine="m")
    with pytest.raises(error), OutputFolder(target, force=True) as folder:
        _write(folder, mine="new", one="1")
        raise error
    assert _read(tmp_path) == {"out/mine": "m"}


def test_a_second_ctrl_c_leaves_nothing_either(tmp_path, monkeypatch):
    genuine = shutil.rmtree

    def slow(*arguments, **options):
        os.kill(os.getpid(), signal.SIGTERM)
        genuine(*arguments, **options)

    monkeypatch.setattr("shutil.rmtree", slow)
    with (
        pytest.raises(Interrupted),
        stopped_by_signals(),
        OutputFolder(tmp_path / "out") as folder,
    ):
        _write(folder, one="1")
        os.kill(os.getpid(), signal.SIGTERM)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("last", range(1, 8))
def test_a_command_that_was_killed_leaves_nothing_for_good(tmp_path, monkeypatch, last):
    target = tmp_path / "out"
    with OutputFolder(target) as folder:
        _write(folder, a="old", sub__gone="old")
    _write(target, mine="m")
    moves = []

    def killed(*args):
        moves.append(args)
        if len(moves) >= last:
            raise SystemExit  # after a kill nothing more is done either
        return replace(*args)

    replace = os.replace
    monkeypatch.setattr("os.replace", killed)
    with (
        contextlib.suppress(SystemExit),
        OutputFolder(target, force=True) as folder,
    ):
        _write(folder, a="new", b="new", new__c="new")
    monkeypatch.undo()
    assert set(_read(target).values()) <= {"old", "new", "m"}
    with OutputFolder(target, force=True) as folder:
        _write(folder, d="newest")
    assert _read(tmp_path) == {"out/d": "newest", "out/mine": "m"}


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_a_manifest_cannot_reach_outside_through_a_link(tmp_path):
    _write(tmp_path / "other", precious="p")
    _write(tmp_path / "out", mine="m", folder__mine="m")
    (tmp_path / "out" / "link").symlink_to(tmp_path / "other")
    (tmp_path / "out" / MANIFEST).write_text("link/precious\nfolder\na\0b\n")
    with OutputFolder(tmp_path / "out", force=True) as folder:
        _write(folder, one="1")
    assert _read(tmp_path / "other") == {"precious": "p"}
    assert _read(tmp_path / "out") == {"mine": "m", "folder/mine": "m", "one": "1"}


def test_a_folder_that_cannot_be_written_is_told_before_any_move(tmp_path, monkeypatch):
    target = tmp_path / "out"
    _write(target, a="old", sub__b="old")
    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr("os.access", lambda path, mode: path != target / "sub")
    with (
        pytest.raises(UserError, match="sub: no permission"),
        OutputFolder(target, force=True) as folder,
    ):
        _write(folder, a="new", sub__b="new")
    assert _read(tmp_path) == {"out/a": "old", "out/sub/b": "old"}


def test_a_file_is_no_folder(tmp_path):
    _write(tmp_path, out="o")
    with pytest.raises(UserError, match="is a file"), OutputFolder(tmp_path / "out"):
        pass


def test_too_deep_a_folder_is_told(tmp_path):
    folder = OutputFolder(tmp_path / ("d/" * 1500))
    with pytest.raises(UserError, match="too deep a folder"), folder:
        pass
    assert not list(tmp_path.iterdir())


def test_parents_of_nothing_are_taken_away(tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(UserError), OutputFolder(tmp_path / "there" / "a" / "b" / "c"):
        raise UserError
    assert [path.name for path in tmp_path.rglob("*")] == ["there"]


@pytest.mark.parametrize("force", [False, True])
def test_a_link_to_nothing_is_told_before_any_work(tmp_path, force):
    (tmp_path / "link").symlink_to("nowhere")
    with (
        pytest.raises(UserError, match="is a link to nothing"),
        OutputFolder(tmp_path / "link", force),
    ):
        raise AssertionError
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_a_folder_in_the_place_of_a_file_is_refused_before_any_move(tmp_path):
    _write(tmp_path / "out", two__mine="m")
    with (
        pytest.raises(UserError, match="two is a folder"),
        OutputFolder(tmp_path / "out", force=True) as folder,
    ):
        _write(folder, one="1", two="2")
    assert _read(tmp_path) == {"out/two/mine": "m"}


def test_a_file_in_the_place_of_a_folder_is_refused_before_any_move(tmp_path):
    _write(tmp_path / "out", two="m")
    with (
        pytest.raises(UserError, match="two is a file"),
        OutputFolder(tmp_path / "out", force=True) as folder,
    ):
        _write(folder, one="1", two__b="2")
    assert _read(tmp_path) == {"out/two": "m"}


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    _write(tmp_path, file="f")
    with (
        pytest.raises(UserError, match="cannot write"),
        OutputFolder(tmp_path / "file" / "out"),
    ):
        pass
