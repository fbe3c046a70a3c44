"""Pieces of images, cut out when they are needed and enlarged to the size of an image: crops, and ACE's superpixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attribeval.datasets.images import resize
from attribeval.methods.segments import unit_range

_SAME = 0.5  # intersection over union of two segments that are taken for one
_LEAST = 0.001  # of the image's area


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

    def part(self, k: int, images: np.ndarray) -> np.ndarray:
        """The k-th piece as it lies in its image, (h, w, C)."""
        x0, y0, x1, y1 = self.boxes[k]
        return images[self.items[k], y0:y1, x0:x1]

    def cut(self, images: np.ndarray) -> np.ndarray:
        """The pieces, each enlarged bilinearly to the size of an image, float32 (M, H, W, C)."""
        found = np.empty((len(self), *images.shape[1:]), np.float32)
        for k in range(len(self)):
            found[k] = resize(self.part(k, images), images.shape[1:3])
        return found


def random_crops(count: int, size: tuple[int, int], crops: int, share: float, seed: int) -> Pieces:
    """So many crops of each of `count` images, image after image, evenly distributed over all places where they fit.

    The side of a crop is a share of the image's. The places in an image do not depend on the number of images.
    """
    height, width = (max(1, round(share * side)) for side in size)
    boxes = []
    for item in range(count):
        generator = np.random.default_rng([seed, item])
        y = generator.integers(0, size[0] - height + 1, crops)
        x = generator.integers(0, size[1] - width + 1, crops)
        boxes.append(np.stack([x, y, x + width, y + height], axis=1))
    return Pieces(np.repeat(np.arange(count), crops), np.concatenate(boxes))


@dataclass(frozen=True, eq=False)
class Superpixels(Pieces):
    """Pieces of which only the pixels of a segment are shown.

    Attributes:
        masks: The segment inside each box, bool arrays (y1 − y0, x1 − x0).
        ground: Colour of all other pixels, float32 (C,), raw.
    """

    masks: Sequence[np.ndarray]
    ground: np.ndarray

    def __getitem__(self, which: np.ndarray | slice) -> Superpixels:
        chosen = np.arange(len(self))[which]
        return Superpixels(self.items[which], self.boxes[which], [self.masks[k] for k in chosen], self.ground)

    def part(self, k: int, images: np.ndarray) -> np.ndarray:
        """The k-th segment on its ground, (h, w, C)."""
        return np.where(self.masks[k][..., None], super().part(k, images), self.ground)


def superpixels(images: np.ndarray, counts: Sequence[int]) -> Superpixels:
    """The segments of all images at all resolutions (Ghorbani et al. 2019, section 3, step 1).

    Of two segments of one image with more than half of their union in common, the one of the earlier resolution stays;
    segments below a thousandth of the image are left out. The ground is the mean colour of all images.

    Args:
        images: Raw, float32 (N, H, W, C).
        counts: About how many segments, at each resolution.
    """
    items, boxes, masks = [], [], []
    for item, image in enumerate(images):
        for mask in _different([slic_labels(image, count) for count in counts]):
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
            items.append(item)
            boxes.append(box)
            masks.append(mask[box[1] : box[3], box[0] : box[2]])
    ground = images.mean((0, 1, 2), dtype=np.float64).astype(np.float32)
    return Superpixels(np.array(items), np.array(boxes), masks, ground)


def slic_labels(image: np.ndarray, count: int) -> np.ndarray:
    """About so many segments of one image by SLIC as the authors' code sets it, int (H, W) from 0."""
    from skimage.segmentation import slic

    colours = image.shape[2] == 3
    return slic(unit_range(image), count, compactness=20, sigma=1, start_label=0, channel_axis=-1, convert2lab=colours)


def _different(labels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The segments of one image, bool (H, W), without those that an earlier resolution had."""
    kept: list[np.ndarray] = []
    for of_resolution in labels:
        before = list(kept)
        for label in range(of_resolution.max() + 1):
            mask = of_resolution == label
            again = any((mask & other).sum() > _SAME * (mask | other).sum() for other in before)
            if mask.mean() > _LEAST and not again:
                kept.append(mask)
    return kept
