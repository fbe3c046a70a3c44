"""The embedded data set: real handwritten digits on real photographs, with exact boxes, masks and BAM triples.

Nothing is downloaded and nothing is copied into this package: the digits are scikit-learn's UCI set (`load_digits`,
1797 of 8 × 8), the ten photographs lie inside the scikit-image wheel. The design is that of BAM (Yang & Kim 2019,
"Benchmarking Attribution Methods with Relative Feature Importance", section 3): 10 objects × 10 scenes, every pair
equally often, and for each composite its scene without the object and its object without the scene.

The bits are meant to last. Only `PCG64`, `SeedSequence` and `Generator.random` are drawn from, and resampling
multiplies whole numbers that float64 holds exactly, so no summation order, library or processor can change it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from attribeval.datasets import digit_pictures as pictures
from attribeval.datasets.samples import Samples
from attribeval.datasets.train_test import Part
from attribeval.errors import AttribevalError, unknown

OBJECTS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SCENES = ("brick", "cat", "coffee", "coins", "galaxies", "garage", "grass", "gravel", "moon", "tissue")

GREY = 128  # what object_only shows instead of the scene
CROP = 64  # side of every crop, in pixels of the photograph: at size=64 the scene is the photograph's own pixels

_DRAWS = 13  # uniform numbers per image


@dataclass(frozen=True, eq=False, repr=False)
class SceneSplit(Part):
    """One part (train or test) of `digit_scenes`; S is the image side, item i of every array is image i.

    Attributes:
        name: "train" or "test".
        images: The composites, uint8 (N, S, S, 3).
        objects: Object label, int64 (N,): which of `OBJECTS`.
        scenes: Scene label, int64 (N,): which of `SCENES`.
        masks: The object's pixels, bool (N, S, S). Hard: no pixel is a blend.
        boxes: Tight box of the mask, float64 (N, 4): x0, y0, x1, y1 in pixel edges (half-open: columns x0 to x1 - 1).
        scene_only: The same scenes without their object, uint8 (N, S, S, 3); equal to `images` outside the mask.
        digit_index: Which sample of scikit-learn's `load_digits` the object is, int64 (N,).
        crops: Where the scene was cut from its photograph, int64 (N, 4): x0, y0, x1, y1 in the photograph's pixels.
    """

    objects: np.ndarray
    scenes: np.ndarray
    masks: np.ndarray
    boxes: np.ndarray
    scene_only: np.ndarray
    digit_index: np.ndarray
    crops: np.ndarray

    @property
    def object_only(self) -> np.ndarray:
        """The same objects on uniform grey (128), uint8 (N, S, S, 3); equal to `images` inside the mask. Made anew."""
        return np.where(self.masks[..., None], self.images, np.uint8(GREY))

    def samples(self, label: str = "object") -> Samples:
        """The composites as `Samples`.

        Args:
            label: "object" (which digit) or "scene" (which photograph): what the labels and class names mean. Boxes and
                masks are the object's in both.

        Returns:
            `Samples` with uint8 images, one box per image relative to its side, masks, and class names.

        Raises:
            AttribevalError: If `label` is neither.
        """
        choices = {"object": (self.objects, OBJECTS), "scene": (self.scenes, SCENES)}
        if label not in choices:
            raise unknown("label of digit_scenes", label, choices)
        labels, class_names = choices[label]
        return Samples(
            self.images,
            labels,
            boxes=list(self.boxes[:, None, :] / self.images.shape[1]),
            masks=self.masks,
            ids=[f"{self.name}_{i:05d}" for i in range(len(self))],
            class_names=class_names,
            name=f"digit_scenes_{self.name}_{label}",
        )


@dataclass(frozen=True, eq=False)
class DigitScenes:
    """What `digit_scenes` returns: two splits that share no digit sample and no pixel of a photograph."""

    train: SceneSplit
    test: SceneSplit


def digit_scenes(size: int = 64, n_train: int = 10_000, n_test: int = 2_000, seed: int = 0) -> DigitScenes:
    """Paste handwritten digits on crops of ten photographs: 10 objects × 10 scenes, with everything known.

    Which digit samples and which regions of the photographs belong to train and test is fixed, whatever the seed: nets
    trained on one seed may be tested on another. Images come in blocks of 100 that hold each (object, scene) pair
    once, so counts per pair differ by at most one, and a smaller set is the beginning of a larger one with the same
    seed. About 200 MB per 10,000 images at the default size.

    Args:
        size: Image side in pixels, 24 or more. The content is the same at every size; 64 is the photographs' own scale.
        n_train: Training images, 1 or more.
        n_test: Test images, 1 or more. Neither number changes the other split.
        seed: 0 or more: digits, crops, places, sizes and colours.

    Returns:
        `DigitScenes` with `.train` and `.test`, each a `SceneSplit`.

    Raises:
        AttribevalError: If an argument is out of range, or scikit-image was installed without its photographs.

    Reference:
        Yang & Kim 2019, arXiv:1907.09701, section 3 (the BAM data set).
    """
    for name, value, least in [("size", size, 24), ("n_train", n_train, 1), ("n_test", n_test, 1), ("seed", seed, 0)]:
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            why = " (smaller digits cannot be told apart)" if name == "size" else ""
            raise AttribevalError(f"Expected {name} to be an int >= {least}{why}. Received: {value!r}.")
    photos = [pictures.read_photograph(scene) for scene in SCENES]
    glyphs = pictures.sharp_digits()
    return DigitScenes(
        train=_split("train", size, n_train, seed, photos, glyphs),
        test=_split("test", size, n_test, seed, photos, glyphs),
    )


def _split(
    name: str, size: int, n: int, seed: int, photos: list[np.ndarray], glyphs: tuple[np.ndarray, np.ndarray, np.ndarray]
) -> SceneSplit:
    """Make one split; every image consumes one row of `_DRAWS` uniform numbers, so n changes no other image."""
    ink, extents, targets = glyphs
    is_test = name == "test"
    # Every fourth sample of a digit is a test sample. Fixed, and spread over the set's writers, who come in order.
    groups = [np.flatnonzero(targets == digit).tolist() for digit in range(len(OBJECTS))]
    members = [[i for k, i in enumerate(group) if (k % 4 == 3) == is_test] for group in groups]
    tiles = [[box for box, test in pictures.cut_tiles(photo.shape) if test == is_test] for photo in photos]

    pairs_rng, draws_rng = (_generator(seed, int(is_test), stream) for stream in (0, 1))
    n_pairs = len(OBJECTS) * len(SCENES)
    blocks = -(-n // n_pairs)
    pairs = np.argsort(pairs_rng.random((blocks, n_pairs)), axis=1, kind="stable").reshape(-1)[:n]
    objects, scenes = pairs // len(SCENES), pairs % len(SCENES)
    draws = draws_rng.random((n, _DRAWS))

    images = np.empty((n, size, size, 3), np.uint8)
    scene_only = np.empty_like(images)
    masks = np.zeros((n, size, size), bool)
    boxes = np.empty((n, 4), np.float64)
    digit_index = np.empty(n, np.int64)
    crops = np.empty((n, 4), np.int64)
    shrink = None if size == CROP else pictures.filter_weights(CROP, 0.0, float(CROP), size, pictures.triangle)
    for i, u in enumerate(draws.tolist()):
        digit_index[i] = index = _pick(u[0], members[objects[i]])
        left, top, right, bottom = _pick(u[1], tiles[scenes[i]])
        x = left + math.floor(u[2] * (right - left - CROP + 1))
        y = top + math.floor(u[3] * (bottom - top - CROP + 1))
        crops[i] = x, y, x + CROP, y + CROP
        crop = photos[scenes[i]][y : y + CROP, x : x + CROP]
        scene_only[i] = crop if shrink is None else pictures.resample(crop, shrink)

        depth = pictures.render_digit(ink[index], extents[index], size, area=u[4], aspect=u[5])
        rows, columns = np.flatnonzero(depth.any(1)), np.flatnonzero(depth.any(0))
        depth = depth[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        height, width = depth.shape
        x, y = math.floor(u[6] * (size - width + 1)), math.floor(u[7] * (size - height + 1))
        boxes[i] = x, y, x + width, y + height
        place = np.s_[y : y + height, x : x + width]
        masks[i][place] = depth > 0

        colour = pictures.draw_colour(scene_only[i][place], u[8], u[9], u[10:13])
        # Thin ink is a little darker, which keeps some of the pen's relief.
        shaded = np.floor(colour * (0.75 + 0.25 * depth[..., None]) + 0.5).astype(np.uint8)
        images[i] = scene_only[i]
        images[i][place] = np.where(depth[..., None] > 0, shaded, images[i][place])
    return SceneSplit(name, images, objects, scenes, masks, boxes, scene_only, digit_index, crops)


def _generator(seed: int, *key: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(int(seed), spawn_key=key)))


def _pick(u: float, choices: list):
    return choices[math.floor(u * len(choices))]
