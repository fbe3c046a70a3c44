"""Insertion (Petsiuk et al. 2018, RISE): how fast the class comes when its pixels come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attribeval.common.fills import Fill
from attribeval.metrics.card import Card
from attribeval.metrics.faithfulness.deletion import STEPS, Deletion
from attribeval.metrics.faithfulness.scoring import score_of, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Predict


def insertion(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, seeds: np.ndarray, *,
    steps: int = STEPS, fill: Fill = "blur",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """Area under the output for the class while pixels of a blurred image become sharp, the most important first.

    Differs from the RISE code: it adds 224 pixels a step (`steps=224` does, for 224 × 224 pixels) and blurs the
    normalised image, where this one blurs the raw image, mirrored at its border. Ties are broken at random.
    Xplique starts from 0 in the space of its inputs, not from a blurred image: `fill="black"` for raw images.

    Args:
        maps, images, predict, targets, seeds, batch_size: See `deletion`.
        steps: Number of steps from the filled image to the clean one, H·W / steps pixels each, rounded.
        fill: What the image is at first, see `fills.filled`.

    Returns:
        float64 (N,), in units of the output; 0 to 1 for probabilities. Higher is better. By the trapezoid rule over
        the share of pixels inserted.

    Raises:
        AttribevalError: As `deletion`.
    """
    subject = subject_of(images, predict, targets, seeds, batch_size=batch_size)
    return score_of(Insertion(steps, fill), maps, subject)


@dataclass(frozen=True)
class Insertion(Deletion):
    """Insertion as a benchmark.

    Attributes:
        steps, fill: See `insertion`.
    """

    card = Card.of(r"""
        insertion (faithfulness): Mean probability of the class while the most important pixels of a blurred image get
            sharp, 0 to 1
        better: high
        passes: 1 + 27
        paper: Petsiuk et al. 2018 (RISE), the causal metrics
        maths: \int_0^1 p_c(x_{+s}) \, ds, \qquad x_{+s}: \mathrm{filled,\ but\ for\ the\ share\ } s \mathrm{\ of\
            pixels\ with\ the\ highest\ } M
        misleads: Where the model knows the class in the blurred image already, every map scores high.
    """)
    insert: ClassVar[bool] = True
    fill: Fill = "blur"
