"""Simonyan's box: the map only seeds a segmentation of the image by colour (Simonyan et al. 2014, section 3.2).

Needs OpenCV (`pip install "attribeval[opencv]"`), whose GrabCut is the graph cut with Gaussian mixtures of the paper.
It finds whole objects where a map marks only a part of them, so it scores map *and* segmentation: it forgives maps
that are not tight, and says little about where else they are hot.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import iou as box_iou
from attribeval.metrics.localisation.component_tree import largest_components

_OBJECT, _BACKGROUND = 0.95, 0.30  # quantiles of the map above and below which a pixel is certain
_ROUNDS = 5


def colour_model_box(image: np.ndarray, heatmap: np.ndarray) -> np.ndarray:
    """The box of the largest component of a colour segmentation that the map (H, W) seeds, int32 (4,).

    Pixels above the map's 95 % quantile are object, those up to its 30 % quantile background; two mixtures of five
    Gaussians and a graph cut decide on the others (five rounds). 0, 0, 0, 0 where no pixel is above the 95 % quantile.
    The image is (H, W, 3), values 0 to 255; any other range is scaled to it by minimum and maximum.
    """
    cv2 = _opencv()
    image = np.asarray(image, np.float64)
    if image.shape != (*heatmap.shape, 3):
        raise AttribevalError(f"Expected an image {(*heatmap.shape, 3)}, the map's size. Received: {image.shape}.")
    if image.min() < 0 or image.max() > 255:
        image = (image - image.min()) / np.ptp(image) * 255
    high, low = np.quantile(heatmap, [_OBJECT, _BACKGROUND])
    certain = heatmap > high
    nothing = (heatmap <= low) & ~certain  # a map that is 0 in most places: all of them
    if not certain.any() or not nothing.any():
        return np.zeros(4, np.int32)
    labels = np.where(heatmap > np.median(heatmap), cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[certain], labels[nothing] = cv2.GC_FGD, cv2.GC_BGD
    cv2.setRNGSeed(0)  # k-means of the mixtures; the generator is the thread's own
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(np.ascontiguousarray(image.astype(np.uint8)), labels, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
    return largest_components(np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.uint8))[0][0]


def colour_model_hit(image: np.ndarray, heatmap: np.ndarray, boxes: np.ndarray, iou: float) -> bool:
    """Whether `colour_model_box` meets any of the true boxes (k, 4)."""
    return bool((box_iou(colour_model_box(image, heatmap)[None], boxes) >= iou).any())


def _opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise AttribevalError(
            'ColourModel needs OpenCV, which is not installed: pip install "attribeval[opencv]", or leave it out of '
            "metrics=."
        ) from error
    return cv2
