"""From records to batches: masks decoded, values replaced, images moved; each image in one go, while it is in cache."""

from __future__ import annotations

import numpy as np

from attribeval.metrics.compiled import compiled


@compiled
def render(
    images: np.ndarray,
    packed: np.ndarray,
    rule: tuple[int, int, int, bool, int],
    fills: np.ndarray,
    flips: np.ndarray,
    shifts: np.ndarray,
    pad: np.ndarray,
    out: np.ndarray,
) -> None:
    """Replace the values that the table says, then mirror and shift.

    Args:
        images: (B, H, W, C) of any numeric type.
        packed: uint8 (B, n), rank levels.
        rule: (base, digits per byte, cut, remove, repeat): where a level is below `cut`, the value is replaced, or, if
            not `remove`, kept; `repeat` values share a level: C where whole pixels are ranked, otherwise 1. No digits:
            nothing is replaced.
        fills: float32 (1 or B, H · W · C): what replaced values become.
        flips: bool (B,): mirrored left to right, before the shift; empty: nothing is mirrored or shifted.
        shifts: int64 (B, 2): rows and columns by which the window moves down and right.
        pad: float32 (C,): the colour of what a shift brings in from outside.
        out: float32 (B, H, W, C), written.
    """
    count, height, width, channels = images.shape
    size, repeat = height * width * channels, rule[4]
    filled = np.empty((height, width, channels), np.float32)
    ranked, mask = np.empty(size // repeat, np.bool_), np.empty(size, np.bool_)
    for b in range(count):
        target = filled if len(flips) else out[b]
        image, flat = images[b].reshape(size), target.reshape(size)
        if rule[1]:
            _decode(packed[b], rule, ranked if repeat > 1 else mask)
            if repeat > 1:
                for c in range(repeat):
                    mask[c::repeat] = ranked
            _fill(image, mask, fills[b if len(fills) > 1 else 0], flat)
        else:
            for i in range(size):
                flat[i] = np.float32(image[i])
        if len(flips):
            _move(filled, flips[b], shifts[b, 0], shifts[b, 1], pad, out[b])


@compiled
def _decode(codes: np.ndarray, rule: tuple[int, int, int, bool, int], mask: np.ndarray) -> None:
    """Digits by division, which the processor does for many bytes at once where a look-up takes them one by one.

    x // p is x · ⌈2¹⁶ / p⌉ // 2¹⁶ for a byte x and every p up to 256 that is a power of a base from 2 to 16.
    """
    base, digits, cut, remove, _ = rule
    n, power = len(codes), 1
    for j in range(digits):
        this = np.uint32((65536 + power - 1) // power)
        power *= base
        above = np.uint32((65536 + power - 1) // power)
        part = mask[j * n : (j + 1) * n]
        for i in range(len(part)):
            x = np.uint32(codes[i])
            digit = ((x * this) >> np.uint32(16)) - np.uint32(base) * ((x * above) >> np.uint32(16))
            part[i] = (digit < np.uint32(cut)) == remove


@compiled
def _fill(image: np.ndarray, mask: np.ndarray, fill: np.ndarray, out: np.ndarray) -> None:
    for i in range(len(out)):
        out[i] = fill[i] if mask[i] else np.float32(image[i])


@compiled
def _move(image: np.ndarray, flip: bool, down: int, right: int, pad: np.ndarray, out: np.ndarray) -> None:
    height, width, channels = image.shape
    first, last = max(0, -right), min(width, width - right)  # columns of `out` that come from inside
    for y in range(height):
        row = y + down
        if row < 0 or row >= height or first >= last:
            out[y] = pad
            continue
        out[y, :first] = pad
        out[y, last:] = pad
        if flip:
            for x in range(first, last):
                for c in range(channels):
                    out[y, x, c] = image[row, width - 1 - x - right, c]
        else:
            out[y, first:last] = image[row, first + right : last + right]
