"""The largest connected component of a map at every one of its 256 thresholds, in one pass over its sorted pixels.

Thresholding a map 256 times and labelling each mask does the same work 256 times over. The components of falling
thresholds only grow and merge, so they form a tree (the max-tree; Najman & Couprie 2006, "Building the component tree
in quasi-linear time"): pixels are added from bright to dark, a union-find joins each to the neighbours already there,
and every root carries the box and the area of its component. After the pixels of a level the roots *are* the
components of that threshold.
"""

from __future__ import annotations

import threading

import numpy as np
from scipy import ndimage

from attribeval.errors import AttribevalError
from attribeval.metrics.compiled import compiled
from attribeval.metrics.localisation.components import (
    AREA,
    COLUMNS,
    FIRST,
    SEEN,
    SINCE,
    X0,
    X1,
    Y0,
    Y1,
    end,
    find_root,
    join,
    last_largest,
    met,
    write,
)

_RING = [0, 0, 0, 1, 2, 2, 2, 1], [0, 1, 2, 2, 2, 1, 0, 0]  # a pixel's neighbours, clockwise from the top left


def _representatives(ring: int, structure: np.ndarray | None) -> np.ndarray:
    """Which neighbours a new pixel is joined to, given which are there, a bit for each of the ring: uint8 (256, 5).

    How many, then which (at most four). Neighbours that touch each other are in one component already, so one of them
    is enough, which saves most look-ups.
    """
    table = np.zeros((256, 5), np.uint8)
    for present in range(256):
        around = np.zeros((3, 3), int)
        around[_RING] = (present & ring) >> np.arange(8) & 1
        parts, first = np.unique(ndimage.label(around, structure)[0][_RING], return_index=True)
        first = first[parts > 0]
        table[present, 0], table[present, 1 : 1 + len(first)] = len(first), first
    return table


_JOINED = _representatives(0b11111111, np.ones((3, 3)))  # 8-connected
_EDGES = _representatives(0b10101010, None)  # 4-connected
_PIXELS = np.ones(256, np.uint8)  # what a pixel adds to the area of its component, whatever is around it


