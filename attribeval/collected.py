"""Maps as they come back from the device, in any order, while it computes the next ones."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.datasets.source import all_finite
from attribeval.errors import AttribevalError
from attribeval.methods.batch import Batch
from attribeval.methods.card import Method
from attribeval.methods.conservation import remark_on_loss
from attribeval.methods.zeros import remark_on_zeros
from attribeval.models.classifier import Classifier

_WRITERS = 2
_MOST = 3  # so many maps may be on their way


class Collected:
    """Arrays that fill up as the micro-batches are done, asked for by one thread or several.

    Each thread that asks has others that wait for its maps, check them and write them down: a copy from a GPU waits
    for all that it was asked for before, and whoever asks is not to wait with it.
    """

    def __init__(self, n: int, labels: Sequence[str], classifier: Classifier):
        self.n = n
        self.classifier = classifier
        self.targets = np.zeros(n, np.int32)
        self.seconds = dict.fromkeys(labels, 0.0)
        self.values: dict[str, np.ndarray] = {}
        self.gaps: dict[str, np.ndarray] = {}
        self._scores: dict[str, np.ndarray] = {}
        self._known = np.zeros(n, bool)  # which images' scores
        self._own = threading.local()  # of each thread that asks: its writer, and what that is waiting for
        self._lock = threading.Lock()

    def add(self, batch: Batch, label: str, method: Method, maps: Any, begun: float) -> None:
        """Take maps of a batch over that the device may still be computing, and when they were asked for.

        Waits if too many are on their way already.

        Raises:
            AttribevalError: If maps that came back meanwhile are not what maps must be.
        """
        own = self._own
        if not hasattr(own, "writer"):
            own.writer, own.waiting, own.settled = ThreadPoolExecutor(_WRITERS, "attribeval-write"), deque(), [0.0]
        own.waiting.append(
            own.writer.submit(self._settle, own.settled, batch, label, method, maps, batch.completeness_gap, begun)
        )
        while len(own.waiting) > _MOST:
            _result(own.waiting.popleft())

    def settle(self) -> None:
        """Wait for all maps that this thread asked for."""
        waiting = getattr(self._own, "waiting", ())
        while waiting:
            _result(waiting.popleft())
        self.close()

    def close(self) -> None:
        """Let this thread's writer go; maps on their way are dropped."""
        if hasattr(self._own, "writer"):
            self._own.writer.shutdown(wait=True, cancel_futures=True)
            del self._own.writer

    def remarks(self, methods: Mapping[str, Method]) -> Iterator[str]:
        """What to tell the caller, when all maps are there."""
        one = self.classifier
        for label, method in methods.items():
            values, gap = self.values[label], self.gaps.get(label)
            told = [remark_on_zeros(label, method, values, self.targets, one.target_layer, one.class_names)]
            if hasattr(method, "lost") and gap is not None:
                told.append(remark_on_loss(method.card.name, values, gap, method.lost))
            yield from filter(None, told)

    @property
    def probabilities(self) -> np.ndarray | None:
        """Of all classes for each image, if a method learnt the scores of all images on its way."""
        if "scores" not in self._scores or not self._known.all():
            return None
        return np.asarray(self.classifier.task.of_scores(self._scores["scores"]), np.float32)

    def _settle(
        self, settled: list[float], batch: Batch, label: str, method: Method, maps: Any, gap: Any, begun: float
    ) -> None:
        """Wait for maps, check them, and write them down."""
        start = batch.start or 0
        if batch.scores_of_images is not None:
            self._know(batch.scores_of_images.numpy(), start)
        maps = np.asarray(maps, dtype=np.float32)
        maps = maps if method.card.raw else self.classifier.restore_channels(maps)
        _check_maps(maps, batch.raw.shape, label, start)
        self.targets[start : start + len(maps)] = np.asarray(batch.targets)
        self._write(self.values, label, start, maps)
        if gap is not None:
            self._write(self.gaps, label, start, np.asarray(gap, dtype=np.float32))
        now = time.perf_counter()
        with self._lock:  # never the same second twice, of each device
            self.seconds[label] += max(0.0, now - max(begun, settled[0]))
            settled[0] = max(settled[0], now)

    def _know(self, scores: np.ndarray, start: int) -> None:
        check_scores(scores, start)
        self._write(self._scores, "scores", start, scores)
        self._known[start : start + len(scores)] = True

    def _write(self, arrays: dict[str, np.ndarray], label: str, start: int, part: np.ndarray) -> None:
        with self._lock:
            if label not in arrays:
                arrays[label] = np.empty((self.n, *part.shape[1:]), np.float32)
        arrays[label][start : start + len(part)] = part


def _result(future: Future) -> None:
    try:
        future.result()
    except (tf.errors.ResourceExhaustedError, MemoryError) as error:  # fewer images at a time would not help
        raise AttribevalError(
            "Out of memory while maps came back: all maps of a call are kept until its end. Explain fewer images per "
            "call, or write them to a folder (`attribeval explain FOLDER`)."
        ) from error


def check_scores(scores: np.ndarray, start: int) -> None:
    """Refuse scores (N, classes) that are not finite, naming the image; the first is number `start`."""
    bad = np.flatnonzero(~np.isfinite(scores).all(1))
    if bad.size:
        raise AttribevalError(
            f"Expected finite scores. Received NaN or infinity from the model for image {start + bad[0]}: check "
            "its pixel range and preprocessing, and the model's weights."
        )


def _check_maps(maps: np.ndarray, shape: tuple[int, ...], label: str, start: int) -> None:
    """A method's maps must have the images' size and be finite."""
    if maps.shape[:3] != shape[:3] or maps.ndim != 4 or maps.shape[3] not in (1, shape[3]):
        raise AttribevalError(f"Expected maps {shape} or {(*shape[:3], 1)} from {label}. Received: {maps.shape}.")
    if not all_finite(maps):
        bad = np.flatnonzero(~np.isfinite(maps).all(axis=(1, 2, 3)))
        raise AttribevalError(
            f"Method {label!r} gave a map that is not finite for image {start + bad[0]}: the model's gradient or score "
            "overflows there. Check pixel range and preprocessing, or use float32 instead of mixed precision."
        )
