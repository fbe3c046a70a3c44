"""Sphinx configuration. Pages of methods and benchmarks are written anew at every build, see `generate`.

ATTRIBEVAL_DOCS_PICTURES=0 leaves out the pictures of methods and benchmarks, ATTRIBEVAL_DOCS_RUN=0 the runs of the
walkthroughs; with both, the build needs no TensorFlow.
"""

import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import generate

from attribeval import __version__

project = "attribeval"
author = "The attribeval authors"
version = release = __version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "formulas", "myst_nb", "sphinx_copybutton"]
html_math_renderer = "drawn"
html_theme = "furo"
html_show_copyright = False
html_title = f"attribeval {release}"
html_static_path = ["_static"]
html_css_files = ["attribeval.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"


def _brand(colour):
    quiet = {"color-sidebar-link-text--top-level": "var(--color-foreground-secondary)"}
    return {"color-brand-primary": colour, "color-brand-content": colour} | quiet


html_theme_options = {
    "top_of_page_buttons": [],
    "light_css_variables": _brand("#a63a2b"),
    "dark_css_variables": _brand("#ef8a73"),
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "  # examples are copied without prompts and without output
copybutton_prompt_is_regexp = True
exclude_patterns = ["_build", "generated/pictures"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
# Walkthroughs are committed without output; the site shows a run, kept in docs/_build until a walkthrough changes.
nb_execution_mode = "cache" if os.environ.get("ATTRIBEVAL_DOCS_RUN", "1") != "0" else "off"
nb_execution_cache_path = str(Path(__file__).resolve().parent / "_build" / "runs")
nb_execution_timeout = 1200
nb_execution_raise_on_error = True
nb_output_stderr = "remove"  # what TensorFlow says when it starts
nb_ipywidgets_js = {}  # nothing from other servers; walkthroughs run without progress bars, which would need it
os.environ["ATTRIBEVAL_QUIET"] = "1"

generate.write_all(with_pictures=os.environ.get("ATTRIBEVAL_DOCS_PICTURES", "1") != "0")


def _bars(app, what, name, obj, options, lines):
    """|a| in a docstring is a size, not a substitution; code keeps its bars."""
    for i, line in enumerate(lines):
        pieces = re.split(r"(`+[^`]+`+)", line)
        code = line.lstrip().startswith((">>>", "..."))
        lines[i] = line if code else "".join(p if p.startswith("`") else p.replace("|", r"\|") for p in pieces)


def setup(app):
    app.connect("autodoc-process-docstring", _bars)
