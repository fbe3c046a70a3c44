"""AttnLRP. Often confused with LRP that takes attention's weights for constants: that is 'lrp'."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.common.options import check_least
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.conservation import relevance
from attribeval.models.propagation.rules import Epsilon, Gamma
from attribeval.models.propagation.shared import Shared


@dataclass(frozen=True)
class AttnLRP:
    """Relevance of the score through attention, with a part for queries and keys (Achtibat et al. 2024).

    The ε rule for layers and sums (equation 8); of a product of two feature maps each gets half by it (proposition
    3.3); the softmax hands on R_i = x_i (R_i − s_i Σ_j R_j) (proposition 3.1); the divisor of a layer normalisation
    (proposition 3.4) and the gate of GELU and SiLU (equation 9) get nothing. With ε → 0 and without biases this is
    gradient × input of a net whose gradients are halved at both factors of such products and in which divisors and
    gates are constants. The map does not sum to the score: the softmax keeps a part as biases do; `completeness_gap` is
    the sum minus the score. On a net without attention it is LRP-ε.

    Attributes:
        epsilon: ε as a fraction of each image's root mean square of a layer's outputs.
        gamma: How much positive contributions are favoured in layers with weights, by LRP's γ rule; 0 is the ε rule.
    """

    epsilon: float = 1e-6
    gamma: float = 0.0

    card = Card.of(r"""
        attnlrp (propagation): share of an input value in the score, also by what it does to attention
        needs: gradients, operations with an LRP rule
        passes: 1 + 1
        paper: Achtibat et al. 2024, sec. 3.2-3.3
        maths: R_i = \sum_j \frac{c_{ij}}{z_j + \varepsilon} R_j \qquad A V: \; R_{A_{jk}} = \sum_i \frac{A_{jk}
            V_{ki}}{2 z_{ji} + \varepsilon} R_{ji} \\ s = \mathrm{softmax}(x): \; R_i = x_i \left(R_i - s_i \sum_j
            R_j\right)
        misleads: What softmax and biases keep belongs to nobody, and can be more than the score (completeness_gap);
            where large contributions of both signs cancel, so do ε's denominators, and the map is noisy.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        check_least("epsilon", self.epsilon, 0)
        check_least("gamma", self.gamma, 0)

    def attribute(self, batch: Batch) -> Any:
        """Return the relevance, (B, H, W, C), in score units; sets the completeness gap."""
        epsilon = Epsilon(self.epsilon)
        rule = Gamma(self.gamma) if self.gamma else epsilon
        return relevance(batch, "attnlrp", (self.epsilon, self.gamma), lambda place: rule, shared=Shared(epsilon))
