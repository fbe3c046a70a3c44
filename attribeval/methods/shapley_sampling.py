"""Shapley values of superpixels by drawing orders: unbiased, exact for additive models, no regression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from attribeval.methods.batch import Batch
from attribeval.methods.card import Card
from attribeval.methods.fills import Fill
from attribeval.methods.options import check_count
from attribeval.methods.seeds import generators
from attribeval.methods.segments import Regions, check_regions


def sampled_values(
    game: Callable[[np.ndarray], np.ndarray], players: int, permutations: int, generator: np.random.Generator
) -> tuple[np.ndarray, float]:
    """Mean marginal contribution over random orders (Castro et al. 2009, algorithm ApproShapley, section 3).

    Args:
        game: From coalitions, bool (M, players), to values, float64 (M,).
        players: Number of players.
        permutations: Orders drawn.
        generator: Where they are drawn from.

    Returns:
        φ, float64 (players,), and Σφ − (game(all) − game(none)).
    """
    orders = np.array([generator.permutation(players) for _ in range(permutations)])
    ranks = orders.argsort(1)  # at which step each player joins
    # Step k of an order is the coalition of the players that joined before; the first and the last are always the same.
    coalitions = ranks[:, None, :] < np.arange(1, players)[None, :, None]
    none, everyone = game(np.stack([np.zeros(players, bool), np.ones(players, bool)]))
    inner = game(coalitions.reshape(-1, players)).reshape(permutations, players - 1)
    ends = np.ones((permutations, 1))
    gains = np.diff(np.concatenate([none * ends, inner, everyone * ends], axis=1), axis=1)
    phi = np.take_along_axis(gains, ranks, axis=1).mean(0)
    return phi, float(phi.sum() - (everyone - none))


@dataclass(frozen=True)
class ShapleySampling:
    """Shapley values of superpixels by permutation sampling (Castro et al. 2009; Štrumbelj & Kononenko 2010).

    A segment's value is painted on each of its pixels; the values of the segments sum to the score of the image minus
    the score of the image with everything filled.

    Attributes:
        segments: About how many superpixels; None takes 50.
        segmentation: "slic", "quickshift" or "grid".
        permutations: Orders drawn; each costs as many model evaluations as there are segments, less one.
        fill: What replaces a hidden segment, in raw image space.
    """

    segments: int | None = None
    segmentation: str = "slic"
    permutations: int = 20
    fill: Fill = "mean"

    card: ClassVar[Card] = Card(
        name="shapley_sampling",
        family="model-agnostic",
        summary="Shapley value of a superpixel, from random orders",
        needs="nothing",
        passes="982 + 0",
        paper="Castro et al. 2009, sec. 3; Štrumbelj & Kononenko 2010",
        maths=(
            r"\phi_s = \frac{1}{P} \sum_{\pi} \left[v(\mathrm{Pre}^{\pi}(s) \cup \{s\}) - "
            r"v(\mathrm{Pre}^{\pi}(s))\right], \quad v(T) = f(x_T), \qquad M(u) = \phi_{s(u)}"
        ),
        misleads=(
            "The sum is exact whatever the number of orders, so a gap of 0 says nothing about noise; twenty orders "
            "tell large values from small ones, not neighbours apart."
        ),
        signed=True,
        shares=True,
    )

    def __post_init__(self) -> None:
        check_regions(self.segmentation, self.segments, self.fill)
        check_count("permutations", self.permutations, 1)

    def attribute(self, batch: Batch) -> Any:
        """Return φ on the pixels of the segments, (B, H, W, 1), in score units."""
        regions = Regions(batch, self.segmentation, self.segments, self.fill)
        values, gaps = [], []
        for i, generator in enumerate(generators(batch.seeds)):
            phi, gap = sampled_values(
                lambda shown, i=i: regions.scores(i, shown), regions.count(i), self.permutations, generator
            )
            values.append(phi)
            gaps.append(gap)
        batch.completeness_gap = np.array(gaps, dtype=np.float32)
        return regions.maps(values)
