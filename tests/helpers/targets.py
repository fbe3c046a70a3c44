"""Small nets whose target tensor is known."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from attribeval.models.classifier import Classifier
from attribeval.models.fields import activations_and_gradient


def _images(*size, n=2, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, *size, 3)).astype(np.float32)


def _input(*size):
    keras.utils.set_random_seed(1)
    return keras.Input((*size, 3))


def _check(until, rest, images, shape=None, head=lambda scores: scores):
    """The default target of rest(until(x)) is what `until` gives: same values, and the same derivative as by a tape."""
    model = keras.Sequential([keras.Input(images.shape[1:]), until, rest])
    classifier = Classifier(model)
    targets = np.array([2, 0][: len(images)], np.int32)
    found = activations_and_gradient(classifier, tf.constant(images), tf.constant(targets))
    features = until(images)
    with tf.GradientTape() as tape:
        tape.watch(features)
        score = tf.gather(rest(features), targets, axis=1, batch_dims=1)
    derivative = tape.gradient(score, features)
    shape = features.shape if shape is None else shape
    np.testing.assert_allclose(found[0], tf.reshape(features, shape), atol=1e-5)
    np.testing.assert_allclose(found[1], tf.reshape(derivative, shape), atol=1e-5)
    named = Classifier(model, target_layer=classifier.target_layer)
    assert named.target_layer == classifier.target_layer and named.target_grid == classifier.target_grid
    return classifier


def _block(x, heads=2):
    h = layers.LayerNormalization()(x)
    x = x + layers.MultiHeadAttention(heads, 4)(h, h)
    h = layers.LayerNormalization()(x)
    return x + layers.Dense(x.shape[-1])(layers.Dense(12, activation="gelu")(h))


class _Extra(layers.Layer):
    """Puts learnt tokens before the others, as a ViT's class token and registers."""

    def __init__(self, extra):
        super().__init__()
        self.extra = extra

    def build(self, shape):
        self.tokens = self.add_weight(shape=(1, self.extra, shape[-1]), initializer="random_normal")

    def call(self, x):
        tokens = keras.ops.broadcast_to(self.tokens, (keras.ops.shape(x)[0], self.extra, x.shape[-1]))
        return keras.ops.concatenate([tokens, x], axis=1)
