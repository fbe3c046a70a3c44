"""The facade: maps against oracles, batches, seeds, targets, and every kind of bad input."""

from __future__ import annotations

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from attribeval import AttribevalError, Attributer, Attributions, explaining
from attribeval.collected import Collected
from attribeval.common.seeds import image_seeds
from attribeval.datasets.source import ImageSource
from attribeval.methods.registry import build_method
from attribeval.models import fields

FIRST = ["gradient", "gradcam", "random", "sobel"]


@pytest.fixture(scope="module")
def attributer(small_model):
    return Attributer(small_model)


@pytest.fixture(scope="module")
def nested(small_model):
    """The small model inside a Sequential, behind augmentation layers, sharing its weights."""
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.Sequential([keras.layers.RandomFlip(), keras.layers.RandomRotation(0.2)], name="augmentation"),
            keras.models.clone_model(small_model),
        ]
    )


# ------------------------------------------------------------------------------------------------------- oracles


def test_gradient_agrees_with_finite_differences_in_float64():
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3), dtype="float64"),
            layers.Conv2D(4, 3, activation="tanh", dtype="float64"),
            layers.BatchNormalization(dtype="float64"),
            layers.Conv2D(4, 3, activation="softplus", dtype="float64"),
            layers.Flatten(dtype="float64"),
            layers.Dense(5, activation="softmax", dtype="float64"),
        ]
    )
    logits = keras.Model(model.inputs, model.layers[-2].output)
    kernel, bias = model.layers[-1].kernel.numpy(), model.layers[-1].bias.numpy()
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype("float32")
    targets = [3, 1]
    maps = Attributer(model).explain(x, "gradient", targets).values
    expected = np.zeros_like(x, dtype="float64")
    step = 1e-5
    for place in np.ndindex(x.shape[1:]):
        moved = np.zeros(x.shape)
        moved[(slice(None), *place)] = step
        up, down = (logits(x.astype("float64") + sign * moved).numpy() @ kernel + bias for sign in (1, -1))
        expected[(slice(None), *place)] = ((up - down) / (2 * step))[[0, 1], targets]
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-7 * np.abs(expected).max())


