"""Where maps are compared with the truth: in the model's resized image, in its centre crop, or at full resolution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from attribeval.attributer import Attributer
from attribeval.benchmarks.wsol.reference import drawn_mask
from attribeval.datasets.geometry import centre_crop, crop_relative_boxes, scale_boxes
from attribeval.datasets.images import resize
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError


@dataclass(frozen=True, eq=False)
class Seen:
    """Some images as the model sees them, and their truth as the maps will be scored.

    Attributes:
        items: Places of the images in the part that they came from; those whose boxes all lie outside the crop, or
            whose mask has no pixel left at the size scored, are left out.
        images: Raw images for the model, float32 (n, H, W, C).
        sizes: For each image (height, width) of the map that is scored.
        boxes: For each image (k, 4) edges in pixels of that map, or None.
        masks: For each image uint8 of that size, or None.
    """

    items: list[int]
    images: np.ndarray
    sizes: list[tuple[int, int]]
    boxes: list[np.ndarray] | None
    masks: list[np.ndarray] | None

    def heatmaps(self, values: np.ndarray) -> Sequence[np.ndarray]:
        """Heat maps of the model's size (n, H, W), resized to `sizes` (bilinear) where those differ."""
        if all(size == values.shape[1:] for size in self.sizes):
            return list(values)
        return [resize(v[..., None], size)[..., 0] for v, size in zip(values, self.sizes, strict=True)]


def see(attributer: Attributer, part: Samples, geometry: str, protocol: str) -> Seen:
    """Read some images in a geometry.

    Args:
        attributer: Its model says which size it takes.
        part: The images.
        geometry: "resized": the whole image squashed to the model's size, and scored there. "cropped": the short side
            resized, the centre square cut out; boxes are cut with it. "full": the model sees the squashed image, the
            map is resized to the image's own size and scored there.
        protocol: Of the scores; with "reference" masks are made at 224 × 224.

    Returns:
        What is seen.

    Raises:
        AttribevalError: If the model takes no fixed size and one is needed.
    """
    items = list(range(len(part)))
    if geometry == "cropped":
        return _with_objects(_cropped(attributer, part))
    images = attributer.read(part)
    size = images.shape[1:3]
    sizes = [size] * len(part) if geometry == "resized" else part.sizes()
    boxes = None
    if part.boxes is not None:
        boxes = [scale_boxes(b, (1, 1), s) for b, s in zip(part.boxes, sizes, strict=True)]
    masks = None if part.masks is None else [part.mask_at(i, sizes[i]) for i in items]
    if masks is not None and protocol == "reference":
        masks = [drawn_mask(part, i) for i in items]
    return _with_objects(Seen(items, images, sizes, boxes, masks))


def _with_objects(seen: Seen) -> Seen:
    """Without the images whose object is too small to have a pixel at the size that is scored."""
    if seen.masks is None or all((mask == 1).any() for mask in seen.masks):
        return seen
    kept = [i for i, mask in enumerate(seen.masks) if (mask == 1).any()]

    def pick(values: list) -> list:
        return [values[i] for i in kept]

    boxes = None if seen.boxes is None else pick(seen.boxes)
    return Seen(pick(seen.items), seen.images[kept], pick(seen.sizes), boxes, pick(seen.masks))


def _cropped(attributer: Attributer, part: Samples) -> Seen:
    height, width, channels = attributer.classifier.input_shape
    if height is None or height != width:
        raise AttribevalError(
            f"Expected a model of square images for geometry='cropped'. Received one of {height}×{width}."
        )
    size = (height, width)
    boxes = None
    if part.boxes is not None:
        boxes = [crop_relative_boxes(b, s, height) for b, s in zip(part.boxes, part.sizes(), strict=True)]
    items = [i for i in range(len(part)) if boxes is None or len(boxes[i])]
    images, masks = np.zeros((len(items), height, width, channels), np.float32), []
    for k, i in enumerate(items):
        resized, top, left = centre_crop(part.sizes()[i], height)
        whole = part[i].load(size=resized, channels=channels)[0]
        images[k] = whole[top : top + height, left : left + width]
        if part.masks is not None:
            masks.append(part.mask_at(i, resized)[top : top + height, left : left + width])
    if boxes is not None:
        boxes = [scale_boxes(boxes[i], (1, 1), size) for i in items]
    return Seen(items, images, [size] * len(items), boxes, masks if part.masks is not None else None)
