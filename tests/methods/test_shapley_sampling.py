"""Shapley sampling against exact enumeration."""

from __future__ import annotations

import numpy as np
from helpers.games import exact_shapley, random_game

from attribeval.methods.shapley_sampling import Orders


def sampled_values(game, players, permutations, generator):
    orders = Orders(players, permutations, generator)
    return orders.values(game(orders.coalitions()))


def test_shapley_sampling_is_exact_for_an_additive_game_with_one_order():
    worth = np.array([3.0, -1.0, 0.5, 7.0, 0.0])
    phi, gap = sampled_values(lambda shown: shown @ worth + 2, 5, 1, np.random.default_rng(0))
    np.testing.assert_allclose(phi, worth, atol=1e-12)
    assert abs(gap) < 1e-12


def test_shapley_sampling_converges_to_the_exact_values():
    game = random_game(8)
    exact = exact_shapley(game, 8)
    few, many = (sampled_values(game, 8, n, np.random.default_rng(1))[0] for n in (100, 10_000))
    spread = np.sqrt(2.0)  # standard deviation of a difference of two values of the game
    assert np.abs(many - exact).max() < 5 * spread / np.sqrt(10_000)
    assert np.abs(many - exact).max() < np.abs(few - exact).max()
