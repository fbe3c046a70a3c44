"""Two embedded scenes side by side: images with two objects, for what must tell one object from another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attribeval.datasets.digit_scenes import OBJECTS, SceneSplit
from attribeval.datasets.samples import Samples
from attribeval.datasets.train_test import Part
from attribeval.errors import AttribevalError


@dataclass(frozen=True, eq=False, repr=False)
class DigitPairs(Part):
    """Images of two different digits, left and right; S is the side of a scene, item i of every array is image i.

    Attributes:
        name: "train" or "test".
        images: uint8 (P, S, 2 S, 3).
        objects: Which of `OBJECTS` stands left and right, int64 (P, 2).
        masks: Pixels of the left and of the right digit, bool (P, 2, S, 2 S).
        boxes: Tight boxes of the masks, float64 (P, 2, 4): x0, y0, x1, y1 in pixel edges.
    """

    objects: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray

    @property
    def pixels(self) -> np.ndarray:
        """What each pixel shows, uint8 (P, S, 2 S): a digit 0 to 9, or 10 for the scene. Made anew."""
        found = np.full(self.images.shape[:3], len(OBJECTS), np.uint8)
        for side in (0, 1):
            found = np.where(self.masks[:, side], self.objects[:, side, None, None].astype(np.uint8), found)
        return found

    def samples(self) -> Samples:
        """Each image twice: item 2 i asks about its left digit, item 2 i + 1 about its right one.

        Returns:
            `Samples` of 2 P items whose label, box (relative to the image) and mask are those of one digit.
        """
        n, height, width = self.images.shape[:3]
        return Samples(
            np.repeat(self.images, 2, axis=0),
            self.objects.reshape(-1),
            boxes=list(self.boxes.reshape(2 * n, 1, 4) / [width, height, width, height]),
            masks=self.masks.reshape(2 * n, height, width),
            ids=[f"{self.name}_{i:05d}_{side}" for i in range(n) for side in ("left", "right")],
            class_names=OBJECTS,
            name=f"digit_pairs_{self.name}",
        )


def digit_pairs(split: SceneSplit) -> DigitPairs:
    """Put each scene beside the next one: items 0 and 1, 2 and 3, …; pairs of one digit twice are left out.

    Args:
        split: A part of `digit_scenes`.

    Returns:
        About 0.45 N pairs of N scenes, all of different digits.

    Raises:
        AttribevalError: If no two neighbours show different digits.

    Example:
        >>> from attribeval.datasets import digit_pairs, digit_scenes
        >>> digit_pairs(digit_scenes(n_train=1, n_test=8).test)
        DigitPairs('test', 4 images of 64 x 128)
    """
    n, side = len(split) // 2 * 2, split.images.shape[1]
    left, right = np.arange(0, n, 2), np.arange(1, n, 2)
    differ = split.objects[left] != split.objects[right]
    if not differ.any():
        raise AttribevalError(f"Expected scenes with neighbours of different digits. Received: {split!r}.")
    left, right = left[differ], right[differ]
    none = np.zeros((len(left), side, side), bool)
    masks = [np.concatenate([split.masks[left], none], 2), np.concatenate([none, split.masks[right]], 2)]
    return DigitPairs(
        split.name,
        np.concatenate([split.images[left], split.images[right]], axis=2),
        np.stack([split.objects[left], split.objects[right]], axis=1),
        np.stack(masks, axis=1),
        np.stack([split.boxes[left], split.boxes[right] + [side, 0, side, 0]], axis=1),
    )
