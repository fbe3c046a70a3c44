"""Objects cut out of one image and pasted into another: exact, hard masks; nothing is blended, no colour is special."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from attribeval.errors import AttribevalError

GREY = 128  # what an object alone is shown on
_SMALLEST, _LARGEST = 1 / math.sqrt(3), 1 / math.sqrt(2)  # the object's dominant side, as a share of the scene's


@dataclass(frozen=True, eq=False)
class Cutout:
    """An object.

    Attributes:
        pixels: uint8 (h, w, 3), the rectangle around it. Pixels off the mask are what was there, for resampling.
        mask: bool (h, w), which of them are the object's. Any colour may be, black too.
    """

    pixels: np.ndarray
    mask: np.ndarray

    def __post_init__(self) -> None:
        if self.pixels.ndim != 3 or self.pixels.shape[2] != 3 or self.pixels.dtype != np.uint8:
            raise AttribevalError(
                f"Expected pixels uint8 (h, w, 3). Received: {self.pixels.dtype} {self.pixels.shape}."
            )
        if self.mask.shape != self.pixels.shape[:2] or self.mask.dtype != bool:
            raise AttribevalError(
                f"Expected a mask bool {self.pixels.shape[:2]}. Received: {self.mask.dtype} {self.mask.shape}."
            )
        if not self.mask.any():
            raise AttribevalError("Expected an object of at least one pixel. Received an empty mask: drop the object.")


def cut_out(image: np.ndarray, mask: np.ndarray) -> Cutout:
    """The rectangle around a mask, bool (H, W), of an image, uint8 (H, W, 3)."""
    Cutout(image, mask)  # refuses what is none
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    window = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Cutout(np.ascontiguousarray(image[window]), np.ascontiguousarray(mask[window]))


def resized(cutout: Cutout, size: tuple[int, int]) -> Cutout:
    """The object at (height, width): pixels bilinearly with PIL's anti-aliasing, a pixel is the object's if at least
    half of what it is made of was.
    """
    if cutout.mask.shape == tuple(size):
        return cutout
    wanted = (size[1], size[0])
    pixels = np.asarray(Image.fromarray(cutout.pixels).resize(wanted, Image.Resampling.BILINEAR))
    share = Image.fromarray(cutout.mask.astype(np.float32)).resize(wanted, Image.Resampling.BILINEAR)
    mask = np.asarray(share) >= 0.5
    if not mask.any():  # thinner than half a pixel: its strongest pixels stand for it
        mask = np.asarray(share) >= np.asarray(share).max()
    return Cutout(pixels, mask)


def paste(scene: np.ndarray, cutout: Cutout, top: int, left: int) -> tuple[np.ndarray, np.ndarray]:
    """Paste an object into a scene, uint8 (H, W, 3), its first row and column at `top`, `left`.

    Returns a new image, equal to the scene off the mask; and the mask, bool (H, W).
    """
    height, width = cutout.mask.shape
    if top < 0 or left < 0 or top + height > scene.shape[0] or left + width > scene.shape[1]:
        raise AttribevalError(
            f"Expected an object inside its scene of {scene.shape[0]} × {scene.shape[1]} pixels. Received one of "
            f"{height} × {width} at row {top}, column {left}: make it smaller, or take a larger scene."
        )
    mask = np.zeros(scene.shape[:2], bool)
    place = np.s_[top : top + height, left : left + width]
    mask[place] = cutout.mask
    image = scene.copy()
    image[place][cutout.mask] = cutout.pixels[cutout.mask]
    return image, mask


def drawn_size(cutout: tuple[int, int], scene: tuple[int, int], u: float) -> tuple[int, int]:
    """The size that an object is pasted at.

    Its dominant side, the one that takes the larger share of the scene's, becomes 1/√3 to 1/√2 of the scene's, as the
    released code of BAM does; that of a square object then covers 1/3 to 1/2 of the area, as the article says. Sizes
    are (height, width), at least 1; 0 <= u < 1 is uniform.
    """
    shares = [side / of for side, of in zip(cutout, scene, strict=True)]
    dominant = int(shares[1] > shares[0])
    low, high = (int(scene[dominant] * share) for share in (_SMALLEST, _LARGEST))
    side = low + math.floor(u * max(high - low, 1))
    scale = side / cutout[dominant]
    size = [max(1, min(int(scale * side_), of)) for side_, of in zip(cutout, scene, strict=True)]
    size[dominant] = max(1, side)
    return size[0], size[1]


def placed_anew(
    images: np.ndarray,
    scenes: np.ndarray,
    masks: np.ndarray,
    seed: int,
    scale: float = 1.0,
    numbers: Sequence[int] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The same objects in the same scenes at another place, and size if asked: for the robustness rows of a metric.

    Args:
        images, scenes: Composites and their scenes, uint8 (N, H, W, 3).
        masks: bool (N, H, W).
        seed: Of the places.
        scale: Times the object's sides; an object that would not fit gets as large as fits.
        numbers: Number of each image, of which its place depends; None: 0, 1, …. With the numbers in the data set,
            images can be made in any parts.

    Returns:
        Composites uint8 (N, H, W, 3) and masks bool (N, H, W), new arrays.
    """
    made, where = np.empty_like(images), np.zeros(masks.shape, bool)
    for i, (image, scene, mask) in enumerate(zip(images, scenes, masks, strict=True)):
        cutout = cut_out(image, mask)
        height, width = cutout.mask.shape
        fits = min(scale, scene.shape[0] / height, scene.shape[1] / width)
        cutout = resized(cutout, (max(1, int(height * fits)), max(1, int(width * fits))))
        rng = np.random.default_rng([seed, i if numbers is None else int(numbers[i])])
        top, left = (int(rng.integers(of - side + 1)) for side, of in zip(cutout.mask.shape, scene.shape, strict=False))
        made[i], where[i] = paste(scene, cutout, top, left)
    return made, where
