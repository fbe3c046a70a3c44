"""The engine of all metrics that change images step by step; a path that several ask about is walked once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np

from attribeval.common.fills import Fill
from attribeval.metrics.faithfulness import on_device
from attribeval.metrics.faithfulness.fills import filled_image
from attribeval.metrics.faithfulness.ranking import region_ranks
from attribeval.metrics.faithfulness.scoring import clean_scores, scored
from attribeval.metrics.subject import Explained, Subject

Ends = Callable[[int], tuple[np.ndarray, np.ndarray]]  # from an item to its start and its end, each (H, W, C)


def path_scores(
    subject: Subject,
    explained: Explained,
    counts: np.ndarray,
    fill: Fill,
    region: int = 1,
    least_first: bool = False,
    insert: bool = False,
) -> np.ndarray:
    """Logit and probability along a path, float64 (N, K, 2); equal paths are asked about once per method.

    Args:
        subject: Images and model.
        explained: The maps.
        counts: Numbers of regions changed, ints (K,), not falling.
        fill: What removed pixels become.
        region: Side of the regions in pixels.
        least_first: Whether the least important regions change first.
        insert: From the filled image to the clean one, instead of the reverse.
    """

    def ends(item: int) -> tuple[np.ndarray, np.ndarray]:
        pair = subject.images[item], filled_image(subject, item, fill)
        return pair[::-1] if insert else pair

    def compute() -> np.ndarray:
        clean = clean_scores(subject)
        meets_filled = insert or counts[-1] >= regions(subject.images.shape[1:3], region)
        known = clean, filled_scores(subject, fill) if meets_filled else np.full_like(clean, np.nan)
        ranked = pixel_ranks(subject, explained, region)
        if least_first:
            ranked = ranked.max(axis=(1, 2), keepdims=True) - ranked
        return removal_curve(subject, ranked, counts, ends, known[::-1] if insert else known)

    return explained.share(("path", tuple(counts.tolist()), fill, region, least_first, insert), compute)


def regions(size: tuple[int, ...], region: int) -> int:
    """Number of square regions of a grid over images of this size (H, W), those cut at the edges included."""
    return int(np.prod([-(-side // region) for side in size]))


def filled_scores(subject: Subject, fill: Fill) -> np.ndarray:
    """Logit and probability of the classes of fully removed images, float64 (N, 2), asked for once per subject."""
    painted = ((item, filled_image(subject, item, fill)) for item in range(len(subject)))
    return subject.share(("filled scores", fill), lambda: scored(subject, painted))


def pixel_ranks(subject: Subject, explained: Explained, region: int = 1) -> np.ndarray:
    """`ranking.region_ranks` of the method's heat maps, computed once per method."""
    return explained.share(("ranks", region), lambda: region_ranks(explained.heat, region, subject.seeds))


def removal_curve(
    subject: Subject, ranks: np.ndarray, counts: np.ndarray, ends: Ends, known: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Walk each image from its start to its end in the order of the ranks, and ask on the way.

    At count k, the pixels whose rank is below k have the end's colours and all others the start's. The start itself
    and the end itself are never asked about, nor is a step that changes nothing.

    Args:
        subject: Asked about the images between; those with a device are painted there.
        ranks: Place of each pixel in the order, ints (N, H, W); pixels that change together have the same.
        counts: How far each step has gone, ints (K,) or (N, K), not falling along K.
        ends: Called once per item.
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
    if on_device.asks_device(subject):
        asked = [some[which] for some, which in zip(counts, new, strict=True)]
        out[new] = on_device.along(subject, ranks, asked, ends)
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
