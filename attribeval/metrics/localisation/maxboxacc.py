"""MaxBoxAcc: how well a heatmap localises the object, at the best threshold (Choe et al. 2020, section 4.1).

Each map is scaled to 0..1 by its own minimum and maximum and thresholded; the box of the largest connected component is
the prediction, right if it overlaps a ground-truth box well enough. The accuracy over all images is taken at the one
threshold that suits all of them best.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import check_ground_truth, check_iou_threshold, iou
from attribeval.metrics.localisation.component_tree import largest_components

_OUTSIDE = 1e-3  # pixels that a box may stick out of its map by rounding


def quantise(heatmap: np.ndarray) -> np.ndarray:
    """The 8-bit levels of one map (H, W) of any range: ⌊255 · (map − min) / (max − min)⌋.

    The maximum has level 255, the minimum 0; a constant map is 0 everywhere. A map of integers that spans exactly
    0..255 is returned as it is.

    Raises:
        AttribevalError: If a value is NaN or infinite, or max − min is beyond float64.
    """
    heatmap = np.asarray(heatmap, dtype=np.float64)
    low = heatmap.min()
    with np.errstate(invalid="ignore", over="ignore"):
        span = heatmap.max() - low
        fits = np.isfinite(span * 255)
    if not fits:
        raise AttribevalError(
            "Expected a map of finite numbers. Received NaN, infinity or a range too large for float64."
        )
    if span == 0:
        return np.zeros(heatmap.shape, np.uint8)
    # Multiplied before it is divided: integers are rounded once only, so their floor is exact.
    return ((heatmap - low) * 255 / span).astype(np.uint8)


def hits(
    heatmaps: np.ndarray, boxes: Sequence[np.ndarray], iou_threshold: float = 0.5, n_jobs: int | None = None
) -> np.ndarray:
    """Whether the map of each image localises its object, at each of 256 thresholds.

    Every map is quantised to levels 0..255 (`quantise`). At threshold t the prediction is the box of the largest
    8-connected component of {level > t} (equal areas: the first in raster order), and it is a hit if its IoU with *any*
    ground-truth box of the image is at least `iou_threshold`. Where no pixel is above t there is no box and no hit: at
    t = 255 always, and for a constant map, which points nowhere, at every t.

    Args:
        heatmaps: Real numbers (N, H, W), large where the object is supposed to be; any range, each map is scaled by
            itself. A memory-mapped array is read one map at a time.
        boxes: For each image an array (k, 4), k >= 1, of ground-truth boxes x0, y0, x1, y1: edges, half-open, in pixels
            of the heatmap (`samples.boxes_at((H, W))`).
        iou_threshold: In (0, 1]; .5 in MaxBoxAcc.
        n_jobs: Threads; None for one per CPU. Does not change the result.

    Returns:
        bool (N, 256), column t for threshold t.

    Raises:
        AttribevalError: If shapes or lengths disagree, a map has NaN or infinite values, or an image has no box, or a
            box that is empty, inverted or outside the map (naming the item).
    """
    heatmaps = np.asarray(heatmaps)
    if heatmaps.ndim != 3 or 0 in heatmaps.shape[1:]:
        raise AttribevalError(
            f"Expected heatmaps of shape (N, H, W). Received: {heatmaps.shape}. Reduce the channels first."
        )
    if heatmaps.dtype.kind not in "fiub":
        raise AttribevalError(f"Expected heatmaps of real numbers. Received dtype: {heatmaps.dtype}.")
    if len(boxes) != len(heatmaps):
        raise AttribevalError(f"Expected boxes for each of {len(heatmaps)} heatmaps. Received: {len(boxes)}.")
    if n_jobs is not None and n_jobs < 1:
        raise AttribevalError(f"Expected n_jobs >= 1, or None for one per CPU. Received: {n_jobs}.")
    check_iou_threshold(iou_threshold)
    boxes = check_ground_truth(boxes)
    check_inside(boxes, heatmaps.shape[1:])

    def score(item: int) -> np.ndarray:
        try:
            levels = quantise(heatmaps[item])
        except AttribevalError as error:
            raise AttribevalError(f"Heatmap of item {item}: {error}") from None
        return iou(largest_components(levels)[0], boxes[item]).max(axis=1) >= iou_threshold

    with ThreadPoolExecutor(n_jobs or os.cpu_count()) as pool:
        rows = list(pool.map(score, range(len(heatmaps))))  # in order, so the error raised is the first bad item's
    return np.array(rows, bool).reshape(-1, 256)


def predicted_boxes(heatmaps: Sequence[np.ndarray], threshold: int) -> np.ndarray:
    """The boxes that are drawn round maps at one threshold, for pictures.

    Args:
        heatmaps: N maps (H, W).
        threshold: Level 0..255, such as a table of WSOL names.

    Returns:
        int32 (N, 4): edges in pixels, half-open; 0, 0, 0, 0 where nothing is above the threshold.

    Raises:
        AttribevalError: If the threshold is no level, or a map is not finite.
    """
    if not 0 <= threshold <= 255 or threshold != int(threshold):
        raise AttribevalError(f"Expected a threshold from 0 to 255. Received: {threshold!r}.")
    return np.array([largest_components(quantise(h))[0][int(threshold)] for h in heatmaps]).reshape(-1, 4)


def check_inside(boxes: list[np.ndarray], size: tuple[int, int]) -> None:
    """Boxes of another image size would score silently as misses."""
    height, width = size
    for item, of_image in enumerate(boxes):
        outside = (of_image[:, :2] < -_OUTSIDE).any(1) | (of_image[:, 2:] > np.array([width, height]) + _OUTSIDE).any(1)
        if outside.any():
            raise AttribevalError(
                f"Expected boxes inside the heatmap of {height}×{width} (height × width). Received "
                f"{of_image[outside][0].tolist()} for item {item}: scale the boxes to the heatmap's pixels."
            )
