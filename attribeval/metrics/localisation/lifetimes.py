"""Boxes that live over a range of thresholds: each writes its IoU over its range once, all are read at the end."""

from __future__ import annotations

from attribeval.metrics.compiled import compiled


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
def write(table, low, high, value):
    """Raise the thresholds low..high to a value: two entries of a sparse table, so that the length does not matter."""
    power = 0
    while 2 << power <= high - low + 1:
        power += 1
    table[power, low] = max(table[power, low], value)
    last = high - (1 << power) + 1
    table[power, last] = max(table[power, last], value)


@compiled
def read(table):
    """What `_write` wrote, for every threshold."""
    for power in range(table.shape[0] - 1, 0, -1):
        half = 1 << (power - 1)
        for low in range(table.shape[1] - half):
            value = table[power, low]
            table[power - 1, low] = max(table[power - 1, low], value)
            table[power - 1, low + half] = max(table[power - 1, low + half], value)
    return table[0].copy()
