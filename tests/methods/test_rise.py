"""RISE: the authors' masks, a plain loop, and a known expectation."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
from helpers.perturbation import linear, masks_of_authors, perturbation_attributer, perturbation_logits  # noqa: F401
from scipy.special import softmax
from skimage.transform import resize

from attribeval import Attributer
from attribeval.common.seeds import generators, image_seeds
from attribeval.methods.descriptions import shifted_cells
from attribeval.methods.rise import draw_grids, enlargements


def test_rise_masks_are_those_of_the_authors_loop():
    size, grid, p = (20, 31), 5, 0.3
    numbers = np.random.default_rng(7).random((40, grid * grid + 2))
    cells, shifts = draw_grids(np.random.default_rng(7), 40, grid, p, size)
    masks = shifted_cells().draw(None, size, "float32", *enlargements(grid, size), cells, shifts)
    np.testing.assert_allclose(masks, masks_of_authors(numbers, grid, p, size), atol=1e-6)
    generator = np.random.default_rng(7)
    by_parts = zip(*(draw_grids(generator, n, grid, p, size) for n in (1, 30, 9)), strict=True)
    for whole, parts in zip((cells, shifts), by_parts, strict=True):
        np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_rise_is_a_plain_loop(attributer, logits, images, score):
    raw, n = images[:2], 50
    maps = attributer.explain(raw, "rise", 3, seed=5, samples=n, grid_size=4, p=0.4, score=score, batch_size=16).values
    for image, generator, values in zip(raw, generators(image_seeds(raw, 5)), maps, strict=True):
        masks = masks_of_authors(generator.random((n, 18)), 4, 0.4, (32, 32))
        total = np.zeros((32, 32))
        for mask in masks:
            answer = logits((image * mask[..., None])[None])
            total += mask * (answer if score == "logit" else softmax(answer, axis=1))[0, 3]
        np.testing.assert_allclose(values[..., 0], total / (n * 0.4), atol=2e-6)


def test_rise_of_a_model_that_ends_in_logits_still_uses_probabilities(small_model, attributer, images):
    features = small_model.get_layer("gap").output
    dense = keras.layers.Dense(7)
    bare = keras.Model(small_model.inputs, dense(features))
    dense.set_weights(small_model.get_layer("predictions").get_weights())
    ours = Attributer(bare).explain(images[:2], "rise", 3, samples=20).values
    np.testing.assert_allclose(ours, attributer.explain(images[:2], "rise", 3, samples=20).values, atol=1e-6)


def test_rise_of_a_model_that_looks_at_one_pixel_has_the_known_expectation():
    """E[M(r) M(u)] / p = p + (1 − p) · mean over shifts of Σ_cells w(r) w(u), w the weights of the enlargement."""
    size, grid, p, at = (16, 16), 4, 0.5, (5, 9)
    weights = np.zeros((*size, 1))
    weights[at] = 1
    found = Attributer(linear(weights)).explain(
        np.ones((*size, 1), np.float32), "rise", 1, samples=8000, grid_size=grid, p=p, score="logit"
    )
    expected = np.zeros(size)
    for y, x in itertools.product(range(4), repeat=2):
        for cell in range(grid * grid):
            unit = np.eye(grid * grid)[cell].reshape(grid, grid)
            w = resize(unit, (20, 20), order=1, mode="edge", anti_aliasing=False)[y : y + 16, x : x + 16]
            expected += w * w[at] / 16
    expected = p + (1 - p) * expected
    assert np.ptp(expected) > 0.2
    np.testing.assert_allclose(found.values[0, ..., 0], expected, atol=5 * 0.5 / np.sqrt(8000))
