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

from attribeval.benchmarks.wsol.component_tree import (
    AREA,
    FIRST,
    REPRESENTATIVES,
    X0,
    X1,
    Y0,
    Y1,
    check_levels,
    compiled,
    find_root,
    forest,
    join,
)


def _gains() -> np.ndarray:
    """Twice the polygon area that a pixel adds, given which of its eight neighbours are there (see `REPRESENTATIVES`).

    Of each of the four squares of pixels that it completes to three or to four, a half.
    """
    squares = [(7, 0, 1), (1, 2, 3), (3, 4, 5), (5, 6, 7)]
    return np.array(
        [sum(sum(present >> i & 1 for i in square) >= 2 for square in squares) for present in range(256)], np.uint8
    )


def _listed() -> np.ndarray:
    """`REPRESENTATIVES[8]` as lists, uint8 (256, 5): how many neighbours to join, and which (at most four)."""
    table = np.zeros((256, 5), np.uint8)
    for present, bits in enumerate(REPRESENTATIVES[8].tolist()):
        neighbours = [i for i in range(8) if bits >> i & 1]
        table[present, 0] = len(neighbours)
        table[present, 1 : 1 + len(neighbours)] = neighbours
    return table


_GAINS = _gains()
_JOINED = _listed()


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
    filled, _ = _fill_holes(levels)
    boxes, doubled, _ = _sweep(filled, _JOINED, _GAINS, np.zeros((0, 4)), 0)
    return boxes, doubled / 2


def best_overlaps(levels: np.ndarray, ground_truth: np.ndarray) -> np.ndarray:
    """The best IoU that any 8-connected component of {levels > t} has with any true box, for t = 0..255.

    Args:
        levels: uint8 (H, W).
        ground_truth: float64 (k, 4), k >= 1, edges in pixels of the map, half-open (checked by the caller).

    Returns:
        float64 (256,); 0 where no pixel is above t.
    """
    _, _, overlaps = _sweep(check_levels(levels), _JOINED, _GAINS, np.ascontiguousarray(ground_truth, np.float64), 0)
    return overlaps


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
    filled, pits = _fill_holes(levels)
    boxes, _, best = _sweep(levels, _JOINED, _GAINS, truth, 1)
    if len(pits):
        boxes, _, _ = _sweep(filled, _JOINED, _GAINS, truth[:0], 0)
        best = np.maximum(best, _holes(levels, filled, pits, truth))
    height, width = levels.shape
    boxes[:, 2:] = np.minimum(boxes[:, 2:] + 1, (width, height))
    best[levels.max() :] = _overlap(truth, 0, 0, 1, 1)
    return boxes, best


@compiled
def _overlap(truth, x0, y0, x1, y1):
    """The best IoU of a box with the true boxes."""
    best = 0.0
    area = (x1 - x0) * (y1 - y0)
    for k in range(len(truth)):
        w = min(x1, truth[k, 2]) - max(x0, truth[k, 0])
        h = min(y1, truth[k, 3]) - max(y0, truth[k, 1])
        if w > 0 and h > 0:
            shared = w * h
            union = area + (truth[k, 2] - truth[k, 0]) * (truth[k, 3] - truth[k, 1]) - shared
            best = max(best, shared / union)
    return best


@compiled
def _write(table, low, high, value):
    """Raise the thresholds low..high to a value: two entries of a sparse table, so that the length does not matter."""
    power = 0
    while 2 << power <= high - low + 1:
        power += 1
    table[power, low] = max(table[power, low], value)
    last = high - (1 << power) + 1
    table[power, last] = max(table[power, last], value)


@compiled
def _read(table):
    """What `_write` wrote, for every threshold."""
    for power in range(table.shape[0] - 1, 0, -1):
        half = 1 << (power - 1)
        for low in range(table.shape[1] - half):
            value = table[power, low]
            table[power - 1, low] = max(table[power - 1, low], value)
            table[power - 1, low + half] = max(table[power - 1, low + half], value)
    return table[0].copy()


