"""Caltech-UCSD Birds-200-2011 (Wah et al. 2011) as its archive is unpacked."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from attribeval.datasets.geometry import relative_box
from attribeval.datasets.images import image_size
from attribeval.datasets.listed import check_images, find_root, part_of, read_numbered
from attribeval.datasets.train_test import TrainTest
from attribeval.errors import AttribevalError

_SLACK = 1.0  # pixels by which a box may leave its image, by rounding


def cub(root: str | PathLike, *, boxes: bool = False) -> TrainTest:
    """Read CUB-200-2011 in its official split.

    Args:
        root: The unpacked `CUB_200_2011` folder, or the one that it lies in: `images/`, `images.txt`, `classes.txt`,
            `image_class_labels.txt`, `train_test_split.txt` (1: to train on), `bounding_boxes.txt`.
        boxes: Whether the box of each bird is read, which looks into every image's header for its size.

    Returns:
        `TrainTest` of `Samples` of paths by image number, classes as numbered; ids are paths without ending.

    Raises:
        AttribevalError: If a list is missing or malformed (naming the line), lists disagree, an image is not there, or
            a box leaves its image.

    Warns:
        If the folder has images that no list names.
    """
    root = find_root(root, "CUB_200_2011", "train_test_split.txt", "CUB-200-2011")
    classes = read_numbered(root / "classes.txt")
    paths = read_numbered(root / "images.txt")
    labels = read_numbered(root / "image_class_labels.txt", int)
    split = read_numbered(root / "train_test_split.txt", int)
    where = read_numbered(root / "bounding_boxes.txt", float, 4) if boxes else None
    _check(root, classes, paths, labels, split, where)
    check_images(root / "images", list(paths.values()), "images.txt")
    order = sorted(classes)
    parts = []
    for part, flag in (("train", 1), ("test", 0)):
        numbers = [number for number in sorted(paths) if split[number] == flag]
        parts.append(
            part_of(
                root / "images",
                [paths[number] for number in numbers],
                np.searchsorted(order, [labels[number] for number in numbers]),
                [classes[number] for number in order],
                f"cub-{part}",
                boxes=where and [_box(root / "images" / paths[number], number, *where[number]) for number in numbers],
            )
        )
    return TrainTest(*parts)


def _check(root: Path, classes: dict, paths: dict, labels: dict, split: dict, where: dict | None) -> None:
    """Lists that speak of the same images, and known classes."""
    others = {"image_class_labels.txt": labels, "train_test_split.txt": split, "bounding_boxes.txt": where}
    for name, of_it in others.items():
        odd = sorted(set(paths) ^ set(of_it)) if of_it is not None else []
        if odd:
            raise AttribevalError(
                f"Expected the same image numbers in images.txt and {name} of {root}. Received number {odd[0]} in one."
            )
    for number, label in labels.items():
        if label not in classes:
            raise AttribevalError(
                f"Expected classes of classes.txt in {root / 'image_class_labels.txt'}. Received {label} for image "
                f"{number}."
            )
    strange = next((number for number, flag in split.items() if flag not in (0, 1)), None)
    if strange is not None or len(set(split.values())) < 2:
        what = "images of one part only" if strange is None else f"{split[strange]} for image {strange}"
        raise AttribevalError(f"Expected 1 (train) and 0 (test) in {root / 'train_test_split.txt'}. Received {what}.")


def _box(file: Path, number: int, x: float, y: float, width: float, height: float) -> np.ndarray:
    """Pixels as edges relative to the image, (1, 4)."""
    edges = x, y, x + width, y + height
    return relative_box(edges, image_size(file), f"image {number}, {file}", slack=_SLACK)[None]
