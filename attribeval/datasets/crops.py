"""Images as networks are usually tested: the short side resized, the centred square cut out."""

from __future__ import annotations

import numpy as np

from attribeval.datasets.geometry import centre_crop
from attribeval.datasets.samples import Samples


def load_crops(samples: Samples, side: int, short_side: int, channels: int = 3) -> np.ndarray:
    """The centred squares of images, float32 (N, side, side, C), raw pixel values.

    Their short side is resized to `short_side`, `side` or more, before (bilinear, PIL); `channels` is for paths alone.
    """
    if isinstance(samples.images, np.ndarray):
        channels = samples.images.shape[3]
    squares = np.empty((len(samples), side, side, channels), np.float32)
    for item, size in enumerate(samples.sizes()):
        resized, top, left = centre_crop(size, side, short_side)
        whole = samples[item].load(size=resized, channels=channels)[0]
        squares[item] = whole[top : top + side, left : left + side]
    return squares
