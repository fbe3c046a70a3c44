"""Nets as explicit matrices of contributions."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from helpers.nets import randomise_batch_norm
from helpers.relevance import share

from attribeval import Attributer

L = keras.layers


def explain(model, images, method="lrp", targets=0, **options):
    return Attributer(model).explain(images, method, targets, **options)


@pytest.fixture(scope="module", name="two_layers")
def matrices_two_layers():
    """h = relu(2 a − b + 1, a + 3 b − 20), y = (3 h1 + 5 h2 − 2, 0); a = 1, b = −2: z = (5, −25), h = (5, 0), y 13."""
    model = keras.Sequential([keras.Input((1, 2, 1)), L.Flatten(), L.Dense(2, activation="relu"), L.Dense(2)])
    model.set_weights([np.array(w, "f4") for w in ([[2, 1], [-1, 3]], [1, -20], [[3, 0], [5, 0]], [-2, 0])])
    return model


def conv_matrix(kernel, side):
    """A convolution (same padding, stride 1) as a matrix (outputs, inputs), entry by entry."""
    k, _, channels, filters = kernel.shape
    matrix = np.zeros((side, side, filters, side, side, channels))
    for a in range(side):
        for b in range(side):
            for i in range(k):
                for j in range(k):
                    row, column = a + i - k // 2, b + j - k // 2
                    if 0 <= row < side and 0 <= column < side:
                        matrix[a, b, :, row, column, :] += kernel[i, j].T
    return matrix.reshape(side * side * filters, -1)


@pytest.fixture(scope="module", name="net")
def matrices_net():
    """conv + BatchNorm (one γ negative) + ReLU, max pooling, conv + ReLU, conv, add, ReLU, average, dense; as matrices.

    Inputs of both signs, biases, a residual sum of signed and non-negative features.
    """
    keras.utils.set_random_seed(11)
    inputs = keras.Input((6, 6, 2))
    x = L.ReLU()(L.BatchNormalization(name="norm")(L.Conv2D(3, 3, padding="same", name="c1")(inputs)))
    x = L.MaxPooling2D(name="pool")(x)
    y = L.Conv2D(4, 3, padding="same", activation="relu", name="c2")(x)
    y = L.Conv2D(3, 3, padding="same", name="c3")(y)
    y = L.ReLU()(L.Add()([x, y]))
    model = keras.Model(inputs, L.Dense(3, name="d")(L.GlobalAveragePooling2D()(y)))
    randomise_batch_norm(model)
    rng = np.random.default_rng(12)
    for name in ("c1", "c2", "c3", "d"):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel, rng.normal(size=bias.shape) * 0.3])
    norm = model.get_layer("norm")
    gamma, beta, mean, variance = norm.get_weights()
    norm.set_weights([gamma * [1, -1, 1], beta, mean, variance])
    weights = {name: [w.astype(float) for w in model.get_layer(name).get_weights()] for name in ("c1", "c2", "c3", "d")}
    gamma, beta, mean, variance = (w.astype(float) for w in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    weights["c1"] = [weights["c1"][0] * scale, (weights["c1"][1] - mean) * scale + beta]
    matrices = {name: conv_matrix(weights[name][0], side) for name, side in (("c1", 6), ("c2", 3), ("c3", 3))}
    return SimpleNamespace(
        model=model,
        matrices=matrices | {"d": weights["d"][0].T},
        biases={name: np.tile(weights[name][1], len(matrices[name]) // len(weights[name][1])) for name in matrices}
        | {"d": weights["d"][1]},
    )


def slow(net, image, target, rules, pixels=None, start=None, until=None):
    """Relevance of one image through `net`, by matrices of contributions; `rules` by layer, sums by "sum"."""
    m, b = net.matrices, net.biases
    a0 = image.ravel().astype(float)
    z1 = m["c1"] @ a0 + b["c1"]
    h1 = np.maximum(z1, 0).reshape(3, 2, 3, 2, 3).transpose(0, 2, 4, 1, 3).reshape(27, 4)  # windows
    p = h1.max(1)
    z2 = m["c2"] @ p + b["c2"]
    h2 = np.maximum(z2, 0)
    z3 = m["c3"] @ h2 + b["c3"]
    total = p + z3
    h3 = np.maximum(total, 0)
    pick = np.tile(np.eye(3), 9) / 9  # global average
    g = pick @ h3
    score = m["d"] @ g + b["d"]
    none = np.zeros(1000)

    def down(name, matrix, values, bias, z, relevance):
        rule, options = rules[name]
        return share(rule, matrix * values, bias, z, relevance, **options)

    relevance = score * np.eye(3)[target] if start is None else start * np.eye(3)[target]
    relevance = down("d", m["d"], g, b["d"], score, relevance)
    relevance = down("average", pick, h3, none, g, relevance)
    both = down("sum", np.hstack([np.eye(27), np.eye(27)]), np.concatenate([p, z3]), none, total, relevance)
    r_p, r_3 = both[:27], both[27:]
    r_2 = down("c3", m["c3"], h2, b["c3"], z3, r_3)
    r_p = r_p + down("c2", m["c2"], p, b["c2"], z2, r_2)
    if until == "pool":
        return r_p.reshape(3, 3, 3)
    r_1 = np.zeros((27, 4))
    r_1[np.arange(27), h1.argmax(1)] = r_p
    r_1 = r_1.reshape(3, 3, 3, 2, 2).transpose(0, 3, 1, 4, 2).ravel()
    if pixels is None:
        return down("c1", m["c1"], a0, b["c1"], z1, r_1).reshape(6, 6, 2)
    low, high = pixels
    c = m["c1"] * a0 - np.maximum(m["c1"], 0) * low - np.minimum(m["c1"], 0) * high
    inside = (m["c1"] != 0) @ np.ones(72) > 0
    return (c * (inside * r_1 / c.sum(1))[:, None]).sum(0).reshape(6, 6, 2)


@pytest.fixture(scope="module", name="pictures")
def matrices_pictures():
    return np.random.default_rng(13).normal(size=(3, 6, 6, 2)).astype("f4") * 2


LAYERS = ("c1", "c2", "c3", "d", "sum", "average")


def without_biases():
    keras.utils.set_random_seed(14)
    k = {"use_bias": False}
    inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(6, 3, padding="same", activation="relu", **k)(inputs)
    x = L.MaxPooling2D()(x)
    y = L.ReLU()(L.DepthwiseConv2D(3, padding="same", **k)(x))
    y = L.Conv2D(6, 1, **k)(y)
    x = L.Concatenate()([L.ReLU()(L.Add()([x, y])), L.ReLU()(L.Subtract()([x, y]))])
    x = L.ZeroPadding2D()(L.AveragePooling2D(3, 2)(x))
    x = L.Conv2DTranspose(5, 3, activation="leaky_relu", **k)(x)
    x = L.Dense(8, activation="relu", **k)(L.Flatten()(L.UpSampling2D(interpolation="bilinear")(x)))
    return keras.Model(inputs, L.Dense(4, **k)(x))


@pytest.fixture(scope="module", name="plain")
def matrices_plain():
    return without_biases()


@pytest.fixture(scope="module", name="scenes")
def matrices_scenes():
    return np.random.default_rng(15).normal(size=(3, 16, 16, 3)).astype("f4")
