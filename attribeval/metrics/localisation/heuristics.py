"""Boxes by the rules of single papers, each from one map: CAM's 20 %, Fong's three thresholds, the salient region.

Heat maps are real numbers (H, W), large where the object is supposed to be. Boxes are edges x0, y0, x1, y1 in pixels of
the map, half-open; 0, 0, 0, 0 where nothing is above the threshold.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from attribeval.errors import unknown
from attribeval.metrics.localisation.component_tree import largest_components

MEANS = np.arange(0, 21) * 0.5  # Fong's α: multiples of the mean, …
ENERGIES = np.arange(0, 20) * 0.05  # … shares of the energy, …
VALUES = np.arange(0, 20) * 0.05  # … shares of the range
Reading = Literal["maximum", "absolute", "quantile"]
READINGS: tuple[Reading, ...] = ("maximum", "absolute", "quantile")


def cam_box(heatmap: np.ndarray, reading: Reading = "maximum") -> np.ndarray:
    """The box of the largest component above "20 %" (Zhou et al. 2016, section 3.2), int32 (4,).

    Args:
        heatmap: Real numbers (H, W).
        reading: "maximum": above 20 % of the map's maximum, which is what the paper says. "absolute": above 20 of 255
            after division by the maximum, 7.8 % of it, the lowest of the thresholds 20, 100 and 110 in the released
            code (which then merges the boxes of all three; that is not done here). "quantile": above the map's 20 %
            quantile, as the paper is sometimes retold.
    """
    if reading not in READINGS:
        raise unknown("reading of CAM's 20 %", str(reading), READINGS)
    if reading == "quantile":
        threshold = np.quantile(heatmap, 0.2)
    else:
        threshold = (0.2 if reading == "maximum" else 20 / 255) * heatmap.max()
    return largest_components((heatmap > threshold).astype(np.uint8))[0][0]


def fong_boxes(heatmap: np.ndarray, rule: Literal["mean", "energy", "value"]) -> np.ndarray:
    """The boxes of all α of one of Fong & Vedaldi's rules (2017, section 5.4): the extent of *all* pixels above.

    Args:
        heatmap: Real numbers (H, W).
        rule: "mean": above α times the map's mean, α of `MEANS` (0, .5, … 10). "energy": the fewest strongest pixels
            that hold the share α of the sum of all (negative ones count as 0), α of `ENERGIES` (0, .05, … .95).
            "value": above α of the way from minimum to maximum, α of `VALUES` (0, .05, … .95).

    Returns:
        int32 (number of α, 4).
    """
    if rule == "mean":
        return extents(heatmap, MEANS * heatmap.mean())
    if rule == "value":
        low, high = float(heatmap.min()), float(heatmap.max())
        return extents(heatmap, low + VALUES * (high - low))
    if rule != "energy":
        raise unknown("rule of Fong & Vedaldi", str(rule), ("mean", "energy", "value"))
    ordered = np.sort(np.maximum(heatmap, 0), axis=None)[::-1].astype(np.float64)
    reached = np.cumsum(ordered)
    if reached[-1] <= 0:
        return np.zeros((len(ENERGIES), 4), np.int32)
    last = np.searchsorted(reached, ENERGIES * reached[-1])  # the pixel with which the share is reached
    weakest = ordered[np.minimum(last, len(ordered) - 1)]
    return extents(heatmap, np.nextafter(weakest, -np.inf))  # that pixel and its equals are in


def extents(heatmap: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """The extent of all pixels above each threshold (T,), without regard to components: int32 (T, 4).

    Dabkowski & Gal 2017, section 5.1.
    """
    thresholds = np.asarray(thresholds)[:, None]
    boxes = np.zeros((len(thresholds), 4), np.int32)
    for axis in (0, 1):  # columns give x0 and x1, rows y0 and y1
        inside = heatmap.max(axis=axis)[None] > thresholds
        found = inside.any(1)
        boxes[:, axis] = np.where(found, inside.argmax(1), 0)
        boxes[:, axis + 2] = np.where(found, inside.shape[1] - inside[:, ::-1].argmax(1), 0)
    return boxes
