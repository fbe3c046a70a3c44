"""Anchors: nets of which it is known what decides, and the bounds of the search."""

from __future__ import annotations

import math

import keras
import numpy as np
import pytest
from helpers.games import games_attributer  # noqa: F401

from attribeval import Attributer
from attribeval.methods.anchors import Anchors, Search, answered, kl_bounds
from attribeval.methods.segments import Segmentation


def net_that_looks_at(labels: np.ndarray, segments: list[int]) -> keras.Model:
    """Class 1 if the mean of every one of these segments is above ½, else class 0 (black and white pictures)."""
    model = keras.Sequential(
        [
            keras.Input((*labels.shape, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(len(segments), activation="relu"),
            keras.layers.Dense(2),
        ]
    )
    kernel = np.stack([(labels.ravel() == s) / (labels == s).sum() for s in segments], axis=1)
    model.layers[1].set_weights([kernel, np.full(len(segments), -0.5)])
    model.layers[2].set_weights([np.array([[0.0, 1.0]] * len(segments)), np.array([0.0, 0.4 - len(segments) / 2])])
    return model


@pytest.mark.parametrize("segments", [[6], [1, 11], [2, 5, 9]])
def test_anchors_find_the_segments_that_decide(segments):
    image = np.ones((1, 24, 24, 1), np.float32)
    labels = Segmentation("grid", 16).labels(image[0])
    attributer = Attributer(net_that_looks_at(labels, segments))
    maps = attributer.explain(image, "anchors", segments=16, segmentation="grid", fill="black").values[0, ..., 0]
    assert maps.max() == 1.0  # the precision
    np.testing.assert_array_equal(maps > 0, np.isin(labels, segments))


def test_an_anchor_needs_nothing_where_nothing_matters_and_is_none_for_another_class():
    image = np.ones((1, 24, 24, 1), np.float32)
    labels = Segmentation("grid", 16).labels(image[0])
    attributer = Attributer(net_that_looks_at(labels, [6]))
    assert not attributer.explain(image, "anchors", 0, segments=16, segmentation="grid", fill="black").values.any()
    assert not attributer.explain(image, "anchors", 1, segments=16, segmentation="grid", fill=1.0).values.any()


def found_alone(rule, players, seed, options):
    """What a search by itself finds, whose prediction holds by a rule on the shown segments."""
    search = Search(players, np.random.default_rng(seed), options).steps()
    return answered({0: search}, lambda asked: {0: rule(asked[0])})[0]


def test_anchor_precision_is_the_share_of_perturbed_images_that_keep_the_prediction():
    """Two of three segments must be shown; no single one reaches .95, any pair does."""
    anchor = found_alone(lambda shown: shown.sum(1) >= 2, 3, 0, Anchors(beam=1))
    assert len(anchor.kept) == 2 and anchor.precision == 1.0
    best = found_alone(lambda shown: shown.sum(1) >= 2, 3, 0, Anchors(max_size=1, samples=4000))
    assert len(best.kept) == 1
    np.testing.assert_allclose(best.precision, 0.75, atol=5 * np.sqrt(0.75 * 0.25 / best.n))


def test_searches_side_by_side_find_what_each_finds_alone():
    """Three games of different lengths, one of which ends with its first question."""
    rules = [lambda shown: shown.sum(1) >= 2, lambda shown: shown[:, 1], lambda shown: np.zeros(len(shown), bool)]
    players = [4, 3, 5]

    rounds = []

    def holds(asked):
        rounds.append(sorted(asked))
        return {k: rules[k](shown) for k, shown in asked.items()}

    searches = {k: Search(players[k], np.random.default_rng(k), Anchors(beam=1)).steps() for k in range(3)}
    together = answered(searches, holds)
    for k in range(3):
        assert together[k] == found_alone(rules[k], players[k], k, Anchors(beam=1))
    assert rounds[0] == [0, 1, 2] and rounds[1] == [0, 1] and len(rounds[-1]) == 1


@pytest.mark.parametrize(("mean", "n", "level"), [(0.7, 40, 3.0), (0.02, 10, 0.5), (0.5, 1000, 8.0)])
def test_kl_bounds_are_where_the_divergence_reaches_the_level(mean, n, level):
    for bound in kl_bounds(mean, n, level):
        divergence = mean * math.log(mean / bound) + (1 - mean) * math.log((1 - mean) / (1 - bound))
        assert bound < 1e-6 or abs(n * divergence - level) < 1e-3
    assert kl_bounds(1.0, 30, 3.0)[0] == pytest.approx(math.exp(-0.1), abs=1e-6)  # closed form
    assert kl_bounds(0.0, 30, 3.0)[1] == pytest.approx(1 - math.exp(-0.1), abs=1e-6)
