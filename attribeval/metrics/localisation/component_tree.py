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

from attribeval.errors import AttribevalError
from attribeval.metrics.compiled import compiled

# What a root knows about its component: one row of the `nodes` array.
AREA, FIRST, X0, Y0, X1, Y1 = range(6)
SINCE, SEEN = 6, 7  # of the sweep in `contours`: since when the IoU stands, and when it was last computed
COLUMNS = 8  # 32 bytes: a row never straddles two cache lines


def _representatives(connectivity: int) -> np.ndarray:
    """Which neighbours a new pixel must be joined to, given which of the eight are there: uint8 (256,), bit sets.

    Bit i is neighbour i of the ring around the pixel, clockwise from the top left, so odd bits are edge neighbours.
    Neighbours that touch each other are in one component already, so one of them is enough, which saves most look-ups.
    """

    def touch(i: int, j: int) -> bool:
        apart = min((i - j) % 8, (j - i) % 8)
        return apart == 1 or (connectivity == 8 and apart == 2 and i % 2 == 1)  # two edge neighbours at a corner

    table = np.zeros(256, np.uint8)
    for present in range(256):
        waiting = {i for i in range(8) if present >> i & 1}
        while waiting:
            component = {waiting.pop()}
            while more := {j for j in waiting if any(touch(i, j) for i in component)}:
                component |= more
                waiting -= more
            if connectivity == 4:
                component = {i for i in component if i % 2 == 1}
            if component:
                table[present] |= 1 << min(component)
    return table


REPRESENTATIVES = {connectivity: _representatives(connectivity) for connectivity in (4, 8)}


def _listed() -> np.ndarray:
    """`REPRESENTATIVES[8]` as lists, uint8 (256, 5): how many neighbours to join, and which (at most four)."""
    table = np.zeros((256, 5), np.uint8)
    for present, bits in enumerate(REPRESENTATIVES[8].tolist()):
        neighbours = [i for i in range(8) if bits >> i & 1]
        table[present, 0] = len(neighbours)
        table[present, 1 : 1 + len(neighbours)] = neighbours
    return table


JOINED = _listed()


