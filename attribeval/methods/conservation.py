"""Relevance of a batch's pixels, and how much of the score it has kept; nearly nothing is worth a word."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.path import completeness_gap
from attribeval.models.propagation.explain import pixel_relevance
from attribeval.models.propagation.places import Place
from attribeval.models.propagation.rules import Rule

LITTLE = 0.1  # of the score, of the median image


def relevance(batch: Batch, method: str, key: Hashable, choose: Callable[[Place], Rule], **more: Any) -> Any:
    """Relevance of every input value, float32 (B, H, W, C), in score units; sets the batch's completeness gap.

    Args:
        batch: The images.
        method, key, choose: As in `pixel_relevance`.
        **more: Its `bounds` or `shared`.
    """
    found, scores = pixel_relevance(batch.classifier, batch.x, batch.targets, method, key, choose, **more)
    batch.completeness_gap = completeness_gap(found, scores)
    return tf.cast(found, tf.float32)


def kept(values: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """|sum of the map / score| of each image; infinite where the score is 0.

    Args:
        values: Maps (N, H, W, C).
        gap: Sum minus score, (N,), in score units.

    Returns:
        float64 (N,), 1 if nothing was lost.
    """
    sums = values.sum(axis=(1, 2, 3), dtype=np.float64)
    scores = np.abs(sums - gap)
    return np.divide(np.abs(sums), scores, out=np.full(len(sums), np.inf), where=scores > 0)


def remark_on_loss(method: str, values: np.ndarray, gap: np.ndarray, why: str) -> str | None:
    """A sentence with the figure, if the maps of half of the images or more keep less than a tenth of the score.

    Args:
        method: Name of the method.
        values, gap: As in `kept`.
        why: What took the rest, and what to do.
    """
    share = float(np.median(kept(values, gap)))
    if not share < LITTLE:
        return None
    images = "of 1 image" if len(values) == 1 else f"of the median of {len(values)} images"
    return f"{method} kept {100 * share:.2g} % of the score {images}: {why}"
