"""BAM on disk, in the folders of the released data: read without memory.

obj/train/<object>/*.png, obj/val/*.png       composites by object class        (obj and scene are the same files)
scene/train/<scene>/*.png, scene/val/*.png    composites by scene class
scene_only/…                                  their scenes alone
mask/train/*.png, mask/val/*.png              the object's pixels, white         (ours)
obj/val.txt, …                                "<file> <class index>"
obj/val_loc.txt, …                            "<file> <top>,<left>,<bottom>,<right>" in pixels, half-open
bam.json                                      what made it
arrays/                                       the same as memory-mapped arrays, made when first read
Files are called <object>-<scene>-<number>.png.
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.datasets.bam import Bam
from attribeval.datasets.bam_masks import Item
from attribeval.datasets.bam_released import is_released, read_part, read_released
from attribeval.datasets.images import read_image
from attribeval.errors import AttribevalError


def item_of(about: dict[str, Any], o: int, s: int, i: int) -> Item:
    """Object number i of class o in scene number i of class s; the last numbers are for testing."""
    object_, scene = about["objects"][o], about["scenes"][s]
    part = "train" if i < about["per_pair"] - about["tests"] else "val"
    return Item(part, f"{object_}-{scene}-{i:04d}.png", object_, scene, i)


def read_bam(folder: str | PathLike, jobs: int | None = None) -> Bam:
    """Read what `build_bam` wrote, or the authors' script. Images are decoded once, into memory-mapped arrays.

    Args:
        folder: The folder with `bam.json`, `obj`, `scene`, `scene_only` and `mask`; or of the released script, see
            `bam_released.read_released`.
        jobs: Threads that decode; None: as many as cores.

    Returns:
        `Bam`; its arrays are files, not memory.

    Raises:
        AttribevalError: If it is no such folder, or an image is missing.
    """
    folder = Path(folder)
    if not (folder / "bam.json").is_file() and is_released(folder):
        return read_released(folder, jobs)
    try:
        about = json.loads((folder / "bam.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AttribevalError(
            f"Expected a folder that `attribeval bam build` wrote, with bam.json, or the released script, with obj, "
            f"scene, scene_only and their val.txt. Received {folder}: {error}."
        ) from error
    objects, scenes = about["objects"], about["scenes"]
    items = [
        item_of(about, o, s, i)
        for i in range(about["per_pair"])
        for o in range(len(objects))
        for s in range(len(scenes))
    ]

    def mask(item: Item, size: tuple[int, int]) -> np.ndarray:
        return read_image(folder / item.place("mask"), channels=1)[..., 0] > 127

    parts = ([item for item in items if item.part == part] for part in ("train", "val"))
    return Bam(*(read_part(folder, of_part, mask, objects, scenes, jobs) for of_part in parts))
