"""Scores against a mask, pixel by pixel: precision and recall, overlap, ranking. No boxes, no components.

A mask holds 1 for the object, 0 for the background and 255 for pixels that are not scored ("ignore").
"""

from __future__ import annotations

import numpy as np

from attribeval.errors import AttribevalError

IGNORE = 255


def check_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask as uint8 (H, W) with 0, 1 and 255 only.

    Raises:
        AttribevalError: If its size is another, it has other values, or it marks no pixel as the object's.
    """
    mask = np.asarray(mask)
    if mask.shape != tuple(size):
        raise AttribevalError(f"Expected a mask of the map's size {tuple(size)}. Received: {mask.shape}.")
    mask = mask.astype(np.uint8) if mask.dtype == bool else mask
    if mask.dtype.kind not in "ui" or not np.isin(mask, (0, 1, IGNORE)).all():
        raise AttribevalError(
            "Expected a mask of bools, or of 0 (background), 1 (object), 255 (ignore). Received other values, dtype "
            f"{mask.dtype}."
        )
    if not (mask == 1).any():
        raise AttribevalError("Expected a mask with pixels of the object. Received one without: leave that image out.")
    return mask.astype(np.uint8)


def histograms(bins: np.ndarray, mask: np.ndarray, count: int) -> np.ndarray:
    """Pixels of the background (row 0) and of the object (row 1) in each bin, int64 (2, count); not those ignored.

    `bins`: the bin of every pixel, ints (H, W) in 0..count − 1, higher for stronger.
    """
    return np.stack([np.bincount(bins[mask == value], minlength=count) for value in (0, 1)])


def reference_bins(heatmap: np.ndarray) -> np.ndarray:
    """The bin of each value of a map in 0..1, of the reference code's 1000 thresholds 0, .001, … .999 and 1."""
    edges = np.append(np.arange(0, 1, 0.001), 1.0)
    return np.searchsorted(edges, heatmap, side="right") - 1


def pxap(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """PxAP: the area under the precision-recall curve of all pixels of all images (Choe et al. 2020, eq. 7 and 8).

    A pixel is predicted at τ if its value is at least τ. PxAP = Σ precision(τ) · (recall(τ) − recall(next higher τ)).

    Args:
        counts: Histograms summed over images, (…, 2, T), background and object, bins rising.

    Returns:
        area (…,), precision (…, T), recall (…, T): the curves from the highest threshold to the lowest. Precision is
        NaN where nothing is predicted.
    """
    counts = np.asarray(counts, dtype=np.float64)
    false, true = np.moveaxis(np.cumsum(counts[..., ::-1], axis=-1), -2, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = true / (true + false)
        recall = true / true[..., -1:]
    gained = np.diff(recall, axis=-1, prepend=0)
    return np.nansum(precision * gained, axis=-1), precision, recall


def pxap_by_image(counts: np.ndarray) -> np.ndarray:
    """What each image contributes to PxAP: the area plus N times its derivative by the weight of the image's pixels.

    With t and f the object's and the background's pixels from the highest threshold down to one, o the object's at it
    and O all of them, the area is Σ t/(t+f) · o/O. A pixel of the object at one threshold adds to o there, and to t
    there and at all below; one of the background to f.

    From histograms of each image, (N, 2, T): float64 (N,), whose mean is the area.
    """
    falling = np.asarray(counts, np.float64)[..., ::-1]
    (false, true), (_, objects) = falling.sum(0).cumsum(-1), falling.sum(0)
    predicted = np.maximum(true + false, 1)  # where nothing is, nothing is added either
    precision, gained = true / predicted, objects / true[-1]
    of_true = np.cumsum((gained * false / predicted**2)[::-1])[::-1] + (precision - precision @ gained) / true[-1]
    of_false = -np.cumsum((gained * true / predicted**2)[::-1])[::-1]
    return precision @ gained + len(falling) * (falling[:, 1] @ of_true + falling[:, 0] @ of_false)


def mask_ious(counts: np.ndarray) -> np.ndarray:
    """IoU of the mask with {level >= t} for every t, float64 (…, T), from histograms (…, 2, T) of one image or many.

    At t = 0 everything is predicted.
    """
    false, true = np.moveaxis(np.cumsum(np.asarray(counts, np.float64)[..., ::-1], axis=-1)[..., ::-1], -2, 0)
    return true / (true[..., :1] + false)


def pixel_auc(heatmap: np.ndarray, mask: np.ndarray) -> float:
    """Area under the ROC curve of the pixels of one image: the chance that an object's pixel is hotter than another.

    Equal values count one half; ½ is chance. Exact: no thresholds. NaN if the mask has no background.
    """
    inside, outside = heatmap[mask == 1], np.sort(heatmap[mask == 0])
    if not outside.size:
        return float("nan")
    below, not_above = (np.searchsorted(outside, inside, side=side) for side in ("left", "right"))
    return float((below + not_above).mean() / 2 / outside.size)
