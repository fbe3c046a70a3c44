"""AttnLRP where attention is no square matrix of all tokens: in shifted windows (Swin), to fewer keys (SegFormer)."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.contract import ON_ATTENTION

from attribeval import Attributer
from attribeval.errors import AttribevalError

L, ops = keras.layers, keras.ops
SIDE, WIDTH, HEADS = 8, 8, 2  # tokens: 4 × 4


class Parts:
    """What transformers are made of. If `still`, gradient × input of the net is AttnLRP with ε → 0.

    Gates and divisors have no gradient then, and both factors of a product of feature maps have half of theirs.
    """

    def __init__(self, still):
        self.hold = ops.stop_gradient if still else (lambda t: t)
        self.half = (lambda t: 0.5 * t + ops.stop_gradient(0.5 * t)) if still else (lambda t: t)

    def norm(self, x):
        centred = x - ops.mean(x, -1, keepdims=True)
        return centred * self.hold(ops.rsqrt(ops.mean(ops.square(centred), -1, keepdims=True) + 1e-3))

    def attend(self, x, to, change=lambda scores: scores):
        q, k, v = (
            ops.transpose(ops.reshape(L.Dense(WIDTH)(one), (-1, one.shape[1], HEADS, 4)), (0, 2, 1, 3))
            for one in (x, to, to)
        )
        scores = change(ops.matmul(self.half(q), ops.transpose(self.half(k), (0, 1, 3, 2))) / 2.0)
        mixed = ops.matmul(self.half(ops.softmax(scores)), self.half(v))
        return L.Dense(WIDTH)(ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, x.shape[1], WIDTH)))

    def mlp(self, x, between=lambda h: h):
        h = between(L.Dense(12)(self.norm(x)))
        return x + L.Dense(WIDTH)(h * self.hold(0.5 * (1 + ops.erf(h / float(np.sqrt(2))))))


def in_windows(x, side):
    h, w, c = x.shape[1:]
    x = ops.transpose(ops.reshape(x, (-1, h // side, side, w // side, side, c)), (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, side * side, c))


def shifted_mask():
    """−100 between tokens of a window of 2 × 2 that were no neighbours before the picture was moved by one."""
    region = np.zeros((4, 4), int)
    region[3], region[:, 3] = region[3] + 1, region[:, 3] + 2
    parts = region.reshape(2, 2, 2, 2).transpose(0, 2, 1, 3).reshape(4, 4)
    return np.where(parts[:, :, None] == parts[:, None], 0.0, -100.0).astype("f4")[None, :, None]


def swin(still):
    """Two blocks, the second one shifted, with relative biases; four tokens become one, and a third block."""
    parts, bias = Parts(still), np.random.default_rng(1).normal(size=(HEADS, 4, 4)).astype("f4")
    inputs = keras.Input((SIDE, SIDE, 3))
    x = L.Conv2D(WIDTH, 2, strides=2)(inputs)
    for shift in (0, 1):

        def change(scores, shift=shift):
            scores = ops.reshape(scores + bias, (-1, 4, HEADS, 4, 4))
            return ops.reshape(scores + shifted_mask() if shift else scores, (-1, HEADS, 4, 4))

        h = in_windows(ops.roll(parts.norm(x), (-shift, -shift), (1, 2)), 2)
        h = ops.reshape(parts.attend(h, h, change), (-1, 2, 2, 2, 2, WIDTH))
        h = ops.reshape(ops.transpose(h, (0, 1, 3, 2, 4, 5)), (-1, 4, 4, WIDTH))
        x = parts.mlp(x + ops.roll(h, (shift, shift), (1, 2)))
    x = ops.concatenate([x[:, i::2, j::2] for j in (0, 1) for i in (0, 1)], -1)
    x = L.Dense(WIDTH, use_bias=False)(parts.norm(ops.reshape(x, (-1, 4, 4 * WIDTH))))
    h = parts.norm(x)
    x = parts.norm(parts.mlp(x + parts.attend(h, h)))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(x)))


def segformer(still):
    """Overlapping patches, attention to a picture of half the side, a depthwise convolution between dense layers."""
    parts = Parts(still)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = parts.norm(L.Reshape((16, WIDTH))(L.Conv2D(WIDTH, 3, strides=2, padding="same")(inputs)))
    for _ in range(2):
        h = parts.norm(x)
        small = L.Conv2D(WIDTH, 2, strides=2)(ops.reshape(h, (-1, 4, 4, WIDTH)))
        x = x + parts.attend(h, parts.norm(ops.reshape(small, (-1, 4, WIDTH))))
        depthwise = L.DepthwiseConv2D(3, padding="same")
        x = parts.mlp(x, lambda h, d=depthwise: ops.reshape(d(ops.reshape(h, (-1, 4, 4, 12))), (-1, 16, 12)))
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling1D()(parts.norm(x))))


@pytest.fixture(scope="module", params=[swin, segformer])
def pair(request):
    """The net and its twin with halved and held gradients, all weights drawn, biases too; why no matrix is read."""
    model, twin = request.param(False), request.param(True)
    rng = np.random.default_rng(2)
    weights = [rng.normal(0, 0.5, w.shape) for w in model.get_weights()]
    model.set_weights(weights)
    twin.set_weights(weights)
    return model, twin, {swin: "in windows", segformer: "16 queries to 4 keys"}[request.param]


def gradient_times_input(model, images):
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = model(x)[:, 1]
    return tape.gradient(scores, x).numpy() * images


def test_attnlrp_is_gradient_times_input_of_the_twin_and_no_matrix_is_read(pair):
    model, twin, why = pair
    images = np.random.default_rng(3).normal(size=(2, SIDE, SIDE, 3)).astype("f4")
    np.testing.assert_allclose(model(images), twin(images), atol=1e-5)
    expected, plain = gradient_times_input(twin, images), gradient_times_input(model, images)
    assert np.abs(plain - expected).max() > 1e-2 * np.abs(expected).max()  # what is held and halved does matter
    maps = Attributer(model).explain(images, "attnlrp", 1, epsilon=0.0, progress=False)
    np.testing.assert_allclose(maps.values, expected, atol=1e-4 * np.abs(expected).max())
    for name in ON_ATTENTION:
        with pytest.raises(AttribevalError, match=f"Expected a transformer for {name}.*{why}.*'attnlrp', 'gradcam'"):
            Attributer(model).explain(images, name, 1, progress=False)
