"""Updates in place by BLAS, in one pass: numpy takes a temporary array and two."""

import numpy as np
from scipy.linalg import blas

_AXPY = {np.float32: blas.saxpy, np.float64: blas.daxpy}
_GER = {np.float32: blas.sger, np.float64: blas.dger}


def add_multiple(y, a, x):
    """``y += a * x`` for contiguous arrays of one shape, layout and float dtype."""
    _AXPY[y.dtype.type](x.ravel("K"), y.ravel("K"), a=a)


def add_outer(A, a, x, y):
    """``A += a * outer(x, y)`` for contiguous arrays of one float dtype."""
    if A.flags.c_contiguous:  # BLAS works on columns
        A, x, y = A.T, y, x
    _GER[A.dtype.type](a, x, y, a=A, overwrite_a=1)
