"""The engine of all metrics that change images step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from attribeval.metrics.faithfulness.on_device import OnDevice, asks_device
from attribeval.metrics.faithfulness.scoring import scored
from attribeval.metrics.subject import Subject


def removal_curve(
    subject: Subject,
    ranks: np.ndarray,
    counts: np.ndarray,
    ends: Callable[[int], tuple[np.ndarray, np.ndarray]],
    known: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Walk each image from its start to its end in the order of the ranks, and ask on the way.

    At count k, the pixels whose rank is below k have the end's colours and all others the start's. The start itself
    and the end itself are never asked about, nor is a step that changes nothing.

    Args:
        subject: Asked about the images between; those with a device are painted there.
        ranks: Place of each pixel in the order, ints (N, H, W); pixels that change together have the same.
        counts: How far each step has gone, ints (K,) or (N, K), not falling along K.
        ends: From an item to its start and its end, each (H, W, C); called once per item.
        known: Scores of the starts and of the ends, float64 (N, 2) each.

    Returns:
        Logit and probability, float64 (N, K, 2).
    """
    ranks, totals = np.asarray(ranks), ranks.max(axis=(1, 2)) + 1
    counts = np.minimum(np.broadcast_to(counts, (len(ranks), np.shape(counts)[-1])), totals[:, None])
    new = (np.diff(counts, prepend=0) > 0) & (counts < totals[:, None])

    def painted() -> Iterator[tuple[int, np.ndarray]]:
        for item in range(len(ranks)):
            start, end = ends(item)
            places = ranks[item].ravel()
            colours = end.reshape(len(places), -1)
            image = np.array(start, np.float32)
            pixels = image.reshape(len(places), -1)
            for low, high in pairwise([0, *counts[item, new[item]]]):
                step = np.flatnonzero((places >= low) & (places < high))
                pixels[step] = colours[step]
                yield item, image

    out = np.empty((*counts.shape, 2))
    if asks_device(subject):
        out[new] = OnDevice(subject).along(ranks, [some[asked] for some, asked in zip(counts, new, strict=True)], ends)
    elif new.any():
        out[new] = scored(subject, painted())
    for k in range(counts.shape[1]):
        at_start, at_end = counts[:, k] <= 0, counts[:, k] == totals
        same = ~(new[:, k] | at_start | at_end)
        out[same, k] = out[same, k - 1]
        out[at_start, k], out[at_end, k] = known[0][at_start], known[1][at_end]
    return out


def evenly(total: int, steps: int) -> np.ndarray:
    """0 to `total` in `steps` steps as equal as whole numbers allow, ints (steps + 1,)."""
    return np.rint(np.linspace(0, total, steps + 1)).astype(np.int64)
