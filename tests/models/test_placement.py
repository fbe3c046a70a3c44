"""Aligned class activation maps: a lit square moved over the image is found where it is."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from attribeval import Attributer
from attribeval.errors import AttribevalError
from attribeval.models.placement import centres

_CAMS = ("gradcam", "gradcam++", "layercam", "scorecam", "cam")


def _net(inputs, *parts):
    """A net of positive, even weights, whose score grows with light, whatever the strides and paddings."""
    x = inputs
    for part in parts:
        x = part(x)
    pooled = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(2, use_bias=False, kernel_initializer="ones")(pooled))


def _conv(stride, padding="same", kernel=3):
    return layers.Conv2D(
        2, kernel, strides=stride, padding=padding, use_bias=False, activation="relu", kernel_initializer="ones"
    )


def _nets(height, width):
    inputs = keras.Input((height, width, 3))
    one_sided = [part for _ in range(3) for part in (layers.ZeroPadding2D(((0, 1), (0, 1))), _conv(2, "valid"))]
    skipping = [_conv(2, kernel=1), _conv(1), _conv(2, kernel=1), _conv(1), _conv(2, kernel=1)]
    left, right = layers.ZeroPadding2D(((16, 0), (0, 24))), layers.Cropping2D(((8, 0), (0, 16)))
    up = layers.Conv2DTranspose(2, 2, 2, kernel_initializer="ones")
    return {
        "same, stride 2": _net(inputs, _conv(2), _conv(2), _conv(2)),
        "padded at one side, as MobileNet": _net(inputs, *one_sided),
        "steps over pixels, as ResNet50": _net(inputs, layers.ZeroPadding2D(1), _conv(1, "valid"), *skipping),
        "padded input": _net(inputs, left, _conv(2), _conv(2), layers.AveragePooling2D(2)),
        "cropped input": _net(inputs, right, _conv(2), _conv(2), layers.MaxPooling2D(2)),
        "up again": _net(inputs, _conv(4, kernel=4), _conv(4), up),
    }  # fmt: skip


def _shifts(attributer, size, method, margin, **options):
    """Where the map's weight is, less where a lit square is, in pixels; mean over squares at every phase of a cell."""
    rows, columns = (np.arange(margin, side - margin, (side - 2 * margin) // 16) for side in size)
    middles = np.stack(np.meshgrid(rows, columns, indexing="ij"), -1).reshape(-1, 2)
    images = np.zeros((len(middles), *size, 3), np.float32)
    for image, (row, column) in zip(images, middles, strict=True):
        image[row - 4 : row + 4, column - 4 : column + 4] = 1.0
    heat = attributer.explain(images, method, targets=0, progress=False, **options).values[..., 0]
    places = np.einsum("khw,nhw->nk", np.indices(size), heat) / heat.sum((1, 2))[:, None]
    return (places - (middles - 0.5)).mean(0)


@pytest.mark.parametrize("name", list(_nets(64, 64)))
def test_a_lit_square_is_found_where_it_is(name):
    size = (80, 112)
    attributer = Attributer(_nets(*size)[name])
    plain = _shifts(attributer, size, "layercam", 32)
    aligned = _shifts(attributer, size, "layercam", 32, align=True)
    assert np.abs(aligned).max() < 0.6
    if name != "up again":
        assert np.abs(plain).max() > 2.5


@pytest.mark.parametrize("method", _CAMS)
def test_every_cam_can_be_aligned(method):
    size = (64, 64)
    attributer = Attributer(_nets(*size)["padded at one side, as MobileNet"])
    assert np.abs(_shifts(attributer, size, method, 24, align=True)).max() < 0.6
    assert np.abs(_shifts(attributer, size, method, 24)).max() > 2.5


# Not the net that steps over pixels: a tape also asks for derivatives by its kernels, and that of a small 1 × 1 kernel
# with stride 2 on an even size writes beyond its memory in TensorFlow 2.21 on a CPU. Maps never ask for it: see
# `test_gradients.py`. The squares above show the net.
@pytest.mark.parametrize("name", [name for name in _nets(64, 64) if "ResNet50" not in name])
def test_centres_are_the_middles_of_receptive_fields(name):
    """Counted: which input pixels have a derivative in a cell of the middle, by a tape."""
    size = (96, 64)
    attributer = Attributer(_nets(*size)[name])
    classifier = attributer.classifier
    inner = keras.Model(classifier.model.inputs, classifier.model.get_layer(classifier.target_layer).output)
    x = tf.random.uniform((1, *size, 3), 1, 2)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        out = tf.reduce_sum(inner(x)[0], -1)
        cell = out.shape[0] // 2, out.shape[1] // 2
        value = out[cell[0], cell[1]]
    seen = tf.reduce_sum(tf.abs(tape.gradient(value, x)), (0, 3)).numpy()
    if name in ("cropped input", "up again"):
        seen = seen > 0  # by its extent: a maximum looks at some pixels, a transposed convolution weighs unevenly
    for k, (start, step) in enumerate(centres(classifier, size)):
        weight = seen.sum(1 - k)
        ends = np.flatnonzero(weight > 1e-4 * weight.max())  # fast convolutions round to something beside 0
        half = step if name in ("cropped input", "up again") else 1e-6
        assert abs(start + step * cell[k] - (ends[0] + ends[-1]) / 2) <= half


def test_tokens_of_patches_lie_evenly():
    inputs = keras.Input((16, 24, 3))
    x = layers.Reshape((24, 8))(layers.Conv2D(8, 4, strides=4)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(layers.Dense(8)(x))))
    assert centres(Attributer(model).classifier, (16, 24)) == ((1.5, 4.0), (1.5, 4.0))
    images = np.random.default_rng(0).uniform(0, 1, (2, 16, 24, 3)).astype(np.float32)
    plain, aligned = (
        Attributer(model).explain(images, "cam", targets=0, progress=False, align=align).values
        for align in (False, True)
    )
    np.testing.assert_allclose(aligned, plain, atol=1e-5)


def test_places_that_cannot_be_computed_are_refused():
    inputs = keras.Input((16, 16, 3))
    hidden = layers.Lambda(lambda x: tf.image.crop_and_resize(x, [[0.0, 0, 1, 1]], [0], (8, 8)))
    conv = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(conv(hidden(inputs)))))
    images = np.ones((1, 16, 16, 3), np.float32)
    with pytest.raises(AttribevalError, match="align=False"):
        Attributer(model).explain(images, "gradcam", align=True, progress=False)


