"""Paths of modified images that several benchmarks ask about: each is walked once per method and answers them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attribeval.common.fills import Fill
from attribeval.common.options import check_count
from attribeval.metrics.faithfulness.fills import check_fill, filled
from attribeval.metrics.faithfulness.on_device import OnDevice, asks_device
from attribeval.metrics.faithfulness.ranking import region_ranks
from attribeval.metrics.faithfulness.removal import BATCH, Score, evenly, of_targets, removal_curve, scored
from attribeval.metrics.subject import Explained, Predict, Subject, checked_maps

OUTPUTS = ("logit", "probability")  # places in the last axis of what `both` and `path_scores` return


@dataclass(frozen=True)
class Path:
    """How images change along a map; equal paths are walked once.

    Attributes:
        counts: Numbers of regions changed, not falling.
        fill: What removed pixels become.
        region: Side of the regions in pixels.
        least_first: Whether the least important regions change first.
        insert: From the filled image to the clean one, instead of the reverse.
    """

    counts: tuple[int, ...]
    fill: Fill
    region: int = 1
    least_first: bool = False
    insert: bool = False

    def meets_filled(self, size: tuple[int, ...]) -> bool:
        """Whether the fully filled image lies on the path over images of this size (H, W)."""
        return self.insert or self.counts[-1] >= regions(size, self.region)


def even_path(size: tuple[int, ...], steps: int, fill: Fill, *, insert: bool = False) -> Path:
    """The path over all pixels of images of this size (H, W) in even steps.

    Raises:
        AttribevalError: If `steps` or `fill` is bad.
    """
    check_count("steps", steps, 1)
    check_fill(fill)
    return Path(tuple(evenly(int(np.prod(size)), steps).tolist()), fill, insert=insert)


def regions(size: tuple[int, ...], region: int) -> int:
    """Number of square regions of a grid over images of this size (H, W), those cut at the edges included."""
    return int(np.prod([-(-side // region) for side in size]))


def curves(
    paths: Sequence[Path],
    maps: np.ndarray,
    images: np.ndarray,
    predict: Predict,
    targets: np.ndarray,
    seeds: np.ndarray,
    batch_size: int,
) -> list[np.ndarray]:
    """Outputs for the targets along paths with one fill, float64 (N, K) each; clean and filled images are asked once.

    Raises:
        AttribevalError: If arrays do not match, a map or an output is not finite (which one), or an option is bad.
    """
    images = np.asarray(images, np.float32)
    checked_maps(maps, images)
    check_count("batch_size", batch_size, 1)
    score = of_targets(predict, targets, len(images))
    ranked = {region: region_ranks(maps, region, seeds) for region in {path.region for path in paths}}
    clean = scored(enumerate(images), score, batch_size)
    end = np.full_like(clean, np.nan)  # which no path reads
    if any(path.meets_filled(images.shape[1:3]) for path in paths):
        end = _filled_scores(images, paths[0].fill, seeds, score, batch_size)
    return [_walk(path, ranked[path.region], images, seeds, (clean, end), score, batch_size) for path in paths]


def ends_of(
    images: np.ndarray, fill: Fill, seeds: np.ndarray, score: Score, batch_size: int = BATCH
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the clean images and of the filled ones, float64 (N, ...) each."""
    return scored(enumerate(images), score, batch_size), _filled_scores(images, fill, seeds, score, batch_size)


def both(subject: Subject) -> Score:
    """Logit and probability of the items' classes, float64 (B, 2)."""
    if asks_device(subject):
        return OnDevice(subject)

    def score(images: np.ndarray, items: np.ndarray) -> np.ndarray:
        picked = np.arange(len(items)), subject.targets[items]
        return np.stack([answers[picked] for answers in subject.ask(images)], axis=-1)

    return score


def clean_scores(subject: Subject) -> np.ndarray:
    """Logit and probability of the clean images' classes, float64 (N, 2); never asked for again."""
    picked = np.arange(len(subject)), subject.targets
    return np.stack([subject.logits[picked], subject.probabilities[picked]], axis=-1)


def filled_scores(subject: Subject, fill: Fill) -> np.ndarray:
    """Logit and probability of the classes of fully removed images, float64 (N, 2), asked for once per subject."""
    return subject.share(
        ("filled scores", fill),
        lambda: _filled_scores(subject.images, fill, subject.seeds, both(subject)),
    )


def pixel_ranks(subject: Subject, explained: Explained, region: int = 1) -> np.ndarray:
    """`ranking.region_ranks` of the method's heat maps, computed once per method."""
    return explained.share(("ranks", region), lambda: region_ranks(explained.heat, region, subject.seeds))


def path_scores(subject: Subject, explained: Explained, path: Path) -> np.ndarray:
    """Logit and probability along a path, float64 (N, K, 2), asked for once per method."""

    def compute() -> np.ndarray:
        clean = clean_scores(subject)
        needed = path.meets_filled(subject.images.shape[1:3])
        end = filled_scores(subject, path.fill) if needed else np.full_like(clean, np.nan)
        ranked = pixel_ranks(subject, explained, path.region)
        return _walk(path, ranked, subject.images, subject.seeds, (clean, end), both(subject))

    return explained.share(("path", path), compute)


def _walk(
    path: Path,
    ranked: np.ndarray,
    images: np.ndarray,
    seeds: np.ndarray,
    known: tuple[np.ndarray, np.ndarray],
    score: Score,
    batch_size: int = BATCH,
) -> np.ndarray:
    """Scores along a path, float64 (N, K, ...); `known` has those of the clean images and of the filled ones."""
    if path.least_first:
        ranked = ranked.max(axis=(1, 2), keepdims=True) - ranked

    def ends(item: int) -> tuple[np.ndarray, np.ndarray]:
        pair = images[item], filled(images[item : item + 1], path.fill, seeds[item : item + 1])[0]
        return pair[::-1] if path.insert else pair

    return removal_curve(ranked, np.array(path.counts), ends, known[::-1] if path.insert else known, score, batch_size)


def _filled_scores(
    images: np.ndarray, fill: Fill, seeds: np.ndarray, score: Score, batch_size: int = BATCH
) -> np.ndarray:
    painted = ((i, filled(images[i : i + 1], fill, seeds[i : i + 1])[0]) for i in range(len(images)))
    return scored(painted, score, batch_size)
