"""Sensitivity-n: do the attributions of n features sum to the drop of the score without them?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill
from attribeval.common.options import check_choice, check_count
from attribeval.errors import AttribevalError
from attribeval.metrics.card import Card
from attribeval.metrics.correlation import pearson
from attribeval.metrics.faithfulness.scoring import explained_by, subject_of
from attribeval.metrics.faithfulness.subsets import FEATURES, feature_count, feature_maps, shared_drops, subset_sums
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps
from attribeval.results.means import known_mean

_LARGEST = 0.8  # share of all features


def subset_sizes(features: int, ratio: float = 4.0) -> list[int]:
    """Log-spaced numbers of features, ascending: 80 % of all, and a `ratio`-th of it again and again, down to 1.

    With the ratio 4, one of the sizes is a fifth of all features, of which there are 2 or more.
    """
    if not ratio > 1 or features < 2:
        raise AttribevalError(f"Expected ratio > 1 and 2 features or more. Received: {ratio}, {features}.")
    steps = int(math.log(max(_LARGEST * features, 1)) / math.log(ratio)) + 1
    return sorted({max(1, round(_LARGEST * features / ratio**k)) for k in range(steps)} | {1})


def sensitivity_n(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, *,
    sizes: list[int] | None = None, subsets: int = 16, fill: Fill = "black", per: str = "pixel",
    seeds: np.ndarray | None = None, clean: np.ndarray | None = None, batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """Pearson's r of Σ attribution and drop of the score over random n-subsets (Ancona et al. 2018, sec. 4).

    Exact attributions of a linear model with the fill as baseline have r = 1 at every n. The mean over images at one n
    is a point of the paper's curve. The subsets of one draw are nested, see `subsets`, so that r at two sizes of one
    image are not independent.

    Args:
        maps: Attributions (N, H, W); (N, H, W, C) for per="value".
        images: Raw images, float32 (N, H, W, C).
        predict: Raw images -> (B, classes); logits in the paper.
        targets: Class explained for each image, ints (N,).
        sizes: Numbers of features n, ascending; None takes `subset_sizes`.
        subsets: Random subsets of each size.
        fill: What replaces removed features, in raw space; the paper has 0 in the model's input space.
        per: What a feature is: "pixel" (all channels together) or "value" (each by itself).
        seeds: One per image, int32 (N, 2); None makes them from the images.
        clean: Scores of the images, (N,), if known.
        batch_size: Images that `predict` gets at a time.

    Returns:
        float64 (N, len(sizes)), -1..1; NaN where the sums or the drops of all subsets are the same, as for a constant
        map.

    Raises:
        AttribevalError: If shapes do not match, or a map or score is not finite (naming the item).

    Differs from Quantus: there, a step takes the *next* features in the order of the map, the image stays without those
    of all steps before, but only the new ones' attributions are summed; and r is over images, at each step, of maps
    that were normalised one by one and of probabilities. That is another quantity: exact attributions of a linear model
    get .27 to .43 in it.
    """
    metric = SensitivityN(subsets=subsets, fill=fill, per=per)
    subject = subject_of(images, predict, targets, seeds, clean, batch_size)
    explained = explained_by(checked_maps(maps, subject.images, channels=per == "value"))
    return metric.curve(subject, explained, sizes or metric.sizes(subject.images.shape[1:]))


@dataclass(frozen=True)
class SensitivityN:
    """The mean of `sensitivity_n` over log-spaced numbers of features.

    Attributes:
        ratio: Of one number of features to the next smaller one, above 1; the largest is 80 % of all.
        subsets, fill, per: See `sensitivity_n`.
    """

    ratio: float = 4.0
    subsets: int = 16
    fill: Fill = "black"
    per: str = "pixel"

    card = Card.of(r"""
        sensitivity_n (faithfulness): mean r, -1 to 1, of attribution and drop of the logit over random pixels, 1 to 80
            % of them
        better: high
        passes: 144 + 0
        paper: Ancona et al. 2018, sec. 4
        maths: \frac{1}{|N|} \sum_{n \in N} r_n, \qquad r_n = \mathrm{corr}_{|S| = n} \left(\sum_{i \in S} M_i, \; f(x)
            - f(x_{-S})\right)
        misleads: Scattered pixels break the texture that a net looks at rather than remove the object, so that every
            map correlates little; for a few pixels of a large image the drop is near float32 rounding.
    """)

    def __post_init__(self) -> None:
        if isinstance(self.ratio, bool) or not isinstance(self.ratio, (int, float)) or not 1 < self.ratio < math.inf:
            raise AttribevalError(f"Expected ratio to be a number above 1. Received: {self.ratio!r}.")
        check_count("subsets", self.subsets, 2)
        check_fill(self.fill, allowed=PLAIN_FILLS)
        check_choice("per", self.per, FEATURES)

    def sizes(self, shape: tuple[int, ...]) -> list[int]:
        """The numbers of features for images (H, W, C)."""
        return subset_sizes(feature_count(shape, self.per), self.ratio)

    def prepare(self, subject: Subject) -> list[int]:
        """The numbers of features, whose drops are asked for."""
        sizes = self.sizes(subject.images.shape[1:])
        shared_drops(subject, sizes, self.subsets, self.fill, self.per)
        return sizes

    def curve(self, subject: Subject, explained: Explained, sizes: list[int]) -> np.ndarray:
        """r by image and number of features, float64 (N, K); NaN where undefined."""
        maps = feature_maps(subject, explained, self.per)
        drops = shared_drops(subject, sizes, self.subsets, self.fill, self.per)
        sums = subset_sums(maps, sizes, self.subsets, subject.seeds)
        return pearson(sums.swapaxes(1, 2), drops.swapaxes(1, 2))

    def score(self, subject: Subject, prepared: list[int], explained: Explained) -> np.ndarray:
        """Mean r over the numbers of features where it is defined, float64 (N,); NaN for a constant map or model."""
        return known_mean(self.curve(subject, explained, prepared), 1)
