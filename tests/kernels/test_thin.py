"""Products in pieces are the products."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from gplvm.kernels import _thin
from gplvm.kernels._thin import in_lines, multiply_columns, multiply_rows, whole_lines


@pytest.fixture(params=[1, 500, 10**6], scope="module")
def small(request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_thin, "SMALL", request.param)
        yield


@given(n=st.integers(1, 150), k=st.integers(1, 9), m=st.integers(1, 150))
@settings(max_examples=30, deadline=None)
def test_whatever_the_pieces(small, n, k, m):
    rng = np.random.default_rng(n + 200 * m)
    A, B = rng.normal(size=(n, 2 * k))[:, ::2], rng.normal(size=(k, m))
    out = np.zeros((n, m + 3))[:, 1:-2]  # its rows do not follow each other
    assert_allclose(multiply_rows(A, B, out), A @ B, atol=1e-12)
    assert_allclose(out, A @ B, atol=1e-12)
    assert_allclose(multiply_columns(A[:9], B), A[:9] @ B, atol=1e-12)


@pytest.mark.parametrize("k", [1, 8, 21, 255, 1024, 1275])
def test_rows_begin_with_cache_lines(k):
    width = whole_lines(k)
    assert k <= width < k + 16
    array = in_lines(5, width)
    assert array.shape == (5, width)
    assert array.flags.c_contiguous
    for row in array:
        assert row.ctypes.data % 64 == 0
    assert k < 100 or width % 16  # long rows do not meet in few sets
