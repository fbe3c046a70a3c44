"""The methods by one benchmark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from attribeval.benchmarks.leaderboard.view.parts import COLUMNS, name_rows, short
from attribeval.errors import AttribevalError, unknown
from attribeval.plots.results import table_with
from attribeval.plots.style import INK, LINES, MUTED, dress, new_figure

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result


def plot_benchmark(result: Result, benchmark: str) -> Figure:
    """The methods by one benchmark, best on top: the mean over images with its 95 % interval.

    Controls are squares and in italics. The arrow below points to where the better numbers are. Methods without a
    number are named below.

    Raises:
        AttribevalError: If the result is no leaderboard, has no such benchmark, or no method has a number by it.
    """
    table_with(COLUMNS, result)
    if benchmark not in result.settings["benchmarks"]:
        raise unknown("benchmark of this leaderboard", str(benchmark), result.settings["benchmarks"])
    high = result.settings["better"][benchmark] == "high"
    of_benchmark = result.table[result.table["benchmark"] == benchmark]
    rows = of_benchmark[np.isfinite(of_benchmark["value"])].sort_values("value", ascending=not high, kind="stable")
    if rows.empty:
        raise AttribevalError(
            f"Expected a method with a number by {benchmark}. Received none: {_reasons(of_benchmark)}."
        )
    figure = new_figure(6.0, 0.27 * len(rows) + 1.0)
    ax = figure.subplots()
    for place, row in enumerate(rows.to_dict("records")):
        control = row["kind"] != "method"
        colour = MUTED if control else LINES[0][0]
        ax.hlines(place, row["low"], row["high"], color=colour, lw=1.4, alpha=0.6, zorder=2)
        ax.plot(row["value"], place, marker="s" if control else "o", ms=6, mfc="white" if control else colour,
                mec=colour, mew=1.2, ls="none", zorder=3)  # fmt: skip
    name_rows(ax, list(rows["method"]), result)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(f"{short(benchmark)}: {'better →' if high else '← better'}", fontsize=9, color=INK, parse_math=False)
    dress(ax, "x", ("top", "right", "left"))
    ax.tick_params(axis="y", length=0)
    without = [name for name in of_benchmark["method"] if name not in set(rows["method"])]
    note = "bars: 95 % interval over images · squares: controls"
    note += f"\nno number: {', '.join(map(short, without))}" if without else ""
    figure.supxlabel(note, fontsize=8, color=MUTED, parse_math=False)
    return figure


def _reasons(rows: pd.DataFrame) -> str:
    return "; ".join(dict.fromkeys(filter(None, rows["error"]))) or "no image has one"
