"""Figures 1, 7 and 8 of the ROAR paper (Hooker et al. 2019): one image as the models saw it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from attribeval.benchmarks.roar.example import modified
from attribeval.benchmarks.roar.ranks import MODES, Mode
from attribeval.benchmarks.roar.view.curves import accuracies
from attribeval.errors import AttribevalError
from attribeval.plots.style import INK, new_figure, shorten
from attribeval.results.numbers import share

if TYPE_CHECKING:
    import pandas as pd

    from attribeval.results.result import Result

_SHOWN_IN_1 = ("GRAD", "IG", "GB", "SG-IG", "SG-SQ-IG", "VAR-IG")
_CONTROLS = ("random", "sobel")
_PANEL = 1.15  # inches


def figure_1(result: Result) -> Figure:
    """One image with the most important fractions removed: a row per fraction, a column per estimator; above each, the
    mean accuracy of the models retrained on such images.

    The paper's six estimators and two controls, as far as the run has them; else its first six methods.

    Raises:
        AttribevalError: If the result holds no example image, or nothing was removed.
    """
    names = _of_example(result)
    chosen = [name for name in _SHOWN_IN_1 if name in names]
    chosen = chosen or [name for name in names if name not in _CONTROLS][: len(_SHOWN_IN_1)]
    chosen += [name for name in _CONTROLS if name in names]
    table = of_mode(result, "remove")
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

    Raises:
        AttribevalError: If the result holds no example image.
    """
    names = _of_example(result)
    tables = {mode: of_mode(result, mode) for mode in result.settings["modes"]}
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


def of_mode(result: Result, mode: str) -> pd.DataFrame:
    accuracy = accuracies(result)
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
