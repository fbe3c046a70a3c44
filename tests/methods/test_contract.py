"""One contract, every method: what a user may rely on whatever the name."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.contract import MAY_BE_CONSTANT, NAMES, OPTIONS, close
from scipy.ndimage import gaussian_filter

from attribeval import Attributer
from attribeval.common.seeds import fold
from attribeval.methods.registry import build_method
from attribeval.models import classifier

SIZE = 24


@pytest.fixture(scope="module")
def model():
    """Convolutions, BatchNorm, both kinds of pooling, global average pooling and one Dense: every method can run."""
    from helpers.nets import randomise_batch_norm

    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="c1")(inputs)
    x = layers.BatchNormalization(name="n1")(x)
    x = layers.ReLU(name="r1")(x)
    x = layers.MaxPooling2D(name="p1")(x)
    y = layers.Conv2D(6, 3, padding="same", activation="relu", name="c2")(x)
    x = layers.Add(name="add")([x, y])
    x = layers.Conv2D(8, 3, activation="relu", name="c3")(x)
    x = layers.GlobalAveragePooling2D(name="gap")(x)
    return randomise_batch_norm(keras.Model(inputs, layers.Dense(5, activation="softmax", name="d")(x), name="flat"))


@pytest.fixture(scope="module")
def attributer(model):
    return Attributer(model)


@pytest.fixture(scope="module")
def images():
    noise = np.random.default_rng(5).normal(size=(5, SIZE, SIZE, 3))
    return (gaussian_filter(noise, (0, 2, 2, 0)) * 6).astype(np.float32)


@pytest.fixture(scope="module")
def maps(attributer, images):
    """Each method once, on all images: the map that every other way of asking must give."""
    cache = {}

    def of(name):
        if name not in cache:
            cache[name] = attributer.explain(images, name, seed=3)
        return cache[name]

    return of


@pytest.mark.parametrize("name", NAMES)
def test_shape_dtype_finite_and_about_the_image(name, maps, images):
    values = maps(name).values
    assert values.dtype == np.float32
    assert values.shape in (images.shape, (*images.shape[:3], 1))
    assert np.isfinite(values).all()
    if name.partition("(")[0] in MAY_BE_CONSTANT:
        return
    assert values.std(axis=(1, 2, 3)).max() > 0  # no method is constant on all of five images
    assert (np.abs(values - values[:1]).max(axis=(1, 2, 3))[1:] > 0).any()  # and the images' maps differ


@pytest.mark.parametrize("name", NAMES)
def test_batch_size_and_order_do_not_change_a_map(name, attributer, images, maps):
    close(attributer.explain(images, name, seed=3, batch_size=2).values, maps(name).values, name)
    close(attributer.explain(images[[3]], name, seed=3).values, maps(name).values[[3]], name)


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bits(name, attributer, images, maps):
    np.testing.assert_array_equal(attributer.explain(images, name, seed=3).values, maps(name).values)


@pytest.mark.parametrize("name", NAMES)
def test_model_and_images_are_left_alone(name, attributer, model, images):
    weights, kept = [w.copy() for w in model.get_weights()], images.copy()
    images.setflags(write=False)
    try:
        attributer.explain(images[:1], name)
    finally:
        images.setflags(write=True)
    np.testing.assert_array_equal(images, kept)
    for now, then in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.mark.parametrize("name", NAMES)
def test_nested_model(name, model, images, maps):
    inputs = keras.Input((SIZE, SIZE, 3))
    hidden = keras.layers.RandomFlip()(inputs)
    nested = Attributer(keras.Model(inputs, model(hidden)))
    close(nested.explain(images[:2], name, maps(name).targets[:2], seed=3).values, maps(name).values[:2], name)


@pytest.mark.parametrize("name", NAMES)
def test_subclassed_model(name, model, images, maps):
    class Wrapped(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = model

        def call(self, x, training=False):
            return self.inner(x, training=training)

    wrapped = Wrapped()
    wrapped(images[:1])
    close(
        Attributer(wrapped).explain(images[:2], name, maps(name).targets[:2], seed=3).values,
        maps(name).values[:2],
        name,
    )


@pytest.mark.parametrize("name", NAMES)
def test_one_constant_grey_image(name, attributer):
    grey = np.full((1, SIZE, SIZE, 3), 0.5, np.float32)
    assert np.isfinite(attributer.explain(grey, name).values).all()


@pytest.fixture(scope="module")
def grey():
    """Explains a network of one channel."""
    keras.utils.set_random_seed(2)
    layers = keras.layers
    net = [keras.Input((SIZE, SIZE, 1)), layers.Conv2D(6, 3, activation="relu"), layers.GlobalAveragePooling2D()]
    return Attributer(keras.Sequential([*net, layers.Dense(5)]))


@pytest.mark.parametrize("name", NAMES)
def test_a_grey_network_is_traced_once_whatever_the_images_targets_and_batches(name, grey, images, monkeypatch):
    traces = []
    run = classifier.run
    monkeypatch.setattr(classifier, "run", lambda model, x, *beside: traces.append(x.shape) or run(model, x, *beside))
    one = grey.explain(images[:1, ..., :1], name, 0, batch_size=2)
    assert one.values.shape == (1, SIZE, SIZE, 1) and np.isfinite(one.values).all()
    first = len(traces)
    many = grey.explain(images[..., :1], name, [0, 2, 4, 1, 3], batch_size=2)  # batches of 2, 2 and 1
    assert len(traces) == first
    close(many.values[:1], one.values, name)


@pytest.mark.parametrize("name", NAMES)
def test_mixed_precision_model(name, model, images):
    policy = keras.DTypePolicy("mixed_float16")

    def clone(layer):
        config = layer.get_config()
        if not isinstance(layer, (keras.layers.Dense, keras.layers.InputLayer)):
            config["dtype"] = policy
        return type(layer).from_config(config)

    half = keras.models.clone_model(model, clone_function=clone)
    half.set_weights(model.get_weights())
    values = Attributer(half).explain(images[:2], name, 1).values
    assert values.dtype == np.float32 and np.isfinite(values).all()


@pytest.mark.parametrize("name", NAMES)
def test_raw_images_with_preprocessing(name, model, images, maps):
    """The same input by way of raw pixels: model-input methods give the same map, the others a finite one."""
    through = Attributer(model, preprocess=lambda raw: raw / 50 - 1)
    raw = (images + 1) * 50
    values = through.explain(raw[:2], name, maps(name).targets[:2], seed=3).values
    assert np.isfinite(values).all() and values.shape == maps(name).values[:2].shape


KINDS = ("one sigmoid unit", "one logit", "labels by logits", "quantities", "two heads")
# One of each kind of method; `test_tasks` compares all methods on one unit with those on its twin of two.
OF_KINDS = [
    OPTIONS.get(name, name)
    for name in ("gradient", "guided_backprop", "integrated_gradients", "gradcam", "scorecam", "deeplift", "lrp",
                 "occlusion", "rise", "meaningful_perturbation", "lime", "kernel_shap", "deep_shap", "smoothgrad")
]  # fmt: skip


@pytest.fixture(scope="module")
def kinds():
    """The same body with heads that mean something else, each beside a net whose maps it must have."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(6, 3, activation="relu", bias_initializer="normal", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    one, two, three = (layers.Dense(units, bias_initializer="normal", name=f"d{units}")(x) for units in (1, 2, 3))
    logits, both = keras.Model(inputs, three), keras.Model(inputs, [one, two])
    kernel, bias = both.get_layer("d1").get_weights()
    both.get_layer("d2").set_weights([np.concatenate([-kernel, kernel], 1), np.concatenate([-bias, bias])])
    sigmoids = Attributer(keras.Model(inputs, layers.Activation("sigmoid")(three)))
    softmax = layers.Activation("softmax", name="first")(three)
    heads = keras.Model(inputs, {"first": softmax, "second": one})
    two = Attributer(keras.Model(inputs, layers.Activation("sigmoid")(two)))
    return {
        "one sigmoid unit": (Attributer(keras.Model(inputs, layers.Activation("sigmoid")(one))), two),
        "one logit": (Attributer(keras.Model(inputs, one)), two),
        "labels by logits": (Attributer(logits, task="multilabel"), sigmoids),
        "quantities": (Attributer(logits, task="regression"), Attributer(logits, score="output")),
        "two heads": (Attributer(heads, output="first"), Attributer(keras.Model(inputs, softmax))),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OF_KINDS)
