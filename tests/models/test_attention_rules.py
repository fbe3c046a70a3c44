"""LRP and DeepLIFT through attention, normalisation, GELU and products with constants: loops, twins, completeness."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.nets import randomise_batch_norm
from helpers.relevance import share

from attribeval import Attributer

L = keras.layers


class Attention(L.Layer):
    """softmax(q kᵀ / √d) v of tokens (batch, tokens, d); heads of one."""

    def build(self, shape):
        d = shape[-1]
        self.q, self.k, self.v = (self.add_weight(shape=(d, d), initializer="random_normal", name=n) for n in "qkv")

    def call(self, x):
        q, k, v = (keras.ops.matmul(x, w) for w in (self.q, self.k, self.v))
        scores = keras.ops.matmul(q, keras.ops.transpose(k, (0, 2, 1))) / keras.ops.sqrt(float(x.shape[-1]))
        return keras.ops.matmul(keras.ops.softmax(scores), v)


@pytest.fixture(scope="module")
def attending():
    """Four pixels as tokens of three channels → attention → dense; weights as float64."""
    layer = Attention()
    model = keras.Sequential([keras.Input((2, 2, 3)), L.Reshape((4, 3)), layer, L.Flatten(), L.Dense(2)])
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    head, bias = (w.astype(float) for w in model.layers[-1].get_weights())
    return model, [np.asarray(w, float) for w in (layer.q, layer.k, layer.v)], head, bias


@pytest.fixture(scope="module")
def tokens():
    return np.random.default_rng(1).normal(size=(3, 2, 2, 3)).astype("f4")


def attention(x, q, k, v):
    """All that attention computes for tokens (4, 3)."""
    scores = (x @ q) @ (x @ k).T / np.sqrt(3)
    e = np.exp(scores - scores.max())
    return {"q": x @ q, "k": x @ k, "v": x @ v, "s": scores, "a": e / e.sum(1, keepdims=True)}


def slow_deeplift(x, r, weights, head):
    """Contributions of x (4, 3): a product shares Δ(ab) as ½ (a + a′) Δb + ½ (b + b′) Δa, one entry at a time."""
    own, other = attention(x, *weights), attention(r, *weights)
    mid = {name: (own[name] + other[name]) / 2 for name in own}
    m_out = head.reshape(4, 3)
    m_a, m_v = np.zeros((4, 4)), np.zeros((4, 3))
    for i in range(4):
        for j in range(4):
            for c in range(3):
                m_a[i, j] += m_out[i, c] * mid["v"][j, c]
                m_v[j, c] += m_out[i, c] * mid["a"][i, j]
    m_s = np.zeros((4, 4))
    for i in range(4):  # softmax = e · (1 / Σ e)
        offset = max(own["s"][i].max(), other["s"][i].max())
        e, e_ = np.exp(own["s"][i] - offset), np.exp(other["s"][i] - offset)
        inverse, inverse_ = 1 / e.sum(), 1 / e_.sum()
        by_sum = (inverse - inverse_) / (e.sum() - e_.sum()) * sum(m_a[i] * (e + e_) / 2)
        m_e = m_a[i] * (inverse + inverse_) / 2 + by_sum
        m_s[i] = m_e * (e - e_) / (own["s"][i] - other["s"][i])
    m_q, m_k = m_s @ mid["k"] / np.sqrt(3), m_s.T @ mid["q"] / np.sqrt(3)
    return (m_q @ weights[0].T + m_k @ weights[1].T + m_v @ weights[2].T) * (x - r)


def test_deeplift_through_attention_against_loops(attending, tokens):
    model, weights, head, _ = attending
    reference = np.random.default_rng(2).normal(size=(2, 2, 3)).astype("f4")
    maps = Attributer(model).explain(tokens, "deeplift", 1, reference=reference)
    r = reference.reshape(4, 3).astype(float)
    for image, ours, gap in zip(tokens, maps.values, maps.completeness_gap, strict=True):
        expected = slow_deeplift(image.reshape(4, 3).astype(float), r, weights, head[:, 1])
        np.testing.assert_allclose(ours.reshape(4, 3), expected, atol=1e-5 * np.abs(expected).max())
        change = model(np.stack([image, reference])).numpy()[:, 1]
        assert abs(gap) <= 1e-4 * abs(change[0] - change[1])
        assert expected.sum() == pytest.approx(change[0] - change[1], rel=1e-4)


def test_attnlrp_through_attention_against_matrices_of_contributions(attending, tokens):
    """Each factor of a product gets half by the ε rule; the softmax hands on x (R − s Σ R)."""
    model, weights, head, bias = attending
    maps = Attributer(model).explain(tokens, "attnlrp", 1, epsilon=0.2)

    def passed(matrix, values, relevance, bias=0.0):
        z = matrix @ values
        return share("epsilon", matrix * values, np.zeros(99), z + bias, relevance, epsilon=0.2)

    def layer(weight, rows=4):
        return np.kron(np.eye(rows), weight.T)

    for image, ours, gap in zip(tokens, maps.values, maps.completeness_gap, strict=True):
        x = image.reshape(4, 3).astype(float)
        p = attention(x, *weights)
        out = p["a"] @ p["v"]
        scores = out.ravel() @ head + bias
        relevance = 0.5 * passed(head.T, out.ravel(), scores * [0, 1], bias)
        of_v = passed(np.kron(p["a"], np.eye(3)), p["v"].ravel(), relevance)
        of_a = passed(layer(p["v"]), p["a"].ravel(), relevance).reshape(4, 4)
        of_s = p["s"] * (of_a - p["a"] * of_a.sum(1, keepdims=True))
        of_s = 0.5 * passed(np.eye(16) / np.sqrt(3), np.sqrt(3) * p["s"].ravel(), of_s.ravel())
        of_q = passed(layer(p["k"].T), p["q"].ravel(), of_s)
        turned = of_s.reshape(4, 4).T.ravel()  # k qᵀ is the product of the other factor
        of_k = passed(layer(p["q"].T), p["k"].ravel(), turned)
        parts = zip(weights, (of_q, of_k, of_v), "qkv", strict=True)
        expected = sum(passed(layer(weight), x.ravel(), given) for weight, given, _ in parts)
        np.testing.assert_allclose(ours.ravel(), expected, atol=1e-4 * np.abs(expected).max())
        np.testing.assert_allclose(gap, expected.sum() - scores[1], atol=1e-4 * np.abs(expected).max())


RULES = [("epsilon", {"epsilon": 0.25}), ("gamma", {"gamma": 0.5}), ("alpha_beta", {"alpha": 2.0})]


@pytest.mark.parametrize("rule,options", RULES)
def test_lrp_through_attention_against_matrices_of_contributions(attending, tokens, rule, options):
    """Attention is a layer whose weights are the softmax: queries and keys get nothing (Ali et al. 2022)."""
    model, weights, head, bias = attending
    maps = Attributer(model).explain(tokens, "lrp", 1, rule=rule, **options)
    for image, ours in zip(tokens, maps.values, strict=True):
        x = image.reshape(4, 3).astype(float)
        parts = attention(x, *weights)
        v, out, none = parts["v"].ravel(), (parts["a"] @ parts["v"]).ravel(), np.zeros(12)
        scores = out @ head + bias
        relevance = share(rule, head.T * out, bias, scores, scores * [0, 1], **options)
        relevance = share(rule, np.kron(parts["a"], np.eye(3)) * v, none, out, relevance, **options)
        relevance = share(rule, np.kron(np.eye(4), weights[2].T) * x.ravel(), none, v, relevance, **options)
        np.testing.assert_allclose(ours.ravel(), relevance, atol=2e-5 * np.abs(relevance).max())


# --------------------------------------------------------------------------- LRP-0 is gradient × input, gates constant


class Norm(L.Layer):
    """Layer normalisation without weights, whose divisor has no gradient if `still`."""

    def __init__(self, still):
        super().__init__()
        self.still = still

    def call(self, x):
        centred = x - keras.ops.mean(x, -1, keepdims=True)
        scale = keras.ops.rsqrt(keras.ops.mean(keras.ops.square(centred), -1, keepdims=True) + 1e-3)
        return centred * (keras.ops.stop_gradient(scale) if self.still else scale)


class Block(L.Layer):
    """A transformer's block without biases; if `still`, attention's weights and GELU's gate have no gradient.

    If `still` is "but attention", its weights do, and both factors of a product of feature maps have half of theirs.
    """

    def __init__(self, still):
        super().__init__()
        self.still, self.norms = still, (Norm(still), Norm(still))

    def build(self, shape):
        shapes = {"q": (8, 2, 4), "k": (8, 2, 4), "v": (8, 2, 4), "o": (2, 4, 8), "up": (8, 16), "down": (16, 8)}
        self.w = {n: self.add_weight(shape=s, initializer="glorot_normal", name=n) for n, s in shapes.items()}

    def call(self, x):
        hold = keras.ops.stop_gradient if self.still else (lambda t: t)
        y = self.norms[0](x)
        halved = self.still == "but attention"
        half = (lambda t: 0.5 * t + keras.ops.stop_gradient(0.5 * t)) if halved else (lambda t: t)
        q, k, v = (half(keras.ops.einsum("bnc,chd->bhnd", y, self.w[n])) for n in "qkv")
        weights = keras.ops.softmax(keras.ops.einsum("bhnd,bhmd->bhnm", q, k) / 2.0)
        y = keras.ops.einsum("bhnm,bhmd->bnhd", half(weights) if halved else hold(weights), v)
        x = x + keras.ops.einsum("bnhd,hdc->bnc", y, self.w["o"])
        y = keras.ops.matmul(self.norms[1](x), self.w["up"])
        y = y * hold(0.5 * (1 + keras.ops.erf(y / np.sqrt(2).astype("f4"))))
        return x + keras.ops.matmul(y, self.w["down"])


def transformer(still):
    inputs = keras.Input((12, 12, 3))
    x = L.Reshape((9, 8))(L.Conv2D(8, 4, 4, use_bias=False)(inputs))
    x = Norm(still)(Block(still)(Block(still)(x)))
    return keras.Model(inputs, L.Dense(4, use_bias=False)(L.GlobalAveragePooling1D()(x)))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(3).normal(size=(2, 12, 12, 3)).astype("f4")


def gradient_times_input(model, images, target):
    x = tf.constant(images)
    with tf.GradientTape() as tape:
        tape.watch(x)
        scores = model(x)[:, target]
    return tape.gradient(scores, x).numpy() * images, scores.numpy()


def test_lrp_0_of_a_transformer_is_gradient_times_input_with_constant_gates(pictures):
    keras.utils.set_random_seed(4)
    model, twin = transformer(False), transformer(True)
    twin.set_weights(model.get_weights())
    expected, scores = gradient_times_input(twin, pictures, 2)
    maps = Attributer(model).explain(pictures, "lrp", 2, rule="epsilon", epsilon=0.0)
    np.testing.assert_allclose(maps.values, expected, atol=2e-4 * np.abs(expected).max())
    plain, _ = gradient_times_input(model, pictures, 2)
    assert np.abs(plain - expected).max() > 1e-2 * np.abs(expected).max()  # the gates do matter
    np.testing.assert_allclose(maps.values.sum((1, 2, 3)), scores, rtol=1e-3)


def test_attnlrp_is_gradient_times_input_with_halved_factors_and_constant_gates(pictures):
    keras.utils.set_random_seed(4)
    model, twin = transformer(False), transformer("but attention")
    weights = [3 * w if w.shape == (8, 2, 4) else w for w in model.get_weights()]  # attention that is not even
    for one in (model, twin):
        one.set_weights(weights)
    expected, scores = gradient_times_input(twin, pictures, 2)
    maps = Attributer(model).explain(pictures, "attnlrp", 2, epsilon=0.0)
    np.testing.assert_allclose(maps.values, expected, atol=1e-3 * np.abs(expected).max())
    np.testing.assert_allclose(maps.completeness_gap, maps.values.sum((1, 2, 3)) - scores, atol=1e-4)
    constant = Attributer(model).explain(pictures, "lrp", 2, rule="epsilon", epsilon=0.0).values
    assert np.abs(constant - expected).max() > 1e-2 * np.abs(expected).max()  # queries and keys do matter


class Linear(L.Layer):
    """Attention without a softmax, (q kᵀ) v."""

    def build(self, shape):
        self.w = [self.add_weight(shape=(8, 8), initializer="glorot_normal", name=name) for name in "qkv"]

    def call(self, x):
        q, k, v = (keras.ops.matmul(x, w) for w in self.w)
        return x + keras.ops.matmul(keras.ops.matmul(q, keras.ops.transpose(k, (0, 2, 1))), v)


def test_attnlrp_conserves_the_score_where_no_softmax_and_no_bias_keep_any(pictures):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((12, 12, 3))
    x = Linear()(Linear()(L.Reshape((9, 8))(L.Conv2D(8, 4, 4, use_bias=False)(inputs))))
    x = L.Dense(8, activation="gelu", use_bias=False)(Norm(False)(x))
    model = keras.Model(inputs, L.Dense(4, use_bias=False)(L.GlobalAveragePooling1D()(x)))
    for gamma in (0.0, 0.25):
        maps = Attributer(model).explain(pictures, "attnlrp", 2, gamma=gamma)
        np.testing.assert_allclose(maps.values.sum((1, 2, 3)), model(pictures)[:, 2], rtol=2e-3)


class Mixing(L.Layer):
    """Tokens mixed by a matrix from the left, channels by one per token."""

    def build(self, shape):
        self.left, self.each = self.add_weight(shape=(9, 9)), self.add_weight(shape=(9, 8, 6))

    def call(self, x):
        x = keras.ops.relu(keras.ops.matmul(self.left, x))
        return keras.ops.transpose(keras.ops.matmul(keras.ops.transpose(x, (1, 0, 2)), self.each), (1, 0, 2))


def test_products_with_constants_on_either_side(pictures):
    keras.utils.set_random_seed(5)
    mixing = Mixing()
    model = keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(8, 4, 4, use_bias=False), L.Reshape((9, 8)), mixing,
                              L.ReLU(), L.Flatten(), L.Dense(3, use_bias=False)])  # fmt: skip
    expected, _ = gradient_times_input(model, pictures, 1)
    maps = Attributer(model).explain(pictures, "lrp", 1, rule="epsilon", epsilon=0.0)
    np.testing.assert_allclose(maps.values, expected, atol=2e-4 * np.abs(expected).max())
    ours = Attributer(model).explain(pictures, "lrp", 1, rule="gamma", gamma=0.5).values
    for image, map_ in zip(pictures, ours, strict=True):  # each layer as its matrix
        kernel = model.layers[0].get_weights()[0].astype(float).reshape(48, 8)
        patches = image.astype(float).reshape(3, 4, 3, 4, 3).transpose(0, 2, 1, 3, 4).reshape(9, 48)
        first, left = np.kron(np.eye(9), kernel.T), np.kron(np.asarray(mixing.left, float), np.eye(8))
        each = np.zeros((54, 72))
        for n in range(9):
            each[n * 6 : n * 6 + 6, n * 8 : n * 8 + 8] = np.asarray(mixing.each[n], float).T
        a = [patches.ravel()]
        matrices = [first, left, each, model.layers[-1].get_weights()[0].astype(float).T]
        for k, matrix in enumerate(matrices):
            a.append(np.maximum(matrix @ a[-1], 0) if k in (1, 2) else matrix @ a[-1])
        relevance = a[-1] * [0, 1, 0]
        for matrix, values in zip(matrices[::-1], a[-2::-1], strict=True):
            relevance = share("gamma", matrix * values, np.zeros(99), matrix @ values, relevance, gamma=0.5)
        slow = relevance.reshape(3, 3, 4, 4, 3).transpose(0, 2, 1, 3, 4).reshape(12, 12, 3)
        np.testing.assert_allclose(map_, slow, atol=2e-5 * np.abs(slow).max())


def test_lrp_of_tokens_does_not_depend_on_the_batch(pictures):
    """Tokens lie before images in one of the products; ε is a share of one image's values all the same."""
    keras.utils.set_random_seed(5)
    model = keras.Sequential([keras.Input((12, 12, 3)), L.Conv2D(8, 4, 4), L.Reshape((9, 8)), Mixing(), L.ReLU(),
                              L.Dense(5), L.Flatten(), L.Dense(3)])  # fmt: skip
    attributer = Attributer(model)
    images = pictures * np.array([1, 100], "f4").reshape(2, 1, 1, 1)
    both = attributer.explain(images, "lrp", 1, rule="epsilon").values
    alone = np.concatenate([attributer.explain(image[None], "lrp", 1, rule="epsilon").values for image in images])
    for ours, expected in zip(both, alone, strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max())


