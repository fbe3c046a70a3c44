"""Region perturbation (Samek et al. 2017): the area over the curve when the most, or the least, relevant go first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from attribeval.common.fills import Fill, check_fill
from attribeval.common.options import check_choice, check_count
from attribeval.metrics.card import Card, OfMaps
from attribeval.metrics.faithfulness.fills import FILLS
from attribeval.metrics.faithfulness.removal import path_scores, regions
from attribeval.metrics.faithfulness.scoring import OUTPUTS, score_of, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject

REGION, STEPS, PER_STEP = 9, 10, 10
ORDERS = ("morf", "lerf", "abpc")


def aopc(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, seeds: np.ndarray, *,
    order: str = "morf", region: int = REGION, steps: int = STEPS, per_step: int = PER_STEP, fill: Fill = "noise",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """Area over the perturbation curve: the mean of f(x⁰) − f(xᵏ) over k = 0 … L (Samek et al. 2017, eq. 12).

    The image is cut into a grid of regions, ordered by the sum of the map in each; xᵏ has the first k · `per_step` of
    them replaced. The paper replaces L = 100 regions of 9 × 9 pixels one by one: `steps=100, per_step=1`. The default
    replaces the same 100 regions in ten steps. Pixel flipping (Bach et al. 2015) is `region=1`.

    Differs from Quantus: its RegionPerturbation slides regions over all positions and takes the best that do not
    overlap, of a map padded with zeros, and returns the drops without k = 0; its PixelFlipping returns the outputs
    themselves. Ties are broken at random, there by position.

    Args:
        maps: Real numbers (N, H, W), greater is more important.
        images: Raw images (N, H, W, C).
        predict: Raw images (B, H, W, C) -> (B, classes), B up to `batch_size`; probabilities or logits.
        targets: Class explained for each image, ints (N,).
        seeds: int32 (N, 2), one per image, as `common.seeds.image_seeds` gives; for ties, and for fill="noise".
        order: "morf": the most relevant region first. "lerf": the least relevant first. "abpc": the area between the
            two curves, that of morf minus that of lerf.
        region: Side of a region in pixels; those at the right and the lower edge are cut.
        steps: L, the number of steps.
        per_step: Regions replaced in each. Where the regions do not last for all steps, L is the step that takes the
            last of them.
        fill: What replaced regions become, see `fills.filled`; each image has one noise for all steps and both orders.
        batch_size: Images given to `predict` at a time.

    Returns:
        float64 (N,), in units of the output; −1 to 1 for probabilities. For morf and abpc higher is better, for lerf
        lower is better.

    Raises:
        AttribevalError: If arrays do not match, a map or an output is not finite (which one), or an option is bad.
    """
    check_choice("order", order, ORDERS)
    metric = {"morf": Morf, "lerf": Lerf, "abpc": Abpc}[order](region, steps, per_step, fill)
    return score_of(metric, maps, subject_of(images, predict, targets, seeds, batch_size=batch_size))


@dataclass(frozen=True)
class Morf(OfMaps):
    """Region perturbation as a benchmark, the most relevant regions first.

    Attributes:
        region, steps, per_step, fill: See `aopc`.
        output: "probability" or "logit".
    """

    card = Card.of(r"""
        morf (faithfulness): Mean drop of the probability while the most relevant regions become noise (AOPC), −1 to 1
        better: high
        passes: 0 + 10
        paper: Samek et al. 2017, eq. 12; region=1: Bach et al. 2015
        maths: \mathrm{AOPC} = \frac{1}{L + 1} \sum_{k=0}^{L} \left(p_c(x^{(0)}) - p_c(x^{(k)})\right) \\ x^{(k)}:
            \mathrm{the\ } k m \mathrm{\ regions\ } r \mathrm{\ with\ the\ highest\ } \sum_{u \in r} M(u) \mathrm{\
            filled}
        misleads: Noise is nothing that the model was trained on: it may drop because of it wherever it is.
    """)
    order: ClassVar[str] = "morf"
    region: int = REGION
    steps: int = STEPS
    per_step: int = PER_STEP
    fill: Fill = "noise"
    output: str = "probability"

    def __post_init__(self) -> None:
        for name in ("region", "steps", "per_step"):
            check_count(name, getattr(self, name), 1)
        check_fill(self.fill, allowed=FILLS)
        check_choice("output", self.output, OUTPUTS)

    def score(self, subject: Subject, prepared: None, explained: Explained) -> np.ndarray:
        most = np.arange(self.steps + 1) * self.per_step
        counts = np.unique(np.minimum(most, regions(explained.heat.shape[1:], self.region)))
        drops = []
        for one in ("morf", "lerf") if self.order == "abpc" else (self.order,):
            curve = path_scores(subject, explained, counts, self.fill, self.region, least_first=one == "lerf")
            curve = curve[..., OUTPUTS.index(self.output)]
            drops.append((curve[:, :1] - curve).mean(axis=1))
        return drops[0] if len(drops) == 1 else drops[0] - drops[1]


@dataclass(frozen=True)
class Lerf(Morf):
    """Region perturbation as a benchmark, the least relevant regions first; options as `Morf`."""

    card = Card.of(r"""
        lerf (faithfulness): Mean drop of the probability while the least relevant regions become noise (AOPC), −1 to 1
        better: low
        passes: 0 + 10
        paper: Samek et al. 2017, eq. 12, in the reverse order
        maths: \mathrm{AOPC} = \frac{1}{L + 1} \sum_{k=0}^{L} \left(p_c(x^{(0)}) - p_c(x^{(k)})\right) \\ x^{(k)}:
            \mathrm{the\ } k m \mathrm{\ regions\ } r \mathrm{\ with\ the\ lowest\ } \sum_{u \in r} M(u) \mathrm{\
            filled}
        misleads: Regions without any evidence are easily found: maps hardly differ on images with a quiet corner.
    """)
    order: ClassVar[str] = "lerf"


@dataclass(frozen=True)
class Abpc(Morf):
    """Area between the two perturbation curves as a benchmark; options as `Morf`, whose passes it shares."""

    card = Card.of(r"""
        abpc (faithfulness): AOPC with the most relevant regions first minus AOPC with the least relevant first, −2 to 2
        better: high
        passes: 0 + 20, which morf and lerf make
        paper: Samek et al. 2017, eq. 12, for both orders
        maths: \mathrm{AOPC}_{\mathrm{MoRF}} - \mathrm{AOPC}_{\mathrm{LeRF}} = \frac{1}{L + 1} \sum_{k=0}^{L}
            \left(p_c(x^{(k)}_{\mathrm{LeRF}}) - p_c(x^{(k)}_{\mathrm{MoRF}})\right)
        misleads: A model that noise upsets anywhere has both curves close together, whatever the map.
    """)
    order: ClassVar[str] = "abpc"
