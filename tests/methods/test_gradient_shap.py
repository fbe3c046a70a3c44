"""Gradient SHAP completes as its samples grow."""

from __future__ import annotations

import keras
import numpy as np
from helpers.games import games_attributer  # noqa: F401

from attribeval import Attributer


def test_gradient_shap_completes_as_samples_grow(images):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    net = [keras.Input((32, 32, 3)), layers.Conv2D(4, 3, activation="tanh"), layers.Flatten(), layers.Dense(3)]
    attributer = Attributer(keras.Sequential(net))
    few, many = (
        np.abs(attributer.explain(images[:4], "gradient_shap", 0, samples=n).completeness_gap).mean() for n in (4, 400)
    )
    assert many < few / 3
