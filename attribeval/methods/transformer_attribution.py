"""Transformer attribution. Often confused with attention × gradient: here the relevance of attention is multiplied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.models.attention import Attention
from attribeval.models.propagation.attended import attended, positive
from attribeval.models.propagation.residual import ResidualRelevance


@dataclass(frozen=True)
class TransformerAttribution:
    """Relevance of attention's weights times their gradient, rolled out (Chefer, Gur & Wolf, CVPR 2021).

    A relevance of 1 of the class is passed down to the attention of every layer: by z⁺ through layers with weights, in
    halves to the factors of a product, unchanged through softmax, GELU and normalisations, and scaled where a residual
    connection adds (equations 6 to 12). Times the gradient of the score it counts where it is positive, averaged over
    heads, with the identity for the residual connection (equation 13). The product of all layers (equation 14) is read
    at the class token; of a model that averages its last tokens, as the mean over these. Resized bilinearly.
    """

    card = Card.of(r"""
        transformer_attribution (attention): relevance of a patch for the class, by LRP of attention × gradient through
            all layers
        needs: gradients, a transformer's attention, operations with an LRP rule
        passes: 3 + 3
        paper: Chefer, Gur & Wolf 2021 (CVPR), sec. 3, eq. 13-14
        maths: \bar A_l = I + \frac{1}{H} \sum_h \left(\frac{\partial f}{\partial A_l^h} \odot R_{A_l^h}\right)^{+}
            \qquad M(u) = \left(\bar A_L \cdots \bar A_2 \, \bar A_1\right)_{c u}
        misleads: Relevance may well reach attention and not the pixels: what lies before the first layer of attention
            is not looked at, a patch stands for all of its pixels, and evidence against the class is cut off.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the relevance, (B, H, W, 1), non-negative."""
        return batch.resize(attended(batch.classifier, batch.x, batch.targets, "transformer_attribution", _matrices))


def _matrices(attention: Attention, start: Any) -> list[Any]:
    relevance = ResidualRelevance("transformer_attribution", attention.path).of(attention.weights, start)
    return positive(attention, start, relevance)
