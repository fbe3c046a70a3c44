"""Distances between an array and its neighbours, one sample at a time, so that memory stays that of one."""

from __future__ import annotations

import numpy as np


def norms(arrays: np.ndarray) -> np.ndarray:
    """Euclidean norm of each of N arrays (N, ...), float64 (N,)."""
    return np.linalg.norm(np.asarray(arrays, np.float64).reshape(len(arrays), -1), axis=1)


def distances(arrays: np.ndarray, neighbours: np.ndarray) -> np.ndarray:
    """Euclidean distance of each array (N, ...) from each of its neighbours (N, S, ...), float64 (N, S)."""
    samples = range(neighbours.shape[1])
    return np.stack([norms(np.subtract(neighbours[:, s], arrays, dtype=np.float64)) for s in samples], axis=1)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, broadcast; NaN where below is 0: nothing can be said relative to nothing."""
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), below)
    return np.divide(above, below, out=np.full(above.shape, np.nan), where=below > 0)


def relative_change(arrays: np.ndarray, neighbours: np.ndarray, floor: float) -> np.ndarray:
    """Norm of the element-wise relative change, ‖(a − a′) / a‖₂ (Agarwal et al. 2022, numerator of eq. 2).

    Args:
        arrays: a, (N, ...).
        neighbours: a′, (N, S, ...).
        floor: Elements smaller than this share of the array's largest |·| are divided by that share instead, since a
            change relative to 0 is undefined and one relative to almost 0 would be all that the norm sees.

    Returns:
        float64 (N, S); NaN where an array is 0 everywhere.
    """
    sizes = np.abs(np.asarray(arrays, np.float64))
    largest = sizes.reshape(len(sizes), -1).max(1).reshape(-1, *[1] * (sizes.ndim - 1))
    divisors = np.maximum(sizes, floor * largest)
    columns = []
    for s in range(neighbours.shape[1]):
        changes = ratio(np.abs(np.subtract(neighbours[:, s], arrays, dtype=np.float64)), divisors)
        columns.append(norms(changes))
    return np.stack(columns, axis=1)
