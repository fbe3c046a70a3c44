"""CAM: dense weights times features, and the heads that have them."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.cams import (  # noqa: F401
    SIZE,
    TARGETS,
    assert_close,
    built,
    by_tape,
    cams_gap_model,
    cams_images,
    features,
    gap_head,
    layers,
    logits_model,
    upsampled,
)

from attribeval import Attributer
from attribeval.errors import AttribevalError


def test_cam_is_the_dense_weights_times_the_features(gap_model, images):
    ours = Attributer(gap_model).explain(images, "cam", TARGETS).values
    a, _, score = by_tape(gap_model, images)
    kernel, bias = gap_model.get_layer("predictions").get_weights()
    coarse = np.stack([a[b] @ kernel[:, t] for b, t in enumerate(TARGETS)])
    assert_close(ours, upsampled(coarse, SIZE))
    assert (ours < 0).any()
    np.testing.assert_allclose(coarse.mean(axis=(1, 2)) + bias[TARGETS], score, rtol=1e-5)
    np.testing.assert_allclose(ours.mean(axis=(1, 2, 3)) + bias[TARGETS], score, rtol=1e-4)  # upsampling keeps the mean


def heads_of_cam():
    def squeezenet(x):
        x = layers.Conv2D(4, 1, name="predictions")(layers.Dropout(0.5)(x))
        return layers.Softmax()(layers.GlobalAveragePooling2D()(x))

    def mobilenet(x):
        x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D(keepdims=True)(x))
        return layers.Softmax()(layers.Reshape((4,))(layers.Conv2D(4, 1, name="predictions")(x)))

    def average_pooling(x):
        return layers.Dense(4, name="predictions")(layers.Flatten()(layers.AveragePooling2D(SIZE // 2)(x)))

    def normalised(x):
        x = layers.BatchNormalization()(layers.GlobalAveragePooling2D()(x))
        return layers.Dense(4, activation="sigmoid", name="predictions")(x)

    return [squeezenet, mobilenet, average_pooling, normalised]


@pytest.mark.parametrize("head", heads_of_cam(), ids=lambda head: head.__name__)
def test_cam_knows_heads_by_their_maths(head, images):
    """The mean of the map is the logit less a constant, whatever the image."""
    model = built(head)
    attributer = Attributer(model)
    maps = attributer.explain(images, "cam", 1, layer="late").values
    logit = attributer.classifier.forward(images)[0].numpy()[:, 1]
    rest = logit - maps.mean(axis=(1, 2, 3))
    assert np.ptp(rest) <= 1e-4 * np.ptp(logit)


def test_cam_through_a_relu_that_is_no_layer(images):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.dense = layers.Conv2D(5, 3), layers.BatchNormalization(), layers.Dense(4)

        def call(self, x, training=False):
            return self.dense(keras.ops.mean(tf.nn.relu(self.norm(self.conv(x), training=training)), axis=(1, 2)))

    keras.utils.set_random_seed(0)
    net = Net()
    net(images)
    a = np.asarray(tf.nn.relu(net.norm(net.conv(images))), np.float64)
    expected = np.einsum("bhwk,kb->bhw", a, net.dense.get_weights()[0][:, TARGETS])
    assert_close(Attributer(net).explain(images, "cam", TARGETS).values, upsampled(expected, SIZE))
    # 1e-3 of rounding in bfloat16, where this machine has it, must not look like another head.
    rough = Attributer(net, precision="bfloat16").explain(images, "cam", TARGETS).values
    assert_close(rough, upsampled(expected, SIZE), 0.05)


def heads_without_cam():
    def flatten(x):
        return layers.Dense(4)(layers.Flatten()(x))

    def max_pooling(x):
        return layers.Dense(4)(layers.GlobalMaxPooling2D()(x))

    def hidden_layer(x):
        return layers.Dense(4)(layers.Dense(9, activation="relu")(layers.GlobalAveragePooling2D()(x)))

    def rectified_classes(x):
        return layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, activation="relu")(x))

    def gated(x):
        x = layers.GlobalAveragePooling2D()(x)
        return layers.Dense(4)(layers.Multiply()([x, layers.Dense(5, activation="sigmoid")(x)]))

    def corner(x):
        return layers.Dense(4)(layers.GlobalAveragePooling2D()(layers.Cropping2D(3)(x)))

    return [flatten, max_pooling, hidden_layer, rectified_classes, gated, corner]


@pytest.mark.parametrize("head", heads_without_cam(), ids=lambda head: head.__name__)
def test_cam_refuses_other_heads(head, images):
    with pytest.raises(AttribevalError, match=r"global average pooling and one linear layer.*Received.*gradcam"):
        Attributer(built(head)).explain(images, "cam", layer="late")


def test_cam_refuses_a_path_around_the_layer_and_an_explained_probability(gap_model, images):
    def around(x):
        return layers.Dense(4)(layers.GlobalAveragePooling2D()(x))

    base = built(around)
    both = keras.Model(base.inputs, base.output + layers.Dense(4)(layers.Flatten()(base.get_layer("early").output)))
    with pytest.raises(AttribevalError, match="second path"):
        Attributer(both).explain(images, "cam", layer="late")
    with pytest.raises(AttribevalError, match="not a linear function"):
        Attributer(gap_model, score="output").explain(images, "cam")
