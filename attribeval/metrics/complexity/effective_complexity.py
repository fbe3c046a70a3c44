"""Effective complexity (after Nguyen & Martínez 2020): how many pixels a map needs one to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.subject import Explained, Subject, checked_maps


def effective_complexity(maps: np.ndarray, epsilon: float = 0.01) -> np.ndarray:
    """Number of pixels whose |attribution| exceeds ε times the map's largest.

    Differs from the paper, which counts the fewest top-ranked features that hold the *model's* expected loss below a
    tolerance: that needs the distribution of the other features given these, which nobody has for images, and is a
    measure of faithfulness as much as of complexity. Quantus counts attributions above an ε as here, relative to the
    largest; its default ε of 1e-5 counts nearly all pixels that are not exactly 0.

    Args:
        maps: (N, H, W), of any sign.
        epsilon: 0 <= ε < 1. 0 counts the pixels that are not 0.

    Returns:
        float64 (N,), 1 to H · W pixels, low is simple. NaN for a map of zeros, which has no largest value.

    Raises:
        AttribevalError: If ε is out of range, or maps have another shape or are not finite (naming the map).
    """
    check_epsilon(epsilon)
    maps = checked_maps(maps)
    sizes = np.abs(maps).reshape(len(maps), -1)
    largest = sizes.max(1)
    counts = (sizes > epsilon * largest[:, None]).sum(1)
    return np.where(largest > 0, counts, np.nan)


def check_epsilon(epsilon: float) -> None:
    """Raise `AttribevalError` unless 0 <= epsilon < 1."""
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float, np.number)) or not 0 <= epsilon < 1:
        raise AttribevalError(f"Expected 0 <= epsilon < 1, a share of the map's largest value. Received: {epsilon!r}.")


@dataclass(frozen=True)
class EffectiveComplexity(OfMaps):
    """Effective complexity on the leaderboard: of what ranks the pixels (`Explained.heat`), one value per pixel.

    Attributes:
        epsilon: As in `effective_complexity`.
    """

    epsilon: float = 0.01

    card = Card.of(r"""
        effective_complexity (complexity): pixels with more than 1 % of the map's largest attribution, 1 to all
        better: low
        passes: 0 + 0
        paper: after Nguyen & Martínez 2020, effective complexity
        maths: |\{i : |a_i| > \epsilon \max_j |a_j|\}|
        misleads: A single outlier raises the threshold for all pixels and so makes any map simple.
    """)

    def __post_init__(self):
        check_epsilon(self.epsilon)

    def score(self, subject: Subject, prepared: Any, explained: Explained) -> np.ndarray:
        """As `effective_complexity`, (N,)."""
        return effective_complexity(explained.heat, self.epsilon)
