"""Input dependence rate: is the common feature attributed less than what it covers? (Section 4.3.)"""

from __future__ import annotations

import numpy as np

from attribeval.benchmarks.bam.mcs import paired


def depends(g_with: np.ndarray, g_without: np.ndarray, correct: np.ndarray | None = None) -> np.ndarray:
    """1(g_c(f, x_cf) < g_c(f, x_¬cf)) of the images that count; IDR is their mean.

    The inequality is strict, as in the article: a map that is the same with and without the feature scores 0, not 1/2.
    Maps that know nothing, but differ between the two inputs, score 50 %.

    Args:
        g_with: Of the region in the image with the common feature, (N,).
        g_without: Of the same region in the image without it, (N,).
        correct: Which images are classified correctly, with and without the feature, bool (N,); None: all.

    Returns:
        bool (M,); higher is better.

    Raises:
        AttribevalError: If lengths differ, or no image counts.
    """
    g_with, g_without, correct = paired(g_with, g_without, correct)
    return g_with[correct] < g_without[correct]


def ties(g_with: np.ndarray, g_without: np.ndarray, correct: np.ndarray | None = None) -> float:
    """Share of the images that count whose region is attributed exactly the same, 0 to 1: what a low IDR may be."""
    g_with, g_without, correct = paired(g_with, g_without, correct)
    return float((g_with[correct] == g_without[correct]).mean())
