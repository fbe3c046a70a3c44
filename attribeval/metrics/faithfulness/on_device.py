"""Answers about a subject's images with parts replaced, painted where the model is: masks travel, no painted image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.fills import Fill, filled
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.descriptions import Masks, bits, ranks
from attribeval.methods.painting import Painter
from attribeval.metrics.faithfulness.scoring import check_scores, scored
from attribeval.metrics.subject import Subject
from attribeval.models.sharing import halved


def asks_device(subject: Subject) -> bool:
    """Whether `along` may be asked."""
    return subject.classifier is not None and subject.capacity is not None


def _capacity(subject: Subject) -> int:
    if subject.capacity is None:
        raise AttribevalError("Expected a subject that may be painted on its device. Received one without capacity.")
    return subject.capacity


def along(
    subject: Subject,
    places: np.ndarray,
    counts: Sequence[np.ndarray],
    ends: Callable[[int], tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Answers about images on their way from one end to the other, in the order of their pixels.

    Args:
        subject: One that `asks_device`.
        places: Place of each pixel in the order, ints (N, H, W).
        counts: For each item, how many places have the end's colours, ints (any number,).
        ends: From an item to its start and its end, raw, each (H, W, C).

    Returns:
        Logit and probability, float64 (sum of the numbers of counts, 2), items in their order.
    """
    items = [item for item, some in enumerate(counts) if len(some)]
    found, size = [], _capacity(subject)
    for group in (items[start : start + size] for start in range(0, len(items), size)):
        start, end = (np.stack(side) for side in zip(*map(ends, group), strict=True))
        owners = np.repeat(np.arange(len(group)), [len(counts[item]) for item in group])
        rows = np.concatenate([counts[item] for item in group])
        found.append(_ask(subject, np.array(group), (start, end), (ranks(), places[group]), [(owners, rows)]))
    return np.concatenate(found) if found else np.zeros((0, 2))


def scores_without(subject: Subject, fill: Fill, gone: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
    """The logit of images of which some pixels, or some values, are hidden; painted where the model is, if it may be.

    Args:
        subject: The images and the model.
        fill: What replaces them, in raw space; see `common.fills.filled`.
        gone: Which image, and what of it is hidden, bool (H, W), or (H, W, C); all of one kind; a few exist at a time.

    Returns:
        float64, one per pair, in order.
    """
    images, hidden, pairs = subject.images, filled(subject.images, fill), iter(gone)
    if not asks_device(subject):
        masks = ((i, mask if mask.ndim == 3 else mask[..., None]) for i, mask in pairs)
        return scored(subject, ((i, np.where(mask, hidden[i], images[i])) for i, mask in masks))[:, 0]
    first = next(pairs)
    pairs, channels = chain([first], pairs), images.shape[-1] if first[1].ndim == 3 else None

    def pieces() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        while some := list(islice(pairs, subject.capacity)):
            owners, masks = zip(*some, strict=True)
            yield np.array(owners), np.packbits(~np.stack(masks).reshape(len(masks), -1), axis=1)

    return _ask(subject, np.arange(len(images)), (images, hidden), (bits(channels),), pieces())[:, 0]


def _ask(
    subject: Subject,
    items: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
    masks: tuple[Masks, *tuple[Any, ...]],
    rows: Iterable[tuple[np.ndarray, np.ndarray]],
) -> np.ndarray:
    """Answers (number of rows, 2) about images painted from one end to the other, owned by numbers of these items."""
    classifier, (images, hidden) = subject.model, ends
    targets = tf.constant(subject.targets[items], tf.int32)
    batch = Batch(classifier, classifier.prepare(images), images, targets, subject.seeds[items], _capacity(subject))
    painter, parts = Painter(batch, hidden, *masks), []
    for owners, some in rows:
        while len(owners):
            now = slice(subject.capacity)
            try:
                answers = painter.ask("both", owners[now], some[now])[0].numpy().astype(np.float64)
            except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                subject.capacity = halved(_capacity(subject), len(owners), error)
                continue
            check_scores(answers, items[owners[now]])
            subject.passes += len(answers)
            parts.append(answers)
            owners, some = owners[len(answers) :], some[len(answers) :]
    return np.concatenate(parts) if parts else np.zeros((0, 2))
