"""Paths of modified images that several benchmarks ask about: each is walked once per method and answers them all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.fills import Fill
from attribeval.metrics.faithfulness.fills import filled
from attribeval.metrics.faithfulness.ranking import region_ranks
from attribeval.metrics.faithfulness.removal import removal_curve
from attribeval.metrics.faithfulness.scoring import clean_scores, scored
from attribeval.metrics.subject import Explained, Subject


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


def regions(size: tuple[int, ...], region: int) -> int:
    """Number of square regions of a grid over images of this size (H, W), those cut at the edges included."""
    return int(np.prod([-(-side // region) for side in size]))


def filled_scores(subject: Subject, fill: Fill) -> np.ndarray:
    """Logit and probability of the classes of fully removed images, float64 (N, 2), asked for once per subject."""
    images, seeds = subject.images, subject.seeds
    painted = ((i, filled(images[i : i + 1], fill, seeds[i : i + 1])[0]) for i in range(len(images)))
    return subject.share(("filled scores", fill), lambda: scored(subject, painted))


def pixel_ranks(subject: Subject, explained: Explained, region: int = 1) -> np.ndarray:
    """`ranking.region_ranks` of the method's heat maps, computed once per method."""
    return explained.share(("ranks", region), lambda: region_ranks(explained.heat, region, subject.seeds))


def path_scores(subject: Subject, explained: Explained, path: Path) -> np.ndarray:
    """Logit and probability along a path, float64 (N, K, 2), asked for once per method."""
    images, seeds = subject.images, subject.seeds

    def ends(item: int) -> tuple[np.ndarray, np.ndarray]:
        pair = images[item], filled(images[item : item + 1], path.fill, seeds[item : item + 1])[0]
        return pair[::-1] if path.insert else pair

    def compute() -> np.ndarray:
        clean = clean_scores(subject)
        needed = path.meets_filled(images.shape[1:3])
        known = clean, filled_scores(subject, path.fill) if needed else np.full_like(clean, np.nan)
        ranked = pixel_ranks(subject, explained, path.region)
        if path.least_first:
            ranked = ranked.max(axis=(1, 2), keepdims=True) - ranked
        return removal_curve(subject, ranked, np.array(path.counts), ends, known[::-1] if path.insert else known)

    return explained.share(("path", path), compute)
