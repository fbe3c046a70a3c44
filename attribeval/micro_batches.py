"""Images, some at a time: the next are read and copied to the device while it works on these."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.datasets.source import ImageSource, Repeated
from attribeval.errors import AttribevalError
from attribeval.models.extra_inputs import Work
from attribeval.models.sharing import halved

Images = ImageSource | Repeated


def capacity_for(shape: tuple[int | None, ...], given: int | None) -> int:
    """Images (H, W, C) at a time: as given, or as fits the device: about 16 of 224 × 224 on a CPU, 64 on a GPU.

    A free side, None, counts as 224.
    """
    if given is not None:
        if given < 1:
            raise AttribevalError(f"Expected a batch_size of 1 or more. Received: {given}.")
        return int(given)
    height, width = (side or 224 for side in shape[:2])
    images, most = (64, 1024) if tf.config.list_logical_devices("GPU") else (16, 128)
    return int(np.clip(images * 224 * 224 // (height * width), 1, most))


def in_order(
    source: Images,
    capacity: int,
    prepare: Callable[[np.ndarray, int], Any],
    work: Work,
    done: Callable[[int], None],
    one_reader: bool = False,
) -> None:
    """Call `work` for one micro-batch after the other.

    The next one is read and prepared meanwhile; on a GPU, where a copy waits for what the device was asked for before,
    the next three, by two threads. Out of memory halves the capacity, again and again, and says so.

    Args:
        source, capacity: The images, and how many at a time.
        prepare: From raw images and the number of the first to what is to be on the device.
        work: Given raw images, what was prepared, the number of the first image, and the capacity.
        done: Told how many images are done.
        one_reader: `prepare` must not be called by two threads at once.
    """
    on_gpu = bool(tf.config.list_logical_devices("GPU"))
    most = 3 if on_gpu else 1
    n, start = len(source), 0
    ahead: deque[tuple[int, Any]] = deque()  # where each stops, and its future

    def read(start: int, stop: int) -> tuple[np.ndarray, Any]:
        raw = source.load(start, stop)
        return raw, prepare(raw, start)

    with ThreadPoolExecutor(2 if on_gpu and not one_reader else 1, "attribeval-read") as reader:
        try:
            while start < n:
                end = ahead[-1][0] if ahead else start
                while len(ahead) <= most and end < n:
                    first, end = end, min(end + capacity, n)
                    ahead.append((end, reader.submit(read, first, end)))
                stop, future = ahead.popleft()
                try:
                    raw, prepared = future.result()
                    work(raw, prepared, start, capacity)
                except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                    _drop(ahead)
                    capacity = halved(capacity, stop - start, error)
                    continue
                done(stop - start)
                start = stop
        finally:
            _drop(ahead)


def _drop(ahead: deque[tuple[int, Any]]) -> None:
    while ahead:
        ahead.pop()[1].cancel()
