"""What a person sees while a command works: steps, and a bar for a fit."""

import os
import re
import shutil
import sys
import time
import warnings
from contextlib import contextmanager

from sklearn.exceptions import ConvergenceWarning

_BAR = 24  # characters
_TITLE = 42
_PAUSE = 0.1  # seconds between two drawings of the bar


class Progress:
    """The steps of a command, told on a stream.

    On a terminal the running step is a live line with a bar. Every step that ends
    leaves one plain line with its seconds; one that fails leaves none, so that the
    error stands alone.

    Parameters
    ----------
    n_steps : int
        How many steps there will be.

    stream : text file, default=None
        Where to tell it; None means standard error.

    Attributes
    ----------
    notes : list of str
        The convergence warnings of the steps so far.
    """

    def __init__(self, n_steps, stream=None):
        self._n_steps = n_steps
        self._stream = sys.stderr if stream is None else stream
        self._live = self._stream.isatty()
        self._done = 0
        self.notes = []

    @contextmanager
    def step(self, title):
        """A context for one step, as which it gives a `Step`."""
        self._done += 1
        width = len(str(self._n_steps))
        step = Step(self, f"[{self._done:{width}}/{self._n_steps}] ", title)
        step.draw()
        try:
            with self._convergence_warnings_as_notes(step):
                yield step
        except BaseException:
            if self._live:
                self._write_live("")
                self._write("\r")
            raise
        step.seconds = time.perf_counter() - step.start
        ending = f"{step.seconds:6.1f} s{f'  {step.remark}' if step.remark else ''}"
        if self._live:
            self._write_live(f"{step.line:<{_TITLE}}{ending}")
            self._write("\n")
        else:
            self._write(f"{step.line:<{_TITLE}}{ending}\n")

    @contextmanager
    def _convergence_warnings_as_notes(self, step):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            yield
        for warning in caught:
            if issubclass(warning.category, ConvergenceWarning):
                self.notes.append(f"{step.title}: {_as_note(warning.message)}")
            else:
                warnings.warn_explicit(
                    warning.message, warning.category, warning.filename, warning.lineno
                )

    def _write(self, text):
        print(text, end="", file=self._stream, flush=True)

    def _write_live(self, text):
        width = max(_columns(self._stream) - 1, 20)
        self._write(f"\r{text[:width]:<{width}}")


class Step:
    """One step; also a scikit-learn callback that draws its estimator's bar.

    Attributes
    ----------
    remark : str
        A few words to end the step's line with, set while it runs.

    seconds : float
        How long the step took, once it has ended.
    """

    def __init__(self, progress, number, title):
        self._progress = progress
        self._iteration = 0
        self._drawn = -_PAUSE
        self._number = number
        self.title = title
        self.remark = ""
        self.seconds = None
        self.start = time.perf_counter()

    @property
    def line(self):
        """The step's number and title."""
        return self._number + self.title

    def rename(self, title):
        """Go on under another title."""
        self.title = title
        self._drawn = -_PAUSE
        self.draw()

    def watch(self, estimator):
        """The estimator, with this step as a callback where it can have one."""
        if self._progress._live and hasattr(estimator, "set_callbacks"):
            estimator.set_callbacks(self)
        return estimator

    def setup(self, estimator, context):
        """Begin a fit (scikit-learn's callback protocol)."""
        self._iteration = 0

    def on_fit_task_begin(self, estimator, context):
        """Begin an iteration."""

    def on_fit_task_end(self, estimator, context):
        """End an iteration; never asks the fit to stop."""
        if context.parent is not None and context.parent.parent is None:
            self._iteration += 1
            self.draw(self._iteration, context.parent.max_subtasks)
        return False

    def teardown(self, estimator, context):
        """End a fit; the estimator forgets this step."""
        estimator.set_callbacks()

    def draw(self, iteration=None, at_most=None):
        """Draw the live line, unless it has just been drawn."""
        now = time.perf_counter()
        if not self._progress._live or now - self._drawn < _PAUSE:
            return
        self._drawn = now
        text = f"{self.line:<{_TITLE}} "
        if iteration is not None and at_most:
            text += f"{_bar(iteration / at_most, self._progress._stream)} "
            text += f"{iteration}/{at_most} at most, {now - self.start:.0f} s"
        self._progress._write_live(text)


def _as_note(message):
    """What happened, with the advice that a user of the command can follow."""
    # scikit-learn's own advice follows a blank line.
    text = " ".join(str(message).split("\n\n")[0].split())
    text = text.replace("max_iter", "--max-iter").replace(" or tol.", ".")
    text = text.replace(", or raise tol.", ".")
    if "--max-iter" not in text and re.search("iterations.* reached", text.lower()):
        text = f"{text.rstrip('.')}. Raise --max-iter."
    return text


def _columns(stream):
    try:  # the terminal of this stream: standard output may be elsewhere
        return os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


def _bar(fraction, stream):
    full = round(min(fraction, 1.0) * _BAR)
    encoding = getattr(stream, "encoding", None) or "ascii"
    try:
        "━─".encode(encoding)
        on, off = "━", "─"
    except UnicodeEncodeError:
        on, off = "#", "-"
    return on * full + off * (_BAR - full)
