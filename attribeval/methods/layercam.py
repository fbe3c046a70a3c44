"""LayerCAM. Often confused with Grad-CAM, whose weight is the same at all places of a channel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.enlarge import OnLayer


@dataclass(frozen=True)
class LayerCAM(OnLayer):
    """Activations weighted by the positive gradient of their own place (Jiang et al. 2021, section III).

    Made for early layers too, where one weight per channel says little. The paper's tanh scaling is for maps of
    several layers that are put together, and is left to who does so.

    Options: `enlarge.OnLayer`.
    """

    card = Card.of(r"""
        layercam (cam): evidence for the class by place, for early layers too
        needs: gradients, a spatial layer
        passes: 1 + 1
        paper: Jiang et al. 2021, sec. III, eq. 6
        maths: M_{ij} = \mathrm{ReLU}\left(\sum_k \mathrm{ReLU}\left(\frac{\partial f}{\partial A^k_{ij}}\right)
            A^k_{ij}\right)
        misleads: Negative gradients are dropped before the sum, so what two channels say for and against the class at
            one place does not cancel: in early layers it can show edges of everything.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the class activation map, (B, H, W, 1), non-negative, in logits."""
        activations, gradients = batch.activations_and_gradient(self.layer)
        coarse = tf.nn.relu(tf.reduce_sum(tf.nn.relu(gradients) * activations, axis=-1, keepdims=True))
        return self.enlarged(batch, coarse)
