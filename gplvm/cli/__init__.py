"""The `gplvm` command: demo, creatures, embed, classify, transform, predict, graphs."""

import sys

from gplvm.cli._errors import Interrupted, stopped_by_signals

__all__ = ["main"]


def main(argv=None):
    """Run the `gplvm` command.

    Parameters
    ----------
    argv : list of str, default=None
        The arguments after the command's name; None means those of the process.

    Returns
    -------
    int
        The exit status: 0; 2 after wrong arguments or bad input; 1 when the disk
        or the memory fails; 130 after Ctrl-C, and 128 more than its number after
        another signal to stop; 141 when nobody reads the output any more.
    """
    stops = []
    try:
        with stopped_by_signals() as stops:
            # Imports take a second, in which Ctrl-C is as likely as later.
            from gplvm.cli._main import run

            return run(argv)
    except Interrupted as stop:
        return _stopped(stop)
    except (ImportError, MemoryError) as error:  # of a library, where memory is short
        if stops:  # in the middle of one that is written in C
            return _stopped(stops[-1])
        reason = str(error).strip().partition("\n")[0] or "not enough memory for it"
        print(f"gplvm: error: a library is not there: {reason}", file=sys.stderr)
        return 1


def _stopped(stop):
    print(f"gplvm: error: {stop}", file=sys.stderr)
    return stop.status
