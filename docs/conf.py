"""Sphinx configuration. Pages of methods and benchmarks are written anew at every build, see `generate`.

ATTRIBEVAL_DOCS_PICTURES=0 leaves out the pictures of methods and benchmarks, and with them TensorFlow.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate

from attribeval import __version__

project = "attribeval"
author = "The attribeval authors"
version = release = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "formulas", "myst_nb"]
html_math_renderer = "drawn"
html_theme = "alabaster"
html_theme_options = {"description": "Which attribution method can I trust on my Keras model?", "page_width": "1100px"}
exclude_patterns = ["_build", "generated/pictures"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # walkthroughs are committed without output; tox -e notebooks runs them

generate.write_all(with_pictures=os.environ.get("ATTRIBEVAL_DOCS_PICTURES", "1") != "0")
