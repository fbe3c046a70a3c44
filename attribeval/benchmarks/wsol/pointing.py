"""The pointing game (Zhang et al. 2018, "Top-down neural attention by excitation backprop", section 4.2)."""

from __future__ import annotations

import numpy as np

TOLERANCE = 15.0


def pointing_hit(heatmap: np.ndarray, region: np.ndarray, tolerance: float = TOLERANCE) -> float:
    """Whether the map's highest pixel lies on the object or at most `tolerance` pixels beside it.

    Args:
        heatmap: Real numbers (H, W).
        region: The object's pixels, bool (H, W), at least one.
        tolerance: In pixels of the map, distance between pixel centres; 15 in the literature, for photographs of some
            500 pixels: the same number is more lenient on a smaller map.

    Returns:
        1 or 0; where several pixels are highest, the share of them that hit (a constant map gets chance).
    """
    rows, columns = np.nonzero(heatmap == heatmap.max())
    if len(rows) == 1:
        y, x = np.nonzero(region)
        return float(((y - rows[0]) ** 2 + (x - columns[0]) ** 2).min() <= tolerance**2)
    from scipy.ndimage import distance_transform_edt

    return float((distance_transform_edt(~region)[rows, columns] <= tolerance).mean())


def mean_of_classes(hits: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean over classes of the share of hits in each, as the pointing game reports it.

    Args:
        hits: (N,) 0..1.
        labels: Class of each image, ints (N,).
        weights: How often each image counts, (R, N).

    Returns:
        float64 (R,): classes whose images all have weight 0 are left out.
    """
    order = np.argsort(labels, kind="stable")
    starts = np.flatnonzero(np.diff(labels[order], prepend=-1))
    weights = weights[:, order]
    drawn = np.add.reduceat(weights, starts, axis=1)
    right = np.add.reduceat(weights * hits[order], starts, axis=1)
    with np.errstate(invalid="ignore"):
        return np.nanmean(right / drawn, axis=1)
