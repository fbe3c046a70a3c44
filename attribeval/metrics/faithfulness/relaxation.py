"""Compiled loops of the imputation's solver: planes (C, H, W) whose pixels are tied to their eight neighbours.

K(x) at a pixel is the sum of its neighbours, direct ones twice and diagonal ones once; nothing lies outside the image.
Inner loops run along rows and have few arrays, so that the compiler makes them work on many pixels at a time.
"""

from __future__ import annotations

import numpy as np

from attribeval.metrics.compiled import compiled


@compiled
def relax(rest: np.ndarray, x: np.ndarray, scale: np.ndarray, diagonal: np.ndarray, keep: np.float32) -> np.ndarray:
    """keep · x + scale · (rest − diagonal · x + K(x)): a residual (keep 0), or a step of Jacobi's (keep 1).

    All are float32: rest, x and the result (C, H, W), scale and diagonal (H, W).
    """
    out = np.empty_like(x)
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
    return out


@compiled
def spread(coarse: np.ndarray, mask: np.ndarray, out: np.ndarray) -> None:
    """Add a plane of half the size, interpolated, to `out` where the mask is 1.

    A pixel takes ¾ of the coarse pixel that it lies in and ¼ of the nearest other one, along either axis. All are
    float32: coarse (C, ⌈H / 2⌉, ⌈W / 2⌉), mask (H, W), out (C, H, W).
    """
    channels, height, width = out.shape
    rows, half = coarse.shape[1:]
    much, little = np.float32(0.75), np.float32(0.25)
    mixed = np.zeros(half + 2, np.float32)
    for c in range(channels):
        for y in range(height):
            near, far = coarse[c, y // 2], coarse[c, min(max(y // 2 + 2 * (y % 2) - 1, 0), rows - 1)]
            for i in range(half):
                mixed[i + 1] = much * near[i] + little * far[i]
            mixed[0], mixed[half + 1] = mixed[1], mixed[half]
            row, unknown = out[c, y], mask[y]
            for i in range(width // 2):
                row[2 * i] += unknown[2 * i] * (much * mixed[i + 1] + little * mixed[i])
                row[2 * i + 1] += unknown[2 * i + 1] * (much * mixed[i + 1] + little * mixed[i + 2])
            if width % 2:
                row[width - 1] += unknown[width - 1] * (much * mixed[half] + little * mixed[half - 1])


@compiled
def gather(fine: np.ndarray) -> np.ndarray:
    """The transpose of `spread`'s interpolation: float32 (C, H, W) to (C, ⌈H / 2⌉, ⌈W / 2⌉)."""
    channels, height, width = fine.shape
    rows, half = (height + 1) // 2, (width + 1) // 2
    much, little = np.float32(0.75), np.float32(0.25)
    padded, mixed = np.zeros(width + 3, np.float32), np.zeros(half, np.float32)
    out = np.zeros((channels, rows, half), np.float32)
    for c in range(channels):
        for y in range(height):
            padded[1 : width + 1] = fine[c, y]
            padded[0] = padded[1]
            if width % 2 == 0:
                padded[width + 1] = padded[width]
            for i in range(half):
                inner, outer = padded[2 * i + 1] + padded[2 * i + 2], padded[2 * i] + padded[2 * i + 3]
                mixed[i] = much * inner + little * outer
            near, far = out[c, y // 2], out[c, min(max(y // 2 + 2 * (y % 2) - 1, 0), rows - 1)]
            for i in range(half):
                near[i] += much * mixed[i]
            for i in range(half):
                far[i] += little * mixed[i]
    return out
