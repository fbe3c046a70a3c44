"""DeepLIFT: worked by hand, written again slowly, complete on every kind of layer, and against two libraries."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.nets import randomise_batch_norm

from attribeval import Attributer
from attribeval.errors import AttribevalError
from attribeval.methods.deeplift import DeepLIFT

L = keras.layers


def dense_net(*weights):
    """Flatten → Dense with ReLU … → Dense, of a picture with as many pixels in a row as the first kernel has rows."""
    model = keras.Sequential([keras.Input((1, len(weights[0][0]), 1)), L.Flatten()])
    for i, (kernel, bias) in enumerate(weights):
        last = i == len(weights) - 1
        model.add(L.Dense(len(bias), activation=None if last else "relu"))
        model.layers[-1].set_weights([np.array(kernel, "f4"), np.array(bias, "f4")])
    return model


def explain(model, images, targets=0, **options):
    return Attributer(model).explain(images, "deeplift", targets, **options)


# ------------------------------------------------------------------------------------------------------ by hand


def test_rescale_by_hand():
    # h = relu(x1 − x2 + 1, 2 x1 + x2 − 1), y = 3 h1 − 2 h2; x = (1, 3), reference (0, 0)
    # z: (−1, 4) from (1, −1); h: (0, 4) from (1, 0); m = Δh/Δz: (−1/−2, 4/5) = (.5, .8)
    # m_x1 = 3·.5·1 − 2·.8·2 = −1.7; m_x2 = 3·.5·(−1) − 2·.8·1 = −3.1; contributions −1.7·1, −3.1·3
    model = dense_net(([[1, 2], [-1, 1]], [1, -1]), ([[3, 0], [-2, 0]], [0, 0]))
    maps = explain(model, np.array([1, 3], "f4").reshape(1, 1, 2, 1))
    np.testing.assert_allclose(maps.values.ravel(), [-1.7, -9.3], rtol=1e-6)
    assert maps.values.sum() == pytest.approx(-8 - 3)  # y(x) = −8, y(0) = 3
    assert abs(maps.completeness_gap[0]) < 1e-5


def minimum():
    """y = i1 − relu(i1 − i2) = min(i1, i2), the paper's figure 2: an AND."""
    return dense_net(([[1, 1], [-1, 0]], [0, 0]), ([[-1, 0], [1, 0]], [0, 0]))


def test_reveal_cancel_by_hand_on_the_minimum():
    # i = (3, 2): y = 2. Rescale: relu(1)/1 = 1 → h1 gives −1·3 and +1·2, h2 gives +3: (0, 2): all for the smaller one.
    image = np.array([3, 2], "f4").reshape(1, 1, 2, 1)
    np.testing.assert_allclose(explain(minimum(), image).values.ravel(), [0, 2], atol=1e-6)
    # RevealCancel: Δz⁺ = 3, Δz⁻ = −2; Δh⁺ = ½((3 − 0) + (1 − 0)) = 2, Δh⁻ = ½((0 − 0) + (1 − 3)) = −1
    # i1: −2 + 3 = 1; i2: −(−1) = 1: both have their share of the AND.
    both = explain(minimum(), image, rule="reveal_cancel").values.ravel()
    np.testing.assert_allclose(both, [1, 1], atol=1e-6)


def test_a_difference_of_nothing_takes_the_derivative():
    # z = x1 − x2 is 1 for image and reference; relu' = 1, so that x1 + 2 and x2 + 2 still show up, and cancel.
    model = dense_net(([[1], [-1]], [1]), ([[5, 0]], [0, 0]))
    maps = explain(model, np.array([2, 2], "f4").reshape(1, 1, 2, 1))
    np.testing.assert_allclose(maps.values.ravel(), [10, -10], rtol=1e-6)


# --------------------------------------------------------------------------------------------- written again slowly