def test_gradcam_agrees_with_its_formula_written_slowly(small_model, attributer, images):
    maps = attributer.explain(images[:2], "gradcam", [4, 0]).values
    dense = small_model.get_layer("predictions").kernel.numpy()
    activations = keras.Model(small_model.inputs, small_model.get_layer("conv2").output)(images[:2]).numpy()
    places = activations.shape[1] * activations.shape[2]
    for i, target in enumerate([4, 0]):
        cam = np.zeros(activations.shape[1:3])
        for k in range(activations.shape[3]):
            alpha = dense[k, target] / places  # global average pooling, then a dense layer: the same at every place
            cam += alpha * activations[i, :, :, k]
        cam = np.maximum(cam, 0).astype("float32")
        expected = np.asarray(Image.fromarray(cam).resize((32, 32), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(maps[i, ..., 0], expected, atol=1e-5 * cam.max())


@pytest.mark.parametrize("method", ["gradient", "gradcam"])
def test_agreement_with_tf_keras_vis(attributer, images, method):
    ours = attributer.explain(images, method).values
    theirs = attributer.explain(images, method, backend="tf_keras_vis").values
    assert np.abs(ours).max() > 0
    assert np.abs(ours - theirs).max() <= 1e-4 * np.ptp(ours)


def test_sobel_agrees_with_scipy(attributer, images):
    from scipy.ndimage import sobel

    maps = attributer.explain(images, "sobel").values
    expected = np.zeros_like(maps)
    for i, c in np.ndindex(len(images), 3):
        plane = images[i, :, :, c]
        expected[i, :, :, c] = np.hypot(sobel(plane, axis=0, mode="mirror"), sobel(plane, axis=1, mode="mirror"))
    np.testing.assert_allclose(maps, expected, atol=1e-4)


def test_raw_controls_keep_their_channels_on_a_bgr_network(small_model, images):
    plain, bgr = Attributer(small_model), Attributer(small_model, preprocess="caffe")
    np.testing.assert_array_equal(bgr.explain(images, "sobel").values, plain.explain(images, "sobel").values)
    np.testing.assert_array_equal(bgr.explain(images, "input").values, images)
    with tf.GradientTape() as tape:
        raw = tf.constant(images)
        tape.watch(raw)
        logit = keras.Model(small_model.inputs, small_model.get_layer("gap").output)(bgr.classifier.preprocess(raw))
        logit = logit @ small_model.get_layer("predictions").kernel[:, 2:3]
    # The caffe convention only shifts and reorders, so the derivative by the raw pixels is the map in raw order.
    expected = tape.gradient(logit, raw).numpy()
    np.testing.assert_allclose(bgr.explain(images, "gradient", 2).values, expected, atol=1e-5 * np.abs(expected).max())


def test_random_is_uniform_and_one_map_per_image(attributer, images):
    maps = attributer.explain(images, "random").values
    assert maps.min() >= 0 and maps.max() < 1
    assert abs(maps.mean() - 0.5) < 0.01
    assert abs(maps.var() - 1 / 12) < 0.002
    correlations = np.corrcoef(maps.reshape(len(maps), -1))
    assert np.abs(correlations - np.eye(len(maps))).max() < 0.08
    shuffled = attributer.explain(images[::-1], "random", batch_size=2).values
    np.testing.assert_array_equal(shuffled[::-1], maps)
    assert np.abs(attributer.explain(images, "random", seed=1).values - maps).mean() > 0.2


def test_seeds_depend_on_the_image_and_the_users_seed_only():
    raw = np.random.default_rng(0).normal(size=(3, 4, 4, 3)).astype("float32")
    seeds = image_seeds(raw, 5)
    np.testing.assert_array_equal(image_seeds(raw[[2, 0]], 5), seeds[[2, 0]])
    assert len({tuple(s) for s in np.concatenate([seeds, image_seeds(raw, 6), image_seeds(raw, -1)])}) == 9


# ------------------------------------------------------------------------------------------- batches and nesting


@pytest.mark.parametrize("method", FIRST)
def test_batch_size_does_not_change_a_map(attributer, method):
    images = np.random.default_rng(2).normal(size=(65, 32, 32, 3)).astype("float32")
    kept = images.copy()
    maps = {size: attributer.explain(images, method, batch_size=size).values for size in (1, 7, 64)}
    for size in (7, 64):
        scale = np.abs(maps[1]).max(axis=(1, 2, 3), keepdims=True)
        assert (np.abs(maps[size] - maps[1]) <= 1e-5 * scale).all()
    np.testing.assert_array_equal(images, kept)


@pytest.mark.parametrize("method", FIRST)
def test_nested_model_gives_the_maps_of_the_flat_one(small_model, nested, images, method):
    nested.layers[-1].set_weights(small_model.get_weights())
    flat = Attributer(small_model).explain(images, method)
    deep = Attributer(nested).explain(images, method)
    np.testing.assert_array_equal(deep.targets, flat.targets)
    np.testing.assert_allclose(deep.values, flat.values, atol=1e-5 * np.abs(flat.values).max())


@pytest.mark.parametrize("builder", ["VGG16", "ResNet50", "InceptionV3"])
def test_named_architectures_at_native_size(builder, monkeypatch):
    """Every first method, by the network's name, with the loading code that real weights take."""
    from helpers.nets import randomise_batch_norm

    name = {"VGG16": "vgg16", "ResNet50": "resnet50", "InceptionV3": "inception_v3"}[builder]
    keras.utils.set_random_seed(0)  # of some random nets, more ReLUs flip
    attributer = Attributer(name, weights=None)
    randomise_batch_norm(attributer.classifier.model)
    height, width, _ = attributer.classifier.input_shape
    image = np.random.default_rng(0).uniform(0, 255, size=(1, height, width, 3)).astype("float32")
    maps = attributer.explain_many(image, FIRST, targets=7)
    for method, one in maps.items():
        assert one.values.shape[:3] == (1, height, width), method
        # The gradient of a random net may be negative on average, and Grad-CAM all zero then; so look at another class.
        targets = (7, 8, 9, 10) if method == "gradcam" else (7,)
        assert any(attributer.explain(image, method, targets=t).values.std() > 0 for t in targets), method
    # The raw image went through the network's preprocessing: red and blue are swapped back for the caffe networks.
    x = attributer.classifier.prepare(image)
    with tf.GradientTape() as tape:
        tape.watch(x)
        model = attributer.classifier.model
        logit = keras.Model(model.inputs, model.layers[-2].output)(x) @ model.layers[-1].kernel[:, 7:8]
    expected = tape.gradient(logit, x).numpy()
    expected = expected[..., ::-1] if name != "inception_v3" else expected
    # Eager and compiled convolutions round differently and a ReLU near zero may flip: compare as a whole.
    error = np.linalg.norm(maps["gradient"].values - expected) / np.linalg.norm(expected)
    assert error < 5e-3


def test_mixed_precision_model(images):
    keras.utils.set_random_seed(0)
    policy = keras.DTypePolicy("mixed_float16")
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            keras.layers.Conv2D(4, 3, activation="relu", dtype=policy),
            keras.layers.GlobalAveragePooling2D(dtype=policy),
            keras.layers.Dense(3, dtype=policy),
            keras.layers.Activation("softmax", dtype="float32"),
        ]
    )
    full = keras.models.clone_model(
        model, clone_function=lambda layer: type(layer).from_config({**layer.get_config(), "dtype": "float32"})
    )
    full.set_weights(model.get_weights())
    for method in ("gradient", "gradcam"):
        half = Attributer(model).explain(images, method, targets=1).values
        whole = Attributer(full).explain(images, method, targets=1).values
        assert half.dtype == np.float32
        # A ReLU near zero may open in one precision and not in the other, so not every value agrees.
        assert np.corrcoef(half.ravel(), whole.ravel())[0, 1] > 0.99
        assert np.mean(np.abs(half - whole) > 1e-2 * np.abs(whole).max()) < 0.01


