"""Baselines: the image that stands for "nothing there"."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval import _tf as tf
from attribeval.common.blur import gaussian_blur
from attribeval.common.options import FrozenArray, frozen
from attribeval.common.seeds import fold
from attribeval.errors import AttribevalError, unknown
from attribeval.methods.batch import Batch
from attribeval.methods.drawing import uniform

BASELINES = ("black", "mean", "blur", "random")
_STREAM = 2**33  # random numbers of baselines; samples are folded in with small numbers


def read_baseline(baseline: Any) -> str | FrozenArray:
    """The option `baseline`, checked and hashable: a name of `BASELINES`, or raw pixels (H, W, C), (C,) or ()."""
    if isinstance(baseline, str):
        if baseline not in BASELINES:
            raise unknown("baseline", baseline, BASELINES)
        return baseline
    return frozen(baseline, "baseline")


def baseline_input(batch: Batch, baseline: str | FrozenArray) -> Any:
    """The baseline as the model's input.

    "black" and arrays are raw pixels and go through the model's preprocessing; 0 in the input of a network with
    caffe's convention is the mean colour of ImageNet, not black. The others are made from the model's input, which is
    the same as making them from raw pixels wherever preprocessing is a scale and a shift per channel: "mean" is the
    mean colour of the image, "blur" the image under a Gaussian of a tenth of its shorter side, "random" uniform noise
    between the least and the greatest value of each channel of the image, one draw per image and seed.

    Returns:
        Tensor (1, H, W, C), one for all images, or (B, H, W, C).
    """
    x = batch.x
    if baseline == "mean":
        return tf.broadcast_to(tf.reduce_mean(x, axis=(1, 2), keepdims=True), tf.shape(x))
    if baseline == "blur":
        return gaussian_blur(x, [min(batch.size) / 10])[0]
    if baseline == "random":
        least, greatest = tf.reduce_min(x, axis=(1, 2), keepdims=True), tf.reduce_max(x, axis=(1, 2), keepdims=True)
        noise = tf.cast(uniform(fold(batch.seeds, _STREAM), tuple(x.shape[1:])), x.dtype)
        return least + noise * (greatest - least)
    shape = tuple(x.shape[1:])
    raw = baseline.values if isinstance(baseline, FrozenArray) else np.zeros((), np.float32)  # black
    if raw.shape not in ((), shape[-1:], shape):
        raise AttribevalError(
            f"Expected a baseline of shape {shape}, one colour ({shape[-1]},) or a number. Received: {raw.shape}."
        )
    key, prepare = ("baseline", baseline, shape), batch.classifier.prepare
    return batch.classifier.going_in.kept(key, lambda: prepare(np.array(np.broadcast_to(raw, shape))[None]))


def baseline_scores(batch: Batch, baseline: Any) -> Any:
    """Score of each image's target on the baseline, tensor (B,); one pass of one image where all share it."""
    if baseline.shape[0] == len(batch):
        return batch.scores_at(baseline)
    return tf.gather(batch.classifier.forward(baseline)[0][0], batch.targets)
