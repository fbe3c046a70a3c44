"""Guided Grad-CAM. Often confused with guided backprop alone, which hardly depends on the class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.enlarge import OnLayer
from attribeval.methods.gradcam import GradCAM


@dataclass(frozen=True)
class GuidedGradCAM(OnLayer):
    """Guided backprop times the upsampled Grad-CAM, element by element (Selvaraju et al. 2017, section 3.2).

    Options: `enlarge.OnLayer`.
    """

    card = Card.of(r"""
        guided_gradcam (cam): guided gradient where Grad-CAM sees the class
        needs: gradients, ReLUs, a spatial layer
        passes: 2 + 2
        paper: Selvaraju et al. 2017, sec. 3.2
        maths: M = \;\uparrow L^{\mathrm{Grad{-}CAM}} \odot R^{0}_{\mathrm{guided}}
        misleads: The detail is that of guided backprop, which hardly depends on the class; the class comes from
            Grad-CAM's coarse window alone.
        values: signed
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the product, (B, H, W, C), logits² per unit of the model's input."""
        coarse = batch.maps(GradCAM(self.layer, self.align))
        guided = batch.gradient("guided")
        return guided * tf.cast(coarse, guided.dtype)
