"""The gradient of convolutions against loops."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from attribeval import Attributer


@pytest.mark.parametrize("size", [(24, 16), (15, 22)])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_convolutions_that_step_over_pixels_against_loops(size, padding):
    """As between ResNet's stages: places that no 1 × 1 kernel of stride 2 reads have a derivative of 0."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    step = [
        layers.Conv2D(4, 1, strides=2, padding=padding, activation="relu", bias_initializer="normal") for _ in range(2)
    ]
    model = keras.Sequential([keras.Input((*size, 2)), *step, layers.Flatten(), layers.Dense(3)])
    images = np.random.default_rng(0).normal(size=(2, *size, 2)).astype(np.float32)
    (one, first), (two, second), (dense, _) = (
        [w.astype(float) for w in one.get_weights()] for one in model.layers if one.weights
    )
    rows, columns = (-(-side // 4) for side in size)
    weight = dense[:, 1].reshape(rows, columns, 4)
    expected = np.zeros(images.shape)
    for n, i, j in np.ndindex(2, rows, columns):
        a = one[0, 0].T @ images[n, 4 * i, 4 * j] + first
        b = two[0, 0].T @ np.maximum(a, 0) + second
        expected[n, 4 * i, 4 * j] = one[0, 0] @ ((two[0, 0] @ (weight[i, j] * (b > 0))) * (a > 0))
    found = Attributer(model).explain(images, "gradient", 1, progress=False).values
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
