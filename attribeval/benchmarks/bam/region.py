"""From maps to g_c, the average attribution of a region (Yang & Kim 2019, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from attribeval.errors import AttribevalError

Protocol = Literal["fixed", "paper", "reference"]
PROTOCOLS = ("fixed", "paper", "reference")
_PERCENTILE = 99


def heat(maps: np.ndarray, protocol: Protocol = "fixed") -> np.ndarray:
    """One number per place, 0 to 1: positive attribution alone, cut at the map's 99th percentile.

    Args:
        maps: Raw and signed, (N, H, W, C), or (N, H, W).
        protocol: "reference": the sum over channels of the positive parts, cut at the percentile, minus the smallest
            value, divided by what remains. A map that is constant, or positive in less than a hundredth of its places,
            is 0 / 0 there: NaN, and 0 / 0 or infinite for single places.
            "paper": the positive part of the *mean* over channels (appendix E), then the same; also NaN.
            "fixed": as "reference", but the percentile gives way to the maximum where it is no larger than the smallest
            value, and a constant map is 0 everywhere: it points nowhere.

    Returns:
        float64 (N, H, W).

    Raises:
        AttribevalError: If the shape is another, or a value is not finite (naming the image).
    """
    if protocol not in PROTOCOLS:
        raise AttribevalError(f"Expected protocol 'fixed', 'paper' or 'reference'. Received: {protocol!r}.")
    maps = np.asarray(maps, np.float64)
    if maps.ndim == 3:
        maps = maps[..., None]
    if maps.ndim != 4 or 0 in maps.shape[1:]:
        raise AttribevalError(f"Expected maps (N, H, W, C) or (N, H, W). Received: {maps.shape}.")
    bad = np.flatnonzero(~np.isfinite(maps).all((1, 2, 3)))
    if bad.size:
        raise AttribevalError(f"Expected finite maps. Received NaN or infinity for image {bad[0]}.")
    positive = np.maximum(maps.mean(-1), 0) if protocol == "paper" else np.maximum(maps, 0).sum(-1)
    top = np.percentile(positive, _PERCENTILE, axis=(1, 2), keepdims=True)
    low = positive.min(axis=(1, 2), keepdims=True)
    if protocol != "fixed":
        with np.errstate(divide="ignore", invalid="ignore"):
            return (np.minimum(positive, top) - low) / (top - low)
    top = np.where(top > low, top, positive.max(axis=(1, 2), keepdims=True))
    span = top - low
    return np.divide(np.minimum(positive, top) - low, span, out=np.zeros_like(positive), where=span > 0)


def region_average(heatmaps: np.ndarray, masks: np.ndarray) -> np.ndarray:
    """g_c = Σ(e ⊙ I_c) / Σ I_c, for each image.

    Args:
        heatmaps: e, (N, H, W), 0 to 1.
        masks: I_c, bool (N, H, W).

    Returns:
        float64 (N,).

    Raises:
        AttribevalError: If the shapes differ, or a mask is empty (naming the image).
    """
    heatmaps, masks = np.asarray(heatmaps, np.float64), np.asarray(masks)
    if masks.dtype != bool or heatmaps.shape != masks.shape or masks.ndim != 3:
        raise AttribevalError(
            f"Expected heat maps (N, H, W) and masks of the same shape, bool. Received: {heatmaps.shape} and "
            f"{masks.dtype} {masks.shape}."
        )
    counts = masks.sum((1, 2))
    empty = np.flatnonzero(counts == 0)
    if empty.size:
        raise AttribevalError(f"Expected regions of at least one pixel. Received an empty mask for image {empty[0]}.")
    return (heatmaps * masks).sum((1, 2)) / counts


def random_masks(masks: np.ndarray, seed: int = 0, numbers: Sequence[int] | None = None) -> np.ndarray:
    """As many pixels as each mask has, drawn anywhere: the region of the baseline (appendix G).

    Args:
        masks: bool (N, H, W).
        seed: Of the draws.
        numbers: Number of each image, of which its pixels depend; None: 0, 1, ….

    Returns:
        bool (N, H, W).
    """
    drawn = np.zeros_like(masks)
    for i, mask in enumerate(masks):
        rng = np.random.default_rng([seed, i if numbers is None else int(numbers[i])])
        drawn[i].reshape(-1)[rng.permutation(mask.size)[: int(mask.sum())]] = True
    return drawn
