"""A copy of a recorded graph is the model called again: the same scores, derivatives and names, one call of Keras."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from attribeval import AttribevalError, Attributer
from attribeval.methods.registry import build_method
from attribeval.models import classifier as classifiers

layers = keras.layers
X = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)


def flat():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, padding="same", name="first")(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.Concatenate()([layers.Conv2D(4, 1, activation="relu")(x), layers.MaxPooling2D(3, 1, "same")(x)])
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(4, activation="softmax")(layers.Dropout(0.5)(x)))


def shared_and_nested():
    body = keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(3, 3, padding="same", activation="relu")])
    inputs = keras.Input((16, 16, 3))
    x = body(body(inputs)) + inputs
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def subclassed():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.dense = layers.Conv2D(5, 3, activation="gelu"), layers.Dense(4)

        def call(self, x):
            return self.dense(keras.ops.max(self.conv(x), axis=(1, 2)))

    net = Net()
    net(X)
    return net


class Stopped(layers.Layer):
    """Passes its input on, and its cosine times the gradient: a derivative that reads tensors of the graph it is in."""

    def call(self, x):
        @tf.custom_gradient
        def cosine(x):
            return tf.identity(x), lambda upstream: tf.cos(x) * upstream

        return cosine(x)


def custom_gradient():
    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3, activation="relu")(Stopped()(inputs)))
    return keras.Model(inputs, layers.Dense(4)(x))


def swish():
    """`tf.nn.silu` has a gradient of its own, which reads tensors, too; and a product with the gate of another."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(5, 3, activation="silu")(layers.Conv2D(5, 3, activation="swish")(inputs))
    x = x * keras.ops.sigmoid(layers.Conv2D(5, 1)(x))
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def half_precision():
    with_policy = {"dtype": "mixed_float16"}
    net = [keras.Input((16, 16, 3)), layers.Conv2D(5, 3, activation="relu", **with_policy)]
    return keras.Sequential([*net, layers.GlobalAveragePooling2D(**with_policy), layers.Dense(4)])


def recurrent():
    inputs = keras.Input((16, 16, 3))
    x = layers.Reshape((16, 48))(layers.Conv2D(3, 3, padding="same")(inputs))
    return keras.Model(inputs, layers.Dense(4)(layers.LSTM(5)(x)))


MODELS = [flat, shared_and_nested, subclassed, swish, custom_gradient, half_precision, recurrent]


@pytest.mark.parametrize("make", MODELS)
def test_a_copy_is_the_model_called_again(make):
    keras.utils.set_random_seed(0)
    model = make()
    copied, called = Attributer(model), Attributer(model)
    called.classifier._recording = None
    # A loop has a body, and a gradient of its own belongs to its graph: they are not copied.
    assert (copied.classifier._recording is None) == (make in (recurrent, custom_gradient))
    methods = ["gradient", "gradcam", "smoothgrad(gradient)", "integrated_gradients"]
    methods += ["guided_backprop"] if make in (flat, half_precision) else []
    methods += ["deeplift", "lrp"] if make in (flat, shared_and_nested) else []
    for method in methods:
        ours, theirs = (one.explain(X, method, [0, 1, 3], seed=1) for one in (copied, called))
        scale = np.abs(theirs.values).max()
        np.testing.assert_allclose(ours.values, theirs.values, atol=(1e-2 if make is half_precision else 1e-6) * scale)


@pytest.mark.parametrize("make", [swish, custom_gradient])
def test_a_gradient_of_its_own_is_a_tapes(make):
    keras.utils.set_random_seed(0)
    model, x = make(), tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = model(x, training=False)[:, 1]
    expected = tape.gradient(score, x).numpy()
    ours = Attributer(model).explain(X, "gradient", 1).values
    np.testing.assert_allclose(ours, expected, atol=1e-6 * np.abs(expected).max())


def test_keras_is_called_once_for_all_methods(monkeypatch):
    keras.utils.set_random_seed(0)
    calls, run = [], classifiers.run
    monkeypatch.setattr(classifiers, "run", lambda model, x, *beside: calls.append(x) or run(model, x, *beside))
    attributer = Attributer(flat())
    names = ["gradient", "guided_backprop", "gradcam", "cam", "deeplift", "lrp", "excitation_backprop", "deep_taylor"]
    attributer.explain_many(X, {name: build_method(name) for name in names}, 0)
    assert len(calls) == 1


def test_layers_and_operations_keep_their_names():
    classifier = Attributer(flat()).classifier
    found = {}

    def build(x):
        trace, scores = classifier.trace(x)
        found["paths"] = [call.path for call in trace.calls]
        found["op"] = next(call.output.op.name for call in trace.calls if call.name == "first")
        return scores

    classifier.compiled("names", build, classifier.input_spec)
    copied = dict(found)
    classifier._recording = None
    classifier.compiled("names again", build, classifier.input_spec)
    assert copied == found and "first" in copied["op"]


def test_changed_weights_are_seen():
    model = flat()
    attributer = Attributer(model)
    attributer.explain(X, "gradient", 0)
    model.set_weights([2 * w for w in model.get_weights()])
    fresh = Attributer(model).explain(X, "gradient", 0).values
    np.testing.assert_array_equal(attributer.explain(X, "gradient", 0).values, fresh)


def test_assertions_of_the_model_hold_in_copies():
    """They hang on other operations by control dependencies alone."""

    class Checked(layers.Layer):
        def call(self, x):
            with tf.control_dependencies([tf.debugging.assert_less(tf.reduce_max(x), 100.0, message="too bright")]):
                return tf.identity(x)

    inputs = keras.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(5, 3, activation="relu")(Checked()(inputs)))
    attributer = Attributer(keras.Model(inputs, layers.Dense(4)(x)))
    assert attributer.explain(X, "gradient", 0).values.any()
    with pytest.raises((tf.errors.InvalidArgumentError, AttribevalError), match="too bright"):
        attributer.explain(X + 1000, "gradient", 0)
