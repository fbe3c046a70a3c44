"""The CAM family and XRAI: formulas written again slowly, closed forms, and tf-keras-vis."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import sparse
from scipy.ndimage import gaussian_filter
from skimage.morphology import dilation, disk

from attribeval import Attributer
from attribeval.errors import AttribevalError
from attribeval.methods import xrai
from attribeval.models import fields
from attribeval.models.classifier import Classifier

SIZE = 32
FAMILY = ["cam", "gradcam", "gradcam++", "layercam", "guided_gradcam", "scorecam"]
layers = keras.layers


def features(x, rectified=True):
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="early")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    return layers.Conv2D(5, 3, padding="same", activation="relu" if rectified else None, name="late")(x)


def built(head, seed=3, size=SIZE, rectified=True):
    """A flat functional model: two convolutions and a head."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((size, size, 3))
    model = keras.Model(inputs, head(features(inputs, rectified)))
    rng = np.random.default_rng(seed)
    for weight in model.weights:  # biases that are not 0
        if weight.ndim == 1:
            weight.assign(rng.normal(0, 0.3, weight.shape) ** (2 if "variance" in weight.name else 1))
    return model


def flatten_head(x):
    """VGG-like: the gradient differs from place to place, and takes both signs."""
    x = layers.Flatten()(layers.MaxPooling2D(4)(x))
    return layers.Dense(4, activation="softmax", name="predictions")(layers.Dense(9, activation="relu")(x))


def gap_head(x):
    return layers.Dense(4, activation="softmax", name="predictions")(layers.GlobalAveragePooling2D()(x))


@pytest.fixture(scope="module")
def vgg_like():
    return built(flatten_head)


@pytest.fixture(scope="module")
def gap_model():
    return built(gap_head)


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(7).normal(size=(5, SIZE, SIZE, 3))
    return (gaussian_filter(noise, (0, 2, 2, 0)) * 6).astype(np.float32)


TARGETS = np.array([0, 1, 2, 3, 0])


def logits_model(model):
    """The layer 'late' and the logits, made with Keras alone."""
    head = model.get_layer("predictions")
    before, (kernel, bias) = head.input, head.get_weights()
    return keras.Model(model.inputs, [model.get_layer("late").output, before]), kernel, bias


def by_tape(model, images, targets=TARGETS):
    """Activations and gradient of the layer 'late' and the logits of the targets, float64 arrays."""
    inner, kernel, bias = logits_model(model)
    tail = keras.Model(model.get_layer("late").output, model.get_layer("predictions").input)
    with tf.GradientTape() as tape:
        activations = tf.stop_gradient(inner([images])[0])
        tape.watch(activations)
        scores = tf.gather(tail(activations) @ kernel + bias, targets, axis=1, batch_dims=1)
    gradient = tape.gradient(scores, activations)
    return [np.asarray(a, np.float64) for a in (activations, gradient, scores)]


def upsampled(maps, size):
    """Bilinear interpolation with pixel centres aligned, pixel by pixel."""
    out = np.zeros((len(maps), size, size))
    height, width = maps.shape[1:3]
    for y in range(size):
        for x in range(size):
            v = np.clip((y + 0.5) * height / size - 0.5, 0, height - 1)
            u = np.clip((x + 0.5) * width / size - 0.5, 0, width - 1)
            top, left = int(v), int(u)
            below, right = min(top + 1, height - 1), min(left + 1, width - 1)
            fv, fu = v - top, u - left
            out[:, y, x] = (1 - fv) * ((1 - fu) * maps[:, top, left] + fu * maps[:, top, right]) + fv * (
                (1 - fu) * maps[:, below, left] + fu * maps[:, below, right]
            )
    return out


def assert_close(ours, expected, tolerance=1e-5):
    ours, expected = np.squeeze(ours), np.squeeze(expected)
    assert ours.shape == expected.shape
    assert np.ptp(expected) > 0
    assert np.abs(ours - expected).max() <= tolerance * np.ptp(expected)


# ------------------------------------------------------------------------------------------- formulas, written slowly


def slow_gradcam(a, g):
    out = np.zeros(a.shape[:3])
    for b in range(len(a)):
        for k in range(a.shape[3]):
            out[b] += g[b, :, :, k].mean() * a[b, :, :, k]
    return np.maximum(out, 0)


