"""What ends a command early: the user's mistake, and the user's Ctrl-C."""

import signal
import threading
from contextlib import contextmanager


class UserError(Exception):
    """Something that the user gave is wrong; its message is one clear line."""


@contextmanager
def data_errors(source):
    """A context in which what numbers lead to is the user's to know, in one line.

    Parameters
    ----------
    source : str
        Where the numbers came from.
    """
    try:
        yield
    except ValueError as error:
        reason = str(error).splitlines()[0] if str(error) else "impossible numbers"
        raise UserError(f"{source}: {reason}") from error


class Interrupted(BaseException):
    """Ctrl-C.

    Not a KeyboardInterrupt: the estimators catch that one, and keep the best
    parameters so far, which is right in a notebook and wrong for a command that
    would then write a result that is not the one asked for.
    """


def _interrupt(signum, frame):
    raise Interrupted


@contextmanager
def _sigint(handler):
    """Handle Ctrl-C by `handler` for as long as the context lasts."""
    ours = (
        threading.current_thread() is threading.main_thread()
        # Whoever started us in the background wants Ctrl-C ignored.
        and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None)
    )
    if not ours:
        yield
        return
    previous = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def stopped_by_ctrl_c():
    """A context in which Ctrl-C raises `Interrupted`."""
    return _sigint(_interrupt)


def undisturbed_by_ctrl_c():
    """A context, a short one, that Ctrl-C does not tear in two."""
    return _sigint(signal.SIG_IGN)
