"""Score-CAM. Often confused with ablation: the image is masked *by* each activation map, not without it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attribeval import _tf as tf
from attribeval.common.options import check_choice, check_count
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.enlarge import OnLayer
from attribeval.models.placement import interpolation

Weights = Literal["probability", "softmax"]


@dataclass(frozen=True)
class ScoreCAM(OnLayer):
    """Activation maps weighted by what the model says of the image seen through each of them (Wang et al. 2020).

    Each channel is upsampled, scaled to 0 … 1 by its own smallest and largest value, and multiplied with the model's
    input (so what is masked becomes 0 there: the mean colour for networks with caffe's preprocessing). The paper and
    the authors' code weight the channels differently; both are here. A channel that is constant makes no mask and has
    weight 0, as in the authors' code.

    Attributes:
        weights: "probability": the probability of the class on the masked image, as in the authors' code and
            tf-keras-vis. "softmax": the softmax over the channels of the class's scores, as in the paper's algorithm 1
            (the score of its baseline cancels).
        max_channels: Look only at the channels whose activations vary most over the image ("Faster Score-CAM"); None
            looks at all.
    """

    weights: Weights = "probability"
    max_channels: int | None = None

    card = Card.of(r"""
        scorecam (cam): activation maps weighted by the class's score on the image seen through them
        needs: a spatial layer
        passes: 1 + channels of the layer, + 1
        paper: Wang et al. 2020, algorithm 1
        maths: \alpha_k = p_c\left(x \odot s(\uparrow A^k)\right), \qquad s(a) = \frac{a - \min a}{\max a - \min a} \\
            M_{ij} = \mathrm{ReLU}\left(\sum_k \alpha_k A^k_{ij}\right)
        misleads: Half-masked images lie off the data, and where the net is unsure of all of them the weights are nearly
            equal: then the map is the sum of all activations, whatever the class.
        values: unsigned
    """)

    def __post_init__(self) -> None:
        check_choice("weights", self.weights, ("probability", "softmax"))
        if self.max_channels is not None:
            check_count("max_channels", self.max_channels, 1)

    def attribute(self, batch: Batch) -> Any:
        """Return the class activation map, (B, H, W, 1), non-negative, in units of the activations."""
        activations, _ = batch.activations_and_gradient(self.layer)  # one pass for all of the family
        used = self._channels(activations.numpy())
        scores = np.zeros(used.shape, activations.dtype.as_numpy_dtype)
        scores[used] = self._masked_scores(batch, activations, *np.nonzero(used))
        weights = _softmax(scores, used) if self.weights == "softmax" else scores
        coarse = tf.nn.relu(tf.einsum("bhwk,bk->bhw", activations, weights))[..., None]
        return self.enlarged(batch, coarse)

    def _channels(self, activations: np.ndarray) -> np.ndarray:
        """Which channels of each image make a mask, bool (B, K)."""
        span = np.ptp(activations, axis=(1, 2))
        # Rounding may tell the places of a constant channel apart; scaled to 0 … 1 it would be a mask of noise.
        used = span > 1e-5 * np.abs(activations).max(axis=(1, 2))
        if self.max_channels is not None:
            ranks = np.argsort(np.argsort(-activations.std(axis=(1, 2)), axis=1, kind="stable"), axis=1)
            used &= ranks < self.max_channels
        return used

    def _masked_scores(self, batch: Batch, activations: Any, owners: np.ndarray, channels: np.ndarray) -> np.ndarray:
        """The target's score on images (M,) seen through channels (M,); masked images exist `capacity` at a time.

        Probabilities, or scores where the weights are a softmax over channels.
        """
        classifier = batch.classifier
        probability = self.weights == "probability"
        cells = tuple(activations.shape[1:3])
        ways = interpolation(classifier, batch.size, cells, self.layer) if self.align else None
        key = "masked_scores", probability, (self.layer, batch.size) if self.align else None

        def build(x, planes, owners, channels, targets):
            masks = tf.gather_nd(planes, tf.stack([owners, channels], axis=1))[..., None]
            if ways is None:
                masks = tf.image.resize(masks, tf.shape(x)[1:3], method="bilinear")
            else:
                masks = tf.einsum("ph,bhwc,qw->bpqc", ways[0], masks, ways[1])
            masks = tf.cast(masks, x.dtype)
            least = tf.reduce_min(masks, axis=(1, 2), keepdims=True)
            masks = tf.math.divide_no_nan(masks - least, tf.reduce_max(masks, axis=(1, 2), keepdims=True) - least)
            trace, scores = classifier.trace(tf.gather(x, owners) * masks)
            if probability:
                scores = classifier.probabilities(trace, scores)
            return tf.gather(scores, tf.gather(targets, owners), axis=1, batch_dims=1)

        ints = tf.TensorSpec([None], tf.int32)
        specs = classifier.input_spec, tf.TensorSpec([None] * 4, activations.dtype), ints, ints, ints
        masked = classifier.compiled(key, build, *specs)
        planes = tf.transpose(activations, [0, 3, 1, 2])
        parts = []
        for start in range(0, len(owners), batch.capacity):
            part = slice(start, start + batch.capacity)
            which = (tf.constant(indices[part], tf.int32) for indices in (owners, channels))
            parts.append(masked(batch.x, planes, *which, batch.targets).numpy())
        return np.concatenate(parts) if parts else np.zeros(0)


def _softmax(scores: np.ndarray, used: np.ndarray) -> np.ndarray:
    """Softmax over the used channels of each image, (B, K); 0 elsewhere."""
    top = np.max(scores, axis=1, where=used, initial=-np.inf, keepdims=True)
    weights = np.exp(np.where(used, scores, -np.inf) - np.where(np.isfinite(top), top, 0))
    return weights / np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(weights.dtype).tiny)
