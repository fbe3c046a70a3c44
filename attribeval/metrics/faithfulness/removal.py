"""The engine of all metrics that change images step by step: full batches for the model, few images in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.on_device import OnDevice
from attribeval.metrics.subject import Predict

BATCH = 64  # images given to the model at a time

# From images (B, H, W, C) and the items that they belong to (B,) to what is to be known of them, float64 (B, ...).
Score = Callable[[np.ndarray, np.ndarray], np.ndarray]


def of_targets(predict: Predict, targets: np.ndarray, n: int) -> Score:
    """The outputs for the items' classes.

    Args:
        predict: Raw images (B, H, W, C) -> (B, classes).
        targets: Class explained for each item, ints (n,).
        n: Number of items.

    Returns:
        A score, float64 (B,) per batch. It raises an AttribevalError if `predict` returns something else, a class does
        not exist, or an output is not finite (which item).

    Raises:
        AttribevalError: If there is not one target per item.
    """
    targets = np.asarray(targets)
    if targets.shape != (n,) or targets.dtype.kind not in "iu" or (targets < 0).any():
        raise AttribevalError(f"Expected targets as {n} ints of 0 or more. Received: {targets.dtype} {targets.shape}.")

    def score(images: np.ndarray, items: np.ndarray) -> np.ndarray:
        outputs = np.asarray(predict(images), np.float64)
        if outputs.ndim != 2 or len(outputs) != len(images):
            raise AttribevalError(
                f"Expected predict to return ({len(images)}, classes). Received: shape {outputs.shape}."
            )
        missing = np.flatnonzero(targets[items] >= outputs.shape[1])
        if missing.size:
            item = items[missing[0]]
            raise AttribevalError(
                f"Expected targets below {outputs.shape[1]}, the number of classes. "
                f"Received: {targets[item]} for image {item}."
            )
        found = outputs[np.arange(len(items)), targets[items]]
        bad = np.flatnonzero(~np.isfinite(found))
        if bad.size:
            raise AttribevalError(
                f"Expected finite outputs. Received: {found[bad[0]]} for a modified image {items[bad[0]]}: check its "
                "pixel range and the fill."
            )
        return found

    return score


def scored(painted: Iterable[tuple[int, np.ndarray]], score: Score, batch_size: int = BATCH) -> np.ndarray:
    """Ask about images as they are made; at most `batch_size` of them exist at a time.

    Args:
        painted: (item, image (H, W, C)), at least one. The image is copied at once, so that it may be changed to make
            the next one of it.
        score: What is asked.
        batch_size: Images asked about at a time; all batches but the last have this size.

    Returns:
        float64 (number of images, ...), in their order.
    """
    items: list[int] = []
    parts, batch = [], np.empty(0)
    for item, image in painted:
        if not items:
            batch = np.empty((batch_size, *image.shape), np.float32)  # a new one: predict may keep what it was given
        batch[len(items)] = image
        items.append(item)
        if len(items) == batch_size:
            parts.append(score(batch, np.array(items)))
            items = []
    if items:
        parts.append(score(batch[: len(items)], np.array(items)))
    return np.concatenate(parts)


def removal_curve(
    ranks: np.ndarray,
    counts: np.ndarray,
    ends: Callable[[int], tuple[np.ndarray, np.ndarray]],
    known: tuple[np.ndarray, np.ndarray],
    score: Score,
    batch_size: int = BATCH,
) -> np.ndarray:
    """Walk each image from its start to its end in the order of the ranks, and ask on the way.

    At count k, the pixels whose rank is below k have the end's colours and all others the start's. The start itself
    and the end itself are never asked about, nor is a step that changes nothing.

    Args:
        ranks: Place of each pixel in the order, ints (N, H, W); pixels that change together have the same.
        counts: How far each step has gone, ints (K,) or (N, K), not falling along K.
        ends: From an item to its start and its end, each (H, W, C); called once per item.
        known: Scores of the starts and of the ends, float64 (N, ...) each.
        score: What is asked about the images between; an `OnDevice` paints them itself.
        batch_size: As in `scored`.

    Returns:
        float64 (N, K, ...).
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

    out = np.empty((*counts.shape, *known[0].shape[1:]))
    if isinstance(score, OnDevice):
        out[new] = score.along(ranks, [some[asked] for some, asked in zip(counts, new, strict=True)], ends)
    elif new.any():
        out[new] = scored(painted(), score, batch_size)
    for k in range(counts.shape[1]):
        at_start, at_end = counts[:, k] <= 0, counts[:, k] == totals
        same = ~(new[:, k] | at_start | at_end)
        out[same, k] = out[same, k - 1]
        out[at_start, k], out[at_end, k] = known[0][at_start], known[1][at_end]
    return out


def evenly(total: int, steps: int) -> np.ndarray:
    """0 to `total` in `steps` steps as equal as whole numbers allow, ints (steps + 1,)."""
    return np.rint(np.linspace(0, total, steps + 1)).astype(np.int64)
