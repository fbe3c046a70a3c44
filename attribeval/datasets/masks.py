"""The object's pixels, made at any size when they are asked for: arrays, polygons, run lengths, files.

A mask has one method, `at((height, width))`, which returns uint8 (height, width): 1 the object, 0 the background, 255
not to be scored. So images of any size can have masks without any of them being in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, Protocol, runtime_checkable

import numpy as np

from attribeval.datasets.images import image_size, read_image
from attribeval.errors import AttribevalError

IGNORE = 255


@runtime_checkable
class Mask(Protocol):
    """Anything that can say which pixels are the object's."""

    def at(self, size: tuple[int, int]) -> np.ndarray:
        """The mask of the whole image at (height, width): uint8, 0, 1 or 255."""
        ...


class ArrayMask:
    """A mask that is an array.

    Args:
        array: (H, W), bool, or ints 0, 1 and 255.
    """

    def __init__(self, array: np.ndarray):
        array = np.asarray(array)
        if array.ndim != 2 or array.size == 0 or array.dtype.kind not in "bui":
            raise AttribevalError(f"Expected a mask (H, W) of bools or ints. Received: {array.shape}, {array.dtype}.")
        if array.dtype != bool and not np.isin(array, (0, 1, IGNORE)).all():
            raise AttribevalError("Expected a mask of 0 (background), 1 (object) and 255 (ignore). Received others.")
        self._array = array.astype(np.uint8)
        self.native = self._array.shape  # (height, width) that it was made at

    def at(self, size: tuple[int, int]) -> np.ndarray:
        """Each pixel is the one of the array in which its centre lies."""
        rows, columns = (
            ((np.arange(n) + 0.5) * old / n).astype(int) for n, old in zip(size, self._array.shape, strict=True)
        )
        return self._array[rows[:, None], columns]


class PolygonMask:
    """The union of polygons: a pixel is the object's if its centre lies in one of them.

    Args:
        polygons: Arrays (k, 2) of corners x, y in pixels (edges: the first pixel is 0 to 1), k >= 3.
        size: (height, width) of the image that they refer to.
    """

    def __init__(self, polygons: Sequence[np.ndarray], size: tuple[int, int]):
        self._polygons = [np.asarray(polygon, np.float64).reshape(-1, 2) for polygon in polygons]
        if any(len(polygon) < 3 or not np.isfinite(polygon).all() for polygon in self._polygons):
            raise AttribevalError("Expected polygons of three or more finite corners x, y. Received fewer, or NaN.")
        self._size = self.native = size

    def at(self, size: tuple[int, int]) -> np.ndarray:
        from skimage.draw import polygon as inside

        mask = np.zeros(size, np.uint8)
        for corners in self._polygons:
            x, y = (corners * (np.array(size[::-1]) / self._size[::-1])).T
            mask[inside(y - 0.5, x - 0.5, size)] = 1
        return mask


class RunLengthMask:
    """COCO's run lengths: columns from left to right, background first.

    Args:
        counts: Run lengths, or COCO's string of them.
        size: (height, width) of the image.

    Raises:
        AttribevalError: If the runs do not cover the image.
    """

    def __init__(self, counts: Sequence[int] | str | bytes, size: tuple[int, int]):
        self._counts = decode_counts(counts) if isinstance(counts, str | bytes) else [int(n) for n in counts]
        self._size = self.native = (int(size[0]), int(size[1]))
        if min(self._counts, default=0) < 0 or sum(self._counts) != self._size[0] * self._size[1]:
            raise AttribevalError(
                f"Expected run lengths that cover the image, {self._size[0]} × {self._size[1]} pixels. Received a sum "
                f"of {sum(self._counts)}."
            )

    def at(self, size: tuple[int, int]) -> np.ndarray:
        values = np.arange(len(self._counts)) % 2 == 1
        return ArrayMask(np.repeat(values, self._counts).reshape(self._size[::-1]).T).at(size)


def decode_counts(text: str | bytes) -> list[int]:
    """Run lengths from COCO's compressed string.

    Each number is written in groups of five bits, lowest first, as characters from "0" on; bit 5 says that another
    group follows, bit 4 of the last group is the sign. From the fourth on, numbers are differences to the one but last.
    """
    numbers: list[int] = []
    value = shift = 0
    for character in text.encode("ascii") if isinstance(text, str) else text:
        group = character - 48
        if not 0 <= group < 64:
            raise AttribevalError(
                f"Expected COCO's run-length string. Received the character {chr(character)!r} in it."
            )
        value |= (group & 0x1F) << shift
        shift += 5
        if not group & 0x20:
            if group & 0x10:
                value -= 1 << shift
            numbers.append(value + (numbers[-2] if len(numbers) > 2 else 0))
            value = shift = 0
    if shift:
        raise AttribevalError("Expected COCO's run-length string. Received one that is cut off.")
    return numbers


class Layers:
    """The union of objects, above a layer that is not scored.

    Args:
        objects: Masks of the object's parts or instances.
        ignored: Masks of what is not scored (crowds, group regions).
    """

    def __init__(self, objects: Sequence[Mask], ignored: Sequence[Mask] = ()):
        self._objects, self._ignored = list(objects), list(ignored)

    @property
    def native(self) -> tuple[int, int]:
        """(height, width) that the first object was made at."""
        first: Any = self._objects[0]
        return first.native

    def at(self, size: tuple[int, int]) -> np.ndarray:
        mask = np.zeros(size, np.uint8)
        for layers, value in ((self._ignored, IGNORE), (self._objects, 1)):
            for layer in layers:
                mask[layer.at(size) == 1] = value
        return mask


class FileMask(Layers):
    """Masks in image files, any value above half of white is inside.

    Args:
        objects: Files whose union is the object.
        ignored: A file of pixels that are not scored (where they are not the object's), or None.
    """

    def __init__(self, objects: Sequence[str | PathLike], ignored: str | PathLike | None = None):
        super().__init__([_Grey(path) for path in objects], [] if ignored is None else [_Grey(ignored)])


class _Grey:
    def __init__(self, path: str | PathLike):
        self._path = path

    @property
    def native(self) -> tuple[int, int]:
        return image_size(self._path)

    def at(self, size: tuple[int, int]) -> np.ndarray:
        return ArrayMask(read_image(self._path, channels=1, exif=False)[..., 0] > 127).at(size)
