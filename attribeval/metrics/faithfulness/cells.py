"""The cells of a grid over the image: the pixels of each, and what a map gives to each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attribeval.common.options import check_count
from attribeval.errors import AttribevalError


def grid_cells(size: tuple[int, int], grid: int) -> np.ndarray:
    """Cut an image into grid × grid cells, whose sides differ by at most one pixel.

    Args:
        size: (H, W).
        grid: Cells along each side, 1 to the shorter side.

    Returns:
        Cell of each pixel, ints (H, W), 0 to grid² − 1, row by row.

    Raises:
        AttribevalError: If a cell would be empty.
    """
    check_count("grid", grid, 1)
    if grid > min(size):
        raise AttribevalError(f"Expected a grid of at most {min(size)} cells a side, the image's. Received: {grid}.")
    rows, columns = (np.arange(side) * grid // side for side in size)
    return rows[:, None] * grid + columns


def cell_sums(maps: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Σ of each map over each cell.

    Args:
        maps: Finite numbers (N, H, W).
        cells: Cell of each pixel, ints (H, W).

    Returns:
        float64 (N, cells).
    """
    flat, count = cells.ravel(), int(cells.max()) + 1
    return np.stack([np.bincount(flat, weights=one.ravel(), minlength=count) for one in maps])


def gone_cells(masks: np.ndarray, cells: np.ndarray, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """Which pixels of each image lie in cells that are hidden.

    Args:
        masks: Which cells to hide, bool (N, S, cells), or (S, cells) for all images.
        cells: Cell of each pixel, ints (H, W).
        n: Number of images.

    Yields:
        (image's index, bool (H, W)), S for the first image, then the next.
    """
    for i in range(n):
        for mask in masks if masks.ndim == 2 else masks[i]:
            yield i, mask[cells]