# ------------------------------------------------------------------------------------------------ kinds of input


def test_one_image_grey_image_lists_and_paths(attributer, images, tmp_path):
    one = attributer.explain(images[0], "gradient").values
    np.testing.assert_array_equal(one, attributer.explain(images[:1], "gradient").values)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8))
    picture.save(tmp_path / "grey.png")
    by_path = attributer.explain(tmp_path / "grey.png", "gradient")
    by_pil = attributer.explain([picture], "gradient")
    resized = np.asarray(picture.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR))
    by_array = attributer.explain(resized[None], "gradient")
    np.testing.assert_array_equal(by_path.values, by_array.values)
    np.testing.assert_array_equal(by_pil.values, by_array.values)
    np.testing.assert_allclose(
        attributer.explain(images.astype("float64"), "gradient").values, attributer.explain(images, "gradient").values
    )
    np.testing.assert_array_equal(
        attributer.explain(tf.constant(images), "gradient").values, attributer.explain(images, "gradient").values
    )


def test_targets(small_model, attributer, images):
    predicted = small_model(images).numpy().argmax(1)
    np.testing.assert_array_equal(attributer.explain(images, "gradient").targets, predicted)
    by_int = attributer.explain(images, "gradient", 2)
    one_hot = np.eye(7)[[2] * len(images)]
    np.testing.assert_array_equal(attributer.explain(images, "gradient", one_hot).values, by_int.values)
    np.testing.assert_array_equal(attributer.explain(images, "gradient", [2] * len(images)).values, by_int.values)
    assert np.abs(attributer.explain(images, "gradient", 3).values - by_int.values).max() > 0


def test_explain_many_equals_explain(attributer, images):
    many = attributer.explain_many(images, FIRST, seed=3)
    assert list(many) == FIRST
    for method in FIRST:
        np.testing.assert_array_equal(many[method].values, attributer.explain(images, method, seed=3).values)


def test_predict_and_read(small_model, attributer, images):
    np.testing.assert_allclose(attributer.predict(images, batch_size=2), small_model(images), atol=1e-6)
    np.testing.assert_array_equal(attributer.read(images), images)


def test_gradcam_of_another_layer(attributer, images):
    coarse = attributer.explain(images, "gradcam", layer="conv1").values
    assert np.abs(coarse - attributer.explain(images, "gradcam").values).max() > 0


