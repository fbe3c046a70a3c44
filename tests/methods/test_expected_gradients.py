"""Expected gradients against a plain loop and integrated gradients."""

from __future__ import annotations

import numpy as np
from helpers.known import CLASSES, SHAPE, Known, Polynomial, close, known_known, known_x  # noqa: F401

from attribeval import Attributer
from attribeval.common.seeds import image_seeds
from attribeval.methods.expected_gradients import draw


def test_expected_gradients_against_a_plain_loop(known, x):
    references = np.random.default_rng(4).normal(size=(3, *SHAPE)).astype("float32")
    maps = Attributer(known.model, batch_size=3).explain(
        x, "expected_gradients", 1, references=references, samples=7, seed=5
    )
    seeds = image_seeds(x, 5)
    for i, image in enumerate(x):
        which, places = draw(seeds[i : i + 1], 7, 3)
        assert sorted(np.bincount(which)) == [2, 2, 3]  # every reference as often as every other
        assert sorted((places * 7).astype(int)) == list(range(7))  # one place per seventh of the way
        total, starts = np.zeros(SHAPE), 0.0
        for k in range(7):
            start = references[which[k]].astype(np.float64)
            total += (image - start) * known.gradient(start + places[k] * (image - start), 1) / 7
            starts += known.score(start, 1) / 7
        close(maps.values[i], total)
        gap = total.sum() - (known.score(image, 1) - starts)
        assert abs(maps.completeness_gap[i] - gap) < 1e-3


def test_greys_as_references(known, x):
    attributer = Attributer(known.model)
    greys = np.stack([np.full(SHAPE, g, np.float32) for g in (0, 0.5, 1)])
    np.testing.assert_array_equal(
        attributer.explain(x, "expected_gradients(references=[0, 0.5, 1], samples=6)").values,
        attributer.explain(x, "expected_gradients", references=greys, samples=6).values,
    )


def test_expected_gradients_tend_to_the_mean_of_integrated_gradients(known, x):
    references = np.random.default_rng(4).normal(size=(4, *SHAPE)).astype("float32")
    attributer = Attributer(known.model, batch_size=64)
    maps = attributer.explain(x[:1], "expected_gradients", 1, references=references, samples=4000)
    expected = np.mean([known.integrated(x[0], start, 1) for start in references], axis=0)
    close(maps.values[0], expected, 0.02)
