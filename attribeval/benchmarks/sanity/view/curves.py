"""Similarity against layers made random.

Lines are told apart by dashes and markers as well as by colour. Bands are 95 % intervals over images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from attribeval.errors import AttribevalError
from attribeval.metrics.sanity.similarity import SIMILARITIES
from attribeval.plots.style import INK, LINES, MUTED, decorate, new_figure, shorten

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

_COLUMNS = {"method", "kind", "mode", "step", "layer", "metric", "value", "low", "high", "images"}
_TITLES = {
    "cascading": "all layers from the output down to here are random",
    "independent": "this layer alone is random",
}
COLOURS = [line for line in LINES if line[0] != "#000000"]  # black is random's
_MARKERS = "osD^vPX"
_CONTROLS = {
    "random": ("#000000", (0, (5, 1.6)), "random (drawn anew)"),
    "sobel": ("#7a828f", (0, (1.2, 1.3)), "Sobel"),
}
_LARGEST_PANEL = 6  # methods in one panel, beside the controls
_TICKS = 14  # names of layers below one panel


def plot_sanity(result: Result, metric: str | None = None) -> Figure:
    """Similarity to the trained model's maps against layers made random: figures 4 and 5 of the paper.

    A column per mode, and a row per six methods; random and Sobel are in every panel. Layers are evenly spaced, however
    many are random between them. A hollow marker stands for less than half of the images (the others' maps are
    constant), a gap for none.

    Args:
        result: Of `Evaluator.sanity`.
        metric: A similarity; None: the first.

    Returns:
        matplotlib Figure.

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
    lines = max(1, -(-len(methods) // _LARGEST_PANEL))
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
        _legend(line[-1])
    return figure


def _curves(ax: Axes, table: pd.DataFrame, methods: list[str], mode: str) -> None:
    """Lines with bands; the controls beneath. A cascade begins at the trained model, where all are 1."""
    styles: list[tuple[Any, ...]] = [(name, *_CONTROLS[name], 1.7, "") for name in _CONTROLS]
    styles += [
        (name, *COLOURS[k % len(COLOURS)], name, 1.5, _MARKERS[k % len(_MARKERS)]) for k, name in enumerate(methods)
    ]
    for name, colour, dashes, label, width, marker in styles:
        rows = table[table["method"] == name].sort_values("step")
        if rows.empty:
            continue
        y, low, high, images = (
            rows[column].to_numpy(dtype=np.float64) for column in ("value", "low", "high", "images")
        )
        x = np.arange(1.0, len(y) + 1)
        if mode == "cascading":
            x, images = np.insert(x, 0, 0.0), np.insert(images, 0, images.max())
            y, low, high = (np.insert(part, 0, 1.0) for part in (y, low, high))
        ax.fill_between(x, low, high, color=colour, alpha=0.14, lw=0, zorder=2)
        ax.plot(x, y, color=colour, ls=dashes, lw=width, marker=marker, ms=4, mec="white", mew=0.5, zorder=3,
                label=label)  # fmt: skip
        few = 2 * images < table["images"].max()
        if marker and few.any():
            ax.plot(x[few], y[few], color=colour, ls="", marker=marker, ms=4.5, mfc="white", mew=1.1, zorder=4)
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
    for label in ax.get_xticklabels():
        label.set_parse_math(False)
    ax.set_xlabel("from the output to the input", fontsize=8.5, color=INK)


def title(metric: str) -> str:
    return SIMILARITIES[metric].title if metric in SIMILARITIES else metric


def _short(path: str) -> str:
    name = path.rsplit("/", 1)[-1]
    return name if len(name) <= 18 else name[:8] + "…" + name[-9:]


def _legend(ax: Axes) -> None:
    handles, labels = ax.get_legend_handles_labels()
    legend = ax.legend(
        handles, [shorten(label, 44) for label in labels], loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False,
        fontsize=8.5, labelcolor=INK, handlelength=3.2,
    )  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)


def checked(result: Result) -> pd.DataFrame:
    missing = _COLUMNS - set(result.table.columns)
    if missing:
        raise AttribevalError(f"Expected a sanity table. Received one without the columns {sorted(missing)}.")
    if result.table.empty:
        raise AttribevalError("Expected a sanity table with rows. Received none.")
    return result.table
