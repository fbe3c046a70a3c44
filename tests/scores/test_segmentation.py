"""Scores of segmenters: one convolution, whose gradient is written down; and Seg-Grad-CAM by a tape."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from attribeval import Attributer, Evaluator, scores
from attribeval.datasets import Samples
from attribeval.errors import AttribevalError

H, W, K = 7, 10, 3
IMAGES = np.random.default_rng(0).normal(size=(2, H, W, 2)).astype(np.float32)


def convolution(units: int = K, activation: str | None = "softmax", size: int = 3) -> keras.Model:
    """A segmenter of one convolution with known weights."""
    model = keras.Sequential([keras.Input((H, W, 2)), layers.Conv2D(units, size, padding="same", name="conv")])
    rng = np.random.default_rng(1)
    model.layers[0].set_weights([rng.normal(size=(size, size, 2, units)), rng.normal(size=units) / 4])
    if activation:
        model.add(layers.Activation(activation))
    return model


@pytest.fixture(scope="module")
def linear() -> keras.Model:
    return convolution()


def slow_logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Every product of every filter, one by one."""
    weights, bias = (value.astype(np.float64) for value in model.layers[0].get_weights())
    padded = np.pad(images.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0)))
    out = np.zeros((len(images), H, W, weights.shape[-1])) + bias
    for y, x, dy, dx in np.ndindex(H, W, 3, 3):
        out[:, y, x] += padded[:, y + dy, x + dx] @ weights[dy, dx]
    return out


def slow_gradient(model: keras.Model, region: np.ndarray, c: int) -> np.ndarray:
    """d (sum of logits of class c over a region) / d image: each pixel of the region pulls at its 3 × 3 neighbours."""
    weights = model.layers[0].get_weights()[0].astype(np.float64)
    out = np.zeros((H + 2, W + 2, 2))
    for y, x in np.argwhere(region):
        out[y : y + 3, x : x + 3] += weights[..., c]
    return out[1:-1, 1:-1]


def test_of_one_convolution_each_region_pulls_at_its_own_pixels_alone(linear):
    left, right = np.zeros((2, H, W), bool)
    left[2:5, 1:3], right[1:4, 6:8] = True, True
    one = Attributer(linear, score=scores.segmentation([left, right], [2, 0]))
    z = slow_logits(linear, IMAGES)
    wanted = np.stack([z[:, left, 2].sum(1), z[:, right, 0].sum(1)], 1)
    np.testing.assert_allclose(one.answer(IMAGES)[0], wanted, rtol=1e-5, atol=1e-5)
    maps = one.explain(IMAGES, "gradient", [0, 1]).values
    np.testing.assert_allclose(maps[0], slow_gradient(linear, left, 2), atol=1e-5)
    np.testing.assert_allclose(maps[1], slow_gradient(linear, right, 0), atol=1e-5)
    assert not maps[0][:, 4:].any() and maps[0][:, :4].any()  # nothing on the other object
    assert not maps[1][:, :5].any()
    inside = Attributer(convolution(size=1), score=scores.segmentation([left, right], [2, 0]))
    np.testing.assert_array_equal(inside.explain(IMAGES[:1], "gradient", 0).values.any(-1)[0], left)


