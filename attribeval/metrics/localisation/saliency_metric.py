"""Dabkowski & Gal's saliency metric (2017, section 5.2): a good map lets the model decide from a small crop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from attribeval.datasets.images import resize
from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import whole_image_box
from attribeval.metrics.localisation.heuristics import extents

_SMALLEST = 0.05  # areas below this count as this


def salient_box(heatmap: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """The tightest box of all pixels above a share of the way from the map's minimum to its maximum, float64 (4,).

    The whole image for a constant map. The paper's masks are cut at ½; other maps get their own there.
    """
    low, high = float(heatmap.min()), float(heatmap.max())
    if low == high:
        return whole_image_box(heatmap.shape)
    return extents(heatmap, np.array([low + threshold * (high - low)]))[0].astype(np.float64)


def saliency_metric(
    images: Sequence[np.ndarray] | np.ndarray, boxes: Sequence[np.ndarray], predict: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """log(max(area, .05)) − log(probability): low if a small crop is still recognised.

    Each box is cut out of its image, stretched to the image's size, and shown to the model. For the whole image the
    metric is the model's negative log-likelihood. It measures the model and the map together, and rewards boxes that
    the model likes, right or not.

    Args:
        images: N raw images (H, W, C) of one size.
        boxes: N boxes (4,), edges in pixels; rounded outwards to whole pixels.
        predict: From images (N, H, W, C) to the probability of the class in question, (N,) in 0..1.

    Returns:
        float64 (N,), lower is better; probabilities below 1e-7 count as that.

    Raises:
        AttribevalError: If a box has no area, or `predict` returns something else.
    """
    crops, areas = [], []
    for item, (image, box) in enumerate(zip(images, boxes, strict=True)):
        height, width = image.shape[:2]
        x0, y0 = np.maximum(np.floor(box[:2] + 1e-9), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(box[2:] - 1e-9), [width, height]).astype(int)
        if x0 >= x1 or y0 >= y1:
            raise AttribevalError(f"Expected a box with an area in its image. Received {list(box)} for item {item}.")
        crops.append(resize(image[y0:y1, x0:x1], (height, width)))
        areas.append((x1 - x0) * (y1 - y0) / (height * width))
    probabilities = np.asarray(predict(np.stack(crops)), np.float64)
    if probabilities.shape != (len(crops),) or not ((probabilities >= 0) & (probabilities <= 1 + 1e-6)).all():
        raise AttribevalError(
            f"Expected predict to return {len(crops)} probabilities from 0 to 1. Received: shape "
            f"{probabilities.shape}, {probabilities.min():.3g} to {probabilities.max():.3g}."
        )
    return np.log(np.maximum(areas, _SMALLEST)) - np.log(np.maximum(probabilities, 1e-7))
