"""The bars of a BAM result: MCS, IDR and IIR.

As in the article the bars are measurements, their robustness is drawn in red, and their baseline in yellow; shapes tell
them apart without colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from attribeval.benchmarks.bam.sentences import UNITS
from attribeval.errors import AttribevalError
from attribeval.plots.results import table_with
from attribeval.plots.style import INK, MUTED, cut, decorate, name_rows, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

BARS = {"method": ("#2f6db5", ""), "control": ("#a8c6e8", "...."), "concept": ("#1f9e77", "////")}
_KINDS = {"method": "method", "control": "control (not an explanation)", "concept": "concept method"}
_TITLES = {"MCS": "MCS: f_o minus f_s", "IDR": "IDR: object below what it covers", "IIR": "IIR: unmoved by the patch"}
ROBUST = {"Moved": ("D", "objects moved"), "Smaller": ("s", "objects smaller")}
_FEW = 30  # images; bars of fewer are pale
_RED, _YELLOW = "#c0392b", "#e0a800"
_COLUMNS = {"method", "kind", "metric", "value", "low", "high", "deviation", "baseline"}


def plot_bam(result: Result) -> Figure:
    """MCS, IDR and IIR beside each other, methods in the order of MCS: figures 4, 8 and 10.

    Bars of fewer than 30 images are pale. Ink lines are 95 % intervals over images, grey numbers the standard
    deviation over 10 trials of 100.

    Raises:
        AttribevalError: If the table lacks a column, or has none of the three metrics.
    """
    table = table_with(_COLUMNS, result)
    metrics = [metric for metric in _TITLES if (table["metric"] == metric).any()]
    if not metrics:
        raise AttribevalError("Expected a table with MCS, IDR or IIR. Received none of them.")
    methods = list(dict.fromkeys(table["method"]))
    figure = new_figure(12.6, max(2.6, 0.27 * len(methods) + 1.5))
    axes = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        draw_bars(ax, table, metric, methods)
    name_rows(axes[0], [cut(name, 44) for name in methods])
    explain_bars(figure, table)
    return figure


def explain_bars(figure: Figure, table: pd.DataFrame) -> None:
    """The legend below the bars: what the colours and marks in a figure of these rows stand for."""
    kinds = [kind for kind in _KINDS if (table["kind"] == kind).any()]
    handles: list[Any] = [
        Patch(facecolor=BARS[kind][0], hatch=BARS[kind][1], edgecolor="#5a6270", label=_KINDS[kind]) for kind in kinds
    ]
    if ((table["images"] < _FEW) & (table["kind"] == "method")).any():
        handles.append(Patch(facecolor=BARS["method"][0], alpha=0.4, label=f"method, fewer than {_FEW} images"))
    for row, (marker, label) in ROBUST.items():
        if table["metric"].str.endswith(row).any():
            handles.append(Line2D([], [], color=_RED, marker=marker, ms=4.5, ls="none", label=f"robustness: {label}"))
    handles.append(
        Line2D([], [], color=_YELLOW, marker="|", ms=10, mew=2.5, ls="none", label="baseline: random region")
    )
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(int(figure.get_figwidth() / 3), len(handles)),
        frameon=False,
        fontsize=8,
    )


def draw_bars(ax: Axes, table: pd.DataFrame, metric: str, methods: list[str]) -> None:
    rows = {row["method"]: row for row in table[table["metric"] == metric].to_dict("records")}
    shown = ("value", "low", "high", "baseline")
    ends = np.array([[row[name] for name in shown] for row in rows.values()], np.float64)
    known = ends[np.isfinite(ends)]
    left, right = known.min(initial=0.0), known.max(initial=0.0)
    concepts = set(table["method"][table["kind"] == "concept"])
    for place, method in enumerate(methods):
        row, concept = rows.get(method), method in concepts
        if row is None or row["value"] != row["value"]:
            ax.text(0, place, " not applicable" if concept else " not measured", va="center", fontsize=7, color=MUTED)
            continue
        colour, hatch = BARS[row["kind"]]
        pale = 0.4 if row["images"] < _FEW else 1.0
        edge = "#5a6270" if hatch else colour
        ax.barh(place, row["value"], height=0.68, color=colour, hatch=hatch, edgecolor=edge, alpha=pale)
        if row["low"] == row["low"]:
            ax.hlines(place, row["low"], row["high"], color=INK, lw=1.3, zorder=4)
        if row["baseline"] == row["baseline"]:
            ax.vlines(row["baseline"], place - 0.34, place + 0.34, color=_YELLOW, lw=2.6, zorder=5)
        for name, (marker, _) in ROBUST.items():
            again = table[(table["metric"] == metric + name) & (table["method"] == method)]["value"]
            if len(again):
                ax.plot(again.iloc[0], place, marker=marker, ms=4, color=_RED, mec="white", mew=0.6, zorder=6)
        if row["deviation"] == row["deviation"]:
            text = f"± {UNITS[metric].text(row['deviation'])}"
            ax.text(1.0, place, text, transform=ax.get_yaxis_transform(), ha="right", va="center", fontsize=6.5,
                    color=MUTED, zorder=7)  # fmt: skip
    decorate(ax, _TITLES[metric], "x")
    ax.set_xlim(left - 0.04 * (right - left + 0.1) if left < 0 else 0, right + 0.22 * (right - left + 0.05))
    ax.axvline(0, color=MUTED, lw=0.8)
    if metric == "MCS":
        ax.xaxis.set_major_formatter(ScalarFormatter())
    elif metric == "IDR":
        ax.axvline(0.5, color=MUTED, lw=0.9, ls=(0, (4, 2)))
    ax.xaxis.set_major_locator(MaxNLocator(5))
    ax.tick_params(axis="y", labelsize=7.5, length=0)
