"""Integrated gradients. Often confused with the mean gradient of the path, which lacks the factor (x − baseline)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_choice, check_count
from attribeval.methods.baselines import baseline_input, baseline_scores, read_baseline
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.path import completeness_gap, sum_of_gradients

Rule = Literal["left", "right", "midpoint", "trapezoid", "gauss_legendre"]


def quadrature(rule: Rule, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Places and weights of a rule for ∫₀¹ with `steps` gradients: two arrays (steps,); the weights sum to 1.

    Example:
        >>> places, weights = quadrature("gauss_legendre", 3)
        >>> round(float(weights @ places**5), 12)  # exact up to degree 2 · 3 − 1
        0.166666666667
        >>> quadrature("right", 4)[0].tolist()
        [0.25, 0.5, 0.75, 1.0]
    """
    even = np.full(steps, 1 / steps)
    if rule == "left":
        return np.arange(steps) / steps, even
    if rule == "right":
        return np.arange(1, steps + 1) / steps, even
    if rule == "midpoint":
        return (np.arange(steps) + 0.5) / steps, even
    if rule == "trapezoid":
        weights = np.full(steps, 1 / (steps - 1))
        weights[[0, -1]] /= 2
        return np.linspace(0, 1, steps), weights
    places, weights = np.polynomial.legendre.leggauss(steps)
    return (places + 1) / 2, weights / 2


def integral(batch: Batch, start: Any, rule: Rule, steps: int) -> Any:
    """Integrated gradients from model inputs (B or 1, H, W, C) on the straight way to the images, (B, H, W, C)."""
    way = batch.x - start
    places, weights = quadrature(rule, steps)
    column = tf.constant(places[:, None, None, None, None], way.dtype)
    weights = tf.constant(weights, way.dtype)  # on the device once: a copy waits for all gradients before it

    def points(group: range) -> tuple[Any, Any]:
        part = slice(group.start, group.stop)
        return start + column[part] * way, weights[part]

    return way * sum_of_gradients(batch, steps, points)


@dataclass(frozen=True)
class IntegratedGradients:
    """(x − x′) · ∫₀¹ ∇f(x′ + α (x − x′)) dα (Sundararajan et al. 2017, equation 1).

    The map sums to f(x) − f(x′) but for the error of the quadrature, which comes back as `completeness_gap`.

    Attributes:
        steps: Gradients per image.
        rule: Where on the path they are taken. "gauss_legendre" (default) is exact where the gradient is a polynomial
            of degree up to 2 · steps − 1 in α, and its points crowd at both ends, where the gradients of trained
            networks change fastest: at 25 steps, two ImageNet networks and eight photographs its median gap was 6 %
            and 3 % of the difference, that of "midpoint" 17 % and 6 %, the others' between. The papers print "right"
            (Sundararajan et al. equation 3; Hooker et al. section 4).
        baseline: x′: "black" (zero in raw pixels), "mean" (the image's mean colour), "blur", "random", or raw pixels:
            an array (H, W, C), a colour (C,) or a number. See `baselines.baseline_input`.
    """

    steps: int = 25
    rule: Rule = "gauss_legendre"
    baseline: Any = "black"

    card = Card.of(r"""
        integrated_gradients (gradient): share of the change of the logit from the baseline to the image
        needs: gradients
        passes: 26 + 25
        paper: Sundararajan et al. 2017, eq. 1
        maths: M = (x - x') \odot \int_0^1 \nabla f\left(x' + \alpha (x - x')\right) d\alpha \approx (x - x') \odot
            \sum_{k=1}^{n} w_k \nabla f\left(x' + \alpha_k (x - x')\right) \\ \sum_i M_i = f(x) - f(x')
        misleads: Pixels that have the baseline's colour get 0 however much they matter; another baseline is another
            question, and a large completeness_gap says that the steps are too few.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, get_args(Rule))
        check_count("steps", self.steps, 2 if self.rule == "trapezoid" else 1)
        object.__setattr__(self, "baseline", read_baseline(self.baseline))

    def attribute(self, batch: Batch) -> Any:
        """Return the contributions, (B, H, W, C), in logits; sets the completeness gap."""
        maps, batch.completeness_gap = batch.share(self, lambda: self._integrate(batch))
        return maps

    def _integrate(self, batch: Batch) -> tuple[Any, np.ndarray]:
        start = baseline_input(batch, self.baseline)
        maps = integral(batch, start, self.rule, self.steps)
        return maps, completeness_gap(maps, batch.target_scores() - baseline_scores(batch, start))
