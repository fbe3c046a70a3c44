"""The holes of a map at all thresholds: 4-connected background that does not reach the outside of the image."""

from __future__ import annotations

import numpy as np

from attribeval.metrics.compiled import compiled
from attribeval.metrics.localisation.component_tree import SINCE, X0, X1, Y0, Y1, alone, find_root, join
from attribeval.metrics.localisation.lifetimes import overlap, read, write


@compiled
def fill_holes(levels):
    """Each pixel's level raised to the lowest at which a 4-connected path leads from it out of the image.

    Levels are visited from low to high, each with a stack of its own (a flood whose water rises).

    Returns:
        filled: uint8 (H, W), >= levels. {filled > t} is {levels > t} with its holes filled, at every t.
        ground, surface: levels and filled with a border of 0, flat: by pixel number, as in `forest`.
        pits: numbers of the pixels that were raised.
    """
    height, width = levels.shape
    row = width + 2  # pixels are numbered with a border, as in `forest`
    filled = np.zeros((height + 2, row), np.uint8)
    surface = filled.ravel()
    done = np.ones((height + 2, row), np.bool_)
    done[1:-1, 1:-1] = False
    visited = done.ravel()
    filled[1:-1, 1:-1] = levels
    ground = surface.copy()
    top = np.full(256, -1, np.int32)  # head of a linked list per level
    below = np.empty((height + 2) * row, np.int32)
    pits = np.empty(height * width, np.int32)
    n_pits = 0
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
                    level = surface[other]
                    if level < water:
                        pits[n_pits] = other
                        n_pits += 1
                        level = np.uint8(water)
                        surface[other] = level
                    below[other] = top[level]
                    top[level] = other
    return filled[1:-1, 1:-1].copy(), ground, surface, pits[:n_pits].copy()


@compiled
def best_hole_overlaps(size, ground, surface, pits, truth, space):
    """The best IoU of any *hole's* contour with a true box, for every threshold.

    At threshold t the holes are the 4-connected components of the pixels with level <= t < filled: they grow as t
    rises, until the water outside reaches them. A hole's contour runs through the pixels around it.
    """
    height, width = size
    row = width + 2
    table = np.zeros((9, 256))
    ends = np.zeros(257, np.int64)
    for pixel in pits:
        ends[ground[pixel] + 1] += 1
    for level in range(256):
        ends[level + 1] += ends[level]
    position = ends[:256].copy()
    order = np.empty(len(pits), np.int32)
    for pixel in pits:
        level = ground[pixel]
        order[position[level]] = pixel
        position[level] += 1
    (_, parent, nodes), (_, value, _) = space
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
            if nodes[root, SINCE] < 0:
                value[root], nodes[root, SINCE] = found, threshold
            elif found != value[root]:
                if nodes[root, SINCE] < threshold:
                    write(table, nodes[root, SINCE], threshold - 1, value[root])
                value[root], nodes[root, SINCE] = found, threshold
    for pixel in pits:
        if parent[pixel] == pixel:
            write(table, nodes[pixel, SINCE], surface[pixel] - 1, value[pixel])
    return read(table)
