"""Sparseness (Chalasani et al. 2020): the Gini index of a map's absolute values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.subject import Explained, Subject, checked_maps


def sparseness(maps: np.ndarray) -> np.ndarray:
    """Gini index of |a|: Σ (2k − n − 1) |a|₍ₖ₎ / (n Σ |a|) with |a|₍₁₎ the smallest (Hurley & Rickard 2009).

    Chalasani et al. 2020 use it for attributions. It does not change if the map is multiplied by a number or its pixels
    are shuffled.

    Differs from Quantus: that adds 1e-7 to every value, by which a map of zeros scores 0.

    Args:
        maps: (N, H, W), of any sign.

    Returns:
        float64 (N,), from 0 (all |a| are equal) to (n − 1) / n (one pixel has everything), high is sparse. NaN for a
        map of zeros.

    Raises:
        AttribevalError: If maps have another shape or are not finite (naming the map).
    """
    maps = checked_maps(maps)
    sizes = np.sort(np.abs(maps).reshape(len(maps), -1), axis=1)
    n = sizes.shape[1]
    largest = sizes[:, -1:]
    sizes = np.divide(sizes, largest, out=np.full(sizes.shape, np.nan), where=largest > 0)  # sums cannot overflow
    # Not a matrix product, whose last bit depends on how many maps there are.
    return (sizes * (2.0 * np.arange(1, n + 1) - n - 1)).sum(1) / (n * sizes.sum(1))


@dataclass(frozen=True)
class Sparseness(OfMaps):
    """Sparseness on the leaderboard: of what ranks the pixels (`Explained.heat`), one value per pixel."""

    card = Card.of(r"""
        sparseness (complexity): Gini index of the pixels' attributions, 0 (even) to 1 (one pixel)
        better: high
        passes: 0 + 0
        paper: Chalasani et al. 2020; Hurley & Rickard 2009
        maths: \frac{\sum_{k=1}^{n} (2k - n - 1) \, |a|_{(k)}}{n \sum_{k=1}^{n} |a|_{(k)}}, \qquad |a|_{(1)} \leq \ldots
            \leq |a|_{(n)}
        misleads: One bright pixel anywhere scores best; it asks how little a map shows, not whether that is right.
    """)

    def score(self, subject: Subject, prepared: Any, explained: Explained) -> np.ndarray:
        """As `sparseness`, (N,)."""
        return sparseness(explained.heat)
