"""A control: the image itself. What the raw pixels already show, a map need not be praised for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card


@dataclass(frozen=True)
class Input:
    """The raw pixel values as a map (Adebayo et al. 2018, section 5: the input's own edges dominate gradient × input).

    Its heat map is the brightness of the image.
    """

    card = Card.of(r"""
        input (control): the raw pixels themselves
        needs: nothing
        passes: 0 + 0
        paper: Adebayo et al. 2018, sec. 5
        maths: M = x_{\mathrm{raw}}
        misleads: It is the brightness of the image: a benchmark on which it does well rewards pictures, not
            explanations.
        values: signed, raw
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return a copy of the raw images, (B, H, W, C), in raw pixel units."""
        return batch.raw.copy()
