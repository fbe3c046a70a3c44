"""Repeatability: does a method that draws random numbers give the same map with others?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.options import check_count
from attribeval.common.seeds import fold
from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.class_sensitivity.similarity import similarity
from attribeval.metrics.subject import Explained, Subject

_STREAM = 9_000_000  # far from the indices that methods fold


def repeatability(maps: np.ndarray, repeated_maps: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of two maps that differ by their seeds alone.

    Args:
        maps: (N, H, W) or (N, H, W, C), signed as the method gave them.
        repeated_maps: Of the same images and classes with other random numbers, the same shape.

    Returns:
        float64 (N,), −1 to 1: 1 for methods that draw nothing, about 0 for noise. NaN where a map is constant.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    return similarity(maps, repeated_maps, "spearman")


@dataclass(frozen=True)
class Repeatability(OfMaps):
    """Repeatability on the leaderboard.

    Attributes:
        images: How many images are judged, the first ones; the others' scores are NaN.
    """

    images: int = 25

    card = Card.of(r"""
        repeatability (class sensitivity): rank correlation of the maps of two seeds, −1 to 1; 1 repeats exactly
        better: high
        passes: 0 + 1 map
        paper: no paper: Spearman's correlation between seeds
        maths: \rho(\varphi_\xi, \varphi_{\xi^\prime}), \qquad \xi, \xi^\prime: \mathrm{two\ seeds}
        misleads: Methods that draw nothing score 1, right or wrong; of the others it mostly asks how many samples they
            take.
        needs: explain
    """)

    def __post_init__(self):
        check_count("images", self.images, least=1)

    def score(self, subject: Subject, prepared: Any, explained: Explained) -> np.ndarray:
        """As `repeatability`, (N,); NaN also for images that were not judged."""
        judged = slice(self.images)
        seeds = fold(subject.seeds[judged], _STREAM)
        repeated = explained.explain(subject.images[judged], subject.targets[judged], seeds)
        return subject.of_first(repeatability(explained.values[judged], repeated))
