"""What the two relative stabilities have in common (Agarwal et al. 2022)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.common.options import check_positive
from attribeval.errors import AttribevalError
from attribeval.metrics.robustness.neighbourhood import Neighbourhood, distances


def same_class(logits: np.ndarray, neighbour_logits: np.ndarray) -> np.ndarray:
    """Whether the model predicts the class of (N, classes) for neighbours (N, S, classes) too, bool (N, S)."""
    return neighbour_logits.argmax(-1) == logits.argmax(-1)[:, None]


def largest_kept(values: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The largest of the kept values of each row of (N, S), (N,); NaN where none is kept or one of them is NaN."""
    if kept.shape != values.shape or kept.dtype != bool:
        raise AttribevalError(f"Expected kept as bools {values.shape}. Received: {kept.dtype} {kept.shape}.")
    largest = np.where(kept, values, -np.inf).max(1)
    return np.where(np.isneginf(largest), np.nan, largest)


def relative_change(arrays: np.ndarray, neighbours: np.ndarray, floor: float) -> np.ndarray:
    """Norm of the element-wise relative change, ‖(a − a′) / a‖₂ (Agarwal et al. 2022, numerator of eq. 2).

    Elements of a that are smaller than the share `floor` of its largest |·| are divided by that share instead, since a
    change relative to 0 is undefined and one relative to almost 0 would be all that the norm sees. The arrays a are
    (N, ...), their neighbours a′ (N, S, ...): float64 (N, S); NaN where an array is 0 everywhere.
    """
    sizes = np.abs(np.asarray(arrays, np.float64))
    largest = sizes.max(axis=tuple(range(1, sizes.ndim)), keepdims=True)
    return distances(arrays, neighbours, np.maximum(sizes, floor * largest))


@dataclass(frozen=True)
class Stability(Neighbourhood):
    """Options of the relative stabilities; others and sharing: `Neighbourhood`.

    Attributes:
        floor: Values below this share of an array's largest |·| are divided by that share, see
            `relative_change`.
        epsilon: Smallest divisor, ε_min in the paper.
    """

    floor: float = 0.01
    epsilon: float = 1e-6

    def __post_init__(self):
        super().__post_init__()
        check_positive("floor", self.floor)
        check_positive("epsilon", self.epsilon)
