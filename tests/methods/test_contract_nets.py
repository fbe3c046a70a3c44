"""Every method on nets that are no plain stack of convolutions, each beside the same function written another way."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.contract import MAY_BE_CONSTANT, NAMES, ON_ATTENTION, close
from scipy.ndimage import gaussian_filter

from attribeval import Attributer
from attribeval.errors import AttribevalError

L = keras.layers
SIZE = 12
KINDS = ("a ViT with average pooling", "a ViT with a class token", "residuals by +", "grouped convolutions")
# What a method cannot do on a net, and what it must then say; all else gives a map.
REFUSED = {
    ("cam", "a ViT with a class token"): "global average pooling and one linear layer",
    **{("deep_shap", kind): "Use method='kernel_shap'" for kind in KINDS if kind != "residuals by +"},
    **{(name, kind): "Expected a transformer" for name in ON_ATTENTION for kind in KINDS[2:]},
}


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(5).normal(size=(3, SIZE, SIZE, 3))
    return (gaussian_filter(noise, (0, 1, 1, 0)) * 4).astype(np.float32)


class Extra(L.Layer):
    """Learnt: a class token before the others, if asked for, and a position for each."""

    def __init__(self, class_token):
        super().__init__()
        self.class_token = class_token

    def build(self, shape):
        tokens = shape[1] + self.class_token
        self.positions = self.add_weight(shape=(1, tokens, shape[-1]), initializer="random_normal")
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal")

    def call(self, x):
        if self.class_token:
            token = keras.ops.broadcast_to(self.token, (keras.ops.shape(x)[0], 1, x.shape[-1]))
            x = keras.ops.concatenate([token, x], axis=1)
        return x + self.positions


class ByHand(L.Layer):
    """Attention of a `MultiHeadAttention` layer, by matrix products."""

    def __init__(self, layer, heads):
        super().__init__()
        self.layer, self.heads = layer, heads

    def call(self, x):
        ops = keras.ops
        tokens, width = x.shape[1:]
        of_layer = [ops.reshape(w, (width, width)) for w in self.layer.weights[0:8:2]]
        biases = [ops.reshape(w, (width,)) for w in self.layer.weights[1:8:2]]
        q, k, v = (
            ops.transpose(
                ops.reshape(ops.matmul(x, w) + b, (-1, tokens, self.heads, width // self.heads)), (0, 2, 1, 3)
            )
            for w, b in zip(of_layer[:3], biases[:3], strict=True)
        )
        scores = ops.matmul(q / float(np.sqrt(width // self.heads)), ops.transpose(k, (0, 1, 3, 2)))
        mixed = ops.transpose(ops.matmul(ops.softmax(scores), v), (0, 2, 1, 3))
        return ops.matmul(ops.reshape(mixed, (-1, tokens, width)), of_layer[3]) + biases[3]


def vits(class_token):
    """Patches of 4 × 4, one block, ReLU; the layers of Keras, and attention by hand with the same weights."""
    inputs = keras.Input((SIZE, SIZE, 3))
    x = L.Reshape((9, 8))(L.Conv2D(8, 4, strides=4, bias_initializer="normal")(inputs))
    x = Extra(class_token)(x)
    norm, attention = L.LayerNormalization(), L.MultiHeadAttention(2, 4)
    up, down, last = L.Dense(16, activation="relu"), L.Dense(8), L.LayerNormalization()
    pool, head = (
        (lambda x: x[:, 0]) if class_token else L.GlobalAveragePooling1D(),
        L.Dense(4, bias_initializer="normal"),
    )

    def rest(attend):
        h = norm(x)
        y = x + attend(h)
        return keras.Model(inputs, head(pool(last(y + down(up(norm(y)))))))

    first = rest(lambda h: attention(h, h))
    return first, rest(ByHand(attention, 2))


def residuals():
    """h + b, and Add() on the same layers."""
    inputs = keras.Input((SIZE, SIZE, 3))
    h = L.Conv2D(6, 3, padding="same", activation="relu", bias_initializer="normal")(inputs)
    branch = L.Conv2D(6, 3, padding="same", bias_initializer="normal")(h)
    head = keras.Sequential([L.GlobalAveragePooling2D(), L.Dense(4, bias_initializer="normal")])
    return tuple(keras.Model(inputs, head(joined)) for joined in (h + branch, L.Add()([h, branch])))


def grouped():
    """Convolutions in groups, and as whole ones whose kernels are 0 between groups."""

    def build(groups):
        inputs = keras.Input((SIZE, SIZE, 3))
        x = L.Conv2D(6, 3, activation="relu", bias_initializer="normal")(inputs)
        x = L.Conv2D(8, 3, groups=groups, activation="relu", bias_initializer="normal")(x)
        return keras.Model(inputs, L.Dense(4, bias_initializer="normal")(L.GlobalAveragePooling2D()(x)))

    two, whole = build(2), build(1)
    weights = two.get_weights()
    kernel = np.zeros((3, 3, 6, 8), np.float32)
    kernel[:, :, :3, :4], kernel[:, :, 3:, 4:] = weights[2][..., :4], weights[2][..., 4:]
    whole.set_weights([*weights[:2], kernel, *weights[3:]])
    return two, whole


@pytest.fixture(scope="module")
def nets(images):
    keras.utils.set_random_seed(4)
    makers = (lambda: vits(False), lambda: vits(True), residuals, grouped)
    pairs = {kind: make() for kind, make in zip(KINDS, makers, strict=True)}
    for one, twin in pairs.values():
        np.testing.assert_allclose(one(images), twin(images), atol=1e-5)
    return {kind: tuple(map(Attributer, pair)) for kind, pair in pairs.items()}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*NAMES, *ON_ATTENTION])
def test_every_method_on_every_kind_of_net(name, kind, nets, images):
    ours, twin = nets[kind]
    ask = {"seed": 3, "progress": False}
    method = name.partition("(")[0]
    refusal = REFUSED.get((method, kind))
    if refusal:
        with pytest.raises(AttribevalError, match=refusal):
            ours.explain(images, name, [0, 1, 2], **ask)
        return
    values = ours.explain(images, name, [0, 1, 2], batch_size=2, **ask).values
    assert values.shape in (images.shape, (*images.shape[:3], 1))
    assert np.isfinite(values).all() and (method in MAY_BE_CONSTANT or np.abs(values).max() > 0)
    close(ours.explain(images[[2]], name, 2, **ask).values, values[[2]], name)
    theirs = twin.explain(images, name, [0, 1, 2], **ask).values
    np.testing.assert_allclose(values, theirs, atol=1e-4 * np.abs(theirs).max())
