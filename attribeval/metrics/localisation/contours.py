"""All boxes of all thresholds at once: how well the best component, or the best contour, meets the ground truth.

Two questions are answered without thresholding anything:

* `best_overlaps`: of *all* components of {levels > t}, the best IoU with a true box (MaxBoxAccV2). A component lives
  over a range of thresholds, until a pixel joins it; there are no more of them than pixels. Each writes its IoU over
  its range once.
* `reference_contours`: the box of the contour with the largest *polygon* area, as the reference code of Choe et al.
  2020 takes it: holes count as filled, the polygon runs through pixel centres, so a line one pixel wide has no area. Of
  several with that area it is the one whose first pixel comes *last* in raster order: `findContours` lists the outer
  contours from the bottom up, and `max` takes the first. A map whose holes are filled at all thresholds together ("fill
  holes" of grey maps: each pixel becomes the lowest level at which it can be reached from outside) has the same outer
  contours and no holes, and the polygon's area is then a sum over 2 × 2 squares of pixels: 1 if all four are in, ½ if
  three are (Suzuki & Abe 1985 trace exactly that line).

Foreground is 8-connected, background 4-connected, the outside of the image is background: OpenCV's `findContours`.
"""

from __future__ import annotations

import numpy as np

from attribeval.metrics.compiled import compiled
from attribeval.metrics.localisation.component_tree import check_levels, swept
from attribeval.metrics.localisation.components import overlap


def _gains() -> np.ndarray:
    """Twice the polygon area that a pixel adds, given which of its eight neighbours are there, as in `component_tree`.

    Of each of the four squares of pixels that it completes to three or to four, a half.
    """
    squares = [(7, 0, 1), (1, 2, 3), (3, 4, 5), (5, 6, 7)]
    return np.array(
        [sum(sum(present >> i & 1 for i in square) >= 2 for square in squares) for present in range(256)], np.uint8
    )


GAINS = _gains()


def best_overlaps(levels: np.ndarray, ground_truth: np.ndarray) -> np.ndarray:
    """The best IoU that any 8-connected component of {levels > t} has with any true box (k, 4), for t = 0..255.

    float64 (256,); 0 where no pixel is above t. Edges in pixels of the map, half-open, k >= 1 (checked by the caller).
    """
    return swept(levels, truth=ground_truth)[2]


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
    filled = without_holes(levels)
    boxes, _, best = swept(levels, GAINS, last=True, truth=truth, longer=1)
    if (filled != levels).any():
        boxes, _, _ = swept(filled, GAINS, last=True)
        # {levels <= t} is {255 − levels > 254 − t}
        _, _, of_holes = swept(255 - levels, truth=truth, longer=1, holes=True)
        best[:255] = np.maximum(best[:255], of_holes[254::-1])
    height, width = levels.shape
    boxes[:, 2:] = np.minimum(boxes[:, 2:] + 1, (width, height))
    best[levels.max() :] = overlap(truth, 0, 0, 1, 1)
    return boxes, best


@compiled
def without_holes(levels):
    """Each pixel's level raised to the lowest at which a 4-connected path leads from it out of the image.

    {filled > t} is {levels > t} with its holes filled, at every t. Levels are visited from low to high, each with a
    stack of its own (a flood whose water rises).
    """
    height, width = levels.shape
    row = width + 4  # two pixels of outside all around: the flood starts in the inner ones and stays within the outer
    filled, visited = np.zeros((height + 4, row), np.uint8), np.ones((height + 4, row), np.bool_)
    filled[2:-2, 2:-2] = levels
    visited[1:-1, 1:-1] = False
    surface, seen = filled.ravel(), visited.ravel()
    top, below = np.full(256, -1, np.int32), np.full(len(surface), -1, np.int32)  # linked lists, one per level
    top[0] = row + 1
    seen[row + 1] = True
    for water in range(256):
        while top[water] >= 0:
            pixel = top[water]
            top[water] = below[pixel]
            for step in (-row, -1, 1, row):
                other = pixel + step
                if not seen[other]:
                    seen[other] = True
                    level = surface[other] = max(surface[other], np.uint8(water))
                    below[other] = top[level]
                    top[level] = other
    return filled[2:-2, 2:-2].copy()
