"""Maps that are 0 everywhere: said once per call, with a remedy that works, and written across the picture."""

from __future__ import annotations

import warnings

import keras
import numpy as np
import pytest
from PIL import Image

from attribeval import Attributer, plots
from attribeval.attributions import Attributions

L = keras.layers
NAMES = ["cat", "dog", "owl"]


@pytest.fixture(scope="module")
def net():
    """Grad-CAM of class 2 is cut off everywhere: every channel of the last layer speaks against it."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(4, 3, activation="relu", name="early")(inputs)
    x = L.Conv2D(4, 3, activation="relu", bias_initializer="ones", name="late")(x)
    model = keras.Model(inputs, L.Dense(3, name="head")(L.GlobalAveragePooling2D()(x)))
    kernel = np.abs(np.random.default_rng(0).normal(size=(4, 3)).astype("f4")) * [1, 1, -1]
    model.get_layer("head").set_weights([kernel, np.zeros(3, "f4")])
    return model


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).uniform(size=(5, 8, 8, 3)).astype("f4")


def told(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [str(one.message) for one in caught if one.category is RuntimeWarning]


def test_a_zero_cam_is_said_once_with_the_images_the_layer_the_class_and_what_to_do(net, images):
    attributer = Attributer(net, class_names=NAMES)
    maps, said = told(lambda: attributer.explain(images, "gradcam", [0, 2, 1, 2, 0], batch_size=2, progress=False))
    np.testing.assert_array_equal(maps.values.any(axis=(1, 2, 3)), [True, False, True, False, True])
    assert len(said) == 1
    for part in ("gradcam is 0 everywhere in 2 of 5 maps (numbers 1, 3)", "target 2 ('owl')", "layer 'late'",
                 "targets=", "layer=", "'integrated_gradients'"):  # fmt: skip
        assert part in said[0]
    # Each way on leads to maps that are not empty.
    for ask in (
        lambda: attributer.explain(images, "gradcam", 0, progress=False),
        lambda: attributer.explain(images, "gradcam", 2, layer="early", progress=False),
        lambda: attributer.explain(images, "integrated_gradients", 2, progress=False),
    ):
        maps, said = told(ask)
        assert maps.values.any(axis=(1, 2, 3)).all() and not said


@pytest.mark.parametrize("name", ["gradcam", "gradcam++", "layercam", "guided_gradcam", "smoothgrad(gradcam)"])
def test_every_cam_and_what_wraps_one_names_its_layer(name, net, images):
    _, said = told(lambda: Attributer(net).explain(images, name, 2, progress=False))
    assert len(said) == 1 and f"{name} is 0 everywhere in 5 of 5 maps, for target 2, at layer 'late'" in said[0]


def test_a_librarys_zero_cam_is_said_too(net, images):
    _, said = told(lambda: Attributer(net).explain(images, "gradcam", 2, backend="tf_keras_vis", progress=False))
    assert len(said) == 1 and "5 of 5 maps, for target 2" in said[0] and "'late'" in said[0]


def test_each_of_several_methods_speaks_for_itself(net, images):
    _, said = told(lambda: Attributer(net).explain_many(images, ["gradcam", "gradient"], 2, progress=False))
    assert len(said) == 1 and said[0].startswith("gradcam")
    _, said = told(lambda: Attributer(net).explain_many(images, ["gradcam", "layercam"], 2, progress=False))
    assert [one.split()[0] for one in said] == ["gradcam", "layercam"]
    _, said = told(lambda: Attributer(net).explain_many(images, ["gradcam"], 2, progress=False, remarks=False))
    assert not said


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("integrated_gradients(steps=4)", "baseline="),
        ("deeplift", "reference= or references="),
        ("occlusion", "fill="),
        ("gradient_x_input", "targets="),
    ],
)
def test_a_map_that_compares_an_image_with_itself_is_zero_and_says_what_to_compare_with(name, remedy, net):
    black = np.zeros((1, 8, 8, 3), "f4")
    maps, said = told(lambda: Attributer(net).explain(black, name, 0, progress=False))
    assert not maps.values.any() and len(said) == 1 and remedy in said[0] and "answer(images)" in said[0]


def test_controls_look_at_no_score_and_say_nothing(net):
    black = np.zeros((1, 8, 8, 3), "f4")
    for name in ("input", "sobel"):
        maps, said = told(lambda name=name: Attributer(net).explain(black, name, 0, progress=False))
        assert not maps.values.any() and not said


def test_many_images_and_classes_are_not_all_listed(net, images):
    many = np.repeat(images, 4, axis=0)
    targets = [0] + [2] * 19
    _, said = told(lambda: Attributer(net).explain(many, "gradcam", targets, progress=False))
    assert "19 of 20 maps (numbers 1, 2, 3 and others)" in said[0]


def captions(figure):
    return [text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")) if text.get_text()]


@pytest.mark.parametrize("draw", [plots.overlays, plots.gallery, plots.strip])
def test_the_picture_says_so_and_only_there(draw, images):
    values = np.random.default_rng(2).normal(size=(3, 8, 8, 1)).astype("f4")
    values[1] = 0
    maps = Attributions(values, np.array([0, 1, 2]), "m")
    figure = draw(images[:3], maps if draw is plots.strip else {"m": maps})
    assert captions(figure).count("all zero") == 1
    (where,) = [
        ax for ax in figure.findobj(lambda a: hasattr(a, "images")) if "all zero" in [t.get_text() for t in ax.texts]
    ]
    assert not np.asarray(where.images[-1].get_array()).any()
    values[1, 0, 0] = 1e-20  # next to nothing is something
    assert "all zero" not in captions(draw(images[:3], maps if draw is plots.strip else {"m": maps}))


def test_a_map_that_is_the_same_everywhere_is_flat_and_not_zero(images):
    maps = Attributions(np.full((1, 8, 8, 1), 2, "f4"), np.array([0]), "m")
    said = captions(plots.strip(images[:1], maps))
    assert "flat" in said and "all zero" not in said


def test_maps_plot_and_the_saved_picture_say_so(net, images, tmp_path):
    maps, _ = told(lambda: Attributer(net).explain(images[:2], "gradcam", [0, 2], progress=False))
    figure = maps.plot()
    assert captions(figure).count("all zero") == 1
    figure.savefig(tmp_path / "maps.png")
    saved = np.asarray(Image.open(tmp_path / "maps.png").convert("L"))
    other, zero = (_inside(saved, ax) for ax in figure.subfigs[0].axes if len(ax.images) == 2)
    assert zero.max() > 250 > other.max()  # white letters, on a photograph dimmed to a third


def _inside(saved, ax):
    """The saved pixels of a panel."""
    box = ax.get_window_extent()
    height = len(saved)
    return saved[round(height - box.y1) + 2 : round(height - box.y0) - 2, round(box.x0) + 2 : round(box.x1) - 2]


def test_a_constant_heatmap_with_its_box_is_not_called_zero(images):
    pair = np.stack([np.full((8, 8), 2.0), np.zeros((8, 8))])
    boxes = [np.array([[1, 1, 4, 4]])] * 2
    figure = plots.box_overlays(images[:2], pair, boxes, boxes, ["one", "two"])
    assert {"all zero", "flat"} <= set(captions(figure))
