"""Two nets, and what a tape says of their last convolution."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.ndimage import gaussian_filter

SIZE = 32


layers = keras.layers


def features(x, rectified=True):
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="early")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    return layers.Conv2D(5, 3, padding="same", activation="relu" if rectified else None, name="late")(x)


def built(head, seed=3, size=SIZE, rectified=True):
    """A flat functional model: two convolutions and a head."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((size, size, 3))
    model = keras.Model(inputs, head(features(inputs, rectified)))
    rng = np.random.default_rng(seed)
    for weight in model.weights:  # biases that are not 0
        if weight.ndim == 1:
            weight.assign(rng.normal(0, 0.3, weight.shape) ** (2 if "variance" in weight.name else 1))
    return model


def flatten_head(x):
    """VGG-like: the gradient differs from place to place, and takes both signs."""
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    return layers.Dense(4, activation="softmax", name="predictions")(layers.Dense(9, activation="relu")(x))


def gap_head(x):
    return layers.Dense(4, activation="softmax", name="predictions")(layers.GlobalAveragePooling2D()(x))


@pytest.fixture(scope="module", name="vgg_like")
def cams_vgg_like():
    return built(flatten_head)


@pytest.fixture(scope="module", name="gap_model")
def cams_gap_model():
    return built(gap_head)


@pytest.fixture(scope="module", name="images")
def cams_images():
    noise = np.random.default_rng(7).normal(size=(5, SIZE, SIZE, 3))
    return (gaussian_filter(noise, (0, 2, 2, 0)) * 6).astype(np.float32)


TARGETS = np.array([0, 1, 2, 3, 0])


def logits_model(model):
    """The layer 'late' and the logits, made with Keras alone."""
    head = model.get_layer("predictions")
    before, (kernel, bias) = head.input, head.get_weights()
    return keras.Model(model.inputs, [model.get_layer("late").output, before]), kernel, bias


def by_tape(model, images, targets=TARGETS):
    """Activations and gradient of the layer 'late' and the logits of the targets, float64 arrays."""
    inner, kernel, bias = logits_model(model)
    tail = keras.Model(model.get_layer("late").output, model.get_layer("predictions").input)
    with tf.GradientTape() as tape:
        activations = tf.stop_gradient(inner([images])[0])
        tape.watch(activations)
        scores = tf.gather(tail(activations) @ kernel + bias, targets, axis=1, batch_dims=1)
    gradient = tape.gradient(scores, activations)
    return [np.asarray(a, np.float64) for a in (activations, gradient, scores)]


def upsampled(maps, size):
    """Bilinear interpolation with pixel centres aligned, pixel by pixel."""
    out = np.zeros((len(maps), size, size))
    height, width = maps.shape[1:3]
    for y in range(size):
        for x in range(size):
            v = np.clip((y + 0.5) * height / size - 0.5, 0, height - 1)
            u = np.clip((x + 0.5) * width / size - 0.5, 0, width - 1)
            top, left = int(v), int(u)
            below, right = min(top + 1, height - 1), min(left + 1, width - 1)
            fv, fu = v - top, u - left
            out[:, y, x] = (1 - fv) * ((1 - fu) * maps[:, top, left] + fu * maps[:, top, right]) + fv * (
                (1 - fu) * maps[:, below, left] + fu * maps[:, below, right]
            )
    return out


def assert_close(ours, expected, tolerance=1e-5):
    ours, expected = np.squeeze(ours), np.squeeze(expected)
    assert ours.shape == expected.shape
    assert np.ptp(expected) > 0
    assert np.abs(ours - expected).max() <= tolerance * np.ptp(expected)


def slow_gradcam_plus_plus(a, g, score, normalise):
    """With Y = exp(S) and its three derivatives, as printed; `normalise`: over which places α sums to 1."""
    out = np.zeros(a.shape[:3])
    for b in range(len(a)):
        y = np.exp(score[b])
        for k in range(a.shape[3]):
            one = g[b, :, :, k]
            first, second, third = y * one, y * one**2, y * one**3
            denominator = 2 * second + a[b, :, :, k].sum() * third
            alpha = second / np.where(denominator == 0, 1, denominator)
            if normalise == "positive":
                alpha = np.where(first > 0, alpha, 0)
            if normalise != "none" and alpha.sum() != 0:
                alpha = alpha / alpha.sum()
            out[b] += (alpha * np.maximum(first, 0)).sum() * a[b, :, :, k]
    return np.maximum(out, 0) / np.exp(score)[:, None, None]
