"""Batches of modified images for training and evaluation, straight from image records and rank levels.

They are made side by side: rows are copied out of memory-mapped shards, and the masks of a whole batch decoded at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from attribeval import _tf as tf
from attribeval.benchmarks.roar.fills import BLUR, constant_fill, impute
from attribeval.benchmarks.roar.order import Order
from attribeval.benchmarks.roar.ranks import PER, MaskRule, decode
from attribeval.benchmarks.roar.records import Records
from attribeval.benchmarks.roar.render import render
from attribeval.common.blur import gaussian_blur
from attribeval.common.fills import Fill
from attribeval.common.seeds import image_seeds
from attribeval.errors import AttribevalError, unknown
from attribeval.training.augment import Augment

_NOTHING = MaskRule(2, 0, 0, True)


class MaskedImages:
    """Images with some of their values replaced, and their labels.

    Args:
        images: Records (H, W, C), uint8 or float32, in raw image scale.
        labels: Class of each image, ints (N,).
        ranks: Records of packed rank levels (`ranks.pack`) of the same images; None: images are not modified.
        rule: Which levels are replaced, see `ranks.mask_rule`; with `ranks` only.
        per: Whether the levels are of values or of pixels.
        fill: What replaced values become: "mean" (`channel_mean`), "blur" (the image under a Gaussian, σ a tenth of
            the shorter side), "linear" (ROAD's noisy linear imputation; slow: see the notes on size), a number, or a
            tuple with a number per channel.
        channel_mean: float32 (C,), of the training images.
        content: "image"; or "mask": the mask itself as an image, 255 where a value is replaced and 0 where it is kept.

    Raises:
        AttribevalError: If records, labels, rule or fill do not fit together.
        CorruptRecords: If a shard is not there or cut short. (Call `verify` before, to have every byte checked.)
    """

    def __init__(
        self,
        images: Records,
        labels: np.ndarray,
        ranks: Records | None = None,
        *,
        rule: MaskRule | None = None,
        per: Literal["value", "pixel"] = "value",
        fill: Fill = "mean",
        channel_mean: np.ndarray | None = None,
        content: Literal["image", "mask"] = "image",
    ):
        if len(images.shape) != 3:
            raise AttribevalError(f"Expected image records (H, W, C). Received: {images!r}.")
        if per not in PER:
            raise unknown("ranking", per, PER)
        if content not in ("image", "mask"):
            raise unknown("content", content, ("image", "mask"))
        labels = np.asarray(labels)
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise AttribevalError(f"Expected {len(images)} int labels. Received: {labels.dtype} {labels.shape}.")
        if (ranks is None) != (rule is None):
            raise AttribevalError("Expected ranks and rule together. Received one without the other.")
        if ranks is None and content == "mask":
            raise AttribevalError("Expected ranks for content='mask'. Received none: there is no mask.")
        height, width, channels = images.shape
        self._ranked = height * width * (channels if per == "value" else 1)
        if ranks is not None and rule is not None:
            wanted = (-(-self._ranked // rule.digits),)
            if len(ranks) != len(images) or ranks.shape != wanted or ranks.dtype != np.uint8:
                raise AttribevalError(
                    f"Expected {len(images)} records of {wanted[0]} bytes, levels per {per} for this rule. "
                    f"Received: {ranks!r}."
                )
            ranks.verify(checksums=False)
        images.verify(checksums=False)
        self._images, self._ranks, self._labels = images, ranks, labels.astype(np.int32)
        self._content, self._mean = content, channel_mean
        self._rule, self._repeat = rule or _NOTHING, 1 if per == "value" else channels
        self._fill: Fill = fill if content == "image" else 255.0

    def batches(
        self,
        size: int,
        *,
        training: bool,
        seed: int = 0,
        augment: Augment | None = None,
        shard: tuple[int, int] | None = None,
    ) -> Any:
        """The images as a `tf.data.Dataset`.

        Args:
            size: Images per batch (of this worker).
            training: True: an endless stream of full batches, shuffled anew in every epoch, see `order`. False: one
                pass in order, the last batch as long as what is left.
            seed: Seed of order and augmentation.
            augment: Random changes after the fill; with `training` only.
            shard: (index, count) of this worker: it takes its `size` images of every common batch of `count · size`;
                when evaluating, one of `count` parts of the set whose sizes differ by 1 at most.

        Returns:
            Dataset of (float32 (B, H, W, C) in the images' scale, int32 (B,)).

        Raises:
            AttribevalError: If an option is out of range.
        """
        if size < 1:
            raise AttribevalError(f"Expected a batch of 1 image or more. Received: {size}.")
        worker, workers = shard or (0, 1)
        if not 0 <= worker < workers:
            raise AttribevalError(f"Expected shard as (index, count) with 0 ≤ index < count. Received: {shard}.")
        if augment is not None and not training:
            raise AttribevalError("Expected augment for training only. Received it for evaluation.")
        n = len(self._images)
        start, stop = (n * part // workers for part in (worker, worker + 1))
        order = Order(self._images, seed)

        def of_training(number: np.ndarray) -> list[np.ndarray]:
            return self._read(*order.batch(int(number), size, worker, workers))

        def in_order(number: np.ndarray) -> list[np.ndarray]:
            first = start + int(number) * size
            items = np.arange(first, min(first + size, stop))
            return self._read(np.zeros_like(items), items)

        if training:
            numbers, read = tf.data.Dataset.counter(), of_training
        else:
            numbers, read = tf.data.Dataset.range(-(-(stop - start) // size)), in_order
        batch = functools.partial(self._batch, read, self._filled(augment), seed, augment, size if training else None)
        options = tf.data.Options()
        options.deterministic = True
        # Workers say which part is theirs.
        options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
        dataset = numbers.map(batch, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        return dataset.prefetch(tf.data.AUTOTUNE).with_options(options)

    def _batch(
        self,
        read: Callable[..., Any],
        filled: np.ndarray,
        seed: int,
        augment: Augment | None,
        size: int | None,
        number: Any,
    ) -> tuple[Any, Any]:
        """The graph of one batch: read, filled and moved by NumPy, blurred and cropped by TensorFlow."""
        kinds = [tf.as_dtype(self._images.dtype), tf.uint8, tf.int64, tf.int64, tf.int32]
        raw, packed, epochs, items, labels = tf.numpy_function(read, [number], kinds)
        raw.set_shape([size, *self._images.shape])
        fills = tf.zeros([0], tf.float32)
        if self._fill == "blur" and self._ranks is not None:
            fills = gaussian_blur(tf.cast(raw, tf.float32), [BLUR * min(self._images.shape[:2])])[0]
        changed = functools.partial(self._render, filled, seed, augment)
        images = tf.numpy_function(changed, [raw, packed, epochs, items, fills], tf.float32)
        images.set_shape([size, *self._images.shape])
        labels.set_shape([size])
        if augment is not None and augment.crop is not None:
            boxes = tf.numpy_function(functools.partial(self._boxes, seed, augment), [epochs, items], tf.float32)
            boxes.set_shape([size, 4])
            images = tf.image.crop_and_resize(images, boxes, tf.range(tf.shape(images)[0]), self._images.shape[:2])
        return images, labels

    def _filled(self, augment: Augment | None) -> np.ndarray:
        """The colour of replaced values, and of what a shift brings in, on a whole image (1, H · W · C)."""
        height, width, channels = self._images.shape
        shifts = augment is not None and augment.shift > 0
        if self._ranks is None and not shifts:
            return np.zeros((1, height * width * channels), np.float32)  # nothing is filled
        colour = constant_fill(self._fill, channels, self._mean)
        if colour is None and (shifts or self._fill == "linear"):
            colour = constant_fill("mean", channels, self._mean)
        colour = np.zeros(channels, np.float32) if colour is None else colour  # a blur fills everything by itself
        return np.tile(colour, height * width)[None]

    def _read(self, epochs: np.ndarray, items: np.ndarray) -> list[np.ndarray]:
        raw = _aligned((len(items), *self._images.shape), self._images.dtype)
        if self._content == "image":
            self._images.gather(items, raw)
        else:
            raw[:] = 0
        packed = np.zeros((len(items), 0), np.uint8)
        if self._ranks is not None:
            packed = _aligned((len(items), *self._ranks.shape), np.dtype(np.uint8))
            self._ranks.gather(items, packed)
        return [raw, packed, epochs, items, self._labels[items]]

    def _render(
        self, filled: np.ndarray, seed: int, augment: Augment | None, raw: np.ndarray, packed: np.ndarray,
        epochs: np.ndarray, items: np.ndarray, fills: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        rule, colour = self._rule, filled[0, : raw.shape[-1]]
        if self._fill == "linear" and self._ranks is not None:
            raw, rule = self._imputed(raw, packed, colour), _NOTHING
        flips, shifts = np.zeros(0, bool), np.zeros((0, 2), np.int64)
        if augment is not None and (augment.flip or augment.shift > 0):
            flips, shifts = augment.draw_moves(seed, epochs, items)
        fills = fills.reshape(len(raw), -1) if len(fills) else filled
        out = _aligned(raw.shape, np.dtype(np.float32))
        render(raw, packed, (*rule, self._repeat), fills, flips, shifts, colour, out)
        return out

    def _imputed(self, raw: np.ndarray, packed: np.ndarray, colour: np.ndarray) -> np.ndarray:
        masks = decode(packed, self._rule.table(), self._ranked).reshape(*raw.shape[:3], -1)
        images = raw.astype(np.float32)
        span = np.full(len(raw), 255.0) if raw.dtype == np.uint8 else np.ptp(images, axis=(1, 2, 3))
        return impute(images, masks, image_seeds(images, 0), span, colour)

    def _boxes(self, seed: int, augment: Augment, epochs: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Crops as TensorFlow takes them: centres of the outer pixels as shares of the side."""
        height, width = self._images.shape[:2]
        boxes = augment.draw_boxes(seed, epochs, items, (height, width)) - np.array([0, 0, 1, 1])
        return (boxes / np.maximum([height - 1, width - 1] * 2, 1)).astype(np.float32)


def _aligned(shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """An empty array at a place from which TensorFlow takes it over without a copy."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(dtype).reshape(shape)