def test_region_that_the_model_predicts(linear):
    z = slow_logits(linear, IMAGES)
    own = z.argmax(-1)
    one = Attributer(linear, score=scores.segmentation())
    mean = Attributer(linear, score=scores.segmentation(reduce="mean"))
    for image, c in np.ndindex(2, K):
        region = own[image] == c
        assert region.any()
        total, pixels = z[image, region, c].sum(), region.sum()
        np.testing.assert_allclose(one.answer(IMAGES)[0][image, c], total, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(mean.answer(IMAGES)[0][image, c], total / pixels, rtol=1e-5, atol=1e-5)
        wanted = slow_gradient(linear, region, c)
        np.testing.assert_allclose(one.explain(IMAGES[image], "gradient", c).values[0], wanted, atol=1e-5)
        found = mean.explain(IMAGES[image], "gradient", c).values[0]
        np.testing.assert_allclose(found, wanted / pixels, atol=1e-5)


def test_one_region_for_all_classes_and_a_class_that_is_nowhere(linear):
    region = np.zeros((H, W), bool)
    region[1:3, 2:9] = True
    one = Attributer(linear, score=scores.segmentation(region, reduce="mean"))
    wanted = slow_logits(linear, IMAGES)[:, region].mean(1)
    np.testing.assert_allclose(one.answer(IMAGES)[0], wanted, rtol=1e-4, atol=1e-5)
    nowhere = convolution()
    nowhere.layers[0].bias.assign([0, 0, -1e3])
    for reduce in ("sum", "mean"):
        nothing = Attributer(nowhere, score=scores.segmentation(reduce=reduce))
        assert not nothing.answer(IMAGES)[0][:, 2].any()
        with pytest.warns(RuntimeWarning, match="0 everywhere"):
            assert not nothing.explain(IMAGES, "gradient", 2).values.any()


def test_sigmoids_are_each_by_itself_and_one_is_two_classes():
    several, one = convolution(activation="sigmoid"), convolution(1, "sigmoid")
    z = slow_logits(several, IMAGES)
    found = Attributer(several, score=scores.segmentation()).answer(IMAGES)[0]
    np.testing.assert_allclose(found, (z * (z > 0)).sum((1, 2)), rtol=1e-4, atol=1e-4)
    z = slow_logits(one, IMAGES)[..., 0]
    both = Attributer(one, score=scores.segmentation())
    wanted = np.stack([(-z * (z <= 0)).sum((1, 2)), (z * (z > 0)).sum((1, 2))], 1)
    np.testing.assert_allclose(both.answer(IMAGES)[0], wanted, rtol=1e-4, atol=1e-4)
    wanted = -slow_gradient(one, z[0] <= 0, 0)
    np.testing.assert_allclose(both.explain(IMAGES[:1], "gradient", 0).values[0], wanted, atol=1e-5)


def test_gradcam_is_seg_grad_cam():
    """Weights are means over the layer's places of d Σ logit / d A, as a tape gives them; softmax and link left out."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((H, W, 2))
    features = layers.Conv2D(4, 3, padding="same", activation="relu", name="bottleneck")(inputs)
    logits = layers.Conv2D(K, 3, padding="same", name="logits")(features)
    model = keras.Model(inputs, {"pixels": layers.Softmax()(logits), "other": layers.GlobalMaxPooling2D()(features)})
    ask = scores.segmentation(reduce="sum", output="pixels")
    one = Attributer(model, score=ask, target_layer="bottleneck")
    inner = keras.Model(inputs, [features, logits])
    with tf.GradientTape() as tape:
        a, z = inner(IMAGES)
        region = tf.cast(tf.argmax(z, -1) == 1, tf.float32)
        total = tf.reduce_sum(region * z[..., 1], (1, 2))
    alpha = tf.reduce_mean(tape.gradient(total, a), (1, 2), keepdims=True)
    wanted = tf.nn.relu(tf.reduce_sum(alpha * a, -1)).numpy()
    np.testing.assert_allclose(one.explain(IMAGES, "gradcam", 1).values[..., 0], wanted, rtol=1e-4, atol=1e-5)


def test_a_fixed_region_makes_path_methods_complete(linear):
    own = slow_logits(linear, IMAGES).argmax(-1) == 1
    one = Attributer(linear, score=scores.segmentation(own, 1))
    maps = one.explain(IMAGES, "integrated_gradients", [0, 1], steps=2).values
    gap = one.answer(IMAGES)[0].diagonal() - one.answer(np.zeros_like(IMAGES))[0].diagonal()
    np.testing.assert_allclose(maps.sum((1, 2, 3)), gap, rtol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"masks": np.zeros((H, W))}, r"bool \(rows, columns\).*float64 \(7, 10\)"),
        ({"masks": np.zeros((2, H, W), bool)}, "classes= as an index, or one for each of 2"),
        ({"masks": np.zeros((2, H, W), bool), "classes": [0, 1, 2]}, "one for each of 2"),
        ({"masks": np.zeros((H, W), bool), "classes": 1}, "classes= only with masks"),
        ({"classes": 1}, "classes= only with masks"),
        ({"reduce": "max"}, "reduce to be one of sum, mean"),
        ({"masks": np.zeros((2, 2), bool)}, "size of the model's map, 7 × 10. Received: 2 × 2"),
        ({"masks": np.zeros((1, H, W), bool), "classes": 3}, "from 0 to 2. Received: 3"),
        ({"output": "mask"}, r"one of 0 \(None, 7, 10, 3\). Received: 'mask'"),
    ],
)
def test_errors(linear, arguments, words):
    with pytest.raises(AttribevalError, match=words):
        Attributer(linear, score=scores.segmentation(**arguments))


def test_errors_of_outputs(linear):
    flat = keras.Model(linear.inputs, layers.Flatten()(linear.outputs[0]))
    with pytest.raises(AttribevalError, match=r"output \(batch, rows, columns, classes\).*0 \(None, 210\)"):
        Attributer(flat, score=scores.segmentation())
    several = keras.Model(linear.inputs, [linear.outputs[0], flat(linear.inputs[0])])
    with pytest.raises(AttribevalError, match=r"output= to name one of 0 \(None, 7, 10, 3\), 1 \(None, 210\)"):
        Attributer(several, score=scores.segmentation())
    assert Attributer(several, score=scores.segmentation(output=0)).classifier.classes == K
    with pytest.raises(AttribevalError, match="symbolic output"):
        scores.segmentation()(linear(IMAGES))
    with pytest.raises(AttribevalError, match=r"attribeval\.scores has functions for maps"):
        Attributer(linear)


def test_target_layer_is_one_of_the_model_not_of_the_score():
    deep = keras.Sequential([keras.Input((H, W, 2)), layers.Conv2D(4, 3, padding="same", activation="relu", name="a")])
    deep.add(layers.Conv2D(K, 3, padding="same", name="b"))
    deep.add(layers.Softmax(name="c"))
    one = Attributer(deep, score=scores.segmentation())
    assert one.classifier.target_layer == "b"
    assert np.isfinite(one.explain(IMAGES, "gradcam", 1).values).all()


def test_propagation_rules_see_the_logits_alone():
    """LRP and its like give for a region, predicted or given, what they give for the plain sum over these pixels."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((H, W, 2)), layers.Conv2D(4, 3, padding="same", activation="relu")])
    model.add(layers.Conv2D(K, 3, padding="same"))
    own = model.predict(IMAGES[:1], verbose=0).argmax(-1) == 1
    weights = tf.constant(own[..., None] / own.sum(), tf.float32)
    plain = Attributer(model, score=lambda z: tf.reduce_sum(z * weights, (1, 2)))
    asked = [
        (Attributer(model, score=scores.segmentation(reduce="mean")), 1),
        (Attributer(model, score=scores.segmentation(own, 1, reduce="mean")), 0),
    ]
    # ε is a share of what the layer gives, under the region's weights here: without it the rule is the same everywhere.
    for method in ("lrp(rule='epsilon', epsilon=0)", "deeplift"):
        wanted = plain.explain(IMAGES[:1], method, 1).values
        assert np.abs(wanted).max() > 0
        for one, target in asked:
            found = one.explain(IMAGES[:1], method, target).values
            np.testing.assert_allclose(found, wanted, atol=1e-4 * np.abs(wanted).max(), err_msg=method)


def test_a_board_deletes_what_its_own_question_is_about(linear):
    """Deletion of the mean logit over each image's own region, written again; labels are numbers of the questions."""
    regions, classes = np.zeros((2, H, W), bool), [2, 0]
    regions[0, 1:4, 2:7] = regions[1, 3:, :5] = True
    attributer = Attributer(linear, score=scores.segmentation(regions, classes, reduce="mean"))
    board = Evaluator(attributer, Samples(IMAGES, [0, 1])).compare(
        ["gradient_x_input"], ["deletion(steps=5)"], targets="label", progress=False
    )
    logits = keras.Model(linear.inputs, linear.layers[0].output)
    expected = []
    for i, image in enumerate(IMAGES):
        values = attributer.explain(image[None], "gradient_x_input", i, progress=False).values[0]
        order = np.argsort(-values.sum(-1).ravel())  # where it is 0, nothing changes the score
        curve = []
        for step in range(6):
            painted = image.copy().reshape(-1, 2)
            painted[order[: H * W * step // 5]] = image.mean((0, 1))
            z = logits(painted.reshape(1, H, W, 2)).numpy()[0, :, :, classes[i]]
            curve.append(z[regions[i]].mean())
        expected.append(np.trapezoid(curve, dx=0.2))
    place = board.table["method"].eq("gradient_x_input")
    assert board.table.loc[place, "value"].item() == pytest.approx(np.mean(expected), rel=1e-4)
    np.testing.assert_allclose(board.arrays["scores"][0, 0], expected, rtol=1e-4)
    assert "top1_accuracy" not in board.settings
