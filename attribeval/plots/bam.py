"""Pictures of a BAM result: the article's bars, its accuracies (figure 2), the series over k, and example panels.

As in the article the bars are measurements, their robustness is drawn in red, and their baseline in yellow; shapes tell
them apart without colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, PercentFormatter, ScalarFormatter

from attribeval.errors import AttribevalError
from attribeval.plots.style import INK, LINES, MUTED, TRUTH, UNSIGNED, cut, decorate, draw_heat, new_figure, shorten
from attribeval.results.numbers import share, value_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

_BARS = {"method": ("#2f6db5", ""), "control": ("#a8c6e8", "...."), "concept": ("#1f9e77", "////")}
_KINDS = {"method": "method", "control": "control (not an explanation)", "concept": "concept method"}
_TITLES = {
    "MCS": "MCS: f_o minus f_s",
    "IDR": "IDR: object below what it covers",
    "IIR": "IIR: unmoved by the patch",
}
_ROBUST = {"Moved": ("D", "objects moved"), "Smaller": ("s", "objects smaller")}
_FEW = 30  # images; bars of fewer are pale
_RED, _YELLOW = "#c0392b", "#e0a800"
_COLUMNS = {"method", "kind", "metric", "value", "low", "high", "deviation", "baseline"}


def plot_bam(result: Result) -> Figure:
    """MCS, IDR and IIR beside each other, methods in the order of MCS: figures 4, 8 and 10.

    Bars of fewer than 30 images are pale. Ink lines are 95 % intervals over images, grey numbers the standard
    deviation over 10 trials of 100.

    Args:
        result: Of `Evaluator.bam`.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If the table lacks a column, or has none of the three metrics.
    """
    missing = _COLUMNS - set(result.table.columns)
    if missing:
        raise AttribevalError(f"Expected a table of bam. Received one without the columns {sorted(missing)}.")
    table = result.table
    metrics = [metric for metric in _TITLES if (table["metric"] == metric).any()]
    if not metrics:
        raise AttribevalError("Expected a table with MCS, IDR or IIR. Received none of them.")
    methods = list(dict.fromkeys(table["method"]))
    figure = new_figure(12.6, max(2.6, 0.27 * len(methods) + 1.5))
    axes = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        _bars(ax, table, metric, methods)
    axes[0].set_yticks(range(len(methods)), [cut(name, 44) for name in methods])
    axes[0].set_ylim(len(methods) - 0.4, -0.6)
    for label in axes[0].get_yticklabels():
        label.set_parse_math(False)
    kinds = [kind for kind in _KINDS if (table["kind"] == kind).any()]
    handles: list[Any] = [
        Patch(facecolor=_BARS[kind][0], hatch=_BARS[kind][1], edgecolor="#5a6270", label=_KINDS[kind]) for kind in kinds
    ]
    if ((table["images"] < _FEW) & (table["kind"] == "method")).any():
        handles.append(Patch(facecolor=_BARS["method"][0], alpha=0.4, label=f"method, fewer than {_FEW} images"))
    for row, (marker, label) in _ROBUST.items():
        if (table["metric"] == f"MCS{row}").any():
            handles.append(Line2D([], [], color=_RED, marker=marker, ms=4.5, ls="none", label=f"robustness: {label}"))
    handles.append(
        Line2D([], [], color=_YELLOW, marker="|", ms=10, mew=2.5, ls="none", label="baseline: random region")
    )
    figure.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)), frameon=False, fontsize=8)
    return figure


def _bars(ax: Axes, table: pd.DataFrame, metric: str, methods: list[str]) -> None:
    rows = {row["method"]: row for row in table[table["metric"] == metric].to_dict("records")}
    shown = ("value", "low", "high", "baseline")
    ends = np.array([[row[name] for name in shown] for row in rows.values()], np.float64)
    left, right = min(np.nanmin(ends), 0.0), max(np.nanmax(ends), 0.0)
    concepts = set(table["method"][table["kind"] == "concept"])
    for place, method in enumerate(methods):
        row, concept = rows.get(method), method in concepts
        if row is None or row["value"] != row["value"]:
            ax.text(0, place, " not applicable" if concept else " not measured", va="center", fontsize=7, color=MUTED)
            continue
        colour, hatch = _BARS[row["kind"]]
        pale = 0.4 if row["images"] < _FEW else 1.0
        edge = "#5a6270" if hatch else colour
        ax.barh(place, row["value"], height=0.68, color=colour, hatch=hatch, edgecolor=edge, alpha=pale)
        if row["low"] == row["low"]:
            ax.hlines(place, row["low"], row["high"], color=INK, lw=1.3, zorder=4)
        if row["baseline"] == row["baseline"]:
            ax.vlines(row["baseline"], place - 0.34, place + 0.34, color=_YELLOW, lw=2.6, zorder=5)
        for name, (marker, _) in _ROBUST.items():
            again = table[(table["metric"] == metric + name) & (table["method"] == method)]["value"]
            if len(again):
                ax.plot(again.iloc[0], place, marker=marker, ms=4, color=_RED, mec="white", mew=0.6, zorder=6)
        if row["deviation"] == row["deviation"]:
            text = f"± {value_text(metric, row['deviation'])}"
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


def plot_accuracies(result: Result) -> Figure:
    """Figure 2: accuracy of f_o, f_s and f_∅s with and without object and scene; of f_k with and without the feature.

    Args:
        result: What `Evaluator.bam` returned.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If the result holds no accuracies.
    """
    rows = result.settings.get("accuracy")
    if not rows:
        raise AttribevalError("Expected a result with settings['accuracy']. Received one without.")
    fixed = [row for row in rows if not row["model"].startswith("f_k")]
    figure = new_figure(11.0, 3.6)
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    for place, row in enumerate(fixed):
        left.barh(place, row["accuracy"], height=0.68, color=_BARS["method"][0])
        left.hlines(place, row["low"], row["high"], color=INK, lw=1.3)
        left.text(row["high"] + 0.015, place, share(row["accuracy"]), va="center", fontsize=8)
    chance = 1 / len(result.settings["objects"])
    left.axvline(chance, color=MUTED, ls=(0, (4, 2)), lw=0.9)
    left.text(chance + 0.01, -0.55, "chance", fontsize=7.5, color=MUTED)
    left.set_yticks(range(len(fixed)), [f"{row['model']} on {row['tested_on']}" for row in fixed])
    left.set_ylim(len(fixed) - 0.4, -0.8)
    left.set_xlim(0, 1.15)
    decorate(left, "What each model needs", "x")
    k = result.arrays["series/k"]
    for name, (colour, dash), marker in (("with", LINES[0], "o"), ("without", LINES[1], "s")):
        right.plot(k, result.arrays[f"series/{name}"], color=colour, ls=dash, marker=marker, ms=4,
                   label=f"{name} {result.settings['feature']}")  # fmt: skip
    right.set_xlabel("commonality k of the feature", fontsize=8.5, color=INK)
    right.legend(frameon=False, fontsize=8)
    right.set_ylim(-0.03, 1.03)
    decorate(right, f"f_k on {result.settings['series_on']}", "y")
    return figure


def plot_series(result: Result) -> Figure:
    """Figure 6: MCS between f_k and f_1 as k grows, beside the accuracy lost when the feature is removed; and Pearson's
    correlation of the two.

    The best and the worst methods by correlation are drawn as lines; all are in the bars.

    Args:
        result: What `Evaluator.bam` returned.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If no method has a series with a correlation.
    """
    rows = result.table[(result.table["metric"] == "MCSCorrelation") & result.table["value"].notna()]
    if rows.empty:
        raise AttribevalError("Expected correlations of MCS over k. Received none.")
    rows = rows.sort_values("value", ascending=False, kind="stable")
    names = list(rows["method"])
    shown = names if len(names) <= 6 else [*names[:3], *names[-3:]]
    figure = new_figure(11.6, max(3.8, 0.21 * len(names) + 1.4))
    left, right = figure.subplots(1, 2, width_ratios=[1.2, 1])
    k = result.arrays["series/k"]
    for name, (colour, dash) in zip(shown, LINES, strict=False):
        left.plot(
            k, result.arrays[f"series/{name}"], color=colour, ls=dash, marker="o", ms=3.5, label=shorten(name, 60)
        )
    decorate(left, "MCS between f_k and f_1", "y")
    left.yaxis.set_major_formatter(ScalarFormatter())
    left.set_xlabel("commonality k of the feature", fontsize=8.5, color=INK)
    left.axhline(0, color=MUTED, lw=0.8)
    other = left.twinx()
    other.plot(
        k, result.arrays["series/drop"], color="black", lw=2.2, ls=(0, (5, 2)), label="accuracy lost (right axis)"
    )
    other.yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    other.tick_params(labelsize=8.5, labelcolor=INK)
    handles = [*left.get_legend_handles_labels()[0], *other.get_legend_handles_labels()[0]]
    legend = other.legend(handles=handles, frameon=False, fontsize=7.5)
    for text in legend.get_texts():
        text.set_parse_math(False)
    for place, row in enumerate(rows.to_dict("records")):
        colour, hatch = _BARS[row["kind"]]
        right.barh(place, row["value"], height=0.68, color=colour, hatch=hatch, edgecolor="#5a6270", lw=0.4)
    right.set_yticks(range(len(names)), [cut(name, 44) for name in names])
    right.set_ylim(len(names) - 0.4, -0.6)
    right.set_xlim(-1.05, 1.05)
    right.axvline(0, color=MUTED, lw=0.8)
    decorate(right, "Correlation with the accuracy lost (ρ)", "x")
    right.xaxis.set_major_formatter(ScalarFormatter())
    right.tick_params(axis="y", labelsize=7.5, length=0)
    for label in right.get_yticklabels():
        label.set_parse_math(False)
    return figure


def plot_examples(result: Result) -> Figure:
    """Figures 3 and 7: for example images, the maps of f_o and f_s, and of f_s without the object; white is the object.

    Args:
        result: What `Evaluator.bam` returned.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If the result holds no examples.
    """
    if "examples/images" not in result.arrays:
        raise AttribevalError("Expected a result with example panels. Received one without.")
    names = [str(name) for name in result.arrays["examples/methods"]]
    images, scenes, masks = (result.arrays[f"examples/{part}"] for part in ("images", "scenes", "masks"))
    columns = [("f_o", images, "f_o"), ("f_s", images, "f_s"), ("alone", scenes, "f_s, no object")]
    n = len(images)
    figure = new_figure(1.35 * (len(names) + 1), 1.42 * 3 * n + 0.4)
    axes = figure.subplots(3 * n, len(names) + 1, squeeze=False)
    for i in range(n):
        for j, (part, shown, title) in enumerate(columns):
            row = axes[3 * i + j]
            row[0].imshow(shown[i], extent=(0, masks.shape[2], masks.shape[1], 0))
            row[0].set_ylabel(title, fontsize=8.5, color=INK)
            photograph = shown[i] / 255.0
            for m, name in enumerate(names):
                draw_heat(row[m + 1], result.arrays[f"examples/{part}"][m, i], UNSIGNED, photograph)
                row[m + 1].contour(
                    np.arange(masks.shape[2]) + 0.5, np.arange(masks.shape[1]) + 0.5, masks[i].astype(float), [0.5],
                    colors=TRUTH, linewidths=0.7,
                )  # fmt: skip
                if i == 0 and j == 0:
                    row[m + 1].set_title(shorten(name, 34), fontsize=8, color=INK, parse_math=False)
    for ax in axes.flat:
        ax.set_xticks([])
        ax.set_yticks([])
    return figure


def plot_patches(result: Result) -> Figure:
    """What the patches do to the logits: before and after the optimisation, beside the logits' own norm.

    Args:
        result: What `Evaluator.bam` returned.

    Returns:
        matplotlib Figure.
    """
    change, before, scale = (result.arrays[f"patches/{name}"] for name in ("change", "before", "scale"))
    figure = new_figure(6.4, 3.2)
    ax = figure.subplots()
    low = max(min(change.min(), before.min()), 1e-3)
    bins = np.geomspace(low, max(scale.max(), before.max()) * 1.05, 40)
    for values, label, (colour, dash) in (
        (scale, "‖f(x)‖", LINES[4]),
        (before, "‖f(x+δ)−f(x)‖, the object as pasted", LINES[1]),
        (change, "‖f(x+δ)−f(x)‖, optimised", LINES[0]),
    ):
        ax.hist(np.maximum(values, low), bins.tolist(), histtype="step", color=colour, ls=dash, lw=1.8, label=label)
    ax.set_xscale("log")
    ax.legend(frameon=False, fontsize=8)
    decorate(ax, "Functionally insignificant patches", "y")
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("norm over all logits", fontsize=8.5, color=INK)
    ax.set_ylabel("images", fontsize=8.5, color=INK)
    return figure


def bam_pictures(result: Result) -> dict[str, Figure]:
    """All that is beside the bars, as far as the result holds it: name → figure.

    Args:
        result: What `Evaluator.bam` returned.

    Returns:
        Figures by title.
    """
    found = {}
    for name, draw in (
        ("Accuracies (figure 2 of the article)", plot_accuracies),
        ("Series over k", plot_series),
        ("Examples", plot_examples),
        ("Patches", plot_patches),
    ):
        try:
            found[name] = draw(result)
        except (AttribevalError, KeyError):  # a result without this part
            continue
    return found
