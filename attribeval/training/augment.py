"""Random changes of training images, each a function of the seed, the epoch and the item alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attribeval.common.seeds import fold
from attribeval.errors import AttribevalError

_TRIES = 10  # crops drawn until one fits into the image
_ASPECT = 4 / 3  # of a crop, at most, either way


@dataclass(frozen=True)
class Augment:
    """What happens to a training image, after the fill, so that image and mask move together.

    In this order: mirrored, shifted, cropped.

    Attributes:
        flip: Mirror half of the images left to right.
        shift: Move by up to so many pixels in each direction, independently; what comes in has the fill's colour
            (the padding and cropping of CIFAR's recipes).
        crop: Cut out a window of an area between these shares of the image, of an aspect between 3/4 and 4/3, and
            enlarge it to the image's size (bilinear), as ImageNet's recipes do; None: no crop.
    """

    flip: bool = False
    shift: int = 0
    crop: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.shift, bool) or not isinstance(self.shift, int) or self.shift < 0:
            raise AttribevalError(f"Expected shift as a number of pixels, 0 or more. Received: {self.shift!r}.")
        if self.crop is not None:
            object.__setattr__(self, "crop", tuple(self.crop))  # a list, as it comes back from JSON
        if self.crop is not None and not (len(self.crop) == 2 and 0 < self.crop[0] <= self.crop[1] <= 1):
            raise AttribevalError(
                f"Expected crop as the least and the greatest share of the area, such as (0.08, 1.0). "
                f"Received: {self.crop!r}."
            )

    def draw_moves(self, seed: int, epochs: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which images are mirrored, bool (B,), and by how much each is shifted, int64 (B, 2)."""
        drawn = _uniform(seed, epochs, items, range(3))
        flips = (drawn[0] < 0.5) if self.flip else np.zeros(len(items), bool)
        return flips, np.floor(drawn[1:].T * (2 * self.shift + 1)).astype(np.int64) - self.shift

    def draw_boxes(self, seed: int, epochs: np.ndarray, items: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Windows to cut out of images of `size`, in whole pixels: int64 (B, 4) y0, x0, y1, x1, edges."""
        height, width = size
        drawn = _uniform(seed, epochs, items, range(3, 3 + 2 * _TRIES + 2))
        low, high = self.crop or (1.0, 1.0)
        area = (low + (high - low) * drawn[:_TRIES]) * height * width
        aspect = np.exp((2 * drawn[_TRIES : 2 * _TRIES] - 1) * math.log(_ASPECT))
        wide, high_ = np.rint(np.sqrt(area * aspect)), np.rint(np.sqrt(area / aspect))
        fits = (wide <= width) & (high_ <= height) & (wide >= 1) & (high_ >= 1)
        first = fits.argmax(0)  # where none fits, the first draw, cut to the image
        each = np.arange(len(items))
        w = np.clip(wide[first, each], 1, width).astype(np.int64)
        h = np.clip(high_[first, each], 1, height).astype(np.int64)
        y0 = np.floor(drawn[-2] * (height - h + 1)).astype(np.int64)
        x0 = np.floor(drawn[-1] * (width - w + 1)).astype(np.int64)
        return np.stack([y0, x0, y0 + h, x0 + w], axis=1)


def _uniform(seed: int, epochs: np.ndarray, items: np.ndarray, streams: range) -> np.ndarray:
    """Uniform numbers in [0, 1), float64 (streams, B)."""
    start = np.full((len(items), 1), seed % 2**64, np.uint64).view(np.int32)
    keys = fold(fold(start, epochs), items)
    return np.stack([(fold(keys, stream).view(np.uint64)[:, 0] >> np.uint64(11)) * 2.0**-53 for stream in streams])
