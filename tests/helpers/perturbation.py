"""Nets and images of which it is known what they look at."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from skimage.transform import resize

from attribeval import Attributer


def linear(weights: np.ndarray, bias: float = 0.0) -> keras.Model:
    """Two logits, 0 and Σ weights · x + bias."""
    model = keras.Sequential([keras.Input(weights.shape), keras.layers.Flatten(), keras.layers.Dense(2)])
    kernel = np.stack([np.zeros(weights.size), weights.ravel()], axis=1)
    model.set_weights([kernel.astype(np.float32), np.array([0, bias], np.float32)])
    return model


@pytest.fixture(scope="module", name="attributer")
def perturbation_attributer(small_model):
    return Attributer(small_model)


@pytest.fixture(scope="module", name="logits")
def perturbation_logits(small_model):
    """The small model's logits, written with its last layer's weights."""
    head = small_model.get_layer("predictions")
    body = keras.Model(small_model.inputs, small_model.get_layer("gap").output)
    return lambda x: np.asarray(body(x.astype(np.float32))) @ np.asarray(head.kernel) + np.asarray(head.bias)


@pytest.fixture(scope="module", name="textures")
def perturbation_textures():
    """Three images that a blur makes flat: rows of ±1 in turn over 32 × 32 pixels, with noise."""
    sign = 1 - 2 * (np.indices((32, 32))[0] % 2)
    noise = np.random.default_rng(2).normal(0, 0.05, (3, 32, 32, 1))
    return (sign[..., None] + noise).astype(np.float32)


SQUARE = np.s_[16:28, 10:22]  # where the model below looks: 14 % of the image, its own mirror image


FAR = np.ones((32, 32), bool)
FAR[10:, 4:28] = False


@pytest.fixture(scope="module", name="looks_at_square")
def perturbation_looks_at_square():
    """The probability of class 1 is high while the pattern is seen in SQUARE, and nothing else matters."""
    weights = np.zeros((32, 32, 1))
    weights[SQUARE] = (1 - 2 * (np.indices((32, 32))[0] % 2))[SQUARE][..., None]
    return Attributer(linear(weights * 12 / 144, bias=-6.0))


def masks_of_authors(numbers: np.ndarray, grid: int, p: float, size: tuple[int, int]) -> np.ndarray:
    """RISE's masks by the authors' loop (resize, crop at a random shift), from numbers in [0, 1)."""
    masks = []
    for row in numbers:
        cell = [int(np.ceil(side / grid)) for side in size]
        cells = (row[2:].reshape(grid, grid) < p).astype(float)
        big = resize(cells, [(grid + 1) * c for c in cell], order=1, mode="edge", anti_aliasing=False)
        y, x = (int(n * c) for n, c in zip(row[:2], cell, strict=True))
        masks.append(big[y : y + size[0], x : x + size[1]])
    return np.stack(masks)
