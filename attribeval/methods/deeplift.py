"""DeepLIFT. Often confused with gradient × (input − reference), which it equals only where the network is linear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.common.options import FrozenArray, check_choice, check_count
from attribeval.errors import AttribevalError
from attribeval.methods.baselines import baseline_input, read_baseline
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.models.propagation.deeplift import contributions
from attribeval.models.propagation.paired_pass import MaxPool, Rule


@dataclass(frozen=True)
class DeepLIFT:
    """Contributions to score(image) − score(reference) (Shrikumar et al. 2017, section 3.5).

    The map sums to that difference; what is missing to rounding is `completeness_gap`.

    Attributes:
        rule: "rescale" (section 3.5.2) at every nonlinearity; or "reveal_cancel" (section 3.5.3) at the activations of
            dense layers (batch normalisation may stand between) and Rescale elsewhere, as the authors advise.
        maxpool: "difference" (complete: a rise of the maximum belongs to the winner in the image, a fall to the winner
            in the reference) or "gradient" (the winner in the image, as in the authors' package: not complete).
        reference: "black" (zero in raw pixels), "mean" (the image's mean colour), "blur", "random", or raw pixels: a
            number, a colour (C,), an image (H, W, C), or several (R, H, W, C), over which the map is averaged. See
            `baselines.baseline_input`.
        references: How many "random" references are averaged.
    """

    rule: Rule = "rescale"
    maxpool: MaxPool = "difference"
    reference: Any = "black"
    references: int = 1

    card = Card.of(r"""
        deeplift (propagation): share of an input value in score − score of the reference
        needs: gradients, operations with a DeepLIFT rule
        passes: 2 + 1
        paper: Shrikumar et al. 2017, sec. 3.5
        maths: M = m \odot (x - x'), \qquad m_{\Delta y} = \frac{\Delta z}{\Delta y} \; m_{\Delta z} \quad \mathrm{at}\
            z = \sigma(y)\ \mathrm{(Rescale)} \\ \sum_i M_i = f(x) - f(x')
        misleads: Pixels of the reference's colour get 0 however much they matter; with Rescale, contributions that
            cancel inside a layer stay hidden (rule='reveal_cancel' is for those).
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        check_choice("rule", self.rule, ("rescale", "reveal_cancel"))
        check_choice("maxpool", self.maxpool, ("difference", "gradient"))
        check_count("references", self.references, 1)
        object.__setattr__(self, "reference", read_baseline(self.reference))
        if self.references > 1 and self.reference != "random":
            raise AttribevalError(
                f"Expected reference='random' for several references. Received: references={self.references} with "
                "another reference, the same every time; pass an array (R, H, W, C) to average over yours."
            )

    def attribute(self, batch: Batch) -> Any:
        """Return the contributions, (B, H, W, C), in score units; sets the completeness gap."""
        maps, batch.completeness_gap = batch.share(self, lambda: self._average(batch))
        return maps

    def _average(self, batch: Batch) -> tuple[Any, Any]:
        total: Any = 0.0
        gaps: Any = 0.0
        given: list[Any] = [self.reference] * self.references
        if isinstance(self.reference, FrozenArray) and self.reference.values.ndim == 4:
            given = [FrozenArray(one, "reference") for one in self.reference.values]
        count = len(given)
        for i, one in enumerate(given):
            own_seeds = batch.at(batch.x, range(i, i + 1))  # a new draw of "random" for every i
            reference = tf.broadcast_to(baseline_input(own_seeds, one), tf.shape(batch.x))
            maps, own, other = contributions(
                batch.classifier, batch.x, reference, batch.targets, self.rule, self.maxpool
            )
            total += maps / count
            sums = tf.reduce_sum(tf.cast(maps, tf.float64), axis=(1, 2, 3))
            gaps += (sums - tf.cast(own, tf.float64) + tf.cast(other, tf.float64)) / count
        return tf.cast(total, tf.float32), tf.cast(gaps, tf.float32)
