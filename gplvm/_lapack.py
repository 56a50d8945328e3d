"""LAPACK and BLAS in place on blocks of a large matrix, for several threads at once.

scipy's functions copy blocks that do not lie together, and keep the interpreter's lock;
here its routines are called by their addresses. A matrix is C-ordered: its lower
triangle is the upper one of LAPACK's columns, and a block is given by the place of its
first entry and the matrix's own row length.
"""

import ctypes

from scipy.linalg import cython_blas, cython_lapack


def _routine(module, name, n_arguments):
    """A Fortran routine that is called without the interpreter's lock."""
    capsule = module.__pyx_capi__[name]
    api = ctypes.pythonapi
    api.PyCapsule_GetName.restype = ctypes.c_char_p
    api.PyCapsule_GetName.argtypes = [ctypes.py_object]
    api.PyCapsule_GetPointer.restype = ctypes.c_void_p
    api.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    address = api.PyCapsule_GetPointer(capsule, api.PyCapsule_GetName(capsule))
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)(address)

    def routine(*arguments):
        call(*map(_as_pointer, arguments))

    return routine


def _as_pointer(argument):
    """What Fortran takes for a letter, an integer, or a number; places are pointers."""
    if isinstance(argument, str):
        return ctypes.byref(ctypes.c_char(argument.encode()))
    if isinstance(argument, int):
        return ctypes.byref(ctypes.c_int(argument))
    if isinstance(argument, float):
        return ctypes.byref(ctypes.c_double(argument))
    return argument


_gemm = _routine(cython_blas, "dgemm", 13)
_syrk = _routine(cython_blas, "dsyrk", 10)
_trmm = _routine(cython_blas, "dtrmm", 11)
_trsm = _routine(cython_blas, "dtrsm", 11)
_lauum = _routine(cython_lapack, "dlauum", 5)
_potrf = _routine(cython_lapack, "dpotrf", 5)
_potrs = _routine(cython_lapack, "dpotrs", 8)
_trtri = _routine(cython_lapack, "dtrtri", 6)


class Blocks:
    """Operations on the lower triangle of a matrix, block by block.

    Slices are of rows and columns of the matrix `A`, square, C-ordered and of double
    precision. Triangles `t` are the lower ones of ``A[t, t]``, and what is above them
    is neither read nor written.

    Parameters
    ----------
    A : ndarray of shape (n, n)
        The matrix, which is changed. What takes its address knows no bounds: it has
        to be such a matrix.
    """

    def __init__(self, A):
        self._A, self._address, self._n = A, A.ctypes.data, len(A)

    def _at(self, rows, columns):
        entry = rows.start * self._n + columns.start
        return ctypes.c_void_p(self._address + 8 * entry)

    def factor(self, t):
        """``L L' = A[t, t]`` in its place; False if it is not positive definite."""
        info = ctypes.c_int(0)
        _potrf("U", _size(t), self._at(t, t), self._n, ctypes.byref(info))
        return info.value == 0

    def invert(self, t):
        """The triangle's inverse in its place; False if it has none."""
        info = ctypes.c_int(0)
        _trtri("U", "N", _size(t), self._at(t, t), self._n, ctypes.byref(info))
        return info.value == 0

    def square(self, t):
        """``T' T`` of the triangle T, in its place."""
        info = ctypes.c_int(0)
        _lauum("U", _size(t), self._at(t, t), self._n, ctypes.byref(info))

    def divide(self, rows, t):
        """``A[rows, t] <- A[rows, t] T'^-1``."""
        shape = _size(t), _size(rows)
        places = self._at(t, t), self._n, self._at(rows, t), self._n
        _trsm("L", "U", "T", "N", *shape, 1.0, *places)

    def multiply_right(self, rows, t):
        """``A[rows, t] <- A[rows, t] T``."""
        shape = _size(t), _size(rows)
        places = self._at(t, t), self._n, self._at(rows, t), self._n
        _trmm("L", "U", "N", "N", *shape, 1.0, *places)

    def multiply_left(self, t, columns, factor=1.0, *, transpose=False):
        """``A[t, columns] <- factor T A[t, columns]``, or of T'."""
        shape = _size(columns), _size(t)
        places = self._at(t, t), self._n, self._at(t, columns), self._n
        _trmm("R", "U", "T" if transpose else "N", "N", *shape, factor, *places)

    def subtract_product(self, rows, columns, inner):
        """``A[rows, columns] -= X[rows] X[columns]'``, for X = A[:, inner].

        Of a block on the diagonal, the lower triangle.
        """
        n, shape = self._n, (_size(rows), _size(inner))
        of_rows, place = self._at(rows, inner), self._at(rows, columns)
        if rows == columns:
            _syrk("U", "T", *shape, -1.0, of_rows, n, 1.0, place, n)
        elif _size(columns):
            factors = self._at(columns, inner), n, of_rows, n
            _gemm("T", "N", _size(columns), *shape, -1.0, *factors, 1.0, place, n)

    def add_product(self, rows, columns, inner):
        """``A[rows, columns] += X[:, rows]' X[:, columns]``, for X = A[inner]; so."""
        n, shape = self._n, (_size(rows), _size(inner))
        of_rows, place = self._at(inner, rows), self._at(rows, columns)
        if rows == columns:
            _syrk("U", "N", *shape, 1.0, of_rows, n, 1.0, place, n)
        elif _size(columns):
            factors = self._at(inner, columns), n, of_rows, n
            _gemm("N", "T", _size(columns), *shape, 1.0, *factors, 1.0, place, n)

    def solve(self, B, columns):
        """``(L L')^-1 B[:, columns]`` in place of those of an F-ordered `B`."""
        info, n = ctypes.c_int(0), self._n
        place = ctypes.c_void_p(B.ctypes.data + 8 * n * columns.start)
        matrix = ctypes.c_void_p(self._address)
        _potrs("U", n, _size(columns), matrix, n, place, n, ctypes.byref(info))


def _size(rows):
    return rows.stop - rows.start
