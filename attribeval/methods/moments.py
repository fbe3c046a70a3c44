"""Mean and variance of the maps of noisy copies of an image, in one pass and without cancellation, on the device."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_count, check_positive
from attribeval.common.seeds import fold
from attribeval.methods import drawing
from attribeval.methods.batch import Batch
from attribeval.methods.card import Wrapper

_STREAM = 2**32  # random numbers of the noise; samples are folded in with small numbers


class Moments:
    """Of n maps per image: their mean, and the sum of the squared differences from it, tensors (B, H, W, C or 1).

    Maps are counted as they come (Welford 1962; groups of them by Chan, Golub & LeVeque 1979), so that memory does not
    grow with their number. How many of each image come at a time, `counts`, is known before, so that their shares are
    on the device when needed.
    """

    def __init__(self, compiled: Any, counts: Sequence[int]):
        self._compiled = compiled
        self.n = sum(counts)
        before = np.concatenate([[0], np.cumsum(counts)[:-1]])
        after = np.array(counts) / (before + counts)
        self._shares = tf.constant(np.stack([after, after * before], 1))
        self._number = tf.constant(float(self.n), tf.float64)
        self._counts = list(counts)
        self._done = 0
        self.mean: Any = None
        self.m2: Any = None

    @property
    def variance(self) -> Any:
        """Population variance, Σ (map − mean)² / n."""
        return self.m2 / tf.cast(self._number, self.m2.dtype)

    @property
    def mean_square(self) -> Any:
        """Σ map² / n, as a sum of two terms that are not negative."""
        return tf.square(self.mean) + self.variance

    def add(self, maps: Any) -> None:
        """Take the next maps of each image into account, (count · B, H, W, C or 1), sample after sample."""
        maps, count = tf.convert_to_tensor(maps), self._counts[self._done]
        build = _one_more if count == 1 else _some_more
        if self.mean is None:
            self.mean = tf.zeros([maps.shape[0] // count, *maps.shape[1:]], maps.dtype)
            self.m2 = tf.zeros_like(self.mean)
        kind = tf.TensorSpec([None, None, None, None], maps.dtype)
        shares = tf.TensorSpec([2], tf.float64)
        update = self._compiled((build.__name__, maps.dtype), build, kind, kind, kind, shares)
        self.mean, self.m2 = update(self.mean, self.m2, maps, self._shares[self._done])
        self._done += 1


def _one_more(mean: Any, m2: Any, maps: Any, shares: Any) -> tuple[Any, Any]:
    step, shares = maps - mean, tf.cast(shares, maps.dtype)
    return mean + step * shares[0], m2 + tf.square(step) * shares[1]


def _some_more(mean: Any, m2: Any, maps: Any, shares: Any) -> tuple[Any, Any]:
    maps = tf.reshape(maps, [-1, *tf.unstack(tf.shape(mean))])
    own = tf.reduce_mean(maps, axis=0)
    step, shares = own - mean, tf.cast(shares, maps.dtype)
    squares = tf.reduce_sum(tf.square(maps - own), axis=0)
    return mean + step * shares[0], m2 + squares + tf.square(step) * shares[1]


@dataclass(frozen=True)
class NoisyCopies(Wrapper):
    """The options of all methods that look at a base's maps of noisy copies; those of one base share one pass.

    Attributes:
        samples: Noisy copies per image.
        sigma: Standard deviation of the Gaussian noise, as a share of each image's own (max − min).
        relative: False: sigma is in units of the model's input instead.
    """

    least: ClassVar[int] = 1  # samples
    samples: int = 15
    sigma: float = 0.15
    relative: bool = True

    def __post_init__(self) -> None:
        check_count("samples", self.samples, self.least)
        check_positive("sigma", self.sigma)

    def moments(self, batch: Batch) -> Moments:
        """Moments of the base over noisy copies of the images; one pass for all methods of a batch that ask for them.

        Memory does not grow with `samples`: copies are made, explained and counted in groups that fill the capacity.
        """

        def compute() -> Moments:
            copies = self._noisy(batch)
            found = Moments(batch.classifier.compiled, [len(group) for group in batch.groups(self.samples)])
            for group in batch.groups(self.samples):
                found.add(self.base.attribute(batch.at(copies(group), group)))
            return found

        return batch.share(("moments", self.base, self.samples, self.sigma, self.relative), compute)

    def _noisy(self, batch: Batch) -> Callable[[range], Any]:
        """Given some of the numbers 0 … samples − 1, noisy copies of every image, model inputs (S · B, H, W, C).

        Sample after sample. A copy depends on the image, the user's seed and the number of the sample only.
        """
        shape, size = tuple(batch.x.shape[1:]), math.prod(batch.x.shape[1:])

        def build(x: Any, seeds: Any, spread: Any) -> Any:
            words = tf.bitcast(tf.reshape(seeds, [-1, 2]), tf.int32)
            noise = tf.reshape(tf.cast(drawing.normal(words, (size,)), x.dtype), [-1, tf.shape(x)[0], size])
            return tf.reshape(tf.reshape(x, [-1, size]) + spread * noise, [-1, *shape])

        # Unsigned, as a GPU takes them: all are there once, as a copy would wait for all that was asked for before.
        folded = np.stack([fold(fold(batch.seeds, sample), _STREAM) for sample in range(self.samples)])
        seeds = tf.constant(folded.view(np.uint32))
        spread = tf.constant(self.sigma, batch.x.dtype)
        if self.relative:
            flat = tf.reshape(batch.x, [-1, size])
            spread *= tf.reduce_max(flat, 1, keepdims=True) - tf.reduce_min(flat, 1, keepdims=True)
        # The size of the images is in the key: it decides how many numbers are drawn.
        spec, spread_spec = batch.classifier.input_spec, tf.TensorSpec([None, 1] if self.relative else [], spread.dtype)
        key = ("noisy", self.relative, shape)
        compiled = batch.classifier.compiled(key, build, spec, tf.TensorSpec([None, None, 2], tf.uint32), spread_spec)
        return lambda some: compiled(batch.x, seeds[some.start : some.stop], spread)
