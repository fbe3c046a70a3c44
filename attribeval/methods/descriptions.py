"""Masks written down in a few numbers, and how a graph draws them: grids, windows, segments, ranks, bits, stencils."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval import _tf as tf


@dataclass(frozen=True)
class Masks:
    """A way to write masks down.

    Attributes:
        name: Tells it from the others.
        draw: (owners (M,), size (H, W), dtype, *given, *rows) -> masks (M, H, W) or (M, H, W, C), 1 shows and 0 hides;
            inside a graph.
        given: `tf.TensorSpec` of what is said once.
        rows: `tf.TensorSpec` of what is said of each mask.
        binary: Whether masks (M, H, W) are 0 or 1 and nothing between.
    """

    name: str
    draw: Callable
    given: tuple[Any, ...]
    rows: tuple[Any, ...]
    binary: bool = False


def cells() -> Masks:
    """Cells (M, g, g) of a grid over the whole image, floats; given: each row's and each column's cell, ints."""

    def draw(owners, size, dtype, rows, columns, grids):
        return tf.gather(tf.gather(tf.cast(grids, dtype), rows, axis=1), columns, axis=2)

    return Masks("cells", draw, (_ints(1), _ints(1)), (tf.TensorSpec([None] * 3, tf.float32),))


def cells_of(size: tuple[int, int], grid: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `grid` cells each row and each column of an image (H, W) lies in."""
    rows, columns = (np.arange(side) * grid // side for side in size)
    return rows, columns


def shifted_cells() -> Masks:
    """Cells (M, g, g), enlarged and cropped from the places (M, 2) on; given: the enlargements, (length, g) each."""

    def draw(owners, size, dtype, down, across, grids, shifts):
        ways = [
            tf.gather(tf.cast(matrix, dtype), shifts[:, axis : axis + 1] + tf.range(size[axis]))
            for axis, matrix in enumerate((down, across))
        ]
        return ways[0] @ tf.cast(grids, dtype) @ tf.transpose(ways[1], [0, 2, 1])

    matrix = tf.TensorSpec([None, None], tf.float32)
    return Masks("shifted cells", draw, (matrix, matrix), (tf.TensorSpec([None] * 3, tf.float32), _ints(2)))


def windows() -> Masks:
    """A square window is hidden, first pixels (M, 2); given: its side, int ()."""

    def draw(owners, size, dtype, side, corners):
        inside = []
        for axis in (0, 1):
            places = tf.range(size[axis])[None] - corners[:, axis : axis + 1]
            inside.append(tf.cast((places >= 0) & (places < side), dtype))
        return 1 - inside[0][:, :, None] * inside[1][:, None]

    return Masks("windows", draw, (_ints(0),), (_ints(2),), binary=True)


def segments() -> Masks:
    """Segments to be seen, bool (M, S); given: the segment of each pixel of each image, ints (B, H, W)."""

    def draw(owners, size, dtype, labels, shown):
        masks, segments = tf.unstack(tf.shape(shown))
        first = (tf.range(masks) * segments)[:, None, None]  # one flat list is read twice as fast as a list each
        return tf.gather(tf.cast(tf.reshape(shown, [-1]), dtype), first + tf.gather(labels, owners))

    return Masks("segments", draw, (_ints(3),), (tf.TensorSpec([None, None], tf.bool),), binary=True)


def bits(channels: int | None = None) -> Masks:
    """Whether each pixel is to be seen, packed by `np.packbits`, bytes (M, H·W / 8); or each of its `channels` values.

    With channels, masks are (M, H, W, C), in the order of the raw images' channels.
    """
    shape = [] if channels is None else [channels]

    def draw(owners, size, dtype, packed):
        one_by_one = tf.bitwise.right_shift(packed[:, :, None], tf.constant([7, 6, 5, 4, 3, 2, 1, 0], tf.uint8))
        flat = tf.reshape(tf.bitwise.bitwise_and(one_by_one, tf.constant(1, tf.uint8)), [tf.shape(packed)[0], -1])
        flat = flat[:, : size[0] * size[1] * (channels or 1)]
        return tf.cast(tf.reshape(flat, tf.concat([[-1], size, tf.constant(shape, tf.int32)], 0)), dtype)

    packed = tf.TensorSpec([None, None], tf.uint8)
    return Masks(f"bits, channels: {channels}", draw, (), (packed,), binary=channels is None)


def ranks() -> Masks:
    """The first n pixels are hidden, ints (M,); given: each pixel's place in the order of its image, ints (B, H, W)."""

    def draw(owners, size, dtype, places, counts):
        return tf.cast(tf.gather(places, owners) >= counts[:, None, None], dtype)

    return Masks("ranks", draw, (_ints(3),), (_ints(1),), binary=True)


def stencils() -> Masks:
    """One of a few masks, its number (M,); given: the masks, floats (K, H, W)."""

    def draw(owners, size, dtype, masks, numbers):
        return tf.gather(tf.cast(masks, dtype), numbers)

    return Masks("stencils", draw, (tf.TensorSpec([None] * 3, tf.float32),), (_ints(1),))


def _ints(rank: int) -> Any:
    return tf.TensorSpec([None] * rank, tf.int32)
