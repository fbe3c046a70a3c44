"""Mean and variance of the maps of noisy copies of an image, in one pass and without cancellation, on the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_count, check_positive
from attribeval.common.seeds import fold
from attribeval.methods import drawing
from attribeval.methods.batch import Batch
from attribeval.methods.card import Method

_STREAM = 2**32  # random numbers of the noise; samples are folded in with small numbers


class Moments:
    """Of n maps per image: their mean, and the sum of the squared differences from it, tensors (B, H, W, C or 1).

    Maps are counted as they come (Welford 1962; groups of them by Chan, Golub & LeVeque 1979), so that memory does not
    grow with their number.
    """

    def __init__(self, compiled: Any):
        self._compiled = compiled
        self.n = 0
        self.mean: Any = None
        self.m2: Any = None

    @property
    def variance(self) -> Any:
        """Population variance, Σ (map − mean)² / n."""
        return self.m2 / self.n

    @property
    def mean_square(self) -> Any:
        """Σ map² / n, as a sum of two terms that are not negative."""
        return tf.square(self.mean) + self.m2 / self.n

    def add(self, maps: Any, count: int) -> None:
        """Take `count` more maps of each image into account, (count · B, H, W, C or 1), sample after sample."""
        maps = tf.convert_to_tensor(maps)
        build = _one_more if count == 1 else _some_more
        if self.mean is None:
            self.mean = tf.zeros([maps.shape[0] // count, *maps.shape[1:]], maps.dtype)
            self.m2 = tf.zeros_like(self.mean)
        kind = tf.TensorSpec([None, None, None, None], maps.dtype)
        ints = [tf.TensorSpec([], tf.int32)] * (1 if count == 1 else 2)
        update = self._compiled((build.__name__, maps.dtype), build, kind, kind, kind, *ints)
        numbers = [tf.constant(self.n, tf.int32)] + ([] if count == 1 else [tf.constant(count, tf.int32)])
        self.mean, self.m2 = update(self.mean, self.m2, maps, *numbers)
        self.n += count


def _one_more(mean: Any, m2: Any, maps: Any, known: Any) -> tuple[Any, Any]:
    n = tf.cast(known, maps.dtype)
    step = maps - mean
    return mean + step * (1 / (n + 1)), m2 + tf.square(step) * (n / (n + 1))


def _some_more(mean: Any, m2: Any, maps: Any, known: Any, count: Any) -> tuple[Any, Any]:
    n, more = tf.cast(known, maps.dtype), tf.cast(count, maps.dtype)
    maps = tf.reshape(maps, tf.concat([[count], tf.shape(mean)], 0))
    own = tf.reduce_mean(maps, axis=0)
    step = own - mean
    squares = tf.reduce_sum(tf.square(maps - own), axis=0)
    return mean + step * (more / (n + more)), m2 + squares + tf.square(step) * (n * more / (n + more))


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

    def build(x: Any, seeds: Any, sigma: Any) -> Any:
        spread = tf.reduce_max(x, (1, 2, 3), True) - tf.reduce_min(x, (1, 2, 3), True) if relative else 1.0
        noise = tf.cast(drawing.normal(tf.reshape(seeds, [-1, 2]), batch.x.shape[1:]), x.dtype)
        noise = tf.reshape(noise, tf.concat([tf.shape(seeds)[:1], tf.shape(x)], 0))
        return tf.reshape(x + sigma * spread * noise, [-1, *batch.x.shape[1:]])

    seeds = np.stack([fold(fold(batch.seeds, sample), _STREAM) for sample in samples])
    # The size of the images is in the key: it decides how many numbers are drawn.
    key = ("noisy", relative, tuple(batch.x.shape[1:]))
    specs = batch.classifier.input_spec, tf.TensorSpec([None, None, 2], tf.int32), tf.TensorSpec([], batch.x.dtype)
    compiled = batch.classifier.compiled(key, build, *specs)
    return compiled(batch.x, tf.constant(seeds), tf.constant(sigma, batch.x.dtype))


def moments(batch: Batch, base: Method, samples: int, sigma: float, relative: bool) -> Moments:
    """Moments of `base` over noisy copies of the images; one pass for all methods of this batch that ask for the same.

    Memory does not grow with `samples`: copies are made, explained and counted in groups that fill the capacity.
    """

    def compute() -> Moments:
        found = Moments(batch.classifier.compiled)
        for group in batch.groups(samples):
            points = noisy(batch, group, sigma, relative)
            found.add(base.attribute(batch.at(points, group)), len(group))
        return found

    return batch.share(("moments", base, samples, sigma, relative), compute)
