"""What the examples in docstrings leave behind is taken away."""

import sys

import pytest


@pytest.fixture(autouse=True)
def no_open_figures(request):
    """An example shows its figure; after twenty of them pyplot would warn."""
    yield
    if (
        isinstance(request.node, pytest.DoctestItem)
        and "matplotlib.pyplot" in sys.modules
    ):
        sys.modules["matplotlib.pyplot"].close("all")
