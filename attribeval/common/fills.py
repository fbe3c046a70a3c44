"""What a hidden region looks like, in raw image space: the one choice that every perturbation method has to make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import gaussian_filter

from attribeval.errors import AttribevalError

Fill = str | float | tuple[float, ...]
FILLS = ("mean", "segment_mean", "black", "grey", "blur")
PLAIN_FILLS = tuple(name for name in FILLS if name != "segment_mean")  # of methods and metrics that know no segments
_BLUR = 1 / 10  # σ as a part of the shorter side, as for baselines


def check_fill(fill: Fill, name: str = "fill", allowed: Sequence[str] = FILLS) -> None:
    """Refuse what `filled` would not understand: all but the `allowed` names, a number, and a tuple of numbers."""
    numbers = fill if isinstance(fill, tuple) and fill else (fill,)
    if isinstance(fill, str):
        good = fill in allowed
    else:
        good = all(isinstance(v, (int, float)) and not isinstance(v, bool) and np.isfinite(v) for v in numbers)
    if not good:
        raise AttribevalError(
            f"Expected {name} to be one of {', '.join(allowed)}, a number, or a tuple with a number per channel, in "
            f"raw image values. Received: {fill!r}."
        )


def filled(images: np.ndarray, fill: Fill, labels: Sequence[np.ndarray] | None = None) -> np.ndarray:
    """The images with everything hidden; a method copies from them what it hides.

    Args:
        images: Raw images, float32 (B, H, W, C); not changed.
        fill: "mean": each image's mean per channel. "segment_mean": the mean of each segment per channel (what the
            `lime` package does by default). "black": 0. "grey": the middle of each image's own range of values.
            "blur": Gaussian, σ a tenth of the shorter side. A number, or a tuple with a number per channel: that value.
        labels: Segments of each image, ints (H, W) from 0; only "segment_mean" needs them.

    Returns:
        float32 (B, H, W, C), a new array.

    Raises:
        AttribevalError: If `fill` is unknown, has the wrong number of channels, or needs labels that are not given.
    """
    check_fill(fill)
    if fill == "mean":
        colours = images.mean(axis=(1, 2), keepdims=True, dtype=np.float64)
    elif fill == "grey":
        colours = (images.min(axis=(1, 2, 3), keepdims=True) + images.max(axis=(1, 2, 3), keepdims=True)) / 2
    elif fill == "black":
        colours = np.zeros(1)
    elif fill == "blur":
        sigma = _BLUR * min(images.shape[1:3])
        return gaussian_filter(images, (0, sigma, sigma, 0), mode="reflect").astype(np.float32)
    elif fill == "segment_mean":
        if labels is None:
            raise AttribevalError("Expected segments for fill='segment_mean'. Received none: choose another fill.")
        return np.stack([_segment_means(image, label) for image, label in zip(images, labels, strict=True)])
    else:
        colours = np.asarray(fill, dtype=np.float64)
        if colours.size not in (1, images.shape[-1]):
            raise AttribevalError(
                f"Expected fill to have one number or {images.shape[-1]}, one per channel. Received: {fill!r}."
            )
    return np.array(np.broadcast_to(colours, images.shape), dtype=np.float32)


def _segment_means(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Every pixel replaced by the mean of its segment, per channel, (H, W, C)."""
    flat = labels.ravel()
    sizes = np.bincount(flat)
    means = [np.bincount(flat, weights=channel.ravel()) / np.maximum(sizes, 1) for channel in np.moveaxis(image, -1, 0)]
    return np.stack(means, axis=-1).astype(np.float32)[labels]
