"""Complexity (Bhatt et al. 2020): the entropy of a map's absolute values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.subject import Explained, Subject, checked_maps


def entropy(maps: np.ndarray) -> np.ndarray:
    """−Σ p ln p with p = |a| / Σ |a| (Bhatt et al. 2020, complexity), in nats.

    exp(entropy) reads as a number of pixels: that many with equal attribution would have the same entropy.

    Args:
        maps: (N, H, W), of any sign.

    Returns:
        float64 (N,), from 0 (one pixel has everything) to ln(H · W) (all |a| are equal), low is simple. NaN for a map
        of zeros.

    Raises:
        AttribevalError: If maps have another shape or are not finite (naming the map).
    """
    maps = checked_maps(maps)
    sizes = np.abs(maps).reshape(len(maps), -1)
    largest = sizes.max(1, keepdims=True)
    sizes = np.divide(sizes, largest, out=np.full(sizes.shape, np.nan), where=largest > 0)  # sums cannot overflow
    total = sizes.sum(1)
    logs = np.log(sizes, out=np.zeros_like(sizes), where=sizes > 0)  # 0 ln 0 is 0
    # −Σ p ln p with p = s / total; rounding must not make it less than 0.
    return np.maximum(np.log(total) - (sizes * logs).sum(1) / total, 0)


@dataclass(frozen=True)
class Entropy(OfMaps):
    """Entropy on the leaderboard: of what ranks the pixels (`Explained.heat`), one value per pixel."""

    card = Card.of(r"""
        entropy (complexity): entropy of the pixels' attributions in nats, 0 (one pixel) to ln(pixels)
        better: low
        passes: 0 + 0
        paper: Bhatt et al. 2020, complexity
        maths: -\sum_i p_i \ln p_i, \qquad p_i = \frac{|a_i|}{\sum_j |a_j|}
        misleads: One bright pixel anywhere scores best; coarse maps score as complex because they are smooth.
    """)

    def score(self, subject: Subject, prepared: Any, explained: Explained) -> np.ndarray:
        """As `entropy`, (N,)."""
        return entropy(explained.heat)
