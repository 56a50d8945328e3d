"""The house keeps its layout: imports run one way (read from the source, not run)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import gplvm

PACKAGE = Path(gplvm.__file__).parent

# A module may import from the layers before its own, and from its own room.
LAYERS = [
    {
        "_blas",
        "_centred",
        "_compat",
        "_files",
        "_lapack",
        "_linalg",
        "_parallel",
        "_probe",
        "_triangles",
        "_validation",
    },
    {"gradients", "kernels"},
    {
        "_latent",
        "_bayesian",
        "_bayesian_posterior",
        "_bayesian_rows",
        "_likelihoods",
        "_missing",
        "_network_budget",
        "_network_training",
        "_moments",
        "_optimize",
        "_placement",
        "_projection",
        "_row_bound",
        "_sparse",
        "_row_stream",
        "_stochastic",
        "_stochastic_bayesian",
        "_stochastic_fit",
        "_training_rows",
    },
    {
        "_autoencoder_solvers",
        "_autoencoder_walks",
        "_back_constraints",
        "_batch_fitting",
        "_growing_fit",
        "_latent_model",
        "_linear_autoencoder",
        "_maximize",
        "_bayesian_starts",
        "_diagnostics",
        "_imputation",
        "_starts",
        "_variational",
    },
    {"_autoencoder", "_gplvm", "_bayesian_gplvm", "_swish_classifier", "graphs"},
    {"_persistence"},
    {"plotting"},
    {"cli"},
    {"__main__"},
]
ALONE = {"datasets"}  # imports none of the others; plotting, cli may import it
RANK = {room: rank for rank, layer in enumerate(LAYERS) for room in layer}


def _modules():
    return sorted(PACKAGE.rglob("*.py"))


def _room(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path):
    """Absolute names of everything a file imports, at any depth of the code."""
    package = ["gplvm", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            if module == "gplvm":
                yield from (f"gplvm.{alias.name}" for alias in node.names)
            else:
                yield module


def _rooms_imported(path):
    for name in _imports(path):
        parts = name.split(".")
        if parts[0] == "gplvm" and len(parts) > 1:
            yield parts[1]


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_one_way(path):
    room = _room(path)
    if room == "__init__":
        return
    for imported in _rooms_imported(path):
        if imported == room or imported.startswith("__version__"):
            continue
        assert room not in ALONE, f"{room} stands alone, but imports {imported}"
        if imported in ALONE:
            assert RANK[room] >= RANK["plotting"], f"{room} must not know {imported}"
            continue
        assert RANK[imported] <= RANK[room], f"{room} imports {imported}: backwards"
        same_layer = RANK[imported] == RANK[room]
        assert not same_layer or imported.startswith("_"), f"{room} imports {imported}"


def test_only_plotting_imports_matplotlib():
    for path in _modules():
        drawing = any(name.split(".")[0] == "matplotlib" for name in _imports(path))
        assert not drawing or _room(path) == "plotting", path


def test_private_sklearn_only_in_compat():
    for path in _modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.module:
                continue
            if node.module.split(".")[0] == "sklearn":
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                private = any(name.startswith("_") for name in names)
                assert not private or _room(path) == "_compat", (path, names)


def test_import_is_light():
    probe = (
        "import sys, sklearn.decomposition; before = set(sys.modules); "
        "from gplvm import *; "
        "heavy = {'matplotlib', 'PIL', 'pandas', 'polars', 'torch', "
        "'sklearn.manifold', 'sklearn.neighbors'} & (set(sys.modules) - before); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)


def test_public_names_are_there_when_they_are_asked_for():
    probe = (
        "import sys, gplvm; assert 'numpy' not in sys.modules; "
        "assert set(gplvm.__all__) <= set(dir(gplvm)); "
        "found = [getattr(gplvm, name) for name in gplvm.__all__]; "
        "import gplvm.kernels; assert gplvm.kernels in found; "
        "from gplvm import GPLVM; assert GPLVM in found; "
        "assert not hasattr(gplvm, 'os')"
    )
    subprocess.run([sys.executable, "-c", probe], check=True)
