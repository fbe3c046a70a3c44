"""The picture that class activation maps look at in nets built as Swin, SegFormer and DeiT; InceptionV3 at 80."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.targets import _block, _check, _Extra, _images, _input
from keras import layers

from attribeval import Attributer
from attribeval.models.classifier import Classifier
from attribeval.models.fields import activations_and_gradient

ops = keras.ops


def _mlp(x, between=lambda h: h):
    h = layers.Dense(12)(layers.LayerNormalization()(x))
    return x + layers.Dense(x.shape[-1])(layers.Activation("gelu")(between(h)))


# ------------------------------------------------------------------------------------------------------------- Swin


def _windows(x, side):
    """(batch, h, w, c) → (batch · windows, side², c)."""
    h, w, c = x.shape[1:]
    x = ops.reshape(x, (-1, h // side, side, w // side, side, c))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side * side, c))


def _back(x, side, h, w):
    x = ops.reshape(x, (-1, h // side, w // side, side, side, x.shape[-1]))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, h, w, x.shape[-1]))


def _swin_block(x, size, shift, side=2):
    """Tokens (batch, h · w, c); attention in windows, that are moved by `shift` in every other block."""
    h = ops.reshape(layers.LayerNormalization()(x), (-1, *size, x.shape[-1]))
    h = ops.roll(h, (-shift, -shift), (1, 2)) if shift else h
    parts = _windows(h, side)
    h = _back(layers.MultiHeadAttention(2, 4)(parts, parts), side, *size)
    h = ops.roll(h, (shift, shift), (1, 2)) if shift else h
    return _mlp(x + ops.reshape(h, (-1, size[0] * size[1], x.shape[-1])))


def _merged(x, size):
    """Patch merging: each 2 × 2 tokens become one."""
    x = ops.reshape(x, (-1, *size, x.shape[-1]))
    x = ops.concatenate([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
    x = ops.reshape(x, (-1, size[0] * size[1] // 4, x.shape[-1]))
    return layers.Dense(8, use_bias=False)(layers.LayerNormalization()(x))


def test_swin_the_last_tokens_are_the_picture_though_windows_are_cut_and_moved():
    inputs = _input(16, 32)
    x = layers.Conv2D(8, 2, strides=2)(inputs)
    x = layers.LayerNormalization()(layers.Reshape((8 * 16, 8))(x))
    x = _swin_block(_swin_block(x, (8, 16), 0), (8, 16), 1)
    x = _merged(x, (8, 16))
    x = _swin_block(_swin_block(x, (4, 8), 0), (4, 8), 1)
    x = layers.LayerNormalization(name="norm")(x)
    rest = keras.Sequential([keras.Input(x.shape[1:]), layers.GlobalAveragePooling1D(), layers.Dense(3)])
    classifier = _check(keras.Model(inputs, x), rest, _images(16, 32), shape=(2, 4, 8, 8))
    assert classifier.target_layer.endswith("norm") and classifier.target_grid == (4, 8)


# -------------------------------------------------------------------------------------------------------- SegFormer


def _mit_stage(x, stride, kernel, channels, reduce):
    """Overlapping patches; attention to a smaller picture; a depthwise convolution inside the feed-forward part."""
    x = layers.Conv2D(channels, kernel, strides=stride, padding="same")(x)
    size = x.shape[1:3]
    tokens = layers.Reshape((size[0] * size[1], channels))(x)
    x = layers.LayerNormalization()(tokens)
    h = layers.LayerNormalization()(x)
    small = layers.Conv2D(channels, reduce, strides=reduce)(layers.Reshape((*size, channels))(h))
    small = layers.LayerNormalization()(layers.Reshape((small.shape[1] * small.shape[2], channels))(small))
    x = x + layers.MultiHeadAttention(2, 4)(h, small)

    def mixed(h):
        picture = layers.Reshape((*size, 12))(h)
        return layers.Reshape((size[0] * size[1], 12))(layers.DepthwiseConv2D(3, padding="same")(picture))

    return layers.LayerNormalization()(_mlp(x, mixed)), size


@pytest.mark.parametrize("picture", [False, True])
def test_segformer_no_convolution_inside_the_feed_forward_part_is_taken(picture):
    inputs = _input(16, 32)
    x, size = _mit_stage(inputs, 2, 5, 6, 4)
    x, size = _mit_stage(layers.Reshape((*size, 6))(x), 2, 3, 8, 2)
    assert size == (4, 8)
    x = layers.Reshape((*size, 8))(x) if picture else x
    pool = layers.GlobalAveragePooling2D() if picture else layers.GlobalAveragePooling1D()
    rest = keras.Sequential([keras.Input(x.shape[1:]), pool, layers.Dense(3)])
    _check(keras.Model(inputs, x), rest, _images(16, 32), shape=(2, 4, 8, 8))


# ------------------------------------------------------------------------------------------------------------- DeiT


def test_deit_two_tokens_stand_before_the_picture_and_both_are_read():
    inputs = _input(16, 24)
    x = layers.Reshape((24, 8))(layers.Conv2D(8, 4, strides=4)(inputs))
    x = before = _block(_Extra(2)(x))
    x = layers.LayerNormalization()(_block(x))
    model = keras.Model(inputs, (layers.Dense(3)(x[:, 0]) + layers.Dense(3)(x[:, 1])) / 2.0)
    images, targets = _images(16, 24), np.array([1, 2], np.int32)
    classifier = Classifier(model)
    assert classifier.target_grid == (4, 6)
    found = activations_and_gradient(classifier, tf.constant(images), tf.constant(targets))
    features, rest = keras.Model(inputs, before)(images), keras.Model(before, model.output)
    with tf.GradientTape() as tape:
        tape.watch(features)
        score = tf.gather(rest(features), targets, axis=1, batch_dims=1)
    derivative = tape.gradient(score, features)
    np.testing.assert_allclose(found[0], tf.reshape(features[:, 2:], (2, 4, 6, 8)), atol=1e-5)
    np.testing.assert_allclose(found[1], tf.reshape(derivative[:, 2:], (2, 4, 6, 8)), atol=1e-5)
    assert np.abs(found[1]).max() > 0


# ------------------------------------------------------------------------------------------- named nets, small input


def test_inception_v3_at_80_pixels_is_explained_at_its_last_picture():
    """Its last blocks are one place there, with branches of 3 × 3 inside; Grad-CAM is that of a tape on mixed7."""
    keras.utils.set_random_seed(2)
    model = keras.applications.InceptionV3(weights=None, input_shape=(80, 80, 3), classes=3, classifier_activation=None)
    attributer, images = Attributer(model), _images(80, 80)
    assert attributer.classifier.target_layer == "mixed7"
    output = model.get_layer("mixed7").output
    features, rest = keras.Model(model.inputs, output)(images), keras.Model(output, model.output)
    with tf.GradientTape() as tape:
        tape.watch(features)
        score = rest(features)[:, 1]
    weights = tf.reduce_mean(tape.gradient(score, features), (1, 2), keepdims=True)
    wanted = tf.image.resize(tf.nn.relu(tf.reduce_sum(weights * features, -1, keepdims=True)), (80, 80))
    maps = attributer.explain(images, "gradcam", 1, progress=False).values
    np.testing.assert_allclose(maps, wanted, atol=1e-4 * np.abs(wanted).max())
    assert np.ptp(maps) > 0
