"""Who agrees with whom: benchmarks over methods, and maps of methods."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from attribeval.benchmarks.leaderboard.view.parts import bare, ordered, rectangle, short
from attribeval.plots.style import INK, MUTED, ON_DARK, ON_LIGHT, new_figure, plain
from attribeval.results.numbers import number

if TYPE_CHECKING:
    from attribeval.results.result import Result

# Dark orange to white to dark blue; the numbers in the cells carry the sign where colour is lost.
_SIGNED = LinearSegmentedColormap.from_list(
    "agreement", ["#8a3b00", "#d98a3d", "#f6dcc0", "#fefefe", "#c9dbf0", "#5b8fca", "#123a70"]
)


def plot_benchmark_agreement(result: Result) -> Figure:
    """Kendall's τ between the orders in which benchmarks put the methods, with its interval over images."""
    families = result.settings["families"]
    order = list(dict.fromkeys(families.values()))
    labels = result.settings["benchmarks"]
    places = sorted(range(len(labels)), key=lambda j: order.index(families[labels[j]]))
    note = "Kendall's τ over methods (controls left out); below, small: 95 % interval over images"
    return _matrix(result, "tau", [labels[j] for j in places], places, note)


def plot_map_agreement(result: Result) -> Figure:
    """Spearman's correlation between the heat maps of two methods, mean over images; methods by average rank."""
    methods = [row["method"] for row in ordered(result)]
    places = [result.settings["methods"].index(name) for name in methods]
    note = "rank correlation of the heat maps of the same image, mean over images"
    return _matrix(result, "maps", methods, places, note, intervals=False)


def _matrix(
    result: Result, name: str, labels: list[str], places: list[int], note: str, intervals: bool = True
) -> Figure:
    """A symmetric matrix of agreements, the lower half and no diagonal."""
    pick = np.ix_(places, places)
    values, low, high = (np.asarray(result.arrays[key])[pick] for key in (name, f"{name}_low", f"{name}_high"))
    n = len(labels)
    cell = 0.56 if intervals else 0.42
    names = max(len(short(label)) for label in labels) * 0.072 + 0.4
    figure = new_figure(names + cell * n + 0.9, names * 0.72 + cell * 0.75 * n + 0.7)
    ax = figure.subplots()
    for i in range(n):
        for j in range(i):
            value = values[i, j]
            known = np.isfinite(value)
            colour = _SIGNED((value + 1) / 2) if known else "#ffffff"
            ax.add_patch(rectangle(j - 0.48, i - 0.46, 0.96, 0.92, colour, hatch="" if known else "////"))
            ink = INK if not known else ON_DARK if abs(value) > 0.6 else ON_LIGHT
            shift = 0.16 if intervals and known else 0
            text = _signed(value) if known else "–"
            ax.text(j, i - shift, text, ha="center", va="center", fontsize=7.6, color=ink)
            if intervals and known and np.isfinite(low[i, j]):
                ends = f"{_signed(low[i, j])} {_signed(high[i, j])}"
                ax.text(j, i + 0.24, ends, ha="center", va="center", fontsize=4.9, color=ink)
    ax.set_xlim(-0.55, n - 1 - 0.45)
    ax.set_ylim(n - 0.45, 0.45)
    ax.set_xticks(range(n - 1), [short(label) for label in labels[:-1]], rotation=38, ha="right",
                  rotation_mode="anchor", fontsize=8, color=INK)  # fmt: skip
    ax.set_yticks(range(1, n), [short(label) for label in labels[1:]], fontsize=8, color=INK)
    plain([*ax.get_xticklabels(), *ax.get_yticklabels()])
    bare(ax)
    figure.supxlabel(note, fontsize=8, color=MUTED)
    return figure


def _signed(value: float) -> str:
    return number(float(value)) if abs(value) < 0.9995 else f"{value:.0f}".replace("-", "−")
