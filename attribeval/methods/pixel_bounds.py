"""The smallest and largest values that pixels can have, for rules that need to know them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.models.preprocessing import Preprocessing

Bounds = tuple[float, float] | None


def check_bounds(bounds: Bounds) -> None:
    """Refuse what is neither None nor (low, high).

    Raises:
        AttribevalError: If `bounds` is not a tuple of two finite numbers, the first the smaller.
    """
    if bounds is None:
        return
    numbers = isinstance(bounds, tuple) and len(bounds) == 2 and all(isinstance(v, (int, float)) for v in bounds)
    if not numbers or not all(math.isfinite(v) for v in bounds) or bounds[0] >= bounds[1]:
        raise AttribevalError(f"Expected bounds=(low, high) of raw pixels, low < high, or None. Received: {bounds!r}.")


def model_bounds(batch: Batch, bounds: Bounds) -> tuple[Any, Any]:
    """Bounds of the model's input.

    Args:
        batch: The images.
        bounds: Smallest and largest raw pixel; None takes 0 and 255 if the model has one of the named preprocessings
            (which are for such pixels), and else each image's own smallest and largest value.

    Returns:
        Two tensors (B, H, W, C), low and high.
    """
    classifier = batch.classifier
    if bounds is None and not isinstance(classifier.preprocess, Preprocessing):
        low, high = (reduce(batch.x, axis=(1, 2, 3), keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
        return tf.zeros_like(batch.x) + low, tf.zeros_like(batch.x) + high
    shape = (1, *batch.x.shape[1:])
    ends = [classifier.prepare(np.full(shape, end, np.float32)) for end in bounds or (0.0, 255.0)]
    return tuple(tf.zeros_like(batch.x) + limit for limit in (tf.minimum(*ends), tf.maximum(*ends)))
