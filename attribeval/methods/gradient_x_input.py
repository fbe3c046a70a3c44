"""Gradient × input. Often confused with integrated gradients from zero, which it equals on linear models only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card


@dataclass(frozen=True)
class GradientXInput:
    """Input times derivative, value by value (Shrikumar et al. 2016, arXiv 1605.01713, section 2.2).

    "Input" is the model's own input, after preprocessing: where that is 0 (the mean colour in caffe's convention, grey
    in TensorFlow's), the map is 0.
    """

    card = Card.of(r"""
        gradient_x_input (gradient): share of the logit, as if the model were linear and zero input meant nothing
        needs: gradients
        passes: 1 + 1
        paper: Shrikumar et al. 2016, sec. 2.2
        maths: M = x \odot \frac{\partial f(x)}{\partial x}
        misleads: Values that are 0 after preprocessing get 0 however much they matter, and the picture's own edges
            shine through whatever the gradient is.
        values: signed, shares
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return input · d logit / d input, (B, H, W, C), in logits."""
        return batch.x * batch.gradient()
