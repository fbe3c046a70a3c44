"""Deep Taylor decomposition. Often confused with LRP's αβ: here only positive contributions count and biases none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.conservation import Bounds, check_bounds, model_bounds, relevance
from attribeval.models.propagation.rules import AlphaBeta


@dataclass(frozen=True)
class DeepTaylor:
    """z⁺ in every layer and z^B at the pixels (Montavon et al. 2017, equations 14 and 16).

    The map has the sign of the score, and sums to it as long as every relevant output has a positive contribution;
    `completeness_gap` is the sum minus the score.

    Attributes:
        bounds: Smallest and largest raw pixel for z^B; None: 0 and 255 with a named preprocessing, else each image's
            own smallest and largest value.
    """

    bounds: Bounds = None

    card = Card.of(r"""
        deep_taylor (propagation): share of an input value in the score, positive evidence only
        needs: gradients, operations with an LRP rule
        passes: 2 + 2
        paper: Montavon et al. 2017, eq. 14, 16
        maths: z^{+}: \; R_i = \sum_j \frac{c^{+}_{ij}}{\sum_{i'} c^{+}_{i'j}} R_j \qquad z^{B}\ \mathrm{(pixels)}: \;
            R_i = \sum_j \frac{c_{ij} - l_i w^{+}_{ij} - h_i w^{-}_{ij}}{\sum_{i'} c_{i'j} - l_{i'} w^{+}_{i'j} - h_{i'}
            w^{-}_{i'j}} R_j
        misleads: Evidence against the class does not exist for it: the map of an unlikely class looks like that of the
            likely one, and hardly changes when upper layers are randomised (Sixt et al. 2020).
        values: unsigned
    """)

    lost = (  # what took the score, where maps have kept next to nothing of it
        "outputs without a positive contribution gave the rest to nobody, so that the map's values say how places "
        "compare and not what they are worth. 'deeplift' shares out all of score − score of a reference."
    )

    def __post_init__(self) -> None:
        check_bounds(self.bounds)

    def attribute(self, batch: Batch) -> Any:
        """Return the relevance, (B, H, W, C), in score units; negative only if the score is."""
        bounds = model_bounds(batch, self.bounds)
        return relevance(batch, "deep_taylor", None, lambda place: AlphaBeta(1.0, 0.0, bias=False), bounds=bounds)
