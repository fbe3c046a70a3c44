"""SmoothGrad-squared: squared, then averaged. Often confused with the square of SmoothGrad."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.moments import NoisyCopies


@dataclass(frozen=True)
class SmoothGradSquared(NoisyCopies):
    """Mean of the squares of a method's maps over noisy copies of the image (Hooker et al. 2019, section 4, SG-SQ).

    It is the square of SmoothGrad plus VarGrad, and computed so, in one pass with both.

    Options: `moments.NoisyCopies`.
    """

    card = Card.of(r"""
        smoothgrad_squared (wrapper): mean square of the base over noisy copies
        needs: a method on the model's input
        passes: 15 × base
        paper: Hooker et al. 2019, sec. 4
        maths: M = \frac{1}{n} \sum_{k=1}^{n} B(x + \epsilon_k)^2, \qquad \epsilon_k \sim N\left(0,\; \sigma^2 (\max x -
            \min x)^2\right)
        misleads: Evidence for and against the class look the same, and squares let a few pixels take the whole scale: a
            picture shows much less than the ranking holds.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the mean square, (B, H, W, C or 1), non-negative, in the base's units squared."""
        return self.moments(batch).mean_square
