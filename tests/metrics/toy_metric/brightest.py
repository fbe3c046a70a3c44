"""A metric for the tests: how much of a map its brightest pixel has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.metrics.card import Card
from attribeval.metrics.subject import Explained, Subject


def brightest(maps: np.ndarray) -> np.ndarray:
    """max |a| / Σ |a| of maps (N, H, W): float64 (N,), from 1 / (H · W) to 1, NaN for a map of zeros."""
    sizes = np.abs(np.asarray(maps, np.float64)).reshape(len(maps), -1)
    total = sizes.sum(1)
    return np.divide(sizes.max(1), total, out=np.full(len(sizes), np.nan), where=total > 0)


@dataclass(frozen=True)
class Brightest:
    """The same on the leaderboard."""

    card = Card.of(r"""
        brightest (complexity): share of the map's absolute values in one pixel
        better: high
        passes: 0 + 0
        paper: none
        maths: \max_i |a_i| / \sum_i |a_i|
        misleads: One bright pixel anywhere scores best.
    """)

    def prepare(self, subject: Subject) -> None:
        """Nothing to prepare."""

    def score(self, subject: Subject, prepared: Any, explained: Explained) -> np.ndarray:
        """As `brightest`, (N,)."""
        return brightest(explained.heat)
