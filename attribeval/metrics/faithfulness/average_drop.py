"""Average drop and increase (Chattopadhay et al. 2018, Grad-CAM++) and average gain (Zhang et al. 2024, Opti-CAM).

The image is multiplied with its map, and the three look at what the model says of the product: one pass for all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from attribeval.common.fills import Fill, check_fill
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.faithfulness.fills import FILLS, filled_image
from attribeval.metrics.faithfulness.scoring import OUTPUTS, clean_scores, explained_by, scored, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps

_PROBABILITY = OUTPUTS.index("probability")


class ConfidenceChange(NamedTuple):
    """What hiding all but the map does to the probability, float64 (N,) each.

    Attributes:
        drop: Share of the probability that is lost, 0 to 1, 0 where it rises; lower is better. NaN for probability 0.
        increase: 1 where the probability rises, otherwise 0; higher is better.
        gain: Share of what the probability lacks to 1 that is gained, 0 to 1, 0 where it falls; higher is better. NaN
            for probability 1, which cannot rise.
    """

    drop: np.ndarray
    increase: np.ndarray
    gain: np.ndarray


def confidence_change(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, seeds: np.ndarray, *,
    fill: Fill = "black",
    batch_size: int = BATCH_SIZE,
) -> ConfidenceChange:  # fmt: skip
    """Average drop, average increase and average gain, one number per image; the papers' figures are 100 × the means.

    With p the probability of the clean image and o that of the image seen through its map: drop max(0, p − o) / p,
    increase 1[o > p], gain max(0, o − p) / (1 − p). Maps are scaled to 0 … 1 by their own minimum and maximum. Where
    several methods are compared, the drop favours maps that show much: a map that is 1 everywhere would have none.

    Differs from common code: implementations of the gain add a small number to the denominator, which makes it 0 where
    it is not defined.

    Args:
        maps: Real numbers (N, H, W), greater is more important.
        images: Raw images (N, H, W, C).
        predict: Raw images (B, H, W, C) -> (B, classes) probabilities, B up to `batch_size`.
        targets: Class explained for each image, ints (N,).
        seeds: int32 (N, 2), one per image; for fill="noise".
        fill: What is seen where the map is 0, see `fills.filled`; "black" is the product of map and raw image.
        batch_size: Images given to `predict` at a time.

    Returns:
        The three scores. All are NaN for a constant map, which cannot be scaled.

    Raises:
        AttribevalError: If arrays do not match, a map or an output is not finite (which one), a probability is none,
            or an option is bad.
    """
    check_fill(fill, allowed=FILLS)
    subject = subject_of(images, predict, targets, seeds, batch_size=batch_size)
    return _shared_changes(subject, explained_by(checked_maps(maps, subject.images)), fill)


def changes(clean: np.ndarray, masked: np.ndarray) -> ConfidenceChange:
    """The three scores of probabilities of the clean and the masked images, (N,) each; NaN where masked is NaN.

    Raises:
        AttribevalError: If a number is no probability.
    """
    for name, values in (("clean", clean), ("masked", masked)):
        bad = np.flatnonzero((values < -1e-6) | (values > 1 + 1e-6))
        if bad.size:
            raise AttribevalError(
                f"Expected probabilities from 0 to 1. Received: {values[bad[0]]} for the {name} image {bad[0]}: give a "
                "predict that returns probabilities, not logits."
            )
    clean, masked = np.clip(clean, 0, 1), np.clip(masked, 0, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        drop = np.where(clean > 0, np.maximum(0, clean - masked) / clean, np.nan)
        gain = np.where(clean < 1, np.maximum(0, masked - clean) / (1 - clean), np.nan)
    return ConfidenceChange(drop, np.where(np.isnan(masked), np.nan, masked > clean), gain)


def _masked(subject: Subject, maps: np.ndarray, fill: Fill) -> np.ndarray:
    """Probabilities of the images seen through their maps, (N,); NaN for constant maps, which are not asked about."""
    low, high = maps.min(axis=(1, 2)), maps.max(axis=(1, 2))
    good = np.flatnonzero(high > low)

    def painted() -> Iterator[tuple[int, np.ndarray]]:
        for item in good.tolist():
            image = subject.images[item]
            shown = ((maps[item] - low[item]) / (high[item] - low[item])).astype(np.float32)[..., None]
            yield item, shown * image + (1 - shown) * filled_image(subject, item, fill)

    out = np.full(len(maps), np.nan)
    out[good] = scored(subject, painted())[:, _PROBABILITY]
    return out


def _shared_changes(subject: Subject, explained: Explained, fill: Fill) -> ConfidenceChange:
    if subject.classifier is not None and not subject.classifier.task.has_probabilities:
        raise AttribevalError(
            f"Expected a model with probabilities, of which average drop takes shares. Received one whose task is "
            f"{subject.classifier.task.name!r}: use deletion, insertion or road, which work on any score."
        )

    def compute() -> ConfidenceChange:
        clean = clean_scores(subject)[:, _PROBABILITY]
        return changes(clean, _masked(subject, checked_maps(explained.heat), fill))

    return explained.share(("confidence change", fill), compute)


@dataclass(frozen=True)
class AverageDrop(OfMaps):
    """Average drop as a benchmark.

    Attributes:
        fill: What is seen where the map is lowest, see `confidence_change`.
    """

    card = Card.of(r"""
        average_drop (faithfulness): Share of the class's probability lost when the image is multiplied with its map, 0
            to 1
        better: low
        passes: 0 + 1
        paper: Chattopadhay et al. 2018 (Grad-CAM++)
        maths: \frac{\max(0, p - o)}{p}, \qquad p = p_c(x), \quad o = p_c\left(\hat M \odot x + (1 - \hat M) \odot
            \tilde x\right), \quad \hat M = \frac{M - \min M}{\max M - \min M}
        misleads: Maps that are high nearly everywhere lose nothing, as they hide nothing.
    """)
    which: ClassVar[str] = "drop"
    fill: Fill = "black"

    def __post_init__(self) -> None:
        check_fill(self.fill, allowed=FILLS)

    def score(self, subject: Subject, prepared: None, explained: Explained) -> np.ndarray:
        return getattr(_shared_changes(subject, explained, self.fill), self.which)


@dataclass(frozen=True)
class AverageIncrease(AverageDrop):
    """Average increase as a benchmark; option as `AverageDrop`, whose pass it shares."""

    card = Card.of(r"""
        average_increase (faithfulness): Whether the class's probability rises when the image is multiplied with its
            map, 0 or 1
        better: high
        passes: 0 + 1, shared with average_drop
        paper: Chattopadhay et al. 2018 (Grad-CAM++)
        maths: 1[o > p], \qquad p = p_c(x), \quad o = p_c\left(\hat M \odot x + (1 - \hat M) \odot \tilde x\right),
            \quad \hat M = \frac{M - \min M}{\max M - \min M}
        misleads: A rise by a hair counts as 1, and images that the model is sure of can hardly rise.
    """)
    which: ClassVar[str] = "increase"


@dataclass(frozen=True)
class AverageGain(AverageDrop):
    """Average gain as a benchmark; option as `AverageDrop`, whose pass it shares."""

    card = Card.of(r"""
        average_gain (faithfulness): Share of the probability lacking to 1 gained when the image is multiplied with its
            map, 0 to 1
        better: high
        passes: 0 + 1, shared with average_drop
        paper: Zhang et al. 2024 (Opti-CAM)
        maths: \frac{\max(0, o - p)}{1 - p}, \qquad p = p_c(x), \quad o = p_c\left(\hat M \odot x + (1 - \hat M) \odot
            \tilde x\right), \quad \hat M = \frac{M - \min M}{\max M - \min M}
        misleads: Where the model is sure already, a tiny rise is a large share of what was lacking.
    """)
    which: ClassVar[str] = "gain"
