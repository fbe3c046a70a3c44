"""Kernel SHAP against exact enumeration."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.games import (
    batch_of,
    exact_shapley,
    games_attributer,  # noqa: F401
    random_game,
)

from attribeval.methods.kernel_shap import kernel_values
from attribeval.methods.segments import Regions

SEED = np.array([3, -4], np.int32)


def test_kernel_shap_is_exact_on_eight_players():
    game = random_game(8)
    phi, gap = kernel_values(game, 8, 254, SEED)
    np.testing.assert_allclose(phi, exact_shapley(game, 8), atol=1e-10)
    assert abs(gap) < 1e-12


@pytest.mark.parametrize("players", [1, 2, 3])
def test_kernel_shap_of_few_players_is_exact(players):
    game = random_game(players)
    np.testing.assert_allclose(kernel_values(game, players, 100, SEED)[0], exact_shapley(game, players), atol=1e-10)


def test_kernel_shap_is_efficient_and_seeded_when_it_samples():
    game = random_game(12)
    phi, gap = kernel_values(game, 12, 60, SEED)
    np.testing.assert_allclose(phi.sum(), game(np.ones((1, 12), bool)) - game(np.zeros((1, 12), bool)), atol=1e-10)
    assert abs(gap) < 1e-10
    np.testing.assert_array_equal(phi, kernel_values(game, 12, 60, SEED)[0])
    assert (phi != kernel_values(game, 12, 60, SEED + 1)[0]).any()


def test_kernel_shap_of_an_image_is_the_exact_value_of_its_segments(attributer, images):
    raw, target = images[:1], 3
    regions = Regions(batch_of(attributer, raw, [target]), "grid", 8, "mean")
    assert regions.count(0) in (8, 9)
    exact = exact_shapley(lambda shown: regions.scores(0, shown), regions.count(0))
    maps = attributer.explain(raw, "kernel_shap", target, segments=8, segmentation="grid", samples=600)
    np.testing.assert_allclose(maps.values[0, ..., 0], exact[regions.labels[0]], atol=1e-5 * np.abs(exact).max())
    assert abs(maps.completeness_gap[0]) < 1e-6
