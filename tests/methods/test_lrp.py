"""LRP: by hand, by explicit matrices of contributions, by conservation."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.matrices import (  # noqa: F401
    LAYERS,
    L,
    conv_matrix,
    explain,
    matrices_net,
    matrices_pictures,
    matrices_plain,
    matrices_scenes,
    matrices_two_layers,
    slow,
    without_biases,
)

from attribeval import Attributer
from attribeval.errors import AttribevalError
from attribeval.methods.lrp import LRP
from attribeval.models.propagation.rules import Epsilon, Gamma


@pytest.mark.parametrize(
    "options,expected",
    [
        # R_h1 = 15/13 · 13 = 15 (the bias absorbs −2); contributions 2 and 2 of z = 5: 6 each, 3 for the bias
        ({"rule": "epsilon", "epsilon": 0.0}, [6, 6]),
        # rms(y) = √(169/2) = 9.192388: R_h1 = 15 · 13/(13 + 9.192388) = 8.786796;
        # rms(z) = √((25 + 625)/2) = 18.027756: each 2 · 8.786796/(5 + 18.027756) = .763148
        ({"rule": "epsilon", "epsilon": 1.0}, [0.763148, 0.763148]),
        # γ = 1: R_h1 = 30/(13 + 15) · 13 = 13.928571; both contributions 4, bias 2: 4/10 each
        ({"rule": "gamma", "gamma": 1.0}, [5.571429, 5.571429]),
        # α = 2, β = 1: z⁺ = 15, z⁻ = −2 (bias only): R_h1 = 2 · 13; below all is positive: all of it, 2/5 each
        ({"rule": "alpha_beta"}, [10.4, 10.4]),
        # z^B with a, b in [−2, 1]: R_h1 = 15/13 · 13 = 15; 2a − (−2)·2 = 6, −b − 1·(−1) = 3, of 9 each
        ({"rule": "epsilon", "epsilon": 0.0, "pixels": "bounds", "bounds": (-2.0, 1.0)}, [10, 5]),
    ],
)
def test_two_layers_by_hand(two_layers, options, expected):
    image = np.array([1, -2], "f4").reshape(1, 1, 2, 1)
    maps = explain(two_layers, image, **options)
    np.testing.assert_allclose(maps.values.ravel(), expected, rtol=1e-5)
    assert maps.completeness_gap[0] == pytest.approx(sum(expected) - 13, rel=1e-5)


def test_a_gate_gets_nothing():
    """x · sigmoid(x), and a channel weighed by a function of all: the signal takes all (Arras et al. 2017)."""
    inputs = keras.Input((1, 2, 1))
    x = L.Activation("silu")(inputs)
    x = L.Flatten()(x)
    gate = L.Dense(2, activation="sigmoid")(L.Dense(3, activation="silu")(x))
    y = L.Dense(2, use_bias=False)(L.Multiply()([gate, x]))
    model = keras.Model(inputs, y)
    image = np.array([1, -2], "f4").reshape(1, 1, 2, 1)
    maps = explain(model, image, rule="epsilon", epsilon=0.0)
    signal = keras.Model(inputs, model.layers[-2].output)(image).numpy()
    np.testing.assert_allclose(maps.values.ravel(), (signal * model.layers[-1].get_weights()[0][:, 0])[0], rtol=1e-5)


@pytest.mark.parametrize(
    "options",
    [
        {"rule": "epsilon", "epsilon": 0.25},
        {"rule": "gamma", "gamma": 0.5},
        {"rule": "alpha_beta", "alpha": 2.0},
        {"rule": "alpha_beta", "alpha": 1.5},
    ],
)
def test_rules_against_matrices_of_contributions(net, pictures, options):
    rule = (options["rule"], {k: v for k, v in options.items() if k != "rule"})
    rules = dict.fromkeys(LAYERS, rule)
    if rule[0] == "epsilon":
        rules["average"] = ("epsilon", {"epsilon": 1e-6})  # an average absorbs nothing
    maps = explain(net.model, pictures, targets=[0, 1, 2], **options)
    for image, target, ours in zip(pictures, [0, 1, 2], maps.values, strict=True):
        expected = slow(net, image, target, rules)
        np.testing.assert_allclose(ours, expected, atol=2e-5 * np.abs(expected).max())


def test_composite_against_matrices_of_contributions(net, pictures):
    """γ in the first half of the convolutions (two of three), ε in the second, ε → 0 in dense layers, z^B at pixels."""
    gamma, epsilon, exact = ("gamma", {"gamma": 0.25}), ("epsilon", {"epsilon": 0.25}), ("epsilon", {"epsilon": 1e-6})
    rules = {"c2": gamma, "c3": epsilon, "sum": epsilon, "average": exact, "d": exact}
    maps = explain(net.model, pictures, targets=1)
    for image, ours in zip(pictures, maps.values, strict=True):
        expected = slow(net, image, 1, rules, pixels=(image.min(), image.max()))
        np.testing.assert_allclose(ours, expected, atol=2e-5 * np.abs(expected).max())


def test_small_epsilon_without_biases_is_gradient_times_input(plain, scenes):
    ours = explain(plain, scenes, rule="epsilon", epsilon=0.0, targets=2)
    expected = explain(plain, scenes, "gradient", targets=2).values * scenes
    np.testing.assert_allclose(ours.values, expected, atol=2e-4 * np.abs(expected).max())
    assert np.abs(ours.completeness_gap).max() < 1e-4 * np.abs(expected).sum()


@pytest.mark.parametrize(
    "method,options",
    [
        ("lrp", {"rule": "gamma"}),
        ("lrp", {"rule": "alpha_beta"}),
        ("lrp", {"rule": "alpha_beta", "pixels": "bounds"}),
        ("lrp", {"rule": "composite", "epsilon": 0.0}),
    ],
)
def test_conservation_without_biases(plain, scenes, method, options):
    maps = explain(plain, scenes, method, 1, **options)
    scores = Attributer(plain).classifier.forward(scenes)[0].numpy()[:, 1]
    np.testing.assert_allclose(maps.values.sum(axis=(1, 2, 3), dtype=float), scores, rtol=1e-3)
    np.testing.assert_allclose(maps.values.sum(axis=(1, 2, 3)) - maps.completeness_gap, scores, rtol=1e-4)


class Fused(keras.layers.Layer):
    """Batch normalisation as TensorFlow's one fused operation, with the weights of a Keras layer."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def call(self, x):
        import tensorflow as tf

        gamma, beta, mean, variance = (tf.convert_to_tensor(w) for w in self.norm.weights)
        return tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, mean, variance, self.norm.epsilon, is_training=False)[0]


