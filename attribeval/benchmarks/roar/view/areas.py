"""Gain over random, the area between the curves, with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from attribeval.benchmarks.roar.view.curves import MODES, checked
from attribeval.errors import AttribevalError
from attribeval.plots.style import INK, MUTED, decorate, name_rows, new_figure, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

_VERDICTS = {  # colour, marker, and whether it is filled
    "better than chance": ("#0072b2", "o", True),
    "not distinguishable from chance": (MUTED, "o", False),
    "worse than chance": ("#d55e00", "s", True),
    "not tested": (MUTED, "D", False),
}


def plot_areas(result: Result) -> Figure:
    """Gain over random (area between the curves) with its interval, best on top; right of zero is better than chance.

    Raises:
        AttribevalError: If the table has no row of metric "area vs random".
    """
    table = checked(result)
    table = table[(table["metric"] == "area vs random") & table["value"].notna() & (table["method"] != "random")]
    if table.empty:
        raise AttribevalError("Expected rows of metric 'area vs random'. Received none: was random trained?")
    modes = [mode for mode in MODES if (table["mode"] == mode).any()]
    longest = max((table["mode"] == mode).sum() for mode in modes)
    figure = new_figure(5.6 * len(modes), 0.27 * longest + 1.7)
    axes = figure.subplots(1, len(modes), squeeze=False)[0]
    for ax, mode in zip(axes, modes, strict=True):
        _areas(ax, table[table["mode"] == mode].sort_values("value", ascending=False, kind="stable"))
        decorate(ax, {"remove": "remove and retrain (ROAR)", "keep": "keep and retrain (KAR)"}[mode], "x")
        ax.xaxis.set_major_formatter(FuncFormatter(_signed_points))
        ax.set_xlabel("points of accuracy better than random, mean over all fractions", fontsize=8.5, color=INK)
        ax.tick_params(axis="y", length=0)
        ax.spines["left"].set_visible(False)
    handles = [
        Line2D([], [], color=colour, marker=marker, ms=6, mfc=colour if filled else "white", lw=1.4, label=verdict)
        for verdict, (colour, marker, filled) in _VERDICTS.items()
        if (table["verdict"] == verdict).any()
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4, frameon=False, fontsize=8, labelcolor=INK)
    return figure


def _signed_points(gain: float, _: int) -> str:
    return f"{100 * gain:+.3g}".replace("-", "−") if gain else "0"


def _areas(ax: Axes, table: pd.DataFrame) -> None:
    ax.axvline(0, color=INK, lw=1, zorder=1)
    for place, row in enumerate(table.itertuples()):
        colour, marker, filled = _VERDICTS[row.verdict]
        ax.hlines(place, row.low, row.high, color=colour, lw=1.4, zorder=2)  # nothing where the ends are NaN
        ax.plot(row.value, place, marker=marker, ms=6, color=colour, mfc=colour if filled else "white", zorder=3)
    name_rows(ax, [shorten(name, 56) for name in table["method"]], 8.5)
    ax.margins(x=0.08)
