"""Text that came from somebody's files: in one line of an error, and in UTF-8."""

_LONGEST = 800


def one_line(text):
    """The text in one line, and none of it that a terminal would obey.

    Parameters
    ----------
    text : str
        What may hold line ends, control characters, or very much.

    Returns
    -------
    line : str
        Control characters are escaped, and of a long text the middle is left out.
    """
    text = " ".join(str(text).split())
    if len(text) > _LONGEST:
        text = f"{text[: _LONGEST - 200]} ... {text[-195:]}"
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode()
        for char in text
    )


def utf8(text):
    """The text as what UTF-8 can hold: file names may have any bytes."""
    return text.encode("utf-8", "backslashreplace").decode()
