"""All boxes of all thresholds at once: how well the best component, or the best contour, meets the ground truth.

Two questions are answered without thresholding anything:

* `best_overlaps`: of *all* components of {levels > t}, the best IoU with a true box (MaxBoxAccV2). A component lives
  over a range of thresholds, until a pixel joins it; there are no more of them than pixels. Each writes its IoU over
  its range once.
* `largest_contours`: the box of the contour with the largest *polygon* area, as the reference code of Choe et al. 2020
  takes it: holes count as filled, the polygon runs through pixel centres, so a line one pixel wide has no area. A map
  whose holes are filled at all thresholds together ("fill holes" of grey maps: each pixel becomes the lowest level at
  which it can be reached from outside) has the same outer contours and no holes, and the polygon's area is then a sum
  over 2 × 2 squares of pixels: 1 if all four are in, ½ if three are (Suzuki & Abe 1985 trace exactly that line).

Foreground is 8-connected, background 4-connected, the outside of the image is background: OpenCV's `findContours`.
"""

from __future__ import annotations

import numpy as np

from attribeval.metrics.compiled import compiled
from attribeval.metrics.localisation.component_tree import check_levels, swept, workspace
from attribeval.metrics.localisation.components import (
    SINCE,
    X0,
    X1,
    Y0,
    Y1,
    alone,
    find_root,
    join,
    overlap,
    read,
    write,
)


def _gains() -> np.ndarray:
    """Twice the polygon area that a pixel adds, given which of its eight neighbours are there, as in `component_tree`.

    Of each of the four squares of pixels that it completes to three or to four, a half.
    """
    squares = [(7, 0, 1), (1, 2, 3), (3, 4, 5), (5, 6, 7)]
    return np.array(
        [sum(sum(present >> i & 1 for i in square) >= 2 for square in squares) for present in range(256)], np.uint8
    )


_GAINS = _gains()


