"""What methods with masks have in common: images painted and scored a few at a time; nothing holds all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.fills import FILLS as ALL_FILLS
from attribeval.methods.fills import Fill, filled

FILLS = tuple(name for name in ALL_FILLS if name != "segment_mean")  # masks here know no segments
SCORES = ("logit", "probability")


def hidden_images(batch: Batch, fill: Fill) -> np.ndarray:
    """The images with everything hidden, raw, float32 (B, H, W, C); shared by all methods with the same fill."""
    return batch.share(("filled", fill, None), lambda: filled(batch.raw, fill))


def parts(total: int, size: int) -> Iterator[np.ndarray]:
    """0 … total − 1 in consecutive arrays of at most `size` indices."""
    for start in range(0, total, size):
        yield np.arange(start, min(start + size, total))


def masked_scores(batch: Batch, i: int, hidden: np.ndarray, masks: np.ndarray, probability: bool = False) -> np.ndarray:
    """Scores of image i under masks: mask · image + (1 − mask) · hidden image, in raw pixels.

    Args:
        batch: The batch.
        i: Which image of the batch.
        hidden: The images with everything hidden, raw, float32 (B, H, W, C); see `hidden_images`.
        masks: float (M, H, W) in [0, 1]; 1 shows, 0 hides.
        probability: The model's output instead of the score to be explained.

    Returns:
        float64 (M,).
    """
    shown = masks.astype(np.float32)[..., None]
    painted = shown * batch.raw[i] + (1 - shown) * hidden[i]
    return batch.scores(painted, np.full(len(masks), i), probability).astype(np.float64)


def spread(cells: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Cells (M, g, g) of a grid over the whole image as masks (M, H, W): each pixel takes its cell's value."""
    rows, columns = (np.arange(side) * cells.shape[-1] // side for side in size)
    return cells[:, rows[:, None], columns]


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


def probabilities(classifier: Any, trace: Any, scores: Any) -> Any:
    """The model's output; if that is logits, what softmax (or sigmoid, of a single one) makes of them."""
    if classifier.link is not None or classifier.score == "output":
        return tf.cast(trace.output, classifier.dtype)
    return tf.nn.softmax(scores) if classifier.classes > 1 else tf.sigmoid(scores)
