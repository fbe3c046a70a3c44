"""Sums of gradients at many points: what integrated gradients and their relatives have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.models import fields


def sum_of_gradients(batch: Batch, count: int, points: Callable[[range], tuple[Any, Any]]) -> np.ndarray:
    """Σ_k factor_k · ∇ score(point_k), in groups that fill the capacity; memory does not grow with `count`.

    Args:
        batch: The images.
        count: Points per image.
        points: Given S consecutive k, returns the points, model inputs (S, B, H, W, C), and the factors, one number
            each, (S,), or as many as there are values.

    Returns:
        (B, H, W, C), in the dtype of the model's input.
    """
    total = np.zeros(batch.x.shape, batch.x.dtype.as_numpy_dtype)
    part = np.empty_like(total)  # in place: fresh arrays for every point would cost more than the arithmetic
    for group in batch.groups(count):
        where, factors = points(group)
        stacked = tf.reshape(where, [-1, *batch.x.shape[1:]])
        gradients = fields.gradient(batch.classifier, stacked, tf.tile(batch.targets, [len(group)]))
        for factor, gradient in zip(
            np.asarray(factors, total.dtype), np.asarray(gradients).reshape(where.shape), strict=True
        ):
            total += np.multiply(factor, gradient, out=part)
    return total


def completeness_gap(maps: Any, difference: Any) -> np.ndarray:
    """Σ map − difference, float32 (B,): how far maps (B, H, W, C) are from summing to score differences (B,)."""
    return (np.asarray(maps, np.float64).sum(axis=(1, 2, 3)) - np.asarray(difference, np.float64)).astype(np.float32)
