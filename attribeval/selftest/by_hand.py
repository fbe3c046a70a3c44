"""What must come out of maps, metrics and small models that can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from attribeval import _tf as tf
from attribeval.attributer import Attributer
from attribeval.benchmarks.bam.idr import depends
from attribeval.metrics.faithfulness.scoring import score_of, subject_of
from attribeval.metrics.localisation.energy_in_box import energy_inside
from attribeval.metrics.localisation.maxboxacc import hits
from attribeval.metrics.registry import build_benchmark
from attribeval.metrics.subject import Subject
from attribeval.selftest.check import Check, at_most, equal


def linear_model_by_hand() -> Check:
    """Of f(x) = Σ w x, gradient × input is w x, place by place."""
    weights = np.random.default_rng(0).normal(size=(4, 4, 2))
    x = np.random.default_rng(1).normal(size=(3, 4, 4, 2)).astype(np.float32)
    layers = tf.keras.layers
    model = tf.keras.Sequential([tf.keras.Input((4, 4, 2)), layers.Flatten(), layers.Dense(1, use_bias=False)])
    model.layers[-1].set_weights([weights.reshape(-1, 1)])
    maps = Attributer(model, task="regression").explain(x, "gradient_x_input", 0, progress=False).values
    return at_most("linear model: gradient × input = w · x", np.abs(maps - weights * x).max(), 1e-5)


def guided_backprop_by_hand() -> Check:
    """One rectifier: a gradient passes where its input and it itself are positive."""
    kernel, heads = np.array([[1.0, -2.0], [0.5, 1.0]]), np.array([[3.0], [-1.0]])
    x = np.random.default_rng(2).normal(size=(2, 3, 3, 2)).astype(np.float32)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            tf.keras.Input((3, 3, 2)),
            layers.Conv2D(2, 1, activation="relu", use_bias=False),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, use_bias=False),
        ]
    )
    model.set_weights([kernel.reshape(1, 1, 2, 2), heads])
    gates = (x @ kernel > 0) * np.maximum(heads[:, 0] / 9, 0)
    maps = Attributer(model, task="regression").explain(x, "guided_backprop", 0, progress=False).values
    return at_most("guided backpropagation by hand", np.abs(maps - gates @ kernel.T).max(), 1e-5)


def idr_by_hand() -> Check:
    """Regions that are attributed less, the same, and more with the feature: one of three depends on the input."""
    share = depends(np.array([0.1, 0.3, 0.5]), np.array([0.2, 0.3, 0.4])).mean()
    return equal("BAM: input dependence rate", share, 1 / 3)


def box_by_hand() -> Check:
    """A map that is its box is right at every threshold but the last; one that overlaps a third never at IoU ½."""
    heat = np.zeros((2, 8, 8))
    heat[0, 2:6, 2:6] = heat[1, 2:6, 4:8] = 1
    right = hits(heat, [np.array([[2.0, 2, 6, 6]])] * 2).mean(1)
    return equal("WSOL: share of thresholds at which a box is right", right, [255 / 256, 0])


def energy_by_hand() -> Check:
    """Three of four parts of the heat lie inside."""
    region = np.zeros((2, 2), bool)
    region[0] = True
    return equal("WSOL: energy inside a region", energy_inside(np.array([[1.0, 2], [1, -5]]), region), 0.75)


def sensitivity_n_of_linear_model() -> Check:
    """Exact attributions of a linear model correlate perfectly with what it loses."""
    rng = np.random.default_rng(3)
    weights, images = rng.normal(size=(6, 6, 3)), rng.uniform(0, 1, (3, 6, 6, 3)).astype(np.float32)
    score = score_of(build_benchmark("sensitivity_n"), (weights * images).sum(-1), _linear(images, weights))
    return equal("Sensitivity-n of a linear model", score, np.ones(len(score)))


def deletion_by_hand() -> Check:
    """Four pixels worth 4, 3, 2, 1: 10, 6, 3, 1, 0 are left, whose area is 15 / 4."""
    images = np.array([[[[4.0], [1.0]], [[3.0], [2.0]]]], np.float32)
    metric = build_benchmark("deletion(steps=4, fill=black, output=logit)")
    return equal("RISE deletion by hand", score_of(metric, images[..., 0], _linear(images, np.ones((2, 2, 1)))), [3.75])


def _linear(images: np.ndarray, weights: np.ndarray) -> Subject:
    """Images and the model Σ w x, beside a class whose logit is 0."""

    def predict(asked: np.ndarray) -> np.ndarray:
        logits = np.tensordot(np.asarray(asked, np.float64), weights, 3)
        return np.stack([logits, np.zeros_like(logits)], axis=1)

    return subject_of(images, predict, np.zeros(len(images), np.int64))


KNOWN: list[Callable[[], Check]] = [
    linear_model_by_hand,
    guided_backprop_by_hand,
    idr_by_hand,
    box_by_hand,
    energy_by_hand,
    sensitivity_n_of_linear_model,
    deletion_by_hand,
]
