"""Mean and variance of the maps of noisy copies of an image, in one pass and without cancellation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from attribeval import _tf as tf
from attribeval.methods.batch import Batch
from attribeval.methods.card import Method
from attribeval.methods.options import check_count, check_positive
from attribeval.methods.seeds import fold, normal

_STREAM = 2**32  # random numbers of the noise; samples are folded in with small numbers


class Moments(NamedTuple):
    """Of n maps: their mean, and the sum of the squared differences from it, tensors (B, H, W, C or 1)."""

    n: int
    mean: Any
    m2: Any

    @property
    def variance(self) -> Any:
        """Population variance, Σ (map − mean)² / n."""
        return self.m2 / self.n

    @property
    def mean_square(self) -> Any:
        """Σ map² / n, as a sum of two terms that are not negative."""
        return tf.square(self.mean) + self.m2 / self.n

    def merge(self, maps: Any) -> Moments:
        """Take S more maps, (S, B, H, W, C or 1), into account (Chan et al. 1979, equation 2.1)."""
        n = int(maps.shape[0])
        if n == 1:
            mean, m2 = maps[0], 0.0
        else:
            mean = tf.reduce_mean(maps, axis=0)
            m2 = tf.reduce_sum(tf.square(maps - mean), axis=0)
        if not self.n:
            return Moments(n, mean, m2 if n > 1 else tf.zeros_like(mean))
        total = self.n + n
        delta = mean - self.mean
        return Moments(total, self.mean + delta * (n / total), self.m2 + m2 + tf.square(delta) * (self.n * n / total))


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
    x = batch.x
    if relative:
        axes = (1, 2, 3)
        sigma = sigma * (tf.reduce_max(x, axis=axes, keepdims=True) - tf.reduce_min(x, axis=axes, keepdims=True))
    seeds = np.concatenate([fold(fold(batch.seeds, sample), _STREAM) for sample in samples])
    noise = tf.cast(normal(seeds, tuple(x.shape[1:])), x.dtype)
    stacked = x + sigma * tf.reshape(noise, [len(samples), *x.shape])
    return tf.reshape(stacked, [-1, *x.shape[1:]])


def moments(batch: Batch, base: Method, samples: int, sigma: float, relative: bool) -> Moments:
    """Moments of `base` over noisy copies of the images; one pass for all methods of this batch that ask for the same.

    Memory does not grow with `samples`: copies are made, explained and counted in groups that fill the capacity.
    """

    def compute() -> Moments:
        found = Moments(0, None, None)
        for group in batch.groups(samples):
            maps = tf.convert_to_tensor(base.attribute(batch.at(noisy(batch, group, sigma, relative), group)))
            found = found.merge(tf.reshape(maps, [len(group), len(batch), *maps.shape[1:]]))
        return found

    return batch.share(("moments", base, samples, sigma, relative), compute)