@pytest.mark.parametrize(
    "method,options", [("lrp", {"rule": "gamma"}), ("lrp", {}), ("deep_taylor", {}), ("deeplift", {})]
)
def test_fused_batch_normalisation_is_folded_like_any_other(net, pictures, method, options):
    inputs = net.model.inputs[0]
    layer = net.model.get_layer
    x = L.ReLU()(Fused(layer("norm"))(layer("c1")(inputs)))
    x = layer("pool")(x)
    y = layer("c3")(layer("c2")(x))
    fused = keras.Model(inputs, layer("d")(L.GlobalAveragePooling2D()(L.ReLU()(L.Add()([x, y])))))
    expected = explain(net.model, pictures, method, **options).values
    np.testing.assert_allclose(
        explain(fused, pictures, method, **options).values, expected, atol=1e-5 * np.abs(expected).max()
    )


def biased(bias):
    """y = relu(x1 + x2) + bias on the image (1, 2): all relevance but 3 / (3 + bias) of it is lost to the bias."""
    model = keras.Sequential([keras.Input((1, 2, 1)), L.Flatten(), L.Dense(1, activation="relu"), L.Dense(2)])
    model.set_weights([np.array(w, "f4") for w in ([[1], [1]], [0], [[1, 0]], [bias, 0])])
    return model


