"""Gradient × input by central differences."""

from __future__ import annotations

import keras
import numpy as np
from helpers.known import (
    close,
    known_x,  # noqa: F401
)

from attribeval import Attributer


def test_gradient_x_input_by_central_differences_in_float64():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 5, 2), dtype="float64"),
            layers.Conv2D(3, 3, activation="softplus", dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(4, dtype="float64"),
        ]
    )
    x = np.random.default_rng(0).normal(size=(2, 5, 5, 2)).astype("float32")
    got = Attributer(model).explain(x, "gradient_x_input", [3, 1]).values
    expected = np.zeros(x.shape)
    for place in np.ndindex(x.shape[1:]):
        step = np.zeros(x.shape)
        step[(slice(None), *place)] = 1e-5
        up, down = (model(x.astype("float64") + sign * step).numpy()[[0, 1], [3, 1]] for sign in (1, -1))
        expected[(slice(None), *place)] = (up - down) / 2e-5 * x[(slice(None), *place)]
    close(got, expected, 1e-6)
