"""Generic attention explainability. Often confused with the same authors' method that multiplies LRP in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.models.attention import Attention
from attribeval.models.propagation.attended import attended, positive


@dataclass(frozen=True)
class GenericAttention:
    """Relevance of the tokens by weights of attention times the gradient of the score (Chefer, Gur & Wolf, ICCV 2021).

    Of the product what is positive counts, averaged over heads (equation 5), and each layer adds what its tokens have
    from those before it: R ← R + Ā R, starting with R = I (equations 1 and 6). Read at the class token; of a model that
    averages its last tokens, the mean over these. Resized bilinearly from the grid of tokens.
    """

    card = Card.of(r"""
        generic_attention (attention): relevance of a patch for the class, by attention × gradient through all layers
        needs: gradients, a transformer's attention
        passes: 1 + 1
        paper: Chefer, Gur & Wolf 2021 (ICCV), eq. 1, 5, 6
        maths: \bar A_l = \frac{1}{H} \sum_h \left(\frac{\partial f}{\partial A_l^h} \odot A_l^h\right)^{+} \qquad R_0 =
            I, \quad R_l = R_{l-1} + \bar A_l R_{l-1}, \quad M(u) = (R_L)_{c u}
        misleads: What speaks against the class is cut off in every layer, values and the layers between attention count
            only by the gradient, and the sizes compare places of one map, not maps.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the relevance, (B, H, W, 1), non-negative."""
        return batch.resize(attended(batch.classifier, batch.x, batch.targets, "generic_attention", _matrices))


def _matrices(attention: Attention, start: Any) -> list[Any]:
    return positive(attention, start, attention.weights)
