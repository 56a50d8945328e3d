"""The `gplvm` command: its arguments, and the status that it ends with."""

import argparse
import contextlib
import io
import os
import sys

from gplvm import __version__
from gplvm.cli import _apply, _classify, _creatures, _demo, _embed, _graphs
from gplvm.cli._errors import Interrupted, UserError, stopped_by_signals
from gplvm.cli._text import one_line

_EXAMPLES = """\
examples:
  gplvm demo --output story        the whole story on images that it draws
  gplvm creatures images           2000 images of seven species, as PNG files
  gplvm embed table.csv --labels species --output embedded
  gplvm embed images --model linear --output embedded
  gplvm transform embedded/model.gplvm new.csv
  gplvm classify images --output classified
  gplvm predict classified/model.gplvm new-images
  gplvm graphs --output graphs     the losses' computational graphs, as pictures

gplvm COMMAND --help has the options of each.
"""


class _Parser(argparse.ArgumentParser):
    """An argument parser that complains in one line."""

    def error(self, message):
        self.exit(2, f"{self.prog}: error: {one_line(message)}\n")


def _parser():
    parser = _Parser(
        prog="gplvm",
        description="Gaussian-process latent variable models: embed, look, explain.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gplvm {__version__}")
    commands = parser.add_subparsers(title="commands", dest="COMMAND", required=True)
    for command in (_demo, _creatures, _embed, _classify, _apply, _graphs):
        command.add_to(commands)
    return parser


def run(argv=None):
    """The command, and the status that it ends with; see `gplvm.cli.main`."""
    argv = sys.argv[1:] if argv is None else list(argv)
    name = "gplvm"
    os.environ["MPLBACKEND"] = "Agg"  # pictures go to files, never to a window
    _prepare_streams()
    try:
        with stopped_by_signals():
            arguments = _parser().parse_args(argv)
            arguments.argv = argv
            name = f"gplvm {arguments.COMMAND}"
            for path in ("input", "model", "output"):
                # pathlib takes it for the folder where one is.
                if getattr(arguments, path, None) == "":
                    raise UserError(f"the name of the {path} is empty")
            arguments.run(arguments)
            sys.stdout.flush()
        return 0
    except SystemExit as stop:  # argparse, after --help or an error
        return _flushed(stop.code)
    except UserError as error:
        return _complain(name, error, 2)
    except Interrupted as stop:
        return _complain(name, stop, stop.status)
    except KeyboardInterrupt:  # in a thread, or where Ctrl-C was not ours to handle
        return _complain(name, Interrupted(), 130)
    except BrokenPipeError:
        return _nobody_reads()
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        _nobody_reads()  # it may be standard output that could not be written
        return _complain(name, f"{error.strerror or error}{where}", 1)
    except MemoryError as error:
        return _complain(name, f"not enough memory. {error}".strip(" ."), 1)


def _prepare_streams():
    """Streams that are there, and that show any name, be it as escapes."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (until the end)
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _complain(name, message, status):
    with contextlib.suppress(OSError):
        print(f"{name}: error: {one_line(message)}", file=sys.stderr)
    return status


def _flushed(status):
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        return _nobody_reads()
    except OSError as error:
        _nobody_reads()
        return _complain("gplvm", error.strerror, 1)
    return status


def _nobody_reads():
    # Python flushes standard output once more at its end, and would complain.
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        return 141
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141
