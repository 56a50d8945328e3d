"""Tables of numbers from text files, with errors that name the line."""

import csv
import io

import numpy as np

from gplvm.cli._errors import UserError

_DELIMITERS = ("\t", ";", ",")  # a comma last: it may be a decimal comma
_MISSING = {"", "nan", "na", "n/a", "null"}


def read_csv(path, labels=None, content=None):
    """Read the numeric columns of a delimited text file.

    Parameters
    ----------
    path : Path
        A file in UTF-8 (or UTF-16 with its mark), delimited by commas, semicolons,
        tabs or, if it has none of these, spaces; with or without a header.

    labels : str, default=None
        The column of labels, by its name; without a header, by its number.

    content : bytes, default=None
        What the file holds, if it is no file; `path` is then a name for it.

    Returns
    -------
    data : ndarray of shape (n_samples, n_features)
        The numeric columns; NaN where a field is empty or says NaN or NA.

    names : list of str
        Their names; without a header their numbers, from 1.

    labels : ndarray of str or None
        The labels.

    lines : list of int
        The line of the file on which each row ends.

    notes : list of str
        Columns that were left out, and why.

    Raises
    ------
    UserError
        If the file is not such a table; the message names the line.
    """
    rows = _rows(path, path.read_bytes() if content is None else content)
    values, is_text = _parse(rows)
    names = _header(rows, is_text)
    if names is None:
        names = [str(number + 1) for number in range(values.shape[1])]
    else:
        rows, values, is_text = rows[1:], values[1:], is_text[1:]
    if not rows:
        raise UserError(f"{path}: a header and no rows")

    left_out, notes = set(), []
    label_column = None
    if labels is not None:
        label_column = _label_column(path, names, labels)
        left_out.add(label_column)
    for column, name in enumerate(names):
        if column in left_out:
            continue
        empty = np.isnan(values[:, column]) & ~is_text[:, column]
        n_text = is_text[:, column].sum()
        if n_text > (~empty).sum() - n_text:
            left_out.add(column)
            notes.append(
                f"column {name!r} is text and left out (--labels {name} takes it as "
                "labels)"
            )
        elif n_text:
            row = int(np.argmax(is_text[:, column]))
            line, fields = rows[row]
            raise UserError(
                f"{path}, line {line}, column {name!r}: {fields[column]!r} is not a "
                f"number{_advice(fields[column])}"
            )
        elif not name and empty.all():  # every line ends with a delimiter
            left_out.add(column)
        elif not name and np.array_equal(values[:, column], np.arange(len(rows))):
            left_out.add(column)
            notes.append("the column without a name counts the rows and is left out")
    kept = [column for column in range(len(names)) if column not in left_out]
    if not kept:
        raise UserError(f"{path}: no column of numbers")
    return (
        values[:, kept],
        [names[column] for column in kept],
        None
        if label_column is None
        else np.array([fields[label_column] for _, fields in rows]),
        [line for line, _ in rows],
        notes,
    )


def _rows(path, content):
    """Every row that is not blank, as (line number, fields), all of one width."""
    text = _text(path, content)
    delimiter = _delimiter(text)
    spaces = delimiter == " "
    if spaces:  # those around a line delimit nothing
        text = "\n".join(line.strip() for line in text.split("\n"))
    reader = csv.reader(
        io.StringIO(text), delimiter=delimiter, strict=True, skipinitialspace=spaces
    )
    rows = []
    try:
        for fields in reader:
            if not fields:
                continue
            if rows and len(fields) != len(rows[0][1]):
                raise UserError(
                    f"{path}, line {reader.line_num}: {_count(fields)}, but line "
                    f"{rows[0][0]} has {len(rows[0][1])}"
                )
            rows.append((reader.line_num, [field.strip() for field in fields]))
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}") from error
    if not rows:
        raise UserError(f"{path}: the file is empty")
    return rows


def _count(fields):
    return f"{len(fields)} field{'s' if len(fields) != 1 else ''}"


def _text(path, content):
    utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(
            f"{path}, line {line}: not text in UTF-8; save the table as CSV in UTF-8"
        ) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path}, line {line}: binary data, not a table of text")
    return text


def _delimiter(text):
    """The first that cuts the first lines into equally many fields, else the most."""
    lines = [line for line in text.splitlines() if line.strip()][:20]
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


def _parse(rows):
    """The fields as numbers, and where they are text instead."""
    shape = len(rows), len(rows[0][1])
    values, is_text = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    for i, (_, fields) in enumerate(rows):
        for j, field in enumerate(fields):
            try:
                if "_" in field:  # Python reads 1_000, nobody means it
                    raise ValueError
                values[i, j] = float(field)
            except ValueError:
                is_text[i, j] = field.lower() not in _MISSING
    return values, is_text


def _header(rows, is_text):
    """The first row's fields, if it names columns that hold numbers further down."""
    numbers_below = (~is_text[1:]).any(axis=0) if len(rows) > 1 else True
    if not (is_text[0] & numbers_below).any():
        return None
    return rows[0][1]


def _label_column(path, names, labels):
    if labels not in names:
        known = ", ".join(repr(name) for name in names[:20] if name)
        more = ", ..." if len(names) > 20 else ""
        raise UserError(
            f"{path}: no column {labels!r} for --labels; it has {known}{more}"
        )
    return names.index(labels)


def _advice(field):
    comma = field.replace(",", ".", 1).replace("-", "", 1).replace(".", "", 1)
    if field.count(",") == 1 and comma.isdigit():
        return "; write decimals with a point"
    return ""
