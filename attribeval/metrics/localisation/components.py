"""Components that grow and join: what their roots know, and how well they met the true boxes while they lived.

A component has one box over a range of thresholds, until a pixel joins it: it writes its IoU over its range once.
"""

from __future__ import annotations

from attribeval.metrics.compiled import compiled

# What a root knows about its component: one row of the `nodes` array.
AREA, FIRST, X0, Y0, X1, Y1 = range(6)
SINCE, SEEN = 6, 7  # since when its IoU stands, and when that was last computed
COLUMNS = 8  # 32 bytes: a row never straddles two cache lines


@compiled
def find_root(parent, pixel):
    """Root of a pixel's component, halving the path on the way."""
    while parent[pixel] != pixel:
        parent[pixel] = parent[parent[pixel]]
        pixel = parent[pixel]
    return pixel


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
def last_largest(pixels, parent, nodes, best):
    """Of the roots with the area of the best, the one whose first pixel comes last."""
    area = nodes[best, AREA]
    for pixel in pixels:
        if parent[pixel] == pixel and nodes[pixel, AREA] == area and nodes[pixel, FIRST] > nodes[best, FIRST]:
            best = pixel
    return best


@compiled
def overlap(truth, x0, y0, x1, y1):
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
def met(truth, node, width, height, longer, holes):
    """The best IoU of a component's box, or of the contour around it if it is a hole, as `swept` describes them."""
    x0, y0, x1, y1 = node[X0 : Y1 + 1]
    around = 1 if holes else 0
    if holes and (x0 == 0 or y0 == 0 or x1 == width or y1 == height):
        return 0.0
    x1, y1 = min(x1 + around + longer, width), min(y1 + around + longer, height)
    return overlap(truth, x0 - around, y0 - around, x1, y1)


@compiled
def write(best, low, high, value):
    """Raise the thresholds low..high to a value, of 0 or more."""
    if value > 0:
        for threshold in range(low, high + 1):
            best[threshold] = max(best[threshold], value)


@compiled
def end(pixels, parent, nodes, best, value):
    """Write down the lifetimes of the roots that are left."""
    for pixel in pixels:
        if parent[pixel] == pixel:
            write(best, 0, nodes[pixel, SINCE], value[pixel])
