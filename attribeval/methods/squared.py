"""The square of a map. Often confused with SmoothGrad-squared, which averages squares over noisy copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card, Wrapper


@dataclass(frozen=True)
class Squared(Wrapper):
    """A method's map, squared value by value (Hooker et al. 2019, section 6.4, SQ). The ranking is that of |map|."""

    card = Card.of(r"""
        squared (wrapper): square of the base
        needs: a method
        passes: 1 × base
        paper: Hooker et al. 2019, sec. 6.4 (SQ)
        maths: M = B(x)^2
        misleads: Evidence against the class looks like evidence for it, and a few pixels take the whole scale of a
            picture.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the square, (B, H, W, C or 1), non-negative, in the base's units squared."""
        return tf.square(tf.convert_to_tensor(batch.maps(self.base)))
