"""SmoothGrad. Often confused with SmoothGrad-squared, which one widespread library computes under this name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.moments import NoisyCopies


@dataclass(frozen=True)
class SmoothGrad(NoisyCopies):
    """Mean of a method's maps over noisy copies of the image (Smilkov et al. 2017, section 3).

    Smoothgrad, smoothgrad_squared and vargrad of one base share one pass of samples.

    Options: `moments.NoisyCopies`.
    """

    card = Card.of(r"""
        smoothgrad (wrapper): mean of the base over noisy copies
        needs: a method on the model's input
        passes: 15 × base
        paper: Smilkov et al. 2017, sec. 3
        maths: M = \frac{1}{n} \sum_{k=1}^{n} B(x + \epsilon_k), \qquad \epsilon_k \sim N\left(0,\; \sigma^2 (\max x -
            \min x)^2\right)
        misleads: It explains the score averaged over noisy images, not that of this one: with a σ at which the net no
            longer knows the class, the map is smooth and about nothing.
        values: signed
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the mean, (B, H, W, C or 1), in the base's units."""
        return self.moments(batch).mean
