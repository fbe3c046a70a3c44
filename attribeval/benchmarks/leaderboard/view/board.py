"""The board: who stands where.

Standing is lightness: the better, the darker, so that it reads in grey; the number in each cell says the rest.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from attribeval.benchmarks.leaderboard.view.parts import (
    COLUMNS,
    LONGEST,
    bare,
    name_rows,
    ordered,
    rectangle,
    short,
)
from attribeval.plots.results import table_with
from attribeval.plots.style import INK, MUTED, ON_DARK, ON_LIGHT, new_figure
from attribeval.results.numbers import cut, number, rank_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

_STANDING = LinearSegmentedColormap.from_list("standing", ["#fbfcfe", "#c9dbf0", "#7fa8d6", "#2f6db5", "#123a70"])
_MARKS = (
    "darker is a better rank · number: mean over images · letters: methods that share one cannot be told apart · "
    "↑ high is better, ↓ low is better · italics: controls · ! scores of some images are missing · × none"
)
_PER_LINE = 12  # benchmarks beside each other before the board goes on below


def plot_leaderboard(result: Result) -> Figure:
    """Methods × benchmarks: colour is the rank (darker is better), text the value and the letters of the groups.

    Methods are sorted by their average rank over families; benchmarks stand in their families; controls are in italics.

    Raises:
        AttribevalError: If the table lacks a column or has no rows.
    """
    table_with(COLUMNS, result)
    methods = [row["method"] for row in ordered(result)]
    families = result.settings["families"]
    order = list(dict.fromkeys(families.values()))
    benchmarks = sorted(result.settings["benchmarks"], key=lambda label: order.index(families[label]))
    lines = -(-len(benchmarks) // _PER_LINE)
    parts = [benchmarks[k * len(benchmarks) // lines : (k + 1) * len(benchmarks) // lines] for k in range(lines)]
    wide, high = 0.78, 0.36
    names = max(len(short(name)) for name in methods) * 0.078 + 0.3
    heads = min(max(len(short(label)) + 2 for label in benchmarks), LONGEST) * 0.06 + 0.75
    longest = max(map(len, parts)) + 1
    width = names + wide * longest + 1.3
    figure = new_figure(width, lines * (heads + high * len(methods) + 0.35) + 0.4)
    places = [np.array([0.0, *_places(part, families)]) for part in parts]
    right = max(x[-1] for x in places) + 0.56
    for ax, part, x in zip(figure.subplots(lines, 1, squeeze=False)[:, 0], parts, places, strict=True):
        _draw_board(ax, result, part, x)
        ax.set_xlim(-0.56, right)
    figure.supxlabel(textwrap.fill(_MARKS, int(width / 0.062)), fontsize=8, color=MUTED)
    return figure


def _draw_board(ax: Axes, result: Result, benchmarks: list[str], x: np.ndarray) -> None:
    """The average rank at x[0], and some of the benchmarks behind it."""
    rows = ordered(result)
    methods = [row["method"] for row in rows]
    cells = {(row["method"], row["benchmark"]): row for row in result.table.to_dict("records")}
    for i, method in enumerate(methods):
        average = rows[i]["value"]
        _draw_cell(ax, x[0], i, np.nan if average is None else average, len(methods), None)
        for j, label in enumerate(benchmarks):
            row = cells[method, label]
            _draw_cell(ax, x[j + 1], i, row["rank"], len(methods), row)
    _draw_families(ax, x[1:], benchmarks, result.settings["families"], len(methods))
    ax.set_ylim(len(methods) - 0.45, -0.55)
    better = result.settings["better"]
    labels = ["average rank", *[f"{short(label)} {'↑' if better[label] == 'high' else '↓'}" for label in benchmarks]]
    ax.set_xticks(x, labels, rotation=38, ha="left", rotation_mode="anchor", fontsize=8.5, color=INK)
    ax.xaxis.tick_top()
    name_rows(ax, methods, result)
    bare(ax)


def _places(benchmarks: list[str], families: dict[str, str]) -> list[float]:
    """Where columns stand: one apart, with a gap between families and after the averages."""
    places, x, last = [], 0.25, None
    for label in benchmarks:
        x += 1.0 + (0.22 if last is not None and families[label] != last else 0)
        places.append(x)
        last = families[label]
    return places


def _draw_cell(ax: Axes, x: float, y: float, rank: float, largest: int, row: dict[str, Any] | None) -> None:
    share = np.nan if not np.isfinite(rank) else 1 - (rank - 1) / max(largest - 1, 1)
    colour = "#ffffff" if share != share else _STANDING(share)
    ax.add_patch(rectangle(x - 0.49, y - 0.47, 0.98, 0.94, colour, hatch="////" if share != share else ""))
    ink = INK if share != share else ON_DARK if share > 0.62 else ON_LIGHT
    if row is None:
        ax.text(x, y, rank_text(rank), ha="center", va="center", fontsize=8.5, color=ink,
                fontweight="bold")  # fmt: skip
        return
    if row["value"] != row["value"]:
        ax.text(x, y, "×" if row["error"] else "–", ha="center", va="center", fontsize=9, color=INK)
        return
    mark = " !" if row["error"] else ""
    group = cut(row["group"], 8) if isinstance(row["group"], str) else ""
    ax.text(x, y - 0.14, number(float(row["value"])) + mark, ha="center", va="center", fontsize=8, color=ink)
    ax.text(x, y + 0.24, group, ha="center", va="center", fontsize=6.2, color=ink)


def _draw_families(ax: Axes, x: np.ndarray, benchmarks: list[str], families: dict[str, str], rows: int) -> None:
    """A line and a name under the columns of each family."""
    for family in dict.fromkeys(families[label] for label in benchmarks):
        places = [place for place, label in zip(x, benchmarks, strict=True) if families[label] == family]
        left, right = min(places) - 0.46, max(places) + 0.46
        ax.plot([left, right], [rows - 0.42, rows - 0.42], color=INK, lw=1.4, clip_on=False, solid_capstyle="butt")
        text = family.replace(" ", "\n") if right - left < 1.2 else family
        text = text if right - left > 0.076 * max(map(len, text.split("\n"))) else text[:9] + "…"
        ax.text((left + right) / 2, rows - 0.3, text, ha="center", va="top", fontsize=7.2, color=INK, clip_on=False)
