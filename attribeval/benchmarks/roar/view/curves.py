"""Accuracy against the fraction, and what retraining changes. Bands are the intervals over repeats."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from attribeval.errors import AttribevalError
from attribeval.plots.lines import LARGEST_PANEL, draw_line, legend_beside, looks
from attribeval.plots.results import table_with
from attribeval.plots.style import INK, decorate, new_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from attribeval.results.result import Result

MODES = {"keep": "kept: higher is better", "remove": "removed: lower is better"}
_AXES = {"keep": "most important values kept", "remove": "most important values removed"}
_COLUMNS = {"method", "kind", "mode", "metric", "fraction", "value", "low", "high", "verdict", "without_retraining"}


def plot_roar(result: Result) -> Figure:
    """Accuracy after retraining against the fraction kept (left) and removed (right): the paper's figures 4 and 5.

    A row of panels per base method ("GRAD" with SG-GRAD, VAR-GRAD …) where there are many methods; random and Sobel are
    in every panel. Bands are the intervals over repeats, the dot is the unmodified model.

    Raises:
        AttribevalError: If the table lacks a column, or has no accuracy of a method or control.
    """
    accuracy = accuracies(result)
    modes = [mode for mode in MODES if (accuracy["mode"] == mode).any()]
    methods = list(dict.fromkeys(accuracy["method"][accuracy["kind"] == "method"]))
    panels = _panels(methods)
    figure = new_figure(5.2 * len(modes) + 2.0, 3.3 * len(panels) + 0.3)
    axes = figure.subplots(len(panels), len(modes), squeeze=False, sharey=True)
    for row, (title, names) in zip(axes, panels.items(), strict=True):
        for ax, mode in zip(row, modes, strict=True):
            of_mode = accuracy[accuracy["mode"] == mode]
            draw_panel(ax, accuracy, of_mode, names, mode, f"{title + ', ' if title else ''}{MODES[mode]}")
        row[0].set_ylabel("test accuracy, retrained", fontsize=8.5, color=INK)
        legend_beside(row[-1], row)
    return figure


def plot_without_retraining(result: Result) -> Figure:
    """The same images for a model that never saw their like (left) and for retrained ones (right): figure 3 of ROAR.

    The best, the middle and the worst methods by area, random and Sobel; all methods where they are few.

    Raises:
        AttribevalError: If no row of mode "remove" (or "keep", if that is all) has an accuracy without retraining.
    """
    accuracy = accuracies(result)
    known = accuracy[accuracy["without_retraining"].notna()]
    mode = "remove" if (known["mode"] == "remove").any() else "keep"
    known = known[known["mode"] == mode]
    if known.empty:
        raise AttribevalError("Expected accuracies without retraining. Received a result without any.")
    methods = list(dict.fromkeys(known["method"][known["kind"] == "method"]))
    if len(methods) > LARGEST_PANEL:
        places = np.linspace(0, len(methods) - 1, LARGEST_PANEL).round().astype(int)
        methods = [methods[place] for place in places]
    figure = new_figure(12.4, 3.7)
    axes = figure.subplots(1, 2, sharey=True)
    without = known.assign(value=known["without_retraining"], low=np.nan, high=np.nan)
    for ax, table, title in ((axes[0], without, "not retrained"), (axes[1], known, "retrained")):
        draw_panel(ax, accuracy, table, methods, mode, title)
    axes[0].set_ylabel("test accuracy", fontsize=8.5, color=INK)
    legend_beside(axes[1], axes)
    return figure


def draw_panel(
    ax: Axes, accuracy: pd.DataFrame, table: pd.DataFrame, methods: list[str], mode: str, title: str
) -> None:
    """Lines of a table with bands, the controls beneath; the star is the unmodified model, of all accuracies."""
    for name, look in looks(methods).items():
        rows = table[table["method"] == name].sort_values("fraction")
        if len(rows):
            x, y, *band = (rows[one].to_numpy(dtype=np.float64) for one in ("fraction", "value", "low", "high"))
            draw_line(ax, look, x, y, band)
    ax.set_xlim(-0.02, 1.02)
    ax.set_xticks(np.arange(0, 1.01, 0.2))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=" %"))
    unmodified = accuracy["value"][accuracy["kind"] == "unmodified"]
    if len(unmodified):
        place = 1.0 if mode == "keep" else 0.0
        ax.plot(
            place, unmodified.iloc[0], marker="*", ms=10, color=INK, ls="", label="unmodified", zorder=4, clip_on=False
        )
    decorate(ax, title, "y")
    ax.title.set_parse_math(False)
    ax.set_xlabel(f"share of {_AXES[mode]}", fontsize=8.5, color=INK)


def _panels(methods: list[str]) -> dict[str, list[str]]:
    """Title → methods: all in one panel if they are few, else by base method, in the order given."""
    if len(methods) <= LARGEST_PANEL:
        return {"": methods}
    families: dict[str, list[str]] = {}
    wrappers = list(dict.fromkeys(wrapper_of(name) for name in methods))
    for name in sorted(methods, key=lambda name: wrappers.index(wrapper_of(name))):  # alike lines for alike wrappers
        families.setdefault(base_of(name), []).append(name)
    panels: dict[str, list[str]] = {}
    alone = [names[0] for names in families.values() if len(names) == 1]
    for base, names in families.items():
        if len(names) > 1:
            panels |= _split(base, names)
    return panels | _split("other methods" if panels else "", alone)


def _split(title: str, names: list[str]) -> dict[str, list[str]]:
    parts = [names[start : start + LARGEST_PANEL] for start in range(0, len(names), LARGEST_PANEL)]
    return {title if len(parts) == 1 else f"{title} ({i} of {len(parts)})".strip(): p for i, p in enumerate(parts, 1)}


def base_of(name: str) -> str:
    """The method inside: "GRAD" of "SG-SQ-GRAD" and "max3(GRAD)", "gradcam" of "vargrad(gradcam)"."""
    inner = re.fullmatch(r"[^()]+\((.+)\)", name)
    while inner:
        name = inner[1]
        inner = re.fullmatch(r"[^()]+\((.+)\)", name)
    return re.sub(r"^((SG-SQ|SG|SQ|VAR)-)+", "", name, flags=re.IGNORECASE)


def wrapper_of(name: str) -> str:
    return name.replace(base_of(name), "")


def accuracies(result: Result) -> pd.DataFrame:
    table = checked(result)
    table = table[table["metric"] == "accuracy"]
    if not table["mode"].isin(MODES).any():
        raise AttribevalError("Expected accuracies of modes 'remove' or 'keep'. Received a result without any.")
    return table


def checked(result: Result) -> pd.DataFrame:
    return table_with(_COLUMNS, result)
