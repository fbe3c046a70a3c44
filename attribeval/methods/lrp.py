"""Layer-wise relevance propagation. Often with ε in all layers, which is gradient × input when ε and biases are 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from attribeval.common.options import check_choice, check_least
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.conservation import Bounds, check_bounds, model_bounds, relevance
from attribeval.models.propagation.places import Place
from attribeval.models.propagation.rules import AlphaBeta, Epsilon, Gamma, Rule

_EXACT = 1e-6  # LRP-0, stabilised


@dataclass(frozen=True)
class LRP:
    """Relevance of the score, shared out layer by layer (Bach et al. 2015; Montavon et al. 2019).

    `completeness_gap` is the sum of the map minus the score: what ε and biases absorbed. It is 0 up to rounding in nets
    without biases and with ε → 0. If that leaves less than a tenth of the score, `explain` warns and says how much.

    Attributes:
        rule: "epsilon", "gamma" or "alpha_beta" in all layers; or "composite": γ in the first half of the convolutions,
            ε in the second, ε → 0 in dense layers and z^B at the pixels (Montavon et al. 2019, section 10.3, whose
            VGG16 is split at the same place).
        epsilon: ε as a fraction of each image's root mean square of a layer's outputs.
        gamma: How much positive contributions are favoured.
        alpha: Weight of the positive contributions in "alpha_beta"; the negative ones have β = alpha − 1.
        pixels: "bounds": z^B at the first layers; "same": the rule of the layers above; None: "bounds" for "composite".
        bounds: Smallest and largest raw pixel for z^B; None: 0 and 255 with a named preprocessing, else each image's
            own smallest and largest value.
    """

    rule: Literal["composite", "epsilon", "gamma", "alpha_beta"] = "composite"
    epsilon: float = 0.25
    gamma: float = 0.25
    alpha: float = 2.0
    pixels: Literal["bounds", "same"] | None = None
    bounds: Bounds = None

    card = Card.of(r"""
        lrp (propagation): share of an input value in the score
        needs: gradients, operations with an LRP rule
        passes: 2 + 3
        paper: Bach et al. 2015, eq. 58-60; Montavon et al. 2019, sec. 10.3
        maths: \varepsilon: \; R_i = \sum_j \frac{c_{ij}}{z_j + \varepsilon \, \mathrm{rms}(z) \, \mathrm{sign}(z_j)}
            R_j \qquad \gamma: \; R_i = \sum_j \frac{c_{ij} + \gamma c^{+}_{ij}}{z_j + \gamma z^{+}_j} R_j \quad (z_j
            \geq 0) \\ \alpha\beta: \; R_i = \sum_j \left(\alpha \frac{c^{+}_{ij}}{z^{+}_j} - \beta
            \frac{c^{-}_{ij}}{z^{-}_j}\right) R_j \qquad c_{ij} = a_i w_{ij}, \quad z_j = \sum_i c_{ij} + b_j, \quad
            z^{\pm}_j = \sum_i c^{\pm}_{ij} + b^{\pm}_j
        misleads: The rules are chosen for their pictures: each gives another map of the same net, that of αβ hardly
            depends on the class (Sixt et al. 2020), and what ε and the biases absorb (completeness_gap) belongs to
            nobody.
        values: signed, shares
    """)

    lost = (  # what took the score, where maps have kept next to nothing of it
        "ε and the biases (those of batch normalisation, too) took the rest, so that the map's values say how places "
        "compare and not what they are worth. A smaller epsilon takes less, biases take their share under every rule;"
        " 'deeplift' shares out all of score − score of a reference."
    )

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, ("composite", "epsilon", "gamma", "alpha_beta"))
        for name, least in (("epsilon", 0.0), ("gamma", 0.0), ("alpha", 1.0)):
            check_least(name, getattr(self, name), least)
        if self.pixels is not None:
            check_choice("pixels", self.pixels, ("bounds", "same"))
        check_bounds(self.bounds)

    def attribute(self, batch: Batch) -> Any:
        """Return the relevance, (B, H, W, C), in score units."""
        bounded = self.pixels == "bounds" or (self.pixels is None and self.rule == "composite")
        bounds = model_bounds(batch, self.bounds) if bounded else None
        key = self.rule, self.epsilon, self.gamma, self.alpha
        return relevance(batch, "lrp", key, self._choose, bounds=bounds)

    def _choose(self, place: Place) -> Rule:
        if self.rule == "gamma":
            return Gamma(self.gamma)
        if self.rule == "alpha_beta":
            return AlphaBeta(self.alpha, self.alpha - 1.0)
        if self.rule == "epsilon":
            return Epsilon(self.epsilon)
        if place.dense:
            return Epsilon(_EXACT)
        return Gamma(self.gamma) if place.depth < 0.5 else Epsilon(self.epsilon)
