"""The documentation says what is true: its snippets run, and it leaves nothing out."""

import ast
import doctest
import importlib
import inspect
import pydoc
import re
import textwrap
from pathlib import Path

import pytest
from numpydoc.docscrape import get_doc_object
from numpydoc.validate import validate

from gplvm.kernels import covariance

DOCS = Path(__file__).parents[1] / "docs"
GENERATED = {"_build", "_templates", "gallery", "generated"}
PAGES = sorted(
    page
    for page in DOCS.rglob("*.rst")
    if not GENERATED & set(page.relative_to(DOCS).parts)
)
REFERENCE = "".join(
    page.read_text(encoding="utf-8") for page in (DOCS / "reference").glob("*.rst")
)

ROOMS = ["gplvm", "gplvm.gradients", "gplvm.kernels", "gplvm.datasets"]
ROOMS += ["gplvm.graphs", "gplvm.plotting"]

# What numpydoc finds wrong, of all that it looks for.
ERRORS = {
    "GL01": "text starts on the first line",
    "GL03": "blank lines between sections are single",
    "GL06": "sections have known names",
    "GL07": "sections stand in numpydoc's order",
    "GL08": "there is a docstring",
    "SS01": "there is a summary",
    "SS02": "the summary starts with a capital",
    "SS03": "the summary ends with a period",
    "SS04": "the summary is not indented",
    "SS06": "the summary is one line",
    "PR01": "all parameters are documented",
    "PR02": "no unknown parameter is documented",
    "PR03": "parameters stand in the order of the signature",
    "PR04": "parameters have types",
    "PR06": "types have Python's names",
    "PR07": "parameters have descriptions",
    "PR10": "a space stands before the colon",
    "RT01": "what is returned is documented",
    "RT03": "what is returned has a description",
    "YD01": "what is yielded is documented",
}


def _public_objects():
    for room in ROOMS:
        module = importlib.import_module(room)
        for name in module.__all__:
            if not inspect.ismodule(getattr(module, name)):
                yield f"{room}.{name}"


def _documented_names():
    """Every function, class and own public method, as its dotted name."""
    for name in _public_objects():
        yield name
        found = pydoc.locate(name)
        if inspect.isclass(found):
            for member, value in inspect.getmembers(found, inspect.isroutine):
                own = str(getattr(value, "__module__", "")).startswith("gplvm")
                if own and not member.startswith("_"):
                    yield f"{name}.{member}"


def _raises(function):
    """Whether an error is raised in the function's own body."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) for node in ast.walk(tree))


PUBLIC = list(_public_objects())


@pytest.fixture
def kernel_rules(monkeypatch):
    """What a page registers is forgotten after it."""
    monkeypatch.setattr(covariance, "RULES", dict(covariance.RULES))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_snippets_run(page, kernel_rules):
    report = []
    runner = doctest.DocTestRunner(
        verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS
    )
    text = page.read_text(encoding="utf-8")
    test = doctest.DocTestParser().get_doctest(text, {}, page.name, str(page), 0)
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)


def test_derivations_are_checked_on_the_page():
    for page in (DOCS / "derivations").glob("*.rst"):
        if page.name != "index.rst":
            assert ">>> " in page.read_text(encoding="utf-8"), page
            assert "check_gradient(" in page.read_text(encoding="utf-8"), page


def test_equations_are_referred_to_by_labels_that_exist():
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    labels = [
        label for text in texts.values() for label in re.findall(r":label: (\S+)", text)
    ]
    assert len(labels) == len(set(labels))
    for page, text in texts.items():
        unknown = set(re.findall(r":eq:`([^`]+)`", text)) - set(labels)
        assert not unknown, (page, unknown)


@pytest.mark.parametrize("name", list(_documented_names()))
def test_docstrings_are_complete(name):
    found = validate(name)
    errors = [f"{code}: {what}" for code, what in found["errors"] if code in ERRORS]
    assert not errors, errors


@pytest.mark.parametrize("name", PUBLIC)
def test_public_objects_have_examples_and_relations(name):
    sections = get_doc_object(pydoc.locate(name))
    assert sections["Examples"], "no Examples"
    related = sections["See Also"] or sections["References"]
    assert related, "neither See Also nor References"


@pytest.mark.parametrize("name", PUBLIC)
def test_errors_are_documented(name):
    found = pydoc.locate(name)
    if inspect.isfunction(found) and _raises(found):
        assert get_doc_object(found)["Raises"], "no Raises"


@pytest.mark.parametrize("name", PUBLIC)
def test_reference_lists_every_public_object(name):
    room, _, short = name.rpartition(".")
    listed = re.split(r"\.\. currentmodule:: (\S+)\n", REFERENCE)
    sections = dict(zip(listed[1::2], listed[2::2], strict=True))
    assert re.search(rf"^ +{short}$", sections[room], flags=re.MULTILINE)
