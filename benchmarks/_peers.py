"""Other packages, each in a process of its own that runs when it is told to.

A peer may need another numpy, and brings its own threads. So it lives in its own
interpreter, prepares once, and then runs once for each line it is sent and reports
the seconds that it took: in turns with us, though not in our process.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

WORKER = Path(__file__).resolve().with_name("peer_worker.py")


def find(library, pythons):
    """The first interpreter that has `library`: ours, or one of `pythons`."""
    look = (
        f"import importlib.util as u, sys; sys.exit(u.find_spec({library!r}) is None)"
    )
    for python in [sys.executable, *pythons]:
        if subprocess.run([python, "-c", look], check=False).returncode == 0:
            return python
    print(f"  {library} is not installed: left out")
    return None


class Peer:
    """A contender for `race` in another process; a context that ends it.

    Parameters
    ----------
    python : str
        The interpreter.

    task : str
        What it runs, a name in `peer_worker.TASKS`.

    threads : int
        Threads it may use.

    **arrays : array-like
        Its data.
    """

    def __init__(self, python, task, threads, **arrays):
        self._folder = tempfile.TemporaryDirectory()
        data = Path(self._folder.name, "data.npz")
        np.savez(data, **arrays)
        limits = {
            f"{library}_NUM_THREADS": str(threads)
            for library in ("OMP", "OPENBLAS", "MKL")
        }
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
        self._process = subprocess.Popen(
            [python, str(WORKER), task, str(data), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=os.environ | limits | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.versions = self._answer()
        self.value = None

    def __call__(self):
        """Seconds of one run; `value` is what it computed."""
        self._process.stdin.write("run\n")
        self._process.stdin.flush()
        answer = self._answer()
        self.value = answer["value"]
        return answer["seconds"]

    def _answer(self):
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            raise RuntimeError(f"The peer process died:\n{self._errors.read()[-2000:]}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        self._errors.close()
        self._folder.cleanup()
