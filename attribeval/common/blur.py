"""Gaussian blur of batches, exact for any width: one small matrix per axis."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from attribeval import _tf as tf


@functools.lru_cache(maxsize=128)
def _matrix(size: int, sigma: float) -> np.ndarray:
    """Matrix (size, size) of `scipy.ndimage.gaussian_filter1d` with mirrored borders; its rows sum to 1."""
    from scipy.ndimage import gaussian_filter1d

    identity = np.eye(size)
    return gaussian_filter1d(identity, sigma, axis=0, mode="reflect", truncate=4.0) if sigma > 0 else identity


def gaussian_blur(x: Any, sigmas: Sequence[float] | np.ndarray) -> Any:
    """Blur every image with every width.

    The image is continued by its mirror image, so that a wide blur tends to the mean colour; padding with zeros, as
    the authors of blur IG do, would add a dark frame.

    Args:
        x: Tensor (B, H, W, C).
        sigmas: S standard deviations, in pixels; 0 leaves the images as they are.

    Returns:
        Tensor (S, B, H, W, C) of the dtype of `x`.
    """
    rows = tf.constant(np.stack([_matrix(int(x.shape[1]), float(s)) for s in sigmas]), x.dtype)
    columns = tf.constant(np.stack([_matrix(int(x.shape[2]), float(s)) for s in sigmas]), x.dtype)
    return tf.einsum("swj,sbhjc->sbhwc", columns, tf.einsum("shi,bijc->sbhjc", rows, x))
