"""Grad-CAM. Often confused with gradient × activation of the last *convolution*, and with a map without the ReLU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.enlarge import OnLayer


@dataclass(frozen=True)
class GradCAM(OnLayer):
    """Gradient-weighted class activation mapping (Selvaraju et al. 2017, equations 1 and 2).

    The map of the layer is resized bilinearly after the ReLU, so no value is negative; it is not normalised. Like all
    class activation maps, it is drawn as if the layer's cells lay evenly over the image. `align=True` puts each cell at
    the middle of its receptive field instead: where a model pads or crops its input at one side, and in nets of even
    weights, this is where it looks. Trained weights may look elsewhere: in Keras' MobileNet, which pads at the lower
    right only, the middles lie almost half a cell further down and right (in its ResNet50, which steps over pixels,
    further up and left; in VGG16 where they are drawn), but a trained MobileNet looks between the two, so that aligned
    maps are off by as much or more to the other side.

    Options: `enlarge.OnLayer`.
    """

    card = Card.of(r"""
        gradcam (cam): evidence for the class by place, from the last spatial layer
        needs: gradients, a spatial layer
        passes: 1 + 1
        paper: Selvaraju et al. 2017, eq. 1-2
        maths: \alpha_k = \frac{1}{Z} \sum_{ij} \frac{\partial f}{\partial A^k_{ij}}, \qquad M_{ij} =
            \mathrm{ReLU}\left(\sum_k \alpha_k A^k_{ij}\right)
        misleads: Averaging the gradient assumes that a channel means the same everywhere: with a head that flattens, it
            may mark places that the score does not use; evidence against the class is cut off, and the grid is coarse.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the class activation map, (B, H, W, 1), non-negative, in logits."""
        activations, gradients = batch.activations_and_gradient(self.layer)
        alpha = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
        return self.enlarged(batch, tf.nn.relu(tf.reduce_sum(alpha * activations, axis=-1, keepdims=True)))
