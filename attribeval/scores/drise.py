"""D-RISE: how well a detector still finds one detection."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.scores.detection import iou, read_boxes, read_detections
from attribeval.scores.outputs import reference


def drise(boxes: Any, probabilities: Any, *, read: Callable | None = None) -> Callable[[Any], Any]:
    """Similarity of a detector's most similar detection to a reference (Petsiuk et al. 2021, "Black-box
    Explanation of Object Detectors via Saliency Maps", section 3).

    s(d_t, d_j) = IoU(L_t, L_j) · cos(P_t, P_j) · O_j, boxes L, class probabilities P, objectness O; the score of an
    image is its largest. Method "rise" with it is D-RISE, of a detector that is only asked and never derived: its map
    is the paper's Σ s · mask, divided by N p. The paper takes 5000 masks of 16 × 16 cells, p = 0.5:
    `explain(images, "rise", targets, samples=5000, grid_size=16)`.

    Args:
        boxes: References, L_t: x0, y0, x1, y1 in the detector's unit, (M, 4) or (4,).
        probabilities: P_t, (M, K) or (K,), as the detector gives them, see `most_certain`; of a true box 1 at its class
            and 0 elsewhere.
        read: As in `detection`; its `classes` must be probabilities. Without objectness O is 1, as in the paper.

    Returns:
        A function for `Attributer(score=...)`: outputs → scores from 0 to 1, (batch, M), of which `targets=` chooses
        one for each image.

    Raises:
        AttribevalError: If boxes and probabilities do not fit each other; by the function, if outputs cannot be read.

    Example:
        >>> from attribeval import Attributer
        >>> from attribeval.datasets import digit_pairs, digit_scenes
        >>> images = digit_pairs(digit_scenes(n_train=1, n_test=2).test).images
        >>> detector = Attributer("digit_detector", score=drise([0, 0, 0.5, 1], np.eye(10)[3]))
        >>> detector.explain(images, "rise", 0, samples=20, progress=False).values.shape
        (1, 64, 128, 1)
    """
    wanted = read_boxes(boxes)
    asked = reference(probabilities, 2, "(M, K): class probabilities")
    if len(asked) != len(wanted) or (asked < 0).any() or not asked.any(1).all():
        raise AttribevalError(
            f"Expected class probabilities, none negative and not all 0, for each of {len(wanted)} boxes. Received: "
            f"shape {asked.shape}, from {asked.min():.3g} to {asked.max():.3g}."
        )
    unit = (asked / np.linalg.norm(asked, axis=1, keepdims=True)).astype(np.float32)

    def score(outputs: Any) -> Any:
        found = read_detections(outputs, read)
        known = found.classes.shape[-1]
        if known != unit.shape[1]:
            raise AttribevalError(
                f"Expected references with {known} probabilities, the detector's classes. Received: {unit.shape[1]}."
            )
        aligned = tf.matmul(found.classes, tf.cast(tf.constant(unit.T), found.classes.dtype))
        cosine = tf.math.divide_no_nan(aligned, tf.norm(found.classes, axis=-1, keepdims=True))
        each = iou(found.boxes, wanted) * cosine  # (batch, A, M)
        each = each if found.objectness is None else each * found.objectness[..., None]
        return tf.reduce_max(each, 1)

    return score
