"""Guided integrated gradients: a path that changes the pixels with small gradients first."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_count, check_flag
from attribeval.errors import AttribevalError
from attribeval.methods.baselines import baseline_input, baseline_scores, read_baseline
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.path import completeness_gap
from attribeval.models import fields

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

        `done` is also the straight path's α, from which no value's may be further than `max_distance`. Of `fraction`
        of the values, those with the smallest |gradient| (∇f at the point), all move at a time.
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
    """`Path.advance` for many images, inside a graph: the new alpha, float64 (B, n), as alpha, |way| and |∇f| before.

    The order of the gradients is found once: values that have come as far as they may drop out of it, and the quantile
    of all is a place among those that are left.
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


@dataclass(frozen=True)
class GuidedIG:
    """Σ over a path of Δx · ∇f, where values with a small gradient move first (Kapishnikov et al. 2021, algorithm 1).

    Path and sum are kept in float64. The map sums to f(x) − f(x′) but for the error of the sum, which takes each
    gradient at the start of its step. Which values move first hangs on the order of the gradients, so that rounding
    can change the path: weights that differ in their last digit change maps of the embedded net of digits by 10 % of
    their largest value in the median of 24 images, by 55 % at most. One by one, an image has the same map in any
    batch; side by side, rounding is that of its batch.

    Attributes:
        steps: Gradients per image (the authors take 200).
        fraction: Share of the values that move at a time.
        max_distance: How far any value may be ahead of or behind the straight path, as a share of the way: 0 gives
            integrated gradients (rule "left"), 1 any monotone path.
        baseline: As in `IntegratedGradients`.
        side_by_side: Whether many images go at a time, as a GPU needs it, or one by one.
    """

    steps: int = 50
    fraction: float = 0.25
    max_distance: float = 0.02
    baseline: Any = "black"
    side_by_side: bool = False

    card = Card.of(r"""
        guided_ig (gradient): share of the change of the logit, along a path of small gradients
        needs: gradients
        passes: 51 + 50
        paper: Kapishnikov et al. 2021, alg. 1
        maths: M = \sum_{k=0}^{n-1} (x^{k+1} - x^{k}) \odot \nabla f(x^{k}), \qquad x^{0} = x', \quad x^{n} = x \\
            x^{k+1}: \; \mathrm{values\ of\ smallest}\ |\partial f(x^{k}) / \partial x_i|\ \mathrm{move\ first}
        misleads: Every net and image has a path of its own, so maps of two nets do not answer one question; pixels of
            the baseline's colour get 0, and the sum is coarse: see completeness_gap.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        check_count("steps", self.steps, 1)
        for name, least in (("fraction", "above 0"), ("max_distance", "from 0")):
            value = getattr(self, name)
            if not (0 < value <= 1 or (value == 0 and least == "from 0")):
                raise AttribevalError(f"Expected {name} {least} to 1. Received: {value!r}.")
        check_flag("side_by_side", self.side_by_side)
        object.__setattr__(self, "baseline", read_baseline(self.baseline))

    def attribute(self, batch: Batch) -> Any:
        """Return the contributions, (B, H, W, C), in logits; sets the completeness gap."""
        maps, batch.completeness_gap = batch.share(self, lambda: self._integrate(batch))
        return maps

    def _integrate(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        start = baseline_input(batch, self.baseline)
        starts = np.broadcast_to(start, batch.x.shape).astype(np.float64)
        if self.side_by_side:
            maps = np.concatenate([self._together(batch, some, starts[some]) for some in batch.together(True)])
        else:
            maps = np.stack([self._alone(batch, i, start) for i, start in enumerate(starts)])
        maps = maps.astype(np.float32)
        return maps, completeness_gap(maps, batch.target_scores() - baseline_scores(batch, start))

    def _alone(self, batch: Batch, i: int, start: np.ndarray) -> np.ndarray:
        """The map of image i from its baseline (H, W, C)."""
        path = Path(start, np.asarray(batch.x[i], np.float64))
        for step in range(self.steps):
            point = tf.constant(path.point[None], batch.x.dtype)
            gradient = fields.gradient(batch.classifier, point, batch.targets[i : i + 1])[0]
            done = (step + 1) / self.steps
            path.advance(np.asarray(gradient, np.float64), done, self.fraction, self.max_distance)
        return path.map

    def _together(self, batch: Batch, some: slice, start: np.ndarray) -> Any:
        """Maps of some images from their baselines (B, H, W, C)."""
        start, x = tf.constant(start), batch.x[some]
        way = tf.cast(x, tf.float64) - start
        alpha, maps = tf.cast(way == 0, tf.float64), tf.zeros_like(way)
        fraction, distance = tf.constant(self.fraction, tf.float64), tf.constant(self.max_distance, tf.float64)
        spec, number = tf.TensorSpec([None, *batch.classifier.input_shape], tf.float64), tf.TensorSpec([], tf.float64)
        given = spec, spec, spec, batch.classifier.input_spec, number, number, number
        move = batch.classifier.compiled("guided_ig", _move, *given)
        for step in range(self.steps):
            point = tf.cast(start + alpha * way, x.dtype)
            gradient = fields.gradient(batch.classifier, point, batch.targets[some])
            done = tf.constant((step + 1) / self.steps, tf.float64)
            alpha, maps = move(alpha, maps, way, gradient, done, fraction, distance)
        return maps


def _move(alpha: Any, maps: Any, way: Any, gradient: Any, *how: Any) -> tuple[Any, Any]:
    """A step of all paths, and what it adds to the maps; inside a graph."""
    gradient = tf.cast(gradient, way.dtype)
    flat = [tf.reshape(one, [tf.shape(way)[0], -1]) for one in (alpha, tf.abs(way), tf.abs(gradient))]
    moved = tf.reshape(advanced(*flat, *how), tf.shape(way))
    return moved, maps + (moved - alpha) * way * gradient
