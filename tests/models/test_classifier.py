"""A model as a classifier: logits through every kind of head, target layers, preprocessing, and hands off the model."""

from __future__ import annotations

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from attribeval import AttribevalError
from attribeval.models import fields
from attribeval.models.classifier import Classifier
from attribeval.models.preprocessing import NAMES, find_preprocessing
from attribeval.models.reading import Reading
from attribeval.models.zoo import load_classifier

X = np.random.default_rng(0).normal(size=(4, 12, 12, 3)).astype("float32")


def _features(x):
    x = keras.layers.Conv2D(5, 3, activation="relu", name="conv")(x)
    return keras.layers.GlobalAveragePooling2D(name="gap")(x)


def _headed(head):
    """A model with this head, and the logits that we know it has."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12, 12, 3))
    logits = keras.layers.Dense(4, name="logits", bias_initializer="normal")(_features(inputs))
    return keras.Model(inputs, head(logits)), keras.Model(inputs, logits)


HEADS = {
    "softmax layer": keras.layers.Softmax(),
    "activation layer": keras.layers.Activation("softmax"),
    "op": keras.ops.softmax,
    "nested": keras.Sequential([keras.layers.Identity(), keras.layers.Softmax()]),
    "twice nested": keras.Sequential([keras.Sequential([keras.layers.Activation("softmax")])]),
    "reshaped after": lambda z: keras.layers.Reshape((4,))(keras.layers.Softmax()(z)),
    "sigmoid": keras.layers.Activation("sigmoid"),
    "none": lambda z: z,
}


@pytest.mark.parametrize("name", HEADS)
def test_logits_are_what_went_into_the_link_function(name):
    model, truth = _headed(HEADS[name])
    classifier = Classifier(model)
    scores, output = classifier.forward(tf.constant(X))
    np.testing.assert_allclose(scores, truth(X), atol=1e-6)
    np.testing.assert_allclose(output, model(X), atol=1e-6)
    assert classifier.link == {"sigmoid": "sigmoid", "none": None}.get(name, "softmax")


def test_softmax_inside_the_dense_layer():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((12, 12, 3))
    dense = keras.layers.Dense(4, activation="softmax", bias_initializer="normal")
    features = _features(inputs)
    model = keras.Model(inputs, dense(features))
    expected = keras.Model(inputs, features)(X).numpy() @ dense.kernel.numpy() + dense.bias.numpy()
    np.testing.assert_allclose(Classifier(model).forward(tf.constant(X))[0], expected, atol=1e-6)


def test_subclassed_model_with_softmax_in_call():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.conv = keras.layers.Conv2D(5, 3, name="conv")
            self.dense = keras.layers.Dense(4, name="dense")

        def logits(self, x):
            return self.dense(keras.ops.mean(keras.ops.relu(self.conv(x)), axis=(1, 2)))

        def call(self, x):
            return keras.ops.softmax(self.logits(x))

    net = Net()
    net(X)
    classifier = Classifier(net)
    np.testing.assert_allclose(classifier.forward(tf.constant(X))[0], net.logits(X), atol=1e-6)
    assert classifier.target_layer == "conv:Relu"  # the last picture, though no layer gives it
    assert classifier.input_shape == (12, 12, 3)


class InAFunction(keras.layers.Layer):
    """Leaky, in a `tf.function` of its own."""

    def __init__(self, slope):
        super().__init__()
        self._call = tf.function(lambda x: tf.nn.leaky_relu(x, slope))

    def call(self, x):
        return self._call(x)


@pytest.mark.parametrize("leaky", [keras.layers.LeakyReLU, InAFunction])
@pytest.mark.parametrize("slope", [0.1, 0.3])
def test_compiled_scores_of_a_residual_leaky_relu_are_right(slope, leaky):
    """TensorFlow 2.21 fuses this pattern with a slope of 0.2 on the CPU unless it is told not to."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, padding="same", bias_initializer="normal")(inputs)
    y = layers.Conv2D(8, 3, padding="same", bias_initializer="normal")(x)
    x = leaky(slope)(layers.Add()([x, y]))
    model = keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))
    np.testing.assert_allclose(Classifier(model).forward(tf.constant(X))[0], model(X), atol=1e-5)
    assert tf.config.optimizer.get_experimental_options().get("remapping", True)


