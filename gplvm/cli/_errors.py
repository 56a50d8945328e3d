"""What ends a command early: the user's mistake, and the user's Ctrl-C."""

import signal
import threading
from contextlib import contextmanager

_STOPS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP")
    if hasattr(signal, name)
]


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
    """Ctrl-C, or another signal to stop.

    Not a KeyboardInterrupt: the estimators catch that one, and keep the best
    parameters so far, which is right in a notebook and wrong for a command that
    would then write a result that is not the one asked for.

    Parameters
    ----------
    signum : int, default=SIGINT
        The signal.
    """

    def __init__(self, signum=signal.SIGINT):
        self.status = 128 + signum
        what = "interrupted" if signum == signal.SIGINT else "terminated"
        super().__init__(f"{what}; nothing was written")


@contextmanager
def _signals(handler):
    """Handle what asks a process to stop by `handler`, as long as the context lasts."""
    previous = {}
    if threading.current_thread() is threading.main_thread():
        for signum in _STOPS:
            # Whoever started us in the background wants Ctrl-C ignored.
            if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                previous[signum] = signal.signal(signum, handler)
    try:
        yield
    finally:
        for signum, handler_before in previous.items():
            signal.signal(signum, handler_before)


@contextmanager
def stopped_by_signals():
    """A context in which Ctrl-C, or the end of the terminal, raises `Interrupted`.

    It gives a list of what was raised, for it may come out as something else.
    """
    raised = []

    def interrupt(signum, frame):
        raised.append(Interrupted(signum))
        raise raised[-1]

    with _signals(interrupt):
        yield raised


def undisturbed_by_signals():
    """A context, a short one, that Ctrl-C does not tear in two."""
    return _signals(signal.SIG_IGN)
