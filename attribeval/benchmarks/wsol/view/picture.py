"""The picture of a WSOL result: a bar per row, the accuracy at every threshold, and a panel per further score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from attribeval.benchmarks.wsol.metrics import METRICS
from attribeval.errors import AttribevalError
from attribeval.plots.results import table_with
from attribeval.plots.style import INK, LINES, MUTED, cut, decorate, new_figure, plain, shorten, split

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

_BARS = {  # colour and hatch of each kind of row
    "method": ("#2f6db5", ""),
    "control": ("#a8c6e8", "...."),
    "baseline": ("#d5d8dd", "////"),
}
_KINDS = {"method": "method", "control": "control (not an explanation)", "baseline": "baseline (looks at no model)"}


# The first eight of these that the table has get a panel; the rest is in the table.
_PANELS = ("BoxAcc", "MaxBoxAccV2", "Top1Loc", "EnergyInBox", "PointingGame", "PxAP", "PixelAUC", "RelevanceRank",
           "MaxMaskIoU", "ColourModel", "SaliencyMetric")  # fmt: skip
_UNBOUNDED = ("SaliencyMetric",)  # not a share, lower is better


def plot_wsol(result: Result) -> Figure:
    """MaxBoxAcc (or else the first metric) with its intervals, the best on top; where the result holds the arrays
    "<method>/curve" (256 accuracies), the accuracy at every threshold beside it; further metrics below, in the order
    of the bars.
    """
    table = table_with({"method", "kind", "metric", "value", "low", "high"}, result)
    metrics = list(dict.fromkeys(table["metric"]))
    first = "MaxBoxAcc" if "MaxBoxAcc" in metrics else metrics[0]
    table = table[table["metric"] == first]
    table = table.sort_values("value", ascending=first in _UNBOUNDED, kind="stable")
    curves = {}
    for method in table["method"] if first == "MaxBoxAcc" else ():
        if f"{method}/curve" in result.arrays:
            curves[method] = np.asarray(result.arrays[f"{method}/curve"], dtype=np.float64)
            if curves[method].shape != (256,):
                raise AttribevalError(
                    f"Expected 256 accuracies in the array '{method}/curve'. Received: {curves[method].shape}."
                )
    shown = [name for name in _PANELS if name in metrics and name != first][:8]
    height = max(2.6 if curves else 1.6, 0.34 * len(table) + 1.2)
    lines = -(-len(shown) // 4)
    below = 0.17 * len(table) + 0.75
    figure = new_figure(11.0 if curves or shown else 6.6, height + lines * below)
    top: Any = figure
    if shown:
        top, bottom = split(figure, lines * below)
        _panels(bottom, result.table, shown, list(table["method"]), lines)
    axes = top.subplots(1, 2 if curves else 1, squeeze=False, width_ratios=[1.15, 1] if curves else None)[0]
    _wsol_bars(axes[0], table, first, wide=bool(curves))
    if curves:
        _wsol_curves(axes[1], curves)
    return figure


def _panels(figure: Any, table: pd.DataFrame, metrics: list[str], methods: list[str], lines: int) -> None:
    """A dot and its interval per method, a panel per metric; every panel has its own scale."""
    axes = figure.subplots(lines, 4, squeeze=False, sharey=True)
    for ax in axes.flat[len(metrics) :]:
        ax.set_axis_off()
    for ax, metric in zip(axes.flat, metrics, strict=False):
        rows = table[table["metric"] == metric].set_index("method")
        for place, method in enumerate(methods):
            if method not in rows.index or not np.isfinite(rows.loc[method, "value"]):
                continue
            row = rows.loc[method]
            colour = _BARS[str(row["kind"])][0] if str(row["kind"]) == "method" else MUTED
            if np.isfinite(row["low"]) and np.isfinite(row["high"]):
                ax.hlines(place, row["low"], row["high"], color=colour, lw=1.2)
            filled = colour if str(row["kind"]) == "method" else "white"
            ax.plot(row["value"], place, marker="o", ms=3.6, mfc=filled, mec=colour, mew=0.9, ls="none")
        decorate(ax, metric + (" (lower is better)" if metric in _UNBOUNDED else ""), "x")
        if metric in _UNBOUNDED:
            ax.xaxis.set_major_formatter(ScalarFormatter())
        else:
            ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.title.set_fontsize(9)
        ax.grid(axis="y", color="#eef0f3", lw=0.6)
        ax.tick_params(axis="both", labelsize=7)
        ax.tick_params(axis="y", length=0)
    for ax in axes[:, 0]:
        ax.set_yticks(range(len(methods)), [cut(name, 44) for name in methods])
        ax.set_ylim(len(methods) - 0.4, -0.6)
        plain(ax.get_yticklabels())


def _wsol_bars(ax: Axes, table: pd.DataFrame, metric: str, wide: bool) -> None:
    places = np.arange(len(table))
    values, low, high = (table[name].to_numpy(dtype=np.float64) for name in ("value", "low", "high"))
    kinds = [str(kind) for kind in table["kind"]]
    unknown = sorted(set(kinds) - set(_BARS))
    if unknown:
        raise AttribevalError(f"Expected kinds {', '.join(_BARS)}. Received: {unknown[0]!r}.")
    for place, value, kind in zip(places, values, kinds, strict=True):
        colour, hatch = _BARS[kind]
        ax.barh(place, value, height=0.68, color=colour, hatch=hatch, edgecolor="#5a6270" if hatch else colour, lw=0.6)
    known = np.isfinite(low) & np.isfinite(high)
    ax.hlines(places[known], low[known], high[known], color=INK, lw=1.3, zorder=3)
    for ends in (low, high):
        ax.vlines(ends[known], places[known] - 0.14, places[known] + 0.14, color=INK, lw=1.3, zorder=3)
    for place, value, end in zip(places, values, np.fmax(values, np.where(known, high, values)), strict=True):
        ax.text(
            float(end) + 0.012, float(place), METRICS[metric].unit.text(value),
            va="center", ha="left", fontsize=8.5, color=INK, zorder=4,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )  # fmt: skip
    baselines = values[np.array(kinds) == "baseline"]
    if baselines.size:
        ax.axvline(baselines.max(), color=MUTED, lw=0.9, ls=(0, (4, 2)), zorder=2)
    ax.set_yticks(places, [shorten(name, 56) for name in table["method"]])
    plain(ax.get_yticklabels())
    ax.set_ylim(len(table) - 0.4, -0.6)
    ends = np.nanmax(np.concatenate([values, high[known]]))
    if metric not in _UNBOUNDED:
        ax.set_xticks(np.arange(0, 1.01, 0.1 if ends < 0.45 else 0.2))
        ax.set_xlim(0, min(1.0, ends) + 0.14)
    decorate(ax, f"{metric} with its interval", "x")
    if metric in _UNBOUNDED:
        ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.tick_params(axis="y", length=0, labelsize=9.5)
    ax.spines["left"].set_visible(False)
    present = [kind for kind in _BARS if kind in kinds]
    if len(present) > 1:
        handles: list[Any] = [
            Patch(facecolor=_BARS[kind][0], hatch=_BARS[kind][1], edgecolor="#5a6270", lw=0.6, label=_KINDS[kind])
            for kind in present
        ]
        if baselines.size:
            handles.append(Line2D([], [], color=MUTED, lw=0.9, ls=(0, (4, 2)), label="best baseline"))
        columns = 4 if wide else 2
        ax.figure.legend(
            handles=handles, loc="outside lower left", ncols=columns, frameon=False, fontsize=8, labelcolor=INK
        )


def _wsol_curves(ax: Axes, curves: Mapping[str, np.ndarray]) -> None:
    """Curves come best first; those beyond the styles that can be told apart are thin and grey."""
    handles, labels = [], []
    levels = np.arange(256)
    for k, (method, curve) in enumerate(curves.items()):
        if k >= len(LINES):
            ax.plot(levels, curve, color="#b6bcc6", lw=0.8, zorder=1)
            continue
        colour, dashes = LINES[k]
        handles += ax.plot(levels, curve, color=colour, ls=dashes, lw=1.6, zorder=3)
        labels.append(shorten(method, 56))
        best = int(curve.argmax())
        ax.plot(best, curve[best], marker="o", ms=5, mfc=colour, mec="white", mew=0.8, zorder=4)
    if len(curves) > len(LINES):
        handles.append(Line2D([], [], color="#b6bcc6", lw=0.8))
        labels.append(f"{len(curves) - len(LINES)} more")
    ax.set_xlim(0, 255)
    ax.set_ylim(0, None)
    ax.set_xticks([0, 64, 128, 192, 255])
    ax.set_xlabel("threshold (level of the map, 0–255)", fontsize=9, color=INK)
    decorate(ax, "accuracy at each threshold (dot: the best)", "y")
    legend = ax.legend(
        handles, labels, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8.5, labelcolor=INK,
        handlelength=2.8,
    )  # fmt: skip
    plain(legend.get_texts())
