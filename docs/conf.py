"""Sphinx settings of the site; build it with ``make docs``."""

import os
from importlib.metadata import metadata

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

project = "stochastic-realization"
author = "The stochastic-realization authors"
copyright = f"2026, {author}"
release = metadata(project)["Version"]
version = release

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "sphinx-mathjax-offline",
    "sphinx_gallery.gen_gallery",
    "sphinxcontrib.bibtex",
]
templates_path = ["_templates"]
exclude_patterns = ["_build"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
# No example has a space in its name; the folder of the clone may have one.
suppress_warnings = ["sphinx_gallery.space_in_filename"]
nitpicky = False  # docstrings name types in words, `(n, n) array_like`, which are no references

myst_enable_extensions = ["amsmath", "deflist", "dollarmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_imported_members = True
autodoc_typehints = "none"  # the Parameters section states shapes, which the annotations cannot
numpydoc_show_class_members = False  # the class template lists them
numpydoc_xref_param_type = False

bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"demo\.py",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,
    "remove_config_comments": True,
}

html_theme = "furo"
html_title = "stochastic-realization"
html_show_sourcelink = False
