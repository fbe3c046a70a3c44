"""How much of a map's strength lies on the object: scores that know intensities, not only places.

Heat maps are real numbers (H, W); negative values count as 0. No threshold, so nothing is chosen.
"""

from __future__ import annotations

import numpy as np


def energy_inside(heatmap: np.ndarray, region: np.ndarray) -> float:
    """The share of the map's sum that lies inside a region.

    With the boxes as region this is the energy-based pointing game (Wang et al. 2020, Score-CAM, section 4.3), with a
    mask it is relevance mass accuracy (Arras et al. 2022, eq. 1). It favours maps that are 0 off the object, and large
    objects: compare it with the whole image's row, which is the region's share of the area.

    Args:
        heatmap: Real numbers (H, W).
        region: bool (H, W).

    Returns:
        0..1; for a map without any positive value, which points nowhere, the region's share of the area.
    """
    positive = np.maximum(heatmap, 0)
    total = positive.sum(dtype=np.float64)
    if total == 0:
        return float(region.mean())
    return float(positive[region].sum(dtype=np.float64) / total)


def relevance_rank(heatmap: np.ndarray, region: np.ndarray) -> float:
    """Of the K highest pixels the share inside the region, where K is the region's own size (Arras et al. 2022, eq. 2).

    Of pixels with the K-th value, as many as are needed are taken in the proportion in which they lie inside.

    Args:
        heatmap: Real numbers (H, W).
        region: bool (H, W), at least one pixel.

    Returns:
        0..1; for a constant map the region's share of the area.
    """
    size = int(region.sum())
    threshold = np.partition(heatmap, heatmap.size - size, axis=None)[heatmap.size - size]
    above, equal = heatmap > threshold, heatmap == threshold
    missing = size - int(above.sum())
    return float((above[region].sum() + missing * equal[region].sum() / equal.sum()) / size)
