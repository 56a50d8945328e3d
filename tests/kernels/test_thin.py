"""Products in pieces are the products."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from gplvm.kernels import _thin
from gplvm.kernels._thin import multiply_columns, multiply_rows


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
