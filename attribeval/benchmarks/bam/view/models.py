"""What the models of BAM need (figure 2), and what happens as a feature becomes more common (figure 6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, ScalarFormatter

from attribeval.benchmarks.bam.view.bars import BARS
from attribeval.errors import AttribevalError
from attribeval.plots.style import INK, LINES, MUTED, cut, decorate, name_rows, new_figure, plain, shorten
from attribeval.results.numbers import share

if TYPE_CHECKING:
    from attribeval.results.result import Result


def plot_accuracies(result: Result) -> Figure:
    """Figure 2: accuracy of f_o, f_s and f_∅s with and without object and scene; of f_k with and without the feature.

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
        if not row["images"]:  # it could not be trained
            left.text(0.01, place, "not measured", va="center", fontsize=7, color=MUTED)
            continue
        left.barh(place, row["accuracy"], height=0.68, color=BARS["method"][0])
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
    plain(legend.get_texts())
    for place, row in enumerate(rows.to_dict("records")):
        colour, hatch = BARS[row["kind"]]
        right.barh(place, row["value"], height=0.68, color=colour, hatch=hatch, edgecolor="#5a6270", lw=0.4)
    right.set_xlim(-1.05, 1.05)
    right.axvline(0, color=MUTED, lw=0.8)
    decorate(right, "Correlation with the accuracy lost (ρ)", "x")
    right.xaxis.set_major_formatter(ScalarFormatter())
    name_rows(right, [cut(name, 44) for name in names])
    return figure
