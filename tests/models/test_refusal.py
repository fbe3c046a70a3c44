"""Errors in the words of the user's model: which layer, and a way on that this model can go."""

from __future__ import annotations

import re
from pathlib import Path

import keras
import numpy as np
import pytest

import attribeval
from attribeval import Attributer
from attribeval.errors import AttribevalError

L = keras.layers


class Running(L.Layer):
    def call(self, x):
        return keras.ops.cumsum(x, axis=1)


def ending_in(layers, name=None):
    inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3, name="conv")(L.Conv2D(4, 3, name="conv_1")(inputs))
    x = keras.Sequential(layers, name=name)(x)
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(0).uniform(size=(2, 16, 16, 3)).astype("f4")


@pytest.mark.parametrize("method", ["deeplift", "lrp", "deep_taylor"])
@pytest.mark.parametrize(
    "layers,named",
    [
        ([L.Conv2D, Running], r"the operation 'Cumsum' in layer 'back/one_1' "),
        ([Running, L.ReLU], r"the operation 'Cumsum' in layer 'back/one' "),
        ([lambda name: L.Reshape((12, 48), name=name), lambda name: L.LSTM(5, name=name)],
         "a loop or branch in layer 'back/one_1' "),
    ],
)  # fmt: skip
def test_the_layer_is_named_and_the_remedies_work(method, layers, named, pictures):
    """A layer's name may end in a number, as TensorFlow's second scope of one name does."""
    made = [make(3, 3, name=name) if make is L.Conv2D else make(name=name)
            for make, name in zip(layers, ("one", "one_1"), strict=True)]  # fmt: skip
    attributer = Attributer(ending_in(made, "back"))
    with pytest.raises(AttribevalError, match=named) as error:
        attributer.explain(pictures, method, 1)
    assert "'integrated_gradients'" in str(error.value) and "'rise'" in str(error.value)
    for remedy, options in (("integrated_gradients", {"steps": 4}), ("rise", {"samples": 8})):
        assert np.abs(attributer.explain(pictures, remedy, 1, **options).values).max() > 0


def test_a_product_without_a_layer_is_said_to_be_one(pictures):
    inputs = keras.Input((16, 16, 3))
    x = L.Conv2D(4, 3)(inputs) * L.Conv2D(4, 3)(inputs)
    model = keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))
    with pytest.raises(AttribevalError, match=r"'Mul' outside the model's layers .*neither is a gate"):
        Attributer(model).explain(pictures, "lrp")


def test_what_has_no_derivative_is_sent_to_methods_that_need_none(pictures):
    inputs = keras.Input((16, 16, 3))
    x = L.Lambda(lambda x: keras.ops.stop_gradient(x))(inputs)
    attributer = Attributer(keras.Model(inputs, L.Dense(3)(L.Flatten()(x))))
    with pytest.raises(AttribevalError, match="'rise', 'lime' or 'occlusion'"):
        attributer.explain(pictures, "gradient")
    for remedy, options in (("rise", {"samples": 8}), ("lime", {"samples": 8}), ("occlusion", {})):
        assert np.abs(attributer.explain(pictures, remedy, 1, **options).values).max() > 0


def test_a_head_of_one_place_is_flattened_as_the_error_says():
    model = keras.Sequential([keras.Input((8, 8, 3)), L.Conv2D(4, 8)])
    with pytest.raises(AttribevalError, match=r"Flatten\(\)") as error:
        Attributer(model)
    remedy = str(error.value).split("behind it, ")[1].split(", name another output")[0]
    flat = Attributer(eval(remedy, {"keras": keras, "model": model}))
    image = np.random.default_rng(1).normal(size=(1, 8, 8, 3)).astype("f4")
    kernel = model.get_weights()[0][..., 2]
    np.testing.assert_allclose(flat.explain(image, "gradient", 2).values[0], kernel, rtol=1e-6)


@pytest.mark.parametrize(
    "shape,wanted,remedy",
    [
        ((5, 28, 28), (28, 28, 1), "images[..., None]"),
        ((28, 28), (28, 28, 1), "images[..., None]"),
        ((5, 28, 28), (28, 28, 3), "np.repeat(images[..., None], 3, axis=-1)"),
        ((5, 28, 28, 1), (28, 28, 3), "np.repeat(images, 3, axis=-1)"),
        ((5, 3, 28, 28), (28, 28, 3), "np.moveaxis(images, 1, -1)"),
        ((5, 30, 31, 3), (28, 28, 3), "keras.ops.image.resize(images, (28, 28))"),
    ],
)
def test_the_remedy_for_a_wrong_shape_gives_the_right_one(shape, wanted, remedy):
    attributer = Attributer(keras.Sequential([keras.Input(wanted), L.Conv2D(2, 3), L.Flatten(), L.Dense(2)]))
    images = np.random.default_rng(2).uniform(size=shape).astype("f4")
    with pytest.raises(AttribevalError) as error:
        attributer.explain(images, "gradient")
    assert remedy in str(error.value)
    repaired = eval(remedy, {"images": images, "np": np, "keras": keras})
    assert attributer.read(repaired).shape[1:] == wanted


def test_no_error_sends_to_a_control_that_looks_at_no_model():
    """Sobel, random and the input itself explain nothing: none is a remedy."""
    remedy = re.compile(r"\b(use|try|such as)\b[^.;:]{0,60}\b(sobel|'random'|'input')", re.IGNORECASE)
    for file in Path(attribeval.__file__).parent.rglob("*.py"):
        for found in re.finditer(r"raise \w*Error\((?:[^()]|\([^()]*\))*\)", file.read_text()):
            text = re.sub(r'"\s*f?"', "", found[0])
            assert not remedy.search(text), f"{file.name}: {text}"
