"""How the reference code of Choe et al. 2020 (`wsolevaluation`) prepares a map and its boxes: protocol="reference".

The differences to our own protocol, all of them:

* maps are resized to 224 × 224 by bicubic interpolation (a = −¾, no anti-aliasing), then scaled to 0..1; a constant map
  and a map with NaN become 0;
* levels are ⌊255 · value⌋ in the map's own precision;
* V1 takes the contour of the largest polygon area, not the component of most pixels; V2 tries holes too;
* masks are resized from their own size to 224, each pixel the one at ⌊its place⌋;
* true boxes are scaled to 224 and cut to whole numbers, and count their last pixels in;
* drawn boxes end one pixel farther to the right and the bottom, unless at the border;
* where nothing is above the threshold, the box is the first pixel;
* PxAP has 1000 thresholds.
"""

from __future__ import annotations

import numpy as np

from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError

REFERENCE_SIZE = 224


def reference_map(heatmap: np.ndarray) -> np.ndarray:
    """A map as the reference code scores it.

    Args:
        heatmap: Real numbers (H, W); NaN makes the whole map 0.

    Returns:
        float32 or float64 (224, 224) in 0..1.

    Raises:
        AttribevalError: If a value is infinite.
    """
    heatmap = np.asarray(heatmap)
    heatmap = heatmap.astype(np.float32) if heatmap.dtype.kind != "f" else heatmap
    if np.isinf(heatmap).any():
        raise AttribevalError("Expected a map of finite numbers (or NaN, which scores as nothing). Received infinity.")
    size = (REFERENCE_SIZE, REFERENCE_SIZE)
    # Before resizing, whose rounding would make a pattern of a constant, and after, as very small ranges vanish there.
    if np.isnan(heatmap).any() or heatmap.min() == heatmap.max():
        return np.zeros(size, heatmap.dtype)
    heatmap = heatmap if heatmap.shape == size else bicubic(heatmap, size)
    if heatmap.min() == heatmap.max():
        return np.zeros_like(heatmap)
    heatmap = heatmap - heatmap.min()
    return heatmap / heatmap.max()


def reference_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """True boxes as the reference code scores them: scaled to 224, cut to whole numbers, last pixels counted in.

    Args:
        boxes: (k, 4) edges in pixels of an image of `size`.
        size: (height, width).

    Returns:
        float64 (k, 4): edges, half-open, so x1 and y1 are one more than the code's.
    """
    height, width = size
    scaled = np.asarray(boxes, np.float64) * (REFERENCE_SIZE / np.array([width, height, width, height]))
    # A whole number must not fall below itself by rounding.
    return np.floor(np.maximum(scaled, 0) + 1e-6) + np.array([0, 0, 1, 1])


def reference_mask(mask: np.ndarray) -> np.ndarray:
    """A mask at 224 × 224, each pixel the one at ⌊its place⌋, as OpenCV's INTER_NEAREST takes it.

    It multiplies by the inverse of the inverse in float64: a place that is a whole number may fall below itself.
    """
    rows, columns = (
        np.minimum((np.arange(REFERENCE_SIZE) * (1 / (REFERENCE_SIZE / side))).astype(int), side - 1)
        for side in mask.shape
    )
    return mask[rows[:, None], columns]


def drawn_mask(samples: Samples, item: int) -> np.ndarray:
    """The mask of one image as the reference code scores it, (224, 224).

    It resizes the file, which is as large as it is; a mask that does not know its own size is drawn at 224.
    """
    native = samples.native_mask(item)
    return samples.mask_at(item, (REFERENCE_SIZE, REFERENCE_SIZE)) if native is None else reference_mask(native)


def bicubic(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize by Keys' cubic convolution (1981) with a = −¾, as OpenCV's INTER_CUBIC: no anti-aliasing, edges repeated.

    Args:
        array: Floats (H, W).
        size: (height, width).

    Returns:
        (height, width), the same dtype.
    """
    rows, columns = (_cubic_weights(old, new) for old, new in zip(array.shape, size, strict=True))
    return (rows @ array.astype(np.float64) @ columns.T).astype(array.dtype)


def _cubic_weights(old: int, new: int) -> np.ndarray:
    """(new, old): how much of each old sample is in each new one."""
    place = (np.arange(new) + 0.5) * old / new - 0.5
    first = np.floor(place).astype(int)
    weights = np.zeros((new, old))
    a = -0.75
    for step in (-1, 0, 1, 2):
        t = np.abs(place - (first + step))
        weight = np.where(t <= 1, ((a + 2) * t - (a + 3)) * t * t + 1, ((a * t - 5 * a) * t + 8 * a) * t - 4 * a)
        np.add.at(weights, (np.arange(new), np.clip(first + step, 0, old - 1)), weight)
    return weights