@compiled
def _sweep(levels, joined, gains, truth, longer):
    """One pass over the pixels from bright to dark.

    Args:
        truth: True boxes (k, 4); k = 0 leaves out their part.
        longer: Pixels by which a box is longer to the right and the bottom, up to the border.

    Returns:
        boxes (256, 4) and doubled polygon areas (256,) of the largest contour (right if no threshold has a hole);
        best IoU of any component (256,).
    """
    height, width = levels.shape
    order, ends, parent, nodes, ring = forest(levels)
    boxes = np.zeros((256, 4), np.int32)
    areas = np.zeros(256, np.int32)
    table = np.zeros((9, 256))
    scored = len(truth) > 0
    count = len(parent) if scored else 0
    value = np.zeros(count)  # IoU of a root's component, as it has been …
    since = np.full(count, -1, np.int16)  # … since this threshold (falling); −1: not yet
    seen = np.full(count, -1, np.int16)  # last threshold at which a root was scored
    touched = np.empty(len(order) if scored else 0, np.int32)
    doubled = np.zeros(len(parent), np.int32)
    best = -1
    area = -1
    first = -1
    for threshold in range(254, -1, -1):
        outdone = False  # whether another contour of the same area may now come before the best
        n_touched = 0
        for i in range(ends[threshold + 2], ends[threshold + 1]):
            pixel = order[i]
            root = pixel
            parent[pixel] = pixel
            present = 0
            for k in range(8):
                present |= (parent[pixel + ring[k]] >= 0) << k
            doubled[pixel] = gains[present]
            for k in range(1, 1 + joined[present, 0]):
                other = find_root(parent, pixel + ring[joined[present, k]])
                if other != root:
                    winner = join(parent, nodes, root, other)
                    loser = other if winner == root else root
                    doubled[winner] += doubled[loser]
                    if scored and since[loser] > threshold:
                        _write(table, threshold + 1, since[loser], value[loser])
                    root = winner
            if scored and (n_touched == 0 or touched[n_touched - 1] != root):
                touched[n_touched] = root
                n_touched += 1
            if doubled[root] > area:
                best, area, first, outdone = root, doubled[root], nodes[root, FIRST], False
            elif doubled[root] == area:
                if root == best or parent[best] != best:
                    outdone |= nodes[root, FIRST] < first
                    best, first = root, nodes[root, FIRST]
                elif nodes[root, FIRST] > first:
                    best, first = root, nodes[root, FIRST]
        if outdone:
            for i in range(ends[threshold + 1]):
                pixel = order[i]
                if parent[pixel] == pixel and doubled[pixel] == area and nodes[pixel, FIRST] > first:
                    best, first = pixel, nodes[pixel, FIRST]
        for i in range(n_touched):
            root = touched[i]
            if parent[root] == root and seen[root] != threshold:
                seen[root] = threshold
                x1 = min(nodes[root, X1] + longer, width)
                y1 = min(nodes[root, Y1] + longer, height)
                found = _overlap(truth, nodes[root, X0], nodes[root, Y0], x1, y1)
                if since[root] < 0:
                    value[root], since[root] = found, threshold
                elif found != value[root]:
                    _write(table, threshold + 1, since[root], value[root])
                    value[root], since[root] = found, threshold
        if best >= 0:
            boxes[threshold, 0] = nodes[best, X0]
            boxes[threshold, 1] = nodes[best, Y0]
            boxes[threshold, 2] = nodes[best, X1]
            boxes[threshold, 3] = nodes[best, Y1]
            areas[threshold] = area
    if scored:
        for i in range(ends[1]):
            pixel = order[i]
            if parent[pixel] == pixel:
                _write(table, 0, since[pixel], value[pixel])
    return boxes, areas, _read(table)


