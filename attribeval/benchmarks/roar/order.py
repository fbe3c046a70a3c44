"""Which image comes when: a function of the seed alone.

An epoch is a permutation, and step s takes the images at the places s · batch … of all epochs laid end to end. So every
batch is full, every image is seen equally often, workers take their parts of one common batch, and nothing depends on
threads or on TensorFlow's global seed.
"""

from __future__ import annotations

import functools

import numpy as np

from attribeval.benchmarks.roar.records import Records

_WINDOW_BYTES = 2**31  # of images that are shuffled together: all of them for most sets


class Order:
    """The order of an endless training stream.

    Shards come in random order, and as many images at a time as 2 GB hold are permuted.
    """

    def __init__(self, images: Records, seed: int):
        self._images, self._seed = images, seed
        self._epoch = functools.lru_cache(maxsize=4)(self._permuted)

    def batch(self, number: int, size: int, worker: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
        """Epoch and number of each image of a worker's batch, int64 (size,) each."""
        places = (number * workers + worker) * size + np.arange(size)
        epochs, places = np.divmod(places, len(self._images))
        items = np.empty(size, np.int64)
        for epoch in np.unique(epochs).tolist():
            of_epoch = epochs == epoch
            items[of_epoch] = self._epoch(epoch)[places[of_epoch]]
        return epochs, items

    def _permuted(self, epoch: int) -> np.ndarray:
        """Every image once, int64 (N,): windows of images permuted, taken from shards in random order."""
        n, generator = len(self._images), np.random.default_rng([self._seed % 2**64, epoch])
        window = max(1, _WINDOW_BYTES // self._images.record_bytes)
        if window >= n:
            return generator.permutation(n)
        shards = generator.permutation(self._images.shards)
        order = np.concatenate([np.arange(*self._images.span(int(k))) for k in shards])
        for start in range(0, n, window):
            generator.shuffle(order[start : start + window])
        return order
