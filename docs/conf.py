"""Configuration of the documentation."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from sofia_engine import __version__

project = "SOFIA Desk"
author = "The SOFIA Desk developers"
copyright = "2026, the SOFIA Desk developers"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "declarations"]
napoleon_google_docstring = False
myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_member_order = "bysource"
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"SOFIA Desk {version}"
html_static_path = []
nitpicky = False