def largest_contours(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Box and polygon area of the contour with the largest area of {levels > t}, for t = 0..255.

    Of several with the largest area, the one whose first pixel comes *last* in raster order is taken: `findContours`
    lists the outer contours from the bottom up, and `max` takes the first.

    Args:
        levels: uint8 (H, W).

    Returns:
        boxes, int32 (256, 4): edges x0, y0, x1, y1 in pixels, half-open, row t for threshold t; 0, 0, 0, 0 where no
            pixel is above t.
        areas, float64 (256,): `cv2.contourArea` of that contour.

    Raises:
        AttribevalError: If `levels` is not uint8 (H, W) with at least one pixel.
    """
    boxes, doubled, _ = swept(_without_holes(check_levels(levels))[1:-1, 1:-1], _GAINS, last=True)
    return boxes, doubled / 2


def best_overlaps(levels: np.ndarray, ground_truth: np.ndarray) -> np.ndarray:
    """The best IoU that any 8-connected component of {levels > t} has with any true box, for t = 0..255.

    Args:
        levels: uint8 (H, W).
        ground_truth: float64 (k, 4), k >= 1, edges in pixels of the map, half-open (checked by the caller).

    Returns:
        float64 (256,); 0 where no pixel is above t.
    """
    return swept(levels, _GAINS, last=True, truth=ground_truth)[2]


def reference_contours(levels: np.ndarray, ground_truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What V1 and V2 of the reference code need: the largest contour's box, and the best IoU of any contour's box.

    The code's boxes are x, y, min(x + w, W − 1), min(y + h, H − 1) *and* its IoU counts those last pixels in: seen as
    edges, a box is one pixel longer to the right and the bottom unless it ends at the border. Where nothing is above t
    its box is the first pixel.

    Args:
        levels: uint8 (H, W).
        ground_truth: float64 (k, 4), k >= 1, edges, half-open: inclusive true boxes with 1 added to x1 and y1.

    Returns:
        boxes, int32 (256, 4): edges, half-open, as the code draws them.
        best, float64 (256,): best IoU of any contour (holes too) with any true box.

    Raises:
        AttribevalError: If `levels` is not uint8 (H, W) with at least one pixel.
    """
    levels = check_levels(levels)
    truth = np.ascontiguousarray(ground_truth, np.float64)
    filled = _without_holes(levels)
    boxes, _, best = swept(levels, _GAINS, last=True, truth=truth, longer=1)
    ground, surface = np.pad(levels, 1).ravel(), filled.ravel()  # by pixel number, as in `forest`
    pits = np.flatnonzero(surface > ground)
    if len(pits):
        boxes, _, _ = swept(filled[1:-1, 1:-1], _GAINS, last=True)
        pits = pits[np.argsort(ground[pits], kind="stable")]
        ends = np.searchsorted(ground[pits], np.arange(256))
        space = workspace(levels.shape)
        best = np.maximum(best, _best_hole_overlaps(levels.shape, surface, pits, ends, truth, space))
    height, width = levels.shape
    boxes[:, 2:] = np.minimum(boxes[:, 2:] + 1, (width, height))
    best[levels.max() :] = overlap(truth, 0, 0, 1, 1)
    return boxes, best


@compiled
def _without_holes(levels):
    """Each pixel's level raised to the lowest at which a 4-connected path leads from it out of the image.

    {filled > t} is {levels > t} with its holes filled, at every t. Levels are visited from low to high, each with a
    stack of its own (a flood whose water rises).

    Returns:
        uint8 (H + 2, W + 2), with a border of 0.
    """
    height, width = levels.shape
    row = width + 2
    filled = np.zeros((height + 2, row), np.uint8)
    surface = filled.ravel()
    done = np.ones((height + 2, row), np.bool_)
    done[1:-1, 1:-1] = False
    visited = done.ravel()
    filled[1:-1, 1:-1] = levels
    top = np.full(256, -1, np.int32)  # head of a linked list per level
    below = np.empty((height + 2) * row, np.int32)
    for y in range(1, height + 1):
        step = 1 if y == 1 or y == height else max(width - 1, 1)
        for x in range(1, width + 1, step):
            pixel = y * row + x
            visited[pixel] = True
            below[pixel] = top[surface[pixel]]
            top[surface[pixel]] = pixel
    for water in range(256):
        while top[water] >= 0:
            pixel = top[water]
            top[water] = below[pixel]
            for step in (-row, -1, 1, row):
                other = pixel + step
                if not visited[other]:
                    visited[other] = True
                    level = surface[other] = max(surface[other], np.uint8(water))
                    below[other] = top[level]
                    top[level] = other
    return filled


@compiled
def _best_hole_overlaps(size, surface, order, ends, truth, space):
    """The best IoU of any *hole's* contour with a true box, for every threshold, float64 (256,).

    At threshold t the holes are the 4-connected components of the pixels with level <= t < filled: they grow as t
    rises, until the water outside reaches them. A hole's contour runs through the pixels around it. `order`: numbers of
    the pixels in holes by rising level, `ends[t]` how many are below level t.
    """
    height, width = size
    row = width + 2
    table = np.zeros((9, 256))
    _, parent, nodes, _, value, _ = space
    parent[:] = -1
    for threshold in range(255):
        for i in range(ends[threshold], ends[threshold + 1]):
            pixel = order[i]
            y = np.int64(np.uint32(pixel) // np.uint32(row)) - 1
            x = pixel - (y + 1) * row - 1
            parent[pixel] = pixel
            nodes[pixel, SINCE] = -1
            alone(nodes, pixel, x, y)
            root = pixel
            for step in (-row, -1, 1, row):
                if parent[pixel + step] >= 0:
                    other = find_root(parent, pixel + step)
                    if other != root:
                        winner = join(parent, nodes, root, other)
                        loser = other if winner == root else root
                        if 0 <= nodes[loser, SINCE] < threshold:
                            write(table, nodes[loser, SINCE], threshold - 1, value[loser])
                        root = winner
        for i in range(ends[threshold], ends[threshold + 1]):
            root = find_root(parent, order[i])
            x1 = min(nodes[root, X1] + 2, width)
            y1 = min(nodes[root, Y1] + 2, height)
            found = overlap(truth, nodes[root, X0] - 1, nodes[root, Y0] - 1, x1, y1)
            if nodes[root, SINCE] < 0 or found != value[root]:
                if 0 <= nodes[root, SINCE] < threshold:
                    write(table, nodes[root, SINCE], threshold - 1, value[root])
                value[root], nodes[root, SINCE] = found, threshold
    for pixel in order:
        if parent[pixel] == pixel:
            write(table, nodes[pixel, SINCE], surface[pixel] - 1, value[pixel])
    return read(table)
