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

import threading

import numpy as np

from attribeval.metrics.compiled import compiled
from attribeval.metrics.localisation.component_tree import (
    AREA,
    FIRST,
    JOINED,
    SEEN,
    SINCE,
    X0,
    X1,
    Y0,
    Y1,
    check_levels,
    find_root,
    forest,
    join,
    workspace,
)
from attribeval.metrics.localisation.holes import best_hole_overlaps, fill_holes
from attribeval.metrics.localisation.lifetimes import overlap, read, write


def _gains() -> np.ndarray:
    """Twice the polygon area that a pixel adds, given which of its eight neighbours are there (bits as in `JOINED`).

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
    levels = check_levels(levels)
    filled, _, _, _ = fill_holes(levels)
    boxes, doubled, _ = _sweep(filled, JOINED, _GAINS, np.zeros((0, 4)), 0, _workspace(levels.shape))
    return boxes, doubled / 2


def best_overlaps(levels: np.ndarray, ground_truth: np.ndarray) -> np.ndarray:
    """The best IoU that any 8-connected component of {levels > t} has with any true box, for t = 0..255.

    Args:
        levels: uint8 (H, W).
        ground_truth: float64 (k, 4), k >= 1, edges in pixels of the map, half-open (checked by the caller).

    Returns:
        float64 (256,); 0 where no pixel is above t.
    """
    truth = np.ascontiguousarray(ground_truth, np.float64)
    return _sweep(check_levels(levels), JOINED, _GAINS, truth, 0, _workspace(levels.shape))[2]


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
    filled, ground, surface, pits = fill_holes(levels)
    space = _workspace(levels.shape)
    boxes, _, best = _sweep(levels, JOINED, _GAINS, truth, 1, space)
    if len(pits):
        boxes, _, _ = _sweep(filled, JOINED, _GAINS, truth[:0], 0, space)
        best = np.maximum(best, best_hole_overlaps(levels.shape, ground, surface, pits, truth, space))
    height, width = levels.shape
    boxes[:, 2:] = np.minimum(boxes[:, 2:] + 1, (width, height))
    best[levels.max() :] = overlap(truth, 0, 0, 1, 1)
    return boxes, best


_KEPT = threading.local()


def _workspace(size: tuple[int, int]) -> tuple:
    """The tree's arrays; which pixels are there; the IoU of every root; a list of roots."""
    tree = workspace(size)
    if getattr(_KEPT, "tree", None) is not tree:
        pixels = len(tree[1])
        scores = np.empty(pixels, np.uint8), np.empty(pixels), np.empty(pixels, np.int32)
        if pixels > 1_000_000:
            return tree, scores
        _KEPT.tree, _KEPT.scores = tree, scores
    return tree, _KEPT.scores


@compiled
def _neighbours(there, pixel, ring):
    """Which of a pixel's eight neighbours are there, as a bit set."""
    present = 0
    for k in range(8):
        present |= there[pixel + ring[k]] << k
    return present


@compiled
def _last_largest(pixels, parent, nodes, best):
    """Of the roots with the area of the best, the one whose first pixel comes last."""
    area = nodes[best, AREA]
    for pixel in pixels:
        if parent[pixel] == pixel and nodes[pixel, AREA] == area and nodes[pixel, FIRST] > nodes[best, FIRST]:
            best = pixel
    return best


@compiled
def _end(pixels, parent, nodes, table, value):
    """Write down the lifetimes of the roots that are left."""
    for pixel in pixels:
        if parent[pixel] == pixel:
            write(table, 0, nodes[pixel, SINCE], value[pixel])


@compiled
def _sweep(levels, joined, gains, truth, longer, space):
    """One pass over the pixels from bright to dark.

    Args:
        truth: True boxes (k, 4); k = 0 leaves out their part.
        longer: Pixels by which a box is longer to the right and the bottom, up to the border.

    Returns:
        boxes (256, 4) and doubled polygon areas (256,) of the largest contour (right if no threshold has a hole);
        best IoU of any component (256,).
    """
    height, width = levels.shape
    tree, scores = space
    order, ends, parent, nodes, ring = forest(levels, tree)
    there, value, touched = scores  # value: IoU of a root's component, as it has been since nodes[root, SINCE]
    there[:] = 0
    boxes = np.zeros((256, 4), np.int32)
    areas = np.zeros(256, np.int32)
    table = np.zeros((9, 256))
    scored = len(truth) > 0
    best = area = first = -1
    for threshold in range(254, -1, -1):
        outdone = False  # whether another contour of the same area may now come before the best
        n_touched = 0
        for i in range(ends[threshold + 2], ends[threshold + 1]):
            pixel = order[i]
            root = pixel
            parent[pixel] = pixel
            present = _neighbours(there, pixel, ring)
            there[pixel] = 1
            nodes[pixel, AREA] = gains[present]  # here the area is that of the polygon, doubled
            nodes[pixel, SINCE] = nodes[pixel, SEEN] = -1
            for k in range(1, 1 + joined[present, 0]):
                other = find_root(parent, pixel + ring[joined[present, k]])
                if other != root:
                    loser, root = root, join(parent, nodes, root, other)
                    loser = other if root == loser else loser
                    if nodes[loser, SINCE] > threshold:
                        write(table, threshold + 1, nodes[loser, SINCE], value[loser])
            if scored and (n_touched == 0 or touched[n_touched - 1] != root):
                touched[n_touched] = root
                n_touched += 1
            if nodes[root, AREA] > area:
                best, area, first, outdone = root, nodes[root, AREA], nodes[root, FIRST], False
            elif nodes[root, AREA] == area:
                if root == best or parent[best] != best:
                    outdone |= nodes[root, FIRST] < first
                    best, first = root, nodes[root, FIRST]
                elif nodes[root, FIRST] > first:
                    best, first = root, nodes[root, FIRST]
        if outdone:
            best = _last_largest(order[: ends[threshold + 1]], parent, nodes, best)
            first = nodes[best, FIRST]
        for i in range(n_touched):
            root = touched[i]
            if parent[root] == root and nodes[root, SEEN] != threshold:
                nodes[root, SEEN] = threshold
                x1 = min(nodes[root, X1] + longer, width)
                y1 = min(nodes[root, Y1] + longer, height)
                found = overlap(truth, nodes[root, X0], nodes[root, Y0], x1, y1)
                if nodes[root, SINCE] >= 0 and found != value[root]:
                    write(table, threshold + 1, nodes[root, SINCE], value[root])
                if nodes[root, SINCE] < 0 or found != value[root]:
                    value[root], nodes[root, SINCE] = found, threshold
        if best >= 0:
            boxes[threshold] = nodes[best, X0 : Y1 + 1]
            areas[threshold] = area
    if scored:
        _end(order[: ends[1]], parent, nodes, table, value)
    return boxes, areas, read(table)
