"""The images that maps were made from, to be drawn beneath them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attribeval.datasets.source import ImageSource, Repeated


@dataclass(frozen=True, eq=False)
class Photographs:
    """Which images of a source; they are read when they are drawn, and nothing is copied before.

    Attributes:
        source: The caller's own images: an array that is changed later is drawn as it is then.
        order: Their numbers in the source, ints (N,).
    """

    source: ImageSource | Repeated
    order: np.ndarray

    @classmethod
    def of(cls, source: ImageSource | Repeated) -> Photographs:
        """All images of a source."""
        return cls(source, np.arange(len(source)))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, index: slice | Sequence[int] | np.ndarray) -> Photographs:
        return Photographs(self.source, self.order[index])

    def load(self) -> np.ndarray:
        """The images, float32 (N, H, W, C), as the maps' method saw them before preprocessing."""
        return np.concatenate([self.source.load(int(i), int(i) + 1) for i in self.order])