def largest_components(levels: np.ndarray, connectivity: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Box and area of the largest connected component of {levels > t}, for t = 0..255.

    Of several components with the largest area, the one met first in raster order (row by row from the top left) is
    taken.

    Args:
        levels: uint8 (H, W).
        connectivity: 8 (diagonal neighbours touch; as OpenCV's contours) or 4.

    Returns:
        boxes, int32 (256, 4): edges x0, y0, x1, y1 in pixels, half-open, row t for threshold t;
            0, 0, 0, 0 where no pixel is above t.
        areas, int32 (256,): number of pixels of that component (not of its box).

    Raises:
        AttribevalError: If `levels` is not uint8 (H, W) with at least one pixel, or `connectivity` is neither 4 nor 8.
    """
    if connectivity not in (4, 8):
        raise AttribevalError(f"Expected connectivity 4 or 8. Received: {connectivity!r}.")
    return _largest_of_each_level(check_levels(levels), REPRESENTATIVES[connectivity], workspace(levels.shape))


def check_levels(levels: np.ndarray) -> np.ndarray:
    """A fresh C array of the levels: one array type, so that numba compiles once, whatever their strides and flags.

    Raises:
        AttribevalError: If `levels` is not uint8 (H, W) with at least one pixel.
    """
    if not isinstance(levels, np.ndarray) or levels.dtype != np.uint8 or levels.ndim != 2 or levels.size == 0:
        received = f"{levels.dtype} {levels.shape}" if isinstance(levels, np.ndarray) else type(levels).__name__
        raise AttribevalError(f"Expected levels as a uint8 array (H, W), at least 1×1. Received: {received}.")
    return np.array(levels, order="C")


@compiled
def find_root(parent, pixel):
    """Root of a pixel's component, halving the path on the way."""
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


@compiled
def alone(nodes, pixel, x, y):
    """Make a pixel a component of itself."""
    nodes[pixel, AREA] = 1
    nodes[pixel, FIRST] = pixel
    nodes[pixel, X0] = x
    nodes[pixel, Y0] = y
    nodes[pixel, X1] = x + 1
    nodes[pixel, Y1] = y + 1


@compiled
def join(parent, nodes, a, b):
    """Join the components of two different roots; returns the new root (the larger one, which keeps the tree flat)."""
    if nodes[a, AREA] < nodes[b, AREA]:
        a, b = b, a
    parent[b] = a
    nodes[a, AREA] += nodes[b, AREA]
    nodes[a, FIRST] = min(nodes[a, FIRST], nodes[b, FIRST])
    nodes[a, X0] = min(nodes[a, X0], nodes[b, X0])
    nodes[a, Y0] = min(nodes[a, Y0], nodes[b, Y0])
    nodes[a, X1] = max(nodes[a, X1], nodes[b, X1])
    nodes[a, Y1] = max(nodes[a, Y1], nodes[b, Y1])
    return a


@compiled
def _add(parent, nodes, ring, representatives, pixel):
    """Add one pixel to the forest, join it to the neighbours already there; returns the root of its component."""
    parent[pixel] = pixel
    present = 0
    for i in range(8):
        present |= (parent[pixel + ring[i]] >= 0) << i
    joined = representatives[present]
    root = pixel
    for i in range(8):
        if joined >> i & 1:
            other = find_root(parent, pixel + ring[i])
            if other != root:
                root = join(parent, nodes, root, other)
    return root


_KEPT = threading.local()


def workspace(size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Arrays for `forest`: order, parent, nodes. A thread keeps those of its last map, for maps that are not huge.

    Fresh memory costs a third of a sweep: the system hands it out page by page.
    """
    height, width = size
    if getattr(_KEPT, "size", None) != size:
        pixels = (height + 2) * (width + 2)
        arrays = np.empty(height * width, np.int32), np.empty(pixels, np.int32), np.empty((pixels, COLUMNS), np.int32)
        if pixels > 1_000_000:
            return arrays
        _KEPT.size, _KEPT.arrays = size, arrays
    return _KEPT.arrays


@compiled
def forest(levels, space):
    """Everything a sweep over the levels needs, with no pixel added yet.

    Pixels are numbered in raster order in an image with a border of one pixel, which is never added: this saves
    checking bounds.

    Args:
        levels: uint8 (H, W).
        space: What `workspace` returned.

    Returns:
        order: pixel numbers by falling level, raster order within a level.
        ends: end of each level in `order`: level v is order[ends[v + 1] : ends[v]].
        parent: -1 for a pixel not added.
        nodes: every pixel as a component of itself (see the column names above).
        ring: steps from a pixel number to those of its eight neighbours, clockwise from the top left.
    """
    order, parent, nodes = space
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
            alone(nodes, pixel, x, y)
    ring = np.array([-row - 1, -row, -row + 1, 1, row + 1, row, row - 1, -1])
    return order, ends, parent, nodes, ring


@compiled
def _largest_of_each_level(levels, representatives, space):
    """See `largest_components`."""
    order, ends, parent, nodes, ring = forest(levels, space)
    boxes = np.zeros((256, 4), np.int32)
    areas = np.zeros(256, np.int32)
    area = 0
    first = 0
    best = -1
    for threshold in range(254, -1, -1):
        for i in range(ends[threshold + 2], ends[threshold + 1]):
            root = _add(parent, nodes, ring, representatives, order[i])
            # Only this component changed, and it can only have grown: the old best is either part of it, and
            # smaller, or still stands as it was. So one comparison per pixel keeps the best of all components.
            if nodes[root, AREA] > area or (nodes[root, AREA] == area and nodes[root, FIRST] < first):
                best = root
                area = nodes[root, AREA]
                first = nodes[root, FIRST]
        # At this point the roots of the pixels added so far are all components of {levels > threshold}.
        if best >= 0:
            boxes[threshold] = nodes[best, X0 : Y1 + 1]
            areas[threshold] = area
    return boxes, areas
