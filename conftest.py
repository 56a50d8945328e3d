"""Figures that tests, and the examples in docstrings, leave open are closed."""

import sys

import pytest


@pytest.fixture(autouse=True)
def close_figures():
    """After twenty of them pyplot would warn, in whichever order the tests run."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
