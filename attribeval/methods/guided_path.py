"""Paths of guided integrated gradients: one image's on the host, or many at once inside a graph; both in float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from attribeval import _tf as tf

_TOLERANCE = 1e-9  # of the distance from baseline to image


class Path:
    """One image on its way from the baseline; `alpha` is how far each value is (0 baseline, 1 image)."""

    def __init__(self, start: np.ndarray, end: np.ndarray):
        self.start, self.way = start, end - start
        self.weight = np.abs(self.way)
        self.total = self.weight.sum()
        self.alpha = np.where(self.weight > 0, 0.0, 1.0)
        self.map = np.zeros_like(start)

    @property
    def point(self) -> np.ndarray:
        return self.start + self.alpha * self.way

    def advance(self, gradient: np.ndarray, done: float, fraction: float, max_distance: float) -> None:
        """Move until the share `done` of the L1 distance is behind (Kapishnikov et al. 2021, algorithm 1).

        Args:
            gradient: ∇f at the point.
            done: Share of the distance that should lie behind after this step; the straight path's α.
            fraction: Share of the values that move at a time, those with the smallest |gradient|.
            max_distance: How far a value's α may be from `done`.
        """
        low, high = max(done - max_distance, 0.0), min(done + max_distance, 1.0)
        before = self.alpha.copy()
        self.alpha = np.maximum(self.alpha, low)  # values that fell behind the corridor
        cost = np.abs(gradient)
        while (missing := done * self.total - (self.weight * self.alpha).sum()) > _TOLERANCE * self.total:
            cost[self.alpha >= high] = np.inf
            chosen = (cost <= np.quantile(cost, fraction, method="lower")) & np.isfinite(cost)
            room = (self.weight * (high - self.alpha))[chosen].sum()
            if room <= 0:
                break
            if missing > room:
                self.alpha[chosen] = high
            else:
                self.alpha[chosen] += missing / room * (high - self.alpha[chosen])
                break
        self.map += (self.alpha - before) * self.way * gradient


def advanced(alpha: Any, weight: Any, cost: Any, done: Any, fraction: Any, max_distance: Any) -> Any:
    """`Path.advance` for many images, inside a graph.

    The order of the gradients is found once: values that have come as far as they may drop out of it, and the quantile
    of all is a place among those that are left.

    Args:
        alpha: How far each value is, float64 (B, n).
        weight: |image − baseline|, float64 (B, n).
        cost: |∇f| at the point, float64 (B, n).
        done, fraction, max_distance: As in `Path.advance`, float64 ().

    Returns:
        The new alpha.
    """
    low, high = tf.maximum(done - max_distance, 0), tf.minimum(done + max_distance, 1)
    order = tf.argsort(cost, axis=1)
    alpha, weight, cost = (tf.gather(one, order, batch_dims=1) for one in (alpha, weight, cost))
    alpha = tf.maximum(alpha, low)
    total = tf.reduce_sum(weight, axis=1)
    place = 1 + tf.cast(tf.floor(fraction * tf.cast(tf.shape(alpha)[1] - 1, fraction.dtype)), tf.int32)

    def move(alpha, active):
        missing = done * total - tf.reduce_sum(weight * alpha, axis=1)
        free = alpha < high
        last = free & (tf.cumsum(tf.cast(free, tf.int32), axis=1) == place)
        limit = tf.reduce_min(tf.where(last, cost, math.inf), axis=1, keepdims=True)  # infinite if too few are left
        chosen = free & (cost <= limit)
        room = tf.reduce_sum(tf.where(chosen, weight * (high - alpha), 0), axis=1)
        active &= (missing > _TOLERANCE * total) & (room > 0)
        chosen &= active[:, None]
        active &= missing > room  # all that were chosen are at their end, and others must move
        part = alpha + tf.math.divide_no_nan(missing, room)[:, None] * (high - alpha)
        return tf.where(chosen, tf.where(active[:, None], high, part), alpha), active

    alpha, _ = tf.while_loop(lambda alpha, active: tf.reduce_any(active), move, (alpha, total > 0))
    rows = tf.broadcast_to(tf.range(tf.shape(order)[0])[:, None], tf.shape(order))
    return tf.scatter_nd(tf.stack([rows, order], axis=2), alpha, tf.shape(alpha))
