"""Insertion (Petsiuk et al. 2018, RISE): how fast the class comes when its pixels come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attribeval.common.fills import Fill
from attribeval.common.options import check_choice, check_count
from attribeval.metrics.card import Card
from attribeval.metrics.faithfulness.deletion import STEPS, area
from attribeval.metrics.faithfulness.fills import check_fill
from attribeval.metrics.faithfulness.paths import OUTPUTS, curves, even_path, path_scores
from attribeval.metrics.faithfulness.removal import BATCH
from attribeval.metrics.subject import Explained, Predict, Subject


def insertion(
    maps: np.ndarray,
    images: np.ndarray,
    predict: Predict,
    targets: np.ndarray,
    seeds: np.ndarray,
    *,
    steps: int = STEPS,
    fill: Fill = "blur",
    batch_size: int = BATCH,
) -> np.ndarray:
    """Area under the output for the class while pixels of a blurred image become sharp, the most important first.

    Differs from the RISE code: it adds 224 pixels a step (`steps=224` does, for 224 × 224 pixels) and blurs the
    normalised image, where this one blurs the raw image, mirrored at its border. Ties are broken at random.
    Xplique starts from 0 in the space of its inputs, not from a blurred image: `fill="black"` for raw images.

    Args:
        maps: Real numbers (N, H, W), greater is more important.
        images: Raw images (N, H, W, C).
        predict: Raw images (B, H, W, C) -> (B, classes), B up to `batch_size`; probabilities in the paper.
        targets: Class explained for each image, ints (N,).
        seeds: int32 (N, 2), one per image, as `attributer.image_seeds` gives; for ties, and for fill="noise".
        steps: Number of steps from the filled image to the clean one, H·W / steps pixels each, rounded.
        fill: What the image is at first, see `fills.filled`.
        batch_size: Images given to `predict` at a time.

    Returns:
        float64 (N,), in units of the output; 0 to 1 for probabilities. Higher is better. By the trapezoid rule over
        the share of pixels inserted.

    Raises:
        AttribevalError: If arrays do not match, a map or an output is not finite (which one), or an option is bad.
    """
    path = even_path(np.shape(maps)[1:], steps, fill, insert=True)
    (curve,) = curves([path], maps, images, predict, targets, seeds, batch_size)
    return area(curve, path.counts)


@dataclass(frozen=True)
class Insertion:
    """Insertion as a benchmark.

    Attributes:
        steps, fill: See `insertion`.
        output: "probability", as in the paper, or "logit".
    """

    card: ClassVar[Card] = Card(
        name="insertion",
        family="faithfulness",
        summary="Mean probability of the class while the most important pixels of a blurred image get sharp, 0 to 1",
        better="high",
        passes="1 + 27",
        paper="Petsiuk et al. 2018 (RISE), the causal metrics",
        maths=(
            r"\int_0^1 p_c(x_{+s}) \, ds, \qquad x_{+s}: \mathrm{filled,\ but\ for\ the\ share\ } s "
            r"\mathrm{\ of\ pixels\ with\ the\ highest\ } M"
        ),
        misleads="Where the model knows the class in the blurred image already, every map scores high.",
    )
    steps: int = STEPS
    fill: Fill = "blur"
    output: str = "probability"

    def __post_init__(self) -> None:
        check_count("steps", self.steps, 1)
        check_fill(self.fill)
        check_choice("output", self.output, OUTPUTS)

    def prepare(self, subject: Subject) -> None:
        return None

    def score(self, subject: Subject, prepared: None, explained: Explained) -> np.ndarray:
        path = even_path(explained.heat.shape[1:], self.steps, self.fill, insert=True)
        return area(path_scores(subject, explained, path)[..., OUTPUTS.index(self.output)], path.counts)
