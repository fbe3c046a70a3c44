"""Figures for the page: drawn as SVG, photographs in it as WebP, and in colours that follow dark mode.

Within an image element the drawing can run nothing and ask for nothing, and `prefers-color-scheme` reaches it.
"""

from __future__ import annotations

import base64
import io
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from attribeval.plots.style import DARK

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 120  # of photographs in a drawing
_QUALITY = 82
_PNG = re.compile(r"data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)")
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_DIGITS = re.compile(r"\b([1-9]\d*\.\d\d)\d+")  # a hundredth of a pixel is enough
_COMMENTS = re.compile(r"<!--.*?-->", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)


def picture(name: str, alt: str, figure: Figure) -> dict[str, Any]:
    """A figure for the page, with its caption and what it shows in words: as the data address of an SVG, with its width
    and height in CSS pixels."""
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    # What a data address must not hold is escaped; base64 would make it a third larger.
    source = "data:image/svg+xml," + quote(svg(figure), safe=" !$&'()*+,-./:;=?@[]^_`{|}~\n")
    return {"name": name, "alt": alt, "source": source, "width": width, "height": height}


def svg(figure: Figure) -> str:
    """A figure as SVG: letters as outlines, so that it looks the same everywhere; neutral colours by scheme."""
    import matplotlib

    file = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "path", "svg.hashsalt": "attribeval", "image.composite_image": True}):
        figure.savefig(file, format="svg", dpi=_DPI, metadata={"Date": None})
    text = file.getvalue().decode()
    text = _METADATA.sub("", _COMMENTS.sub("", text))  # comments hold the texts, which may come from data
    text = _DIGITS.sub(r"\1", text)
    text = _PNG.sub(lambda found: _smaller(found[1]), text)
    text = _COLOUR.sub(lambda found: f"var(--c{found[0][1:]})" if found[0] in DARK else found[0], text)
    light = "".join(f"--c{colour[1:]}:{colour};" for colour in DARK)
    dark = "".join(f"--c{colour[1:]}:{other};" for colour, other in DARK.items())
    # What is black is written without a colour: it takes that of the root.
    style = f"<style>:root{{{light}fill:var(--c000000)}}@media(prefers-color-scheme:dark){{:root{{{dark}}}}}</style>"
    return re.sub(r"(<svg[^>]*>)", lambda found: found[1] + style, text, count=1)


def _smaller(data: str) -> str:
    """A raster image as WebP where that is smaller: photographs and heat maps are, flat colours may not be."""
    from PIL import Image

    png = base64.b64decode("".join(data.split()))
    file = io.BytesIO()
    Image.open(io.BytesIO(png)).save(file, "WEBP", quality=_QUALITY, method=4)
    kind, best = ("webp", file.getvalue()) if file.tell() < len(png) else ("png", png)
    return f"data:image/{kind};base64,{base64.b64encode(best).decode()}"
