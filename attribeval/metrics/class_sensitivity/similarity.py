"""How alike two maps of one image are."""

from __future__ import annotations

import numpy as np

from attribeval.common.options import check_choice
from attribeval.errors import AttribevalError
from attribeval.metrics.correlation import spearman
from attribeval.metrics.subject import checked_maps

SIMILARITIES = ("spearman", "cosine", "ssim")
_WINDOW = 11  # pixels, of SSIM's Gaussian of σ 1.5, cut at 3.5 σ


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
    maps, others = checked_maps(maps, channels=True), checked_maps(others, channels=True)
    if maps.shape != others.shape:
        raise AttribevalError(f"Expected two maps per image. Received: shapes {maps.shape} and {others.shape}.")
    if kind == "ssim":
        return _ssim(maps, others)
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


def _ssim(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    from skimage.metrics import structural_similarity

    if min(maps.shape[1:3]) < _WINDOW:
        raise AttribevalError(
            f"Expected maps of {_WINDOW} × {_WINDOW} pixels or more for ssim. Received: {maps.shape[1:3]}: take "
            "similarity='spearman'."
        )
    scores = []
    for pair in zip(maps, others, strict=True):
        flat = [values if values.ndim == 2 else values.sum(-1) for values in pair]
        spans = [np.ptp(values) for values in flat]
        if min(spans) == 0:
            scores.append(np.nan)
            continue
        a, b = ((values - values.min()) / span for values, span in zip(flat, spans, strict=True))
        scores.append(structural_similarity(a, b, data_range=1.0, gaussian_weights=True, use_sample_covariance=False))
    return np.array(scores, np.float64)
