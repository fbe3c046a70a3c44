"""BAM on disk, in the folders of the released data, read without memory.

As `build_bam` writes them, or as its authors' script does (google-research-datasets/bam, construct_bim_dataset.py):

obj/train/<object>/*, obj/val/*               composites by object class
scene/train/<scene>/*, scene/val/*            the same composites by scene class
scene_only/…                                  their scenes alone
mask/train/*.png, mask/val/*.png              the object's pixels, white                              (ours)
<set>/val.txt                                 "<file> <class index>", classes by name
<set>/val_loc.txt, <set>/loc.txt              "<file> <top>,<left>,<bottom>,<right>" in pixels, half-open
<set>/val_mask                                one mask per test object, in their order; pickled       (theirs)
bam.json                                      what made it                                            (ours)
arrays/                                       the same as memory-mapped arrays, made when first read

Files are called <object>-<scene>-<number>, .png or .jpg. Of the authors' folders numbers, classes and parts are read
off the files, so that sets of other sizes do as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.datasets.bam import Bam, BamPart
from attribeval.datasets.bam_masks import Item, masks_of
from attribeval.datasets.images import image_size, read_image
from attribeval.datasets.listed import check_there, parsed
from attribeval.datasets.listing import folders_in, images_in
from attribeval.errors import AttribevalError


def item_of(about: dict[str, Any], o: int, s: int, i: int) -> Item:
    """Object number i of class o in scene number i of class s; the last numbers are for testing."""
    object_, scene = about["objects"][o], about["scenes"][s]
    part = "train" if i < about["per_pair"] - about["tests"] else "val"
    return Item(part, f"{object_}-{scene}-{i:04d}.png", object_, scene, i)


def read_bam(folder: str | PathLike, jobs: int | None = None) -> Bam:
    """Read what `build_bam` wrote, or the authors' script. Images are decoded once, into memory-mapped arrays.

    Args:
        folder: The folder with `bam.json`, `obj`, `scene`, `scene_only` and `mask`; or that the released
            script wrote. Their masks of test images are the objects' own (`val_mask`), set into the box of
            `val_loc.txt`; where there is no `val_mask`, and for training images, of which none is published, the mask
            is the box, of `loc.txt` where it is. Masks of training images enter no metric.
        jobs: Threads that decode; None: as many as cores.

    Returns:
        `Bam`; its arrays are files, not memory.

    Raises:
        AttribevalError: If it is no such folder, a file is missing, a name, list or box is malformed (naming it),
            lists and names disagree, or images differ in size.
    """
    folder = Path(folder)
    theirs = ("obj/val.txt", "scene/val.txt", "scene_only/val")
    if not (folder / "bam.json").is_file() and all((folder / name).exists() for name in theirs):
        return _read_released(folder, jobs)
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
    return Bam(*(_read_part(folder, of_part, mask, objects, scenes, jobs) for of_part in parts))


def _read_released(folder: Path, jobs: int | None) -> Bam:
    objects, scenes = (folders_in(folder / kind / "train") for kind in ("obj", "scene"))
    for kind, names in (("obj", objects), ("scene", scenes)):
        if len(names) < 2:
            raise AttribevalError(
                f"Expected a folder for each class in {folder / kind / 'train'}. Received: {names or 'none'}."
            )
    parts = []
    for part in ("train", "val"):
        items = _items(folder, part, objects, scenes)
        parts.append(_read_part(folder, items, masks_of(folder, items, objects), objects, scenes, jobs))
    return Bam(*parts)


def _items(folder: Path, part: str, objects: list[str], scenes: list[str]) -> list[Item]:
    """The composites of a part, by name; all sets must have them."""
    root = folder / "scene" / part
    paths = [path for scene in (scenes if part == "train" else [""]) for path in images_in(root / scene)]
    items = [_parsed(part, path, objects, scenes) for path in sorted(paths, key=str)]
    if not items:
        raise AttribevalError(f"Expected images in {root}. Received none.")
    for kind in ("obj", "scene_only"):
        check_there(folder, [item.place(kind) for item in items], str(root))
    if part == "val":
        for kind, names_of in (("obj", objects), ("scene", scenes), ("scene_only", scenes)):
            _check_labels(folder / kind / "val.txt", kind, items, names_of)
    return items


def _parsed(part: str, path: Path, objects: list[str], scenes: list[str]) -> Item:
    parts = path.stem.split("-")
    if len(parts) != 3 or parts[0] not in objects or parts[1] not in scenes or not parts[2].isdecimal():
        raise AttribevalError(
            "Expected files <object>-<scene>-<number>.jpg of the classes of obj/train and scene/train in "
            f"{path.parent}. Received: {path.name!r}."
        )
    return Item(part, path.name, parts[0], parts[1], int(parts[2]))


def _check_labels(path: Path, kind: str, items: list[Item], names: list[str]) -> None:
    """The list of a set says of each image the class that its name says."""

    def parse(line: str) -> tuple[str, str]:
        file, _, label = line.rpartition(" ")
        if not file or not 0 <= int(label) < len(names):
            raise ValueError("no file, or no such class")
        return file, names[int(label)]

    said = dict(parsed(path, f"a file and a class below {len(names)}", parse))
    for item in items:
        wanted = item.object if kind == "obj" else item.scene
        if said.get(item.file) != wanted:
            raise AttribevalError(
                f"Expected {item.file} of class {wanted!r} in {path}, as its name says. Received: "
                f"{said.get(item.file, 'no such line')!r}."
            )


def _read_part(
    folder: Path,
    items: list[Item],
    draw: Callable[[Item, tuple], np.ndarray],
    objects: list[str],
    scenes: list[str],
    jobs: int | None,
) -> BamPart:
    """The items of one part, in their order; their images, and the masks that are drawn, as memory-mapped files."""
    part, size = items[0].part, image_size(folder / items[0].place("scene"))

    def pixels(kind: str, item: Item) -> np.ndarray:
        path = folder / item.place(kind)
        image = read_image(path)
        if image.shape[:2] != size:
            raise AttribevalError(f"Expected images of {size[1]} × {size[0]} pixels. Received {image.shape[1]} × "
                                  f"{image.shape[0]}: {path}.")  # fmt: skip
        return image

    what: dict[str, tuple[Callable[[Item], np.ndarray], tuple[int, ...], type]] = {
        "images": (partial(pixels, "scene"), (*size, 3), np.uint8),
        "scene_only": (partial(pixels, "scene_only"), (*size, 3), np.uint8),
        "masks": (lambda item: draw(item, size), size, bool),
    }
    arrays = {
        name: _stored(folder / "arrays" / f"{part}-{name}.npy", items, read, (len(items), *shape), dtype, jobs)
        for name, (read, shape, dtype) in what.items()
    }
    return BamPart(
        "train" if part == "train" else "test",
        objects=np.array([objects.index(item.object) for item in items], np.int64),
        scenes=np.array([scenes.index(item.scene) for item in items], np.int64),
        object_names=tuple(objects),
        scene_names=tuple(scenes),
        **arrays,
    )


def _stored(
    file: Path, items: list[Item], read: Callable, shape: tuple[int, ...], dtype: type, jobs: int | None
) -> np.ndarray:
    """An array in a file, made once."""
    if not file.is_file():
        file.parent.mkdir(exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=shape)

        def put(place: int) -> None:
            array[place] = read(items[place])

        try:
            with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
                list(pool.map(put, range(len(items))))
            array.flush()
            temporary.replace(file)
        finally:
            temporary.unlink(missing_ok=True)
    return np.load(file, mmap_mode="r", allow_pickle=False)
