"""Measure, and rewrite the tables of docs/benchmarks.md.

``run.py`` runs every section, ``run.py exact imports`` two of them; a section that is
not run keeps its table. Nothing here passes or fails: tests never look at a clock.
"""

import argparse
import time

import _report
import bench_autoencoder
import bench_bayesian
import bench_bayesian_fit
import bench_classifier
import bench_embeddings
import bench_exact
import bench_imports
import bench_linear
import bench_many_rows
import bench_missing

SECTIONS = {
    "linear": bench_linear,
    "exact": bench_exact,
    "bayesian": bench_bayesian,
    "fits": bench_bayesian_fit,
    "autoencoder": bench_autoencoder,
    "classifier": bench_classifier,
    "imports": bench_imports,
    "embeddings": bench_embeddings,
    "missing": bench_missing,
    "many_rows": bench_many_rows,
}


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "sections",
        nargs="*",
        metavar="SECTION",
        help=f"any of {', '.join(SECTIONS)}; none: all",
    )
    parser.add_argument(
        "--repeats", type=int, default=15, help="paired runs of a figure (15)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="small problems, few runs: print the tables, leave the page alone",
    )
    parser.add_argument(
        "--peer-python",
        dest="pythons",
        action="append",
        default=[],
        metavar="PATH",
        help="an interpreter with GPy, GPflow or torch; may be repeated",
    )
    options = parser.parse_args(arguments)
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"unknown section {', '.join(sorted(unknown))}")
    if options.repeats < 2:
        parser.error("--repeats must be at least 2")
    if options.quick:
        options.repeats = min(options.repeats, 3)
    return options


def main():
    options = parse()
    for name in options.sections or SECTIONS:
        section = SECTIONS[name]
        # Paths say nothing to a reader, and belong to a machine.
        peers = " --peer-python PATH" * len(options.pythons)
        command = f"python benchmarks/run.py {name} --repeats {options.repeats}{peers}"
        where = _report.machine()
        print(f"{name} ...", flush=True)
        start = time.perf_counter()
        tables = section.run(options)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        if options.quick:
            print("\n".join(table.markdown() for table in tables))
        else:
            _report.write_section(
                name, section.HEADING, tables, command, where, order=list(SECTIONS)
            )


if __name__ == "__main__":
    main()
