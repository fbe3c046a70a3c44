"""Many methods on a few images: a row per method, a column per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from attribeval.attributions import Attributions, Reduce
from attribeval.plots import panels
from attribeval.plots.heat import drawn_heat, flat_name, scale_note
from attribeval.plots.overlays import check_boxes, check_maps
from attribeval.plots.style import INK, SIGNED, TRUTH, UNSIGNED, class_name


def gallery(
    images: np.ndarray,
    maps: Mapping[str, Attributions],
    *,
    boxes: Sequence[np.ndarray] | None = None,
    reduce: Reduce | None = None,
    clip: float | None = 99,
) -> Figure:
    """Draw maps of many methods: the photographs on top, then a row per method.

    Args:
        images: As for `overlays`; every image is a column, so a handful.
        maps: The maps by the name to write beside them, each of the same images.
        boxes, reduce, clip: As for `overlays`.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: As `overlays`.
    """
    n, size = check_maps(maps)
    photographs = panels.to_photographs(images, n, size)
    boxes = None if boxes is None else check_boxes(boxes, n)
    width, height = panels.panel_size(size)
    high = (len(maps) + 1) * (height + 0.05) + 1.1
    figure, axes, legend = panels.blank((n + 1) * (width + 0.05), high, len(maps) + 1, n + 1)
    first = next(iter(maps.values()))
    for i in range(n):
        panels.draw_photograph(axes[0, i + 1], photographs[i])
        panels.draw_boxes(axes[0, i + 1], None if boxes is None else boxes[i], TRUTH)
        panels.write_title(axes[0, i + 1], class_name(first, i))
    heats, used = [], set()
    for row, (name, attributions) in zip(axes[1:], maps.items(), strict=True):
        heat, scale = drawn_heat(attributions, reduce, clip)
        heats.append(heat)
        used.add(scale.low)
        text = name.replace("(", "(\n", 1).replace("_", "_\n", 1) if len(name) > 16 else name
        row[0].text(
            0.98, 0.5, text, transform=row[0].transAxes, ha="right", va="center", fontsize=10, color=INK,
            parse_math=False,
        )  # fmt: skip
        for i in range(n):
            panels.draw_heat(row[i + 1], heat[i], scale, photographs[i], flat_name(attributions.values[i]))
            panels.draw_boxes(row[i + 1], None if boxes is None else boxes[i], TRUTH)
    scales = [scale for scale in (UNSIGNED, SIGNED) if scale.low in used]
    panels.draw_legend(legend, figure.get_figwidth(), scales, True, scale_note(scales, clip, heats), boxes is not None)
    return figure
