"""Sphinx configuration: pages in Markdown, the reference from docstrings, a gallery of executed examples.

Nothing is fetched from the network, neither while building nor while reading: equations become MathML.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

from reference import listed_modules, sections

import gahb_theory

project = "gahb_theory"
author = "The gahb_theory developers"
copyright = f"2026, {author}"
version = release = gahb_theory.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_parser",
    "sphinxcontrib.bibtex",
    "sphinx_gallery.gen_gallery",
    "generated",
    "mathml",
    "reference",
]
exclude_patterns = ["_build", "examples"]
templates_path = ["_templates"]
default_role = "py:obj"
myst_enable_extensions = ["dollarmath", "deflist"]
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"

autosummary_generate = True
autosummary_context = {"parts_of": {name: sections(name) for name in listed_modules(HERE / "api.md")}}
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 90
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "subsection_order": [
        f"examples/{name}" for name in ("tutorials", "denoisers", "images", "bases", "generalisation")
    ],
    "run_stale_examples": True,  # the shipped denoisers may have changed
    "within_subsection_order": "FileNameSortKey",
    "doc_module": ("gahb_theory",),
    "reference_url": {"gahb_theory": None},
    "backreferences_dir": None,
    "image_scrapers": ("matplotlib", "gallery_setup"),
    "reset_modules": ("matplotlib", "gallery_setup.prepare"),
    "reset_modules_order": "both",
    "capture_repr": (),
    "remove_config_comments": True,
    "download_all_examples": False,
    "show_memory": False,
    "nested_sections": False,
}

html_theme = "pydata_sphinx_theme"
html_title = "gahb_theory"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
}
html_sidebars = {page: [] for page in ("index", "theory", "glossary", "contributing", "changelog", "references")}