class Embedding(L.Layer):
    """A class token before the others, and positions: how many tokens there are, the graph does not know, or does."""

    def __init__(self, known):
        super().__init__()
        self.known = known

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, 8), initializer="random_normal")
        self.places = self.add_weight(shape=(1, 10, 8), initializer="random_normal")

    def call(self, x):
        x = tf.concat([tf.repeat(self.token, tf.shape(x)[0], axis=0), x], axis=tf.constant(1) + 0 * tf.shape(x)[0])
        x = tf.ensure_shape(x, (None, 10, 8)) if self.known else x
        return x + tf.convert_to_tensor(self.places)


@pytest.mark.parametrize("rule,options", [*RULES, ("composite", {})])
def test_positions_are_added_to_tokens_of_any_number(rule, options, pictures):
    keras.utils.set_random_seed(10)
    weights = None
    maps = []
    for known in (False, True):
        inputs = keras.Input((12, 12, 3))
        x = Embedding(known)(L.Reshape((9, 8))(L.Conv2D(8, 4, 4, use_bias=False)(inputs)))
        x = L.ReLU()(Norm(False)(Block(False)(x)))
        model = keras.Model(inputs, L.Dense(4)(L.Lambda(lambda x: x[:, 0])(x)))
        if known:
            model.set_weights(weights)
        weights = model.get_weights()
        maps.append(Attributer(model).explain(pictures, "lrp", 2, rule=rule, **options).values)
    assert np.abs(maps[1]).max() > 0
    np.testing.assert_allclose(maps[0], maps[1], atol=1e-5 * np.abs(maps[1]).max())


