"""Grad-CAM++. Often confused with its variant whose α sum to 1, which the authors' code and tf-keras-vis compute."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attribeval import _tf as tf
from attribeval.common.options import check_choice
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.enlarge import OnLayer

Alphas = Literal["paper", "normalised"]


def gradcam_plus_plus_map(activations: Any, gradients: Any, alphas: Alphas = "paper") -> Any:
    """Grad-CAM++ at the resolution of its layer, for Y = exp(S) of a score S that is linear in A nearby.

    Then the derivatives of Y are exp(S) · g, exp(S) · g² and exp(S) · g³ with g = ∂S/∂A, and α = g² / (2 g² + Σ A g³)
    (Chattopadhay et al. 2018, equation 19), which is 1 / (2 + g Σ A) wherever g is not 0. The factor exp(S), one per
    image, is left out: it changes no map's shape and overflows for scores above 88.

    Args:
        activations: A, tensor (B, h, w, K).
        gradients: g, tensor (B, h, w, K).
        alphas: "paper": equation 19 as it is. "normalised": divided by their sum over the places with g > 0, as in the
            authors' code.

    Returns:
        ReLU(Σ_k w_k A_k) with w_k = Σ_places α · ReLU(g) (equations 5 and 6), tensor (B, h, w, 1), non-negative.
    """
    total = tf.reduce_sum(activations, axis=(1, 2), keepdims=True)
    positive = tf.nn.relu(gradients)  # elsewhere α has weight 0 and may have a pole
    counted = tf.cast(positive > 0, activations.dtype)
    alpha = counted * tf.math.divide_no_nan(tf.ones_like(gradients), 2 + positive * total)
    if alphas == "normalised":
        alpha = tf.math.divide_no_nan(alpha, tf.reduce_sum(alpha, axis=(1, 2), keepdims=True))
    weights = tf.reduce_sum(alpha * positive, axis=(1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1, keepdims=True))


@dataclass(frozen=True)
class GradCAMPlusPlus(OnLayer):
    """Grad-CAM with pixel-wise weights for the gradients (Chattopadhay et al. 2018, equations 5, 6 and 19).

    tf-keras-vis divides α by its sum over *all* places, those with a negative gradient included, where α may have
    either sign; the authors' code by the sum over places with a positive one, which is `alphas="normalised"`. The two
    agree where each channel has one gradient for all places, as behind global average pooling.

    Attributes:
        alphas: "paper" (equation 19) or "normalised" (the authors' code).
    """

    alphas: Alphas = "paper"

    card = Card.of(r"""
        gradcam++ (cam): evidence for the class by place, small parts weighted up
        needs: gradients, a spatial layer
        passes: 1 + 1
        paper: Chattopadhay et al. 2018, eq. 5, 6, 19
        maths: g^k_{ij} = \frac{\partial f}{\partial A^k_{ij}}, \qquad \alpha^k_{ij} = \frac{1}{2 + g^k_{ij} \sum_{ab}
            A^k_{ab}} \\ w_k = \sum_{ij} \alpha^k_{ij} \mathrm{ReLU}(g^k_{ij}), \qquad M_{ij} =
            \mathrm{ReLU}\left(\sum_k w_k A^k_{ij}\right)
        misleads: Behind a ReLU no channel that speaks against the class can lower the map, so objects of other classes
            light up as well; strengths cannot be compared between images.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        check_choice("alphas", self.alphas, ("paper", "normalised"))

    def attribute(self, batch: Batch) -> Any:
        """Return the class activation map, (B, H, W, 1), non-negative, in units of 1 / exp(logit)."""
        coarse = gradcam_plus_plus_map(*batch.activations_and_gradient(self.layer), self.alphas)
        return self.enlarged(batch, coarse)
