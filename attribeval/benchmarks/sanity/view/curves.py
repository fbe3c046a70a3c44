"""Similarity against layers made random. Bands are 95 % intervals over images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from attribeval.errors import AttribevalError
from attribeval.metrics.sanity.similarity import SIMILARITIES
from attribeval.plots.lines import LARGEST_PANEL, draw_line, legend_beside, looks
from attribeval.plots.results import table_with
from attribeval.plots.style import INK, MUTED, decorate, new_figure, plain

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

_COLUMNS = {"method", "kind", "mode", "step", "layer", "metric", "value", "low", "high", "images"}
_TITLES = {
    "cascading": "all layers from the output down to here are random",
    "independent": "this layer alone is random",
}
_TICKS = 14  # names of layers below one panel


def plot_sanity(result: Result, metric: str | None = None) -> Figure:
    """Similarity to the trained model's maps against layers made random: figures 4 and 5 of the paper.

    A column per mode, and a row per six methods; random and Sobel are in every panel. Layers are evenly spaced, however
    many are random between them. A hollow marker stands for less than half of the images (the others' maps are
    constant), a gap for none. No `metric`: the first.

    Raises:
        AttribevalError: If the table lacks a column, or has no number of this similarity.
    """
    table = checked(result)
    metric = metric or table["metric"].iloc[0]
    table = table[table["metric"] == metric]
    modes = [mode for mode in _TITLES if table["value"][table["mode"] == mode].notna().any()]
    if not modes:
        raise AttribevalError(f"Expected numbers of {metric!r} over layers. Received a result without any.")
    methods = list(dict.fromkeys(table["method"][(table["kind"] == "method") & table["value"].notna()]))
    lines = max(1, -(-len(methods) // LARGEST_PANEL))
    groups = [methods[k * len(methods) // lines : (k + 1) * len(methods) // lines] for k in range(lines)]
    figure = new_figure(5.4 * len(modes) + 2.4, 3.3 * len(groups) + 1.0)
    axes = figure.subplots(len(groups), len(modes), squeeze=False, sharey=True, sharex="col")
    for k, (line, names) in enumerate(zip(axes, groups, strict=True)):
        for ax, mode in zip(line, modes, strict=True):
            of_mode = table[table["mode"] == mode]
            _curves(ax, of_mode, names, mode)
            decorate(ax, _TITLES[mode] if k == 0 else "", "y")
            ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.1f}".replace("-", "−")))
            if k == lines - 1:
                _name_layers(ax, of_mode, mode)
        line[0].set_ylabel(title(metric), fontsize=9, color=INK)
        legend_beside(line[-1], line)
    return figure


def _curves(ax: Axes, table: pd.DataFrame, methods: list[str], mode: str) -> None:
    """Lines with bands; the controls beneath. A cascade begins at the trained model, where all are 1."""
    for name, look in looks(methods, random="random (drawn anew)").items():
        rows = table[table["method"] == name].sort_values("step")
        if rows.empty:
            continue
        y, low, high, images = (rows[one].to_numpy(dtype=np.float64) for one in ("value", "low", "high", "images"))
        x = np.arange(1.0, len(y) + 1)
        if mode == "cascading":
            x, images = np.insert(x, 0, 0.0), np.insert(images, 0, images.max())
            y, low, high = (np.insert(part, 0, 1.0) for part in (y, low, high))
        draw_line(ax, look, x, y, (low, high))
        few = 2 * images < table["images"].max()
        if look.marker and few.any():
            ax.plot(
                x[few], y[few], color=look.colour, ls="", marker=look.marker, ms=4.5, mfc="white", mew=1.1, zorder=4
            )
    ax.axhline(0, color=MUTED, lw=0.8, zorder=1)


def _name_layers(ax: Axes, table: pd.DataFrame, mode: str) -> None:
    """Names of layers below the axis: all, or evenly many."""
    names = table.drop_duplicates("step").sort_values("step")["layer"].tolist()
    places = np.arange(1, len(names) + 1)
    if len(places) > _TICKS:
        places = places[np.linspace(0, len(places) - 1, _TICKS).round().astype(int)]
    texts = [_short(names[place - 1]) for place in places]
    if mode == "cascading":
        places, texts = np.insert(places, 0, 0), ["trained", *texts]
    ax.set_xticks(places, texts, rotation=55, ha="right", rotation_mode="anchor", fontsize=7.5)
    plain(ax.get_xticklabels())
    ax.set_xlabel("from the output to the input", fontsize=8.5, color=INK)


def title(metric: str) -> str:
    return SIMILARITIES[metric].title if metric in SIMILARITIES else metric


def _short(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    return name if len(name) <= 18 else name[:8] + "…" + name[-9:]


def checked(result: Result) -> pd.DataFrame:
    return table_with(_COLUMNS, result)
