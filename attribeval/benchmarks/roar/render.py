"""From records to batches: masks decoded, values replaced, images moved, each image in one go while it is in cache."""

from __future__ import annotations

import numpy as np

from attribeval.benchmarks.compiled import compiled


@compiled
def fill_masked(
    images: np.ndarray, packed: np.ndarray, columns: np.ndarray, fills: np.ndarray, repeat: int, out: np.ndarray
) -> None:
    """Replace the values that the table says.

    Args:
        images: (B, V) of any numeric type.
        packed: uint8 (B, n), rank levels.
        columns: bool (values per byte, 256): the mask table, turned.
        fills: float32 (1 or B, V): what replaced values become.
        repeat: Values that share a level: C where whole pixels are ranked, otherwise 1.
        out: float32 (B, V), written.
    """
    n = packed.shape[1]
    ranked = images.shape[1] // repeat
    mask = np.empty(ranked, np.bool_)
    for b in range(images.shape[0]):
        codes, image, target = packed[b], images[b], out[b]
        fill = fills[b if fills.shape[0] > 1 else 0]
        for j in range(columns.shape[0]):
            column, start = columns[j], j * n
            part = mask[start : min(start + n, ranked)]
            for i in range(part.shape[0]):
                part[i] = column[codes[i]]
        if repeat == 1:
            for i in range(ranked):
                target[i] = fill[i] if mask[i] else np.float32(image[i])
        else:
            for i in range(ranked):
                for v in range(i * repeat, (i + 1) * repeat):
                    target[v] = fill[v] if mask[i] else np.float32(image[v])


@compiled
def move(images: np.ndarray, flips: np.ndarray, shifts: np.ndarray, pad: np.ndarray, out: np.ndarray) -> None:
    """Mirror some images and shift each by whole pixels; what comes in from outside has the colour `pad`.

    Args:
        images: float32 (B, H, W, C).
        flips: bool (B,): mirrored left to right, before the shift.
        shifts: int (B, 2): rows and columns by which the window moves down and right.
        pad: float32 (C,).
        out: float32 (B, H, W, C), written.
    """
    count, height, width, channels = images.shape
    for b in range(count):
        down, right = shifts[b, 0], shifts[b, 1]
        for y in range(height):
            row = y + down
            for x in range(width):
                column = x + right
                if 0 <= row < height and 0 <= column < width:
                    if flips[b]:
                        column = width - 1 - column
                    for c in range(channels):
                        out[b, y, x, c] = images[b, row, column, c]
                else:
                    for c in range(channels):
                        out[b, y, x, c] = pad[c]
