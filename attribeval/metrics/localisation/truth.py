"""Where the object is, for the scores of the leaderboard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from attribeval.common.options import check_choice
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.metrics.localisation.boxes import fill_boxes
from attribeval.metrics.subject import Explained, Subject, checked_maps


def per_image(maps: np.ndarray, truths: list, score: Callable[[np.ndarray, Any], float]) -> np.ndarray:
    """Score each map (N, H, W) against what is known of its image; NaN where that is None: float64 (N,).

    Raises:
        AttribevalError: If there is not one truth per map, or a map is not finite (naming it).
    """
    maps = checked_maps(maps)
    if len(truths) != len(maps):
        raise AttribevalError(f"Expected one truth per map ({len(maps)}). Received: {len(truths)}.")
    pairs = zip(maps, truths, strict=True)
    return np.array([np.nan if truth is None else score(heat, truth) for heat, truth in pairs], np.float64)


def per_region(maps: np.ndarray, regions: np.ndarray, score: Callable[[np.ndarray, np.ndarray], float]) -> np.ndarray:
    """Score each map (N, H, W) against its object's pixels, bool (N, H, W); NaN where there are none: float64 (N,).

    Raises:
        AttribevalError: If shapes do not match, regions are not bools, or a map is not finite (naming it).
    """
    regions = np.asarray(regions)
    if regions.shape != np.shape(maps) or regions.dtype != bool:
        raise AttribevalError(
            f"Expected regions as bools of the maps' shape {np.shape(maps)}. Received: {regions.dtype} {regions.shape}."
        )
    return per_image(maps, [region if region.any() else None for region in regions], score)


Truth = Literal["boxes", "masks", "either"]


@dataclass(frozen=True)
class Regions:
    """The option that scores of pixels have in common.

    Attributes:
        truth: "boxes": the object's pixels are those in any of its boxes. "masks": those of its mask; pixels that the
            mask says are not to be scored count as background. "either": masks where the data have them, which say
            best where the object is, else boxes.
    """

    truth: Truth = "either"

    def __post_init__(self):
        check_choice("truth", self.truth, ("boxes", "masks", "either"))

    def prepare(self, subject: Subject) -> np.ndarray:
        """The object's pixels in each image, bool (N, H, W), the same array for all who ask."""
        samples, size = known(subject), subject.images.shape[1:3]
        return subject.share(("regions", self._read(samples)), lambda: self.regions(samples, size))

    def regions(self, samples: Samples, size: tuple[int, int]) -> np.ndarray:
        """The same of images (height, width) pixels large, bool (N, H, W)."""
        if self._read(samples) == "boxes":
            return np.stack([fill_boxes(boxes, size) for boxes in samples.boxes_at(size)])
        return np.stack([samples.mask_at(item, size) == 1 for item in range(len(samples))])

    def score(self, subject: Subject, prepared: np.ndarray, explained: Explained) -> np.ndarray:
        """As the function of the same name, (N,)."""
        return per_region(explained.heat, prepared, self.measure)

    def measure(self, heat: np.ndarray, region: np.ndarray) -> float:
        """The function's number for one map (H, W) and its object's pixels."""
        raise NotImplementedError

    def _read(self, samples: Samples) -> str:
        """Which of the two it is."""
        return self.truth if self.truth != "either" else "boxes" if samples.masks is None else "masks"


def known(subject: Subject) -> Samples:
    """The subject's boxes and masks.

    Raises:
        AttribevalError: If it has none.
    """
    if subject.samples is None:
        raise AttribevalError("Expected images with boxes or masks. Received: images alone: pass Samples with boxes=.")
    return subject.samples
