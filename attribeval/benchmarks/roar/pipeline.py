"""Batches of modified images for training and evaluation, straight from image records and rank levels.

Which image comes when is a function of the seed alone: an epoch is a permutation, and step s takes the images at the
places s · batch … of all epochs laid end to end. So every batch is full, every image is seen equally often, workers
take their parts of one common batch, and nothing depends on threads or on TensorFlow's global seed. Batches are made
side by side: rows are copied out of memory-mapped shards, and the masks of a whole batch decoded at once.
"""

from __future__ import annotations

import functools
from typing import Any, Literal

import numpy as np

from attribeval import _tf as tf
from attribeval.benchmarks.roar.fills import BLUR, constant_fill, impute
from attribeval.benchmarks.roar.ranks import PER, decode, table_rule
from attribeval.benchmarks.roar.records import Records
from attribeval.benchmarks.roar.render import render
from attribeval.common.blur import gaussian_blur
from attribeval.common.fills import Fill
from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError, unknown
from attribeval.training.augment import Augment

_WINDOW_BYTES = 2**31  # of images that are shuffled together, where not said otherwise
_NOTHING = (2, 0, 0, True)  # the rule that replaces no value


def masked_dataset(
    images: Records,
    labels: np.ndarray,
    ranks: Records | None = None,
    *,
    table: np.ndarray | None = None,
    per: Literal["value", "pixel"] = "value",
    fill: Fill = "mean",
    channel_mean: np.ndarray | None = None,
    content: Literal["image", "mask"] = "image",
    batch_size: int,
    seed: int = 0,
    training: bool,
    augment: Augment | None = None,
    shuffle_buffer: int | None = None,
    steps: int | None = None,
    shard: tuple[int, int] | None = None,
) -> Any:
    """Images with some of their values replaced, and their labels, as a `tf.data.Dataset`.

    Args:
        images: Records (H, W, C), uint8 or float32, in raw image scale.
        labels: Class of each image, ints (N,).
        ranks: Records of packed rank levels (`ranks.pack`) of the same images; None: images are not modified.
        table: Which levels are replaced, from `ranks.mask_table`; with `ranks` only.
        per: Whether the levels are of values or of pixels.
        fill: What replaced values become: "mean" (`channel_mean`), "blur" (the image under a Gaussian, σ a tenth of
            the shorter side), "linear" (ROAD's noisy linear imputation; slow: see the notes on size), a number, or a
            tuple with a number per channel.
        channel_mean: float32 (C,), of the training images.
        content: "image"; or "mask": the mask itself as an image, 255 where a value is replaced and 0 where it is kept.
        batch_size: Images per batch (of this worker).
        seed: Seed of order and augmentation.
        training: True: an endless stream of full batches, shuffled anew in every epoch. False: one pass in order, the
            last batch as long as what is left.
        augment: Random changes after the fill; with `training` only.
        shuffle_buffer: Images that are shuffled together: shards come in random order, and so many images at a time
            are permuted; None: as many as 2 GB hold, which is all of them for most sets.
        steps: Batches of a training stream; None: endless.
        shard: (index, count) of this worker: it takes its `batch_size` images of every common batch of
            `count · batch_size`; when evaluating, one of `count` parts of the set whose sizes differ by 1 at most.

    Returns:
        Dataset of (float32 (B, H, W, C) in the images' scale, int32 (B,)).

    Raises:
        AttribevalError: If records, labels, table or options do not fit together.
        CorruptRecords: If a shard is not there or cut short. (Call `verify` before, to have every byte checked.)
    """
    source = _Source(images, labels, ranks, table, per, fill, channel_mean, content, seed, augment, shuffle_buffer)
    if batch_size < 1:
        raise AttribevalError(f"Expected a batch_size of 1 or more. Received: {batch_size}.")
    worker, workers = shard or (0, 1)
    if not 0 <= worker < workers:
        raise AttribevalError(f"Expected shard as (index, count) with 0 ≤ index < count. Received: {shard}.")
    if training:
        if steps is not None and steps < 1:
            raise AttribevalError(f"Expected 1 step or more. Received: {steps}.")
        numbers = tf.data.Dataset.counter() if steps is None else tf.data.Dataset.range(steps)
        read = functools.partial(source.read_training, batch_size, worker, workers)
    else:
        if augment is not None or steps is not None:
            raise AttribevalError("Expected augment and steps for training only. Received one of them for evaluation.")
        start, stop = (len(images) * part // workers for part in (worker, worker + 1))
        numbers = tf.data.Dataset.range(-(-(stop - start) // batch_size))
        read = functools.partial(source.read_in_order, batch_size, start, stop)

    def batch(number: Any) -> tuple[Any, Any]:
        return source.batch(read, number, batch_size if training else None)

    options = tf.data.Options()
    options.deterministic = True
    # Workers say which part is theirs.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    dataset = numbers.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)


class _Source:
    """What `masked_dataset` was given, checked, and the two NumPy steps of a batch: read, and fill and move."""

    def __init__(self, images, labels, ranks, table, per, fill, channel_mean, content, seed, augment, window):
        if len(images.shape) != 3:
            raise AttribevalError(f"Expected image records (H, W, C). Received: {images!r}.")
        if per not in PER:
            raise unknown("ranking", per, PER)
        if content not in ("image", "mask"):
            raise unknown("content", content, ("image", "mask"))
        labels = np.asarray(labels)
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise AttribevalError(f"Expected {len(images)} int labels. Received: {labels.dtype} {labels.shape}.")
        if (ranks is None) != (table is None):
            raise AttribevalError("Expected ranks and table together. Received one without the other.")
        if ranks is None and content == "mask":
            raise AttribevalError("Expected ranks for content='mask'. Received none: there is no mask.")
        if window is not None and window < 1:
            raise AttribevalError(f"Expected a shuffle_buffer of 1 or more. Received: {window}.")
        height, width, channels = images.shape
        self.ranked = height * width * (channels if per == "value" else 1)
        if ranks is not None:
            wanted = (-(-self.ranked // table.shape[1]),)
            if len(ranks) != len(images) or ranks.shape != wanted or ranks.dtype != np.uint8:
                raise AttribevalError(
                    f"Expected {len(images)} records of {wanted[0]} bytes, levels per {per} for this table. "
                    f"Received: {ranks!r}."
                )
            ranks.verify(checksums=False)
        images.verify(checksums=False)
        self.images, self.ranks, self.labels = images, ranks, labels.astype(np.int32)
        self.table = table
        self.rule = _NOTHING if table is None else table_rule(table)
        self.repeat = 1 if per == "value" else channels
        self.content, self.seed, self.augment = content, int(seed), augment
        self.fill = fill if content == "image" else 255.0
        shifts = augment is not None and augment.shift > 0
        if ranks is None and not shifts:
            self.fill = 0.0  # nothing is filled
        self.pad = constant_fill(self.fill, channels, channel_mean)
        if self.pad is None and (shifts or self.fill == "linear"):
            self.pad = constant_fill("mean", channels, channel_mean)
        if self.pad is None:
            self.pad = np.zeros(channels, np.float32)  # a blur fills everything by itself
        self.constant = np.tile(self.pad, height * width)[None]
        self.window = window or max(1, _WINDOW_BYTES // images.record_bytes)
        self.order = functools.lru_cache(maxsize=4)(self._order)

    # ------------------------------------------------------------------------------------------------- which images

    def _order(self, epoch: int) -> np.ndarray:
        """Every image once, int64 (N,): windows of images permuted, taken from shards in random order."""
        n, generator = len(self.images), np.random.default_rng([self.seed % 2**64, epoch])
        if self.window >= n:
            return generator.permutation(n)
        shards = generator.permutation(self.images.shards)
        order = np.concatenate([np.arange(*self.images.span(int(k))) for k in shards])
        for start in range(0, n, self.window):
            generator.shuffle(order[start : start + self.window])
        return order

    def read_training(self, size: int, worker: int, workers: int, number: np.ndarray) -> list[np.ndarray]:
        places = (int(number) * workers + worker) * size + np.arange(size)
        epochs, places = np.divmod(places, len(self.images))
        items = np.empty(size, np.int64)
        for epoch in np.unique(epochs).tolist():
            of_epoch = epochs == epoch
            items[of_epoch] = self.order(epoch)[places[of_epoch]]
        return self._read(epochs, items)

    def read_in_order(self, size: int, start: int, stop: int, number: np.ndarray) -> list[np.ndarray]:
        first = start + int(number) * size
        items = np.arange(first, min(first + size, stop))
        return self._read(np.zeros_like(items), items)

    # --------------------------------------------------------------------------------------------------- what of them

    def _read(self, epochs: np.ndarray, items: np.ndarray) -> list[np.ndarray]:
        raw = _aligned((len(items), *self.images.shape), self.images.dtype)
        if self.content == "image":
            self.images.gather(items, raw)
        else:
            raw[:] = 0
        packed = np.zeros((len(items), 0), np.uint8)
        if self.ranks is not None:
            packed = _aligned((len(items), *self.ranks.shape), np.dtype(np.uint8))
            self.ranks.gather(items, packed)
        return [raw, packed, epochs, items, self.labels[items]]

    def _render(
        self, raw: np.ndarray, packed: np.ndarray, epochs: np.ndarray, items: np.ndarray, fills: np.ndarray
    ) -> np.ndarray:
        rule, moved = self.rule, self.augment is not None and (self.augment.flip or self.augment.shift > 0)
        if self.fill == "linear" and self.ranks is not None:
            raw, rule = self._imputed(raw, packed), _NOTHING
        flips, shifts = np.zeros(0, bool), np.zeros((0, 2), np.int64)
        if moved:
            flips, shifts = self.augment.draw_moves(self.seed, epochs, items)
        fills = fills.reshape(len(raw), -1) if len(fills) else self.constant
        out = _aligned(raw.shape, np.dtype(np.float32))
        render(raw, packed, rule, fills, self.repeat, flips, shifts, self.pad, out)
        return out

    def _imputed(self, raw: np.ndarray, packed: np.ndarray) -> np.ndarray:
        masks = decode(packed, self.table, self.ranked).reshape(*raw.shape[:3], -1)
        images = raw.astype(np.float32)
        span = np.full(len(raw), 255.0) if raw.dtype == np.uint8 else np.ptp(images, axis=(1, 2, 3))
        return impute(images, masks, image_seeds(images, 0), span, self.pad)

    def _boxes(self, epochs: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Crops as TensorFlow takes them: centres of the outer pixels as shares of the side."""
        height, width = self.images.shape[:2]
        boxes = self.augment.draw_boxes(self.seed, epochs, items, (height, width)) - np.array([0, 0, 1, 1])
        return (boxes / np.maximum([height - 1, width - 1] * 2, 1)).astype(np.float32)

    def batch(self, read: Any, number: Any, size: int | None) -> tuple[Any, Any]:
        """The graph of one batch."""
        kinds = [tf.as_dtype(self.images.dtype), tf.uint8, tf.int64, tf.int64, tf.int32]
        raw, packed, epochs, items, labels = tf.numpy_function(read, [number], kinds)
        raw.set_shape([size, *self.images.shape])
        fills = tf.zeros([0], tf.float32)
        if self.fill == "blur" and self.ranks is not None:
            fills = gaussian_blur(tf.cast(raw, tf.float32), [BLUR * min(self.images.shape[:2])])[0]
        images = tf.numpy_function(self._render, [raw, packed, epochs, items, fills], tf.float32)
        images.set_shape([size, *self.images.shape])
        labels.set_shape([size])
        if self.augment is not None and self.augment.crop is not None:
            boxes = tf.numpy_function(self._boxes, [epochs, items], tf.float32)
            boxes.set_shape([size, 4])
            images = tf.image.crop_and_resize(images, boxes, tf.range(tf.shape(images)[0]), self.images.shape[:2])
        return images, labels


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An empty array at a place from which TensorFlow takes it over without a copy."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)
