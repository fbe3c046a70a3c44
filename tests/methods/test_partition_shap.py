"""Partition SHAP against Owen values written slowly."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from helpers.games import games_attributer  # noqa: F401

from attribeval import Attributer
from attribeval.common.fills import filled


def test_partition_shap_agrees_with_owen_values_written_slowly():
    """A 2 × 4 image of single pixels: enough samples to reach every leaf, so the tree decides everything."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inputs = keras.Input((2, 4, 1))
    x = layers.Dense(16, activation="tanh")(layers.Flatten()(inputs))
    attributer = Attributer(keras.Model(inputs, layers.Dense(3)(x)))
    raw = np.random.default_rng(0).normal(size=(1, 2, 4, 1)).astype(np.float32) * 2

    def score(shown: np.ndarray) -> float:
        image = np.where(shown[None, ..., None], raw, raw.mean())
        return float(attributer.classifier.forward(tf.constant(image, tf.float32))[0][0, 1])

    owen = np.zeros((2, 4))

    def descend(context: np.ndarray, rows: slice, columns: slice, weight: float) -> None:
        """Credit of a rectangle, given what else is shown; halves are credited alone and beside each other."""
        inside = np.zeros((2, 4), bool)
        inside[rows, columns] = True
        if inside.sum() == 1:
            owen[inside] += weight * (score(context | inside) - score(context))
            return
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if height >= width:
            middle = rows.start + height // 2
            halves = [(slice(rows.start, middle), columns), (slice(middle, rows.stop), columns)]
        else:
            middle = columns.start + width // 2
            halves = [(rows, slice(columns.start, middle)), (rows, slice(middle, columns.stop))]
        for (r, c), (other_r, other_c) in (halves, halves[::-1]):
            beside = context.copy()
            beside[other_r, other_c] = True
            descend(context, r, c, weight / 2)
            descend(beside, r, c, weight / 2)

    descend(np.zeros((2, 4), bool), slice(0, 2), slice(0, 4), 1.0)
    maps = attributer.explain(raw, "partition_shap", 1, samples=10_000)
    np.testing.assert_allclose(maps.values[0, ..., 0], owen, atol=1e-5)
    assert abs(maps.completeness_gap[0]) < 1e-5


def test_partition_shap_is_efficient_when_its_samples_run_out(attributer, images):
    maps = attributer.explain(images[:3], "partition_shap", samples=37, fill="blur")
    full = attributer.classifier.forward(tf.constant(images[:3]))[0].numpy()
    none = attributer.classifier.forward(tf.constant(filled(images[:3], "blur")))[0].numpy()
    expected = (full - none)[np.arange(3), maps.targets]
    np.testing.assert_allclose(maps.values.sum(axis=(1, 2, 3)), expected, atol=1e-5)
    np.testing.assert_allclose(maps.completeness_gap, 0, atol=1e-5)
