"""Which tensor a class activation map looks at: by hand-built nets, and by `tf.GradientTape` on the tensor meant."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.targets import _block, _check, _Extra, _images, _input
from keras import layers

from attribeval import Attributer
from attribeval.errors import AttribevalError
from attribeval.models.classifier import Classifier
from attribeval.models.fields import activations_and_gradient
from attribeval.models.layout import ROWS, Unit, cut, merged, reshaped
from attribeval.models.propagation.graph import Path


def _head(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts, layers.Dense(3)])


def test_a_residual_block_written_with_plus_is_not_taken_by_its_branch():
    """As in ConvNeXt: x + branch(x), no Add layer."""
    x = inputs = _input(16, 16)
    x = layers.Conv2D(6, 4, strides=4, name="stem")(x)
    for _ in range(2):
        h = layers.LayerNormalization()(layers.DepthwiseConv2D(3, padding="same")(x))
        x = x + layers.Dense(6)(layers.Dense(12, activation="gelu")(h))
    classifier = _check(
        keras.Model(inputs, x),
        _head(x.shape[1:], layers.GlobalAveragePooling2D(), layers.LayerNormalization()),
        _images(16, 16),
    )
    assert classifier.target_layer.endswith(":AddV2")


def test_a_silent_branch_leaves_the_map_of_the_sum():
    inputs = _input(8, 8)
    h = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    silent = layers.Conv2D(4, 3, padding="same", kernel_initializer="zeros")(h)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(h + silent)))
    images = _images(8, 8)
    twin = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Add(name="sum")([h, silent]))))
    twin.set_weights(model.get_weights())
    wanted = Attributer(twin, target_layer="sum").explain(images, targets=1).values
    np.testing.assert_allclose(Attributer(model).explain(images, targets=1).values, wanted, atol=1e-6)


def test_branches_that_shrink_to_one_place_are_left_for_the_picture_before_them():
    """As in InceptionV3 at 80 pixels, where the last block is 1 × 1 but one of its branches is 3 × 3 inside."""
    inputs = _input(12, 12)
    x = layers.Conv2D(6, 4, strides=4, activation="relu", name="mixed7")(inputs)
    one = layers.Conv2D(4, 3, activation="relu")(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    two = layers.Conv2D(4, 3, activation="relu")(x)
    rest = keras.Model(x, layers.Dense(3)(layers.Flatten()(layers.Concatenate()([one, two]))))
    assert _check(keras.Model(inputs, x), rest, _images(12, 12)).target_layer.endswith("mixed7")


def test_a_transposed_picture_is_none():
    inputs = _input(16, 8)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv")(inputs)
    rest = _head(
        x.shape[1:],
        layers.MaxPooling2D((2, 1)),
        layers.Permute((2, 1, 3)),
        layers.TimeDistributed(layers.Flatten()),
        layers.LSTM(5),
    )
    assert _check(keras.Model(inputs, x), rest, _images(16, 8)).target_layer.endswith("conv")


def test_attention_inside_a_convolutional_net():
    inputs = _input(16, 24)
    x = layers.Conv2D(6, 4, strides=4, activation="relu", name="conv")(inputs)
    tokens = layers.Reshape((24, 6))(x)
    y = x + layers.Reshape((4, 6, 6))(layers.MultiHeadAttention(2, 4)(tokens, tokens))
    classifier = _check(keras.Model(inputs, y), _head(y.shape[1:], layers.Flatten()), _images(16, 24))
    assert classifier.target_layer.endswith(":AddV2") and classifier.target_grid is None


@pytest.mark.parametrize("extra", [1, 3])
def test_with_a_class_token_the_picture_is_what_goes_into_the_last_attention(extra):
    inputs = _input(16, 24)
    x = layers.Reshape((24, 8))(layers.Conv2D(8, 4, strides=4)(inputs))
    x = before = _block(_Extra(extra)(x))
    model = keras.Model(inputs, layers.Dense(3)(layers.LayerNormalization()(_block(x))[:, 0]))
    classifier = Classifier(model)
    assert classifier.target_grid == (4, 6)
    images, targets = _images(16, 24), np.array([1, 2], np.int32)
    found = activations_and_gradient(classifier, tf.constant(images), tf.constant(targets))
    until, rest = keras.Model(inputs, before), keras.Model(before, model.output)
    features = until(images)
    with tf.GradientTape() as tape:
        tape.watch(features)
        score = tf.gather(rest(features), targets, axis=1, batch_dims=1)
    derivative = tape.gradient(score, features)
    np.testing.assert_allclose(found[0], tf.reshape(features[:, extra:], (2, 4, 6, 8)), atol=1e-5)
    np.testing.assert_allclose(found[1], tf.reshape(derivative[:, extra:], (2, 4, 6, 8)), atol=1e-5)
    assert np.abs(found[1]).max() > 0


def test_with_average_pooling_the_picture_is_behind_the_last_attention():
    inputs = _input(16, 24)
    x = layers.Reshape((24, 8))(layers.Conv2D(8, 4, strides=4)(inputs))
    x = layers.LayerNormalization(name="norm")(_block(x))
    rest = _head(x.shape[1:], layers.GlobalAveragePooling1D())
    classifier = _check(keras.Model(inputs, x), rest, _images(16, 24), shape=(2, 4, 6, 8))
    assert classifier.target_layer.endswith("norm") and classifier.target_grid == (4, 6)
    assert "as 4 × 6 places" in repr(Attributer(classifier))


def _light_net(size, head):
    """Patches of 4 × 4, one block of dot-product attention; the score grows with the light of patches, wherever."""
    inputs = _input(*size)
    small = keras.initializers.Constant(0.02)
    tokens = layers.Conv2D(2, 4, strides=4, use_bias=False, kernel_initializer=small)(inputs)
    tokens = layers.Reshape((size[0] * size[1] // 16, 2))(tokens)
    tokens = _Extra(1)(tokens) if head == "class token" else tokens
    weights = keras.ops.softmax(keras.ops.matmul(tokens, keras.ops.transpose(tokens, (0, 2, 1))))
    mixed = tokens + keras.ops.matmul(weights, tokens)
    pooled = mixed[:, 0] if head == "class token" else layers.GlobalAveragePooling1D()(mixed)
    return keras.Model(inputs, layers.Dense(2, use_bias=False, kernel_initializer="ones")(pooled))


@pytest.mark.parametrize("head", ["class token", "average"])
@pytest.mark.parametrize("size", [(16, 16), (16, 28), (24, 12)])
@pytest.mark.parametrize("method", ["gradcam", "layercam", "gradcam++", "scorecam"])
def test_cams_of_a_transformer_light_up_the_lit_patch(size, head, method):
    attributer = Attributer(_light_net(size, head))
    for corner in [(0, 0), (0, 1), (1, 0), (1, 1)]:
        rows, columns = (slice(side - 4, side) if end else slice(0, 4) for side, end in zip(size, corner, strict=True))
        image = np.full((1, *size, 3), 0.1, np.float32)
        image[:, rows, columns] = 1.0
        heat = attributer.explain(image, method, targets=0, progress=False).values[0, :, :, 0]
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        assert rows.start <= row < rows.stop and columns.start <= column < columns.stop
        assert heat[rows, columns].mean() > 2 * np.delete(heat, np.r_[rows], 0).mean()


def test_cam_of_tokens_averages_to_the_logit_and_refuses_a_class_token_in_the_average():
    inputs = _input(16, 24)
    x = layers.Reshape((24, 8), name="tokens")(layers.Conv2D(8, 4, strides=4)(inputs))
    average = layers.GlobalAveragePooling1D()
    model = keras.Model(inputs, layers.Dense(3, use_bias=False)(average(layers.ReLU(name="last")(_block(x)))))
    images = _images(16, 24)
    classifier = Classifier(model)
    (activations, gradients) = activations_and_gradient(classifier, tf.constant(images), tf.constant([1, 2]))
    share = tf.reduce_mean(24 * tf.reduce_sum(activations * gradients, -1), axis=(1, 2))
    logits = model(images).numpy()[[0, 1], [1, 2]]
    np.testing.assert_allclose(share, logits, rtol=1e-4)
    maps = Attributer(classifier).explain(images, "cam", targets=[1, 2], progress=False)
    wanted = tf.image.resize(24 * tf.reduce_sum(activations * gradients, -1, keepdims=True), (16, 24))
    np.testing.assert_allclose(maps.values, wanted, atol=1e-5)
    model = keras.Model(inputs, layers.Dense(3)(average(_Extra(1)(x))))
    with pytest.raises(AttribevalError, match="class token"):
        Attributer(model).explain(images, "cam", layer="tokens:ConcatV2", progress=False)


def test_names_and_grids_hold_in_nested_subclassed_and_shared_models():
    inputs = _input(8, 8)
    shared = layers.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    inner = keras.Model(inputs, shared(shared(inputs) + 1.0) * 2.0, name="inner")

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner, self.pool, self.dense = inner, layers.GlobalAveragePooling2D(), layers.Dense(3)

        def call(self, x):
            return self.dense(self.pool(self.inner(x)))

    net = Net()
    images = _images(8, 8)
    net(images)
    classifier = Classifier(net)
    assert classifier.target_layer == "inner/shared:Mul"
    found = activations_and_gradient(classifier, tf.constant(images), tf.constant([0, 1]))
    np.testing.assert_allclose(found[0], inner(images), atol=1e-6)
    # The first output of the layer that is called twice has a name, too.
    first = activations_and_gradient(classifier, tf.constant(images), tf.constant([0, 1]), "input:Relu")
    np.testing.assert_allclose(first[0], shared(images), atol=1e-6)
    with pytest.raises(AttribevalError, match="target layer"):
        Classifier(net, target_layer="inner/shared:Sub")


def test_no_picture_where_the_model_flattens_first():
    inputs = _input(8, 8)
    assert Classifier(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(inputs / 255.0)))).target_layer is None


def test_bottlenecks_are_the_tensors_that_all_of_the_score_goes_through():
    """On random graphs: the sweep finds what `all_through` says of each tensor by itself."""
    rng, shares = np.random.default_rng(0), []

    def build(x):
        tensors = [x]
        for k in range(12):
            recent = tensors[-3:]
            one, two = recent[rng.integers(len(recent))], recent[rng.integers(len(recent))]
            if k % 4 == 3:
                tensors.append(tf.add_n([*recent, tf.ones_like(one)]))
            else:
                tensors.append([one + two, tf.nn.relu(one), sum(tf.split(one, 2, axis=1)[:1])][rng.integers(3)])
                tensors[-1] = tf.concat([tensors[-1]] * 2, 1) if tensors[-1].shape[1] == 4 else tensors[-1]
        path = Path(x, tensors[-1])
        every = [one for op in path.ops for one in op.outputs if path.consumers(one) or one is path.score]
        slow = [tensor.name for tensor in every if path.all_through(tensor)]
        assert [tensor.name for tensor in path.bottlenecks()] == slow
        shares.append(len(slow) / len(every))
        return x

    for _ in range(20):
        tf.function(build, autograph=False).get_concrete_function(tf.TensorSpec([None, 8], tf.float32))
    assert sum(0 < share < 1 for share in shares) > 5


def test_the_algebra_of_axes_agrees_with_numpy():
    """Each entry of an array of (row, column) numbers, reshaped and cut, lies where the axes say."""
    numbers = np.arange(24) * 5.0 + 3.0  # 24 rows, 5 pixels apart, the first on pixel 3
    axes = reshaped(((Unit("batch", None),), (Unit(ROWS, 24, 5.0, 3.0),)), (None, 4, 6))
    (outer,), (inner,) = axes[1:]
    where = np.add.outer(outer.start + outer.step * np.arange(4), inner.start + inner.step * np.arange(6))
    np.testing.assert_array_equal(where, numbers.reshape(4, 6))
    assert merged((outer, inner)) == (Unit(ROWS, 24, 5.0, 3.0),)
    (part,) = cut((Unit(ROWS, 24, 5.0, 3.0),), 2, 3, 7, 24)
    np.testing.assert_array_equal(part.start + part.step * np.arange(7), numbers[2:23:3])