def test_whatever_the_outputs_mean(name, kind, kinds, images):
    ours, twin = kinds[kind]
    maps = ours.explain(images[:3], name, [0, 1, 1], seed=3, batch_size=2)
    assert np.isfinite(maps.values).all() and np.abs(maps.values).max() > 0
    close(ours.explain(images[[2]], name, 1, seed=3).values, maps.values[[2]], name)
    theirs = twin.explain(images[:3], name, [0, 1, 1], seed=3).values
    # The products are others, so their rounding is: more of it than of a batch's.
    np.testing.assert_allclose(maps.values, theirs, atol=1e-4 * np.abs(theirs).max())
    assert maps.task == ours.classifier.task.name


@pytest.mark.parametrize("name", NAMES)
def test_card_and_options(name):
    method = build_method(name)
    card = method.card
    assert all([card.name, card.family, card.summary, card.needs, card.passes, card.paper])
    assert hash(method) == hash(build_method(name)) and method == build_method(name)
    assert type(method).__doc__ and type(method).attribute.__doc__


def test_folded_seeds_are_different_and_uniform():
    seeds = np.random.default_rng(0).integers(-(2**31), 2**31, size=(50, 2)).astype(np.int32)
    folded = np.concatenate([fold(seeds, i) for i in range(40)])
    assert len({tuple(row) for row in folded}) == 2000
    bits = np.unpackbits(folded.view(np.uint8).reshape(2000, -1), axis=1)
    assert abs(bits.mean() - 0.5) < 0.01 and np.abs(bits.mean(0) - 0.5).max() < 0.06
