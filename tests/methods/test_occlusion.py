"""Occlusion against a plain loop and a linear model."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.perturbation import linear, perturbation_attributer, perturbation_logits  # noqa: F401
from scipy.special import softmax

from attribeval import Attributer
from attribeval.methods.occlusion import starts


@pytest.mark.parametrize("score", ["logit", "probability"])
def test_occlusion_is_a_plain_loop(attributer, logits, images, score):
    fill, window, stride = (0.3, -0.1, 0.2), 10, 7
    raw = images[:2]
    maps = attributer.explain(raw, "occlusion", [1, 4], window=window, stride=stride, fill=fill, score=score).values
    answer = logits if score == "logit" else lambda x: softmax(logits(x), axis=1)
    for image, target, values in zip(raw, [1, 4], maps, strict=True):
        total, count = np.zeros((32, 32)), np.zeros((32, 32))
        for r in (0, 7, 14, 21, 22):
            for c in (0, 7, 14, 21, 22):
                hidden = image.copy()
                hidden[r : r + window, c : c + window] = fill
                total[r : r + window, c : c + window] += (answer(image[None]) - answer(hidden[None]))[0, target]
                count[r : r + window, c : c + window] += 1
        np.testing.assert_allclose(values[..., 0], total / count, atol=2e-6)


def test_occlusion_of_a_linear_model():
    rng = np.random.default_rng(0)
    weights, image = rng.normal(size=(6, 9, 3)), rng.normal(size=(6, 9, 3)).astype(np.float32)
    black = Attributer(linear(weights)).explain(image, "occlusion", 1, window=1, fill="black").values[0, ..., 0]
    np.testing.assert_allclose(black, (weights * image).sum(-1), atol=1e-5)
    pairs = Attributer(linear(weights)).explain(image, "occlusion", 1, window=2, stride=1, fill="mean")
    pairs = pairs.values[0, ..., 0]
    parts = (weights * (image - image.mean((0, 1)))).sum(-1)
    np.testing.assert_allclose(pairs[0, 0], parts[:2, :2].sum(), atol=1e-5)  # in the corner there is one window
    windows = [parts[r : r + 2, c : c + 2].sum() for r in (2, 3) for c in (4, 5)]
    np.testing.assert_allclose(pairs[3, 5], np.mean(windows), atol=1e-5)


def test_every_pixel_is_covered_and_the_last_window_ends_at_the_border():
    assert starts(224, 32, 16) == list(range(0, 193, 16))
    assert starts(10, 4, 4) == [0, 4, 6]
    assert starts(7, 7, 3) == [0]
