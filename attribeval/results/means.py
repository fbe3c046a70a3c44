"""Means of what has a value: NaN is left out, and the mean of nothing is NaN."""

from __future__ import annotations

import numpy as np


def weighted_means(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Means (R, K) of values (N, K) over the images that have one; weights (R, N) say how often each image counts."""
    known = np.isfinite(values)
    counts = weights @ known.astype(np.float64)
    sums = weights @ np.where(known, values, 0.0)
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def known_mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Means along an axis over the finite values, float64; NaN where there is none."""
    known = np.isfinite(values)
    counts, sums = known.sum(axis), np.where(known, values, 0.0).sum(axis)
    return np.divide(sums, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
