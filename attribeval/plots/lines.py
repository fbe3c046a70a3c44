"""Lines of several methods in one panel, told apart by dashes and markers as well as by colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from attribeval.plots.style import INK, LINES, plain, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.legend import Legend

LARGEST_PANEL = 6  # methods in one panel, beside the controls
COLOURS = [line for line in LINES if line[0] != "#000000"]  # black is random's
MARKERS = "osD^vPX"
_CONTROLS = {"random": ("#000000", (0, (5, 1.6))), "sobel": ("#7a828f", (0, (1.2, 1.3)))}


class Look(NamedTuple):
    """How one line is drawn; no marker: a control's."""

    colour: str
    dashes: Any
    label: str
    marker: str


def looks(methods: Sequence[str], random: str = "random") -> dict[str, Look]:
    """How the lines of a panel look, by method: the controls first, which lie beneath."""
    found = {name: Look(*_CONTROLS[name], label, "") for name, label in (("random", random), ("sobel", "Sobel"))}
    for k, name in enumerate(methods):
        found[name] = Look(*COLOURS[k % len(COLOURS)], name, MARKERS[k % len(MARKERS)])
    return found


def draw_line(ax: Axes, look: Look, x: np.ndarray, y: np.ndarray, band: Sequence[np.ndarray]) -> None:
    """A line with its band (low, high)."""
    marker = look.marker or "o" * (len(x) == 1)  # a line through one point is not seen
    low, high = band
    ax.fill_between(x, low, high, color=look.colour, alpha=0.15, lw=0, zorder=2)
    ax.plot(
        x, y, color=look.colour, ls=look.dashes, lw=1.5 if look.marker else 1.8, marker=marker, ms=4, mec="white",
        mew=0.5, zorder=3, label=look.label,
    )  # fmt: skip


def legend_beside(ax: Axes, panels: Iterable[Axes]) -> Legend:
    """What any of the panels shows, once, right of one of them."""
    found: dict[str, Any] = {}
    for panel in panels:
        for handle, label in zip(*panel.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    legend = ax.legend(
        list(found.values()), [shorten(label, 44) for label in found], loc="center left", bbox_to_anchor=(1.01, 0.5),
        frameon=False, fontsize=8.5, labelcolor=INK, handlelength=3.2,
    )  # fmt: skip
    plain(legend.get_texts())
    return legend
