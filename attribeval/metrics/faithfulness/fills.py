"""What removed pixels become, in raw image space: a model's normalised zero is not known there."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from attribeval.common import fills
from attribeval.common.fills import Fill
from attribeval.common.seeds import fold, uniform
from attribeval.metrics.subject import Subject

FILLS = ("mean", "black", "grey", "blur", "noise")
_NOISE = 2**36  # stream of random numbers, as in ranking
_SIDE, _SIGMA = 11, 5.0  # of RISE's blur


def filled(images: np.ndarray, fill: Fill, seeds: np.ndarray) -> np.ndarray:
    """The images with every pixel removed.

    Args:
        images: Raw images, float32 (B, H, W, C); not changed.
        fill: "mean": each image's mean per channel. "black": 0. "grey": the middle of the image's own range.
            "blur": RISE's kernel of 11 × 11 pixels (Petsiuk et al. 2018): a Gaussian of σ = 5 whose tails are folded
            back into the kernel, as their code has it; the image is mirrored at its border. "noise": uniform between
            the image's smallest and largest value, each value by itself, from the image's seed. A number, or a tuple
            with a number per channel: that colour.
        seeds: int32 (B, 2); only "noise" uses them.

    Returns:
        float32 (B, H, W, C), a new array.

    Raises:
        AttribevalError: If `fill` is unknown or has the wrong number of channels.
    """
    fills.check_fill(fill, allowed=FILLS)
    if fill == "blur":
        return _blurred(np.asarray(images, np.float32))
    if fill == "noise":
        low = images.min(axis=(1, 2, 3), keepdims=True)
        high = images.max(axis=(1, 2, 3), keepdims=True)
        return (low + (high - low) * uniform(fold(seeds, _NOISE), images.shape[1:])).astype(np.float32)
    return fills.filled(images, fill)


def filled_image(subject: Subject, item: int, fill: Fill) -> np.ndarray:
    """One of a subject's images with every pixel removed, float32 (H, W, C)."""
    return filled(subject.images[item : item + 1], fill, subject.seeds[item : item + 1])[0]


def _blurred(images: np.ndarray) -> np.ndarray:
    from scipy.ndimage import convolve1d

    return convolve1d(convolve1d(images, _kernel(), axis=1, mode="reflect"), _kernel(), axis=2, mode="reflect")


@lru_cache(maxsize=1)
def _kernel() -> np.ndarray:
    """One axis of RISE's kernel: what a Gaussian filter makes of a single 1 in the middle of 11 pixels."""
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(np.eye(_SIDE)[_SIDE // 2], _SIGMA)
