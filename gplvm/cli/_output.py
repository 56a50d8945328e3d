"""Output folders: the old files whole, or the new files whole."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from gplvm.cli._errors import UserError, undisturbed_by_signals

# Lists what a command wrote, so that --force replaces that and nothing else.
MANIFEST = ".gplvm-files"


class OutputFolder:
    """A folder that is written beside its place and moved there when complete.

    Used as a context manager, it gives the path to write to. If the context ends
    with an exception, what was written is removed and the target is as before.

    Parameters
    ----------
    target : path-like
        Where the folder shall be.

    force : bool, default=False
        Write into a folder that has files. Those that an earlier command listed
        there are replaced; any other file stays, unless it has the same name.

    Raises
    ------
    UserError
        If the target is a file, cannot be written, or has files and not `force`.
    """

    def __init__(self, target, force=False):
        self._name = str(target) or "."
        self._target = Path(os.path.abspath(target))
        self._force = force
        self._temporary = None
        self._parents = []  # that were not there before, the deepest first

    def __enter__(self):
        target = self._target
        try:
            if target.is_symlink() and not target.exists():
                raise UserError(f"{self._name} is a link to nothing")
            if target.exists() and not target.is_dir():
                raise UserError(f"{self._name} is a file; --output names a folder")
            if not self._force and target.is_dir() and any(target.iterdir()):
                raise UserError(
                    f"{self._name} is not empty; name another folder, or let --force "
                    "replace what gplvm wrote there"
                )
            self._parents = [path for path in target.parents if not path.exists()]
            target.parent.mkdir(parents=True, exist_ok=True)
            self._temporary = Path(
                tempfile.mkdtemp(dir=target.parent, prefix=".gplvm-")
            )
        except RecursionError as error:
            raise UserError(f"cannot write {self._name}: too deep a folder") from error
        except (OSError, ValueError) as error:  # ValueError: a name with a NUL
            reason = getattr(error, "strerror", error)
            raise UserError(f"cannot write {self._name}: {reason}") from error
        return self._temporary

    def __exit__(self, kind, error, traceback):
        with undisturbed_by_signals():  # a second Ctrl-C would leave the rest
            try:
                if kind is None:
                    self._publish()
            finally:
                shutil.rmtree(self._temporary, ignore_errors=True)
                with contextlib.suppress(OSError):  # not empty: the output is in it
                    for path in self._parents:
                        path.rmdir()

    def _publish(self):
        files = sorted(
            path.relative_to(self._temporary)
            for path in self._temporary.rglob("*")
            if path.is_file()
        )
        if not self._target.exists():
            self._list(files)
            _open_to_readers(self._temporary)
            self._temporary.rename(self._target)
            return
        # A target that exists keeps its identity: somebody may be standing in it. What
        # may be refused comes first, so that the files change places in one go; killed
        # in it, the command has listed all that is its own, old and new.
        self._refuse_folder_in_place_of_file(files)
        for folder in {self._target / path.parent for path in files}:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise UserError(f"cannot write {folder}: no permission")
        before = _read_manifest(self._target)
        self._list({*before, *files})
        for path in files:
            os.replace(self._temporary / path, self._target / path)
        _remove(self._target, set(before) - set(files))
        self._list(files)

    def _list(self, files):
        """Write the list of files, in the target where that exists."""
        listing = "".join(f"{path}\n" for path in sorted(p.as_posix() for p in files))
        new = self._temporary / MANIFEST
        new.write_text(listing, encoding="utf-8")
        if self._target.exists():
            os.replace(new, self._target / MANIFEST)

    def _refuse_folder_in_place_of_file(self, files):
        for path in files:
            if (self._target / path).is_dir():
                raise UserError(f"{Path(self._name) / path} is a folder; move it away")
            for parent in list(path.parents)[:-1]:
                if (self._target / parent).is_file():
                    raise UserError(
                        f"{Path(self._name) / parent} is a file; move it away"
                    )


def _open_to_readers(folder):
    """The usual permissions: a temporary folder starts with its owner's alone."""
    umask = os.umask(0)
    os.umask(umask)
    folder.chmod(0o777 & ~umask)


def _read_manifest(folder):
    if not (folder / MANIFEST).is_file():
        return []
    try:
        lines = (folder / MANIFEST).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    paths = [Path(line) for line in lines if line]
    # Whatever the file says, nothing outside the folder is ours to remove.
    return [path for path in paths if not path.is_absolute() and ".." not in path.parts]


def _remove(folder, files):
    files = [path for path in files if _is_file_inside(folder, path)]
    for path in files:
        (folder / path).unlink()
    parents = {parent for path in files for parent in list(path.parents)[:-1]}
    for parent in sorted(parents, key=lambda p: len(p.parts), reverse=True):
        place = folder / parent
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()


def _is_file_inside(folder, path):
    """Whether there is such a file, and no link on the way leads out of the folder."""
    place = folder / path
    return place.is_file() and place.parent.resolve().is_relative_to(folder.resolve())
