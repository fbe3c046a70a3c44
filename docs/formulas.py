"""Formulas as pictures inside the page, drawn by matplotlib: no script from another server, no LaTeX installation."""

from __future__ import annotations

import html
import re
from io import BytesIO
from typing import Any

import matplotlib as mpl
from docutils import nodes
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import math_to_image

_SIZE = 12  # points for which a formula is drawn; on the page it has the size of the text around it


def drawing(formula: str) -> str:
    """One line of LaTeX as SVG that stands in a line of text, with the LaTeX as its label."""
    file = BytesIO()
    with mpl.rc_context({"mathtext.fontset": "cm", "svg.hashsalt": "formula", "svg.fonttype": "path"}):
        depth = math_to_image(f"${formula.strip()}$", file, FontProperties(size=_SIZE), dpi=72, format="svg")
    svg = file.getvalue().decode()
    svg = svg[svg.index("<svg") :]
    width, height = (float(re.search(rf'{side}="([\d.]+)pt"', svg)[1]) / _SIZE for side in ("width", "height"))
    style = f"width: {width:.3f}em; height: {height:.3f}em; vertical-align: {-depth / _SIZE:.3f}em"
    svg = re.sub(r'(width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r'<g id="patch_1">.*?</g>', "", svg, count=1, flags=re.S)  # the white paper beneath
    svg = svg.replace("<svg", '<svg fill="currentColor"', 1)  # black on white, or white on black
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.S)
    return svg.replace("<svg", f'<svg role="img" aria-label="{html.escape(formula.strip())}" style="{style}"', 1)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(drawing(node.astext()))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    for line in node.astext().split(r"\\"):
        large = line.replace(r"\frac", r"\dfrac")
        translator.body.append(f'<div class="formula">{drawing(large)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """What Sphinx calls: `html_math_renderer = "drawn"` then chooses this."""
    app.add_html_math_renderer("drawn", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