def slow_gradcam_plus_plus(a, g, score, normalise):
    """With Y = exp(S) and its three derivatives, as printed; `normalise`: over which places α sums to 1."""
    out = np.zeros(a.shape[:3])
    for b in range(len(a)):
        y = np.exp(score[b])
        for k in range(a.shape[3]):
            one = g[b, :, :, k]
            first, second, third = y * one, y * one**2, y * one**3
            denominator = 2 * second + a[b, :, :, k].sum() * third
            alpha = second / np.where(denominator == 0, 1, denominator)
            if normalise == "positive":
                alpha = np.where(first > 0, alpha, 0)
            if normalise != "none" and alpha.sum() != 0:
                alpha = alpha / alpha.sum()
            out[b] += (alpha * np.maximum(first, 0)).sum() * a[b, :, :, k]
    return np.maximum(out, 0) / np.exp(score)[:, None, None]


def slow_layercam(a, g):
    out = np.zeros(a.shape[:3])
    for b, y, x, k in np.ndindex(a.shape):
        out[b, y, x] += max(g[b, y, x, k], 0) * a[b, y, x, k]
    return np.maximum(out, 0)


def slow_scorecam(model, images, targets, weights, channels=None):
    a = by_tape(model, images, targets)[0]
    inner, kernel, bias = logits_model(model)
    out = np.zeros(a.shape[:3])
    for b in range(len(a)):
        spread = [a[b, :, :, k].std() for k in range(a.shape[3])]
        chosen = sorted(range(a.shape[3]), key=lambda k: -spread[k])[:channels]
        scores = {}
        for k in chosen:
            mask = upsampled(a[b : b + 1, :, :, k], SIZE)[0]
            if mask.max() == mask.min():
                continue
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            seen = (images[b] * mask[..., None]).astype(np.float32)[None]
            logits = np.asarray(inner([seen])[1] @ kernel + bias, np.float64)[0]
            probability = np.exp(logits[targets[b]]) / np.exp(logits).sum()
            scores[k] = logits[targets[b]] if weights == "softmax" else probability
        if weights == "softmax":
            total = sum(np.exp(s) for s in scores.values())
            scores = {k: np.exp(s) / total for k, s in scores.items()}
        for k, s in scores.items():
            out[b] += s * a[b, :, :, k]
    return np.maximum(out, 0)


@pytest.mark.parametrize("model", ["vgg_like", "gap_model"])
def test_maps_of_one_gradient_equal_their_formulas(model, images, request):
    model = request.getfixturevalue(model)
    a, g, score = by_tape(model, images)
    attributer = Attributer(model)
    for name, options, expected in [
        ("gradcam", {}, slow_gradcam(a, g)),
        ("gradcam++", {}, slow_gradcam_plus_plus(a, g, score, "none")),
        ("gradcam++", {"alphas": "normalised"}, slow_gradcam_plus_plus(a, g, score, "positive")),
        ("layercam", {}, slow_layercam(a, g)),
    ]:
        ours = attributer.explain(images, name, TARGETS, **options).values
        assert (ours >= 0).all()
        assert_close(ours, upsampled(expected, SIZE))


@pytest.mark.parametrize("weights", ["probability", "softmax"])
@pytest.mark.parametrize("channels", [None, 2])
def test_scorecam_equals_its_formula(vgg_like, images, weights, channels):
    ours = Attributer(vgg_like).explain(images, "scorecam", TARGETS, weights=weights, max_channels=channels).values
    assert_close(ours, upsampled(slow_scorecam(vgg_like, images, TARGETS, weights, channels), SIZE))


def test_guided_gradcam_is_the_product(vgg_like, images):
    maps = Attributer(vgg_like).explain_many(images, ["guided_backprop", "gradcam", "guided_gradcam"])
    product = maps["guided_backprop"].values * maps["gradcam"].values
    assert maps["guided_gradcam"].values.shape == images.shape
    np.testing.assert_array_equal(maps["guided_gradcam"].values, product)


