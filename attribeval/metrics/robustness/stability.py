"""What the two relative stabilities have in common (Agarwal et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.options import check_positive
from attribeval.errors import AttribevalError
from attribeval.metrics.robustness.neighbourhood import Neighbourhood, check_beside, checked_neighbour_maps
from attribeval.metrics.subject import checked_maps


def same_class(logits: np.ndarray, neighbour_logits: np.ndarray) -> np.ndarray:
    """Whether the model predicts the image's class for a neighbour too.

    Args:
        logits: (N, classes).
        neighbour_logits: (N, S, classes).

    Returns:
        bool (N, S).
    """
    return neighbour_logits.argmax(-1) == logits.argmax(-1)[:, None]


def largest_kept(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The largest of the kept values of each row of (N, S), (N,); NaN where none is kept or one of them is NaN."""
    largest = np.where(kept, values, -np.inf).max(1)
    return np.where(np.isneginf(largest), np.nan, largest)


def checked_all(
    maps: np.ndarray, neighbour_maps: np.ndarray, arrays: np.ndarray, neighbours: np.ndarray, kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Maps and their neighbours' maps, once all shapes agree.

    Args:
        maps: (N, H, W) or (N, H, W, C).
        neighbour_maps: (N, S, ...).
        arrays: Of the images, (N, ...).
        neighbours: Of their neighbours, (N, S, ...).
        kept: bool (N, S).

    Returns:
        The first two.

    Raises:
        AttribevalError: If shapes do not match, or a map is not finite (naming it).
    """
    maps = checked_maps(maps, channels=True)
    neighbour_maps = checked_neighbour_maps(maps, neighbour_maps)
    check_beside(arrays, neighbours, neighbour_maps)
    if kept.shape != neighbour_maps.shape[:2] or kept.dtype != bool:
        raise AttribevalError(
            f"Expected kept as bools {neighbour_maps.shape[:2]}. Received: {kept.dtype} {kept.shape}."
        )
    return maps, neighbour_maps


@dataclass(frozen=True)
class Stability(Neighbourhood):
    """Options of the relative stabilities; others and sharing: `Neighbourhood`.

    Attributes:
        floor: Values below this share of an array's largest |·| are divided by that share, see
            `distances.relative_change`.
        epsilon: Smallest divisor, ε_min in the paper.
    """

    floor: float = 0.01
    epsilon: float = 1e-6

    def __post_init__(self):
        super().__post_init__()
        check_positive("floor", self.floor)
        check_positive("epsilon", self.epsilon)
