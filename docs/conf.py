"""Sphinx configuration: a site that builds and reads without network."""

import sys
import warnings
from pathlib import Path

import gplvm

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

# --- The project ------------------------------------------------------------------

project = "gplvm"
author = "the gplvm developers"
project_copyright = author
release = gplvm.__version__
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "local_mathjax",
    "scikit_learn_manners",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "_ext", "_templates"]
root_doc = "index"
default_role = "autolink"
# Equations are numbered within their derivation, as in (2.4).
numfig = True
numfig_secnum_depth = 1
math_eqref_format = "({number})"
# Found in _static: local_mathjax puts it there.
mathjax_path = "mathjax/tex-svg.js"
mathjax3_config = {
    "svg": {"fontCache": "global"},
    "options": {"enableMenu": False},
}

# --- Reference --------------------------------------------------------------------

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

# --- Gallery ----------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"plot_",
    "within_subsection_order": "gallery_order.GalleryOrder",
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("gplvm",),
    "inspect_global_variables": False,
    "image_srcset": ["2x"],
    "capture_repr": (),
    "remove_config_comments": True,
    "min_reported_time": 1,
    "show_signature": False,
    "write_computation_times": False,
}
# An example may draw without showing; the gallery collects the figures.
warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive")

# --- Pages ------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "gplvm"
html_static_path = ["_static"]
html_css_files = ["custom.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "header_links_before_dropdown": 7,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "gallery/index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_end": ["theme-switcher"],
    "navbar_persistent": ["search-button"],
}
html_sidebars = {"index": [], "benchmarks": [], "changelog": []}
