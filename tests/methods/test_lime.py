"""LIME: least squares, and models whose segments have a known worth."""

from __future__ import annotations

import keras
import numpy as np
from helpers.games import games_attributer  # noqa: F401

from attribeval import Attributer
from attribeval.methods.lime import draw_masks, fit
from attribeval.methods.segments import Segmentation


def test_lime_fit_is_weighted_least_squares_with_a_penalty():
    generator = np.random.default_rng(0)
    shown = draw_masks(generator, 60, 7)
    assert shown[0].all()
    scores = generator.normal(size=60)
    data = shown.astype(float)
    cosine = 1 - data @ np.ones(7) / np.maximum(np.linalg.norm(data, axis=1) * np.sqrt(7), 1e-300)
    weights = np.exp(-((cosine / 0.3) ** 2) / 2)
    design = np.column_stack([np.ones(60), data])
    penalty = np.diag([0.0] + [2.0] * 7)  # the intercept is free
    solution = np.linalg.solve(design.T * weights @ design + penalty, design.T * weights @ scores)
    np.testing.assert_allclose(fit(shown, scores, 0.3, 2.0, "cosine"), solution[1:], atol=1e-8)


def test_lime_of_an_additive_model_finds_each_segments_worth(images):
    """The score is a sum over pixels, so the right coefficient is what a segment adds over its fill."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten(), keras.layers.Dense(4)])
    attributer = Attributer(model)
    maps = attributer.explain(images[:1], "lime", 2, fill="black", alpha=1e-9, samples=300)
    labels = Segmentation().labels(images[0])
    worth = (model.layers[-1].kernel.numpy()[:, 2].reshape(32, 32, 3) * images[0]).sum(-1)
    expected = np.bincount(labels.ravel(), weights=worth.ravel())[labels]
    np.testing.assert_allclose(maps.values[0, ..., 0], expected, atol=1e-4 * np.abs(expected).max())


def test_lime_of_an_image_of_8_by_8_finds_what_the_score_reads():
    """The score is the mean of the lower right quarter, of a picture that is a slope: segments there get it all."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, use_bias=False)])
    corner = np.zeros((8, 8))
    corner[4:, 4:] = 1 / 16
    model.set_weights([np.stack([0 * corner.ravel(), corner.ravel()], 1)])
    image = np.add.outer(np.arange(8.0), np.arange(8.0)).astype("f4")[None, ..., None] ** 2
    labels = Segmentation().labels(image[0])
    assert 4 <= labels.max() + 1 <= 12
    found = Attributer(model).explain(image, "lime", 1, alpha=1e-9).values[0, ..., 0]
    shift = np.array([image[0, ..., 0][labels == s].mean() for s in range(labels.max() + 1)])[labels]
    worth = np.bincount(labels.ravel(), weights=(corner * (image[0, ..., 0] - shift)).ravel())[labels]
    assert np.abs(worth).max() > 0.1
    np.testing.assert_allclose(found, worth, atol=1e-4 * np.abs(worth).max())
