"""The field's libraries behind `backend=`, held against our own methods and each other; and the crosscheck."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers import forks

from attribeval import AttribevalError, Attributer
from attribeval.backends.registry import BACKENDS
from attribeval.crosscheck import agreement, crosscheck, example_images

LAYERS = keras.layers


def close(ours: np.ndarray, theirs: np.ndarray, tolerance: float) -> None:
    """Equal to a part of the range of our map."""
    np.testing.assert_allclose(theirs, ours, atol=tolerance * np.ptp(ours))


def chain(*layers, head: str | None = "softmax", size: int = 32) -> keras.Model:
    """A small net: these layers, then global average pooling and two dense layers."""
    from helpers.nets import randomise_batch_norm

    keras.utils.set_random_seed(2)
    tail = [LAYERS.GlobalAveragePooling2D(), LAYERS.Dense(9, activation="relu"), LAYERS.Dense(4, activation=head)]
    return randomise_batch_norm(keras.Sequential([keras.Input((size, size, 3)), *layers, *tail]))


def convertible(pooling: str) -> keras.Model:
    """Everything that the deeplift package can convert, with sizes that pooling does not divide."""
    pools = {
        "average": LAYERS.AveragePooling2D(3, 2, padding="same"),
        "max": LAYERS.MaxPooling2D(3, 2),
    }
    return chain(
        LAYERS.Conv2D(6, 3, use_bias=False),
        LAYERS.BatchNormalization(scale=False),
        LAYERS.ReLU(),
        pools[pooling],
        LAYERS.Dropout(0.5),
        keras.Sequential([LAYERS.Conv2D(5, 3, strides=2)]),
        LAYERS.Activation("tanh"),
    )


@pytest.fixture(scope="module")
def mobile():
    """Like MobileNet: depthwise separable convolutions, BatchNorm, ReLU6; functional, with a shortcut."""
    from helpers.nets import randomise_batch_norm

    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3))
    x = LAYERS.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(inputs)
    x = LAYERS.ReLU(6.0)(LAYERS.BatchNormalization()(x))
    shortcut = x
    x = LAYERS.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
    x = LAYERS.ReLU(6.0)(LAYERS.BatchNormalization()(x))
    x = LAYERS.BatchNormalization()(LAYERS.Conv2D(8, 1, use_bias=False)(x))
    x = LAYERS.Add(name="mixed")([x, shortcut])
    x = LAYERS.GlobalAveragePooling2D()(x)
    return randomise_batch_norm(keras.Model(inputs, LAYERS.Dense(5, activation="softmax")(x)))


# ------------------------------------------------------------------------------------------------------ tf_keras_vis


@pytest.mark.parametrize("method", ["gradient", "gradcam"])
def test_tf_keras_vis_agrees_on_a_small_mobile_net(mobile, images, method):
    attributer = Attributer(mobile)
    ours = attributer.explain(images, method, batch_size=4)
    theirs = attributer.explain(images, method, batch_size=4, backend="tf_keras_vis")
    assert np.ptp(ours.values) > 0
    close(ours.values, theirs.values, 1e-4)


# -------------------------------------------------------------------------------------------------------------- lime


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fill": "mean", "segmentation": "grid", "segments": 9, "kernel_width": 0.4},
        {"fill": "blur", "alpha": 0.1, "distance": "euclidean"},
        {"fill": (1.0, 0.0, -1.0), "segmentation": "quickshift"},
    ],
)
def test_the_lime_package_agrees_on_the_same_segments_masks_and_fills(small_model, images, options):
    attributer = Attributer(small_model)
    ours = attributer.explain(images[:3], "lime", samples=150, seed=5, **options)
    theirs = attributer.explain(images[:3], "lime", samples=150, seed=5, backend="lime", **options)
    np.testing.assert_allclose(theirs.values, ours.values, atol=1e-6)
    close(ours.values, theirs.values, 1e-4)


def test_the_lime_package_is_silent(small_model, images, capfd):
    Attributer(small_model).explain(images[:1], "lime", samples=20, backend="lime", progress=False)
    out, err = capfd.readouterr()
    assert "%" not in out + err and "it/s" not in out + err


# -------------------------------------------------------------------------------------------------------------- shap


def test_shap_called_whole_agrees_on_kernel_shap(small_model, images):
    attributer = Attributer(small_model)
    maps = [attributer.explain(images[:2], "kernel_shap", samples=120, backend=b).values for b in (None, "shap")]
    close(*maps, 1e-5)


def test_shap_called_whole_agrees_on_partition_shap(small_model, images):
    attributer = Attributer(small_model)
    ours, theirs = (
        attributer.explain(images[:2], "partition_shap", samples=300, backend=b).values for b in (None, "shap")
    )
    close(ours, theirs, 1e-3)


def test_shap_and_we_agree_on_rescale(small_model, images):
    attributer = Attributer(small_model)
    ours, theirs = (attributer.explain(images[:3], "deeplift", reference="mean", backend=b) for b in (None, "shap"))
    close(ours.values, theirs.values, 1e-4)
    np.testing.assert_allclose(theirs.completeness_gap, 0, atol=1e-5)


# ---------------------------------------------------------------------------------------------------------- deeplift


@pytest.mark.parametrize("rule", ["rescale", "reveal_cancel"])
@pytest.mark.parametrize("pooling", ["average", "max"])
def test_the_deeplift_package_agrees(images, rule, pooling):
    attributer = Attributer(convertible(pooling))
    theirs = attributer.explain(images[:3], "deeplift", [0, 1, 3], rule=rule, reference="mean", backend="deeplift")
    ours = attributer.explain(images[:3], "deeplift", [0, 1, 3], rule=rule, reference="mean", maxpool="gradient")
    close(ours.values, theirs.values, 1e-4)
    assert tf.executing_eagerly()


@pytest.mark.parametrize("rule", ["rescale", "reveal_cancel"])
def test_the_deeplift_package_is_complete_without_max_pooling(images, rule):
    attributer = Attributer(convertible("average"))
    references = images[4:6]
    maps = attributer.explain(images[:2], "deeplift", 2, rule=rule, reference=references, backend="deeplift")
    of_images, of_references = (attributer.classifier.forward(x)[0].numpy()[:, 2] for x in (images[:2], references))
    difference = of_images - of_references.mean()
    np.testing.assert_allclose(maps.values.sum(axis=(1, 2, 3)), difference, atol=1e-5)
    np.testing.assert_allclose(maps.completeness_gap, 0, atol=1e-5)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.flatten, self.dense = LAYERS.Flatten(), LAYERS.Dense(3)

    def call(self, x):
        return self.dense(self.flatten(x))


def branching() -> keras.Model:
    inputs = keras.Input((32, 32, 3))
    x = LAYERS.Add(name="join")([LAYERS.Conv2D(3, 3, padding="same")(inputs), inputs])
    return keras.Model(inputs, LAYERS.Dense(3)(LAYERS.Flatten()(x)))


def subclassed() -> keras.Model:
    model = Subclassed()
    model.build((None, 32, 32, 3))
    return model


def wide() -> keras.Model:
    return keras.Sequential([keras.Input((32, 32, 3)), LAYERS.Flatten(), LAYERS.Dense(400), LAYERS.Dense(3)])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (branching, "needs a chain of layers. Layer 'join' is not fed by the layer before it alone"),
        (subclassed, "needs a chain of layers. Received a subclassed model"),
        (lambda: chain(LAYERS.LeakyReLU(name="leaky")), r"cannot convert layer 'leaky' \(LeakyReLU\)"),
        (lambda: chain(LAYERS.ReLU(6.0, name="six")), "no rule for ReLU 'six' with a maximum"),
        (lambda: chain(LAYERS.Conv2D(2, 3, activation="gelu", name="c")), "no rule for activation 'gelu' of layer 'c'"),
        (lambda: chain(LAYERS.Conv2D(2, 3, dilation_rate=2, name="holes")), "cannot convert layer 'holes'"),
        (lambda: chain(LAYERS.Conv2D(2, 3), LAYERS.ZeroPadding2D(name="pad")), "cannot convert layer 'pad'"),
        (wide, r"minutes and gigabytes on big nets: .*Received: 1,230,403 parameters"),
    ],
)
def test_the_deeplift_package_refuses_what_it_cannot_do(build, message, images):
    with pytest.raises(AttribevalError, match=message) as raised:
        Attributer(build()).explain(images[:1], "deeplift", backend="deeplift")
    assert "use our own engine (backend=None)" in str(raised.value)


# ---------------------------------------------------------------------------------------------------- names, options


@pytest.mark.parametrize(
    ("backend", "method", "options", "message"),
    [
        ("captum", "gradient", {}, "Unknown backend: 'captum'.*Valid names: deeplift, lime, shap, tf_keras_vis"),
        ("lime", "gradcam", {}, "Unknown method of backend lime: 'gradcam'.*Valid names: lime"),
        ("lime", "lime", {"sample": 3}, "Unknown option of lime: 'sample'. Did you mean 'samples'"),
        ("deeplift", "deeplift", {"rule": "linear"}, "Expected rule to be one of rescale, reveal_cancel"),
    ],
)
def test_unknown_backends_methods_and_options(small_model, images, backend, method, options, message):
    with pytest.raises(AttribevalError, match=message):
        Attributer(small_model).explain(images[:1], method, backend=backend, **options)


# -------------------------------------------------------------------------------------------------------- crosscheck


def test_agreement_is_hand_worked():
    ours = np.array([0.0, 1, 2, 4]).reshape(1, 2, 2, 1)
    theirs = np.array([0.0, 2, 1, 4]).reshape(1, 2, 2, 1)
    difference, correlation = agreement(ours, theirs)
    assert difference == 0.25
    assert correlation == pytest.approx(1 - 6 * 2 / (4 * 15))  # 1 − 6 Σd² / (n (n² − 1))
    assert agreement(np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 2, 1)))[0] == 0
    assert agreement(np.zeros((1, 2, 2, 1)), ours)[0] == np.inf


def test_example_images_are_the_middle_squares_of_photographs():
    from skimage import data

    images = example_images((300, None, 3))
    assert [image.size for image in images] == [(224, 300)] * 3
    cat = np.asarray(example_images((300, 300, 3))[1])
    np.testing.assert_array_equal(cat, data.chelsea()[:, 75:375])


def test_crosscheck_has_a_row_for_every_pair_that_agrees(small_model, images):
    table = crosscheck(Attributer(small_model), images[:2]).set_index(["backend", "method"])
    assert list(table.index) == [(backend, method) for backend, methods in BACKENDS.items() for method in methods]
    assert (table.seconds_ours > 0).all() and (table.seconds_theirs > 0).all()
    same = table.drop(index=[("tf_keras_vis", "smoothgrad(gradient)"), ("tf_keras_vis", "scorecam")])
    assert (same.difference < 1e-3).all() and (same.spearman > 0.999).all()
    assert table.note["lime", "lime"] == "samples=200"
    assert table.note["deeplift", "deeplift"] == "maxpool='gradient'"


def test_crosscheck_says_why_a_pair_cannot_run(mobile, images):
    table = crosscheck(Attributer(mobile), images[:1], 2).set_index(["backend", "method"])
    assert "needs a chain of layers" in table.note["deeplift", "deeplift"]
    assert "no right rule for operations of this model: DepthwiseConv2dNative, Relu6" in table.note["shap", "deeplift"]
    assert np.isnan(table.difference["shap", "deeplift"])
    assert table.difference["lime", "lime"] < 1e-3


def test_crosscheck_from_the_command_line(small_model, tmp_path):
    small_model.save(tmp_path / "net.keras")
    command = [sys.executable, "-m", "attribeval", "crosscheck", "--model", str(tmp_path / "net.keras")]
    done = forks.run([*command, "--preprocess", "tf"], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert " ".join(lines[0].split()) == (
        "library method max |difference| / range Spearman our seconds its seconds note"
    )
    assert sum(line.startswith(tuple(BACKENDS)) for line in lines) == sum(map(len, BACKENDS.values()))
    assert "Traceback" not in done.stderr
