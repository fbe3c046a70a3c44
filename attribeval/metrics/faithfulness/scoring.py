"""The scores of many modified images, made and asked about a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from attribeval.attributer import image_seeds
from attribeval.common.options import check_count
from attribeval.errors import AttribevalError
from attribeval.metrics.faithfulness.on_device import OnDevice, asks_device
from attribeval.metrics.subject import Predict, Subject

BATCH_SIZE = 64


def target_scores(
    predict: Predict,
    modified: Iterable[tuple[int, np.ndarray]],
    targets: np.ndarray,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """The score of each modified image's class; only `batch_size` modified images exist at a time.

    Args:
        predict: Raw images (B, H, W, C) -> (B, classes); called with `batch_size` images, the last time with the rest.
        modified: Pairs of (which image, its modified copy (H, W, C)).
        targets: Class of each image, ints (N,).
        batch_size: 1 or more. Never changes the result beyond float rounding.

    Returns:
        float64, one per pair, in order.

    Raises:
        AttribevalError: If `predict` returns another shape, or a number that is not finite (naming the image).
    """
    check_count("batch_size", batch_size, 1)
    modified, parts = iter(modified), []
    while some := list(islice(modified, batch_size)):
        owners = np.array([owner for owner, _ in some])
        answer = np.asarray(predict(np.stack([image for _, image in some])), np.float64)
        if answer.ndim != 2 or len(answer) != len(some) or answer.shape[1] <= np.max(targets):
            raise AttribevalError(
                f"Expected predict to return ({len(some)}, classes) with more than {np.max(targets)} classes. "
                f"Received: shape {answer.shape}."
            )
        scores = answer[np.arange(len(some)), np.asarray(targets)[owners]]
        bad = np.flatnonzero(~np.isfinite(scores))
        if bad.size:
            raise AttribevalError(
                f"Expected finite scores. Received {scores[bad[0]]} for a modified copy of image {owners[bad[0]]}: "
                "check the model and the fill."
            )
        parts.append(scores)
    return np.concatenate(parts) if parts else np.zeros(0)


def clean_scores(
    predict: Predict, images: np.ndarray, targets: np.ndarray, clean: np.ndarray | None, batch_size: int = BATCH_SIZE
) -> np.ndarray:
    """Scores of the images themselves, float64 (N,): those given, or asked for."""
    if clean is None:
        return target_scores(predict, enumerate(images), targets, batch_size)
    return checked_clean(clean, len(images))


def checked_clean(clean: np.ndarray, count: int) -> np.ndarray:
    """Scores of so many images, float64 (N,), as they were given."""
    clean = np.asarray(clean, np.float64)
    if clean.shape != (count,):
        raise AttribevalError(f"Expected clean scores ({count},). Received: {clean.shape}.")
    return clean


def subject_scores(subject: Subject) -> np.ndarray:
    """The logit of each image's target, float64 (N,), known without asking again."""
    return subject.logits[np.arange(len(subject)), subject.targets]


def checked_images(images: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Raw images as float32 (N, H, W, C) and their classes (N,), or an error."""
    images, targets = np.asarray(images, np.float32), np.asarray(targets)
    if images.ndim != 4 or len(images) == 0:
        raise AttribevalError(f"Expected images (N, H, W, C), at least one. Received: shape {images.shape}.")
    if targets.shape != (len(images),) or not np.issubdtype(targets.dtype, np.integer) or targets.min() < 0:
        raise AttribevalError(
            f"Expected a class index for each of {len(images)} images. Received: shape {targets.shape} of dtype "
            f"{targets.dtype}."
        )
    return images, targets


def seeds_for(images: np.ndarray, seeds: np.ndarray | None) -> np.ndarray:
    """One seed per image, int32 (N, 2): those given, or those of the user's seed 0."""
    return image_seeds(images, 0) if seeds is None else np.asarray(seeds, np.int32)


def logits_on(subject: Subject) -> Predict | OnDevice:
    """What to ask for logits of the subject's classifier, for `scores_without`."""
    return OnDevice(subject) if asks_device(subject) else subject.logits_of


def scores_without(
    predict: Predict | OnDevice,
    images: np.ndarray,
    hidden: np.ndarray,
    gone: Iterable[tuple[int, np.ndarray]],
    targets: np.ndarray,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:
    """The score of images of which some pixels, or some values, are hidden.

    Args:
        predict: As `target_scores` takes it; or an `OnDevice`, which paints where the model is.
        images: Raw, float32 (N, H, W, C).
        hidden: The same with everything hidden.
        gone: Which image, and what of it is hidden, bool (H, W), or (H, W, C); all of one kind.
        targets, batch_size: As in `target_scores`.

    Returns:
        float64, one per pair, in order.
    """
    if isinstance(predict, OnDevice):
        return predict.without(images, hidden, gone)[:, 0]
    painted = ((i, np.where(mask if mask.ndim == 3 else mask[..., None], hidden[i], images[i])) for i, mask in gone)
    return target_scores(predict, painted, targets, batch_size)


def gone_cells(masks: np.ndarray, cells: np.ndarray, n: int) -> Iterator[tuple[int, np.ndarray]]:
    """Which pixels of each image lie in cells of a grid that are hidden.

    Args:
        masks: Which cells to hide, bool (N, S, cells), or (S, cells) for all images.
        cells: Cell of each pixel, ints (H, W).
        n: Number of images.

    Yields:
        (image's index, bool (H, W)), S for the first image, then the next.
    """
    for i in range(n):
        for mask in masks if masks.ndim == 2 else masks[i]:
            yield i, mask[cells]
