"""Tables of numbers from text, with errors that name the line.

The text is read piece by piece and its numbers are kept as numbers: a table takes about
twice the memory of its columns, not that of all its fields as text.
"""

import codecs
import csv
import io
import re
from collections import deque
from itertools import chain, islice

import numpy as np

from gplvm.cli._errors import UserError

_DELIMITERS = ("\t", ";", ",")  # a comma last: it may be a decimal comma
_MISSING = {"", "nan", "na", "n/a", "null"}
_PIECE = 2**20  # bytes read at a time
_BLOCK = 2**16  # fields that are text at a time, but at least one row's
_HEAD = 20  # lines from which the delimiter is guessed
_LONGEST_LABEL = 200
# A number with a decimal comma, or one with commas or points between its thousands.
_COMMAS = re.compile(
    r"[+-]?(\d+,\d+(e[+-]?\d+)?|\d{1,3}(,\d{3})+(\.\d+)?|\d{1,3}(\.\d{3})+,\d+)", re.I
)


def read_csv(path, stream, labels=None):
    """Read the numeric columns of a delimited text.

    Parameters
    ----------
    path : Path or str
        What errors call it.

    stream : binary file
        Text in UTF-8 (or UTF-16 with its mark), delimited by commas, semicolons, tabs
        or, if it has none of these, spaces; with or without a header.

    labels : str, default=None
        The column of labels, by its name; without a header, by its number.

    Returns
    -------
    data : ndarray of shape (n_samples, n_features)
        The numeric columns; NaN where a field is empty or says NaN or NA.

    names : list of str
        Their names; without a header their numbers, from 1.

    labels : ndarray of str or None
        The labels.

    lines : ndarray of int
        The line of the file on which each row ends.

    notes : list of str
        Columns that were left out, and why.

    Raises
    ------
    UserError
        If the text is not such a table; the message names the line.
    """
    table = _Table(path, labels)
    for line, fields in _rows(path, _lines(path, stream)):
        table.add(line, fields)
    return table.finish()


def checked_labels(labels, place):
    """The labels, none of which is a text instead.

    Parameters
    ----------
    labels : ndarray of str
        What was found.

    place : callable
        Gives the place of a row in words.

    Returns
    -------
    labels : ndarray of str

    Raises
    ------
    UserError
        If one is longer than 200 characters.
    """
    for row in np.flatnonzero(np.char.str_len(labels) > _LONGEST_LABEL)[:1]:
        raise UserError(
            f"{place(row)}: a label of more than {_LONGEST_LABEL} characters"
        )
    return labels


