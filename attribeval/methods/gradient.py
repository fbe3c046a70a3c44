"""The plain gradient ("saliency", "vanilla gradient"). Often confused with gradient × input and with its own |·|."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card


@dataclass(frozen=True)
class Gradient:
    """Derivative of the target's logit with respect to every input value (Simonyan et al. 2013, section 3, w).

    The map is signed: a positive value says that raising the input value there raises the logit. Simonyan et al.
    display the largest |·| over channels: `Attributions.heatmap(reduce="abs_max")`.
    """

    card = Card.of(r"""
        gradient (gradient): change of the logit per unit of input
        needs: gradients
        passes: 1 + 1
        paper: Simonyan et al. 2013, sec. 3
        maths: M = \frac{\partial f(x)}{\partial x}
        misleads: It says what a tiny change would do, not what removing a pixel would: where the score is saturated, a
            pixel that decides has next to no gradient.
        values: signed
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return d logit / d input, (B, H, W, C), logits per unit of the model's input."""
        return batch.gradient()
