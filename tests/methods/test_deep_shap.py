"""Deep SHAP: closed forms, rescale by hand, and what it refuses."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from attribeval import AttribevalError, Attributer


@pytest.mark.parametrize("name", ["deep_shap", "gradient_shap"])
@pytest.mark.parametrize("several", [False, True])
def test_linear_models_have_a_closed_form(name, several, images):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4, activation="softmax")]
    )
    x = images[:2]
    reference = images[5:8] if several else "mean"
    maps = Attributer(model).explain(x, name, [1, 3], reference=reference)
    kernel = model.layers[-1].kernel.numpy().reshape(32, 32, 3, 4)
    if not several:
        mean = x.mean(axis=(1, 2), keepdims=True)
        expected = np.stack([kernel[..., t] * (x[i] - mean[i]) for i, t in enumerate([1, 3])])
        np.testing.assert_allclose(maps.values, expected, atol=1e-6)
        np.testing.assert_allclose(maps.completeness_gap, 0, atol=1e-5)
    elif name == "deep_shap":
        expected = np.stack([kernel[..., t] * (x[i] - reference.mean(0)) for i, t in enumerate([1, 3])])
        np.testing.assert_allclose(maps.values, expected, atol=1e-6)
    else:  # the share of each reference is random, so every value lies between those of the references
        all_three = np.stack([[kernel[..., t] * (x[i] - r) for r in reference] for i, t in enumerate([1, 3])])
        assert (maps.values >= all_three.min(1) - 1e-6).all() and (maps.values <= all_three.max(1) + 1e-6).all()


def test_deep_shap_is_rescale_by_hand():
    """relu(a) − relu(b) has two ReLUs whose multipliers are Δout / Δin (Shrikumar et al. 2017, equation 10)."""
    model = keras.Sequential([keras.Input((1, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="relu")])
    model.add(keras.layers.Dense(1))
    model.layers[1].set_weights([np.array([[1.0, 2.0], [-3.0, 1.0]]), np.array([0.5, -1.0])])
    model.layers[2].set_weights([np.array([[1.0], [-1.0]]), np.zeros(1)])
    x, reference = np.array([[[[2.0], [0.4]]]], np.float32), np.array([[[-1.0], [1.0]]], np.float32)
    # Inputs of the ReLUs: (2 − 1.2 + .5, 4 + .4 − 1) = (1.3, 3.4); at the reference (−3.5, −2).
    first, second = (1.3 - 0) / (1.3 + 3.5), -(3.4 - 0) / (3.4 + 2)
    expected = np.array([3 * (first * 1 + second * 2), -0.6 * (first * -3 + second * 1)])
    maps = Attributer(model, task="regression").explain(x, "deep_shap", 0, reference=reference)
    np.testing.assert_allclose(maps.values.ravel(), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("layer", "operation"),
    [
        (lambda: keras.layers.ReLU(6.0), "Relu6"),
        (lambda: keras.layers.LeakyReLU(), "LeakyRelu"),
        (lambda: keras.layers.Activation("silu"), "IdentityN"),
        (lambda: keras.layers.DepthwiseConv2D(3), "DepthwiseConv2dNative"),
    ],
)
def test_deep_shap_refuses_what_shap_gets_wrong(layer, operation, images):
    net = [keras.Input((32, 32, 3)), keras.layers.Conv2D(4, 3), layer(), keras.layers.Flatten(), keras.layers.Dense(3)]
    with pytest.raises(AttribevalError, match=f"no right rule for operations of this model: .*{operation}"):
        Attributer(keras.Sequential(net)).explain(images[:1], "deep_shap")


def test_tensorflow_still_differentiates_after_shap_failed(small_model, images, monkeypatch):
    from attribeval.methods import deep_shap

    monkeypatch.setattr(deep_shap, "operations_without_rule", lambda classifier: [])
    net = [keras.Input((32, 32, 3)), keras.layers.DepthwiseConv2D(3), keras.layers.Flatten(), keras.layers.Dense(3)]
    with pytest.raises(AttribevalError, match=r"could not explain this model: .*Use method='kernel_shap'"):
        Attributer(keras.Sequential(net)).explain(images[:1], "deep_shap")
    x = tf.constant([2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(x[:1] ** 2)
    np.testing.assert_allclose(tape.gradient(y, x), [4.0, 0.0])