class _Table:
    """The rows so far: the first as text, the others as numbers, and what was not."""

    def __init__(self, path, labels):
        self._path, self._labels = path, labels
        self._first = None  # (line, fields): a header, or not
        self._pending, self._blocks = [], deque()
        self._lines = []  # arrays of line numbers, one per block
        self._texts = {}  # column: fields that are the labels, if it is their column

    def add(self, line, fields):
        """One more row."""
        if self._first is None:
            self._first = line, fields
            self._start(fields)
            return
        self._pending.append((line, fields))
        if len(self._pending) * self._width >= _BLOCK:
            self._convert()

    def _start(self, fields):
        self._width = len(fields)
        self._n_text = np.zeros(self._width, dtype=int)
        self._n_numbers = np.zeros(self._width, dtype=int)
        self._first_text = {}
        if self._labels is None:
            return
        if fields.count(self._labels) > 1:
            raise UserError(
                f"{self._path}: two columns are {self._labels!r} (--labels)"
            )
        number = self._labels if self._labels.isdecimal() else "0"
        candidates = {int(number) - 1} if len(number) < 10 else set()
        if self._labels in fields:
            candidates.add(fields.index(self._labels))
        self._texts = {j: [] for j in candidates if 0 <= j < self._width}

    def _convert(self):
        """The pending rows as numbers, and what in them is text."""
        rows, self._pending = self._pending, []
        values, is_text = _parse([fields for _, fields in rows], self._width)
        for column in np.flatnonzero(is_text.any(axis=0)):
            if column not in self._first_text:
                line, fields = rows[int(np.argmax(is_text[:, column]))]
                self._first_text[column] = line, fields[column]
        self._n_text += is_text.sum(axis=0)
        self._n_numbers += (~np.isnan(values)).sum(axis=0)
        for column, texts in self._texts.items():
            known = {}  # a label that comes again is kept once
            texts += [known.setdefault(f[column], f[column]) for _, f in rows]
        self._blocks.append(values)
        self._lines.append(np.array([line for line, _ in rows]))

    def finish(self):
        """Data, names, labels, lines and notes, as `read_csv` returns them."""
        if self._first is None:
            raise UserError(f"{self._path}: the file is empty")
        if self._pending:
            self._convert()
        names = self._header()
        if not self._blocks:
            raise UserError(f"{self._path}: a header and no rows")
        label_column = None
        if self._labels is not None:
            label_column = _label_column(self._path, names, self._labels)
        left_out, notes = self._left_out(names, label_column)
        kept = [column for column in range(self._width) if column not in left_out]
        if not kept:
            raise UserError(f"{self._path}: no column of numbers")
        lines = np.concatenate(self._lines)
        labels = None
        if label_column is not None:
            texts = self._texts[label_column]
            row = max(range(len(texts)), key=lambda i: len(texts[i]))
            place = f"{self._path}, line {lines[row]}"
            checked_labels(np.array(texts[row : row + 1]), lambda _: place)
            labels = np.array(texts)
        return self._data(kept), [names[j] for j in kept], labels, lines, notes

    def _header(self):
        """The first row's fields if it is one; else it joins the others."""
        line, fields = self._first
        values, is_text = _parse([fields], self._width)
        n_rows = sum(len(lines) for lines in self._lines)
        above_numbers = is_text[0] & ((self._n_text < n_rows) | (n_rows == 0))
        if self._labels not in fields:
            # A column that the user counted: some of its labels may be numbers.
            above_numbers[list(self._texts)] = False
        if above_numbers.any():
            return fields
        for column in np.flatnonzero(is_text[0]):
            self._first_text[column] = line, fields[column]
        self._n_text += is_text[0]
        self._n_numbers += ~np.isnan(values[0])
        for column, texts in self._texts.items():
            texts.insert(0, fields[column])
        self._blocks.appendleft(values)
        self._lines.insert(0, np.array([line]))
        return [str(number + 1) for number in range(self._width)]

    def _left_out(self, names, label_column):
        """Columns that are not data, and notes on those that the user may miss."""
        left_out, notes = {label_column}, []
        for column, name in enumerate(names):
            if column in left_out:
                continue
            text = self._n_text[column] > self._n_numbers[column]
            if text and not _advice(self._first_text[column][1]):
                left_out.add(column)
                notes.append(
                    f"column {name!r} is text and left out (--labels {name} takes it "
                    "as labels)"
                )
            elif self._n_text[column]:
                line, field = self._first_text[column]
                raise UserError(
                    f"{self._path}, line {line}, column {name!r}: {_short(field)} is "
                    f"not a number{_advice(field)}"
                )
            elif not name and not self._n_numbers[column]:
                left_out.add(column)  # every line ends with a delimiter
            elif not name and self._counts(column):
                left_out.add(column)
                notes.append(
                    "the column without a name counts the rows and is left out"
                )
        return left_out, notes

    def _counts(self, column):
        """Whether a column has the numbers of the rows, from 0."""
        start = 0
        for values in self._blocks:
            if not np.array_equal(values[:, column], start + np.arange(len(values))):
                return False
            start += len(values)
        return True

    def _data(self, kept):
        """The columns that are kept; the blocks are given up one by one."""
        n_rows = sum(len(values) for values in self._blocks)
        data, start = np.empty((n_rows, len(kept))), 0
        while self._blocks:
            values = self._blocks.popleft()
            data[start : start + len(values)] = values[:, kept]
            start += len(values)
        return data


def _rows(path, lines):
    """Every row that is not blank, as (line number, fields), all of one width."""
    head = _head(lines)
    delimiter = _delimiter(head)
    lines = chain(head, lines)
    spaces = delimiter == " "
    if spaces:  # those around a line delimit nothing
        lines = (f"{line.strip()}\n" for line in lines)
    reader = csv.reader(
        lines, delimiter=delimiter, strict=True, skipinitialspace=spaces
    )
    first = None
    try:
        for fields in reader:
            if not fields:
                continue
            if first is None:
                first = reader.line_num, len(fields)
            if len(fields) != first[1]:
                raise UserError(
                    f"{path}, line {reader.line_num}: {_count(fields)}, but line "
                    f"{first[0]} has {first[1]}"
                )
            yield reader.line_num, [field.strip() for field in fields]
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}") from error


