"""Every score's agreement with every judge."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.plots.style import INK, LINES, MUTED, cut, dress, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attribeval.results.result import Result


def plot_agreement(result: Result) -> Figure:
    """A panel per judge, a line per score in one order, ρ with its interval; open circles: ρ within families."""
    table = result.table[result.table["value"].notna()]
    if table.empty:
        raise AttribevalError("Expected a score with enough methods to be judged. Received none.")
    judges = list(dict.fromkeys(table["judge"]))
    labels = labels_of(table)
    order = list(dict.fromkeys(labels))
    figure = new_figure(3.2 + 2.3 * len(judges), 1.5 + 0.24 * len(order))
    axes = figure.subplots(1, len(judges), sharey=True, squeeze=False)[0]
    for ax, judge in zip(axes, judges, strict=True):
        mine = table["judge"] == judge
        _draw(ax, table[mine], [order.index(label) for label in labels[mine]], 1 - result.settings["level"])
        ax.set_title(judge, fontsize=9.5, color=INK)
    axes[0].set_yticks(range(len(order)), [cut(label, 48) for label in order])
    axes[0].set_ylim(len(order) - 0.4, -0.6)
    figure.supxlabel(
        f"Spearman's ρ over {_span(table['methods'])} methods · filled: told from 0 · bars: "
        f"{result.settings['level']:.0%} interval · small circles: within families",
        fontsize=8,
        color=MUTED,
    )
    return figure


def labels_of(table: pd.DataFrame) -> pd.Series:
    """The score, with its study, and its run where two runs have it."""
    names = table["score"] + " · " + table["study"]
    runs = table.assign(_name=names).groupby("_name")["run"].transform("nunique")
    return names.where(runs == 1, names + " · " + table["run"])


def _draw(ax: Axes, rows: pd.DataFrame, places: list[int], alpha: float) -> None:
    colour = LINES[0][0]
    for place, row in zip(places, rows.itertuples(), strict=True):
        told = row.p_holm <= alpha
        ax.hlines(place, row.low, row.high, color=colour, lw=1.2, alpha=0.6)
        ax.plot(row.value, place, marker="o", ms=5.5, mfc=colour if told else "white", mec=colour, ls="none", zorder=3)
        if np.isfinite(row.partial):
            ax.plot(row.partial, place, marker="o", ms=2.6, color=LINES[1][0], ls="none", zorder=4)
    ax.axvline(0, color=MUTED, lw=0.8, zorder=0)
    ax.set_xlim(-1.05, 1.05)
    ax.set_xticks([-1, -0.5, 0, 0.5, 1], ["−1", "−.5", "0", ".5", "1"])
    dress(ax, "x", ("top", "right", "left"))


def _span(counts: pd.Series) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low} to {high}"
