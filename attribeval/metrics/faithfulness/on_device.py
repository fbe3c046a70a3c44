"""Answers about a subject's images with parts replaced, painted where the model is: masks travel, no painted image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.descriptions import Masks, bits, ranks
from attribeval.methods.painting import Painter
from attribeval.metrics.subject import Subject
from attribeval.models.sharing import halved


def asks_device(subject: Subject) -> bool:
    """Whether `OnDevice` may be asked."""
    return subject.classifier is not None and subject.capacity is not None


def _capacity(subject: Subject) -> int:
    if subject.capacity is None:
        raise AttribevalError("Expected a subject that may be painted on its device. Received one without capacity.")
    return subject.capacity


class OnDevice:
    """Logit and probability of the items' classes, from one compiled call for painting and model.

    Args:
        subject: One that `asks_device`.
    """

    def __init__(self, subject: Subject):
        self._subject = subject

    def along(
        self, places: np.ndarray, counts: Sequence[np.ndarray], ends: Callable[[int], tuple[np.ndarray, np.ndarray]]
    ) -> np.ndarray:
        """Answers about images on their way from one end to the other, in the order of their pixels.

        Args:
            places: Place of each pixel in the order, ints (N, H, W).
            counts: For each item, how many places have the end's colours, ints (any number,).
            ends: From an item to its start and its end, raw, each (H, W, C).

        Returns:
            float64 (sum of the numbers of counts, 2), items in their order.
        """
        items = [item for item, some in enumerate(counts) if len(some)]
        found, size = [], _capacity(self._subject)
        for group in (items[start : start + size] for start in range(0, len(items), size)):
            start, end = (np.stack(side) for side in zip(*map(ends, group), strict=True))
            owners = np.repeat(np.arange(len(group)), [len(counts[item]) for item in group])
            rows = np.concatenate([counts[item] for item in group])
            found.append(self._ask(np.array(group), start, end, ranks(), (places[group],), [(owners, rows)]))
        return np.concatenate(found) if found else np.zeros((0, 2))

    def without(self, images: np.ndarray, hidden: np.ndarray, gone: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
        """Answers about images without some of their pixels, or of their values.

        Args:
            images: The subject's, raw, (N, H, W, C).
            hidden: The same with everything hidden.
            gone: An item and what it lacks, bool (H, W), or (H, W, C); all of one kind; a few exist at a time.

        Returns:
            float64 (number of pairs, 2), in their order.
        """

        pairs = iter(gone)
        first = next(pairs)
        pairs, channels = chain([first], pairs), images.shape[-1] if first[1].ndim == 3 else None

        def pieces() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            while some := list(islice(pairs, self._subject.capacity)):
                owners, masks = zip(*some, strict=True)
                yield np.array(owners), np.packbits(~np.stack(masks).reshape(len(masks), -1), axis=1)

        return self._ask(np.arange(len(images)), images, hidden, bits(channels), (), pieces())

    def _ask(
        self,
        items: np.ndarray,
        images: np.ndarray,
        hidden: np.ndarray,
        masks: Masks,
        given: tuple[Any, ...],
        rows: Iterable[tuple[np.ndarray, np.ndarray]],
    ) -> np.ndarray:
        """Answers (number of rows, 2) about painted images, whose owners are numbers of these items."""
        subject = self._subject
        classifier, targets = subject.model, subject.targets[items]
        x = classifier.prepare(images)
        batch = Batch(classifier, x, images, tf.constant(targets, tf.int32), subject.seeds[items], _capacity(subject))
        painter, parts = Painter(batch, hidden, masks, *given), []
        for owners, some in rows:
            while len(owners):
                now = slice(subject.capacity)
                try:
                    answers = painter.ask("both", owners[now], some[now])[0].numpy().astype(np.float64)
                except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                    subject.capacity = halved(_capacity(subject), len(owners), error)
                    continue
                _check_finite(answers, items[owners[now]])
                subject.passes += len(answers)
                parts.append(answers)
                owners, some = owners[len(answers) :], some[len(answers) :]
        return np.concatenate(parts) if parts else np.zeros((0, 2))


def _check_finite(answers: np.ndarray, items: np.ndarray) -> None:
    bad = np.flatnonzero(~np.isfinite(answers).all(1))
    if bad.size:
        raise AttribevalError(
            f"Expected finite scores. Received {answers[bad[0]]} for a modified image {items[bad[0]]}: check its pixel "
            "range and the fill."
        )