def test_lrp_0_of_a_pre_activation_net_is_gradient_times_input(pictures):
    """Batch normalisation behind a sum belongs to no convolution: where it gives much for nothing, nothing flows on."""
    keras.utils.set_random_seed(6)
    inputs = keras.Input((12, 12, 3))
    x = L.Conv2D(6, 3, use_bias=False)(inputs)
    for _ in range(4):
        y = L.Conv2D(6, 3, padding="same", use_bias=False)(L.ReLU()(L.BatchNormalization()(x)))
        y = L.Conv2D(6, 3, padding="same", use_bias=False)(L.ReLU()(L.BatchNormalization()(y)))
        x = L.Add()([x, y])
    x = L.GlobalAveragePooling2D()(L.ReLU()(L.BatchNormalization()(x)))
    model = randomise_batch_norm(keras.Model(inputs, L.Dense(4, use_bias=False)(x)))
    expected, _ = gradient_times_input(model, pictures, 2)
    maps = Attributer(model).explain(pictures, "lrp", 2, rule="epsilon", epsilon=0.0)
    np.testing.assert_allclose(maps.values, expected, atol=1e-3 * np.abs(expected).max())


# ------------------------------------------------------------------------------------------------------ completeness


def squeezed():
    inputs = keras.Input((12, 12, 3))
    x = L.Conv2D(8, 3, activation="hard_swish")(inputs)
    gate = L.Conv2D(2, 1, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(x))
    x = L.Multiply()([x, L.Conv2D(8, 1, activation="hard_sigmoid")(gate)])
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def convnext():
    inputs = keras.Input((12, 12, 3))
    x = L.LayerNormalization()(L.Conv2D(8, 2, 2)(inputs))
    y = L.LayerNormalization()(L.Conv2D(8, 7, padding="same", groups=8)(x))
    x = x + L.Dense(8)(L.Dense(32, activation="gelu")(y))
    return keras.Model(inputs, L.Dense(4)(L.LayerNormalization()(L.GlobalAveragePooling2D()(x))))


@pytest.mark.parametrize("build", [lambda: transformer(False), squeezed, convnext])
def test_deeplift_is_complete(build, pictures):
    keras.utils.set_random_seed(7)
    model = build()
    reference = np.random.default_rng(8).normal(size=(12, 12, 3)).astype("f4")
    maps = Attributer(model).explain(pictures, "deeplift", 1, reference=reference)
    change = model(pictures).numpy()[:, 1] - model(reference[None]).numpy()[0, 1]
    assert (np.abs(maps.completeness_gap) <= 1e-4 * np.abs(change)).all()
    np.testing.assert_allclose(maps.values.sum((1, 2, 3), dtype=float), change, rtol=2e-4)


def test_lrp_of_squeeze_and_excitation_conserves(pictures):
    keras.utils.set_random_seed(9)
    model = squeezed()  # biases are zero
    for options in ({"rule": "gamma"}, {"rule": "alpha_beta"}, {"rule": "epsilon", "epsilon": 0.0}):
        maps = Attributer(model).explain(pictures, "lrp", 1, **options)
        np.testing.assert_allclose(maps.values.sum((1, 2, 3)), model(pictures)[:, 1], rtol=1e-3)
