"""What all methods on superpixels promise: painting, memory, seeds, options."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.games import (
    batch_of,
    games_attributer,  # noqa: F401
)
from scipy.ndimage import gaussian_filter

from attribeval import AttribevalError, Attributer
from attribeval.common.fills import filled
from attribeval.methods.registry import build_method
from attribeval.methods.segments import Regions, Segmentation
from attribeval.models.classifier import Classifier


def test_fills_are_hand_worked():
    images = np.arange(2 * 2 * 3 * 2, dtype=np.float32).reshape(2, 2, 3, 2)
    kept = images.copy()
    labels = [np.array([[0, 0, 1], [0, 2, 1]])] * 2
    first = images[0]
    np.testing.assert_allclose(filled(images, "mean")[0], np.broadcast_to([5, 6], first.shape))
    np.testing.assert_allclose(filled(images, "mean")[1], np.broadcast_to([17, 18], first.shape))
    np.testing.assert_array_equal(filled(images, "black"), np.zeros_like(images))
    np.testing.assert_allclose(filled(images, "grey")[0], np.full_like(first, 5.5))
    np.testing.assert_allclose(filled(images, 0.25), np.full_like(images, 0.25))
    np.testing.assert_allclose(filled(images, (1, 2))[0, 1, 1], [1, 2])
    means = filled(images, "segment_mean", labels)[0]
    np.testing.assert_allclose(means[0, 0], (first[0, 0] + first[0, 1] + first[1, 0]) / 3)
    np.testing.assert_allclose(means[1, 2], (first[0, 2] + first[1, 2]) / 2)
    np.testing.assert_allclose(means[1, 1], first[1, 1])
    image = np.random.default_rng(0).normal(size=(1, 20, 30, 1)).astype(np.float32)
    np.testing.assert_allclose(filled(image, "blur")[0, ..., 0], gaussian_filter(image[0, ..., 0], 2), atol=1e-6)
    np.testing.assert_array_equal(images, kept)


def test_painting_and_scoring_agree_with_a_slow_loop(attributer, images):
    raw = images[:2]
    regions = Regions(batch_of(attributer, raw, [4, 0], capacity=3), "slic", 9, "mean")
    shown = np.random.default_rng(0).random((7, regions.count(1))) < 0.5
    painted = np.repeat(raw[1:2], 7, axis=0)
    for image, mask in zip(painted, shown, strict=True):
        for segment in np.flatnonzero(~mask):
            image[regions.labels[1] == segment] = raw[1].mean(axis=(0, 1))
    scores = attributer.classifier.forward(tf.constant(painted))[0].numpy()
    np.testing.assert_allclose(regions.scores(1, shown), scores[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(regions.are_targets({1: shown})[1], scores.argmax(1) == 0)


@pytest.mark.parametrize("preprocess", ["caffe", lambda x: x[..., ::-1] - np.float32([103.939, 116.779, 123.68])])
def test_painting_before_or_after_preprocessing_is_the_same(small_model, images, preprocess):
    """A function may mix pixels, so it sees painted images; a convention does not, so its input is painted."""
    attributer = Attributer(small_model, preprocess=preprocess)
    regions = Regions(batch_of(attributer, images[:1], [4], capacity=4), "slic", 9, "black")
    shown = np.random.default_rng(0).random((7, regions.count(0))) < 0.5
    painted = np.where(shown[:, regions.labels[0]][..., None], images[0], 0)[..., ::-1]
    scores = small_model.layers[-1]
    features = keras.Model(small_model.inputs, small_model.get_layer("gap").output)
    expected = features(painted - np.float32([103.939, 116.779, 123.68])).numpy() @ scores.kernel.numpy()
    np.testing.assert_allclose(regions.scores(0, shown), (expected + scores.bias.numpy())[:, 4], rtol=1e-4)


def test_lime_and_shap_share_segments(attributer, images, monkeypatch):
    cuts = []
    cut = Segmentation.labels
    monkeypatch.setattr(Segmentation, "labels", lambda self, image: cuts.append(1) or cut(self, image))
    methods = {n: build_method(n, {"segments": 5, "samples": 20}) for n in ("lime", "kernel_shap")}
    attributer.explain_many(images[:3], methods)
    assert len(cuts) == 3


def test_no_more_than_a_capacity_of_painted_images_exists_at_a_time(attributer, images, monkeypatch):
    sizes = []
    compiled = Classifier.compiled

    def counted(self, key, build, *specs):
        function = compiled(self, key, build, *specs)
        return lambda *tensors: sizes.append(int(tensors[0].shape[0])) or function(*tensors)

    monkeypatch.setattr(Classifier, "compiled", counted)
    few = {"segments": 4, "samples": 20}
    attributer.explain(images[:1], "lime", batch_size=5, **few)
    attributer.explain(images[:1], "kernel_shap", batch_size=5, **few)
    attributer.explain(images[:1], "anchors", batch_size=5, **few)
    attributer.explain(images[:1], "shapley_sampling", batch_size=5, segments=4, permutations=5)
    attributer.explain(images[:1], "partition_shap", batch_size=5, samples=20)
    assert max(sizes) == 5


@pytest.mark.parametrize("name", ["kernel_shap", "partition_shap", "gradient_shap"])
def test_the_users_random_numbers_are_left_alone(attributer, images, name):
    np.random.seed(7)  # noqa: NPY002
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(7)  # noqa: NPY002
    attributer.explain(images[:1], name, samples=60)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


def test_segments_of_one_pixel_cannot_be_hidden_by_their_own_mean(attributer, images):
    with pytest.raises(AttribevalError, match=r"more than one pixel.*1024 segments for the 1024 pixels.*fill='mean'"):
        attributer.explain(images[:1], "lime", segments=1024, segmentation="grid", samples=10)
    assert attributer.explain(
        images[:1], "lime", segments=1024, segmentation="grid", samples=10, fill="mean"
    ).values.any()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("lime", {"segmentation": "felzenszwalb"}, "Expected segmentation to be one of slic, quickshift, grid"),
        ("lime", {"segmentation": "quickshift", "segments": 9}, "which finds its own. Received: segments=9"),
        ("lime", {"segments": 0}, "Expected segments to be an int of 1 or more. Received: 0"),
        ("lime", {"samples": 1}, "Expected samples to be an int of 2 or more"),
        ("lime", {"fill": "gray"}, "Expected fill to be one of mean, .*Received: 'gray'"),
        ("lime", {"fill": (1.0, float("nan"), 2.0)}, "Expected fill to be one of mean"),
        ("lime", {"kernel_width": 0}, "Expected kernel_width to be a number above 0"),
        ("lime", {"alpha": -1.0}, "Expected alpha to be a number above 0"),
        ("lime", {"distance": "cos"}, "Expected distance to be one of cosine"),
        ("kernel_shap", {"samples": 2.5}, "Expected samples to be an int of 1 or more. Received: 2.5"),
        ("shapley_sampling", {"permutations": 0}, "Expected permutations to be an int of 1"),
        ("partition_shap", {"fill": "segment_mean"}, "Expected fill to be one of mean, black, grey, blur"),
        ("anchors", {"threshold": 1.0}, "Expected threshold between 0 and 1. Received: 1.0"),
        ("anchors", {"beam": 0}, "Expected beam to be an int of 1"),
        ("deep_shap", {"reference": "white"}, "Expected reference to be one of mean, black, grey, blur"),
        ("deep_shap", {"reference": np.zeros((4, 4))}, r"Expected reference images \(H, W, C\) or \(R, H, W, C\)"),
        ("gradient_shap", {"reference": np.full((4, 4, 3), np.nan)}, "Expected reference to be finite"),
        ("gradient_shap", {"samples": 0}, "Expected samples to be an int of 1"),
    ],
)
def test_bad_options_say_what_is_expected(name, options, message):
    with pytest.raises(AttribevalError, match=message):
        build_method(name, options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("kernel_shap", {"samples": 10}, "at least as many samples as segments. Received: 10 samples for"),
        ("lime", {"fill": (1.0, 2.0)}, "Expected fill to have one number or 3"),
        ("deep_shap", {"reference": np.zeros((8, 8, 3))}, r"reference images of shape \(32, 32, 3\)"),
    ],
)
def test_what_does_not_fit_the_images_says_so(attributer, images, name, options, message):
    with pytest.raises(AttribevalError, match=message):
        attributer.explain(images[:1], name, **options)


@pytest.mark.parametrize("name", ["lime", "kernel_shap", "partition_shap", "shapley_sampling", "anchors"])
def test_what_paints_on_images_cannot_be_wrapped(attributer, images, name):
    with pytest.raises(AttribevalError, match="cannot be wrapped"):
        attributer.explain(images[:1], f"smoothgrad({name})")
