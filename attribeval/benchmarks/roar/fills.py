"""What removed values become: a colour, the image's own blur, or ROAD's noisy linear imputation."""

from __future__ import annotations

import numpy as np

from attribeval.benchmarks.roar.records import Records
from attribeval.common.fills import Fill, check_fill
from attribeval.common.seeds import normal
from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.imputation import impute as solved

FILLS = ("mean", "blur", "linear")
BLUR = 1 / 10  # σ as a part of the shorter side, as wherever else an image is blurred to nothing
_NOISE = 0.01  # of the value range (Rong et al. 2022, section 4.3)


def channel_mean(records: Records) -> np.ndarray:
    """The mean of each channel over all images (H, W, C), shard after shard, summed in float64: float32 (C,)."""
    height, width, channels = records.shape
    total = np.zeros(width * channels)
    for k in range(records.shards):
        for image in records.shard(k):  # rows first: long sums side by side are many times faster than C alone
            total += image.reshape(height, -1).sum(axis=0, dtype=np.float64)
        if not np.isfinite(total).all():
            raise AttribevalError(
                f"Expected finite images. Received NaN or infinity in {records.files[k]}: repair the images."
            )
    return (total.reshape(width, channels).sum(axis=0) / (records.count * height * width)).astype(np.float32)


def constant_fill(fill: Fill, channels: int, mean: np.ndarray | None) -> np.ndarray | None:
    """The colour float32 (C,) that removed values get, or None where each image has a fill of its own.

    "mean" needs what `channel_mean` returned for the training images.
    """
    check_fill(fill, allowed=FILLS)
    if isinstance(fill, str) and fill != "mean":
        return None
    if fill == "mean" and mean is None:
        raise AttribevalError("Expected channel_mean for fill='mean'. Received none: compute it on the training set.")
    colour = np.asarray(mean if fill == "mean" else fill, dtype=np.float32).ravel()
    if colour.size not in (1, channels):
        raise AttribevalError(f"Expected a fill of one number or {channels}, one per channel. Received: {fill!r}.")
    return np.ascontiguousarray(np.broadcast_to(colour, channels))


def impute(images: np.ndarray, masks: np.ndarray, seeds: np.ndarray, span: np.ndarray, empty: np.ndarray) -> np.ndarray:
    """Noisy linear imputation (Rong et al. 2022, section 4.3, equation 5).

    Solved by `metrics.faithfulness.imputation`, per image and channel, or per image where the channels share a mask.
    Then Gaussian noise is added to what was removed.

    Args:
        images: float32 (B, H, W, C); not changed.
        masks: bool (B, H, W, C) or, shared by the channels, (B, H, W, 1); True where removed.
        seeds: int32 (B, 2), one per image.
        span: float (B,), each image's range of values; the noise has a hundredth of it as standard deviation.
        empty: float32 (C,), the colour of an image of which nothing is left.
    """
    out = images.astype(np.float64)
    for image, mask in zip(out, masks, strict=True):
        groups = [slice(c, c + 1) for c in range(image.shape[-1])] if mask.shape[-1] > 1 else [slice(None)]
        for group in groups:
            removed = mask[..., group][..., 0]
            if removed.all():
                image[..., group] = empty[group]
            elif removed.any():
                image[..., group] = solved(image[..., group], removed)
    return np.where(masks, normal(seeds, out, _NOISE * np.asarray(span)), out).astype(np.float32)
