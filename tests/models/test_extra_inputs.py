"""Models with several inputs: the image is explained, the others stand beside it, each image's own, and do not move."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import forks
from helpers.contract import MAY_BE_CONSTANT, NAMES, close
from scipy.ndimage import gaussian_filter

from attribeval import Attributer, Evaluator
from attribeval.attributions import Attributions
from attribeval.cli import main
from attribeval.datasets import Samples
from attribeval.errors import AttribevalError

L = keras.layers
SIZE = 12
AGES = np.array([0.7, 0.7, -1.5, 0.2, 2.0], np.float32)
TARGETS = [0, 1, 2, 3, 1]
QUIET = {"progress": False}


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(5).normal(size=(5, SIZE, SIZE, 3))
    return (gaussian_filter(noise, (0, 1, 1, 0)) * 4).astype(np.float32)


class Clinic:
    """Layers whose score has products of image and age, and both side by side."""

    def __init__(self):
        bias = {"bias_initializer": "normal"}
        first = L.Conv2D(6, 3, padding="same", activation="relu", **bias)
        last = L.Conv2D(6, 3, activation="relu", name="last", **bias)
        self.body = keras.Sequential([keras.Input((SIZE, SIZE, 3)), first, last])
        self.gate, self.hidden = L.Dense(6, **bias), L.Dense(8, activation="relu", **bias)
        self.head = L.Dense(4, **bias)

    def of_activations(self, activations, age):
        features = keras.ops.mean(activations, axis=(1, 2))
        both = keras.ops.concatenate([features * self.gate(age), features, age], axis=1)
        return self.head(self.hidden(both))

    def twin(self, age):
        """The model of an image alone, with the age built in."""
        image = keras.Input((SIZE, SIZE, 3))
        constant = keras.ops.zeros_like(image[:, 0, 0, :1]) + float(age)
        return keras.Model(image, self.of_activations(self.body(image), constant))


@pytest.fixture(scope="module")
def clinic():
    keras.utils.set_random_seed(3)
    return Clinic()


@pytest.fixture(scope="module")
def net(clinic):
    image, age = keras.Input((SIZE, SIZE, 3), name="image"), keras.Input((1,), name="age")
    return keras.Model({"image": image, "age": age}, clinic.of_activations(clinic.body(image), age), name="clinic")


@pytest.fixture(scope="module")
def attributer(net):
    return Attributer(net, inputs="image")


@pytest.fixture(scope="module")
def twins(clinic):
    return {age: Attributer(clinic.twin(age)) for age in set(AGES.tolist())}


def slow_gradient(net, x, age, target):
    x, age = tf.constant(x[None]), tf.constant([[age]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        score = net({"image": x, "age": age})[0, target]
    return tape.gradient(score, x).numpy()[0]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_gradients_are_those_of_each_image_beside_its_own_value(net, attributer, images, batch_size):
    ours = attributer.explain(images, "gradient", TARGETS, extra={"age": AGES}, batch_size=batch_size, **QUIET).values
    theirs = np.stack([slow_gradient(net, *one) for one in zip(images, AGES, TARGETS, strict=True)])
    np.testing.assert_allclose(ours, theirs, atol=1e-6 * np.abs(theirs).max())
    other = attributer.explain(images, "gradient", TARGETS, extra={"age": 0.7}, **QUIET).values
    np.testing.assert_allclose(other[:2], theirs[:2], atol=1e-6 * np.abs(theirs).max())
    assert np.abs(other[2] - theirs[2]).max() > 0.1 * np.abs(theirs[2]).max()


def test_integrated_gradients_go_along_the_image_alone(net, attributer, images):
    maps = attributer.explain(images, "integrated_gradients", TARGETS, extra={"age": AGES}, steps=8, **QUIET)
    nodes, weights = np.polynomial.legendre.leggauss(8)
    for i, (x, age, target) in enumerate(zip(images, AGES, TARGETS, strict=True)):
        slopes = [slow_gradient(net, ((node + 1) / 2 * x).astype(np.float32), age, target) for node in nodes]
        theirs = sum(w / 2 * slope for w, slope in zip(weights, slopes, strict=True)) * x
        np.testing.assert_allclose(maps.values[i], theirs, atol=1e-5 * np.abs(theirs).max())


@pytest.mark.parametrize("method", ["integrated_gradients(steps=200)", "deeplift"])
def test_shares_add_up_to_what_the_image_adds_at_its_own_value(net, attributer, images, method):
    maps = attributer.explain(images, method, TARGETS, extra={"age": AGES}, **QUIET)
    full, none = (net({"image": x, "age": AGES[:, None]}).numpy() for x in (images, 0 * images))
    wanted = (full - none)[np.arange(5), TARGETS]
    np.testing.assert_allclose(maps.values.sum((1, 2, 3)), wanted, atol=5e-3 * np.abs(wanted).max())


def test_gradcam_of_the_named_tensor(clinic, attributer, images):
    maps = attributer.explain(images, "gradcam", TARGETS, extra={"age": AGES}, **QUIET).values
    assert attributer.classifier.target_layer.endswith("last")
    for i, (x, age, target) in enumerate(zip(images, AGES, TARGETS, strict=True)):
        activations = clinic.body(x[None])
        with tf.GradientTape() as tape:
            tape.watch(activations)
            score = clinic.of_activations(activations, tf.constant([[age]]))[0, target]
        weights = tf.reduce_mean(tape.gradient(score, activations), (1, 2), keepdims=True)
        cam = tf.nn.relu(tf.reduce_sum(weights * activations, -1, keepdims=True))
        cam = tf.image.resize(cam, (SIZE, SIZE))[0].numpy()
        np.testing.assert_allclose(maps[i], cam, atol=1e-5 * max(np.abs(cam).max(), 1e-6))


REFUSED = {"cam": "global average pooling and one linear layer"}


@pytest.mark.parametrize("name", NAMES)
def test_every_method_beside_a_second_input_is_that_of_the_model_with_the_value_built_in(
    name, attributer, twins, images
):
    ask = {"seed": 3, **QUIET}
    method = name.partition("(")[0]
    if method in REFUSED:
        with pytest.raises(AttribevalError, match=REFUSED[method]):
            attributer.explain(images[:3], name, TARGETS[:3], extra={"age": AGES[:3]}, **ask)
        return
    maps = attributer.explain(images[:3], name, TARGETS[:3], extra={"age": AGES[:3]}, batch_size=3, **ask).values
    assert np.isfinite(maps).all() and (method in MAY_BE_CONSTANT or np.abs(maps).max() > 0)
    close(attributer.explain(images[[2]], name, 2, extra={"age": AGES[2]}, **ask).values, maps[[2]], name)
    for i in range(3):
        theirs = twins[float(AGES[i])].explain(images[[i]], name, TARGETS[i], **ask).values
        np.testing.assert_allclose(maps[[i]], theirs, atol=1e-4 * max(np.abs(theirs).max(), 1e-20))


def test_answers_and_predicted_classes_are_those_beside_each_images_own_value(net, attributer, images):
    logits = net({"image": images, "age": AGES[:, None]}).numpy()
    scores, probabilities = attributer.answer(images, extra={"age": AGES}, batch_size=2)
    np.testing.assert_allclose(scores, logits, atol=1e-5)
    np.testing.assert_allclose(probabilities, keras.ops.softmax(logits), atol=1e-5)
    np.testing.assert_allclose(
        attributer.predict(images, extra={"age": AGES[:, None]}, batch_size=2), logits, atol=1e-5
    )
    far = np.array([-9.0, 0.0, 9.0, -9.0, 9.0])  # where the age decides
    wanted = net({"image": images, "age": far[:, None]}).numpy().argmax(1)
    assert len(set(wanted)) > 1
    for method in ("random", "gradcam", "sobel"):  # random and sobel ask the model about nothing but the class
        maps = attributer.explain(images, method, extra={"age": far}, batch_size=3, **QUIET)
        np.testing.assert_array_equal(maps.targets, wanted)


def test_several_targets_of_each_image_and_several_methods(net, attributer, images):
    both = np.array([[0, 1], [1, 2], [2, 3], [3, 0], [0, 2]])
    maps = attributer.explain_many(images, ["gradient", "gradcam"], both, extra={"age": AGES}, **QUIET)
    for k, (i, t) in enumerate(zip(np.repeat(np.arange(5), 2), both.ravel(), strict=True)):
        theirs = slow_gradient(net, images[i], AGES[i], t)
        np.testing.assert_allclose(maps["gradient"].values[k], theirs, atol=1e-6 * np.abs(theirs).max())


def test_several_devices_give_the_maps_of_one(tmp_path):
    script = """
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from attribeval import Attributer
L = keras.layers
keras.utils.set_random_seed(0)
image, age = keras.Input((8, 8, 3), name="image"), keras.Input((1,), name="age")
x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3, activation="relu")(image))
net = keras.Model([image, age], L.Dense(3)(L.Concatenate()([x * age, age, x])))
rng = np.random.default_rng(0)
X, extra = rng.normal(size=(17, 8, 8, 3)).astype("float32"), {"age": rng.integers(-3, 3, 17)}
one, both = (Attributer(net, inputs=0, batch_size=3, strategy=s) for s in (None, "mirrored"))
for method in ("gradient", "deeplift", "random"):
    a, b = (each.explain(X, method, extra=extra, progress=False) for each in (one, both))
    assert np.array_equal(a.targets, b.targets)
    assert np.abs(a.values - b.values).max() <= 1e-5 * np.abs(a.values).max(), method
