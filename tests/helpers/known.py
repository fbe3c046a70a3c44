"""A model whose gradients and integrals are known."""

from __future__ import annotations

import keras
import numpy as np
import pytest

SHAPE = (5, 4, 3)


CLASSES = 3


class Polynomial(keras.layers.Layer):
    """score_k(x) = Σ_i a_ki x_i³ + (Σ_i w_ki x_i)²: every integral along a straight path is known."""

    def __init__(self, cubic, linear, **kwargs):
        super().__init__(**kwargs)
        self.cubic, self.linear = cubic, linear

    def call(self, x):
        flat = keras.ops.reshape(x, (-1, self.cubic.shape[1]))
        cubic = keras.ops.matmul(flat**3, keras.ops.convert_to_tensor(self.cubic.T, x.dtype))
        return cubic + keras.ops.matmul(flat, keras.ops.convert_to_tensor(self.linear.T, x.dtype)) ** 2


class Known:
    """The same in NumPy, float64, with its gradient."""

    def __init__(self):
        rng = np.random.default_rng(0)
        size = int(np.prod(SHAPE))
        self.cubic, self.linear = rng.normal(size=(CLASSES, size)), rng.normal(size=(CLASSES, size))
        self.model = keras.Sequential([keras.Input(SHAPE), Polynomial(self.cubic, self.linear)])

    def score(self, x, k):
        flat = np.asarray(x, np.float64).ravel()
        return self.cubic[k] @ flat**3 + (self.linear[k] @ flat) ** 2

    def gradient(self, x, k):
        flat = np.asarray(x, np.float64).ravel()
        return (3 * self.cubic[k] * flat**2 + 2 * self.linear[k] * (self.linear[k] @ flat)).reshape(SHAPE)

    def integrated(self, x, start, k):
        """Exact: the cubic terms are separable; the gradient of the square is linear along the path."""
        flat, begin = (np.asarray(v, np.float64).ravel() for v in (x, start))
        cubic = self.cubic[k] * (flat**3 - begin**3)
        square = (flat - begin) * self.linear[k] * (self.linear[k] @ (flat + begin))
        return (cubic + square).reshape(SHAPE)


@pytest.fixture(scope="module", name="known")
def known_known():
    return Known()


@pytest.fixture(scope="module", name="x")
def known_x():
    return np.random.default_rng(1).normal(size=(4, *SHAPE)).astype("float32")


def close(got, expected, tolerance=1e-5):
    np.testing.assert_allclose(got, expected, atol=tolerance * np.abs(expected).max())
