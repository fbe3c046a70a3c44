"""Relevance of a batch's pixels between their bounds, and how much of the score it has kept: nearly nothing is told."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.path import completeness_gap
from attribeval.models.preprocessing import Preprocessing
from attribeval.models.propagation.explain import pixel_relevance
from attribeval.models.propagation.places import Place
from attribeval.models.propagation.rules import Rule

Bounds = tuple[float, float] | None
LITTLE = 0.1  # of the score, of the median image


def relevance(batch: Batch, method: str, key: Hashable, choose: Callable[[Place], Rule], **more: Any) -> Any:
    """`pixel_relevance` of a batch, float32 (B, H, W, C), in score units; sets the batch's completeness gap."""
    found, scores = pixel_relevance(batch.classifier, batch.x, batch.targets, method, key, choose, **more)
    batch.completeness_gap = completeness_gap(found, scores)
    return tf.cast(found, tf.float32)


def remark_on_loss(method: str, values: np.ndarray, gap: np.ndarray, why: str) -> str | None:
    """A sentence with the figure, if the maps of half of the images or more keep less than a tenth of the score.

    `gap` is the sum minus the score, (N,); `why` says what took the rest, and what to do.
    """
    sums = values.sum(axis=(1, 2, 3), dtype=np.float64)
    scores = np.abs(sums - gap)
    share = float(np.median(np.divide(np.abs(sums), scores, out=np.full(len(sums), np.inf), where=scores > 0)))
    if not share < LITTLE:
        return None
    images = "of 1 image" if len(values) == 1 else f"of the median of {len(values)} images"
    return f"{method} kept {100 * share:.2g} % of the score {images}: {why}"


def check_bounds(bounds: Bounds) -> None:
    """Refuse what is neither None nor a tuple of two finite numbers, the first the smaller."""
    if bounds is None:
        return
    numbers = isinstance(bounds, tuple) and len(bounds) == 2 and all(isinstance(v, (int, float)) for v in bounds)
    if not numbers or not all(math.isfinite(v) for v in bounds) or bounds[0] >= bounds[1]:
        raise AttribevalError(f"Expected bounds=(low, high) of raw pixels, low < high, or None. Received: {bounds!r}.")


def model_bounds(batch: Batch, bounds: Bounds) -> tuple[Any, Any]:
    """Low and high bounds of the model's input, two tensors (B, H, W, C), from the smallest and largest raw pixel.

    None takes 0 and 255 if the model has one of the named preprocessings (which are for such pixels), and else each
    image's own smallest and largest value.
    """
    classifier = batch.classifier
    if bounds is None and not isinstance(classifier.preprocess, Preprocessing):
        low, high = (reduce(batch.x, axis=(1, 2, 3), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
        return tf.zeros_like(batch.x) + low, tf.zeros_like(batch.x) + high
    shape = (1, *batch.x.shape[1:])
    ends = [classifier.prepare(np.full(shape, end, np.float32)) for end in bounds or (0.0, 255.0)]
    return tuple(tf.zeros_like(batch.x) + limit for limit in (tf.minimum(*ends), tf.maximum(*ends)))
