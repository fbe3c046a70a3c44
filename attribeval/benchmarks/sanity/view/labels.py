"""Similarity of a model's maps to those of a model of permuted labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from attribeval.benchmarks.sanity.view.curves import checked, title
from attribeval.errors import AttribevalError
from attribeval.plots.lines import COLOURS
from attribeval.plots.style import MUTED, decorate, name_rows, new_figure, shorten

if TYPE_CHECKING:
    from attribeval.results.result import Result


def plot_data_randomisation(result: Result) -> Figure:
    """Similarity of the maps of a model of true labels to those of a model of permuted labels: a panel per similarity.

    Raises:
        AttribevalError: If the table lacks a column, or has no number.
    """
    table = checked(result)
    table = table[table["value"].notna()]
    if table.empty:
        raise AttribevalError("Expected numbers of a similarity. Received a result without any.")
    metrics = list(dict.fromkeys(table["metric"]))
    methods = list(dict.fromkeys(table["method"]))
    figure = new_figure(2.7 * len(metrics) + 2.2, 0.3 * len(methods) + 1.1)
    axes = figure.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        for row in table[table["metric"] == metric].itertuples():
            place, control = methods.index(row.method), row.kind == "control"
            colour = "#7a828f" if control else COLOURS[0][0]
            ax.hlines(place, row.low, row.high, color=colour, lw=1.6)
            ax.plot(row.value, place, marker="o", ms=6, color=colour, mfc="white" if control else colour)
        ax.axvline(0, color=MUTED, lw=0.8)
        decorate(ax, title(metric), "x")
        ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
        ax.tick_params(axis="y", length=0)
    name_rows(axes[0], [shorten(name, 60).replace("\n", " ") for name in methods], 8.5)
    return figure
