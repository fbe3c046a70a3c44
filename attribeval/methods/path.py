"""Sums of gradients at many points: what integrated gradients and their relatives have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.models import fields


def sum_of_gradients(batch: Batch, count: int, points: Callable[[range], tuple[Any, Any]]) -> Any:
    """Σ_k factor_k · ∇ score(point_k), (B, H, W, C), in groups that fill the capacity, whatever the `count` of points.

    `points` goes from S consecutive k to the points, model inputs (S, B, H, W, C), and the factors, one number each,
    (S,), or as many as there are values.
    """
    total = tf.zeros_like(batch.x)
    for group in batch.groups(count):
        where, factors = points(group)
        stacked = tf.reshape(where, [-1, *batch.x.shape[1:]])
        gradients = fields.gradient(batch.classifier, stacked, batch.asked_of(len(group)))
        factors = tf.cast(tf.convert_to_tensor(factors), total.dtype)
        specs = tf.TensorSpec([None] * factors.shape.rank, total.dtype), *[batch.classifier.input_spec] * 2
        add = batch.classifier.compiled(("weighted_sum", factors.shape.rank), _weighted_sum, *specs)
        total = add(factors, gradients, total)
    return total


def _weighted_sum(factors: Any, gradients: Any, total: Any) -> Any:
    gradients = tf.reshape(gradients, [-1, *tf.unstack(tf.shape(total))])
    factors = factors if factors.shape.rank > 1 else tf.reshape(factors, [-1, 1, 1, 1, 1])
    return total + tf.reduce_sum(factors * gradients, axis=0)


def completeness_gap(maps: Any, difference: Any) -> Any:
    """Σ map − difference, float32 (B,): how far maps (B, H, W, C) are from summing to score differences (B,)."""
    if tf.is_tensor(maps) and tf.is_tensor(difference):
        sums = tf.reduce_sum(tf.cast(maps, tf.float64), axis=(1, 2, 3))
        return tf.cast(sums - tf.cast(difference, tf.float64), tf.float32)
    return (np.asarray(maps, np.float64).sum(axis=(1, 2, 3)) - np.asarray(difference, np.float64)).astype(np.float32)
