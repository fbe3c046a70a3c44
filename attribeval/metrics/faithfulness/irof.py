"""IROF (Rieger & Hansen 2020, "a low resource evaluation metric for explanation methods"): segments go, not pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.fills import Fill, check_fill
from attribeval.common.options import check_choice, check_count
from attribeval.errors import AttribevalError
from attribeval.methods.segments import Segmentation
from attribeval.metrics.card import Card
from attribeval.metrics.faithfulness.fills import FILLS, filled_image
from attribeval.metrics.faithfulness.ranking import rank_values, tie_breakers
from attribeval.metrics.faithfulness.removal import evenly, filled_scores, removal_curve
from attribeval.metrics.faithfulness.scoring import OUTPUTS, clean_scores, explained_by, subject_of
from attribeval.metrics.subject import BATCH_SIZE, Explained, Predict, Subject, checked_maps

SEGMENTS, STEPS = 50, 10


def irof(
    maps: np.ndarray, images: np.ndarray, predict: Predict, targets: np.ndarray, seeds: np.ndarray, *,
    labels: np.ndarray | None = None, segments: int = SEGMENTS, steps: int | None = STEPS, fill: Fill = "mean",
    batch_size: int = BATCH_SIZE,
) -> np.ndarray:  # fmt: skip
    """Area over the curve of the output, as a part of the clean image's, while segments are removed.

    Segments are removed for good, one after the other, the one with the highest mean of the map first. The area is
    1 − ∫ f(x with a share s of the segments removed) / f(x) ds from s = 0 to 1, by the trapezoid rule.

    Differs from Quantus: there each step removes one segment alone and puts it back, the segment with the last label
    never goes, the area starts after the first removal, and its unit is the number of segments, so that images with
    more segments count more. `steps` groups the segments where the definition has a step for each (`steps=None`).

    Args:
        maps: Real numbers (N, H, W), greater is more important.
        images: Raw images (N, H, W, C).
        predict: Raw images (B, H, W, C) -> (B, classes), B up to `batch_size`; probabilities in the paper.
        targets: Class explained for each image, ints (N,).
        seeds: int32 (N, 2), one per image, as `common.seeds.image_seeds` gives; for ties, and for fill="noise".
        labels: Segments of each image, ints (N, H, W) from 0 without a gap; None makes SLIC superpixels.
        segments: About how many superpixels.
        steps: Steps from the clean image to the fully removed one, each with the same number of segments, rounded;
            None removes one segment a step.
        fill: What removed segments become, see `fills.filled`.
        batch_size: Images given to `predict` at a time.

    Returns:
        float64 (N,), at most 1 for outputs that are not negative, below 0 where the output rises. Higher is better.
        NaN where the clean image's output is 0.

    Raises:
        AttribevalError: If arrays do not match, a map or an output is not finite (which one), or an option is bad.
    """
    metric, subject = Irof(segments, steps, fill), subject_of(images, predict, targets, seeds, batch_size=batch_size)
    explained = explained_by(checked_maps(maps, subject.images))
    return metric.score(subject, metric.prepare(subject) if labels is None else labels, explained)


def segment_labels(images: np.ndarray, segments: int) -> np.ndarray:
    """SLIC superpixels of raw images (N, H, W, C): int32 (N, H, W), labels from 0 without a gap in each image."""
    cut = Segmentation("slic", segments)
    return np.stack([cut.labels(image) for image in images]).astype(np.int32)


def _segment_ranks(maps: np.ndarray, labels: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """Each pixel's segment's place in the order of the means of the map, int32 (N, H, W)."""
    labels = np.asarray(labels)
    if labels.shape != maps.shape or labels.dtype.kind not in "iu":
        raise AttribevalError(
            f"Expected labels as ints of the maps' shape {maps.shape}. Received: {labels.dtype} {labels.shape}."
        )
    out = np.empty(maps.shape, np.int32)
    for item, (values, label, chance) in enumerate(zip(maps, labels, tie_breakers(seeds, len(maps)), strict=True)):
        sizes = np.bincount(label.ravel()) if label.min() >= 0 else np.zeros(1)
        if (sizes == 0).any():
            raise AttribevalError(f"Expected labels from 0 without a gap. Received others for image {item}.")
        means = np.bincount(label.ravel(), weights=values.ravel()) / sizes
        out[item] = rank_values(means, chance)[label]
    return out


@dataclass(frozen=True)
class Irof:
    """IROF as a benchmark.

    Attributes:
        segments, steps, fill: See `irof`.
        output: "probability", as in the paper, or "logit".
    """

    card = Card.of(r"""
        irof (faithfulness): Share of the class's probability lost on average while superpixels are removed, at most 1
        better: high
        passes: 1 + 9
        paper: Rieger & Hansen 2020 (IROF)
        maths: 1 - \int_0^1 \frac{p_c(x_{-s})}{p_c(x)} \, ds \\ x_{-s}: \mathrm{the\ share\ } s \mathrm{\ of\ segments\
            } S \mathrm{\ with\ the\ highest\ } \frac{1}{|S|} \sum_{u \in S} M(u) \mathrm{\ filled}
        misleads: Superpixels are few: maps that differ within them are the same to it.
    """)
    segments: int = SEGMENTS
    steps: int | None = STEPS
    fill: Fill = "mean"
    output: str = "probability"

    def __post_init__(self) -> None:
        check_count("segments", self.segments, 1)
        if self.steps is not None:
            check_count("steps", self.steps, 1)
        check_fill(self.fill, allowed=FILLS)
        check_choice("output", self.output, OUTPUTS)

    def prepare(self, subject: Subject) -> np.ndarray:
        return subject.share(("slic", self.segments), lambda: segment_labels(subject.images, self.segments))

    def score(self, subject: Subject, prepared: np.ndarray, explained: Explained) -> np.ndarray:
        def ends(item: int) -> tuple[np.ndarray, np.ndarray]:
            return subject.images[item], filled_image(subject, item, self.fill)

        def walk() -> tuple[np.ndarray, np.ndarray]:
            ranked = _segment_ranks(checked_maps(explained.heat), prepared, subject.seeds)
            totals = ranked.max(axis=(1, 2)) + 1
            counts = np.stack([evenly(int(total), self.steps or int(totals.max())) for total in totals])
            known = clean_scores(subject), filled_scores(subject, self.fill)
            return removal_curve(subject, ranked, counts, ends, known), counts / totals[:, None]

        curves, shares = explained.share(("irof", self.segments, self.steps, self.fill), walk)
        curve = curves[..., OUTPUTS.index(self.output)]
        with np.errstate(invalid="ignore", divide="ignore"):
            relative = np.where(curve[:, :1] != 0, curve / curve[:, :1], np.nan)
        return 1 - np.trapezoid(relative, shares, axis=1)
