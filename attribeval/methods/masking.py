"""What methods with masks have in common: what is hidden, what is asked, the slope along which a mask is learned."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.fills import FILLS as ALL_FILLS
from attribeval.common.fills import Fill, filled
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch

FILLS = tuple(name for name in ALL_FILLS if name != "segment_mean")  # masks here know no segments
SCORES = ("logit", "probability")


def hidden_images(batch: Batch, fill: Fill) -> np.ndarray:
    """The images with everything hidden, raw, float32 (B, H, W, C); shared by all methods with the same fill."""
    return batch.share(("filled", fill, None), lambda: filled(batch.raw, fill))


def slope_of_score(score: Any, mask: Any) -> Any:
    """d score / d mask inside a graph, for methods that learn a mask.

    Raises:
        AttribevalError: If there is none.
    """
    (slope,) = tf.gradients(score, mask)
    if slope is None:
        raise AttribevalError(
            "The score of this model has no derivative with respect to its input, so no mask can be learned: use a "
            "method that needs no gradient, such as 'rise'."
        )
    return slope
