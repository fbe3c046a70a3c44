"""Deletion (Petsiuk et al. 2018, RISE): how fast the class goes when its pixels go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attribeval.common.fills import Fill, check_fill
from attribeval.common.options import check_choice, check_count
from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.faithfulness.fills import FILLS
from attribeval.metrics.faithfulness.removal import evenly, path_scores
from attribeval.metrics.faithfulness.scoring import OUTPUTS, score_of, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject

STEPS = 28


def deletion(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, seeds: np.ndarray, *,
    steps: int = STEPS, fill: Fill = "mean",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """Area under the output for the class while pixels are removed, the most important first.

    Differs from the RISE code: it removes 224 pixels a step (`steps=224` does, for 224 × 224 pixels) and fills with
    the normalised image's zero, which raw images do not know: give the raw colour that the model's preprocessing maps
    to zero, such as `fill=(123.68, 116.779, 103.939)` ("caffe") or `fill=127.5` ("tf"). Ties are broken at random,
    there (and in Xplique) by position. Xplique's score is that of the mean curve of all images; the mean of ours over
    images is the same number.

    Args:
        maps: Real numbers (N, H, W), greater is more important.
        images: Raw images (N, H, W, C).
        predict: Raw images (B, H, W, C) -> (B, classes), B up to `batch_size`; probabilities in the paper.
        targets: Class explained for each image, ints (N,).
        seeds: int32 (N, 2), one per image, as `common.seeds.image_seeds` gives; for ties, and for fill="noise".
        steps: Number of steps from the clean image to the fully removed one, H·W / steps pixels each, rounded.
        fill: What removed pixels become, see `fills.filled`.
        batch_size: Images given to `predict` at a time.

    Returns:
        float64 (N,), in units of the output; 0 to 1 for probabilities. Lower is better. By the trapezoid rule over
        the share of pixels removed.

    Raises:
        AttribevalError: If arrays do not match, a map or an output is not finite (which one), or an option is bad.
    """
    subject = subject_of(images, predict, targets, seeds, batch_size=batch_size)
    return score_of(Deletion(steps, fill), maps, subject)


@dataclass(frozen=True)
class Deletion(OfMaps):
    """Deletion as a benchmark.

    Attributes:
        steps, fill: See `deletion`.
        output: "probability", as in the paper, or "logit".
    """

    card = Card.of(r"""
        deletion (faithfulness): Mean probability of the class while its most important pixels are removed, 0 to 1
        better: low
        passes: 1 + 27
        paper: Petsiuk et al. 2018 (RISE), the causal metrics
        maths: \int_0^1 p_c(x_{-s}) \, ds, \qquad x_{-s}: \mathrm{the\ share\ } s \mathrm{\ of\ pixels\ with\ the\
            highest\ } M \mathrm{\ filled}
        misleads: Scattered pixels make an image that the model has never seen: a map of noise can score well.
    """)
    insert: ClassVar[bool] = False
    steps: int = STEPS
    fill: Fill = "mean"
    output: str = "probability"

    def __post_init__(self) -> None:
        check_count("steps", self.steps, 1)
        check_fill(self.fill, allowed=FILLS)
        check_choice("output", self.output, OUTPUTS)

    def score(self, subject: Subject, prepared: None, explained: Explained) -> np.ndarray:
        counts = evenly(explained.heat[0].size, self.steps)
        curve = path_scores(subject, explained, counts, self.fill, insert=self.insert)[..., OUTPUTS.index(self.output)]
        return np.trapezoid(curve, counts / counts[-1], axis=1)
