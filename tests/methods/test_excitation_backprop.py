"""Excitation backprop against a slow rewrite."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.matrices import L, conv_matrix, explain, matrices_net, matrices_pictures  # noqa: F401


def slow_excitation(net, image, target, contrastive):
    """Marginal winning probabilities at the pooling layer, from positive weights and positive activations."""
    m, b = net.matrices, net.biases
    h1 = np.maximum(m["c1"] @ image.ravel().astype(float) + b["c1"], 0).reshape(3, 2, 3, 2, 3)
    p = h1.max(axis=(1, 3)).ravel()
    h2 = np.maximum(m["c2"] @ p + b["c2"], 0)
    z3 = m["c3"] @ h2 + b["c3"]
    h3 = np.maximum(p + z3, 0)
    pick = np.tile(np.eye(3), 9) / 9

    def win(weights, values, probability):
        excite = np.maximum(weights, 0) * np.maximum(values, 0)
        total = excite.sum(1, keepdims=True)
        return (np.divide(excite, total, out=np.zeros_like(excite), where=total > 0) * probability[:, None]).sum(0)

    one = np.eye(3)[target]
    at_g = win(m["d"], pick @ h3, one) - (win(-m["d"], pick @ h3, one) if contrastive else 0)
    both = win(np.hstack([np.eye(27), np.eye(27)]), np.concatenate([p, z3]), win(pick, h3, at_g))
    at_p = both[:27] + win(m["c2"], p, win(m["c3"], h2, both[27:]))
    places = at_p.reshape(3, 3, 3).sum(-1)
    return np.maximum(places, 0) if contrastive else places


@pytest.mark.parametrize("contrastive", [False, True])
def test_excitation_backprop_against_a_slow_rewrite(net, pictures, contrastive):
    import tensorflow as tf

    maps = explain(net.model, pictures, "excitation_backprop", 1, layer="pool", contrastive=contrastive)
    slow_maps = np.stack([slow_excitation(net, image, 1, contrastive) for image in pictures])[..., None]
    if not contrastive:
        np.testing.assert_allclose(slow_maps.sum(axis=(1, 2, 3)), 1)
    expected = tf.image.resize(slow_maps.astype("f4"), (6, 6)).numpy()
    np.testing.assert_allclose(maps.values, expected, atol=1e-5 * expected.max())
    assert maps.values.min() >= 0


def test_excitation_ends_behind_the_last_pooling_and_in_no_branch():
    """The default layer is the first behind the last pooling that all goes through: pool4 of VGG16."""
    keras.utils.set_random_seed(19)
    inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="stem")(inputs)
    y = L.Conv2D(4, 3, 2, "same", activation="relu", name="side")(x)
    x = L.Concatenate(name="join")([L.MaxPooling2D(name="pool")(x), y])
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="top")(x)
    model = keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(20).normal(size=(2, 16, 16, 3)).astype("f4")
    default, *others = (
        explain(model, images, "excitation_backprop", layer=layer).values for layer in (None, "join", "pool", "top")
    )
    np.testing.assert_array_equal(default, others[0])
    assert all(np.abs(default - other).max() > 1e-4 for other in others[1:])
