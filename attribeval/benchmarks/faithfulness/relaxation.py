"""Compiled loops of the imputation's solver: planes (C, H, W) whose pixels are tied to their eight neighbours.

K(x) at a pixel is the sum of its neighbours, direct ones twice and diagonal ones once; nothing lies outside the image.
Inner loops run along rows and have few arrays, so that the compiler makes them work on many pixels at a time.
"""

from __future__ import annotations

import numpy as np

from attribeval.benchmarks.compiled import compiled


@compiled
def relax(
    rest: np.ndarray, x: np.ndarray, scale: np.ndarray, diagonal: np.ndarray, keep: np.float32, out: np.ndarray
) -> None:
    """out = keep · x + scale · (rest − diagonal · x + K(x)): a residual, or a step of Jacobi's.

    Args:
        rest: float32 (C, H, W).
        x: float32 (C, H, W).
        scale, diagonal: float32 (H, W).
        keep: 0 or 1.
        out: float32 (C, H, W), written; none of the others.
    """
    channels, height, width = x.shape
    two, four = np.float32(2), np.float32(4)
    outside, columns = np.zeros(width, np.float32), np.zeros(width + 2, np.float32)
    for c in range(channels):
        for y in range(height):
            middle, known, factor, weight, row = x[c, y], rest[c, y], scale[y], diagonal[y], out[c, y]
            above = x[c, y - 1] if y > 0 else outside
            below = x[c, y + 1] if y < height - 1 else outside
            for i in range(width):  # (1 2 1)ᵀ (1 2 1) is K and 4 times the pixel itself
                columns[i + 1] = above[i] + two * middle[i] + below[i]
            for i in range(width):
                around = columns[i] + two * columns[i + 1] + columns[i + 2]
                row[i] = keep * middle[i] + factor[i] * (known[i] - (weight[i] + four) * middle[i] + around)


@compiled
def spread(coarse: np.ndarray, mask: np.ndarray, out: np.ndarray) -> None:
    """Add a plane of half the size, interpolated, to `out` where the mask is 1.

    A pixel takes ¾ of the coarse pixel that it lies in and ¼ of the nearest other one, along either axis.

    Args:
        coarse: float32 (C, ⌈H / 2⌉, ⌈W / 2⌉).
        mask: float32 (H, W).
        out: float32 (C, H, W), changed.
    """
    channels, height, width = out.shape
    rows, half = coarse.shape[1:]
    much, little = np.float32(0.75), np.float32(0.25)
    mixed = np.zeros(half, np.float32)
    for c in range(channels):
        for y in range(height):
            near, far = coarse[c, y // 2], coarse[c, min(max(y // 2 + 2 * (y % 2) - 1, 0), rows - 1)]
            for i in range(half):
                mixed[i] = much * near[i] + little * far[i]
            row, unknown = out[c, y], mask[y]
            for i in range(half):
                row[2 * i] += unknown[2 * i] * (much * mixed[i] + little * mixed[max(i - 1, 0)])
                if 2 * i + 1 < width:
                    row[2 * i + 1] += unknown[2 * i + 1] * (much * mixed[i] + little * mixed[min(i + 1, half - 1)])


@compiled
def gather(fine: np.ndarray, out: np.ndarray) -> None:
    """The transpose of `spread`'s interpolation.

    Args:
        fine: float32 (C, H, W).
        out: float32 (C, ⌈H / 2⌉, ⌈W / 2⌉), written.
    """
    channels, height, width = fine.shape
    rows, half = out.shape[1:]
    much, little = np.float32(0.75), np.float32(0.25)
    mixed = np.zeros(half, np.float32)
    out[:] = 0
    for c in range(channels):
        for y in range(height):
            row = fine[c, y]
            for i in range(half):
                value = much * row[2 * i] + little * row[max(2 * i - 1, 0)]
                if 2 * i + 1 < width:
                    value += much * row[2 * i + 1] + little * row[min(2 * i + 2, width - 1)]
                mixed[i] = value
            near, far = out[c, y // 2], out[c, min(max(y // 2 + 2 * (y % 2) - 1, 0), rows - 1)]
            for i in range(half):
                near[i] += much * mixed[i]
            for i in range(half):
                far[i] += little * mixed[i]
