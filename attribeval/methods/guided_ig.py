"""Guided integrated gradients: a path that changes the pixels with small gradients first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.methods.baselines import baseline_input, baseline_scores, read_baseline
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.options import check_count
from attribeval.methods.path import completeness_gap
from attribeval.models import fields

_TOLERANCE = 1e-9  # of the distance from baseline to image


class _Path:
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


@dataclass(frozen=True)
class GuidedIG:
    """Σ over a path of Δx · ∇f, where values with a small gradient move first (Kapishnikov et al. 2021, algorithm 1).

    Path and sum are kept in float64. The map sums to f(x) − f(x′) but for the error of the sum, which takes each
    gradient at the start of its step. Which values move first hangs on the order of the gradients, so that rounding
    can change the path: images are sent one by one, or else their number would show in the map.

    Attributes:
        steps: Gradients per image (the authors take 200).
        fraction: Share of the values that move at a time.
        max_distance: How far any value may be ahead of or behind the straight path, as a share of the way: 0 gives
            integrated gradients (rule "left"), 1 any monotone path.
        baseline: As in `IntegratedGradients`.
    """

    steps: int = 50
    fraction: float = 0.25
    max_distance: float = 0.02
    baseline: Any = "black"

    card: ClassVar[Card] = Card(
        name="guided_ig",
        family="gradient",
        summary="share of the change of the logit, along a path of small gradients",
        needs="gradients",
        passes="51 + 50",
        paper="Kapishnikov et al. 2021, alg. 1",
        maths=(
            r"M = \sum_{k=0}^{n-1} (x^{k+1} - x^{k}) \odot \nabla f(x^{k}), \qquad x^{0} = x', \quad x^{n} = x \\ "
            r"x^{k+1}: \; \mathrm{values\ of\ smallest}\ |\partial f(x^{k}) / \partial x_i|\ \mathrm{move\ first}"
        ),
        misleads=(
            "Every net and image has a path of its own, so maps of two nets do not answer one question; pixels of "
            "the baseline's colour get 0, and the sum is coarse: see completeness_gap."
        ),
        signed=True,
        shares=True,
    )

    def __post_init__(self) -> None:
        check_count("steps", self.steps, 1)
        for name, least in (("fraction", "above 0"), ("max_distance", "from 0")):
            value = getattr(self, name)
            if not (0 < value <= 1 or (value == 0 and least == "from 0")):
                raise AttribevalError(f"Expected {name} {least} to 1. Received: {value!r}.")
        object.__setattr__(self, "baseline", read_baseline(self.baseline))

    def attribute(self, batch: Batch) -> Any:
        """Return the contributions, (B, H, W, C), in logits; sets the completeness gap."""
        maps, batch.completeness_gap = batch.share(self, lambda: self._integrate(batch))
        return maps

    def _integrate(self, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
        start = baseline_input(batch, self.baseline)
        ends = np.asarray(batch.x, np.float64)
        paths = [_Path(*pair) for pair in zip(np.broadcast_to(start, ends.shape).astype(np.float64), ends, strict=True)]
        for step in range(self.steps):
            for i, path in enumerate(paths):
                point = tf.constant(path.point[None], batch.x.dtype)
                gradient = fields.gradient(batch.classifier, point, batch.targets[i : i + 1])[0]
                done = (step + 1) / self.steps
                path.advance(np.asarray(gradient, np.float64), done, self.fraction, self.max_distance)
        maps = np.stack([path.map for path in paths]).astype(np.float32)
        return maps, completeness_gap(maps, batch.target_scores() - baseline_scores(batch, start))
