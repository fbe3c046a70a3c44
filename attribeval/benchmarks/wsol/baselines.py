"""What knows nothing of the model: any map worth looking at beats these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attribeval.benchmarks.wsol.measure import OF_BOXES, Protocol, hits_of_one_box, measure
from attribeval.metrics.localisation.boxes import centred_box, whole_image_box

# As maps (for scores of pixels) and as boxes (for scores of boxes); None: boxes come from the map as for a method.
BASELINES = ("whole image", "centred box", "centred Gaussian")


def baseline(name: str, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
    """The map and the box of a baseline.

    Args:
        name: One of `BASELINES`. "centred Gaussian" has a standard deviation of a quarter of each side.
        size: (height, width) of the map.

    Returns:
        heatmap, float32 (H, W): 1 in the box and 0 elsewhere, or the Gaussian.
        box, float64 (4,) edges in pixels, or None: boxes are drawn round the map, as for a method.
    """
    height, width = size
    y, x = (np.arange(side) + 0.5 - side / 2 for side in size)
    if name == "centred Gaussian":
        return np.exp(-0.5 * ((y[:, None] / (height / 4)) ** 2 + (x / (width / 4)) ** 2)).astype(np.float32), None
    box = whole_image_box(size) if name == "whole image" else centred_box(size)
    inside = (np.abs(y)[:, None] < (box[3] - box[1]) / 2) & (np.abs(x) < (box[2] - box[0]) / 2)
    return inside.astype(np.float32), box


def measure_baselines(
    sizes: Sequence[tuple[int, int]], boxes: Any, masks: Any, wanted: set[str], protocol: Protocol, **options: Any
) -> dict[str, dict[str, np.ndarray]]:
    """What `measure` says of every baseline, by its name; of one that is a box, as if it were drawn at every level."""
    measured = {}
    for name in BASELINES:
        heatmaps, drawn = zip(*(baseline(name, size) for size in sizes), strict=True)
        rest = wanted if drawn[0] is None else wanted - OF_BOXES
        measured[name] = measure(list(heatmaps), boxes, masks, rest, protocol=protocol, **options)
        if drawn[0] is not None:
            measured[name]["fixed_box"] = np.ones(len(sizes), bool)
            if boxes is not None and wanted & OF_BOXES:
                hits = [
                    hits_of_one_box(box, true, size, options["iou"], protocol)
                    for box, true, size in zip(drawn, boxes, sizes, strict=True)
                ]
                measured[name] |= {key: np.stack([one[key] for one in hits]) for key in wanted & OF_BOXES}
    return measured
