"""XRAI: regions grown by hand, and a square that is found."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.cams import (
    SIZE,
    TARGETS,
    assert_close,
    cams_images,  # noqa: F401
    layers,
)
from scipy import sparse
from scipy.ndimage import gaussian_filter
from skimage.morphology import dilation, disk

from attribeval import Attributer
from attribeval.methods import xrai
from attribeval.models import fields
from attribeval.models.classifier import Classifier


def slow_grow(attribution, masks, least, fast):
    """Regions added to a mask one by one, every gain taken anew from the pixels."""
    covered = np.zeros(attribution.shape, bool)
    out, remaining, order = np.zeros(attribution.shape), list(masks), []
    if fast:
        remaining.sort(key=lambda mask: -attribution[mask].mean())
    while True:
        remaining = [mask for mask in remaining if (mask & ~covered).sum() >= least]
        if not remaining:
            break
        gains = [attribution[mask & ~covered].mean() for mask in remaining]
        best = 0 if fast else int(np.argmax(gains))
        new = remaining.pop(best) & ~covered
        out[new] = attribution[new].mean()
        order.append(new)
        covered |= new
    if not covered.all():
        out[~covered] = attribution[~covered].mean()
    return out, order, ~covered


@pytest.fixture(scope="module")
def grown():
    rng = np.random.default_rng(0)
    attribution = gaussian_filter(rng.normal(size=(20, 24)), 1.5)
    masks = []
    for side in (3, 5, 8, 12):  # overlapping rectangles, and one that is there twice
        for y, x in rng.integers(0, 18, (12, 2)):
            mask = np.zeros(attribution.shape, bool)
            mask[y : y + side, x : x + side + 2] = True
            masks.append(mask)
    masks.append(masks[7].copy())
    return attribution, masks


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("least", [1, 6])
def test_regions_grow_as_by_hand(grown, fast, least):
    attribution, masks = grown
    matrix = sparse.csr_array(np.stack([mask.ravel() for mask in masks]))
    values, ranks = xrai.grow(attribution, matrix, least, fast)
    expected, order, left = slow_grow(attribution, masks, least, fast)
    np.testing.assert_allclose(values, expected, rtol=1e-9)
    # The regions partition the image: those that were added, and what is left over, which comes last.
    found = {np.flatnonzero(ranks == rank).tobytes() for rank in range(ranks.max() + 1)}
    assert found == {np.flatnonzero(region).tobytes() for region in [*order, left] if region.any()}
    densities = [attribution[ranks == rank].mean() for rank in range(len(order))]
    assert densities == sorted(densities, reverse=True)  # higher density first
    if left.any():
        assert (ranks[left] == len(order)).all()
    np.testing.assert_allclose(values.sum(), attribution.sum(), rtol=1e-9)


@pytest.mark.parametrize("side", [224, 96])
def test_segments_are_felzenszwalbs_dilated(side):
    from skimage.segmentation import felzenszwalb
    from skimage.transform import resize

    noise = np.random.default_rng(3).normal(size=(side, side, 3))
    image = (gaussian_filter(noise, (side / 12, side / 12, 0)) * 1000).astype(np.float32)
    unit = 2 * (image - image.min()) / (image.max() - image.min()) - 1.0
    if side != 224:
        unit = resize(unit, (224, 224), order=3, mode="edge", anti_aliasing=True)
    radius = {224: 5, 96: 2}[side]
    expected = set()
    for scale in (50, 100, 150, 250, 500, 1200):
        labels = felzenszwalb(np.clip(unit, -1, 1), scale=scale, sigma=0.8, min_size=150)
        nearest = [int((i + 0.5) * 224 / side) for i in range(side)]
        labels = labels[np.ix_(nearest, nearest)]
        expected |= {dilation(labels == label, disk(radius)).tobytes() for label in np.unique(labels)}
    masks = xrai.segment_masks(image).toarray().reshape(-1, side, side)
    assert {mask.tobytes() for mask in masks} == expected
    assert len(expected) > 5
    assert masks.any(axis=0).all()


@pytest.fixture(scope="module")
def looks_at_a_square():
    """Logit 0 is the sum of one square of the image; nothing else matters."""
    where = np.zeros((64, 64, 1), np.float32)
    where[12:36, 28:50] = 1
    inputs = keras.Input((64, 64, 3))
    x = layers.Activation("linear")(inputs * (64 * where))
    dense = layers.Dense(2, use_bias=False)
    model = keras.Model(inputs, dense(layers.GlobalAveragePooling2D()(x)))
    dense.set_weights([np.array([[1, 0], [1, 0], [1, 0]], np.float32)])
    return model, where[..., 0] > 0


@pytest.mark.parametrize("fast", [False, True])
def test_xrai_finds_the_square(looks_at_a_square, fast):
    model, square = looks_at_a_square
    rng = np.random.default_rng(0)
    image = np.full((64, 64, 3), 90.0) + rng.normal(0, 4, (64, 64, 3))
    image[square] += 100
    image[40:60, 4:24] += [-60, 60, 0]  # another object, which does not matter
    image[0, 0], image[0, 1] = 0, 255
    maps = Attributer(model).explain(image.astype(np.float32), "xrai", 0, fast=fast)
    values = maps.values[0, ..., 0]
    assert square[values == values.max()].mean() > 0.9  # the first region; the square's edges are regions of their own
    top = values > values.max() / 2
    assert (top & square).sum() / (top | square).sum() > 0.9
    # The model is linear, so IG is exact: x − the mean of black and white, times the derivative, 1/64 for each pixel.
    exact = ((image - 127.5) / 64)[square].sum()
    np.testing.assert_allclose(values.sum(), exact, rtol=1e-3)
    assert abs(maps.completeness_gap[0]) <= 1e-3 * abs(exact)


def test_xrai_gap_and_attribution(small_model, images):
    """The gap is Σ map − mean of f(x) − f(baseline); baselines are each image's own least and greatest value."""
    attributer = Attributer(small_model)
    forward = attributer.classifier.forward
    maps = attributer.explain(images[:2], "xrai", TARGETS[:2], steps=10)
    for b, image in enumerate(images[:2]):
        score = forward(image[None])[0][0, TARGETS[b]]
        ends = [forward(np.full_like(image, end)[None])[0][0, TARGETS[b]] for end in (image.min(), image.max())]
        gap = maps.values[b].sum(dtype=np.float64) - float(score - sum(ends) / 2)
        np.testing.assert_allclose(maps.completeness_gap[b], gap, atol=1e-4)
    # The densities are those of `grow` on an attribution that a plain loop sums.
    total = np.zeros((SIZE, SIZE))
    classifier = Classifier(small_model)
    for end in (images[0].min(), images[0].max()):
        for step in range(10):
            point = end + (step + 0.5) / 10 * (images[:1] - end)
            total += np.asarray((images[:1] - end) * fields.gradient(classifier, point, TARGETS[:1]))[0].sum(-1) / 20
    expected = xrai.grow(total, xrai.segment_masks(images[0]), 1)[0]
    assert_close(maps.values[0, ..., 0], expected, 1e-4)