def largest_components(levels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Box and area of the largest 8-connected component of {levels > t}, for t = 0..255.

    Of several components with the largest area, the one met first in raster order (row by row from the top left) is
    taken.

    Returns:
        boxes, int32 (256, 4): edges x0, y0, x1, y1 in pixels, half-open, row t for threshold t;
            0, 0, 0, 0 where no pixel is above t.
        areas, int32 (256,): number of pixels of that component (not of its box).

    Raises:
        AttribevalError: If `levels` is not uint8 (H, W) with at least one pixel.
    """
    return swept(levels)[:2]


def swept(
    levels: np.ndarray,
    gains: np.ndarray = _PIXELS,
    last: bool = False,
    truth: np.ndarray | None = None,
    longer: int = 0,
    holes: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One pass over the pixels from bright to dark.

    Args:
        levels: uint8 (H, W).
        gains: What a pixel adds to an area, by which of its eight neighbours are there, a bit for each, uint8 (256,).
        last: Of several largest, whether the one whose first pixel comes last is taken, instead of first.
        truth: True boxes, float64 (k, 4), if overlaps with them are wanted.
        longer: Pixels by which a box is longer to the right and the bottom, up to the border, where it is overlapped.
        holes: Of an inverted map: components are 4-connected, those at the border count for nothing, as they are
            outside, and of the others the contour is overlapped, which runs through the pixels around them.

    Returns:
        Boxes (256, 4) and areas (256,) of the largest, int32; the best IoU of any component, float64 (256,).

    Raises:
        AttribevalError: If `levels` is not uint8 (H, W) with at least one pixel.
    """
    levels = check_levels(levels)
    truth = np.zeros((0, 4)) if truth is None else np.ascontiguousarray(truth, np.float64)
    joined = _EDGES if holes else _JOINED
    return _sweep(levels, joined, gains, last, truth, longer, holes, _workspace(levels.shape))


def check_levels(levels: np.ndarray) -> np.ndarray:
    """A fresh C array of the levels: one array type, so that numba compiles once, whatever their strides and flags.

    Raises:
        AttribevalError: If `levels` is not uint8 (H, W) with at least one pixel.
    """
    if not isinstance(levels, np.ndarray) or levels.dtype != np.uint8 or levels.ndim != 2 or levels.size == 0:
        received = f"{levels.dtype} {levels.shape}" if isinstance(levels, np.ndarray) else type(levels).__name__
        raise AttribevalError(f"Expected levels as a uint8 array (H, W), at least 1×1. Received: {received}.")
    return np.array(levels, order="C")


_KEPT = threading.local()


def _workspace(size: tuple[int, int]) -> tuple[np.ndarray, ...]:
    """Arrays for sweeps: order, parent, nodes (see `forest`); which pixels are there, IoUs of roots, a list of roots.

    Fresh memory costs a third of a sweep, as the system hands it out page by page: a thread keeps the arrays of its
    last map, if that was not huge.
    """
    height, width = size
    if getattr(_KEPT, "size", None) == size:
        return _KEPT.arrays
    pixels = (height + 2) * (width + 2)
    tree = np.empty(height * width, np.int32), np.empty(pixels, np.int32), np.empty((pixels, COLUMNS), np.int32)
    arrays = *tree, np.empty(pixels, np.uint8), np.empty(pixels), np.empty(pixels, np.int32)
    if pixels <= 1_000_000:
        _KEPT.size, _KEPT.arrays = size, arrays
    return arrays


@compiled
def forest(levels, order, parent, nodes):
    """Fill the arrays of a sweep over the levels, uint8 (H, W), with no pixel added yet.

    `order`: pixel numbers by falling level, raster order within a level. `parent`: -1 for a pixel not added. `nodes`:
    every pixel as a component of itself. Pixels are numbered in raster order in an image with a border of one pixel,
    which is never added: this saves checking bounds.

    Returns:
        ends: end of each level in `order`: level v is order[ends[v + 1] : ends[v]].
        ring: steps from a pixel number to those of its eight neighbours, clockwise from the top left.
    """
    parent[:] = -1
    height, width = levels.shape
    row = width + 2
    ends = np.zeros(257, np.int64)
    for y in range(height):
        for x in range(width):
            ends[levels[y, x]] += 1
    for level in range(255, -1, -1):
        ends[level] += ends[level + 1]
    position = ends[1:].copy()
    for y in range(height):
        for x in range(width):
            pixel = (y + 1) * row + x + 1
            level = levels[y, x]
            order[position[level]] = pixel
            position[level] += 1
            nodes[pixel, FIRST], nodes[pixel, X0], nodes[pixel, Y0] = pixel, x, y
            nodes[pixel, X1], nodes[pixel, Y1] = x + 1, y + 1
    ring = np.array([-row - 1, -row, -row + 1, 1, row + 1, row, row - 1, -1])
    return ends, ring


@compiled
def _neighbours(there, pixel, ring):
    """Which of a pixel's eight neighbours are there, as a bit set."""
    present = 0
    for k in range(8):
        present |= there[pixel + ring[k]] << k
    return present


@compiled
def _sweep(levels, joined, gains, last, truth, longer, holes, space):
    """See `swept`."""
    height, width = levels.shape
    order, parent, nodes, there, value, touched = space  # value: a root's IoU, as it has been since nodes[root, SINCE]
    ends, ring = forest(levels, order, parent, nodes)
    there[:] = 0
    boxes = np.zeros((256, 4), np.int32)
    areas = np.zeros(256, np.int32)
    overlaps = np.zeros(256)
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
            nodes[pixel, AREA] = gains[present]
            nodes[pixel, SINCE] = nodes[pixel, SEEN] = -1
            for k in range(1, 1 + joined[present, 0]):
                other = find_root(parent, pixel + ring[joined[present, k]])
                if other != root:
                    loser, root = root, join(parent, nodes, root, other)
                    loser = other if root == loser else loser
                    if nodes[loser, SINCE] > threshold:
                        write(overlaps, threshold + 1, nodes[loser, SINCE], value[loser])
            if scored and (n_touched == 0 or touched[n_touched - 1] != root):
                touched[n_touched] = root
                n_touched += 1
            if nodes[root, AREA] > area:
                best, area, first, outdone = root, nodes[root, AREA], nodes[root, FIRST], False
            elif nodes[root, AREA] == area:
                if last and (root == best or parent[best] != best):
                    outdone |= nodes[root, FIRST] < first
                    best, first = root, nodes[root, FIRST]
                elif (nodes[root, FIRST] > first) == last:
                    best, first = root, nodes[root, FIRST]
        if outdone:
            best = last_largest(order[: ends[threshold + 1]], parent, nodes, best)
            first = nodes[best, FIRST]
        for i in range(n_touched):
            root = touched[i]
            if parent[root] == root and nodes[root, SEEN] != threshold:
                nodes[root, SEEN] = threshold
                found = met(truth, nodes[root], width, height, longer, holes)
                if nodes[root, SINCE] < 0 or found != value[root]:
                    if nodes[root, SINCE] >= 0:
                        write(overlaps, threshold + 1, nodes[root, SINCE], value[root])
                    value[root], nodes[root, SINCE] = found, threshold
        if best >= 0:
            boxes[threshold] = nodes[best, X0 : Y1 + 1]
            areas[threshold] = area
    if scored:
        end(order[: ends[1]], parent, nodes, overlaps, value)
    return boxes, areas, overlaps
