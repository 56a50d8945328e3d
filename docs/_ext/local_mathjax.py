"""Copy MathJax into the site, so that mathematics needs no network.

The script is one file that draws SVG: no fonts to load, and a page opened from the
disk shows its formulas too. It comes from an installed distribution.
"""

import shutil
from importlib.metadata import distribution
from pathlib import Path

PACKAGE = "sphinx-mathjax-offline"
SCRIPT = "tex-svg.js"


def copy_script(app, exception):
    """Copy the script to where `mathjax_path` looks for it."""
    if exception is not None or app.builder.format != "html":
        return
    source = distribution(PACKAGE).locate_file(f"{PACKAGE}/static/mathjax/{SCRIPT}")
    target = Path(app.outdir) / "_static" / "mathjax"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(str(source), target / SCRIPT)


def setup(app):
    """Register with Sphinx."""
    app.connect("build-finished", copy_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
