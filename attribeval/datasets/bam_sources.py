"""Where BAM's pieces come from: objects out of COCO's annotations, scenes out of folders by class."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from attribeval.datasets.coco import instance_mask, read_coco, size_of
from attribeval.datasets.compositing import Cutout, cut_out
from attribeval.datasets.images import read_image
from attribeval.datasets.listing import folders_in, images_in
from attribeval.datasets.masks import Mask
from attribeval.errors import AttribevalError, unknown

# The object classes of the article.
PAPER_OBJECTS = ("backpack", "bird", "dog", "elephant", "kite", "pizza", "stop sign", "toilet", "truck", "zebra")


class ObjectSource(Protocol):
    """An object that is read when it is needed."""

    @property
    def name(self) -> str: ...

    def load(self) -> Cutout: ...


@dataclass(frozen=True)
class CocoObject:
    """An instance of COCO: its image, and its mask in it."""

    name: str
    path: Path
    mask: Mask
    size: tuple[int, int]

    def load(self) -> Cutout:
        """Read the image and cut the object out."""
        image = read_image(self.path, exif=False).astype(np.uint8)
        if image.shape[:2] != self.size:
            raise AttribevalError(
                f"Expected {self.path} to have {self.size[0]} × {self.size[1]} pixels, as its annotation says. "
                f"Received: {image.shape[0]} × {image.shape[1]}."
            )
        return cut_out(image, self.mask.at(self.size) == 1)


def coco_objects(
    annotations: str | PathLike, images: str | PathLike, classes: Sequence[str] = PAPER_OBJECTS, smallest: int = 32
) -> dict[str, list[CocoObject]]:
    """The largest instance of each class in each image of COCO, crowds left out.

    Args:
        annotations: An `instances_*.json`.
        images: Folder of the images.
        classes: Names of categories. An underscore may stand for a blank ("stop_sign"); a name that is no category is
            an error, never a class that anything belongs to.
        smallest: Instances whose box has a longer side of fewer pixels are left out.

    Returns:
        For each class, in the order given, its instances by image id.

    Raises:
        AttribevalError: If the file is no such JSON, a class is unknown (nearest names listed), an annotation refers to
            an image that is not in the file or not in the folder (naming both), or a segmentation is malformed.
    """
    path = Path(annotations)
    about, names, listed = read_coco(path)
    wanted = _wanted(classes, names)
    best: dict[tuple[str, int], dict[str, Any]] = {}
    for one in listed:
        if one["category_id"] not in wanted or one.get("iscrowd"):
            continue
        if one["image_id"] not in about:
            raise AttribevalError(
                f"Expected annotations of images that {path} lists. Received annotation {one.get('id')} of image "
                f"{one['image_id']}, which it does not."
            )
        key = wanted[one["category_id"]], one["image_id"]
        if max(one["bbox"][2:]) >= smallest and (key not in best or one["area"] > best[key]["area"]):
            best[key] = one
    found: dict[str, list[CocoObject]] = {name: [] for name in classes}
    for (name, image_id), one in sorted(best.items(), key=lambda item: item[0][1]):
        image = about[image_id]
        file = Path(images) / image["file_name"]
        if not file.is_file():
            raise AttribevalError(
                f"Expected the image of annotation {one.get('id')} of {path}. Received: no file {file}. Fetch it, or "
                "drop its annotations."
            )
        size = size_of(image, path)
        found[name].append(CocoObject(f"{file.stem}_{one.get('id')}", file, instance_mask(one, size, path), size))
    return found


def _wanted(classes: Sequence[str], names: Mapping[int, str]) -> dict[int, str]:
    """By the id of its category, each class."""
    ids = {name: number for number, name in names.items()}
    found = {}
    for name in classes:
        number = ids.get(name, ids.get(name.replace("_", " ")))
        if number is None:
            raise unknown("category of this COCO file", name, ids)
        found[number] = name
    return found


def images_holding(annotations: str | PathLike, classes: Sequence[str]) -> set[str]:
    """File names of the images that hold any of the classes, from annotations in COCO's format: scenes to leave out.

    Raises:
        AttribevalError: As `coco_objects`.
    """
    about, names, listed = read_coco(Path(annotations))
    wanted = _wanted(classes, names)
    return {Path(about[one["image_id"]]["file_name"]).name for one in listed if one["category_id"] in wanted}


def scene_folders(
    root: str | PathLike, classes: Sequence[str] | None = None, exclude: Collection[str] = ()
) -> dict[str, list[Path]]:
    """Scenes from a folder per class: `root/bedroom/*.jpg`, or `root/b/bedroom/*.jpg` as Places has it.

    Args:
        root: The folder.
        classes: Names of folders, which may be nested ("track/outdoor"); None: all folders of `root`.
        exclude: File names to leave out, such as `images_holding` finds.

    Returns:
        For each class its files, by name.

    Raises:
        AttribevalError: If a class has no folder.
    """
    root = Path(root)
    if classes is None:
        classes = folders_in(root)
        if not classes:
            raise AttribevalError(f"Expected folders of scenes by class in {root}. Received none.")
    left_out = set(exclude)
    found = {}
    for name in classes:
        folder = next((f for f in (root / name, root / name[0] / name) if f.is_dir()), None)
        if folder is None:
            raise AttribevalError(
                f"Expected a folder of scenes {root / name} (or {root / name[0] / name}). Received: no such folder."
            )
        found[name] = [path for path in images_in(folder) if path.name not in left_out]
    return found


def check_enough(pools: Mapping[str, Sequence[Any]], needed: int, what: str) -> None:
    """Refuse classes with too few images, listing every such class."""
    short = {name: len(pool) for name, pool in pools.items() if len(pool) < needed}
    if len(pools) < 2:
        raise AttribevalError(f"Expected at least two classes of {what}. Received: {len(pools)}.")
    if short:
        listed = ", ".join(f"{name} has {count}" for name, count in short.items())
        raise AttribevalError(
            f"Expected at least {needed} {what} in each class (per_pair). Received: {listed}. Ask for fewer per pair, "
            "or leave the class out."
        )
