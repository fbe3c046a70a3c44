"""What all pictures share: colours, scales, photographs, boxes and labels, through matplotlib's objects only.

Lightness alone carries the meaning, so the pictures survive greyscale printing and every kind of colour blindness:
evidence for the class is lighter than the photograph beneath it, evidence against it darker.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from attribeval.attributions import Attributions
from attribeval.results.numbers import cut

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text


PANEL = 1.9  # inches, the longer side of one picture
PER_LINE = 6  # methods beside each other before the line is broken
INK, MUTED = "#1f2430", "#667085"
# Okabe & Ito's colours without their yellow, which is too pale for a line; the dashes tell them apart without colour.
LINES = [
    ("#0072b2", "-"),
    ("#d55e00", (0, (5, 1.5))),
    ("#009e73", (0, (1, 1.2))),
    ("#cc79a7", (0, (6, 1.5, 1, 1.5))),
    ("#000000", (0, (2.5, 1.2))),
    ("#e69f00", (0, (8, 2))),
    ("#56b4e9", (0, (3, 1, 1, 1, 1, 1))),
]
TRUTH, PREDICTION = "#fefefe", "#40e0ff"
ON_DARK, ON_LIGHT = "#fefefe", "#1f2431"  # letters in coloured cells and over photographs, which dark mode leaves
# Light → dark of what stands on the page itself: a report draws it in the reader's scheme.
DARK = {
    INK: "#e7eaf0", MUTED: "#a0a9b9", "#ffffff": "#1a1f28", "#000000": "#f5f7fa", "#e4e7ec": "#2e3542",
    "#eef0f3": "#262c37", "#aab2bf": "#566072", "#b6bcc6": "#566072", "#d0d5dd": "#3b4453", "#5a6270": "#8b94a3",
    "#7a828f": "#9aa3b2", "#98a2b3": "#7b8597", "#d5d8dd": "#3f4757", "#0072b2": "#4aa8e0", "#d55e00": "#f0833a",
    "#009e73": "#2fc79a",
}  # fmt: skip


def ramp(colours: np.ndarray) -> np.ndarray:
    """Give colours from weak to strong an opacity that starts at 0, so that weak evidence leaves the photograph."""
    strength = np.linspace(0, 1, len(colours))
    return np.column_stack([colours[:, :3], 0.95 * strength**0.6])


def signed_colours() -> np.ndarray:
    """Navy (−1) to blue, transparent (0), orange to pale yellow (+1)."""
    strength = np.linspace(0, 1, 257)[:, None]
    against = (1 - strength) * to_rgb("#1f62e0") + strength * to_rgb("#04103f")
    in_favour = (1 - strength) * to_rgb("#ff8c00") + strength * to_rgb("#fff3a0")
    return np.concatenate([ramp(against)[:0:-1], ramp(in_favour)])  # zero appears once, in the middle


@dataclass(frozen=True, eq=False)
class Scale:
    """How maps of one sort are coloured, and the greys their photograph is dimmed to."""

    colours: np.ndarray  # RGBA
    low: int
    dark: float
    light: float
    meaning: str

    @property
    def cmap(self) -> ListedColormap:
        return ListedColormap(self.colours)

    @property
    def norm(self) -> Normalize:
        return Normalize(self.low, 1)

    @property
    def paper(self) -> tuple[float, float, float]:
        """The grey beneath a map without a photograph."""
        return (0.0, 0.0, 0.0) if self.low == 0 else (0.5, 0.5, 0.5)

    def dim(self, photograph: np.ndarray) -> np.ndarray:
        """The luma (ITU-R BT.601) of an RGB photograph in 0..1, squeezed into this scale's greys."""
        return self.dark + (self.light - self.dark) * (photograph @ np.array([0.299, 0.587, 0.114]))


UNSIGNED = Scale(ramp(colormaps["inferno"](np.linspace(0.5, 0.97, 256))), 0, 0.0, 0.34, "strength of evidence")
SIGNED = Scale(signed_colours(), -1, 0.36, 0.62, "evidence against (−) and for (+) the class")


class Picture(Figure):
    """A figure that a notebook shows by itself, also where pyplot was never imported."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def new_figure(width: float, height: float) -> Picture:
    """An empty figure of so many inches."""
    return Picture(figsize=(max(width, 4.2), height), dpi=150, layout="constrained", facecolor="white")


def shorten(text: str, width: int) -> str:
    """Break a long text into two lines, and cut it if that is not enough; lines that are given are cut only."""
    text = str(text)
    half = width // 2
    if "\n" in text:
        return "\n".join(cut(line, half + 3) for line in text.split("\n"))
    if len(text) <= half:
        return text
    end = max(text.rfind(mark, 3, half) for mark in " (") + 1 or text.rfind("_", 3, half) + 1 or half
    rest = text[end:].strip()
    return text[:end].strip() + "\n" + (rest if len(rest) <= half + 2 else rest[: half + 1] + "…")


def plain(texts: Iterable[Text]) -> None:
    """Take names as they are: a dollar or an underscore in them is no mathematics."""
    for text in texts:
        text.set_parse_math(False)


def name_rows(ax: Axes, names: Sequence[str], size: float = 7.5) -> None:
    """Names of rows at an axis of places 0, 1, …, the first on top."""
    ax.set_yticks(range(len(names)), list(names))
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.tick_params(axis="y", labelsize=size, length=0)
    plain(ax.get_yticklabels())


def class_name(attributions: Attributions, i: int) -> str:
    target = int(attributions.targets[i])
    names = attributions.class_names
    return f"class {target}" if names is None or not 0 <= target < len(names) else str(names[target])


def percentile_name(clip: float | None) -> str:
    if clip is None or clip == 100:
        return "largest absolute value"
    suffix = "th" if clip % 1 or clip % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(int(clip) % 10, "th")
    return f"{clip:g}{suffix} percentile of absolute values"


def split(figure: Any, below: float) -> tuple[Any, Any]:
    """A figure as two, one above the other; the lower one is so many inches high."""
    above, under = np.ravel(figure.subfigures(2, 1, height_ratios=[figure.get_figheight() - below, below]))
    return above, under


def decorate(ax: Axes, title: str, values: Literal["x", "y"]) -> None:
    """Title, grid, and percentages on the axis ("x" or "y") that holds the values."""
    ax.set_title(title, fontsize=10, color=INK, loc="left", pad=8, fontweight="bold")
    dress(ax, values)
    (ax.xaxis if values == "x" else ax.yaxis).set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))


def dress(ax: Axes, grid: Literal["x", "y", "both"], without: Sequence[str] = ("top", "right")) -> None:
    """A grid behind the data, a pale frame without some of its sides, and small labels."""
    ax.grid(axis=grid, color="#e4e7ec", lw=0.8)
    ax.set_axisbelow(True)
    ax.spines[:].set_edgecolor("#aab2bf")
    ax.spines[list(without)].set_visible(False)
    ax.tick_params(labelsize=8.5, color="#aab2bf", labelcolor=INK)
