"""How maps localise objects: predicted boxes over true ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import check_ground_truth, iou
from attribeval.plots import panels
from attribeval.plots.heat import flat_name
from attribeval.plots.style import PER_LINE, PREDICTION, TRUTH, UNSIGNED


def box_overlays(
    images: np.ndarray,
    heatmaps: np.ndarray,
    predicted: Sequence[np.ndarray] | np.ndarray,
    ground_truth: Sequence[np.ndarray],
    captions: Sequence[str],
) -> Figure:
    """Draw how maps localise objects: photograph above, map below, the predicted box over the true ones in both.

    Args:
        images: As for `overlays`.
        heatmaps: Real numbers (N, H, W), large where the object is supposed to be; each is drawn from its own minimum
            to its own maximum, as the WSOL metrics read it.
        predicted: For each image one box (4,) x0, y0, x1, y1: edges in pixels of the map; of no area: none was found.
        ground_truth: For each image its true boxes (k, 4), k >= 1, in the same coordinates.
        captions: A text per image. The IoU (with the true box that fits best) is written below it.

    Returns:
        matplotlib Figure.

    Raises:
        AttribevalError: If lengths or sizes disagree, a value is not finite, or a box is inverted (naming the item).
    """
    heatmaps = np.asarray(heatmaps, dtype=np.float64)
    if heatmaps.ndim != 3 or heatmaps.size == 0:
        raise AttribevalError(f"Expected heatmaps of shape (N, H, W), N >= 1. Received: {heatmaps.shape}.")
    n = len(heatmaps)
    for what, values in [("predicted box", predicted), ("entry of ground_truth", ground_truth), ("caption", captions)]:
        if len(values) != n:
            raise AttribevalError(f"Expected one {what} per heatmap ({n}). Received: {len(values)}.")
    panels.check_finite(heatmaps, "heatmaps")
    photographs = panels.to_photographs(images, n, heatmaps.shape[1:])
    truth = check_ground_truth(ground_truth)
    found = [np.asarray(box, dtype=np.float64).reshape(-1, 4) for box in predicted]
    for i, box in enumerate(found):
        if len(box) != 1:
            raise AttribevalError(f"Expected one predicted box (4,) per image. Received {len(box)} for item {i}.")
    overlaps = [float(iou(box, true).max()) for box, true in zip(found, truth, strict=True)]

    columns = min(n, PER_LINE)
    blocks = -(-n // columns)
    width, height = panels.panel_size(heatmaps.shape[1:])
    high = blocks * (2 * height + 0.6) + 0.9
    figure, axes, legend = panels.blank(columns * (width + 0.08) + 0.1, high, 2 * blocks, columns)
    for i in range(n):
        block, column = divmod(i, columns)
        above, below = axes[2 * block, column], axes[2 * block + 1, column]
        panels.draw_photograph(above, photographs[i])
        low, span = heatmaps[i].min(), np.ptp(heatmaps[i])
        scaled = (heatmaps[i] - low) / span if span > 0 else np.zeros_like(heatmaps[i])
        panels.draw_heat(below, scaled, UNSIGNED, photographs[i], flat_name(heatmaps[i]))
        empty = bool((found[i][0, :2] >= found[i][0, 2:]).any())
        for ax in (above, below):
            panels.draw_boxes(ax, truth[i], TRUTH)
            if not empty:
                panels.draw_boxes(ax, found[i], PREDICTION)
        panels.write_below(below, f"{captions[i]}\n" + ("no box found" if empty else f"IoU {overlaps[i]:.2f}"))
    note = "Each map from its own minimum (0) to its maximum (1)."
    panels.draw_legend(legend, figure.get_figwidth(), [UNSIGNED], True, note, truth=True, prediction=True)
    return figure
