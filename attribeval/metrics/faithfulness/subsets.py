"""Random subsets of an image's features, what a map gives to each, and the drop of the score without each.

Nothing about a subset is kept: image, seed and number of the draw make it again. One draw gives each feature a
random key; the n lowest are the subset of size n. So subsets of one draw are nested, and those of different draws are
independent: for each n, the draws give independent subsets, each as likely as any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from attribeval.common.fills import Fill
from attribeval.common.seeds import fold, generators
from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.on_device import scores_without
from attribeval.metrics.faithfulness.scoring import clean_scores
from attribeval.metrics.subject import Explained, Subject, checked_maps

FEATURES = ("pixel", "value")
_STREAM = 2**34  # random numbers of subsets


def feature_count(shape: Sequence[int], per: str) -> int:
    """How many features an image (H, W, C) has: its pixels, or its single values."""
    height, width, channels = shape
    return height * width * (channels if per == "value" else 1)


def subsets(seeds: np.ndarray, draw: int, features: int, sizes: np.ndarray) -> Iterator[list[np.ndarray]]:
    """For each image the subset of each size, ints (size,): the features with the lowest of random keys.

    One list per image, in the order of `sizes`, which ascend from 1 to `features` at most; which features a subset has
    depends on no other size. Seeds are int32 (N, 2), draws are counted from 0.
    """
    for generator in generators(fold(seeds, _STREAM + draw)):
        keys, left, found = generator.bit_generator.random_raw(features), None, []
        for size in sizes[::-1]:
            part = np.argpartition(keys, size - 1)[:size]
            found.append(part if left is None else left[part])
            if 2 * size <= len(keys):  # smaller subsets lie within this one
                keys, left = keys[part], found[-1]
        yield found[::-1]


def subset_sums(maps: np.ndarray, sizes: Sequence[int], draws: int, seeds: np.ndarray) -> np.ndarray:
    """Σ attribution of each subset, float64 (N, draws, len(sizes)).

    Maps are finite, (N, H, W) for features that are pixels, (N, H, W, C) for single values; sizes ascend.
    """
    flat = np.asarray(maps, np.float64).reshape(len(maps), -1)
    many, sums = _checked(sizes, flat.shape[1]), np.empty((len(flat), draws, len(sizes)))
    for draw in range(draws):
        for i, chosen in enumerate(subsets(seeds, draw, flat.shape[1], many)):
            sums[i, draw] = [flat[i, subset].sum() for subset in chosen]
    return sums


def _subset_drops(subject: Subject, sizes: Sequence[int], draws: range, fill: Fill, per: str) -> np.ndarray:
    """Logit of the image − logit without the subset, float64 (N, len(draws), len(sizes))."""
    shape = subject.images.shape[1:] if per == "value" else subject.images.shape[1:3]
    features = math.prod(shape)
    many = _checked(sizes, features)

    def without() -> Iterator[tuple[int, np.ndarray]]:
        for draw in draws:
            for i, chosen in enumerate(subsets(subject.seeds, draw, features, many)):
                for subset in chosen:
                    gone = np.zeros(features, bool)
                    gone[subset] = True
                    yield i, gone.reshape(shape)

    clean = clean_scores(subject)[:, 0]
    scores = scores_without(subject, fill, without()).reshape(len(draws), len(subject), len(many))
    return clean[:, None, None] - scores.swapaxes(0, 1)


def shared_drops(subject: Subject, sizes: Sequence[int], draws: int, fill: Fill, per: str) -> np.ndarray:
    """The drop of the target's logit when a subset of features is filled, float64 (N, draws, len(sizes)).

    What any benchmark has asked is known: two that want subsets of the same size, features and fill see the same
    subsets, in the same order. `per`: "pixel" (all channels of a pixel together) or "value".
    """
    known: dict[int, np.ndarray] = subject.share(("subset drops", fill, per), dict)
    missing: dict[int, list[int]] = {}
    for size in sizes:
        have = known[size].shape[1] if size in known else 0
        if have < draws:
            missing.setdefault(have, []).append(size)
    for have, some in missing.items():
        new = _subset_drops(subject, some, range(have, draws), fill, per)
        for k, size in enumerate(some):
            known[size] = np.concatenate([known[size], new[:, :, k]], axis=1) if have else new[:, :, k]
    return np.stack([known[size][:, :draws] for size in sizes], axis=2)


def feature_maps(subject: Subject, explained: Explained, per: str) -> np.ndarray:
    """Attributions of the features, (N, H, W) of pixels or (N, H, W, C) of values.

    Raises:
        AttribevalError: If maps of one number per pixel are to be read as those of single values.
    """
    maps = explained.values if per == "value" else explained.heat
    if per == "value" and maps.shape != subject.images.shape:
        raise AttribevalError(
            f"Expected a value for every channel, maps {subject.images.shape}, for per='value'. Received: "
            f"{maps.shape}: use per='pixel' for methods with one number per pixel."
        )
    return checked_maps(maps, subject.images, channels=per == "value")


def _checked(sizes: Sequence[int], features: int) -> np.ndarray:
    many = np.asarray(sizes)
    if not np.issubdtype(many.dtype, np.integer) or not len(many) or (np.diff(many, prepend=0) < 1).any():
        raise AttribevalError(f"Expected sizes of subsets as ascending ints of 1 or more. Received: {many.tolist()}.")
    if many[-1] > features:
        raise AttribevalError(f"Expected subsets of at most {features} features. Received: {many[-1]}.")
    return many
