"""ROAD (Rong et al. 2022, "A consistent and efficient evaluation strategy for attribution methods")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attribeval.common.options import check_choice
from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.faithfulness.road_curves import (
    NOISE,
    PERCENTAGES,
    check_percentages,
    road_curves,
    shared_curves,
)
from attribeval.metrics.faithfulness.scoring import OUTPUTS
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject


def road(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, seeds: np.ndarray, *,
    percentages: Sequence[float] = PERCENTAGES, noise: float = NOISE,
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """Output when the least relevant pixels are imputed, minus output when the most relevant are; mean of percentages.

    Args:
        maps, images, predict, targets, seeds, percentages, noise, batch_size: See `road_curves`.

    Returns:
        float64 (N,), in units of the output; −1 to 1 for probabilities. Higher is better; a random order has 0 on
        average.

    Raises:
        AttribevalError: As `road_curves`.
    """
    curves = road_curves(
        maps, images, predict, targets, seeds, percentages=percentages, noise=noise, batch_size=batch_size
    )
    return (curves[:, 1] - curves[:, 0]).mean(axis=1)


@dataclass(frozen=True)
class Road(OfMaps):
    """ROAD as a benchmark: least relevant first minus most relevant first.

    Attributes:
        percentages, noise: See `road_curves`.
        output: "probability" or "logit".
    """

    card = Card.of(r"""
        road (faithfulness): Mean probability with the least relevant pixels imputed minus with the most relevant, −1 to
            1
        better: high
        passes: 0 + 14
        paper: Rong et al. 2022 (ROAD)
        maths: \frac{1}{|P|} \sum_{q \in P} \left(p_c(\hat x^{\mathrm{LeRF}}_q) - p_c(\hat x^{\mathrm{MoRF}}_q)\right)
        misleads: Single pixels that are missing are imputed almost as they were: scattered maps can hardly do harm.
    """)
    weights: ClassVar[tuple[int, int]] = (-1, 1)  # of the curves: most relevant first, least relevant first
    percentages: tuple[float, ...] = PERCENTAGES
    noise: float = NOISE
    output: str = "probability"

    def __post_init__(self) -> None:
        check_percentages(self.percentages, self.noise)
        object.__setattr__(self, "percentages", tuple(self.percentages))
        check_choice("output", self.output, OUTPUTS)

    def score(self, subject: Subject, prepared: None, explained: Explained) -> np.ndarray:
        curves = shared_curves(subject, explained, self.percentages, self.noise)
        return np.tensordot(curves[..., OUTPUTS.index(self.output)].mean(axis=2), np.array(self.weights), 1)


@dataclass(frozen=True)
class RoadMorf(Road):
    """ROAD with the most relevant pixels imputed first; options as `Road`, whose passes it shares."""

    card = Card.of(r"""
        road_morf (faithfulness): Mean probability with the most relevant pixels imputed, 0 to 1
        better: low
        passes: 0 + 14, shared with road
        paper: Rong et al. 2022 (ROAD)
        maths: \frac{1}{|P|} \sum_{q \in P} p_c(\hat x^{\mathrm{MoRF}}_q), \qquad \hat x^{\mathrm{MoRF}}_q: \mathrm{the\
            share\ } q \mathrm{\ of\ pixels\ with\ the\ highest\ } M \mathrm{\ imputed}
        misleads: Single pixels that are missing are imputed almost as they were: scattered maps can hardly do harm.
    """)
    weights: ClassVar[tuple[int, int]] = (1, 0)


@dataclass(frozen=True)
class RoadLerf(Road):
    """ROAD with the least relevant pixels imputed first; options as `Road`, whose passes it shares."""

    card = Card.of(r"""
        road_lerf (faithfulness): Mean probability while the least relevant pixels are imputed, 0 to 1
        better: high
        passes: 0 + 14, shared with road
        paper: Rong et al. 2022 (ROAD)
        maths: \frac{1}{|P|} \sum_{q \in P} p_c(\hat x^{\mathrm{LeRF}}_q), \qquad \hat x^{\mathrm{LeRF}}_q: \mathrm{the\
            share\ } q \mathrm{\ of\ pixels\ with\ the\ lowest\ } M \mathrm{\ imputed}
        misleads: A scattered map keeps known pixels everywhere, from which the imputation restores the image.
    """)
    weights: ClassVar[tuple[int, int]] = (0, 1)
