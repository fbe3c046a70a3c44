"""A control: an edge detector that sees the image but not the model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card


@dataclass(frozen=True)
class Sobel:
    """Magnitude of the Sobel gradient, per channel (Hooker et al. 2019, section 4: Sobel control).

    √(gx² + gy²) of the raw image, borders mirrored without repeating the edge. The reference code of ROAR takes one
    axis with its sign instead, which sees only the edges of one direction.
    """

    card = Card.of(r"""
        sobel (control): edge strength of the image
        needs: nothing
        passes: 0 + 0
        paper: Hooker et al. 2019, sec. 4
        maths: M = \sqrt{(G_x * x)^2 + (G_y * x)^2}
        misleads: It looks like an explanation and has never seen the model: a method that cannot beat it may only draw
            edges.
        values: unsigned, raw
    """)

    def attribute(self, batch: Batch) -> Any:
        """Return the edge strength, (B, H, W, C), non-negative, in raw pixel units."""
        edges = tf.image.sobel_edges(tf.convert_to_tensor(batch.raw, tf.float32))
        return tf.sqrt(tf.reduce_sum(tf.square(edges), axis=-1))
