"""Faithfulness correlation (Bhatt et al. 2020): attribution and drop of the score over subsets of one size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill
from attribeval.common.options import check_choice, check_count, check_share
from attribeval.metrics.card import Card
from attribeval.metrics.correlation import CORRELATIONS
from attribeval.metrics.faithfulness.scoring import score_of, subject_of
from attribeval.metrics.faithfulness.subsets import FEATURES, feature_count, feature_maps, shared_drops, subset_sums
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject


def faithfulness_correlation(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, *,
    share: float = 0.2, subsets: int = 50, correlation: str = "pearson", fill: Fill = "black", per: str = "pixel",
    seeds: np.ndarray | None = None, clean: np.ndarray | None = None, batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """Correlation of Σ attribution and drop of the score over random subsets of one size (Bhatt et al. 2020, def. 3).

    It is one point of `sensitivity_n`, of the size that is chosen here, and sees the same subsets.

    Args:
        maps: Attributions (N, H, W); (N, H, W, C) for per="value".
        images: Raw images, float32 (N, H, W, C).
        predict: Raw images -> (B, classes); logits or probabilities, the paper has a scalar f.
        targets: Class explained for each image, ints (N,).
        share: Features in a subset, as a share of all, above 0 and below 1; at least one.
        subsets: Random subsets.
        correlation: "pearson" (the paper's) or "spearman".
        fill: What replaces removed features, in raw space; the paper names 0 and the mean of the data set (a tuple).
        per: What a feature is: "pixel" (all channels together) or "value" (each by itself).
        seeds: One per image, int32 (N, 2); None makes them from the images.
        clean: Scores of the images, (N,), if known.
        batch_size: Images that `predict` gets at a time.

    Returns:
        float64 (N,), -1..1; NaN where the sums or the drops of all subsets are the same, as for a constant map.

    Raises:
        AttribevalError: If shapes do not match, or a map or score is not finite (naming the item).

    Differs from Quantus: its subsets have 224 features whatever the size of the image, and a map's positive and
    negative values are scaled by themselves before, which changes the correlation of maps that have both.
    """
    metric = FaithfulnessCorrelation(share, subsets, correlation, fill, per)
    subject = subject_of(images, predict, targets, seeds, clean, batch_size)
    return score_of(metric, maps, subject, channels=per == "value")


@dataclass(frozen=True)
class FaithfulnessCorrelation:
    """`faithfulness_correlation` of the logit; beside `sensitivity_n` it needs 34 passes per image of its own, not 50.

    Attributes:
        share: Features in a subset, as a share of all; .2 is a size that `sensitivity_n` asks for as well.
        subsets, correlation, fill, per: See `faithfulness_correlation`.
    """

    share: float = 0.2
    subsets: int = 50
    correlation: str = "pearson"
    fill: Fill = "black"
    per: str = "pixel"

    card = Card.of(r"""
        faithfulness_correlation (faithfulness): correlation, -1 to 1, of attribution and drop of the logit over random
            fifths of the pixels
        better: high
        passes: 50 + 0
        paper: Bhatt et al. 2020, def. 3
        maths: \mathrm{corr}_{|S| = n} \left(\sum_{i \in S} M_i, \; f(x) - f(x_{-S})\right)
        misleads: Any scattered fifth of a large image's pixels does about the same: every map correlates little.
    """)

    def __post_init__(self) -> None:
        check_share("share", self.share)
        check_count("subsets", self.subsets, 2)
        check_choice("correlation", self.correlation, tuple(CORRELATIONS))
        check_fill(self.fill, allowed=PLAIN_FILLS)
        check_choice("per", self.per, FEATURES)

    def prepare(self, subject: Subject) -> np.ndarray:
        """Drops of the logit, float64 (N, subsets)."""
        return shared_drops(subject, self._sizes(subject), self.subsets, self.fill, self.per)[:, :, 0]

    def score(self, subject: Subject, prepared: np.ndarray, explained: Explained) -> np.ndarray:
        """Correlation by image, float64 (N,); NaN for a constant map or model."""
        maps = feature_maps(subject, explained, self.per)
        sums = subset_sums(maps, self._sizes(subject), self.subsets, subject.seeds)[:, :, 0]
        return CORRELATIONS[self.correlation](sums, prepared)

    def _sizes(self, subject: Subject) -> list[int]:
        return [max(1, round(self.share * feature_count(subject.images.shape[1:], self.per)))]
