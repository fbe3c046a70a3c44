"""Boxes: intersection over union, and the two baseline boxes that need no model.

A box is `x0, y0, x1, y1`: x to the right, y down, *edges* in continuous coordinates, half-open. The pixel in column 3
and row 5 is the box (3, 5, 4, 6), and a box covers (x1 − x0) · (y1 − y0) pixels: no "+1" anywhere. A box of inclusive
pixel indices, counted from 0, becomes one of edges by adding 1 to x1 and y1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from attribeval.errors import AttribevalError


def iou(boxes: np.ndarray, ground_truth: np.ndarray) -> np.ndarray:
    """Intersection over union (Jaccard index) of every box with every ground-truth box.

    Args:
        boxes: (k, 4) edges x0, y0, x1, y1 with x0 <= x1 and y0 <= y1. A box of no area is allowed: it meets nothing.
        ground_truth: (m, 4), in the same coordinates.

    Returns:
        float64 (k, m) in 0..1; 0 where both boxes have no area.

    Raises:
        AttribevalError: If an array is not (·, 4), or a box is inverted or not finite (named).

    Example:
        >>> iou(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 3, 2], [4, 4, 5, 5]])).round(3).tolist()
        [[0.333, 0.0]]
    """
    boxes = _checked(boxes, "boxes")
    ground_truth = _checked(ground_truth, "ground_truth")
    return _iou_of_pairs(boxes[:, None], ground_truth[None])


def whole_image_box(size: tuple[int, int]) -> np.ndarray:
    """The box of the whole image, called "Max box" in the literature.

    Args:
        size: (height, width) of the image; (1, 1) gives the box in relative coordinates.

    Returns:
        float64 (4,): 0, 0, width, height.

    Raises:
        AttribevalError: If a side is not positive.
    """
    height, width = _checked_size(size)
    return np.array([0.0, 0.0, width, height])


def centred_box(size: tuple[int, int]) -> np.ndarray:
    """The centred box of half the image's *area* and the image's aspect ratio ("Center box").

    Its sides are √½ of the image's sides (Dabkowski & Gal 2017, table 1). A box of half the *sides*, a quarter of the
    area, is a different and much worse baseline.

    Args:
        size: (height, width) of the image; (1, 1) gives the box in relative coordinates.

    Returns:
        float64 (4,): x0, y0, x1, y1.

    Raises:
        AttribevalError: If a side is not positive.
    """
    height, width = _checked_size(size)
    margin = (1 - np.sqrt(0.5)) / 2
    return np.array([margin * width, margin * height, (1 - margin) * width, (1 - margin) * height])


def box_error(box: np.ndarray, ground_truth: Sequence[np.ndarray], iou_threshold: float = 0.5) -> float:
    """Localisation error of one predicted box per image: the share of images where it meets no ground-truth box.

    IoU does not change when an axis is scaled, so both baselines can be scored on relative boxes at once:
    `box_error(centred_box((1, 1)), samples.boxes)`. On the 50,000 ImageNet validation images the whole image errs on
    59.66 %, the centred box on 46.28 % (the 59.7 and 46.3 of Dabkowski & Gal 2017, table 1).

    Args:
        box: The prediction, (4,) for the same box in every image or (N, 4) for one box per image.
        ground_truth: For each of the N images an array (k, 4) of its true boxes, k >= 1, in the coordinates of `box`.
        iou_threshold: A prediction is right if its IoU with *any* true box of its image is at least this.

    Returns:
        Share of images in error, 0 to 1.

    Raises:
        AttribevalError: If there is no image, the lengths disagree, an image has no box, or a box is empty, inverted or
            not finite (named).
    """
    check_iou_threshold(iou_threshold)
    ground_truth = check_ground_truth(ground_truth)
    if not ground_truth:
        raise AttribevalError("Expected the boxes of at least one image. Received: none.")
    predictions = np.asarray(box, dtype=np.float64)
    if predictions.shape not in ((4,), (len(ground_truth), 4)):
        raise AttribevalError(
            f"Expected box of shape (4,) or one box per image ({len(ground_truth)}, 4). Received: {predictions.shape}."
        )
    predictions = np.broadcast_to(_checked(predictions.reshape(-1, 4), "box"), (len(ground_truth), 4))
    counts = [len(boxes) for boxes in ground_truth]
    overlaps = _iou_of_pairs(np.repeat(predictions, counts, axis=0), np.concatenate(ground_truth))
    first_of_image = np.cumsum([0, *counts[:-1]])
    best = np.maximum.reduceat(overlaps, first_of_image)
    return float(np.mean(best < iou_threshold))


def fill_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie in any of some boxes, bool (H, W); at least the pixel nearest to each box."""
    inside = np.zeros(size, bool)
    for x0, y0, x1, y1 in boxes:
        # A centre k + ½ lies in x0..x1 for k from ⌈x0 − ½⌉ to ⌈x1 − ½⌉ − 1.
        left, top, right, bottom = np.ceil(np.array([x0, y0, x1, y1]) - 0.5).astype(int)
        left, top = min(left, size[1] - 1), min(top, size[0] - 1)
        inside[top : max(bottom, top + 1), left : max(right, left + 1)] = True
    return inside


def check_ground_truth(ground_truth: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The ground-truth boxes of every image as float64 (k, 4), k >= 1, each of positive area.

    Raises:
        AttribevalError: If an image has no box, or a box is empty, inverted or not finite (named).
    """
    checked = []
    for item, boxes in enumerate(ground_truth):
        boxes = np.asarray(boxes, dtype=np.float64)
        if boxes.size == 0:
            raise AttribevalError(
                f"Expected at least one ground-truth box per image. Received none for item {item}: drop that image."
            )
        boxes = _checked(boxes, f"ground_truth of item {item}")
        empty = (boxes[:, 0] >= boxes[:, 2]) | (boxes[:, 1] >= boxes[:, 3])
        if empty.any():
            raise AttribevalError(
                f"Expected ground-truth boxes with x0 < x1 and y0 < y1. Received the empty box "
                f"{boxes[empty][0].tolist()} for item {item}: correct or drop it."
            )
        checked.append(boxes)
    return checked


def check_iou_threshold(iou_threshold: float) -> None:
    """Raise `AttribevalError` unless 0 < iou_threshold <= 1."""
    if not 0 < iou_threshold <= 1:
        raise AttribevalError(f"Expected 0 < iou_threshold <= 1. Received: {iou_threshold}.")


def _iou_of_pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """IoU of boxes (…, 4) with boxes (…, 4), broadcast against each other."""
    shared = np.clip(np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2]), 0, None).prod(-1)
    union = (a[..., 2:] - a[..., :2]).prod(-1) + (b[..., 2:] - b[..., :2]).prod(-1) - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _checked(boxes: np.ndarray, what: str) -> np.ndarray:
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise AttribevalError(f"Expected {what} of shape (k, 4): x0, y0, x1, y1. Received: {boxes.shape}.")
    bad = ~(np.isfinite(boxes).all(1) & (boxes[:, :2] <= boxes[:, 2:]).all(1))
    if bad.any():
        row = int(np.argmax(bad))
        raise AttribevalError(
            f"Expected {what} finite, with x0 <= x1 and y0 <= y1. Received {boxes[row].tolist()} in row {row}: "
            "give edges x0, y0, x1, y1, not x, y, width, height."
        )
    return boxes


def _checked_size(size: tuple[int, int]) -> tuple[float, float]:
    height, width = size
    if not (height > 0 and width > 0):
        raise AttribevalError(f"Expected size (height, width) with both positive. Received: {tuple(size)}.")
    return float(height), float(width)
