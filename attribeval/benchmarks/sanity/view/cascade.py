"""The maps themselves along the cascade."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from attribeval.errors import AttribevalError
from attribeval.plots.panels import draw_heat, draw_photograph, to_photographs
from attribeval.plots.style import INK, MUTED, UNSIGNED, new_figure, shorten

if TYPE_CHECKING:
    from attribeval.results.result import Result


def plot_cascade(result: Result) -> Figure:
    """One image through the cascade: figure 2 of the paper. Each map is the sum of absolute values, scaled by itself,
    from its minimum to its 99th percentile.

    Raises:
        AttribevalError: If the result holds no such maps.
    """
    if "examples/maps" not in result.arrays:
        raise AttribevalError("Expected a result with maps along the cascade. Received one without.")
    maps = result.arrays["examples/maps"].astype(np.float64) / 255
    names, layers = ([str(one) for one in result.arrays[f"examples/{what}"]] for what in ("methods", "layers"))
    image = result.arrays["examples/image"][None]
    image = image if image.shape[-1] in (1, 3) else image.mean(-1, keepdims=True)  # no colours that a picture has
    photograph = to_photographs(image, 1, maps.shape[2:])[0]
    side = 1.28
    label = 1.45  # inches, for the names of methods
    figure = new_figure(side * len(layers) + label, side * len(names) + 1.1)
    axes = figure.subplots(
        len(names), len(layers) + 1, squeeze=False, width_ratios=[label / side, *[1.0] * len(layers)]
    )
    for m, name in enumerate(names):
        axes[m, 0].set_axis_off()
        text = shorten(name, 40)
        axes[m, 0].text(1.0, 0.5, text, transform=axes[m, 0].transAxes, ha="right", va="center", fontsize=8.5,
                        color=INK, parse_math=False)  # fmt: skip
        for k, layer in enumerate(layers):
            ax = axes[m, k + 1]
            ax.set_axis_off()
            draw_heat(ax, maps[m, k], UNSIGNED, None)
            if m == 0:
                title = "trained model" if k == 0 else layer.rsplit("/", 1)[-1]
                ax.set_title(shorten(title, 26), fontsize=8, color=INK, parse_math=False)
    inset = axes[0, 0].inset_axes((0.0, 1.02, 0.5, 0.5))
    inset.set_axis_off()
    draw_photograph(inset, photograph)
    figure.supxlabel(
        "Random from the output down to the layer named above; each map from its own minimum to its 99th percentile.",
        fontsize=8, color=MUTED,
    )  # fmt: skip
    return figure
