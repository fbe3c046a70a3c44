"""The figures of the BAM article (Yang & Kim 2019), by their numbers, from a finished run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from attribeval.benchmarks.bam.view.bars import BARS, ROBUST, draw_bars, explain_bars
from attribeval.benchmarks.bam.view.examples import draw_map, photograph, plot_examples
from attribeval.benchmarks.bam.view.models import plot_accuracies, plot_series
from attribeval.errors import AttribevalError
from attribeval.plots.style import INK, MUTED, cut, decorate, name_rows, new_figure, shorten
from attribeval.results.numbers import number

if TYPE_CHECKING:
    from attribeval.results.result import Result

_PANEL = 1.3  # inches


def _bars_of(metric: str) -> Callable[[Result], Figure]:
    def draw(result: Result) -> Figure:
        """The bars of one metric, best method first, with intervals, robustness and baselines.

        Raises:
            AttribevalError: If the result has no row of the metric.
        """
        rows = _rows(result, metric)
        methods = list(dict.fromkeys(rows.sort_values("value", ascending=False, kind="stable")["method"]))
        figure = new_figure(6.4, max(2.4, 0.27 * len(methods) + 1.5))
        ax = figure.subplots()
        draw_bars(ax, result.table, metric, methods)
        name_rows(ax, [cut(name, 44) for name in methods])
        explain_bars(figure, result.table[result.table["metric"].isin([metric, *(metric + name for name in ROBUST)])])
        return figure

    return draw


def figure_5(result: Result) -> Figure:
    """One image with the common feature: a row of maps per method, k rising from left to right (also figure 12).

    The white line is the feature. A method is right if its map of the feature fades as k rises.

    Raises:
        AttribevalError: If the result holds no such maps.
    """
    if "over_k/maps" not in result.arrays:
        raise AttribevalError("Expected a result with maps over k. Received one without: run attribeval bam run again.")
    image, mask, maps = (result.arrays[f"over_k/{name}"] for name in ("image", "mask", "maps"))
    names, ks = [str(name) for name in result.arrays["over_k/methods"]], result.arrays["series/k"]
    figure = new_figure(_PANEL * (len(ks) + 1) + 0.4, 1.06 * _PANEL * len(names) + 0.5)
    axes = figure.subplots(len(names), len(ks) + 1, squeeze=False)
    for row, name, of_method in zip(axes, names, maps, strict=True):
        photograph(row[0], image)
        row[0].set_ylabel(shorten(name, 26), fontsize=8, color=INK, parse_math=False)
        for ax, of_k in zip(row[1:], of_method, strict=True):
            draw_map(ax, of_k, image, mask)
    axes[0, 0].set_title("x", fontsize=9, color=INK)
    for ax, k in zip(axes[0, 1:], ks, strict=True):
        ax.set_title(f"k = {k:.3g}", fontsize=9, color=INK)
    return figure


def figure_9(result: Result) -> Figure:
    """x and x + δ, which are alike to the model, δ itself, and the maps of both by every method (also figure 16).

    The white line is δ. Of the images of the run the one whose patch changes the logits least.

    Raises:
        AttribevalError: If the result holds no such maps.
    """
    if "patch/maps" not in result.arrays:
        raise AttribevalError(
            "Expected a result with maps of a patch. Received one without: run attribeval bam run again."
        )
    images, mask, maps = (result.arrays[f"patch/{name}"] for name in ("images", "mask", "maps"))
    names = [str(name) for name in result.arrays["patch/methods"]]
    figure = new_figure(_PANEL * (len(names) + 2), 2 * _PANEL + 0.9)
    axes = figure.subplots(2, len(names) + 2, squeeze=False)
    for row, image, title, which in zip(axes, images, ("x", "x + δ"), range(2), strict=True):
        photograph(row[0], image)
        row[0].set_ylabel(title, fontsize=9, color=INK)
        for ax, of_method in zip(row[2:], maps, strict=True):
            draw_map(ax, of_method[which], image, mask)
    delta = images[1].astype(np.float64) - images[0]
    axes[0, 1].imshow(np.clip(128 + delta / 2, 0, 255).astype(np.uint8))
    axes[0, 1].set_title("δ, around grey", fontsize=8, color=INK)
    axes[1, 1].imshow(mask, cmap="gray")
    axes[1, 1].set_title("its region", fontsize=8, color=INK)
    for ax in axes[:, 1]:
        ax.set_xticks([])
        ax.set_yticks([])
    for ax, name in zip(axes[0, 2:], names, strict=True):
        ax.set_title(shorten(name, 26), fontsize=8, color=INK, parse_math=False)
    change, scale = float(result.arrays["patch/change"]), float(result.arrays["patch/scale"])
    figure.supxlabel(f"‖f(x + δ) − f(x)‖ = {number(change)}, ‖f(x)‖ = {number(scale)}", fontsize=8.5, color=MUTED)
    return figure


def figure_11(result: Result) -> Figure:
    """How much the patch changes the map where it is, on average: |g(x + δ) − g(x)| / g(x), lowest on top.

    Raises:
        AttribevalError: If the result has no row of metric IIRChange.
    """
    rows = _rows(result, "IIRChange").sort_values("value", kind="stable")
    methods = list(rows["method"])
    finite = rows["value"][np.isfinite(rows["value"])]
    figure = new_figure(6.4, max(2.4, 0.27 * len(methods) + 1.2))
    ax = figure.subplots()
    for place, row in enumerate(rows.itertuples()):
        if not np.isfinite(row.value):
            ax.text(0, place, " infinite: no attribution there before", va="center", fontsize=7, color=MUTED)
            continue
        ax.barh(place, row.value, height=0.68, color=BARS[row.kind][0])
        if np.isfinite(row.low):
            ax.hlines(place, row.low, row.high, color=INK, lw=1.3, zorder=4)
    decorate(ax, "Change of the map where the patch is: lower is better", "x")
    ax.xaxis.set_major_formatter(ScalarFormatter())
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set_xlim(0, 1.05 * max([finite.max() if len(finite) else 0.0, *rows["high"][np.isfinite(rows["high"])]]) or 1)
    ax.set_xlabel("|g(x + δ) − g(x)| / g(x), mean over images", fontsize=8.5, color=INK)
    name_rows(ax, [cut(name, 44) for name in methods])
    return figure


def _rows(result: Result, metric: str):
    rows = result.table[(result.table["metric"] == metric) & result.table["value"].notna()]
    if rows.empty:
        raise AttribevalError(f"Expected rows of metric {metric!r}. Received a result without any.")
    return rows


FIGURES: dict[str, Callable[[Result], Figure]] = {
    "2": plot_accuracies,
    "3": plot_examples,
    "4": _bars_of("MCS"),
    "5": figure_5,
    "6": plot_series,
    "7": plot_examples,
    "8": _bars_of("IDR"),
    "9": figure_9,
    "10": _bars_of("IIR"),
    "11": figure_11,
    "12": figure_5,
    "13": plot_series,
    "16": figure_9,
}