def test_score_output_explains_the_probability():
    model, _ = _headed(HEADS["softmax layer"])
    scores, _ = Classifier(model, reading=Reading(score="output")).forward(tf.constant(X))
    np.testing.assert_allclose(scores, model(X), atol=1e-6)


def test_probabilities_made_out_of_sight_are_refused_with_the_remedy():
    model, _ = _headed(lambda z: keras.ops.exp(z) / keras.ops.sum(keras.ops.exp(z), axis=-1, keepdims=True))
    with pytest.raises(AttribevalError, match="score='output'"):
        Classifier(model)
    assert Classifier(model, reading=Reading(score="output")).classes == 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(2, 3)]), r"output \(None, 6, 6, 2\)"),
        (lambda: keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)]), "image input"),
        (lambda: keras.Sequential([keras.layers.Dense(2)]), "built model"),
        (lambda: object(), "keras.Model"),
        (
            lambda: keras.Model(
                [a := keras.Input((8, 8, 3)), b := keras.Input((8, 8, 3))], keras.layers.Flatten()(a + b)
            ),
            "one input",
        ),
        (
            lambda: keras.Model(
                a := keras.Input((8, 8, 3)), [keras.layers.Flatten()(a), keras.layers.GlobalMaxPooling2D()(a)]
            ),
            "one output",
        ),
    ],
)
def test_what_is_no_image_classifier_is_refused(make, message):
    with pytest.raises(AttribevalError, match=message):
        Classifier(make())


@pytest.mark.parametrize(
    ("builder", "layer", "size"),
    [("VGG16", "block5_conv3", 224), ("ResNet50", "conv5_block3_out", 224), ("InceptionV3", "mixed10", 299)],
)
def test_target_layer_of_the_named_architectures_is_found_without_their_name(builder, layer, size):
    """By the rule for any model, not by the table of named networks."""
    classifier = Classifier(getattr(keras.applications, builder)(weights=None))
    assert classifier.target_layer == layer
    assert classifier.input_shape == (size, size, 3)


def test_target_layer_in_a_nested_model_by_name_and_by_path(small_model):
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, small_model(keras.layers.RandomFlip()(inputs)))
    classifier = Classifier(model)
    assert classifier.target_layer == "small/conv2"
    for given in ("conv1", "small/conv1"):
        assert Classifier(model, target_layer=given).target_layer == "small/conv1"
    with pytest.raises(AttribevalError, match="'conv1'"):
        Classifier(model, target_layer="conv_1")
    with pytest.raises(AttribevalError, match=r"spatial output.*'gap'"):
        Classifier(model, target_layer="gap")


def test_a_name_that_occurs_twice_needs_its_path():
    def part(name):
        conv = keras.layers.Conv2D(3, 3, padding="same", name="c")
        return keras.Sequential([keras.Input((8, 8, 3)), conv], name=name)

    inputs = keras.Input((8, 8, 3))
    outputs = keras.layers.Flatten()(part("two")(part("one")(inputs)))
    model = keras.Model(inputs, outputs)
    with pytest.raises(AttribevalError, match=r"one/c.*two/c"):
        Classifier(model, target_layer="c")
    assert Classifier(model, target_layer="one/c").target_layer == "one/c"


@pytest.mark.parametrize("before", [[], [keras.layers.Rescaling(2.0)]])
def test_no_spatial_layer_is_no_error_until_a_map_needs_one(before):
    model = keras.Sequential([keras.Input((8, 8, 3)), *before, keras.layers.Flatten(), keras.layers.Dense(3)])
    classifier = Classifier(model)
    assert classifier.target_layer is None
    x = tf.zeros((1, 8, 8, 3))
    assert fields.gradient(classifier, x, tf.constant([0])).shape == x.shape
    with pytest.raises(AttribevalError, match="no layer with a spatial output"):
        fields.activations_and_gradient(classifier, x, tf.constant([0]))


