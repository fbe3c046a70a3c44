"""Attention rollout. Often confused with the last layer's attention; and it is the same map for every class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.models.attention import Attention
from attribeval.models.propagation.attended import attended, by_head


@dataclass(frozen=True)
class AttentionRollout:
    """How much of each token of the image the weights of attention carry to the tokens that the score reads.

    Half of a token comes to the next layer by the residual connection, half by attention, of which the mean over heads
    is taken (Abnar & Zuidema 2020, section 3). Read at the class token; of a model that averages its last tokens, the
    mean over these. Resized bilinearly from the grid of tokens; over all tokens, class token and registers too, it sums
    to 1.
    """

    card = Card.of(r"""
        attention_rollout (attention): share of a patch in the tokens that the score reads, by the weights of attention
        needs: a transformer's attention
        passes: 1 + 0
        paper: Abnar & Zuidema 2020, sec. 3
        maths: M(u) = \left(\hat A_L \cdots \hat A_2 \, \hat A_1\right)_{c u}, \qquad \hat A_l = \frac{1}{2} I +
            \frac{1}{2 H} \sum_h A_l^h
        misleads: It knows no class: the map of every class is the same, and a token may be attended to without anything
            of its values reaching the score.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the shares, (B, H, W, 1), non-negative."""
        return batch.resize(attended(batch.classifier, batch.x, None, "attention_rollout", _matrices))


def _matrices(attention: Attention, start: Any) -> list[Any]:
    found = []
    for weights in attention.weights:
        mean = tf.reduce_mean(by_head(weights), axis=1)
        found.append(0.5 * mean + 0.5 * tf.eye(mean.shape[-1]))
    return found