# ----------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:0], "empty batch"),
        (lambda x: [], "at least one image"),
        (lambda x: x[:, :16], r"\(N, 32, 32, 3\).*Received: \(9, 16, 32, 3\).*Resize"),
        (lambda x: x[..., :1], r"Grey images: repeat"),
        (lambda x: np.moveaxis(x, -1, 1), "Channels come last"),
        (lambda x: np.where(np.arange(9)[:, None, None, None] == 4, np.nan, x), r"NaN or infinity in image 4:"),
        (lambda x: np.where(np.arange(9)[:, None, None, None] >= 7, np.inf, x), r"images 7, 8:"),
        (lambda x: "no/such/file.jpg", "no such file"),
        (lambda x: [x[0], x[1][:5]], "one size"),
        (lambda x: np.array(["a"]), "numeric array"),
        (lambda x: x.astype(complex), "complex"),
    ],
)
def test_bad_images(attributer, images, change, message):
    with pytest.raises(AttribevalError, match=message):
        attributer.explain(change(images), "gradient")


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (7, r"0 to 6\. Received: 7 for image 0"),
        ([0] * 8 + [-1], "Received: -1 for image 8"),
        ([0, 1], "one class index or name, 9 of them"),
        (1.5, "float64"),
        (np.full((9, 7), 0.5), "single 1 per row"),
    ],
)
def test_bad_targets(attributer, images, targets, message):
    with pytest.raises(AttribevalError, match=message):
        attributer.explain(images, "gradient", targets)


def test_bad_method_options_and_backend(attributer, images):
    with pytest.raises(AttribevalError, match=r"Unknown method: 'gradcamm'\. Did you mean 'gradcam'"):
        attributer.explain(images, "gradcamm")
    with pytest.raises(AttribevalError, match=r"Unknown option of gradcam: 'layers'.*Valid names: align, layer"):
        attributer.explain(images, "gradcam", layers="conv1")
    with pytest.raises(AttribevalError, match=r"Unknown option of random: 'sigma'.*none"):
        attributer.explain(images, "random", sigma=1)
    with pytest.raises(AttribevalError, match="Unknown target layer: 'conv9'"):
        attributer.explain(images, "gradcam", layer="conv9")
    with pytest.raises(AttribevalError, match=r"Unknown backend: 'tf-keras-vis'.*'tf_keras_vis'"):
        attributer.explain(images, "gradcam", backend="tf-keras-vis")
    with pytest.raises(AttribevalError, match="method of backend tf_keras_vis"):
        attributer.explain(images, "sobel", backend="tf_keras_vis")
    with pytest.raises(AttribevalError, match="batch_size of 1"):
        attributer.explain(images, "gradient", batch_size=0)
    with pytest.raises(AttribevalError, match="at least one method"):
        attributer.explain_many(images, [])


def test_model_that_overflows_names_image_and_method(images):
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(2, kernel_initializer="ones")]
    )
    huge = images.copy()
    huge[3] = 3e38
    with pytest.raises(AttribevalError, match=r"from the model for image 3"):
        Attributer(model).explain(huge, "gradient", batch_size=2)

    class Root(keras.layers.Layer):
        def call(self, x):
            return keras.ops.sqrt(keras.ops.relu(x))

    steep = keras.Sequential([keras.Input((32, 32, 3)), Root(), keras.layers.Flatten(), keras.layers.Dense(2)])
    flat = np.abs(images) + 0.1
    flat[5] = 0  # √ has an infinite slope at 0
    with pytest.raises(AttribevalError, match=r"'gradient' gave a map that is not finite for image 5"):
        Attributer(steep).explain(flat, "gradient", 0, batch_size=2)


def test_a_score_without_a_derivative_is_said():
    class Step(keras.layers.Layer):
        def call(self, x):
            return keras.ops.cast(x > 0, "float32")

    model = keras.Sequential([keras.Input((32, 32, 3)), Step(), keras.layers.Flatten(), keras.layers.Dense(2)])
    with pytest.raises(AttribevalError, match="no derivative"):
        Attributer(model).explain(np.zeros((1, 32, 32, 3)), "gradient")


