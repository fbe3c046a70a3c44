"""LRP, deep Taylor, excitation backprop: by hand, by explicit matrices of contributions, by conservation."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from conftest import randomise_batch_norm

from attribeval import Attributer
from attribeval.errors import AttribevalError
from attribeval.methods.lrp import LRP
from attribeval.models.propagation.rules import Epsilon, Gamma

L = keras.layers


def explain(model, images, method="lrp", targets=0, **options):
    return Attributer(model).explain(images, method, targets, **options)


# ------------------------------------------------------------------------------------------------------ by hand


@pytest.fixture(scope="module")
def two_layers():
    """h = relu(2 a − b + 1, a + 3 b − 20), y = (3 h1 + 5 h2 − 2, 0); a = 1, b = −2: z = (5, −25), h = (5, 0), y 13."""
    model = keras.Sequential([keras.Input((1, 2, 1)), L.Flatten(), L.Dense(2, activation="relu"), L.Dense(2)])
    model.set_weights([np.array(w, "f4") for w in ([[2, 1], [-1, 3]], [1, -20], [[3, 0], [5, 0]], [-2, 0])])
    return model


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


def test_deep_taylor_by_hand(two_layers):
    # No bias takes part: R_h1 = 13; z^B with the image's own range [−2, 1] as above: 6/9 and 3/9
    maps = explain(two_layers, np.array([1, -2], "f4").reshape(1, 1, 2, 1), "deep_taylor")
    np.testing.assert_allclose(maps.values.ravel(), [13 * 6 / 9, 13 * 3 / 9], rtol=1e-5)
    assert abs(maps.completeness_gap[0]) < 1e-5


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


# ---------------------------------------------------------------------------------- explicit matrices, float64


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


def share(rule, c, bias, z, relevance, **o):
    """One layer: c_ij (outputs j, inputs i) and R_j to R_i, output by output."""
    given = np.zeros(c.shape[1])
    for j in range(len(c)):
        up, down = np.maximum(c[j], 0), np.minimum(c[j], 0)
        if rule == "epsilon":
            size = o["epsilon"] * np.sqrt(np.mean(z**2))
            given += c[j] * relevance[j] / (z[j] + (size if z[j] >= 0 else -size))
        elif rule == "gamma":
            favoured = up if z[j] >= 0 else down
            extra = max(bias[j], 0) if z[j] >= 0 else min(bias[j], 0)
            given += (c[j] + o["gamma"] * favoured) * relevance[j] / (z[j] + o["gamma"] * (favoured.sum() + extra))
        elif rule == "alpha_beta":
            above, below = up.sum() + max(bias[j], 0), down.sum() + min(bias[j], 0)
            alpha, beta = (1, 0) if below == 0 else (0, -1) if above == 0 else (o["alpha"], o["alpha"] - 1)
            given += relevance[j] * (alpha * up / (above or 1) - beta * down / (below or 1))
        elif rule == "z_plus":
            given += relevance[j] * up / up.sum() if up.sum() > 0 else 0
    return given


@pytest.fixture(scope="module")
def net():
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


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(13).normal(size=(3, 6, 6, 2)).astype("f4") * 2


LAYERS = ("c1", "c2", "c3", "d", "sum", "average")


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


def test_deep_taylor_against_matrices_of_contributions(net, pictures):
    rules = dict.fromkeys(LAYERS, ("z_plus", {}))
    maps = explain(net.model, pictures, "deep_taylor", 2, bounds=(-9.0, 9.0))
    for image, ours in zip(pictures, maps.values, strict=True):
        expected = slow(net, image, 2, rules, pixels=(-9, 9))
        np.testing.assert_allclose(ours, expected, atol=2e-5 * np.abs(expected).max())


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


# ------------------------------------------------------------------------------------- conservation, gradient × input


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


@pytest.fixture(scope="module")
def plain():
    return without_biases()


@pytest.fixture(scope="module")
def scenes():
    return np.random.default_rng(15).normal(size=(3, 16, 16, 3)).astype("f4")


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


def test_deep_taylor_conserves_where_every_layer_is_rectified(plain, scenes):
    """An active ReLU without bias has a positive contribution; a linear layer may have none: it loses relevance."""
    k = {"use_bias": False, "activation": "relu"}
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), L.Conv2D(6, 3, **k), L.MaxPooling2D(), L.DepthwiseConv2D(3, **k),
         L.Conv2D(5, 1, **k), L.AveragePooling2D(2), L.Flatten(), L.Dense(8, **k), L.Dense(4, use_bias=False)]
    )  # fmt: skip
    scores = Attributer(model).classifier.forward(scenes)[0].numpy()
    targets = scores.argmax(1)
    maps = explain(model, scenes, "deep_taylor", targets)
    np.testing.assert_allclose(maps.values.sum(axis=(1, 2, 3)), scores.max(1), rtol=1e-4)
    assert (maps.values >= 0).all()
    scores = Attributer(plain).classifier.forward(scenes)[0].numpy()[:, 1]
    lossy = explain(plain, scenes, "deep_taylor", 1)
    np.testing.assert_allclose(lossy.values.sum(axis=(1, 2, 3)) - lossy.completeness_gap, scores, rtol=1e-4)
    assert (lossy.completeness_gap * scores < 0).all()


def test_bounds_follow_the_preprocessing(small_model):
    """Raw pixels with a named preprocessing: z^B knows that they lie between 0 and 255."""
    raw = np.random.default_rng(16).uniform(50, 200, size=(2, 32, 32, 3)).astype("f4")
    attributer = Attributer(small_model, preprocess="tf")
    named = attributer.explain(raw, "deep_taylor", 0).values
    given = attributer.explain(raw, "deep_taylor", 0, bounds=(0.0, 255.0)).values
    direct = Attributer(small_model).explain(raw / 127.5 - 1, "deep_taylor", 0, bounds=(-1.0, 1.0)).values
    np.testing.assert_array_equal(named, given)
    np.testing.assert_allclose(named, direct, atol=1e-5 * np.abs(direct).max())
    tighter = attributer.explain(raw, "deep_taylor", 0, bounds=(0.0, 200.0)).values
    assert np.abs(named - tighter).max() > 1e-3 * np.abs(named).max()


def test_padding_and_rescaling_before_the_first_convolution_change_no_bounds():
    """z^B through Rescaling and ZeroPadding is z^B of the same net on rescaled images; padding has no relevance."""
    keras.utils.set_random_seed(17)
    core = keras.Sequential([keras.Input((8, 8, 3)), L.ZeroPadding2D(2), L.Conv2D(4, 3, activation="relu"),
                             L.GlobalAveragePooling2D(), L.Dense(3)])  # fmt: skip
    scaled = keras.Sequential([keras.Input((8, 8, 3)), L.Rescaling(-0.5, 1.0), *core.layers])
    images = np.random.default_rng(18).uniform(0, 4, size=(2, 8, 8, 3)).astype("f4")
    ours = explain(scaled, images, "deep_taylor", 1, bounds=(0.0, 4.0))
    expected = explain(core, 1 - images / 2, "deep_taylor", 1, bounds=(-1.0, 1.0))
    np.testing.assert_allclose(ours.values, expected.values, atol=1e-5 * np.abs(expected.values).max())
    assert np.abs(expected.completeness_gap).max() < 1e-5


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


# ------------------------------------------------------------------------------------------------- loss is said aloud


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


# ------------------------------------------------------------------------------------------- places, models, errors


def test_composite_splits_vgg16_where_the_authors_do():
    """Montavon et al. 2019: γ in the first three blocks (7 of 13 convolutions), ε in the rest, ε → 0 if dense."""
    from attribeval.models.propagation.places import Place

    rules = [LRP()._choose(Place(i / 13, dense=False, last=False)) for i in range(13)]
    assert rules == [Gamma(0.25)] * 7 + [Epsilon(0.25)] * 6
    assert LRP()._choose(Place(12 / 13, dense=True, last=True)) == Epsilon(1e-6)


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


@pytest.mark.real
@pytest.mark.parametrize("name,preprocess", [("mobilenet_075", "tf"), ("squeezenet_1_0", "squeezenet")])
def test_deep_taylor_on_trained_networks(real_data, name, preprocess):
    attributer = Attributer(real_data / "models" / f"{name}_imagenet.keras", preprocess=preprocess)
    maps = attributer.explain(sorted((real_data / "ILSVRC").rglob("*.JPEG"))[:2], "deep_taylor")
    sums = maps.values.sum(axis=(1, 2, 3))
    assert (maps.values >= 0).all() and (maps.completeness_gap < 1e-3 * sums).all()
    if name == "squeezenet_1_0":  # MobileNet's features are often active by their bias alone, which gives to nobody
        assert (np.abs(maps.completeness_gap) <= 1e-3 * sums).all()
