"""What it costs to import all that gplvm has."""

import subprocess
import sys

from _report import Table, at_most, in_words, milliseconds
from _timing import race, ratio

HEADING = "Import"
TARGET = 1.2


def fresh(statement):
    """A contender: the seconds of an import in a new process, without its start."""
    code = (
        f"import time; start = time.perf_counter(); {statement}; "
        "print(time.perf_counter() - start)"
    )

    def run():
        command = [sys.executable, "-c", code]
        return float(subprocess.run(command, check=True, capture_output=True).stdout)

    return run


def run(options):
    peer = "sklearn.decomposition"
    seconds = race(
        {"gplvm": fresh("from gplvm import *"), peer: fresh(f"import {peer}")},
        options.repeats,
        2,
    )
    relative = ratio(seconds["gplvm"], seconds[peer])
    table = Table(
        "In fresh processes",
        ["gplvm, ms", f"{peer}, ms", "gplvm / scikit-learn", "target <= 1.2"],
        """The time of `from gplvm import *`, for `import gplvm` alone imports next to
        nothing, and of `import sklearn.decomposition`, with files in the system's
        cache. The first import after a boot is slower, for both.""",
        [
            [
                milliseconds(seconds["gplvm"]),
                milliseconds(seconds[peer]),
                in_words(relative),
                at_most(relative, TARGET),
            ]
        ],
    )
    return [table]
