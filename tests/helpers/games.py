"""Games of few players, a batch, and an attributer."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from attribeval import Attributer
from attribeval.common.seeds import image_seeds
from attribeval.methods.batch import Batch


@pytest.fixture(scope="module", name="attributer")
def games_attributer(small_model):
    return Attributer(small_model)


def batch_of(attributer: Attributer, raw: np.ndarray, targets: list[int], capacity: int = 64) -> Batch:
    classifier = attributer.classifier
    return Batch(classifier, classifier.prepare(raw), raw, tf.constant(targets), image_seeds(raw, 0), capacity)


def exact_shapley(game, players: int) -> np.ndarray:
    """The definition: every coalition, every player (Shapley 1953)."""
    value = {
        members: float(game(np.isin(np.arange(players), members)[None])[0])
        for size in range(players + 1)
        for members in itertools.combinations(range(players), size)
    }
    phi = np.zeros(players)
    for player in range(players):
        for members, before in value.items():
            if player not in members:
                after = value[tuple(sorted((*members, player)))]
                weight = math.factorial(len(members)) * math.factorial(players - len(members) - 1)
                phi[player] += weight / math.factorial(players) * (after - before)
    return phi


def random_game(players: int, seed: int = 0):
    """A value for each of the 2^players coalitions, drawn independently: as far from additive as can be."""
    table = np.random.default_rng(seed).normal(size=2**players)
    return lambda shown: table[shown @ (1 << np.arange(players))]
