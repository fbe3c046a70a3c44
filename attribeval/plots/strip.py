"""Maps of one method side by side, without frame or legend: what fits into a line of a page."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from attribeval.attributions import Attributions, Reduce
from attribeval.common.options import check_count
from attribeval.datasets.source import Photographs
from attribeval.plots.heat import drawn_heat, flat_name
from attribeval.plots.overlays import check_maps, read_photographs
from attribeval.plots.panels import draw_heat, panel_size, write_below
from attribeval.plots.style import class_name, cut, new_figure


def strip(
    images: np.ndarray | Photographs | None,
    maps: Attributions,
    *,
    reduce: Reduce | None = None,
    clip: float | None = 99,
    max_images: int = 8,
) -> Figure:
    """Draw the maps of one method in a row, the class explained below each; scales as in `overlays`.

    Args:
        images: As in `overlays`; None draws the maps alone.
        maps: The maps, of N images.
        reduce: How channels become one, see `Attributions.heatmap`. None: Σv, which keeps the sign.
        clip: Percentile of each map's absolute values drawn as full strength, in (0, 100]; None: its largest value.
        max_images: At most so many are drawn, the first ones.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If there is nothing to draw, sizes disagree, or a value is not finite (naming it).
    """
    n, size = check_maps({maps.method: maps})
    check_count("max_images", max_images, 1)
    shown = min(n, max_images)
    photographs = read_photographs(images, n, size, shown)
    heats, scale = drawn_heat(maps[:shown], reduce, clip)
    width, height = panel_size(size)
    figure = new_figure(len(heats) * (width + 0.08), height + 0.3)
    for i, ax in enumerate(figure.subplots(1, len(heats), squeeze=False)[0]):
        ax.set_axis_off()
        draw_heat(ax, heats[i], scale, None if photographs is None else photographs[i], flat_name(maps.values[i]))
        write_below(ax, cut(class_name(maps, i), 24))
    return figure
