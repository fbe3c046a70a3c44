"""Completeness: do the attributions sum to what the score gains over the baseline?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.fills import PLAIN_FILLS, Fill, check_fill, filled
from attribeval.metrics.card import Card
from attribeval.metrics.faithfulness.scoring import clean_scores, of_targets, score_of, scored, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps

_ROUNDING = 1e-6  # gains below this share of the scores are float32 rounding


def completeness(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, *,
    baseline: Fill = "black",
    clean: np.ndarray | None = None, batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """|Σφ − (f(x) − f(x'))| / |f(x) − f(x')| (Sundararajan et al. 2017, sec. 3).

    It is the gap of a method that promises completeness with *this* baseline. One that promises it with another (most
    have the option `baseline`; LRP and Grad × input of a net with biases have none) shows how far the baselines differ.
    Methods whose values are no shares of the score, such as gradients or class activation maps, promise nothing.

    Args:
        maps: Attributions, (N, H, W) or (N, H, W, C).
        images: Raw images, float32 (N, H, W, C).
        predict: Raw images -> (B, classes); the score that was explained, usually logits.
        targets: Class explained for each image, ints (N,).
        baseline: x', in raw space; see `common.fills.filled`. One pass for each image, or one for all where it is a
            colour.
        clean: f(x), (N,), if known.
        batch_size: Images that `predict` gets at a time.

    Returns:
        float64 (N,), 0 or more, no upper bound, low is complete; a map of zeros has 1. NaN where f(x) and f(x') are
        equal up to float32 rounding.

    Raises:
        AttribevalError: If shapes do not match, or a map or score is not finite (naming the item).

    Differs from Quantus: that returns whether the two are equal as floating-point numbers.
    """
    subject = subject_of(images, predict, targets, None, clean, batch_size)
    return score_of(Completeness(baseline), maps, subject, channels=True)


@dataclass(frozen=True)
class Completeness:
    """`completeness` of the logit.

    Attributes:
        baseline: In raw space: that of the methods that are compared ("black" is their default).
    """

    baseline: Fill = "black"

    card = Card.of(r"""
        completeness (axiom): gap between the sum of the map and the gain over the baseline, as a share of the gain, 0
            and up
        better: low
        passes: 1 + 0
        paper: Sundararajan et al. 2017, sec. 3
        maths: \frac{|\sum_i \varphi_i - (f(x) - f(x'))|}{|f(x) - f(x')|}
        misleads: Only methods that promise completeness with this very baseline can do well: others are not wrong, they
            mean something else; and one image with almost no gain can rule the mean, which has no upper bound.
    """)

    def __post_init__(self) -> None:
        check_fill(self.baseline, "baseline", PLAIN_FILLS)

    def prepare(self, subject: Subject) -> np.ndarray:
        """The logit of each image's target on its baseline, float64 (N,)."""
        hidden = filled(subject.images, self.baseline)
        if (hidden != hidden[:1]).any():
            return scored(subject, enumerate(hidden))[:, 0]
        answers = [np.repeat(answer, len(hidden), axis=0) for answer in subject.ask(hidden[:1])]  # one image for all
        return of_targets(answers, subject.targets, np.arange(len(hidden)))[:, 0]

    def score(self, subject: Subject, prepared: np.ndarray, explained: Explained) -> np.ndarray:
        """The gap by image, float64 (N,); NaN where the logit does not differ from the baseline's."""
        sums = checked_maps(explained.values, subject.images, channels=True).sum((1, 2, 3))
        clean = clean_scores(subject)[:, 0]
        gain = clean - prepared
        defined = np.abs(gain) > _ROUNDING * np.maximum(np.abs(clean), np.abs(prepared))
        return np.divide(np.abs(sums - gain), np.abs(gain), out=np.full(len(gain), np.nan), where=defined)
