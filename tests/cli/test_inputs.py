"""Arrays, archives and unknown files: what is read and what is refused."""

import io
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from gplvm.cli._errors import UserError
from gplvm.cli._inputs import read_input

X = np.arange(12.0).reshape(4, 3)
Y = np.array([0, 1, 1, 0])


def _npz(path, **arrays):
    np.savez(path, **arrays)
    return path


def test_npy(tmp_path):
    np.save(tmp_path / "a b.npy", X.astype(np.float32))
    found = read_input(tmp_path / "a b.npy")
    np.testing.assert_array_equal(found.data, X)
    assert found.data.dtype == np.float64
    assert found.labels is None and found.image_shape is None


def test_npy_of_images(tmp_path):
    np.save(tmp_path / "i.npy", np.full((4, 5, 6), 51, dtype=np.uint8))
    found = read_input(tmp_path / "i.npy")
    assert found.image_shape == (5, 6)
    np.testing.assert_allclose(found.data, np.full((4, 30), 0.2))
    np.save(tmp_path / "c.npy", np.ones((4, 5, 6, 3)))
    assert read_input(tmp_path / "c.npy").image_shape == (5, 6, 3)


@pytest.mark.parametrize("key", ["X", "data", "anything"])
@pytest.mark.parametrize("label", ["y", "target"])
def test_npz(tmp_path, key, label):
    found = read_input(_npz(tmp_path / "a.npz", **{key: X, label: Y}))
    np.testing.assert_array_equal(found.data, X)
    assert list(found.labels) == ["0", "1", "1", "0"]


def test_npz_with_named_labels(tmp_path):
    path = _npz(tmp_path / "a.npz", X=X, kind=Y, other=np.zeros((2, 2)))
    assert list(read_input(path, labels="kind").labels) == ["0", "1", "1", "0"]
    path = _npz(tmp_path / "b.npz", X=X, y=Y, target_names=np.array(["cat", "dog"]))
    assert list(read_input(path).labels) == ["cat", "dog", "dog", "cat"]


def test_npz_never_touches_the_arrays_it_does_not_need(tmp_path):
    path = _npz(tmp_path / "a.npz", X=X, extra=np.array([{}], dtype=object))
    np.testing.assert_array_equal(read_input(path).data, X)


def _bad_files(folder):
    """(name, content, part of the message) of every file to refuse."""

    def npy(array):
        stream = io.BytesIO()
        np.save(stream, array, allow_pickle=True)
        return stream.getvalue()

    def npz(**arrays):
        stream = io.BytesIO()
        np.savez(stream, **arrays)
        return stream.getvalue()

    text_member = io.BytesIO()
    with zipfile.ZipFile(text_member, "w") as archive:
        archive.writestr("X.npy", "no array")
    objects = np.array([[{}, 1]], dtype=object)
    return [
        ("a.npy", b"", "not an array in NPY format"),
        ("a.npy", b"\x00\x01binary garbage" * 20, "not an array in NPY format"),
        ("a.npy", npy(X)[:-8], "cut off"),
        ("a.npy", npy(objects), "Python objects, which are never loaded"),
        ("a.npy", npy(X[0]), r"shape (3,); expected (rows, columns)"),
        ("a.npy", npy(X[:0]), "is empty, of shape (0, 3)"),
        ("a.npy", npy(X + 1j), "holds complex128, expected real numbers"),
        ("a.npy", npy(X.astype(str)), "expected real numbers"),
        ("a.npy", npy(np.zeros((2, 3, 4, 5))), "shape (2, 3, 4, 5)"),
        ("a.npz", b"", "not an NPZ archive"),
        ("a.npz", b"PK\x03\x04 binary garbage", "not an NPZ archive"),
        ("a.npz", npz(X=X)[:-30], "not an NPZ archive"),
        ("a.npz", text_member.getvalue(), "a.npz: X: not an array in NPY format"),
        ("a.npz", npz(X=objects), "Python objects, which are never loaded"),
        ("a.npz", npz(X=X, y=objects[0]), "Python objects, which are never loaded"),
        ("a.npz", npz(a=X, b=X), "X, data or images"),
        ("a.npz", npz(y=Y), "X, data or images"),
        ("a.npz", npz(X=X, y=Y[:2]), "'y' have shape (2,), the data 4 rows"),
        ("a.xlsx", b"PK", "unknown kind of file; expected a .csv"),
        ("noextension", b"1,2", "unknown kind of file"),
    ]


@pytest.mark.parametrize("number", range(len(_bad_files(None))))
def test_refused_in_one_line(tmp_path, number):
    name, content, message = _bad_files(tmp_path)[number]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError) as error:
        read_input(tmp_path / name)
    assert message in str(error.value) and name in str(error.value)
    assert "\n" not in str(error.value)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read_input(tmp_path / "a.csv")


def test_options_that_do_not_apply(tmp_path):
    np.save(tmp_path / "a.npy", X)
    with pytest.raises(UserError, match="--labels needs a CSV or NPZ"):
        read_input(tmp_path / "a.npy", labels="y")
    with pytest.raises(UserError, match="--image-size is for folders"):
        read_input(tmp_path / "a.npy", image_size=8)
    with pytest.raises(UserError, match="labelled by their folder"):
        read_input(tmp_path, labels="y")
    with pytest.raises(UserError, match="no array 'y' for --labels; it has X"):
        read_input(_npz(tmp_path / "a.npz", X=X), labels="y")


def test_places_are_told_as_the_user_finds_them(tmp_path):
    (tmp_path / "a.csv").write_text("a,b\n\n1,2\n3,inf\n")
    found = read_input(tmp_path / "a.csv")
    assert found.first(np.isinf(found.data)) == "line 4, column 'b'"
    assert (found.row(0), found.column(1)) == ("line 3", "column 'b'")
    np.save(tmp_path / "a.npy", [[1.0, 2.0], [np.nan, 1.0]])
    found = read_input(tmp_path / "a.npy")
    place = found.first(np.isnan(found.data))
    assert place == "row 1, column 0, counted from 0"
    assert found.row(1) == "row 1, counted from 0"
    assert found.column(0) == "column 0, counted from 0"


def test_a_damaged_tiff_is_told_by_us_alone(tmp_path, capfd):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture = tmp_path / name / "1.tif"
        Image.new("L", (64, 64)).save(picture, compression="tiff_adobe_deflate")
    content = bytearray(picture.read_bytes())
    content[8:24] = bytes(16)  # of the compressed pixels
    picture.write_bytes(content)
    with pytest.raises(UserError, match="cannot be read as an image"):
        read_input(tmp_path)
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"


def _npy(descr, data):
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (5, 3)}}".encode()
    header += b" " * (117 - len(header)) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def test_an_npy_of_arrays_within_arrays_is_refused(tmp_path):
    (tmp_path / "a.npy").write_bytes(_npy("('<f8', (2,))", bytes(240)))
    with pytest.raises(UserError, match=r"a\.npy: holds .*, expected real numbers"):
        read_input(tmp_path / "a.npy")


def test_what_is_no_number_in_an_npy_is_no_warning(tmp_path):
    signalling = (0x7FA00000).to_bytes(4, "little")
    (tmp_path / "a.npy").write_bytes(_npy("'<f4'", signalling * 15))
    assert np.isnan(read_input(tmp_path / "a.npy").data).all()
