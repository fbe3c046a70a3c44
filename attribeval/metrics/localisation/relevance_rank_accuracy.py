"""Relevance rank accuracy (Arras et al. 2022), image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.metrics.card import Card
from attribeval.metrics.localisation.truth import Regions, per_region


def relevance_rank(heatmap: np.ndarray, region: np.ndarray) -> float:
    """Of the K highest pixels the share inside the region, K >= 1 its own size (Arras et al. 2022, eq. 2).

    Of pixels with the K-th value, as many as are needed are taken in the proportion in which they lie inside, so that a
    constant map has the region's share of the area.
    """
    size = int(region.sum())
    threshold = np.partition(heatmap, heatmap.size - size, axis=None)[heatmap.size - size]
    above, equal = heatmap > threshold, heatmap == threshold
    missing = size - int(above.sum())
    return float((above[region].sum() + missing * equal[region].sum() / equal.sum()) / size)


def relevance_rank_accuracy(maps: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Of each map's K highest pixels the share on the object, K its number of pixels.

    Args:
        maps: (N, H, W), high where the object is supposed to be.
        regions: The objects' pixels, bool (N, H, W).

    Returns:
        float64 (N,), 0 to 1; pixels with the K-th value count in the proportion in which they lie on the object. NaN
        for an image without object pixels.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    return per_region(maps, regions, relevance_rank)


@dataclass(frozen=True)
class RelevanceRank(Regions):
    """Relevance rank accuracy on the leaderboard."""

    card = Card.of(r"""
        relevance_rank (localisation): share of the strongest pixels that lie on the object, as many as it has, 0 to 1
        better: high
        passes: 0 + 0
        paper: Arras et al. 2022, eq. 2
        maths: \frac{|T_K \cap B|}{K}, \qquad K = |B|, \quad T_K: \mathrm{the\ } K \mathrm{\ pixels\ with\ the\ highest\
            } M
        misleads: A large object is hit by chance; without masks its whole box counts as object, corners and all.
        needs: boxes, masks
    """)

    def measure(self, heat: np.ndarray, region: np.ndarray) -> float:
        return relevance_rank(heat, region)
