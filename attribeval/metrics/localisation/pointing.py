"""The pointing game (Zhang et al. 2018, "Top-down neural attention by excitation backprop", section 4.2)."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from attribeval.errors import AttribevalError

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


def hits_by_class(hits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What each image contributes to the mean over classes of the share of hits, as the pointing game reports it.

    The mean M plus N times its derivative by the image's weight: M + N (hit − share of its class) / (classes · images
    of its class). With as many images in every class that is the hit itself, but for how its class differs from M.
    Classes of one image stand together here, or nothing would differ in them: with one image in every class, as where
    labels number the images, it is the hit itself.

    Args:
        hits: (N,) 0..1; NaN: an image without a score, which stays so and does not count.
        labels: Class of each image, ints (N,).

    Returns:
        float64 (N,), whose mean, over the images with a score, is the mean over classes.
    """
    known = ~np.isnan(np.asarray(hits, np.float64))
    found = np.full(len(known), np.nan)
    if not known.any():
        return found
    mine = np.asarray(hits, np.float64)[known]
    _, of_image, images = np.unique(np.asarray(labels)[known], return_inverse=True, return_counts=True)
    shares = np.bincount(of_image, mine) / images
    mean, alone = shares.mean(), images == 1
    if alone.any():
        shares[alone] = shares[alone].mean()
    found[known] = mean + len(mine) / len(images) * (mine - shares[of_image]) / images[of_image]
    return found


def check_tolerance(tolerance: float) -> None:
    """Raise `AttribevalError` unless it is a distance: a finite number, 0 or more."""
    if not isinstance(tolerance, Real) or not 0 <= tolerance < math.inf:
        raise AttribevalError(f"Expected tolerance in pixels, 0 or more. Received: {tolerance!r}.")