def _head(lines):
    """The first lines, up to so many that are not blank."""
    head, n_filled = [], 0
    for line in lines:
        head.append(line)
        n_filled += bool(line.strip())
        if n_filled == _HEAD:
            break
    return head


def _count(fields):
    return f"{len(fields)} field{'s' if len(fields) != 1 else ''}"


def _lines(path, stream):
    """The lines with their ends, which may be those of any system."""
    unfinished = []  # pieces of a line, and perhaps half of its end
    for text in _texts(path, stream):
        # A carriage return at the end may be half of a line's end.
        cut = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1
        if not cut and unfinished and unfinished[-1].endswith("\r"):
            yield from _split("".join(unfinished))
            unfinished = []
        if not cut:
            unfinished.append(text)
            continue
        yield from _split("".join([*unfinished, text[:cut]]))
        unfinished = [text[cut:]] if cut < len(text) else []
    yield from _split("".join(unfinished))


def _split(text):
    return io.StringIO(text, newline="")


def _texts(path, stream):
    """The text, piece by piece."""
    # One read at a time: of a terminal, each wait for more would need its own Ctrl-D.
    piece = stream.read(2)
    utf16 = piece.startswith((b"\xff\xfe", b"\xfe\xff"))
    decoder = codecs.getincrementaldecoder("utf-16" if utf16 else "utf-8-sig")()
    line, half = 1, False
    while True:
        try:
            text = decoder.decode(piece, final=not piece)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode("latin-1")
            line += _n_ends(before.replace("\0", ""))
            raise UserError(
                f"{path}, line {line}: not text in UTF-8; save the table as CSV in "
                "UTF-8"
            ) from error
        line -= half and text.startswith("\n")
        if "\0" in text:
            line += _n_ends(text[: text.index("\0")])
            raise UserError(f"{path}, line {line}: binary data, not a table of text")
        line += _n_ends(text)
        if text:
            half = text.endswith("\r")  # perhaps of a line's end
            yield text
        if not piece:
            return
        piece = stream.read1(_PIECE)


def _n_ends(text):
    """How many lines end in a text, on any system."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _delimiter(lines):
    """The first that cuts the first lines into equally many fields, else the most."""
    lines = [line for line in lines if line.strip()]
    most = {}
    for delimiter in _DELIMITERS:
        try:
            widths = [len(fields) for fields in csv.reader(lines, delimiter=delimiter)]
        except csv.Error:  # told with its line when the whole is read
            continue
        if widths and min(widths) == max(widths) > 1:
            return delimiter
        most[delimiter] = max(widths, default=0)
    if max(most.values(), default=0) == 1:
        widths = {len(line.split()) for line in lines}
        if len(widths) == 1 and widths != {1}:
            return " "
    return max(reversed(_DELIMITERS), key=lambda d: most.get(d, 0))


def _parse(rows, width):
    """Rows of fields as numbers, and where they are text instead."""
    values = np.full((len(rows), width), np.nan)
    is_text = np.zeros(values.shape, dtype=bool)
    for i, fields in enumerate(rows):
        try:
            values[i] = list(map(float, fields))
            plain = "_" not in "".join(fields)  # Python reads 1_000, nobody means it
        except ValueError:
            plain = False
        if not plain:
            values[i], is_text[i] = _parse_one_by_one(fields)
    return values, is_text


def _parse_one_by_one(fields):
    values, is_text = np.full(len(fields), np.nan), np.zeros(len(fields), dtype=bool)
    for j, field in enumerate(fields):
        try:
            if "_" in field:
                raise ValueError
            values[j] = float(field)
        except ValueError:
            is_text[j] = field.lower() not in _MISSING
    return values, is_text


def _label_column(path, names, labels):
    if labels not in names:
        known = ", ".join(_short(name) for name in islice(filter(None, names), 20))
        more = ", ..." if len(names) > 20 else ""
        raise UserError(
            f"{path}: no column {labels!r} for --labels; it has {known}{more}"
        )
    return names.index(labels)


def _short(text):
    """A field in quotes, its middle left out if it is long."""
    return repr(text if len(text) <= 60 else f"{text[:40]}...{text[-10:]}")


def _advice(field):
    """What to do about a field that was meant as a number, else nothing."""
    if _COMMAS.fullmatch(field):
        return "; write decimals with a point, and nothing between thousands"
    return ""
