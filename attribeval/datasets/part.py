"""A part of a data set, for training or for tests: images, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Part:
    """Item i of every array is image i.

    Attributes:
        name: "train" or "test".
        images: (N, H, W, C).
    """

    name: str
    images: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        height, width = self.images.shape[1:3]
        return f"{type(self).__name__}({self.name!r}, {len(self)} images of {height} x {width})"