@compiled
def _fill_holes(levels):
    """Each pixel's level raised to the lowest at which a 4-connected path leads from it out of the image.

    Levels are visited from low to high, each with a stack of its own (a flood whose water rises).

    Returns:
        filled: uint8 (H, W), >= levels. {filled > t} is {levels > t} with its holes filled, at every t.
        pits: numbers y · W + x of the pixels that were raised.
    """
    height, width = levels.shape
    filled = np.zeros((height, width), np.uint8)
    done = np.zeros((height, width), np.bool_)
    top = np.full(256, -1, np.int32)  # head of a linked list per level
    below = np.empty(height * width, np.int32)
    n_pits = 0
    pits = np.empty(height * width, np.int32)
    for y in range(height):
        for x in range(width):
            if y == 0 or x == 0 or y == height - 1 or x == width - 1:
                level = levels[y, x]
                filled[y, x] = level
                done[y, x] = True
                below[y * width + x] = top[level]
                top[level] = y * width + x
    for water in range(256):
        while top[water] >= 0:
            pixel = top[water]
            top[water] = below[pixel]
            y = pixel // width
            x = pixel - y * width
            for k in range(4):
                v = y + (k == 0) - (k == 1)
                u = x + (k == 2) - (k == 3)
                if 0 <= v < height and 0 <= u < width and not done[v, u]:
                    done[v, u] = True
                    level = levels[v, u]
                    if level < water:
                        pits[n_pits] = v * width + u
                        n_pits += 1
                        level = np.uint8(water)
                    filled[v, u] = level
                    below[v * width + u] = top[level]
                    top[level] = v * width + u
    return filled, pits[:n_pits].copy()


@compiled
def _holes(levels, filled, pits, truth):
    """The best IoU of any *hole's* contour with a true box, for every threshold.

    At threshold t the holes are the 4-connected components of the pixels with level <= t < filled: they grow as t
    rises, until the water outside reaches them. A hole's contour runs through the pixels around it.
    """
    height, width = levels.shape
    table = np.zeros((9, 256))
    ends = np.zeros(257, np.int64)
    for pixel in pits:
        ends[levels[pixel // width, pixel % width] + 1] += 1
    for level in range(256):
        ends[level + 1] += ends[level]
    position = ends[:256].copy()
    order = np.empty(len(pits), np.int32)
    for pixel in pits:
        level = levels[pixel // width, pixel % width]
        order[position[level]] = pixel
        position[level] += 1
    parent = np.full(height * width, -1, np.int32)
    nodes = np.empty((height * width, 6), np.int32)
    value = np.zeros(height * width)
    since = np.full(height * width, -1, np.int16)
    for threshold in range(255):
        for i in range(ends[threshold], ends[threshold + 1]):
            pixel = order[i]
            y = pixel // width
            x = pixel - y * width
            parent[pixel] = pixel
            nodes[pixel, AREA] = 1
            nodes[pixel, FIRST] = pixel
            nodes[pixel, X0] = x
            nodes[pixel, Y0] = y
            nodes[pixel, X1] = x + 1
            nodes[pixel, Y1] = y + 1
            root = pixel
            for step in (-width, -1, 1, width):  # pits never lie at the border
                if parent[pixel + step] >= 0:
                    other = find_root(parent, pixel + step)
                    if other != root:
                        winner = join(parent, nodes, root, other)
                        loser = other if winner == root else root
                        if 0 <= since[loser] < threshold:
                            _write(table, since[loser], threshold - 1, value[loser])
                        root = winner
        for i in range(ends[threshold], ends[threshold + 1]):
            root = find_root(parent, order[i])
            x1 = min(nodes[root, X1] + 2, width)
            y1 = min(nodes[root, Y1] + 2, height)
            found = _overlap(truth, nodes[root, X0] - 1, nodes[root, Y0] - 1, x1, y1)
            if since[root] < 0:
                value[root], since[root] = found, threshold
            elif found != value[root]:
                if since[root] < threshold:
                    _write(table, since[root], threshold - 1, value[root])
                value[root], since[root] = found, threshold
    for pixel in pits:
        if parent[pixel] == pixel:
            _write(table, since[pixel], filled[pixel // width, pixel % width] - 1, value[pixel])
    return _read(table)
