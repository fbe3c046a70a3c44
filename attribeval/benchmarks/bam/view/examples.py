"""Maps of example images, and what the patches do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from attribeval.errors import AttribevalError
from attribeval.plots.panels import draw_heat
from attribeval.plots.style import INK, LINES, TRUTH, UNSIGNED, decorate, new_figure, shorten

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from attribeval.results.result import Result


def plot_examples(result: Result) -> Figure:
    """Figures 3 and 7: for example images, the maps of f_o and f_s, and of f_s without the object; white is the object.

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
            photograph(row[0], shown[i])
            row[0].set_ylabel(title, fontsize=8.5, color=INK)
            for m, name in enumerate(names):
                draw_map(row[m + 1], result.arrays[f"examples/{part}"][m, i], shown[i], masks[i])
                if i == 0 and j == 0:
                    row[m + 1].set_title(shorten(name, 34), fontsize=8, color=INK, parse_math=False)
    return figure


def photograph(ax: Axes, image: np.ndarray) -> None:
    ax.imshow(image, extent=(0, image.shape[1], image.shape[0], 0))
    ax.set_xticks([])
    ax.set_yticks([])


def draw_map(ax: Axes, heat: np.ndarray, image: np.ndarray, mask: np.ndarray) -> None:
    """A map over its photograph, the region's edge in white."""
    draw_heat(ax, np.nan_to_num(heat), UNSIGNED, image / 255.0)
    rows, columns = (np.arange(side) + 0.5 for side in mask.shape)
    ax.contour(columns, rows, mask.astype(float), [0.5], colors=TRUTH, linewidths=0.7)
    ax.set_xticks([])
    ax.set_yticks([])


def plot_patches(result: Result) -> Figure:
    """What the patches do to the logits: before and after the optimisation, beside the logits' own norm."""
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
