"""Guided backpropagation. Often confused with the deconvnet, which ignores the sign of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card


@dataclass(frozen=True)
class GuidedBackprop:
    """The gradient, cut at every ReLU where it is negative (Springenberg et al. 2014, section 3.4 and figure 1).

    A ReLU passes (gradient > 0) · (input > 0) · gradient. A ReLU6 or `ReLU(max_value=…)` is shut above its limit too; a
    leaky ReLU passes the positive part of the gradient times its slope. All other operations keep their derivative.
    """

    card = Card.of(r"""
        guided_backprop (gradient): gradient through paths that raise every ReLU on the way
        needs: gradients, ReLUs
        passes: 1 + 1
        paper: Springenberg et al. 2014, sec. 3.4
        maths: R^{l}_i = 1[f^{l}_i > 0] \; 1[R^{l+1}_i > 0] \; R^{l+1}_i \quad \mathrm{at\ every\ ReLU}, \qquad M =
            R^{0}
        misleads: Its crisp pictures come close to an edge detector's: they hardly change with the class explained, or
            when the upper layers' weights are drawn anew (Adebayo et al. 2018).
        values: signed
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the guided gradient, (B, H, W, C), logits per unit of the model's input."""
        return batch.gradient("guided")
