"""The figures of the ROAR paper (Hooker et al. 2019), by their numbers, from a finished run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from attribeval.benchmarks.roar.example import modified
from attribeval.benchmarks.roar.ranks import MODES, Mode
from attribeval.errors import AttribevalError
from attribeval.plots.roar import (
    _COLOURS,
    _MARKERS,
    _accuracies,
    _base,
    _curves,
    _legend,
    _unmodified,
    _wrapper,
    plot_roar,
)
from attribeval.plots.style import INK, decorate, new_figure, shorten
from attribeval.results.numbers import share

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

_BASES, _SMOOTH = ("",), ("SG-", "smoothgrad()")
_SQUARED = ("SQ-", "squared()")
_ENSEMBLES = ("SG-SQ-", "smoothgrad_squared()", "VAR-", "vargrad()")
_SHOWN_IN_1 = ("GRAD", "IG", "GB", "SG-IG", "SG-SQ-IG", "VAR-IG")
_CONTROLS = ("random", "sobel")
_PANEL = 1.15  # inches


def figure_1(result: Result) -> Figure:
    """One image with the most important fractions removed: a row per fraction, a column per estimator; above each, the
    mean accuracy of the models retrained on such images.

    The paper's six estimators and two controls, as far as the run has them; else its first six methods.

    Args:
        result: Of `Evaluator.roar`, with mode "remove".

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If the result holds no example image, or nothing was removed.
    """
    names = _of_example(result)
    chosen = [name for name in _SHOWN_IN_1 if name in names]
    chosen = chosen or [name for name in names if name not in _CONTROLS][: len(_SHOWN_IN_1)]
    chosen += [name for name in _CONTROLS if name in names]
    table = _of_mode(result, "remove")
    fractions = sorted(table["fraction"].unique())
    image = result.arrays["example/image"]
    wide = _PANEL * image.shape[1] / image.shape[0]
    figure = new_figure(wide * len(chosen) + 0.5, 1.42 * len(fractions) * _PANEL / 1.15 + 0.6)
    axes = figure.subplots(len(fractions), len(chosen), squeeze=False)
    for row, fraction in zip(axes, fractions, strict=True):
        for ax, name in zip(row, chosen, strict=True):
            _show(ax, result, table, name, fraction, "remove")
        row[0].set_ylabel(f"{100 * fraction:g} % removed", fontsize=8, color=INK)
    for ax, name in zip(axes[0], chosen, strict=True):
        ax.set_title(f"{shorten(name, 28)}\n{ax.get_title()}", fontsize=7.5, color=INK, parse_math=False)
    return figure


def figure_7(result: Result) -> Figure:
    """One image at every fraction, by every estimator, kept (left) and removed (right), with accuracies.

    The paper's figures 7 (Food-101) and 8 (ImageNet) are this one for two data sets.

    Args:
        result: Of `Evaluator.roar`.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If the result holds no example image.
    """
    names = _of_example(result)
    tables = {mode: _of_mode(result, mode) for mode in result.settings["modes"]}
    columns = [(mode, t) for mode in MODES[::-1] if mode in tables for t in sorted(tables[mode]["fraction"].unique())]
    names = [name for name in names if any((table["method"] == name).any() for table in tables.values())]
    image = result.arrays["example/image"]
    wide = _PANEL * image.shape[1] / image.shape[0]
    figure = new_figure(wide * (len(columns) + 1) + 1.0, 1.32 * _PANEL * len(names) + 0.5)
    axes = figure.subplots(len(names), len(columns) + 1, squeeze=False)
    for row, name in zip(axes, names, strict=True):
        _draw(row[0], image)
        row[0].set_ylabel(shorten(name, 26), fontsize=7.5, color=INK, parse_math=False)
        for ax, (mode, fraction) in zip(row[1:], columns, strict=True):
            _show(ax, result, tables[mode], name, fraction, mode)
    whole = result.table["value"][result.table["kind"] == "unmodified"]
    known = f"\n{share(float(whole.iloc[0]))}" if len(whole) else ""
    axes[0, 0].set_title(f"unmodified{known}", fontsize=7.5, color=INK)
    for ax, (mode, fraction) in zip(axes[0, 1:], columns, strict=True):
        what = "kept" if mode == "keep" else "removed"
        ax.set_title(f"{100 * fraction:g} % {what}\n{ax.get_title()}", fontsize=7.5, color=INK)
    return figure


def _of_example(result: Result) -> list[str]:
    if "example/image" not in result.arrays:
        raise AttribevalError(
            "Expected a result with an example image, as attribeval roar report makes it of a run directory. Received "
            "one without: report the run again."
        )
    return [str(name) for name in result.arrays["example/estimators"]]


def _of_mode(result: Result, mode: str) -> pd.DataFrame:
    accuracy = _accuracies(result)
    table = accuracy[accuracy["mode"] == mode]
    if table.empty:
        raise AttribevalError(f"Expected accuracies of mode {mode!r}. Received a result without any.")
    return table


def _show(ax, result: Result, table: pd.DataFrame, name: str, fraction: float, mode: Mode) -> None:
    """The modified image and its accuracy; nothing where it was not trained."""
    row = table[(table["method"] == name) & (table["fraction"] == fraction) & (table["kind"] != "leakage")]
    if row.empty:
        ax.set_axis_off()
        return
    _draw(ax, modified(result.arrays, result.settings, name, fraction, mode), result.arrays["example/image"])
    ax.set_title(share(float(row["value"].iloc[0])), fontsize=7.5, color=INK, pad=3)


def _draw(ax, image: np.ndarray, scale: np.ndarray | None = None) -> None:
    """In the scale of the unmodified image: bytes, or from its least value to its greatest."""
    scale = image if scale is None else scale
    pixels = image.astype(np.float64)
    if scale.dtype == np.uint8:
        pixels = pixels / 255
    else:
        low, high = float(scale.min()), float(scale.max())
        pixels = (pixels - low) / max(high - low, 1e-12)
    pixels = np.clip(pixels, 0, 1)
    ax.imshow(np.repeat(pixels, 3, axis=-1) if pixels.shape[-1] == 1 else pixels)
    ax.set_xticks([])
    ax.set_yticks([])


def figure_2(result: Result | None = None) -> Figure:
    """The toy data: accuracy without retraining (left) and with (right), by the true, a random and the worst ranking.

    It needs no images: it is computed anew, from the seed of the run.

    Args:
        result: Of `Evaluator.roar`, for its seed; None: seed 0.

    Returns:
        matplotlib Figure.
    """
    from attribeval.benchmarks.roar.toy import toy

    table = toy(seed=0 if result is None else int(result.settings["seed"]))
    figure = new_figure(10.4, 3.4)
    axes = figure.subplots(1, 2, sharey=True)
    looks = {"true": ("the right ranking", _COLOURS[0]), "random": ("random", ("#000000", (0, (5, 1.6)))),
             "inverse": ("the worst ranking", _COLOURS[1])}  # fmt: skip
    for ax, retrained, title in ((axes[0], False, "not retrained"), (axes[1], True, "retrained (ROAR)")):
        for (ranking, (label, (colour, dashes))), marker in zip(looks.items(), _MARKERS, strict=False):
            rows = table[(table["ranking"] == ranking) & (table["retrained"] == retrained)]
            ax.plot(rows["fraction"], rows["accuracy"], color=colour, ls=dashes, marker=marker, ms=3.5, label=label)
        decorate(ax, title, "y")
        ax.set_xlabel("share of the 16 features removed", fontsize=8.5, color=INK)
        ax.xaxis.set_major_formatter(axes[0].yaxis.get_major_formatter())
    axes[0].set_ylabel("test accuracy", fontsize=8.5, color=INK)
    _legend(axes[1], axes)
    return figure


def figure_3(result: Result) -> Figure:
    """The base estimators and random, without retraining (left) and with (right), most important values removed.

    Args:
        result: Of `Evaluator.roar`, with mode "remove".

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If no base estimator's accuracy without retraining is known.
    """
    table = _of_mode(result, "remove")
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

    Args:
        result: Of `Evaluator.roar`, with mode "remove".

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If the run has methods of fewer than two of the three groups.
    """
    return _groups(result, "4", [("base estimators", _BASES), ("SmoothGrad", _SMOOTH),
                                 ("SmoothGrad-squared and VarGrad", _ENSEMBLES)])  # fmt: skip


def figure_6(result: Result) -> Figure:
    """Removed: base estimators (left) and their squares (right), and random.

    Args:
        result: Of `Evaluator.roar`, with mode "remove".

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If the run has no squared estimators, or no others.
    """
    return _groups(result, "6", [("base estimators", _BASES), ("squared", _SQUARED)])


def _groups(result: Result, number: str, groups: Sequence[tuple[str, tuple[str, ...]]]) -> Figure:
    table = _of_mode(result, "remove")
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
    found = [name for name in names if _wrapper(name) in wrappers]
    order = ("GRAD", "IG", "GB")
    return sorted(found, key=lambda name: (order.index(_base(name)) if _base(name) in order else 9, _wrapper(name)))


def _panels(result: Result, panels: Sequence[tuple[str, pd.DataFrame, list[str]]]) -> Figure:
    figure = new_figure(4.5 * len(panels) + 1.6, 3.6)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (title, table, names) in zip(axes, panels, strict=True):
        _curves(ax, table, names)
        _unmodified(ax, _accuracies(result), "remove")
        decorate(ax, title, "y")
        ax.set_xlabel("share of most important values removed", fontsize=8.5, color=INK)
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