@pytest.mark.real
def test_the_cells_of_the_trained_mobilenet_begin_half_a_cell_late(real_data):
    attributer = Attributer(real_data / "models" / "mobilenet_075_imagenet.keras")
    assert centres(attributer.classifier, (224, 224)) == ((31.0, 32.0), (31.0, 32.0))  # evenly they begin at 15.5


@pytest.mark.real
def test_the_trained_mobilenet_looks_between_even_cells_and_the_middles_of_what_they_see(real_data):
    """A map, and that of the mirrored photograph mirrored back, lie apart by twice the shift."""
    from attribeval.datasets import imagenet

    attributer = Attributer(real_data / "models" / "mobilenet_075_imagenet.keras", preprocess="mobilenet")
    photographs = attributer.read(imagenet(real_data / "ILSVRC")[:24])
    targets = attributer.answer(photographs)[0].argmax(1)

    def shift(align):
        both = (photographs, photographs[:, :, ::-1].copy())
        maps = (attributer.explain(x, "gradcam", targets, align=align, progress=False).values[..., 0] for x in both)
        one, other = (np.einsum("nhw,w->n", heat, np.arange(224.0)) / heat.sum((1, 2)) for heat in maps)
        return ((one - (223 - other)) / 2).mean()

    assert -6 < shift(False) < -1 and 1 < shift(True) < 8
