"""Benchmarks that explain further images judge the first few of a subject only."""

from __future__ import annotations

import numpy as np


def of_first(scores: np.ndarray, total: int) -> np.ndarray:
    """Scores of a subject's first images as one number per image.

    Args:
        scores: (n,), n <= total.
        total: How many images the subject has.

    Returns:
        float64 (total,): NaN for the images that were not judged. The first images speak for all only if the order is
        random: shuffle data that are sorted by class.
    """
    return np.concatenate([np.asarray(scores, np.float64), np.full(total - len(scores), np.nan)])
