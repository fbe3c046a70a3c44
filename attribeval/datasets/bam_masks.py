"""Where the object is in the images that BAM's authors publish: boxes, and masks of the test objects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from attribeval.datasets.arrays_only import unpickled_array
from attribeval.datasets.listed import parsed, some
from attribeval.datasets.masks import ArrayMask
from attribeval.errors import AttribevalError


class Item(NamedTuple):
    """A composite: its part of the data on disk ("train" or "val"), the classes and the number that its name says."""

    part: str
    file: str
    object: str
    scene: str
    number: int

    def place(self, kind: str) -> str:
        """Path of its image in one of the sets: obj, scene, scene_only, mask."""
        inner = {"obj": f"{self.object}/", "mask": ""}.get(kind, f"{self.scene}/") if self.part == "train" else ""
        return f"{kind}/{self.part}/{inner}{self.file}"


def _box(line: str) -> tuple[str, tuple[int, int, int, int]]:
    """File, and top, left, bottom, right in it."""
    file, _, text = line.rpartition(" ")
    top, left, bottom, right = (int(edge) for edge in text.split(","))
    if not (0 <= top < bottom and 0 <= left < right):
        raise ValueError("an empty box")
    return file, (top, left, bottom, right)


def masks_of(folder: Path, items: list[Item], objects: list[str]) -> Callable[[Item, tuple], np.ndarray]:
    """A function of an item of one part and its image's size that draws the object's mask, bool (H, W)."""
    test = items[0].part == "val"
    file = folder / "scene" / ("val_loc.txt" if test else "loc.txt")
    boxes = dict(parsed(file, "'<file> <top>,<left>,<bottom>,<right>'", _box)) if test or file.is_file() else {}
    shapes = _shapes(folder / "scene" / "val_mask", items, objects) if test else {}
    lacking = [item.file for item in items if item.file not in boxes] if boxes else []
    if lacking:
        raise AttribevalError(f"Expected a line for every image in {file}. Received none for {some(lacking)}.")

    def draw(item: Item, size: tuple[int, int]) -> np.ndarray:
        mask = np.zeros(size, bool)
        if item.file not in boxes:
            return mask
        top, left, bottom, right = boxes[item.file]
        if bottom > size[0] or right > size[1]:
            raise AttribevalError(
                f"Expected the box of {item.file} inside its {size[1]} × {size[0]} pixels. Received top, left, bottom, "
                f"right {boxes[item.file]} in {file}."
            )
        shape = shapes.get((item.object, item.number))
        inside = True if shape is None else ArrayMask(shape).at((bottom - top, right - left)) == 1
        mask[top:bottom, left:right] = inside
        return mask

    return draw


def _shapes(path: Path, items: list[Item], objects: list[str]) -> dict[tuple[str, int], np.ndarray]:
    """The masks of the test objects by class and number, as large as each object was in its photograph."""
    if not path.is_file():
        return {}
    numbers = sorted({item.number for item in items})
    keys = [(name, number) for name in objects for number in numbers]
    masks = unpickled_array(path)
    if len(masks) != len(keys):
        raise AttribevalError(
            f"Expected a mask for each of {len(objects)} objects and {len(numbers)} numbers in {path}, {len(keys)}. "
            f"Received: {len(masks)}."
        )
    found = {}
    for key, mask in zip(keys, masks, strict=True):
        mask = np.asarray(mask)
        if mask.ndim != 2 or mask.size == 0 or mask.dtype.kind not in "bui" or not (mask != 0).any():
            raise AttribevalError(
                f"Expected masks (H, W) with pixels of the object in {path}. Received {mask.dtype} {mask.shape} for "
                f"{key[0]} {key[1]}."
            )
        found[key] = mask != 0
    return found
