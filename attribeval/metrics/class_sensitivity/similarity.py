"""How alike two maps of one image are."""

from __future__ import annotations

import numpy as np

from attribeval.common.options import check_choice
from attribeval.metrics.correlation import spearman
from attribeval.metrics.sanity.similarity import WINDOW, check_size, scaled, structural
from attribeval.metrics.subject import checked_pair

SIMILARITIES = ("spearman", "cosine", "ssim")


def similarity(maps: np.ndarray, others: np.ndarray, kind: str = "spearman") -> np.ndarray:
    """Similarity of each map with another map of the same image.

    Args:
        maps: (N, H, W) or (N, H, W, C), signed.
        others: The same shape.
        kind: "spearman": rank correlation of all values with their signs, ties share their mean rank. "cosine": of all
            values. "ssim": structural similarity (Wang et al. 2004, Gaussian weights) of the maps summed over channels,
            each scaled to 0..1 by its own smallest and largest value.

    Returns:
        float64 (N,), −1 to 1; 1 for equal maps. NaN where a map is constant ("spearman", "ssim") or 0 ("cosine").

    Raises:
        AttribevalError: If shapes do not match, a map is not finite (naming it), the kind is unknown, or maps are
            too small for SSIM's window.
    """
    check_choice("similarity", kind, SIMILARITIES)
    maps, others = checked_pair(maps, others)
    if kind == "ssim":
        check_size(maps.shape[1:3], WINDOW, "ssim", "take similarity='spearman'")
        return structural(scaled(maps), scaled(others), use_sample_covariance=False)
    rows = maps.reshape(len(maps), -1), others.reshape(len(maps), -1)
    return spearman(*rows) if kind == "spearman" else _cosine(*rows)


def _cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosine of each row with the other's, (N,); NaN where one is 0."""
    a, b = _unit(a), _unit(b)
    return np.clip((a * b).sum(1), -1, 1)


def _unit(rows: np.ndarray) -> np.ndarray:
    largest = np.abs(rows).max(1, keepdims=True)
    rows = np.divide(rows, largest, out=np.full(rows.shape, np.nan), where=largest > 0)  # squares cannot overflow
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
