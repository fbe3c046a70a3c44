"""Mean and variance of the maps of noisy copies of an image, in one pass and without cancellation."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Method
from attribeval.methods.options import check_count, check_positive
from attribeval.methods.seeds import fold, normal

_STREAM = 2**32  # random numbers of the noise; samples are folded in with small numbers


class Moments:
    """Of n maps per image: their mean, and the sum of the squared differences from it, float (B, H, W, C or 1).

    Counted one by one and in place (Welford 1962): fresh arrays for every step would cost more than the arithmetic.
    """

    def __init__(self) -> None:
        self.n = 0

    @property
    def variance(self) -> np.ndarray:
        """Population variance, Σ (map − mean)² / n."""
        return self.m2 / self.n

    @property
    def mean_square(self) -> np.ndarray:
        """Σ map² / n, as a sum of two terms that are not negative."""
        return np.square(self.mean) + self.m2 / self.n

    def add(self, maps: np.ndarray) -> None:
        """Take one more map of each image into account, (B, H, W, C or 1)."""
        self.n += 1
        if self.n == 1:
            self.mean, self.m2, self._step = np.array(maps), np.zeros_like(maps), np.empty_like(maps)
            return
        step = np.subtract(maps, self.mean, out=self._step)
        step /= self.n
        self.mean += step
        np.square(step, out=step)
        step *= self.n * (self.n - 1)  # (map − old mean) · (map − new mean)
        self.m2 += step


def check_noise(samples: int, sigma: float, least: int = 1) -> None:
    """Refuse bad options of the noise."""
    check_count("samples", samples, least)
    check_positive("sigma", sigma)


def noisy(batch: Batch, samples: range, sigma: float, relative: bool) -> Any:
    """Noisy copies of every image, model inputs (len(samples) · B, H, W, C), sample after sample.

    A copy depends on the image, the user's seed and the number of the sample only.

    Args:
        batch: The images.
        samples: Which copies.
        sigma: Standard deviation of the Gaussian noise, as a share of each image's own (max − min), or (not
            `relative`) in units of the model's input.
        relative: See `sigma`.
    """
    x = np.asarray(batch.x)
    spreads = np.ptp(x, axis=(1, 2, 3)) if relative else np.ones(len(x), x.dtype)
    seeds = np.concatenate([fold(fold(batch.seeds, sample), _STREAM) for sample in samples])
    return tf.constant(normal(seeds, x, sigma * spreads))


def moments(batch: Batch, base: Method, samples: int, sigma: float, relative: bool) -> Moments:
    """Moments of `base` over noisy copies of the images; one pass for all methods of this batch that ask for the same.

    Memory does not grow with `samples`: copies are made, explained and counted in groups that fill the capacity.
    """

    def compute() -> Moments:
        found = Moments()
        for group in batch.groups(samples):
            maps = np.asarray(base.attribute(batch.at(noisy(batch, group, sigma, relative), group)))
            for one in maps.reshape(len(group), len(batch), *maps.shape[1:]):
                found.add(one)
        return found

    return batch.share(("moments", base, samples, sigma, relative), compute)
