"""Deep Taylor: by hand, by explicit matrices of contributions, by conservation."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.matrices import (  # noqa: F401
    LAYERS,
    L,
    conv_matrix,
    explain,
    matrices_net,
    matrices_pictures,
    matrices_plain,
    matrices_scenes,
    matrices_two_layers,
    slow,
    without_biases,
)

from attribeval import Attributer


def test_deep_taylor_by_hand(two_layers):
    # No bias takes part: R_h1 = 13; z^B with the image's own range [−2, 1] as above: 6/9 and 3/9
    maps = explain(two_layers, np.array([1, -2], "f4").reshape(1, 1, 2, 1), "deep_taylor")
    np.testing.assert_allclose(maps.values.ravel(), [13 * 6 / 9, 13 * 3 / 9], rtol=1e-5)
    assert abs(maps.completeness_gap[0]) < 1e-5


def test_deep_taylor_against_matrices_of_contributions(net, pictures):
    rules = dict.fromkeys(LAYERS, ("z_plus", {}))
    maps = explain(net.model, pictures, "deep_taylor", 2, bounds=(-9.0, 9.0))
    for image, ours in zip(pictures, maps.values, strict=True):
        expected = slow(net, image, 2, rules, pixels=(-9, 9))
        np.testing.assert_allclose(ours, expected, atol=2e-5 * np.abs(expected).max())


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


@pytest.mark.real
@pytest.mark.parametrize("name,preprocess", [("mobilenet_075", "tf"), ("squeezenet_1_0", "squeezenet")])
def test_deep_taylor_on_trained_networks(real_data, name, preprocess):
    attributer = Attributer(real_data / "models" / f"{name}_imagenet.keras", preprocess=preprocess)
    maps = attributer.explain(sorted((real_data / "ILSVRC").rglob("*.JPEG"))[:2], "deep_taylor")
    sums = maps.values.sum(axis=(1, 2, 3))
    assert (maps.values >= 0).all() and (maps.completeness_gap < 1e-3 * sums).all()
    if name == "squeezenet_1_0":  # MobileNet's features are often active by their bias alone, which gives to nobody
        assert (np.abs(maps.completeness_gap) <= 1e-3 * sums).all()
