"""The cells of a grid over the image: the pixels of each, what a map gives to each, and what hiding some costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from attribeval.common.fills import Fill
from attribeval.common.options import check_count
from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.on_device import scores_without
from attribeval.metrics.faithfulness.scoring import clean_scores
from attribeval.metrics.subject import Subject


def grid_cells(size: tuple[int, int], grid: int) -> np.ndarray:
    """Cut an image (H, W) into grid × grid cells, whose sides differ by at most one pixel.

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
    """Σ of each map (N, H, W) over each cell, float64 (N, cells)."""
    flat, count = cells.ravel(), int(cells.max()) + 1
    return np.stack([np.bincount(flat, weights=one.ravel(), minlength=count) for one in maps])


def cell_drops(subject: Subject, masks: np.ndarray, cells: np.ndarray, fill: Fill) -> np.ndarray:
    """Logit of each image less that without some cells, float64 (N, S).

    Args:
        subject: Images and model.
        masks: Which cells to hide, bool (N, S, cells), or (S, cells) for all images.
        cells: Cell of each pixel, ints (H, W).
        fill: What replaces them, in raw space.
    """
    masks = np.broadcast_to(masks, (len(subject), *masks.shape[-2:]))

    def gone() -> Iterator[tuple[int, np.ndarray]]:
        for i, some in enumerate(masks):
            yield from ((i, mask[cells]) for mask in some)

    clean = clean_scores(subject)[:, :1]
    return clean - scores_without(subject, fill, gone()).reshape(masks.shape[:2])