def test_gradcam_plus_plus_is_finite_where_alpha_has_a_pole(images):
    from attribeval.methods.gradcam_plus_plus import gradcam_plus_plus_map

    activations = tf.constant([[[[2.0, 2.0]], [[2.0, 2.0]]]])  # Σ A = 4
    gradients = tf.constant([[[[-0.5, 0.5]], [[-0.5, 0.0]]]])  # 2 + g Σ A = 0 in the first channel
    # Second channel: α = 1 / (2 + .5 · 4) at the first place, 0 at the other; w = .5 / 4.
    np.testing.assert_allclose(np.squeeze(gradcam_plus_plus_map(activations, gradients)), [0.25, 0.25])


# --------------------------------------------------------------------------------------------------------------- CAM


def test_cam_is_the_dense_weights_times_the_features(gap_model, images):
    ours = Attributer(gap_model).explain(images, "cam", TARGETS).values
    a, _, score = by_tape(gap_model, images)
    kernel, bias = gap_model.get_layer("predictions").get_weights()
    coarse = np.stack([a[b] @ kernel[:, t] for b, t in enumerate(TARGETS)])
    assert_close(ours, upsampled(coarse, SIZE))
    assert (ours < 0).any()
    np.testing.assert_allclose(coarse.mean(axis=(1, 2)) + bias[TARGETS], score, rtol=1e-5)
    np.testing.assert_allclose(ours.mean(axis=(1, 2, 3)) + bias[TARGETS], score, rtol=1e-4)  # upsampling keeps the mean


def test_known_cases_behind_global_average_pooling(gap_model, images):
    """One gradient w / n for all n places: Grad-CAM is ReLU(CAM) / n; the others use the positive weights only."""
    attributer = Attributer(gap_model)
    a = by_tape(gap_model, images)[0]
    kernel = gap_model.get_layer("predictions").get_weights()[0][:, TARGETS].T  # (B, K)
    n = a.shape[1] * a.shape[2]

    def weighted(weights):
        return upsampled(np.maximum(np.einsum("bhwk,bk->bhw", a, weights), 0), SIZE)

    positive = np.maximum(kernel, 0)
    assert_close(attributer.explain(images, "gradcam", TARGETS).values * n, weighted(kernel))
    assert_close(attributer.explain(images, "layercam", TARGETS).values * n, weighted(positive))
    normalised = attributer.explain(images, "gradcam++", TARGETS, alphas="normalised").values
    assert_close(normalised * n, weighted(positive))
    expected = weighted(positive / (2 + kernel / n * a.sum(axis=(1, 2))))
    assert_close(attributer.explain(images, "gradcam++", TARGETS).values, expected)


