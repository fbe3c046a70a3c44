"""Images resized and cropped, and what happens to boxes. Boxes are edges x0, y0, x1, y1; sizes (height, width)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from attribeval.errors import AttribevalError

if TYPE_CHECKING:
    from attribeval.datasets.samples import Samples


def relative_box(
    edges: Sequence[float], size: tuple[float, float], where: str, slack: float = 0, remedy: str = "correct or drop it"
) -> np.ndarray:
    """A box in pixels of an image of `size` as shares of it, float64 (4,), cut at its edges.

    Refused, with `where` in the message, if it has no area inside the image or leaves it by more than `slack` pixels.
    """
    height, width = size
    frame = (width, height, width, height)
    cut = [min(max(edge, 0), side) for edge, side in zip(edges, frame, strict=True)]
    inside = np.isfinite(size).all() and all(abs(one - edge) <= slack for one, edge in zip(cut, edges, strict=True))
    if not (inside and cut[0] < cut[2] and cut[1] < cut[3]):
        raise AttribevalError(
            f"Expected a box x0 < x1, y0 < y1 with an area inside its image of {width:g} × {height:g} (width × "
            f"height). Received {list(edges)} for {where}: {remedy}."
        )
    return np.array(cut, np.float64) / frame


def scale_boxes(boxes: np.ndarray, old: tuple[float, float], new: tuple[float, float]) -> np.ndarray:
    """Boxes (k, 4) in pixels of an image of size `old`, in pixels of the same image resized to `new`.

    (1, 1) stands for relative coordinates on either side.
    """
    (old_height, old_width), (height, width) = old, new
    if min(old_height, old_width, height, width) <= 0:
        raise AttribevalError(f"Expected sizes (height, width) with both positive. Received: {old}, {new}.")
    scale = np.array([width / old_width, height / old_height] * 2)
    return np.asarray(boxes, np.float64).reshape(-1, 4) * scale


def crop_boxes(boxes: np.ndarray, window: tuple[float, float, float, float]) -> np.ndarray:
    """Boxes (k, 4) as they are seen through a window x0, y0, x1, y1: cut at its edges, from its top left corner.

    Boxes outside the window are left out.
    """
    x0, y0, x1, y1 = window
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    cut = np.clip(boxes, [x0, y0, x0, y0], [x1, y1, x1, y1]) - [x0, y0, x0, y0]
    return cut[(cut[:, :2] < cut[:, 2:]).all(1)]


def centre_crop(size: tuple[int, int], side: int, short_side: int | None = None) -> tuple[tuple[int, int], int, int]:
    """The usual test-time crop: the short side is resized (None: to `side`), then the centred square is cut out.

    Returns:
        resized: (height, width) after resizing, the long side rounded to whole pixels.
        top, left: First row and column of the square in it (odd margins: one pixel less above and to the left).
    """
    height, width = size
    short_side = side if short_side is None else short_side
    if min(size) < 1 or side < 1 or short_side < side:
        raise AttribevalError(
            f"Expected a crop of at least 1 pixel, no larger than the short side. Received: a square of {side} from an "
            f"image of {height}×{width} with its short side at {short_side}."
        )
    scale = short_side / min(height, width)
    resized = (max(side, round(height * scale)), max(side, round(width * scale)))
    return resized, (resized[0] - side) // 2, (resized[1] - side) // 2


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


def crop_relative_boxes(
    boxes: np.ndarray, size: tuple[int, int], side: int, short_side: int | None = None
) -> np.ndarray:
    """Boxes relative to an image (0 to 1), relative to its centre crop (see `centre_crop`)."""
    (height, width), top, left = centre_crop(size, side, short_side)
    in_pixels = crop_boxes(scale_boxes(boxes, (1, 1), (height, width)), (left, top, left + side, top + side))
    return scale_boxes(in_pixels, (side, side), (1, 1))
