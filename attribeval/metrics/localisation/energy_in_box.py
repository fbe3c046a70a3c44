"""The energy-based pointing game (Wang et al. 2020), image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.metrics.card import Card
from attribeval.metrics.localisation.truth import Regions, Truth, per_region


def energy_inside(heatmap: np.ndarray, region: np.ndarray) -> float:
    """The share of a map's sum (H, W) that lies inside a region, bool (H, W): 0..1. Negative values count as 0.

    With the boxes as region this is the energy-based pointing game (Wang et al. 2020, Score-CAM, section 4.3), with a
    mask it is relevance mass accuracy (Arras et al. 2022, eq. 1). It favours maps that are 0 off the object, and large
    objects: compare it with the whole image's row, which is the region's share of the area. So is the number of a map
    without any positive value, which points nowhere.
    """
    positive = np.maximum(heatmap, 0)
    total = positive.sum(dtype=np.float64)
    if total == 0:
        return float(region.mean())
    return float(positive[region].sum(dtype=np.float64) / total)


def energy_in_box(maps: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """The share of each map's positive sum that lies on the object; see `localisation.energy_in_box.energy_inside`.

    Args:
        maps: (N, H, W), high where the object is supposed to be; negative values count as 0.
        regions: The objects' pixels, bool (N, H, W).

    Returns:
        float64 (N,), 0 to 1; the object's share of the area for a map without positive values. NaN for an image
        without object pixels.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    return per_region(maps, regions, energy_inside)


@dataclass(frozen=True)
class EnergyInBox(Regions):
    """The energy-based pointing game on the leaderboard."""

    truth: Truth = "boxes"

    card = Card.of(r"""
        energy_in_box (localisation): share of the map's sum that lies on the object, 0 to 1
        better: high
        passes: 0 + 0
        paper: Wang et al. 2020, sec. 4.3
        maths: \frac{\sum_{u \in B} M^+(u)}{\sum_u M^+(u)}, \qquad M^+ = \max(M, 0)
        misleads: Large objects and maps that are exactly 0 elsewhere score high by themselves; a constant map scores
            the object's share of the area.
        needs: boxes
    """)

    def measure(self, heat: np.ndarray, region: np.ndarray) -> float:
        return energy_inside(heat, region)
