"""Micro-batches shared out over devices: a thread for each takes the next one when it is done with the last."""

from __future__ import annotations

import threading
import warnings
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.errors import AttribevalError
from attribeval.models.devices import Copies


def halved(capacity: int, images: int, error: Exception) -> int:
    """How many images to take at a time after so many were too many for the memory; says so.

    Raises:
        AttribevalError: If it was one.
    """
    if capacity == 1:
        raise AttribevalError(
            "Out of memory with 1 image at a time: free memory, or explain smaller images."
        ) from error
    smaller = max(1, min(capacity, images) // 2)
    warnings.warn(
        f"Out of memory: going on with {smaller} image{'s' if smaller > 1 else ''} at a time. Pass "
        f"batch_size={smaller} to start with that.",
        stacklevel=6,
    )
    return smaller


class SharedOut:
    """The images 0 … n − 1, some at a time, for several threads; one thread of its own reads ahead, in order.

    Args:
        n: Number of images.
        capacity: How many at a time.
        load: Given start and stop, reads these images, (stop − start, H, W, C).
        ahead: How many micro-batches to read ahead.
    """

    def __init__(self, n: int, capacity: int, load: Callable[[int, int], np.ndarray], ahead: int):
        self.capacity = capacity
        self._n, self._load, self._ahead = n, load, ahead
        self._next = 0
        self._lock = threading.Lock()
        self._reading: deque[tuple[int, Any]] = deque()
        self._returned: list[tuple[int, np.ndarray]] = []
        self._reader = ThreadPoolExecutor(1, "attribeval-read")

    def take(self) -> tuple[int, np.ndarray, int] | None:
        """Number of the first image, the images, and the capacity now; None if nothing is left."""
        with self._lock:
            if self._returned:
                return self._part(*self._returned.pop())
            while self._next < self._n and len(self._reading) <= self._ahead:
                stop = min(self._next + self.capacity, self._n)
                self._reading.append((self._next, self._reader.submit(self._load, self._next, stop)))
                self._next = stop
            if not self._reading:
                return None
            start, future = self._reading.popleft()
        raw = future.result()
        with self._lock:
            return self._part(start, raw)

    def _part(self, start: int, raw: np.ndarray) -> tuple[int, np.ndarray, int]:
        """As many of these images as are taken at a time now; the others go back."""
        if len(raw) > self.capacity:
            self._returned.append((start + self.capacity, raw[self.capacity :]))
        return start, raw[: self.capacity], self.capacity

    def too_much(self, start: int, raw: np.ndarray, capacity: int, error: Exception) -> None:
        """Take images back that did not fit in memory; from now on there are fewer at a time."""
        with self._lock:
            if self.capacity >= capacity:  # otherwise another thread was told so before
                self.capacity = halved(capacity, len(raw), error)
            self._returned.append((start, raw))

    def close(self) -> None:
        self._reader.shutdown(cancel_futures=True)


def share_out(
    copies: Copies,
    batches: SharedOut,
    work: Callable[[np.ndarray, int, int], None],
    finish: Callable[[], None],
    done: Callable[[int], None],
) -> None:
    """Work on all micro-batches, each on one of the devices. An error, or Ctrl-C, stops all of them.

    Args:
        copies: The devices.
        batches: The micro-batches.
        work: Given images, number of the first, and capacity; called in a thread of the device.
        finish: Called in each thread at its end.
        done: Told how many images are done, never by two threads at once.

    Raises:
        Of the errors met until all had stopped, that of the first images.
    """
    stop, lock = threading.Event(), threading.Lock()
    errors: list[tuple[int, BaseException]] = []

    def lane(number: int) -> None:
        start = 0
        try:
            with copies.on(number):
                while not stop.is_set() and (taken := batches.take()) is not None:
                    start, raw, capacity = taken
                    try:
                        work(raw, start, capacity)
                    except (tf.errors.ResourceExhaustedError, MemoryError) as error:
                        batches.too_much(start, raw, capacity, error)
                        continue
                    with lock:
                        done(len(raw))
                if not stop.is_set():
                    finish()
        except BaseException as error:  # handed on to the caller's thread
            errors.append((start, error))
            stop.set()

    try:
        with ThreadPoolExecutor(len(copies.devices), "attribeval-device") as pool:
            try:
                wait([pool.submit(lane, number) for number in range(len(copies.devices))])
            finally:
                stop.set()
    finally:
        batches.close()
    if errors:
        raise min(errors, key=lambda pair: pair[0])[1]