def test_the_users_model_is_left_as_it_was(small_model):
    call = keras.layers.Layer.__call__
    before = [small_model.to_json(), *[w.copy() for w in small_model.get_weights()]]
    attributes = [dict(layer.__dict__).keys() for layer in small_model.layers]
    inner = small_model.get_layer("relu1").output
    classifier = Classifier(small_model)
    fields.gradient(classifier, tf.zeros((2, 32, 32, 3)), tf.constant([0, 1]))
    fields.activations_and_gradient(classifier, tf.zeros((2, 32, 32, 3)), tf.constant([0, 1]))
    assert keras.layers.Layer.__call__ is call
    assert small_model.to_json() == before[0]
    for now, then in zip(small_model.get_weights(), before[1:], strict=True):
        np.testing.assert_array_equal(now, then)
    assert [dict(layer.__dict__).keys() for layer in small_model.layers] == attributes
    assert small_model.get_layer("relu1").output is inner  # no second inbound node


def test_listening_ends_when_the_model_fails():
    class Broken(keras.layers.Layer):
        broken = False

        def call(self, x):
            if Broken.broken:
                raise RuntimeError("broken on purpose")
            return x

    model = keras.Sequential([keras.Input((8, 8, 3)), Broken(), keras.layers.Flatten()])
    Broken.broken = True
    call = keras.layers.Layer.__call__
    with pytest.raises(RuntimeError, match="on purpose"):
        Classifier(model)
    assert keras.layers.Layer.__call__ is call


def test_later_training_is_seen_because_weights_are_shared():
    model, _ = _headed(HEADS["softmax layer"])
    classifier = Classifier(model)
    before = fields.gradient(classifier, tf.constant(X), tf.constant([0] * 4)).numpy()
    kernel = model.get_layer("logits").kernel
    kernel.assign(kernel * 2)
    after = fields.gradient(classifier, tf.constant(X), tf.constant([0] * 4)).numpy()
    np.testing.assert_allclose(after, 2 * before, rtol=1e-5, atol=1e-8)


def test_fingerprint_follows_the_weights():
    model, _ = _headed(HEADS["none"])
    classifier = Classifier(model)
    first = classifier.fingerprint()
    assert Classifier(model).fingerprint() == first
    model.get_layer("logits").bias.assign_add([1e-6, 0, 0, 0])
    assert classifier.fingerprint() != first


@pytest.mark.parametrize("module", ["vgg16", "resnet50", "inception_v3", "mobilenet", "densenet", "efficientnet"])
def test_preprocessing_agrees_with_keras_applications(module):
    raw = np.random.default_rng(0).uniform(0, 255, size=(2, 9, 9, 3)).astype("float32")
    kept = raw.copy()
    ours = NAMES[module](raw)
    theirs = getattr(keras.applications, module).preprocess_input(raw.copy())
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    np.testing.assert_array_equal(raw, kept)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(NAMES[module](tf.constant(raw)), theirs, atol=1e-4)


def test_channels_of_a_bgr_network_are_put_back():
    maps = np.arange(6, dtype="float32").reshape(1, 1, 2, 3)
    np.testing.assert_array_equal(NAMES["caffe"].restore_channels(maps)[0, 0, 0], [2, 1, 0])
    np.testing.assert_array_equal(NAMES["tf"].restore_channels(maps), maps)
    np.testing.assert_array_equal(NAMES["caffe"].restore_channels(maps[..., :1]), maps[..., :1])


def test_unknown_preprocessing_lists_the_nearest():
    with pytest.raises(AttribevalError, match="'mobilenet'"):
        find_preprocessing("mobilnet")
    with pytest.raises(AttribevalError, match="name, a function or None"):
        find_preprocessing(3)