def test_loss_of_nearly_all_relevance_is_said_once_with_the_figure():
    images = np.tile(np.array([1, 2], "f4").reshape(1, 1, 2, 1), (5, 1, 1, 1))
    with pytest.warns(RuntimeWarning, match=r"^lrp kept 3 % of the score of the median of 5 images") as told:
        maps = explain(biased(97), images, rule="epsilon", epsilon=0.0, batch_size=2)
    assert len(told) == 1
    np.testing.assert_allclose(maps.values[0].ravel(), [1, 2], rtol=1e-5)


@pytest.mark.parametrize("bias", [0, 3, -2])
def test_what_keeps_enough_is_silent(bias, recwarn):
    explain(biased(bias), np.array([1, 2], "f4").reshape(1, 1, 2, 1), rule="epsilon", epsilon=0.0)
    assert not [w for w in recwarn if w.category is RuntimeWarning]


def test_composite_splits_vgg16_where_the_authors_do():
    """Montavon et al. 2019: γ in the first three blocks (7 of 13 convolutions), ε in the rest, ε → 0 if dense."""
    from attribeval.models.propagation.places import Place

    rules = [LRP()._choose(Place(i / 13, dense=False, last=False)) for i in range(13)]
    assert rules == [Gamma(0.25)] * 7 + [Epsilon(0.25)] * 6
    assert LRP()._choose(Place(12 / 13, dense=True, last=True)) == Epsilon(1e-6)


METHODS = [("lrp", {}), ("lrp", {"rule": "alpha_beta"}), ("deep_taylor", {}), ("excitation_backprop", {})]


@pytest.mark.parametrize("method,options", METHODS)
def test_nested_and_subclassed_equal_flat(net, pictures, method, options):
    inputs = keras.Input((6, 6, 2))
    nested = keras.Model(inputs, keras.Sequential([net.model])(L.SpatialDropout2D(0.5)(inputs)))

    class Wrapped(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = net.model

        def call(self, x, training=False):
            return self.inner(x, training=training)

    wrapped = Wrapped()
    wrapped(pictures)
    expected = explain(net.model, pictures, method, **options).values
    for model in (nested, wrapped):
        ours = explain(model, pictures, method, **options).values
        np.testing.assert_allclose(ours, expected, atol=1e-6 * np.abs(expected).max())


class Sorted(keras.layers.Layer):
    def call(self, x):
        return keras.ops.cumsum(x, axis=1)


@pytest.mark.parametrize("method,options", METHODS[1:])
def test_an_operation_without_a_rule_is_named(images, method, options):
    model = keras.Sequential([keras.Input((32, 32, 3)), L.Conv2D(2, 3), Sorted(), L.Flatten(), L.Dense(2)])
    layer = {"layer": model.layers[0].name} if method == "excitation_backprop" else {}
    with pytest.raises(AttribevalError, match=rf"{method} has rules for.*'Cumsum' in layer 'sorted(_\d+)?'"):
        explain(model, images[:1], method, **options, **layer)


def test_a_product_of_two_signals_is_refused(images):
    inputs = keras.Input((32, 32, 3))
    x = L.Multiply()([L.Conv2D(2, 3)(inputs), L.Conv2D(2, 3)(inputs)])
    model = keras.Model(inputs, L.Dense(2)(L.GlobalAveragePooling2D()(x)))
    with pytest.raises(AttribevalError, match="neither is a gate"):
        explain(model, images[:1])


def test_probabilities_have_no_relevance(small_model, images):
    with pytest.raises(AttribevalError, match="'Softmax'"):
        Attributer(small_model, score="output").explain(images[:1], "lrp")


@pytest.mark.parametrize(
    "options,message",
    [
        ({"rule": "z_plus"}, "rule"),
        ({"epsilon": -0.1}, "epsilon"),
        ({"gamma": float("nan")}, "gamma"),
        ({"alpha": 0.5}, "alpha"),
        ({"pixels": "flat"}, "pixels"),
        ({"bounds": (1.0, 0.0)}, "bounds"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(AttribevalError, match=message):
        LRP(**options)