assert np.abs(one.predict(X, extra=extra) - both.predict(X, extra=extra)).max() < 1e-5
slow = [net([X[i : i + 1], np.float32([[extra["age"][i]]])]).numpy()[0] for i in range(17)]
assert np.abs(both.predict(X, extra=extra) - slow).max() < 1e-5
"""
    done = forks.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_second_picture_an_index_and_a_yes_or_no_stand_beside_the_image(images):
    keras.utils.set_random_seed(1)
    now, before = keras.Input((SIZE, SIZE, 3), name="now"), keras.Input((SIZE, SIZE, 3), name="before")
    ward, acute = keras.Input((), dtype="int32", name="ward"), keras.Input((1,), dtype="bool", name="acute")
    conv = L.Conv2D(4, 3, activation="relu")
    features = L.GlobalAveragePooling2D()(conv(now) * conv(before))
    embedded = L.Embedding(5, 4)(ward)
    net = keras.Model([before, now, ward, acute], L.Dense(3)(features * embedded) + keras.ops.cast(acute, "float32"))
    attributer = Attributer(net, inputs="now")
    assert attributer.classifier.extra.names == ["before", "ward", "acute"]
    extra = {"before": images[::-1], "ward": [0, 4, 4, 2, 1], "acute": [True, False, True, True, False]}
    maps = attributer.explain(images, "gradient", [0, 1, 2, 1, 2], extra=extra, **QUIET)
    for i, target in enumerate([0, 1, 2, 1, 2]):
        x = tf.constant(images[i : i + 1])
        with tf.GradientTape() as tape:
            tape.watch(x)
            ward, acute = tf.constant(extra["ward"][i : i + 1], tf.int32), tf.constant([[extra["acute"][i]]])
            given = [tf.constant(images[::-1][i : i + 1]), x, ward, acute]
            score = net(given)[0, target]
        theirs = tape.gradient(score, x).numpy()[0]
        np.testing.assert_allclose(maps.values[i], theirs, atol=1e-6 * np.abs(theirs).max())
    for name, value, said in [
        ("ward", [0, 1, 2, 2.5, 1], r"Expected int32 values as extra\['ward'\]. Received \[2.5\] for image 3"),
        ("acute", [0, 1, 2, 0, 1], r"bool values as extra\['acute'\]. Received \[2\] for image 2"),
        ("before", images[:, :6], r"extra\['before'\] of shape \(5, 12, 12, 3\)"),
    ]:
        with pytest.raises(AttribevalError, match=said):
            attributer.explain(images, "gradient", extra={**extra, name: value}, **QUIET)


@pytest.mark.parametrize("wrap", [lambda x: {"image": x}, lambda x: [x]])
def test_one_input_in_a_dictionary_or_a_list_needs_no_name(wrap, images):
    keras.utils.set_random_seed(2)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    y = L.Dense(4)(L.GlobalAveragePooling2D()(L.Conv2D(3, 3, activation="relu")(image)))
    bare, wrapped = Attributer(keras.Model(image, y)), Attributer(keras.Model(wrap(image), y))
    theirs, ours = (one.explain(images, "gradient", TARGETS, **QUIET) for one in (bare, wrapped))
    np.testing.assert_array_equal(ours.values, theirs.values)
    assert ours.image_input is None
    with pytest.raises(AttribevalError, match=r"Expected no extra: model .* has no input beside the image"):
        wrapped.explain(images, "gradient", extra={"age": 1})


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (None, r"inputs= to name the image of several. Received inputs 'age' \(None, 1\), 'image' \(None, 12, 12, 3\): "
               r"Attributer\(model, inputs='image'\), and extra=\{\"age\": ...\}"),
        ("scan", "Expected inputs to name one of 'age'.*Received: 'scan'"),
        (2, "Expected inputs from 0 to 1"),
        ("age", "Expected an image input"),
    ],
)  # fmt: skip
def test_which_input_is_the_image(net, inputs, said):
    with pytest.raises(AttribevalError, match=said):
        Attributer(net, inputs=inputs)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (None, r"Expected extra=\{\"age\": ...\}: beside the image, model 'clinic' takes 'age' \(1,\). Received none."),
        ({}, "Received none for 'age'"),
        (AGES, "Received: ndarray"),
        ({"age": AGES, "sex": 1}, "Unknown extra input: 'sex'. Valid names: age"),
        ({"age": AGES[:4]}, r"Expected extra\['age'\] of shape \(5, 1\), a row for each image, or \(1,\).*\(4,\)"),
        ({"age": np.ones((5, 2))}, r"Received: \(5, 2\)"),
        ({"age": [1, 2, np.nan, 4, 5]}, r"finite values as extra\['age'\]. Received \[nan\] for image 2"),
        ({"age": [1, 2, 1e300, 4, 5]}, "for image 2"),
        ({"age": ["old"] * 5}, r"real numbers as extra\['age'\]"),
        ({"age": [[1], [1, 2]]}, r"extra\['age'\] as one array"),
    ],
)
def test_bad_values_are_refused_by_name(attributer, images, extra, said):
    for call in (
        lambda: attributer.explain(images, "gradient", extra=extra),
        lambda: attributer.predict(images, extra=extra),
    ):
        with pytest.raises(AttribevalError, match=said):
            call()


def test_libraries_and_calls_without_values_say_so(attributer, images):
    with pytest.raises(AttribevalError, match=r"one input for backend='tf_keras_vis'.*'age' beside the image"):
        attributer.explain(images, "gradient", extra={"age": AGES}, backend="tf_keras_vis")
    with pytest.raises(AttribevalError, match="explain, explain_many, predict and answer of an Attributer take extra="):
        attributer.classifier.forward(tf.constant(images))


def test_saved_maps_and_repr_say_which_input(attributer, images, tmp_path):
    maps = attributer.explain(images, "gradient", TARGETS, extra={"age": AGES}, **QUIET)
    assert "input 'image'" in repr(maps)
    assert Attributions.load(maps.save(tmp_path / "maps.npz")).image_input == "image"
    assert "input 'image' beside 'age'" in repr(attributer)
    assert "image, 12 × 12 × 3; beside it age" in attributer._repr_html_()


@pytest.mark.parametrize("study", ["compare", "wsol", "sanity"])
def test_studies_say_what_to_do(attributer, images, study):
    samples = Samples(images, np.array(TARGETS), boxes=[np.array([[0.1, 0.2, 0.6, 0.8]])] * 5)
    with pytest.raises(AttribevalError, match="as the studies of an Evaluator, build one value in"):
        getattr(Evaluator(attributer, samples), study)(["gradient"], **QUIET)


def test_command_line(net, images, tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    net.save("clinic.keras")
    files = [f"{i}.png" for i in range(3)]
    for image, file in zip(images, files, strict=False):
        Image.fromarray(np.uint8(np.clip(image * 40 + 128, 0, 255))).save(file)
    np.savez("extra.npz", age=AGES[:3])
    words = ["explain", *files, "--model", "clinic.keras", "--inputs", "image", "--method", "gradient", "-o", "out"]
    assert main([*words, "--extra", "extra.npz"]) == 0
    theirs = Attributer(net, inputs="image").explain(files, "gradient", extra={"age": AGES[:3]}, **QUIET)
    for i in range(3):
        maps = Attributions.load(next((tmp_path / "out" / "gradient").glob(f"*{i}*.npz")))
        np.testing.assert_allclose(maps.values[0], theirs.values[i], atol=1e-6 * np.abs(theirs.values).max())
        np.testing.assert_allclose(maps.probabilities[0], theirs.probabilities[i], atol=1e-6)
        assert maps.image_input == "image"
    (tmp_path / "no.npz").write_text("no")
    assert main(words) == main([*words, "--extra", "no.npz"]) == 2