def test_the_next_images_are_read_and_the_last_maps_come_back_while_these_are_explained(
    attributer, images, monkeypatch
):
    """Micro-batches of 2, 2 and 1: each is read before its forerunner is asked for, and asked for before that ends."""
    read, asked = ([threading.Event() for _ in range(3)] for _ in range(2))
    events = []
    load, explain, write = ImageSource.load, explaining._explain_some, Collected._write

    def loaded(self, start, stop):
        found = load(self, start, stop)
        read[start // 2].set()
        return found

    def explained(batch, *given):
        k = batch.start // 2
        events.append(("asked", k == 2 or read[k + 1].wait(20)))
        asked[k].set()
        return explain(batch, *given)

    def written(self, arrays, label, start, part):
        events.append(("back", start == 4 or asked[start // 2 + 1].wait(20)))
        return write(self, arrays, label, start, part)

    monkeypatch.setattr(ImageSource, "load", loaded)
    monkeypatch.setattr(explaining, "_explain_some", explained)
    monkeypatch.setattr(Collected, "_write", written)
    whole = attributer.explain(images[:5], "gradient", 0, batch_size=2).values
    assert sorted(events) == [("asked", True)] * 3 + [("back", True)] * 3
    monkeypatch.undo()
    np.testing.assert_allclose(whole, attributer.explain(images[:5], "gradient", 0).values, atol=1e-6)


def test_out_of_memory_halves_the_batch_again_and_again_and_says_so(attributer, images, monkeypatch):

    whole = attributer.explain(images, "gradient", batch_size=8).values
    plain, limit, sizes = fields.gradient_and_scores, 4, []

    def limited(classifier, x, *args, **kwargs):
        sizes.append(len(x))
        if len(x) > limit:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return plain(classifier, x, *args, **kwargs)

    monkeypatch.setattr(fields, "gradient_and_scores", limited)
    with pytest.warns(UserWarning, match="going on with 4 images"):
        halved = attributer.explain(images, "gradient", batch_size=8).values
    assert sizes == [8, 4, 4, 1]
    np.testing.assert_allclose(halved, whole, atol=1e-5 * np.abs(whole).max())
    limit, sizes[:] = 1, []
    with pytest.warns(UserWarning, match="going on with 1 image at a time. Pass batch_size=1 "):
        attributer.explain(images[:5], "gradient", batch_size=4)
    assert sizes == [4, 2, 1, 1, 1, 1, 1]
    limit = 0
    with pytest.warns(UserWarning), pytest.raises(AttribevalError, match="Out of memory with 1 image at a time"):
        attributer.explain(images, "gradient", batch_size=8)


def test_predict_halves_the_batch_too(small_model, attributer, images, monkeypatch):
    classifier = attributer.classifier
    plain, sizes = classifier.forward, []

    def limited(x):
        sizes.append(len(x))
        if len(x) > 4:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return plain(x)

    monkeypatch.setattr(classifier, "forward", limited)
    with pytest.warns(UserWarning, match="going on with 4 images"):
        output = attributer.predict(images, batch_size=8)
    assert sizes == [8, 4, 4, 1]
    np.testing.assert_allclose(output, small_model(images), atol=1e-6)


@pytest.mark.parametrize(("precision", "digits"), [("bfloat16", 8), ("float16", 11)])
def test_half_precision_rounds_what_goes_into_products_and_nothing_else(precision, digits):
    """A linear net with random weights: score and gradient from rounded inputs and weights, summed in float32."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    net = [keras.Input((6, 6, 2)), layers.Conv2D(3, 6, use_bias=False), layers.Flatten(), layers.Dense(4)]
    model = keras.Sequential(net)
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 2)).astype(np.float32)
    kernel, dense = (np.asarray(w, np.float64) for w in (model.layers[0].kernel, model.layers[2].kernel))
    exact = np.einsum("hwck,kt->thwc", kernel[:, :, :, :], dense)
    attributer = Attributer(model, precision=precision)
    maps = attributer.explain(x, "gradient", [1, 3]).values
    unit = 2.0**-digits  # of one rounding, relative
    error = np.abs(maps - exact[[1, 3]]).max() / np.abs(exact).max()
    assert unit / 20 < error < 8 * unit
    scores, _ = attributer.answer(x)
    error = np.abs(scores - np.einsum("nhwc,thwc->nt", x, exact)).max()
    assert unit / 20 < error < 30 * unit
    full = Attributer(model).explain(x, "gradient", [1, 3]).values
    assert np.abs(full - exact[[1, 3]]).max() < 1e-6


def test_precisions_are_named_and_need_a_device(small_model):
    with pytest.raises(AttribevalError, match="precision"):
        Attributer(small_model, precision="float8")
    with pytest.raises(AttribevalError, match="GPU"):
        Attributer(small_model, precision="tf32")
    inputs = keras.Input((8, 8, 1))
    recurrent = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.LSTM(3)(keras.layers.Reshape((8, 8))(inputs))))
    with pytest.raises(AttribevalError, match="loops"):
        Attributer(recurrent, precision="bfloat16")


def test_an_old_gpu_has_no_bfloat16(monkeypatch, small_model):
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind=None: [gpu])
    gpu = tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")
    details = {"compute_capability": (7, 5), "device_name": "Tesla T4"}
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: details)
    for precision in ("tf32", "bfloat16"):
        with pytest.raises(AttribevalError, match=r"Tesla T4, .*'float32' or 'float16'"):
            Attributer(small_model, precision=precision)
    Attributer(small_model, precision="float16")


def test_float32_switches_tf32_off_in_our_calls_and_back(small_model, images, monkeypatch):
    seen, enabled = [], tf.config.experimental.tensor_float_32_execution_enabled
    attributer = Attributer(small_model)
    plain = attributer.classifier.prepare
    monkeypatch.setattr(attributer.classifier, "prepare", lambda raw: seen.append(enabled()) or plain(raw))
    assert enabled()  # TensorFlow's default
    attributer.explain(images[:2], "gradient")
    with pytest.raises(AttribevalError):
        attributer.explain(np.full_like(images[:1], 1e38) * 10, "gradient", 0)
    assert seen and not any(seen) and enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        attributer.explain(images[:2], "gradient")
        assert not enabled()
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(True)


def test_preprocessing_that_changes_the_shape(small_model, images):
    with pytest.raises(AttribevalError, match="keep the shape"):
        Attributer(small_model, preprocess=lambda x: x[:, :5]).explain(images, "gradient")


# --------------------------------------------------------------------------------------------------- Attributions


def test_heatmap_reductions_clip_and_normalise():
    values = np.array([[[[1.0, -2.0], [0.0, 0.0]], [[-4.0, 1.0], [3.0, 3.0]]]], dtype="float32")
    maps = Attributions(values, np.array([0]), "gradient")
    np.testing.assert_array_equal(maps.heatmap()[0], [[3, 0], [5, 6]])
    np.testing.assert_array_equal(maps.heatmap("abs_max")[0], [[2, 0], [4, 3]])
    np.testing.assert_array_equal(maps.heatmap("sum")[0], [[-1, 0], [-3, 6]])
    np.testing.assert_array_equal(maps.heatmap("positive_sum")[0], [[1, 0], [1, 6]])
    np.testing.assert_allclose(maps.heatmap("sum", normalise=True)[0], [[-1 / 6, 0], [-0.5, 1]])
    limit = np.percentile([1, 0, 3, 6], 50)
    np.testing.assert_allclose(maps.heatmap("sum", clip=50)[0], [[-1, 0], [-limit, limit]])
    sparse = np.zeros((1, 20, 20, 1), "float32")
    sparse[0, 3, 4] = 2  # the 99th percentile is 0: the one value must survive
    np.testing.assert_array_equal(Attributions(sparse, np.array([0]), "x").heatmap(clip=99)[0], sparse[0, ..., 0])
    zeros = Attributions(np.zeros((1, 2, 2, 1), "float32"), np.array([0]), "gradient")
    assert (zeros.heatmap(normalise=True) == 0).all()
    for bad in ({"reduce": "mean_abs"}, {"clip": 0}):
        with pytest.raises(AttribevalError):
            maps.heatmap(**bad)


def test_save_and_load(attributer, images, tmp_path):
    maps = attributer.explain(images, "gradcam", layer="conv1", seed=4)
    path = maps.save(tmp_path / "deep" / "maps")
    assert path.name == "maps.npz" and [p.name for p in path.parent.iterdir()] == ["maps.npz"]
    back = Attributions.load(path)
    np.testing.assert_array_equal(back.values, maps.values)
    np.testing.assert_array_equal(back.targets, maps.targets)
    options = {"layer": "conv1", "align": False}
    assert (back.method, back.options, back.seed, back.model) == ("gradcam", options, 4, "small")
    assert back.versions["tensorflow"] == tf.__version__
    np.testing.assert_array_equal(np.asarray(back), maps.values)
    assert len(back[2:5]) == 3 and len(back[0]) == 1
    np.testing.assert_array_equal(back[[3, 1]].values, maps.values[[3, 1]])
    (tmp_path / "other.npz").write_bytes(b"junk")
    with pytest.raises(AttribevalError, match=r"other\.npz"):
        Attributions.load(tmp_path / "other.npz")


def test_options_are_frozen():
    with pytest.raises(AttributeError):
        build_method("gradcam").layer = "x"
