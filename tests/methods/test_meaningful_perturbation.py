"""Meaningful perturbation: the paper's objective, and a square that is found."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from helpers.perturbation import (  # noqa: F401
    FAR,
    SQUARE,
    linear,
    perturbation_attributer,
    perturbation_logits,
    perturbation_looks_at_square,
    perturbation_textures,
)
from scipy.ndimage import gaussian_filter
from scipy.special import softmax

from attribeval import Attributer
from attribeval.methods.meaningful_perturbation import MeaningfulPerturbation, penalty


def slow_penalty(mask, l1, tv, beta):
    total = 0.0
    for i, j in itertools.product(*map(range, mask.shape)):
        down = mask[i + 1, j] - mask[i, j] if i + 1 < mask.shape[0] else 0
        right = mask[i, j + 1] - mask[i, j] if j + 1 < mask.shape[1] else 0
        total += l1 * abs(1 - mask[i, j]) + tv * np.sqrt(down**2 + right**2) ** beta
    return total


def slow_probability(logits, image, mask, target):
    """8 × 8 cells over 32 × 32 pixels, the mask blurred by 5/8 of a cell, the deleted part by σ = 10/224."""
    shown = np.kron(mask, np.ones((4, 4)))
    shown = gaussian_filter(shown, 5 / 8 * 4, mode="nearest")[..., None]
    sigma = 10 / 224 * 32
    blurred = gaussian_filter(image, (sigma, sigma, 0), mode="reflect")
    return softmax(logits((shown * image + (1 - shown) * blurred)[None]), axis=1)[0, target]


def slow_objective(logits, image, mask, target):
    """Equation 4 without jitter."""
    return slow_probability(logits, image, mask, target) + slow_penalty(mask, 1e-2, 1e-1, 3.0)


OPTIONS = {"mask_size": 8, "jitter": 0, "l1": 1e-2, "tv": 1e-1, "start": "image"}


def learned(attributer, images, targets, **options):
    """Masks and objectives of `MeaningfulPerturbation.optimise`."""
    found = []

    class Spy(MeaningfulPerturbation):
        def optimise(self, batch):
            found.append(super().optimise(batch))
            return found[-1]

    attributer.explain_many(images, {"spy": Spy(**options)}, targets)
    return found[0]


def test_penalty_is_the_formula():
    mask = np.random.default_rng(0).random((2, 5, 7))
    expected = [slow_penalty(one, 0.3, 0.7, 3.0) for one in mask]
    np.testing.assert_allclose(penalty(tf.constant(mask), 0.3, 0.7, 3.0), expected, rtol=1e-6)


def test_meaningful_perturbation_descends_the_papers_objective(attributer, logits, images):
    raw, targets = images[:2], [2, 5]
    masks, _ = learned(attributer, raw, targets, iterations=4, **OPTIONS)
    again, objective = learned(attributer, raw, targets, iterations=5, **OPTIONS)
    assert objective.shape == (5, 2) and again.shape == (2, 8, 8)
    for i in range(2):
        assert objective[4, i] == pytest.approx(slow_objective(logits, raw[i], masks[i], targets[i]), rel=2e-5)


def test_first_step_of_adam_follows_the_slope(attributer, logits, images):
    """Adam's first step is the learning rate against the slope, by finite differences; at 1 the penalty has none."""
    masks, _ = learned(attributer, images[:1], [2], iterations=1, **OPTIONS)
    slopes = np.zeros((8, 8))
    for at in itertools.product(range(8), repeat=2):
        step = np.zeros((8, 8))
        step[at] = 0.05
        ends = [slow_probability(logits, images[0], mask, 2) for mask in (1 - step, 1 + step)]
        slopes[at] = ends[1] - ends[0]
    clear = np.abs(slopes) > 0.1 * np.abs(slopes).max()
    assert clear.sum() > 20
    down = np.isclose(masks[0], 0.9, atol=1e-4)
    np.testing.assert_array_equal(down[clear], slopes[clear] > 0)


@pytest.mark.parametrize("start", ["circle", "image"])
def test_learned_mask_deletes_what_the_model_looks_at(looks_at_square, textures, start):
    _, objective = learned(looks_at_square, textures[:1], 1, tv=1e-3, start=start)
    maps = looks_at_square.explain(textures[:1], "meaningful_perturbation", 1, tv=1e-3, start=start).values[0, ..., 0]
    assert objective[-20:].mean() < 0.05  # nothing deleted, the probability is 1
    # The disc that the paper starts from is nearly as good as the learned mask; from the image the way is longer.
    assert np.diff(objective[::50, 0]).max() < 0.01
    assert objective[-1] < (0.6 if start == "circle" else 0.5) * objective[0]
    assert maps[SQUARE].mean() > 0.3 and maps[FAR].max() < 0.1
    assert maps.min() >= 0 and maps.max() <= 1


def test_probability_is_learned_from_a_model_that_ends_in_logits(small_model, images):
    bare = keras.Sequential([keras.Input((32, 32, 3)), *small_model.layers[:-1], keras.layers.Dense(7)])
    bare.layers[-1].set_weights(small_model.layers[-1].get_weights())
    options = {"iterations": 20, "mask_size": 8, "start": "image"}
    with_link, without = (
        Attributer(model).explain(images[:1], "meaningful_perturbation", 2, **options).values
        for model in (small_model, bare)
    )
    np.testing.assert_allclose(with_link, without, atol=1e-4)