def heads_of_cam():
    def squeezenet(x):
        x = layers.Conv2D(4, 1, name="predictions")(layers.Dropout(0.5)(x))
        return layers.Softmax()(layers.GlobalAveragePooling2D()(x))

    def mobilenet(x):
        x = layers.Dropout(0.5)(layers.GlobalAveragePooling2D(keepdims=True)(x))
        return layers.Softmax()(layers.Reshape((4,))(layers.Conv2D(4, 1, name="predictions")(x)))

    def average_pooling(x):
        return layers.Dense(4, name="predictions")(layers.Flatten()(layers.AveragePooling2D(SIZE // 2)(x)))

    def normalised(x):
        x = layers.BatchNormalization()(layers.GlobalAveragePooling2D()(x))
        return layers.Dense(4, activation="sigmoid", name="predictions")(x)

    return [squeezenet, mobilenet, average_pooling, normalised]


@pytest.mark.parametrize("head", heads_of_cam(), ids=lambda head: head.__name__)
def test_cam_knows_heads_by_their_maths(head, images):
    """The mean of the map is the logit less a constant, whatever the image."""
    model = built(head)
    attributer = Attributer(model)
    maps = attributer.explain(images, "cam", 1, layer="late").values
    logit = attributer.classifier.forward(images)[0].numpy()[:, 1]
    rest = logit - maps.mean(axis=(1, 2, 3))
    assert np.ptp(rest) <= 1e-4 * np.ptp(logit)


def test_cam_through_a_relu_that_is_no_layer(images):
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.dense = layers.Conv2D(5, 3), layers.BatchNormalization(), layers.Dense(4)

        def call(self, x, training=False):
            return self.dense(keras.ops.mean(tf.nn.relu(self.norm(self.conv(x), training=training)), axis=(1, 2)))

    keras.utils.set_random_seed(0)
    net = Net()
    net(images)
    a = np.asarray(tf.nn.relu(net.norm(net.conv(images))), np.float64)
    expected = np.einsum("bhwk,kb->bhw", a, net.dense.get_weights()[0][:, TARGETS])
    assert_close(Attributer(net).explain(images, "cam", TARGETS).values, upsampled(expected, SIZE))
    # 1e-3 of rounding in bfloat16, where this machine has it, must not look like another head.
    rough = Attributer(net, precision="bfloat16").explain(images, "cam", TARGETS).values
    assert_close(rough, upsampled(expected, SIZE), 0.05)


def heads_without_cam():
    def flatten(x):
        return layers.Dense(4)(layers.Flatten()(x))

    def max_pooling(x):
        return layers.Dense(4)(layers.GlobalMaxPooling2D()(x))

    def hidden_layer(x):
        return layers.Dense(4)(layers.Dense(9, activation="relu")(layers.GlobalAveragePooling2D()(x)))

    def rectified_classes(x):
        return layers.GlobalAveragePooling2D()(layers.Conv2D(4, 1, activation="relu")(x))

    def gated(x):
        x = layers.GlobalAveragePooling2D()(x)
        return layers.Dense(4)(layers.Multiply()([x, layers.Dense(5, activation="sigmoid")(x)]))

    def corner(x):
        return layers.Dense(4)(layers.GlobalAveragePooling2D()(layers.Cropping2D(3)(x)))

    return [flatten, max_pooling, hidden_layer, rectified_classes, gated, corner]


@pytest.mark.parametrize("head", heads_without_cam(), ids=lambda head: head.__name__)
def test_cam_refuses_other_heads(head, images):
    with pytest.raises(AttribevalError, match=r"global average pooling and one linear layer.*Received.*gradcam"):
        Attributer(built(head)).explain(images, "cam", layer="late")


def test_cam_refuses_a_path_around_the_layer_and_an_explained_probability(gap_model, images):
    def around(x):
        return layers.Dense(4)(layers.GlobalAveragePooling2D()(x))

    base = built(around)
    both = keras.Model(base.inputs, base.output + layers.Dense(4)(layers.Flatten()(base.get_layer("early").output)))
    with pytest.raises(AttribevalError, match="second path"):
        Attributer(both).explain(images, "cam", layer="late")
    with pytest.raises(AttribevalError, match="not a linear function"):
        Attributer(gap_model, score="output").explain(images, "cam")


# ---------------------------------------------------------------------------------------------------- tf-keras-vis


@pytest.mark.parametrize("name", ["gradcam", "gradcam++", "layercam"])
@pytest.mark.parametrize("model", ["vgg_like", "gap_model", "small_model"])
def test_agreement_with_tf_keras_vis(name, model, images, request):
    attributer = Attributer(request.getfixturevalue(model))
    theirs = attributer.explain(images, name, TARGETS, backend="tf_keras_vis").values
    if name != "gradcam++":
        assert_close(attributer.explain(images, name, TARGETS).values, theirs, 1e-4)
    elif model == "vgg_like":  # where gradients differ from place to place, it has a convention of its own
        expected = slow_gradcam_plus_plus(*by_tape(attributer.classifier.model, images), "all places")
        assert_close(theirs, upsampled(expected, SIZE), 1e-4)
    else:
        assert_close(attributer.explain(images, name, TARGETS, alphas="normalised").values, theirs, 1e-4)


@pytest.mark.parametrize("model", ["vgg_like", "small_model"])
def test_scorecam_agrees_with_tf_keras_vis(model, images, request):
    attributer = Attributer(request.getfixturevalue(model))
    full = "early" if model == "vgg_like" else "relu1"  # as large as the image: both leave the channels as they are
    for options, tolerance in ({"layer": full}, 1e-4), ({"layer": full, "max_channels": 3}, 1e-4), ({}, 0.05):
        few = images[:1] if "max_channels" in options else images  # it mixes up the channels of a batch
        ours = attributer.explain(few, "scorecam", 1, **options).values
        theirs = attributer.explain(few, "scorecam", 1, backend="tf_keras_vis", **options).values
        assert_close(ours, theirs, tolerance)


def test_smoothgrad_agrees_with_tf_keras_vis_but_for_chance(small_model, images):
    """Two means of n noisy gradients differ by about the standard error of their difference, per pixel."""
    attributer, n, (height, width) = Attributer(small_model), 120, images.shape[1:3]
    ours = attributer.explain(images[:2], "smoothgrad(gradient)", 1, samples=n).values
    theirs = attributer.explain(images[:2], "SG-GRAD", 1, samples=n, backend="tf_keras_vis").values
    variance = attributer.explain(images[:2], "vargrad(gradient)", 1, samples=n).values
    z = (ours - theirs)[variance > 0] / np.sqrt(2 * variance[variance > 0] / n)
    assert z.size > height * width
    assert 0.8 < np.sqrt((z**2).mean()) < 1.25
    with pytest.raises(AttribevalError, match="smoothgrad"):
        attributer.explain(images, "smoothgrad(integrated_gradients)", backend="tf_keras_vis")


def test_tf_keras_vis_refuses_what_it_would_get_wrong(gap_model, images):
    sigmoid = built(lambda x: layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(AttribevalError, match="softmax"):
        Attributer(sigmoid).explain(images, "scorecam", backend="tf_keras_vis")


# ------------------------------------------------------------------------------------------- sharing, memory, models


def test_family_shares_one_pass(gap_model, images, monkeypatch):
    calls, plain = [], fields.activations_gradient_and_scores
    monkeypatch.setattr(fields, "activations_gradient_and_scores", lambda *a: calls.append(a[-1]) or plain(*a))
    attributer = Attributer(gap_model)
    together = attributer.explain_many(images, FAMILY, TARGETS, batch_size=3)
    assert calls == ["late"] * 2  # two batches
    for name in FAMILY:
        np.testing.assert_array_equal(
            together[name].values, attributer.explain(images, name, TARGETS, batch_size=3).values
        )


class Spy(keras.layers.Layer):
    """Passes images on and writes down how many came together, when the graph runs."""

    seen: list[int] = []  # noqa: RUF012 - shared on purpose

    def call(self, x):
        tf.py_function(lambda n: Spy.seen.append(int(n)), [tf.shape(x)[0]], [])
        return tf.identity(x)


def test_passes_through_the_model(images):
    """Counted while it runs: one pass for four maps; Score-CAM as many images as channels, never above capacity."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 3))
    attributer = Attributer(keras.Model(inputs, gap_head(features(Spy()(inputs)))))
    Spy.seen.clear()
    attributer.explain_many(images[:4], ["cam", "gradcam", "gradcam++", "layercam"], 1)
    assert Spy.seen == [4]
    Spy.seen.clear()
    attributer.explain(images[:4], "scorecam", 1, batch_size=2)
    assert max(Spy.seen) <= 2
    assert sum(Spy.seen) <= 4 + 4 * 5
    first = list(Spy.seen)
    attributer.explain(images[:4], "scorecam", 1, batch_size=2, max_channels=2)
    assert sum(Spy.seen) - sum(first) == 4 + 4 * 2


@pytest.mark.parametrize("name", FAMILY)
def test_batch_size_and_nesting_do_not_change_a_map(gap_model, images, name):
    expected = Attributer(gap_model).explain(images, name, TARGETS).values
    inputs = keras.Input((SIZE, SIZE, 3))
    nested = Attributer(keras.Model(inputs, gap_model(layers.GaussianNoise(1.0)(inputs))))
    for size in (1, 2, 5):
        assert_close(nested.explain(images, name, TARGETS, batch_size=size).values, expected)


@pytest.mark.parametrize("name", FAMILY)
def test_a_model_without_a_spatial_layer(name, images):
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, layers.Dense(4)(layers.Dense(9, activation="relu")(layers.Flatten()(inputs))))
    with pytest.raises(AttribevalError, match=r"no layer with a spatial output.*gradient"):
        Attributer(model).explain(images, name)


def test_scorecam_leaves_out_constant_channels(images):
    """A dead channel and a constant one: no mask, no weight, no number that is not finite."""
    model = built(gap_head)
    kernel, bias = model.get_layer("late").get_weights()
    kernel[..., 0], bias[0] = 0, 0
    kernel[..., 1], bias[1] = 0, 3
    model.get_layer("late").set_weights([kernel, bias])
    ours = Attributer(model).explain(images, "scorecam", TARGETS).values
    assert_close(ours, upsampled(slow_scorecam(model, images, TARGETS, "probability"), SIZE))
    for weights in "probability", "softmax":
        grey = Attributer(model).explain(np.zeros_like(images[:1]), "scorecam", weights=weights).values
        assert np.isfinite(grey).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [("gradcam++", {"alphas": "x"}), ("scorecam", {"weights": "x"}), ("scorecam", {"max_channels": 0}),
     ("xrai", {"steps": 0})],
)  # fmt: skip
def test_bad_options(gap_model, images, name, options):
    with pytest.raises(AttribevalError, match=r"Expected.*Received"):
        Attributer(gap_model).explain(images, name, **options)


# --------------------------------------------------------------------------------------------------------------- XRAI


def slow_grow(attribution, masks, least, fast):
    """Regions added to a mask one by one, every gain taken anew from the pixels."""
    covered = np.zeros(attribution.shape, bool)
    out, remaining, order = np.zeros(attribution.shape), list(masks), []
    if fast:
        remaining.sort(key=lambda mask: -attribution[mask].mean())
    while True:
        remaining = [mask for mask in remaining if (mask & ~covered).sum() >= least]
        if not remaining:
            break
        gains = [attribution[mask & ~covered].mean() for mask in remaining]
        best = 0 if fast else int(np.argmax(gains))
        new = remaining.pop(best) & ~covered
        out[new] = attribution[new].mean()
        order.append(new)
        covered |= new
    if not covered.all():
        out[~covered] = attribution[~covered].mean()
    return out, order, ~covered


@pytest.fixture(scope="module")
def grown():
    rng = np.random.default_rng(0)
    attribution = gaussian_filter(rng.normal(size=(20, 24)), 1.5)
    masks = []
    for side in (3, 5, 8, 12):  # overlapping rectangles, and one that is there twice
        for y, x in rng.integers(0, 18, (12, 2)):
            mask = np.zeros(attribution.shape, bool)
            mask[y : y + side, x : x + side + 2] = True
            masks.append(mask)
    masks.append(masks[7].copy())
    return attribution, masks


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("least", [1, 6])
def test_regions_grow_as_by_hand(grown, fast, least):
    attribution, masks = grown
    matrix = sparse.csr_array(np.stack([mask.ravel() for mask in masks]))
    values, ranks = xrai.grow(attribution, matrix, least, fast)
    expected, order, left = slow_grow(attribution, masks, least, fast)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    # The regions partition the image: those that were added, and what is left over, which comes last.
    found = {np.flatnonzero(ranks == rank).tobytes() for rank in range(ranks.max() + 1)}
    assert found == {np.flatnonzero(region).tobytes() for region in [*order, left] if region.any()}
    densities = [attribution[ranks == rank].mean() for rank in range(len(order))]
    assert densities == sorted(densities, reverse=True)  # higher density first
    if left.any():
        assert (ranks[left] == len(order)).all()
    np.testing.assert_allclose(values.sum(), attribution.sum(), rtol=1e-9)


@pytest.mark.parametrize("side", [224, 96])
def test_segments_are_felzenszwalbs_dilated(side):
    from skimage.segmentation import felzenszwalb
    from skimage.transform import resize

    noise = np.random.default_rng(3).normal(size=(side, side, 3))
    image = (gaussian_filter(noise, (side / 12, side / 12, 0)) * 1000).astype(np.float32)
    unit = 2 * (image - image.min()) / (image.max() - image.min()) - 1.0
    if side != 224:
        unit = resize(unit, (224, 224), order=3, mode="edge", anti_aliasing=True)
    radius = {224: 5, 96: 2}[side]
    expected = set()
    for scale in (50, 100, 150, 250, 500, 1200):
        labels = felzenszwalb(np.clip(unit, -1, 1), scale=scale, sigma=0.8, min_size=150)
        nearest = [int((i + 0.5) * 224 / side) for i in range(side)]
        labels = labels[np.ix_(nearest, nearest)]
        expected |= {dilation(labels == label, disk(radius)).tobytes() for label in np.unique(labels)}
    masks = xrai.segment_masks(image).toarray().reshape(-1, side, side)
    assert {mask.tobytes() for mask in masks} == expected
    assert len(expected) > 5
    assert masks.any(axis=0).all()


@pytest.fixture(scope="module")
def looks_at_a_square():
    """Logit 0 is the sum of one square of the image; nothing else matters."""
    where = np.zeros((64, 64, 1), np.float32)
    where[12:36, 28:50] = 1
    inputs = keras.Input((64, 64, 3))
    x = layers.Activation("linear")(inputs * (64 * where))
    dense = layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(layers.GlobalAveragePooling2D()(x)))
    dense.set_weights([np.array([[1, 0], [1, 0], [1, 0]], np.float32)])
    return model, where[..., 0] > 0


@pytest.mark.parametrize("fast", [False, True])
def test_xrai_finds_the_square(looks_at_a_square, fast):
    model, square = looks_at_a_square
    rng = np.random.default_rng(0)
    image = np.full((64, 64, 3), 90.0) + rng.normal(0, 4, (64, 64, 3))
    image[square] += 100
    image[40:60, 4:24] += [-60, 60, 0]  # another object, which does not matter
    image[0, 0], image[0, 1] = 0, 255
    maps = Attributer(model).explain(image.astype(np.float32), "xrai", 0, fast=fast)
    values = maps.values[0, ..., 0]
    assert square[values == values.max()].mean() > 0.9  # the first region; the square's edges are regions of their own
    top = values > values.max() / 2
    assert (top & square).sum() / (top | square).sum() > 0.9
    # The model is linear, so IG is exact: x − the mean of black and white, times the derivative, 1/64 for each pixel.
    exact = ((image - 127.5) / 64)[square].sum()
    np.testing.assert_allclose(values.sum(), exact, rtol=1e-3)
    assert abs(maps.completeness_gap[0]) <= 1e-3 * abs(exact)


def test_xrai_gap_and_attribution(small_model, images):
    """The gap is Σ map − mean of f(x) − f(baseline); baselines are each image's own least and greatest value."""
    attributer = Attributer(small_model)
    forward = attributer.classifier.forward
    maps = attributer.explain(images[:2], "xrai", TARGETS[:2], steps=10)
    for b, image in enumerate(images[:2]):
        score = forward(image[None])[0][0, TARGETS[b]]
        ends = [forward(np.full_like(image, end)[None])[0][0, TARGETS[b]] for end in (image.min(), image.max())]
        gap = maps.values[b].sum(dtype=np.float64) - float(score - sum(ends) / 2)
        np.testing.assert_allclose(maps.completeness_gap[b], gap, atol=1e-4)
    # The densities are those of `grow` on an attribution that a plain loop sums.
    total = np.zeros((SIZE, SIZE))
    classifier = Classifier(small_model)
    for end in (images[0].min(), images[0].max()):
        for step in range(10):
            point = end + (step + 0.5) / 10 * (images[:1] - end)
            total += np.asarray((images[:1] - end) * fields.gradient(classifier, point, TARGETS[:1]))[0].sum(-1) / 20
    expected = xrai.grow(total, xrai.segment_masks(images[0]), 1)[0]
    assert_close(maps.values[0, ..., 0], expected, 1e-4)


# --------------------------------------------------------------------------------------------------------- real nets


@pytest.mark.real
@pytest.mark.parametrize(
    ("net", "preprocess"), [("mobilenet_075_imagenet", "mobilenet"), ("squeezenet_1_0_imagenet", "squeezenet")]
)
def test_real_nets(net, preprocess, real_data):
    from attribeval.datasets import imagenet

    attributer = Attributer(real_data / "models" / f"{net}.keras", preprocess=preprocess)
    photographs = attributer.read(imagenet(real_data / "ILSVRC")[:4])
    maps = attributer.explain_many(photographs, ["cam", "gradcam", "gradcam++", "layercam"], 281)
    logits = attributer.classifier.forward(attributer.classifier.prepare(photographs))[0].numpy()[:, 281]
    rest = logits - maps["cam"].values.mean(axis=(1, 2, 3))
    assert np.ptp(rest) <= 0.02 * np.ptp(logits)  # the bias, but for upsampling to a size that is no multiple
    theirs = attributer.explain(photographs, "layercam", 281, backend="tf_keras_vis").values
    assert_close(maps["layercam"].values, theirs, 1e-4)
