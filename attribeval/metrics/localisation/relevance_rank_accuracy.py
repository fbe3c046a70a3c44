"""Relevance rank accuracy (Arras et al. 2022), image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.metrics.card import Card
from attribeval.metrics.localisation.energy import relevance_rank
from attribeval.metrics.localisation.truth import Regions, Truth, per_region


def relevance_rank_accuracy(maps: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Of each map's K highest pixels the share on the object, K its number of pixels.

    `localisation.energy.relevance_rank` decides.

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
    """Relevance rank accuracy on the leaderboard.

    Attributes:
        truth: "either": masks where the data have them, which say best where the object is, else its boxes. "boxes" or
            "masks" ask for one of the two.
    """

    truth: Truth = "either"

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