def slow_rescale(x, r, kernel, bias, dense, difference):
    """Rescale on conv (valid) → relu → max pooling 2 × 2 → dense column, one image, with plain loops, float64."""
    height, width = x.shape[0] - 2, x.shape[1] - 2
    filters = kernel.shape[-1]
    z, zr = (np.array([[[(i[a : a + 3, b : b + 3] * kernel[..., f]).sum() + bias[f] for f in range(filters)]
                        for b in range(width)] for a in range(height)]) for i in (x, r))  # fmt: skip
    h, hr = np.maximum(z, 0), np.maximum(zr, 0)
    m_h = np.zeros_like(h)
    weights = dense.reshape(height // 2, width // 2, filters)
    for a in range(height // 2):
        for b in range(width // 2):
            for f in range(filters):
                window, window_r = (v[2 * a : 2 * a + 2, 2 * b : 2 * b + 2, f] for v in (h, hr))
                won, won_r = (np.unravel_index(v.argmax(), (2, 2)) for v in (window, window_r))
                up = won if window.max() > window_r.max() or not difference else won_r
                if not difference:
                    m_h[2 * a + up[0], 2 * b + up[1], f] += weights[a, b, f]
                elif window[up] != window_r[up]:
                    change = (window.max() - window_r.max()) / (window[up] - window_r[up])
                    m_h[2 * a + up[0], 2 * b + up[1], f] += weights[a, b, f] * change
    m_z = np.where(z != zr, (h - hr) / np.where(z != zr, z - zr, 1), z > 0) * m_h
    m_x = np.zeros_like(x)
    for a in range(height):
        for b in range(width):
            for f in range(filters):
                m_x[a : a + 3, b : b + 3] += m_z[a, b, f] * kernel[..., f]
    return m_x * (x - r)


@pytest.mark.parametrize("maxpool", ["difference", "gradient"])
def test_rescale_against_a_slow_rewrite(maxpool):
    model = keras.Sequential(
        [keras.Input((8, 8, 2)), L.Conv2D(3, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dense(4)]
    )
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    kernel, bias, dense, _ = (w.astype(np.float64) for w in model.get_weights())
    images, reference = rng.normal(size=(3, 8, 8, 2)).astype("f4"), rng.normal(size=(8, 8, 2)).astype("f4")
    targets = [2, 0, 3]
    maps = explain(model, images, targets, reference=reference, maxpool=maxpool)
    for image, target, map_ in zip(images, targets, maps.values, strict=True):
        slow = slow_rescale(
            image.astype(float), reference.astype(float), kernel, bias, dense[:, target], maxpool == "difference"
        )
        np.testing.assert_allclose(map_, slow, atol=1e-5 * np.abs(slow).max())
    if maxpool == "difference":
        assert np.abs(maps.completeness_gap).max() < 1e-4


# ------------------------------------------------------------------------------------------------------ completeness


class Gate(keras.layers.Layer):
    """Products, quotients, squares and a softmax of the features."""

    def call(self, x):
        mean = keras.ops.mean(x, axis=-1, keepdims=True)
        spread = keras.ops.sqrt(keras.ops.mean(keras.ops.square(x - mean), axis=-1, keepdims=True) + 0.1)
        return keras.ops.softmax(x) * x + (x - mean) / spread + keras.ops.maximum(x, mean)


BLOCKS = {
    "relu": [L.ReLU],
    "relu6": [lambda **k: L.ReLU(max_value=1.0, **k)],
    "relu_slope_and_maximum": [lambda **k: L.ReLU(max_value=1.0, negative_slope=0.2, **k)],
    "leaky_relu": [L.LeakyReLU],
    "prelu": [lambda **k: L.PReLU(alpha_initializer="glorot_normal", **k)],
    **{
        name: [lambda name=name, **k: L.Activation(name, **k)]
        for name in ("relu6", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "silu", "gelu", "mish",
                     "hard_sigmoid", "hard_silu", "exponential")
    },
    "batch_norm": [L.BatchNormalization, L.ReLU],
    "layer_norm": [L.LayerNormalization, L.ReLU],
    "pooling": [lambda **k: L.MaxPooling2D(3, 2, "same", **k), lambda **k: L.AveragePooling2D(2, 1, "same", **k)],
    "moving": [lambda **k: L.ZeroPadding2D(1, **k), lambda **k: L.UpSampling2D(2, interpolation="bilinear", **k),
               lambda **k: L.Cropping2D(1, **k), lambda **k: L.Permute((2, 1, 3), **k), L.ReLU],
    "convolutions": [lambda **k: L.DepthwiseConv2D(3, **k), L.ReLU, lambda **k: L.SeparableConv2D(4, 3, **k), L.ReLU,
                     lambda **k: L.Conv2DTranspose(4, 3, strides=2, **k), L.ReLU,
                     lambda **k: L.Conv2D(6, 3, dilation_rate=2, **k), L.ReLU],
    "products": [lambda **k: L.Dense(5, **k), Gate],
}  # fmt: skip


def branched(block, pooling, dtype="float64"):
    """Two branches of the block, added and concatenated, pooled globally."""
    k = {"dtype": dtype}
    inputs = keras.Input((12, 12, 3), dtype=dtype)
    x = L.Conv2D(5, 3, **k)(inputs)
    y = L.Conv2D(5, 3, **k)(inputs)
    for make in block:
        x, y = make(**k)(x), make(**k)(y)
    x = L.Concatenate(**k)([L.Add(**k)([x, y]), L.Multiply(**k)([x, y]), L.Subtract(**k)([y, x])])
    x = pooling(**k)(L.Conv2D(6, 2, activation="relu", **k)(x))
    return keras.Model(inputs, L.Dense(4, activation="softmax", **k)(x))


@pytest.mark.parametrize("name", BLOCKS)
def test_completeness_to_rounding_in_float64(name):
    keras.utils.set_random_seed(3)
    pooling = L.GlobalMaxPooling2D if name in ("relu", "silu") else L.GlobalAveragePooling2D
    model = randomise_batch_norm(branched(BLOCKS[name], pooling))
    images, reference = np.random.default_rng(1).normal(size=(2, 4, 12, 12, 3)).astype("f4")
    attributer = Attributer(model)
    maps = attributer.explain(images, "deeplift", 1, reference=reference[0])
    scores = attributer.classifier.forward(np.concatenate([images, reference[:1]]).astype(float))[0].numpy()[:, 1]
    difference = scores[:-1] - scores[-1]
    np.testing.assert_allclose(maps.values.sum(axis=(1, 2, 3), dtype=float), difference, rtol=1e-4, atol=1e-6)
    limit = 1e-7 if name == "moving" else 1e-9  # bilinear resizing always gives float32
    assert (np.abs(maps.completeness_gap) <= limit * np.abs(maps.values).sum(axis=(1, 2, 3))).all()


def test_completeness_of_probabilities_and_of_reveal_cancel():
    keras.utils.set_random_seed(4)
    k = {"dtype": "float64"}
    model = keras.Sequential(
        [keras.Input((6, 6, 3), **k), L.Conv2D(4, 3, activation="relu", **k), L.Flatten(**k), L.Dense(9, **k),
         L.BatchNormalization(**k), L.ReLU(**k), L.Dense(8, activation="tanh", **k), L.Dense(3, "softmax", **k)]
    )  # fmt: skip
    randomise_batch_norm(model)
    images = np.random.default_rng(2).normal(size=(3, 6, 6, 3)).astype("f4") * 3
    for options in ({"rule": "reveal_cancel"}, {}):
        maps = Attributer(model, score="output").explain(images, "deeplift", reference="mean", **options)
        assert (np.abs(maps.completeness_gap) <= 1e-9 * np.abs(maps.values).sum(axis=(1, 2, 3))).all()
        assert (maps.values.sum(axis=(1, 2, 3)) ** 2 < 1).all() and maps.values.std() > 0


@pytest.mark.parametrize("name,side", [("VGG16", 32), ("ResNet50", 64), ("InceptionV3", 75)])
def test_completeness_on_known_networks(name, side):
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), classes=20)
    attributer = Attributer(randomise_batch_norm(model), preprocess="tf" if name == "InceptionV3" else "caffe")
    images = np.random.default_rng(0).uniform(0, 255, size=(2, side, side, 3)).astype("f4")
    inputs = [attributer.classifier.prepare(v) for v in (images, np.zeros_like(images))]
    ours, black = (attributer.classifier.forward(x)[0].numpy() for x in inputs)
    targets = np.abs(ours - black).argmax(1)  # untrained scores hardly move: take the one that moves most
    maps = attributer.explain(images, "deeplift", targets)
    difference = (ours - black)[np.arange(2), targets]
    assert (np.abs(maps.completeness_gap) <= 1e-3 * np.abs(difference)).all()
    np.testing.assert_allclose(maps.values.sum(axis=(1, 2, 3), dtype=float), difference, rtol=1e-3)


@pytest.mark.real
@pytest.mark.parametrize("name,preprocess", [("mobilenet_075", "tf"), ("squeezenet_1_0", "squeezenet")])
def test_completeness_on_trained_networks(real_data, name, preprocess):
    attributer = Attributer(real_data / "models" / f"{name}_imagenet.keras", preprocess=preprocess)
    paths = sorted((real_data / "ILSVRC").rglob("*.JPEG"))[:3]
    maps = attributer.explain(paths, "deeplift")
    difference = maps.values.sum(axis=(1, 2, 3), dtype=float) - maps.completeness_gap
    assert (np.abs(maps.completeness_gap) <= 1e-3 * np.abs(difference)).all()


# ------------------------------------------------------------------------------------------------------- libraries


@pytest.fixture(scope="module")
def chain():
    """Small enough for the `deeplift` package, and no dense layer behind a ReLU: where an input does not change and all
    contributions have one sign, the package divides by 1e-7 what float32 cannot tell from 0; we take the derivative."""
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [keras.Input((10, 10, 2)), L.Conv2D(4, 3), L.BatchNormalization(), L.ReLU(), L.MaxPooling2D(),
         L.Conv2D(3, 3, activation="tanh"), L.Flatten(), L.Dense(6, activation="sigmoid"),
         L.Dense(5, activation="relu"), L.Dense(3, activation="softmax")]
    )  # fmt: skip
    return randomise_batch_norm(model)


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(6).normal(size=(4, 10, 10, 2)).astype("f4") * 2


@pytest.mark.parametrize("rule", ["rescale", "reveal_cancel"])
def test_against_the_package_of_the_authors(chain, pictures, rule):
    pytest.importorskip("deeplift")
    attributer = Attributer(chain)
    theirs = attributer.explain(pictures, "deeplift", [0, 1, 2, 0], backend="deeplift", rule=rule)
    ours = attributer.explain(pictures, "deeplift", [0, 1, 2, 0], rule=rule, maxpool="gradient")
    np.testing.assert_allclose(ours.values, theirs.values, atol=2e-5 * np.abs(theirs.values).max())


def test_against_shap(chain, pictures):
    shap = pytest.importorskip("shap")
    logits = keras.Sequential([*chain.layers[:-1], L.Dense(3)])
    logits.build((None, 10, 10, 2))
    logits.layers[-1].set_weights(chain.layers[-1].get_weights())
    background = np.zeros((1, 10, 10, 2), "f4")
    explainer = shap.DeepExplainer((logits.inputs, logits.layers[-1].output[:, 1:2]), background)
    theirs = explainer.shap_values(pictures, check_additivity=False)[..., 0]
    ours = Attributer(chain).explain(pictures, "deeplift", 1).values
    np.testing.assert_allclose(ours, theirs, atol=2e-5 * np.abs(theirs).max())


# ------------------------------------------------------------------------------------------------ references, errors


def test_several_references_are_averaged(small_model, images):
    attributer = Attributer(small_model)
    given = images[4:7]
    together = attributer.explain(images[:2], "deeplift", 3, reference=given)
    alone = [attributer.explain(images[:2], "deeplift", 3, reference=one) for one in given]
    np.testing.assert_allclose(together.values, np.mean([m.values for m in alone], axis=0), atol=1e-6)
    drawn = attributer.explain(images[:2], "deeplift", 3, reference="random", references=3, seed=1)
    first = attributer.explain(images[:2], "deeplift", 3, reference="random", seed=1)
    assert np.abs(drawn.values - first.values).max() > 1e-3  # three different draws
    assert np.abs(drawn.completeness_gap).max() < 1e-4


def test_the_black_of_raw_pixels_is_the_reference(small_model, images):
    """With preprocessing, black is preprocess(0), not 0 in the model's input."""
    scaled = Attributer(small_model, preprocess=lambda raw: raw / 50 - 1)
    ours = scaled.explain((images[:2] + 1) * 50, "deeplift", 0).values
    reference = np.full(images.shape[1:], -1, "f4")
    np.testing.assert_allclose(
        ours, Attributer(small_model).explain(images[:2], "deeplift", 0, reference=reference).values, atol=1e-5
    )


def test_nested_and_subclassed_equal_flat():
    keras.utils.set_random_seed(7)
    flat = branched(BLOCKS["silu"], L.GlobalMaxPooling2D, "float32")
    inputs = keras.Input((12, 12, 3))
    nested = keras.Model(inputs, keras.Sequential([flat])(L.SpatialDropout2D(0.5)(inputs)))

    class Wrapped(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = flat

        def call(self, x, training=False):
            return self.inner(x, training=training)

    wrapped = Wrapped()
    images = np.random.default_rng(8).normal(size=(3, 12, 12, 3)).astype("f4")
    wrapped(images)
    expected = explain(flat, images).values
    for model in (nested, wrapped):
        np.testing.assert_allclose(explain(model, images).values, expected, atol=1e-6 * np.abs(expected).max())


class Sorted(keras.layers.Layer):
    def call(self, x):
        return keras.ops.cumsum(x, axis=1)


def test_an_operation_without_a_rule_is_named(images):
    model = keras.Sequential([keras.Input((32, 32, 3)), L.Conv2D(2, 3), Sorted(), L.Flatten(), L.Dense(2)])
    with pytest.raises(AttribevalError, match=r"deeplift has rules for.*'Cumsum' in layer 'sorted(_\d+)?'"):
        explain(model, images[:1])


def test_reveal_cancel_needs_a_dense_layer(small_model, images):
    with pytest.raises(AttribevalError, match="rule='rescale'"):
        explain(small_model, images[:1], rule="reveal_cancel")


@pytest.mark.parametrize(
    "options,message",
    [
        ({"rule": "linear"}, "rule"),
        ({"maxpool": "winner"}, "maxpool"),
        ({"reference": "white"}, "baseline"),
        ({"references": 0}, "references"),
        ({"references": 3}, "reference='random'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(AttribevalError, match=message):
        DeepLIFT(**options)


def test_a_reference_of_another_shape(small_model, images):
    with pytest.raises(AttribevalError, match="shape"):
        explain(small_model, images[:1], reference=np.zeros((16, 16, 3)))
