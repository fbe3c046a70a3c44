"""A net whose concepts are known by construction: colours, each of which has channels of its own."""

from __future__ import annotations

import keras
import numpy as np

SIDE = 16
CHANNELS = np.array([[0.6, 0.8, 0, 0, 0], [0, 0, 1, 0.5, 0], [0, 0, 0, 0, 2]], np.float32)  # of red, green, blue
HEAD = np.array([[1, 2], [1, 0], [0, 1], [0, 2], [0, 0]], np.float32)  # class 0 reads red; class 1 red and green
WARM = np.array([[1, 0], [1, 0], [2, 0], [1, 0], [0, 1]], np.float32)  # "things": red or green, and blue


def planted_net(deeper: bool = False) -> keras.Model:
    """Pixels → `colours` (1 × 1, ReLU, 5 channels) → mean → scores by `HEAD`; or, deeper, by `things` in between."""
    layers = [
        keras.Input((SIDE, SIDE, 3)),
        keras.layers.Conv2D(5, 1, use_bias=False, activation="relu", name="colours"),
    ]
    if deeper:
        layers.append(keras.layers.Conv2D(2, 1, use_bias=False, activation="relu", name="things"))
    layers += [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, use_bias=False, name="scores")]
    model = keras.Sequential(layers)
    model.get_layer("colours").set_weights([CHANNELS[None, None]])
    model.get_layer("scores").set_weights([HEAD[3:] if deeper else HEAD])
    if deeper:
        model.get_layer("things").set_weights([WARM[None, None]])
    return model


def planted_squares(count: int, seed: int = 0) -> np.ndarray:
    """Black images with a red, a green and a blue square of any brightness, each in a quadrant of its own."""
    rng = np.random.default_rng(seed)
    images = np.zeros((count, SIDE, SIDE, 3), np.float32)
    for image in images:
        for colour, quadrant in enumerate(rng.permutation(4)[:3]):
            y, x = 8 * (quadrant // 2) + rng.integers(0, 4), 8 * (quadrant % 2) + rng.integers(0, 4)
            image[y : y + 5, x : x + 5, colour] = rng.uniform(0.5, 1)
    return images
