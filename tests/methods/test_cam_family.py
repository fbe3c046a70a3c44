"""The CAM family: formulas of one gradient, tf-keras-vis, shared passes, options."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.cams import (  # noqa: F401
    SIZE,
    TARGETS,
    assert_close,
    built,
    by_tape,
    cams_gap_model,
    cams_images,
    cams_vgg_like,
    features,
    flatten_head,
    gap_head,
    layers,
    logits_model,
    slow_gradcam_plus_plus,
    upsampled,
)

from attribeval import Attributer
from attribeval.errors import AttribevalError
from attribeval.models import fields

FAMILY = ["cam", "gradcam", "gradcam++", "layercam", "guided_gradcam", "scorecam"]


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


@pytest.mark.parametrize(
    ("name", "options"),
    [("gradcam++", {"alphas": "x"}), ("scorecam", {"weights": "x"}), ("scorecam", {"max_channels": 0}),
     ("xrai", {"steps": 0})],
)  # fmt: skip
def test_bad_options(gap_model, images, name, options):
    with pytest.raises(AttribevalError, match=r"Expected.*Received"):
        Attributer(gap_model).explain(images, name, **options)


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
