"""The magnitude of a map, per channel. Often confused with a heat map, which also reduces the channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card, Wrapper


@dataclass(frozen=True)
class Absolute(Wrapper):
    """A method's map without its signs (Simonyan et al. 2013, section 3, before the maximum over channels)."""

    card = Card.of(r"""
        absolute (wrapper): magnitude of the base
        needs: a method
        passes: 1 × base
        paper: Simonyan et al. 2013, sec. 3
        maths: M = |B(x)|
        misleads: Evidence against the class looks like evidence for it; of a map that sums to the score, the sum is
            lost.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return |map|, (B, H, W, C or 1), non-negative, in the base's units."""
        return tf.abs(tf.convert_to_tensor(batch.maps(self.base)))
