"""Excitation backprop. Often shown at the pixels, where max pooling leaves a grid; the authors stop halfway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.common.options import check_flag
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.models.propagation.explain import layer_relevance
from attribeval.models.propagation.rules import Contrast, Excitation


@dataclass(frozen=True)
class ExcitationBackprop:
    """Marginal winning probability of a layer's places (Zhang et al. 2016, section 3.2), resized bilinearly.

    At its layer the map sums to 1 (less what outputs without an excitatory input lose).

    Attributes:
        layer: Name or path of the layer where it ends; None takes the output of the last pooling or stride before the
            target layer: pool4 of VGG16, the authors' choice. Before a max pooling, maps have its grid.
        contrastive: Subtract the map of "not this class", from the negated weights of the last layer, and keep what is
            positive (section 3.3).
    """

    layer: str | None = None
    contrastive: bool = False

    card = Card.of(r"""
        excitation_backprop (propagation): probability that a place wins the top-down competition for the class
        needs: gradients, a spatial layer, operations with an LRP rule
        passes: 2 + 1
        paper: Zhang et al. 2016, sec. 3.2-3.3
        maths: P_i = \sum_j \frac{a^{+}_i w^{+}_{ij}}{\sum_{i'} a^{+}_{i'} w^{+}_{i'j}} P_j, \qquad M(u) = \sum_k P_k(u)
            \quad \mathrm{at\ the\ layer}
        misleads: Without contrastive=True negative weights count nowhere, so that maps of different classes look alike;
            they say where excitation came from, not what the score would lose.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        check_flag("contrastive", self.contrastive)

    def attribute(self, batch: Batch) -> Any:
        """Return the probabilities, (B, H, W, 1), non-negative."""
        probability = layer_relevance(
            batch.classifier,
            batch.x,
            batch.targets,
            method="excitation_backprop",
            key=self.contrastive,
            choose=lambda place: Contrast() if self.contrastive and place.last else Excitation(),
            layer=self.layer,
        )
        places = tf.reduce_sum(probability, axis=-1, keepdims=True)
        return batch.resize(tf.nn.relu(places) if self.contrastive else places)
