"""A control: noise that knows neither the image nor the model. What a method cannot beat, it cannot claim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.drawing import uniform


@dataclass(frozen=True)
class Random:
    """Independent uniform values; one fixed map per image and seed (Hooker et al. 2019, section 4: random control).

    The map does not depend on the batch or the order of the images, so a data set explained twice, or in parts, has
    the same random maps (the reference code of ROAR draws new ones at each read).
    """

    card = Card.of(r"""
        random (control): uniform noise in [0, 1)
        needs: nothing
        passes: 0 + 0
        paper: Hooker et al. 2019, sec. 4
        maths: M_i \sim U(0, 1)
        misleads: It is the level to beat, not a map; one draw may beat a method by chance, so compare intervals.
        values: unsigned
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return uniform noise in [0, 1), (B, H, W, C)."""
        return uniform(batch.seeds, tuple(batch.x.shape[1:]))
