"""Shapley values of superpixels by drawing orders: unbiased, exact for additive models, no regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from attribeval.common.options import check_count
from attribeval.common.seeds import generators
from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.segments import OfSegments


class Orders:
    """Random orders of players, the coalitions that they go through, and what the players are worth on the way.

    The mean marginal contribution over random orders is Castro et al. 2009, algorithm ApproShapley, section 3.
    """

    def __init__(self, players: int, permutations: int, generator: np.random.Generator):
        orders = np.array([generator.permutation(players) for _ in range(permutations)])
        self._ranks = orders.argsort(1)  # at which step each player joins

    def coalitions(self) -> np.ndarray:
        """Nobody, everyone, then for each order and each step but its last who has joined: bool (M, players)."""
        players = self._ranks.shape[1]
        inner = self._ranks[:, None, :] < np.arange(1, players)[None, :, None]
        return np.concatenate([np.zeros((1, players), bool), np.ones((1, players), bool), inner.reshape(-1, players)])

    def values(self, worth: np.ndarray) -> tuple[np.ndarray, float]:
        """φ, float64 (players,), and Σφ − (all − none), from the worth of each coalition (M,)."""
        (none, everyone), inner = worth[:2], worth[2:].reshape(len(self._ranks), -1)
        ends = np.ones((len(inner), 1))
        gains = np.diff(np.concatenate([none * ends, inner, everyone * ends], axis=1), axis=1)
        phi = np.take_along_axis(gains, self._ranks, axis=1).mean(0)
        return phi, float(phi.sum() - (everyone - none))


@dataclass(frozen=True)
class ShapleySampling(OfSegments):
    """Shapley values of superpixels by permutation sampling (Castro et al. 2009; Štrumbelj & Kononenko 2010).

    A segment's value is painted on each of its pixels; the values of the segments sum to the score of the image minus
    the score of the image with everything filled.

    Attributes:
        permutations: Orders drawn; each costs as many model evaluations as there are segments, less one.
    """

    permutations: int = 20

    card = Card.of(r"""
        shapley_sampling (model-agnostic): Shapley value of a superpixel, from random orders
        needs: nothing
        passes: 982 + 0
        paper: Castro et al. 2009, sec. 3; Štrumbelj & Kononenko 2010
        maths: \phi_s = \frac{1}{P} \sum_{\pi} \left[v(\mathrm{Pre}^{\pi}(s) \cup \{s\}) -
            v(\mathrm{Pre}^{\pi}(s))\right], \quad v(T) = f(x_T), \qquad M(u) = \phi_{s(u)}
        misleads: The sum is exact whatever the number of orders, so a gap of 0 says nothing about noise; twenty orders
            tell large values from small ones, not neighbours apart.
        values: signed, shares
    """)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("permutations", self.permutations, 1)

    def attribute(self, batch: Batch) -> Any:
        """Return φ on the pixels of the segments, (B, H, W, 1), in score units."""
        regions = self.regions(batch)
        drawn = [
            Orders(regions.count(i), self.permutations, generator)
            for i, generator in enumerate(generators(batch.seeds))
        ]
        worths = regions.all_scores([orders.coalitions() for orders in drawn])
        values, gaps = zip(*(orders.values(worth) for orders, worth in zip(drawn, worths, strict=True)), strict=True)
        batch.completeness_gap = np.array(gaps, dtype=np.float32)
        return regions.maps(values)
