"""VarGrad. Often computed as E[x²] − E[x]², which cancels in float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.moments import NoisyCopies


@dataclass(frozen=True)
class VarGrad(NoisyCopies):
    """Variance of a method's maps over noisy copies of the image (Adebayo et al. 2018; Hooker et al. 2019, section 4).

    Population variance, Σ (map − mean)² / samples: with a mean of zero it is SmoothGrad-squared, as Hooker et al. say
    (section 4); the sample variance differs by a factor that is the same everywhere.

    Options: `moments.NoisyCopies`; samples: 2 or more.
    """

    least: ClassVar[int] = 2
    card = Card.of(r"""
        vargrad (wrapper): variance of the base over noisy copies
        needs: a method on the model's input
        passes: 15 × base
        paper: Adebayo et al. 2018; Hooker et al. 2019, sec. 4
        maths: M = \frac{1}{n} \sum_{k=1}^{n} \left(B(x + \epsilon_k) - \bar B\right)^2, \qquad \bar B = \frac{1}{n}
            \sum_{k=1}^{n} B(x + \epsilon_k)
        misleads: It measures how restless the base is under noise, so a place where the base is large and steady gets
            nothing; it has no sign.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the variance, (B, H, W, C or 1), non-negative, in the base's units squared."""
        return self.moments(batch).variance
