"""The scores of many modified images, made and asked about a batch at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from attribeval.common.options import check_count
from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps

OUTPUTS = ("logit", "probability")  # places in the last axis of scores


def subject_of(
    images: np.ndarray,
    predict: Predict,
    targets: np.ndarray,
    seeds: np.ndarray | None = None,
    clean: np.ndarray | None = None,
    batch_size: int = BATCH_SIZE,
) -> Subject:
    """Images and a function as a subject, whose logits and probabilities are both what the function gives.

    Args:
        images: Raw images (N, H, W, C).
        predict: Raw images (B, H, W, C) -> (B, classes), B up to `batch_size`.
        targets: Class of each image, ints (N,).
        seeds: One per image, int32 (N, 2); None makes them from the images.
        clean: Scores of the images, (N,), if known.
        batch_size: 1 or more. Never changes a result beyond float rounding.

    Raises:
        AttribevalError: If shapes do not match.
    """
    images, targets = np.asarray(images, np.float32), np.asarray(targets)
    if images.ndim != 4 or len(images) == 0:
        raise AttribevalError(f"Expected images (N, H, W, C), at least one. Received: shape {images.shape}.")
    if targets.shape != (len(images),) or not np.issubdtype(targets.dtype, np.integer) or targets.min() < 0:
        raise AttribevalError(
            f"Expected a class index for each of {len(images)} images. Received: shape {targets.shape} of dtype "
            f"{targets.dtype}."
        )
    check_count("batch_size", batch_size, 1)

    def answer(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        parts = [np.asarray(predict(some[k : k + batch_size])) for k in range(0, len(some), batch_size)]
        found = parts[0] if len(parts) == 1 else np.concatenate([np.atleast_1d(part) for part in parts])
        return found, found

    seeds = image_seeds(images, 0) if seeds is None else np.asarray(seeds, np.int32)
    subject = Subject(images, targets, answer, seeds, batch_size=batch_size)
    if clean is not None:
        known = np.asarray(clean, np.float64)
        if known.shape != (len(images),):
            raise AttribevalError(f"Expected clean scores ({len(images)},). Received: {known.shape}.")
        subject.share("clean scores", lambda: np.stack([known, known], axis=-1))
    return subject


def score_of(metric: Any, maps: np.ndarray, subject: Subject, channels: bool = False) -> np.ndarray:
    """A benchmark's number for each of maps that were made somewhere, (N, H, W), or with `channels` (N, H, W, C)."""
    explained = explained_by(checked_maps(maps, subject.images, channels))
    return metric.score(subject, metric.prepare(subject), explained)


def explained_by(maps: np.ndarray) -> Explained:
    """Maps (N, H, W) or (N, H, W, C), shares of a score, that no method can make again."""

    def explain(*_: Any) -> np.ndarray:
        raise AttribevalError("Expected a metric that asks for no other maps.")

    values, heat = (maps, maps.sum(-1)) if maps.ndim == 4 else (maps[..., None], maps)
    return Explained(values, heat, explain)


def of_targets(answers: Sequence[np.ndarray], targets: np.ndarray, items: np.ndarray) -> np.ndarray:
    """Logit and probability of the items' classes, float64 (B, 2), of (B, classes) each.

    Raises:
        AttribevalError: If the answers have another shape, a class does not exist, or a number is not finite (naming
            the image).
    """
    for answer in answers:
        if answer.ndim != 2 or len(answer) != len(items):
            raise AttribevalError(f"Expected predict to return ({len(items)}, classes). Received: {answer.shape}.")
    missing = np.flatnonzero(targets[items] >= answers[0].shape[1])
    if missing.size:
        raise AttribevalError(
            f"Expected targets below {answers[0].shape[1]}, the number of classes. Received: "
            f"{targets[items[missing[0]]]} for image {items[missing[0]]}."
        )
    found = np.stack([answer[np.arange(len(items)), targets[items]] for answer in answers], axis=-1)
    check_scores(found, items)
    return found


def check_scores(found: np.ndarray, items: np.ndarray) -> None:
    """Refuse scores (B, 2) of images, or of modified copies of them, that are not finite."""
    bad = np.flatnonzero(~np.isfinite(found).all(1))
    if bad.size:
        raise AttribevalError(
            f"Expected finite scores. Received: {found[bad[0]]} for image {items[bad[0]]}, or a modified copy of it: "
            "check the model, its pixel range and the fill."
        )


def scored(subject: Subject, painted: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
    """Ask about modified images as they are made; at most `subject.batch_size` of them exist at a time.

    Args:
        subject: The model; all batches but the last are full.
        painted: (item, image (H, W, C)). The image is copied at once, so that it may be changed to make the next one.

    Returns:
        Logit and probability of the items' classes, float64 (number of images, 2), in their order.
    """
    items: list[int] = []
    parts, batch = [], np.empty(0)

    def ask() -> None:
        parts.append(of_targets(subject.ask(batch[: len(items)]), subject.targets, np.array(items)))
        items.clear()

    for item, image in painted:
        if not items:  # a new one: the model may keep what it was given
            batch = np.empty((subject.batch_size, *image.shape), np.float32)
        batch[len(items)] = image
        items.append(item)
        if len(items) == subject.batch_size:
            ask()
    if items:
        ask()
    return np.concatenate(parts) if parts else np.zeros((0, 2))


def clean_scores(subject: Subject) -> np.ndarray:
    """Logit and probability of the clean images' classes, float64 (N, 2); never asked for again."""

    def compute() -> np.ndarray:
        return of_targets((subject.logits, subject.probabilities), subject.targets, np.arange(len(subject)))

    return subject.share("clean scores", compute)
