"""Random subsets of an image's features, what a map gives to each, and the drop of the score without each.

Nothing about a subset is kept: image, seed and number of the draw make it again. One draw gives each feature a
random key; the n lowest are the subset of size n. So subsets of one draw are nested, and those of different draws are
independent: for each n, the draws give independent subsets, each as likely as any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from attribeval.common.fills import Fill, filled
from attribeval.common.seeds import fold, generators
from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.on_device import OnDevice
from attribeval.metrics.faithfulness.scoring import (
    BATCH_SIZE,
    checked_clean,
    clean_scores,
    logits_on,
    scores_without,
    subject_scores,
)
from attribeval.metrics.subject import Predict, Subject

FEATURES = ("pixel", "value")
_STREAM = 2**34  # random numbers of subsets


def feature_count(shape: Sequence[int], per: str) -> int:
    """How many features an image (H, W, C) has: its pixels, or its single values."""
    height, width, channels = shape
    return height * width * (channels if per == "value" else 1)


def subsets(seeds: np.ndarray, draw: int, features: int, sizes: np.ndarray) -> Iterator[list[np.ndarray]]:
    """For each image the subset of each size, ints (size,): the features with the lowest of random keys.

    Args:
        seeds: int32 (N, 2).
        draw: Number of the draw, 0 or more.
        features: How many features there are.
        sizes: Ascending ints, 1 to `features`.

    Yields:
        One list per image, in the order of `sizes`; which features a subset has depends on no other size.
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
    """Σ attribution of each subset.

    Args:
        maps: Finite numbers, (N, H, W) for features that are pixels, (N, H, W, C) for single values.
        sizes: How many features each subset has, ascending, 1 or more.
        draws: Subsets of each size.
        seeds: int32 (N, 2).

    Returns:
        float64 (N, draws, len(sizes)).
    """
    flat = np.asarray(maps, np.float64).reshape(len(maps), -1)
    many, sums = _checked(sizes, flat.shape[1]), np.empty((len(flat), draws, len(sizes)))
    for draw in range(draws):
        for i, chosen in enumerate(subsets(seeds, draw, flat.shape[1], many)):
            sums[i, draw] = [flat[i, subset].sum() for subset in chosen]
    return sums


def subset_drops(
    images: np.ndarray,
    predict: Predict | OnDevice,
    targets: np.ndarray,
    sizes: Sequence[int],
    draws: range,
    seeds: np.ndarray,
    *,
    fill: Fill = "black",
    per: str = "pixel",
    clean: np.ndarray | None = None,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """The drop of the target's score when a subset of features is filled.

    Args:
        images: Raw images, float32 (N, H, W, C).
        predict: Raw images (B, H, W, C) -> (B, classes); or an `OnDevice`, if the scores of the images are known.
        targets: Class of each image, ints (N,).
        sizes: Features of each subset, ascending.
        draws: Which draws; range(a, b) continues range(a).
        seeds: int32 (N, 2).
        fill: What replaces them, in raw space; see `common.fills.filled`.
        per: "pixel" (all channels of a pixel together) or "value".
        clean: Scores of the images, (N,), if known.
        batch_size: Images that `predict` gets at a time.

    Returns:
        Score of the image − score without the subset, float64 (N, len(draws), len(sizes)).
    """
    features = feature_count(images.shape[1:], per)
    many = _checked(sizes, features)
    hidden = filled(images, fill)
    shape = images.shape[1:] if per == "value" else images.shape[1:3]

    def without() -> Iterator[tuple[int, np.ndarray]]:
        for draw in draws:
            for i, chosen in enumerate(subsets(seeds, draw, features, many)):
                for subset in chosen:
                    gone = np.zeros(features, bool)
                    gone[subset] = True
                    yield i, gone.reshape(shape)

    scores = scores_without(predict, images, hidden, without(), targets, batch_size)
    scores = scores.reshape(len(draws), len(images), len(many))
    if clean is None:
        if isinstance(predict, OnDevice):
            raise AttribevalError("Expected the scores of the images where a device is asked: pass clean=.")
        clean = clean_scores(predict, images, targets, None, batch_size)
    return checked_clean(clean, len(images))[:, None, None] - scores.swapaxes(0, 1)


def shared_drops(subject: Subject, sizes: Sequence[int], draws: int, fill: Fill, per: str) -> np.ndarray:
    """`subset_drops` of the logit, float64 (N, draws, len(sizes)); what any benchmark has asked for is not asked again.

    Two benchmarks that want subsets of the same size, features and fill see the same subsets, in the same order.
    """
    known: dict[int, np.ndarray] = subject.share(("subset drops", fill, per), dict)
    missing: dict[int, list[int]] = {}
    for size in sizes:
        have = known[size].shape[1] if size in known else 0
        if have < draws:
            missing.setdefault(have, []).append(size)
    for have, some in missing.items():
        new = subset_drops(
            subject.images,
            logits_on(subject),
            subject.targets,
            some,
            range(have, draws),
            subject.seeds,
            fill=fill,
            per=per,
            clean=subject_scores(subject),
        )
        for k, size in enumerate(some):
            known[size] = np.concatenate([known[size], new[:, :, k]], axis=1) if have else new[:, :, k]
    return np.stack([known[size][:, :draws] for size in sizes], axis=2)


def check_channels(maps: np.ndarray, images: np.ndarray) -> None:
    """Refuse to read one number per pixel as attributions of single values."""
    if maps.shape != images.shape:
        raise AttribevalError(
            f"Expected a value for every channel, maps {images.shape}, for per='value'. Received: {maps.shape}: use "
            "per='pixel' for methods with one number per pixel."
        )


def _checked(sizes: Sequence[int], features: int) -> np.ndarray:
    many = np.asarray(sizes)
    if not np.issubdtype(many.dtype, np.integer) or not len(many) or (np.diff(many, prepend=0) < 1).any():
        raise AttribevalError(f"Expected sizes of subsets as ascending ints of 1 or more. Received: {many.tolist()}.")
    if many[-1] > features:
        raise AttribevalError(f"Expected subsets of at most {features} features. Received: {many[-1]}.")
    return many
