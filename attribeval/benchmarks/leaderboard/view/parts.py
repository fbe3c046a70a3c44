"""What the pictures of a leaderboard share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.patches import Rectangle

from attribeval.plots.style import INK, cut, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

LONGEST = 36
COLUMNS = {"method", "kind", "benchmark", "value", "low", "high", "rank", "group", "error"}


def ordered(result: Result) -> list[dict[str, Any]]:
    """Records of the methods' average ranks over all families, best first."""
    return [row for row in result.settings["average_ranks"] if row["family"] == "all"]


def name_rows(ax: Axes, methods: list[str], result: Result) -> None:
    ax.set_yticks(range(len(methods)), [short(name) for name in methods], fontsize=8.5, color=INK)
    for label, name in zip(ax.get_yticklabels(), methods, strict=True):
        label.set_parse_math(False)
        label.set_fontstyle("italic" if result.settings["kinds"].get(name) != "method" else "normal")
    plain(ax.get_xticklabels())


def rectangle(x: float, y: float, width: float, height: float, colour: Any, hatch: str = "") -> Rectangle:
    edge = "#d0d5dd" if hatch else "#e4e7ec"
    return Rectangle((x, y), width, height, facecolor=colour, edgecolor=edge, lw=0.5, hatch=hatch)


def bare(ax: Axes) -> None:
    ax.tick_params(length=0, pad=3)
    for spine in ax.spines.values():
        spine.set_visible(False)


def short(text: str) -> str:
    return cut(text, LONGEST)
