"""Grouped convolutions and functions of a layer's own: as the same net written without them, for every method."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from attribeval import Attributer
from attribeval.errors import AttribevalError

L = keras.layers


class Split(L.Layer):
    """A grouped convolution, group by group, with the weights of a Keras layer."""

    def __init__(self, grouped, **options):
        super().__init__()
        self.grouped, self.options = grouped, options

    def call(self, x):
        kernel, bias = self.grouped.weights
        parts = tf.split(x, self.grouped.groups, axis=-1)
        own = [tf.split(tf.convert_to_tensor(w), self.grouped.groups, axis=-1) for w in (kernel, bias)]
        y = [tf.nn.convolution(part, k, **self.options) + b for part, k, b in zip(parts, *own, strict=True)]
        return tf.nn.relu(tf.concat(y, -1))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).normal(size=(2, 12, 12, 3)).astype("f4")


METHODS = [
    ("deeplift", {}),
    ("lrp", {"rule": "epsilon", "epsilon": 0.0}),  # with more, the size of a group's outputs counts
    ("lrp", {"rule": "gamma"}),
    ("lrp", {"rule": "alpha_beta"}),
    ("deep_taylor", {}),
    ("excitation_backprop", {"layer": "first"}),
]
CONVOLUTIONS = {
    "two_channels_each": ({"groups": 3}, {"padding": "SAME"}),
    "one_channel_each": ({"groups": 6}, {"padding": "SAME"}),
    "strided": ({"groups": 6, "strides": 2}, {"padding": "SAME", "strides": 2}),
    "dilated": ({"groups": 6, "dilation_rate": 2}, {"padding": "SAME", "dilations": 2}),
    "long_strides": ({"groups": 2, "strides": (1, 2)}, {"padding": "SAME", "strides": (1, 2)}),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_grouped_convolution_equals_one_per_group(name, pictures):
    keras.utils.set_random_seed(1)
    options, plain = CONVOLUTIONS[name]
    grouped = L.Conv2D(12, 3, padding="same", activation="relu", bias_initializer="glorot_normal", **options)
    inputs = keras.Input((12, 12, 3))
    x = L.Conv2D(6, 3, activation="relu", name="first")(inputs)
    head = keras.Sequential([L.GlobalAveragePooling2D(), L.Dense(4, activation="softmax")])
    model = keras.Model(inputs, head(grouped(x)))
    twin = keras.Model(inputs, head(Split(grouped, **{"strides": 1} | plain)(x)))
    np.testing.assert_allclose(model(pictures), twin(pictures), rtol=1e-5)
    for method, extra in METHODS:
        ours, expected = (Attributer(m).explain(pictures, method, 1, **extra) for m in (model, twin))
        assert np.abs(expected.values).max() > 0
        np.testing.assert_allclose(ours.values, expected.values, atol=2e-5 * np.abs(expected.values).max())


class Wrapped(L.Layer):
    """A convolution inside a compiled function inside a function."""

    def __init__(self, inner, effect=None):
        super().__init__()
        self.inner, self.effect = inner, effect

    def call(self, x):
        @tf.function(jit_compile=True)
        def compiled(x):
            return self.inner(x)

        @tf.function
        def outer(x):
            y = compiled(x)
            if self.effect == "draws":
                y += tf.random.normal([])
            elif self.effect == "loops":
                y = tf.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), [0, y])[1]
            return tf.nn.relu(y), y

        return outer(x)[0]


def wrapped(effect):
    keras.utils.set_random_seed(2)
    inner = L.Conv2D(4, 3)
    inner.build((None, 12, 12, 3))
    head = keras.Sequential([L.GlobalAveragePooling2D(), L.Dense(3)])
    inputs = keras.Input((12, 12, 3))
    model = keras.Model(inputs, head(Wrapped(inner, effect)(inputs)))
    return model, keras.Model(inputs, head(L.ReLU(name="first")(inner(inputs))))


@pytest.mark.parametrize("method,options", METHODS[:-1])
def test_functions_in_functions_equal_the_plain_net(method, options, pictures):
    ours, expected = (Attributer(model).explain(pictures, method, 1, **options).values for model in wrapped(None))
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("effect", ["draws", "loops"])
def test_a_function_with_an_effect_or_a_loop_has_no_rule(effect, pictures):
    with pytest.raises(AttribevalError, match="PartitionedCall' in layer 'wrapped"):
        Attributer(wrapped(effect)[0]).explain(pictures, "deeplift", 1)


def test_an_exported_folder_is_explained_like_the_model_it_was_made_of(tmp_path, pictures):
    """By the lines that the error for a folder gives; a gradient, asked for first, changes the folder's function."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(4, 3, activation="relu"), L.GlobalAveragePooling2D(),
                              L.Dense(3)])  # fmt: skip
    folder = str(tmp_path / "model")
    model.export(folder, verbose=False)
    with pytest.raises(AttribevalError, match="SavedModel folder") as error:
        Attributer(folder)
    names = {"keras": keras, "height": 12, "width": 12, "channels": 3, "folder": folder}
    exec(str(error.value).split("as a layer: ")[1].split(". Or save")[0], names)
    loaded, plain = Attributer(names["model"]), Attributer(model)
    for method in ("gradient", "deeplift", "lrp", "deep_taylor"):
        ours, expected = (attributer.explain(pictures, method, 1).values for attributer in (loaded, plain))
        np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())
