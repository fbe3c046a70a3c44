"""What methods with masks have in common: what is hidden and asked, scores, the slope along which a mask is learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill, filled
from attribeval.common.options import check_count
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch

SCORES = ("logit", "probability")


def hidden_images(batch: Batch, fill: Fill) -> np.ndarray:
    """The images with everything hidden, raw, float32 (B, H, W, C); shared by all methods with the same fill."""
    return batch.share(("filled", fill, None), lambda: filled(batch.raw, fill))


def scores_of(batch: Batch, raw: np.ndarray, owners: np.ndarray, probability: bool = False) -> np.ndarray:
    """Score of the owner's target on raw images (M, H, W, C), painted ones for instance, float32 (M,).

    The model sees `batch.capacity` at a time. `owners` says which image of the batch each belongs to, ints (M,).
    `probability`: that instead of the score to be explained, see `Task.probabilities`.
    """
    targets = np.asarray(batch.targets)[owners]
    parts = []
    for start in range(0, len(raw), batch.capacity):
        part = slice(start, start + batch.capacity)
        found, answer = batch.classifier.forward(batch.classifier.prepare(raw[part]))
        found = batch.classifier.task.probabilities(found, answer) if probability else found
        parts.append(found.numpy()[np.arange(len(found)), targets[part]])
    return np.concatenate(parts).astype(np.float32)


def slope_of_score(score: Any, mask: Any) -> Any:
    """d score / d mask inside a graph, for methods that learn a mask."""
    (slope,) = tf.gradients(score, mask)
    if slope is None:
        raise AttribevalError(
            "The score of this model has no derivative with respect to its input, so no mask can be learned: use a "
            "method that needs no gradient, such as 'rise'."
        )
    return slope


@dataclass(frozen=True)
class OfCells:
    """The options of all methods whose masks are grids of cells.

    Attributes:
        grid_size: Cells along each side of the image.
        fill: What a hidden pixel fades to, in raw image space: "black" (the papers' choice), "blur", …
    """

    grid_size: int = 8
    fill: Fill = "black"

    def __post_init__(self) -> None:
        check_count("grid_size", self.grid_size, 1)
        check_fill(self.fill, allowed=PLAIN_FILLS)