def test_conventions_of_colour_images_are_refused_by_a_grey_model():
    grey = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    raw = np.full((1, 8, 8, 1), 100, np.float32)
    for name, convention in NAMES.items():
        if len(convention.mean) == 3:
            with pytest.raises(AttribevalError, match=r"with 3 channels for preprocess=.*with 1: .* none, unit, tf,"):
                Classifier(grey, preprocess=name)
        else:
            shown = Classifier(grey, preprocess=name).prepare(raw)
            expected = {"unit": 100 / 255, "tf": 100 / 127.5 - 1}.get(convention.name, 100)
            np.testing.assert_allclose(shown, np.full((1, 8, 8, 1), expected), rtol=1e-5)


def test_weights_that_cannot_be_downloaded(monkeypatch):
    def no_network(*args, **kwargs):
        raise Exception("URL fetch failure on https://example.invalid/vgg16.h5: None -- Name or service not known")

    monkeypatch.setattr(keras.applications, "VGG16", no_network)
    with pytest.raises(AttribevalError, match=r"Could not download.*weights='/path/to/vgg16"):
        load_classifier("vgg16")


def test_weights_from_a_file(tmp_path):
    from attribeval.models import zoo

    with pytest.raises(AttribevalError, match="no file"):
        load_classifier("vgg16", weights=tmp_path / "missing.h5")
    (tmp_path / "bad.weights.h5").write_bytes(b"not weights")
    with pytest.raises(AttribevalError, match=r"Could not load .*bad.weights.h5 into ResNet50"):
        load_classifier("resnet50", weights=tmp_path / "bad.weights.h5")
    assert set(zoo.NETWORKS) == {"vgg16", "inception_v3", "resnet50"}


def test_model_files(tmp_path, small_model):
    for suffix in (".keras", ".h5"):
        path = tmp_path / f"net{suffix}"
        small_model.save(path)
        classifier = load_classifier(path)
        x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
        np.testing.assert_allclose(classifier.forward(tf.constant(x))[1], small_model(x), atol=1e-5)
        assert classifier.name == "net"
    with pytest.raises(AttribevalError, match="does not exist"):
        load_classifier(tmp_path / "nothing.keras")
    with pytest.raises(AttribevalError, match="'resnet50'"):
        load_classifier("resnet-50")
    with pytest.raises(AttribevalError, match=r"\.keras or \.h5"):
        load_classifier(str(tmp_path / "net.pt"))


def test_a_file_of_a_newer_keras_names_both_versions_and_what_is_refused(tmp_path, small_model):
    small_model.save(tmp_path / "net.keras")
    with zipfile.ZipFile(tmp_path / "net.keras") as saved, zipfile.ZipFile(tmp_path / "new.keras", "w") as new:
        for name in saved.namelist():
            content = saved.read(name)
            if name == "config.json":
                content = content.replace(b'"filters": 8', b'"filters": 8, "of_the_future": 1')
            new.writestr(name, json.dumps({"keras_version": "99.1.0"}) if name == "metadata.json" else content)
    with pytest.raises(AttribevalError) as caught:
        load_classifier(tmp_path / "new.keras")
    message = str(caught.value)
    assert "saved by Keras 99.1.0" in message and f"installed is {keras.__version__}" in message
    assert "of_the_future" in message and "build_config" not in message and len(message) < 900
    (tmp_path / "broken.h5").write_bytes(b"no model")
    with pytest.raises(AttribevalError, match=rf"Installed is Keras {keras.__version__}"):
        load_classifier(tmp_path / "broken.h5")


def test_unsafe_files_are_not_run(tmp_path):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Flatten()(keras.layers.Lambda(lambda x: x * 2)(inputs)))
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(AttribevalError, match=r"safe mode.*load it yourself"):
        load_classifier(tmp_path / "lambda.keras")
