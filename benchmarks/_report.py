"""docs/benchmarks.md: tables in words and figures, replaced section by section."""

import datetime
import importlib.metadata
import os
import platform
import re
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from threadpoolctl import threadpool_info

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"

INTRODUCTION = """\
# Benchmarks

Absolute times mean nothing on another machine: the figures that count are ratios,
measured in the same run, in turns. `1.4 (1.3, 1.6); 1.2` is the median ratio of the
paired runs, its quartiles, and the ratio of the fastest run of each, which other work
on the machine disturbs least. A target is met or missed if both quartiles say so, and
unclear otherwise. Times in milliseconds are medians. Two BLAS threads on two cores
that others use too wait for each other: such rows scatter, and the load average says
how busy the machine was.

`make bench` runs every section and rewrites its tables;
`python benchmarks/run.py exact imports` runs two of them, and the others keep their
tables. Packages to compare with (GPy, GPflow, torch) are optional. Where they are
installed beside gplvm they are found; those that need an environment of their own
are measured there, in turns with gplvm, with `--peer-python PATH`, which may be
given several times.
"""


@dataclass
class Table:
    """One table, and what it shows and does not show."""

    title: str
    header: list
    note: str
    rows: list = field(default_factory=list)
    versions: dict = field(default_factory=dict)

    def markdown(self):
        lines = [self.header, ["---"] * len(self.header), *self.rows]
        table = "\n".join("| " + " | ".join(map(str, row)) + " |" for row in lines)
        note = textwrap.fill(" ".join(self.note.split()), 88, break_on_hyphens=False)
        return f"### {self.title}\n\n{table}\n\n{note}\n"


def in_words(ratio):
    """``median (lower, upper); best`` of what `_timing.ratio` returned."""
    return "{:.2f} ({:.2f}, {:.2f}); {:.2f}".format(*ratio)


def milliseconds(seconds):
    """A median of seconds, in milliseconds with three digits."""
    return f"{1e3 * sorted(seconds)[len(seconds) // 2]:.3g}"


def at_most(ratio, target):
    """Whether a ratio meets its target: with both quartiles, or it is unclear."""
    _, lower, upper, _ = ratio
    return "met" if upper <= target else "missed" if lower > target else "unclear"


def at_least(ratio, target):
    """As `at_most`, the other way round."""
    _, lower, upper, _ = ratio
    return "met" if lower >= target else "missed" if upper < target else "unclear"


def machine():
    """The machine in words: cores, BLAS and versions; no name, no path."""
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count()
    )
    blas = sorted(
        {
            f"{library['internal_api']} {library['version']} "
            f"({library['num_threads']} threads)"
            for library in threadpool_info()
            if library["user_api"] == "blas"
        }
    )
    packages = ["numpy", "scipy", "scikit-learn", "gplvm"]
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    words = [
        f"{cores} cores ({platform.machine()}, {platform.system()})",
        f"BLAS {' and '.join(blas)}",
        f"Python {platform.python_version()}",
        *versions,
    ]
    if hasattr(os, "getloadavg"):
        words.append(f"load average at the start {os.getloadavg()[0]:.1f}")
    return ", ".join(words)


def write_section(name, heading, tables, command, where, *, order, page=PAGE):
    """Put a section's tables in its place on the page, and leave the others alone."""
    peers = {key: value for table in tables for key, value in table.versions.items()}
    beside = "".join(f", {key} {value}" for key, value in sorted(peers.items()))
    date = datetime.date.today().isoformat()
    made = f"Made by `{command}` on {date}: {where}{beside}."
    made = textwrap.fill(made, 88, break_on_hyphens=False)
    body = "\n".join(table.markdown() for table in tables)
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    sections = dict(
        re.findall(r"<!-- begin (\w+) -->\n(.*?)<!-- end \1 -->", text, re.DOTALL)
    )
    sections[name] = f"## {heading}\n\n{made}\n\n{body}"
    blocks = [
        f"<!-- begin {key} -->\n{sections[key]}<!-- end {key} -->\n"
        for key in order
        if key in sections
    ]
    page.parent.mkdir(exist_ok=True)
    page.write_text("\n".join([INTRODUCTION, *blocks]), encoding="utf-8")
