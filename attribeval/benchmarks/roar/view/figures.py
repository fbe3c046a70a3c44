"""The figures of the ROAR paper (Hooker et al. 2019), by their numbers, from a finished run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from attribeval.benchmarks.roar.view.curves import (
    accuracies,
    base_of,
    draw_panel,
    plot_roar,
    wrapper_of,
)
from attribeval.benchmarks.roar.view.images import figure_1, figure_7, of_mode
from attribeval.errors import AttribevalError
from attribeval.plots.lines import COLOURS, MARKERS, legend_beside
from attribeval.plots.style import INK, decorate, new_figure

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

_BASES, _SMOOTH = ("",), ("SG-", "smoothgrad()")
_SQUARED = ("SQ-", "squared()")
_ENSEMBLES = ("SG-SQ-", "smoothgrad_squared()", "VAR-", "vargrad()")


def figure_2(result: Result | None = None) -> Figure:
    """The toy data: accuracy without retraining (left) and with (right), by the true, a random and the worst ranking.

    It needs no images: it is computed anew, from the seed of the run.
    """
    from attribeval.benchmarks.roar.toy import toy

    table = toy(seed=0 if result is None else int(result.settings["seed"]))
    figure = new_figure(10.4, 3.4)
    axes = figure.subplots(1, 2, sharey=True)
    looks = {"true": ("the right ranking", COLOURS[0]), "random": ("random", ("#000000", (0, (5, 1.6)))),
             "inverse": ("the worst ranking", COLOURS[1])}  # fmt: skip
    for ax, retrained, title in ((axes[0], False, "not retrained"), (axes[1], True, "retrained (ROAR)")):
        for (ranking, (label, (colour, dashes))), marker in zip(looks.items(), MARKERS, strict=False):
            rows = table[(table["ranking"] == ranking) & (table["retrained"] == retrained)]
            ax.plot(rows["fraction"], rows["accuracy"], color=colour, ls=dashes, marker=marker, ms=3.5, label=label)
        decorate(ax, title, "y")
        ax.set_xlabel("share of the 16 features removed", fontsize=8.5, color=INK)
        ax.xaxis.set_major_formatter(axes[0].yaxis.get_major_formatter())
    axes[0].set_ylabel("test accuracy", fontsize=8.5, color=INK)
    legend_beside(axes[1], axes)
    return figure


def figure_3(result: Result) -> Figure:
    """The base estimators and random, without retraining (left) and with (right), most important values removed.

    Raises:
        AttribevalError: If no base estimator's accuracy without retraining is known.
    """
    table = of_mode(result, "remove")
    table = table[table["without_retraining"].notna()]
    names = _named(table, _BASES)
    if not names:
        raise AttribevalError(
            "Expected accuracies of base estimators without retraining. Received a result without any."
        )
    before = table.assign(value=table["without_retraining"], low=np.nan, high=np.nan)
    return _panels(result, [("not retrained", before, names), ("retrained (ROAR)", table, names)])


def figure_4(result: Result) -> Figure:
    """Removed: base estimators (left), SmoothGrad of them (middle), SmoothGrad-squared and VarGrad (right), and random.

    Raises:
        AttribevalError: If the run has methods of fewer than two of the three groups.
    """
    return _groups(result, "4", [("base estimators", _BASES), ("SmoothGrad", _SMOOTH),
                                 ("SmoothGrad-squared and VarGrad", _ENSEMBLES)])  # fmt: skip


def figure_6(result: Result) -> Figure:
    """Removed: base estimators (left) and their squares (right), and random.

    Raises:
        AttribevalError: If the run has no squared estimators, or no others.
    """
    return _groups(result, "6", [("base estimators", _BASES), ("squared", _SQUARED)])


def _groups(result: Result, number: str, groups: Sequence[tuple[str, tuple[str, ...]]]) -> Figure:
    table = of_mode(result, "remove")
    panels = [(title, table, names) for title, wrappers in groups if (names := _named(table, wrappers))]
    if len(panels) < 2:
        wanted = "; ".join(f"{title} ({', '.join(wrappers) or 'GRAD, IG, …'})" for title, wrappers in groups)
        raise AttribevalError(
            f"Expected a run of at least two of these for figure {number}: {wanted}. Received: "
            f"{', '.join(panels[0][2]) if panels else 'none of them'}: run more methods."
        )
    return _panels(result, panels)


def _named(table: pd.DataFrame, wrappers: Sequence[str]) -> list[str]:
    """Methods with one of these wrappers, GRAD before IG before GB where they are the paper's."""
    names = dict.fromkeys(table["method"][table["kind"] == "method"])
    found = [name for name in names if wrapper_of(name) in wrappers]
    order = ("GRAD", "IG", "GB")
    return sorted(
        found, key=lambda name: (order.index(base_of(name)) if base_of(name) in order else 9, wrapper_of(name))
    )


def _panels(result: Result, panels: Sequence[tuple[str, pd.DataFrame, list[str]]]) -> Figure:
    figure = new_figure(4.5 * len(panels) + 1.6, 3.6)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (title, table, names) in zip(axes, panels, strict=True):
        draw_panel(ax, accuracies(result), table, names, "remove", title)
        ax.legend(frameon=False, fontsize=7.5, labelcolor=INK, handlelength=3.0)
    axes[0].set_ylabel("test accuracy", fontsize=8.5, color=INK)
    return figure


FIGURES: dict[str, Callable[[Result], Figure]] = {
    "1": figure_1,
    "2": figure_2,
    "3": figure_3,
    "4": figure_4,
    "5": plot_roar,
    "6": figure_6,
    "7": figure_7,
    "8": figure_7,
}
