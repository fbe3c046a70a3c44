"""Pieces of images: which part of which image, cut out when it is needed and enlarged to the size of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.datasets.images import resize


@dataclass(frozen=True, eq=False)
class Pieces:
    """Rectangles of images.

    Attributes:
        items: Which image each is of, int (M,).
        boxes: Where, int (M, 4): x0, y0, x1, y1 in pixel edges (half-open).
    """

    items: np.ndarray
    boxes: np.ndarray

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, which: np.ndarray | slice) -> Pieces:
        return Pieces(self.items[which], self.boxes[which])

    def cut(self, images: np.ndarray) -> np.ndarray:
        """The pieces, each enlarged bilinearly to the size of an image, float32 (M, H, W, C)."""
        size = images.shape[1:3]
        found = np.empty((len(self), *images.shape[1:]), np.float32)
        for k, (item, (x0, y0, x1, y1)) in enumerate(zip(self.items, self.boxes, strict=True)):
            found[k] = resize(images[item, y0:y1, x0:x1], size)
        return found


def random_crops(count: int, size: tuple[int, int], crops: int, share: float, seed: int) -> Pieces:
    """Crops at random places, evenly distributed over all places where they fit.

    Args:
        count: Number of images.
        size: Their height and width.
        crops: Crops of each image.
        share: Side of a crop as a share of the image's, above 0 and up to 1.
        seed: Of the places; those of image i do not depend on the number of images.

    Returns:
        The crops, image after image, (count · crops).
    """
    height, width = (max(1, round(share * side)) for side in size)
    boxes = []
    for item in range(count):
        generator = np.random.default_rng([seed, item])
        y = generator.integers(0, size[0] - height + 1, crops)
        x = generator.integers(0, size[1] - width + 1, crops)
        boxes.append(np.stack([x, y, x + width, y + height], axis=1))
    return Pieces(np.repeat(np.arange(count), crops), np.concatenate(boxes))
