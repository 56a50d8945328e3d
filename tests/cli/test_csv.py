"""Text tables: what is read, and the line that every error names."""

import numpy as np
import pytest

from gplvm.cli import _csv
from gplvm.cli._errors import UserError


def read_csv(path, labels=None):
    with open(path, "rb") as stream:
        return _csv.read_csv(path, stream, labels)


@pytest.fixture
def table(tmp_path):
    """Write a text (or bytes) to a file whose path has a space and an umlaut."""

    def write(content, name="täble 1.csv"):
        path = tmp_path / name
        if isinstance(content, str):
            content = content.encode("utf-8")
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["", "a{0}b\n"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_numbers(table, delimiter, header, newline):
    text = header.format(delimiter) + f"1{delimiter}2.5\n-3e1{delimiter} 4 \n\n"
    path = table(text.replace("\n", newline))
    data, names, labels, lines, notes = read_csv(path)
    np.testing.assert_array_equal(data, [[1, 2.5], [-30, 4]])
    assert names == (["a", "b"] if header else ["1", "2"])
    assert labels is None and not notes
    assert list(lines) == ([2, 3] if header else [1, 2])


def test_byte_order_marks(table):
    for encoding in ("utf-8-sig", "utf-16"):
        data, names, *_ = read_csv(table("é,b\n1,2\n".encode(encoding)))
        assert names == ["é", "b"]
        np.testing.assert_array_equal(data, [[1, 2]])


def test_one_column(table):
    data, names, *_ = read_csv(table("a\n1\n2\n"))
    assert data.shape == (2, 1) and names == ["a"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("1 2\n", [[1, 2]]),
        ("1 2\n3 4\n", [[1, 2], [3, 4]]),
        ("leaf   stem\n   1  2.5 \n\n  10 20\n", [[1, 2.5], [10, 20]]),
    ],
)
def test_spaces_delimit_where_nothing_else_does(table, content, expected):
    np.testing.assert_array_equal(read_csv(table(content))[0], expected)


def test_spaces_within_fields_delimit_nothing(table):
    data, names, *_ = read_csv(table("leaf length\n1\n2\n"))
    assert data.shape == (2, 1) and names == ["leaf length"]
    data, names, *_ = read_csv(table("leaf length,stem length\n1,2\n"))
    assert data.shape == (1, 2) and names == ["leaf length", "stem length"]


def test_labels_by_name_are_not_data(table):
    path = table('a,"a kind, say",b\n1,x,2\n3,"y ""z""",4\n')
    data, names, labels, _, notes = read_csv(path, "a kind, say")
    np.testing.assert_array_equal(data, [[1, 2], [3, 4]])
    assert names == ["a", "b"] and list(labels) == ["x", 'y "z"'] and not notes


def test_labels_by_number_without_a_header(table):
    data, _, labels, _, _ = read_csv(table("5.1,3.5,setosa\n4.9,3.0,virginica\n"), "3")
    np.testing.assert_array_equal(data, [[5.1, 3.5], [4.9, 3.0]])
    assert list(labels) == ["setosa", "virginica"]


def test_labels_by_number_that_are_numbers_make_no_header(table):
    content = "1.5,2.5,cat\n3.5,4.5,7\n5.5,6.5,8\n"
    data, names, labels, *_ = read_csv(table(content), "3")
    np.testing.assert_array_equal(data, [[1.5, 2.5], [3.5, 4.5], [5.5, 6.5]])
    assert (names, labels.tolist()) == (["1", "2"], ["cat", "7", "8"])


def test_numbers_as_labels_are_not_data(table):
    data, _, labels, _, _ = read_csv(table("a,y\n1,0\n2,1\n"), "y")
    np.testing.assert_array_equal(data, [[1], [2]])
    assert list(labels) == ["0", "1"]


def test_text_and_row_numbers_are_left_out_with_a_note(table):
    data, names, _, _, notes = read_csv(table(",a,name\n0,5,x\n1,6,y\n"))
    np.testing.assert_array_equal(data, [[5], [6]])
    assert names == ["a"] and len(notes) == 2
    assert "'name' is text" in notes[1] and "--labels name" in notes[1]


def test_numbers_with_commas_may_be_labels(table):
    data, _, labels, *_ = read_csv(table("a;b\n1,5;2\n3,5;1\n"), "a")
    np.testing.assert_array_equal(data, [[2], [1]])
    assert list(labels) == ["1,5", "3,5"]


def test_a_delimiter_at_the_end_of_each_line_is_no_column(table):
    data, names, *_ = read_csv(table("a;b;\n1;2;\n3;4;\n"))
    assert data.shape == (2, 2) and names == ["a", "b"]


@pytest.mark.parametrize("missing", ["", "NaN", "NA", "n/a", "null"])
def test_missing_values_are_nan(table, missing):
    data, *_ = read_csv(table(f"a,b\n1,{missing}\n3,4\n"))
    np.testing.assert_array_equal(data, [[1, np.nan], [3, 4]])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("a,b\n", "a header and no rows"),
        ("a b\n1 2\n3 x\n5 6\n", "line 3, column 'b': 'x' is not a number"),
        ("a,b\n1,2\n3\n", "line 3: 1 field, but line 1 has 2"),
        ("a,b\n1,2\n\n3,4,5\n", "line 4: 3 fields, but line 1 has 2"),
        ("a,b\n1,2\n3,x\n5,6\n", "line 3, column 'b': 'x' is not a number"),
        ("a;b\n1;2\n3;1,5\n5;6\n", "line 3, column 'b': '1,5' is not a number; write"),
        ("a;b\n1,5;2\n3,5;1\n", "line 2, column 'a': '1,5' is not a number; write"),
        ('a,b\n"1,234",2\n"-5,678.5",1\n', "line 2, column 'a': '1,234' is not"),
        ("a;b\n1.234,5;2\n3.000.456,5;1\n", "column 'a': '1.234,5' is not a number"),
        ("a,b\n1,2\n3,1_000\n5,6\n", "line 3, column 'b': '1_000' is not"),
        ("a,b\nx,y\nz,w\n", "no column of numbers"),
        ('a,b\n1,"2\n', "unexpected end of data"),
        ('a,b\n1,"2"3\n4,5\n', "line 2: "),
        (b"a,b\n1,2\n\x89PNG,3\n", "line 3: not text in UTF-8"),
        (b"a,b\n1,\x002\n", "line 2: binary data"),
    ],
)
def test_errors_name_file_and_line(table, content, message):
    path = table(content)
    with pytest.raises(UserError) as error:
        read_csv(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_unknown_label_column(table):
    with pytest.raises(UserError, match=r"no column 'c' for --labels; it has 'a', 'b'"):
        read_csv(table("a,b\n1,2\n"), "c")
