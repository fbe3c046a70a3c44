"""Class activation mapping. Often confused with Grad-CAM, which works on any head and drops what is negative."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.enlarge import OnLayer
from attribeval.models.cam_head import check_linear_head, head_error


@dataclass(frozen=True)
class CAM(OnLayer):
    """Class activation mapping: M(place) = Σ_k w_k f_k(place) (Zhou et al. 2016, equation 2).

    w are the weights of the linear layer behind the global average pooling. They are read off as the derivative of the
    logit times the number of places, so the kind of layer does not matter (Dense, 1 × 1 convolution before or after
    the pooling). The mean of the map over the places of the layer is the logit less its bias. Negative values, which
    speak against the class, stay.

    Options: `enlarge.OnLayer`.
    """

    card = Card.of(r"""
        cam (cam): share of each place in the logit
        needs: global average pooling and one linear layer as head
        passes: 1 + 1
        paper: Zhou et al. 2016, eq. 2
        maths: M(u) = \sum_k w^c_k f_k(u), \qquad \frac{1}{Z} \sum_u M(u) = f(x) - b_c
        misleads: A cell of the last layer sees far more of the image than the patch that it is drawn on, and the smooth
            enlargement looks more precise than a grid of, say, 7 × 7 can be.
        values: signed, shares
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the class activation map, (B, H, W, 1), signed, in logits.

        Raises:
            AttribevalError: If the head of the model is another one.
        """
        rectified = check_linear_head(batch.classifier, self.layer)
        activations, gradients = batch.activations_and_gradient(self.layer)
        if not _same_everywhere(gradients, activations > 0 if rectified else tf.ones_like(activations, tf.bool)):
            raise head_error(
                self.layer or batch.classifier.target_layer,
                "its places have different weights (Flatten, or pooling that is not global)",
            )
        places = tf.cast(tf.shape(activations)[1] * tf.shape(activations)[2], activations.dtype)
        # Where a ReLU follows the layer, its derivative of 0 takes out what the ReLU takes out.
        coarse = places * tf.reduce_sum(gradients * activations, axis=-1, keepdims=True)
        return self.enlarged(batch, coarse)


def _same_everywhere(gradients: Any, counted: Any) -> bool:
    """Whether each channel's gradient (B, h, w, K) is the same at all places that count, but for rounding."""
    least = tf.reduce_min(tf.where(counted, gradients, gradients.dtype.max), axis=(1, 2))
    most = tf.reduce_max(tf.where(counted, gradients, gradients.dtype.min), axis=(1, 2))
    return bool(tf.reduce_all(most - least <= 1e-3 * tf.reduce_max(tf.abs(gradients))))
