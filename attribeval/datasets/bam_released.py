"""BAM as its authors' script leaves it (google-research-datasets/bam, construct_bim_dataset.py).

    obj/train/<object>/<object>-<scene>-0000.jpg    composites by object class; numbers below 900
    obj/val/<object>-<scene>-0900.jpg               numbers from 900 on
    scene/…, scene_only/…                           the same composites by scene class, and their scenes alone
    <set>/val.txt                                   "<file> <class index>", classes by name
    <set>/val_loc.txt, <set>/loc.txt                "<file> <top>,<left>,<bottom>,<right>" in pixels, half-open
    <set>/val_mask                                  one mask per test object, in the order of the objects; pickled

Numbers, classes and parts are read off the files, so that sets of other sizes do as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.datasets.bam import Bam, BamPart
from attribeval.datasets.bam_masks import Item, masks_of
from attribeval.datasets.images import image_size, read_image
from attribeval.datasets.listed import present, read_lines, some
from attribeval.errors import AttribevalError

_PARTS = {"train": "train", "val": "test"}


def is_released(folder: Path) -> bool:
    """Whether a folder has the authors' layout."""
    return all((folder / name).exists() for name in ("obj/val.txt", "scene/val.txt", "scene_only/val"))


def read_released(folder: str | PathLike, jobs: int | None = None) -> Bam:
    """Read BAM's released folders. Images are decoded once, into memory-mapped arrays in `arrays/` beside them.

    The masks of test images are the objects' own (`val_mask`), set into the box of `val_loc.txt`; where there is no
    `val_mask`, and for training images, of which none is published, the mask is the box, of `loc.txt` where it is.
    Masks of training images enter no metric.

    Args:
        folder: That holds `obj`, `scene` and `scene_only`.
        jobs: Threads that decode; None: as many as cores.

    Returns:
        `Bam`; its arrays are files, not memory.

    Raises:
        AttribevalError: If a file is missing, a name, list or box is malformed (naming it), lists and names disagree,
            or images differ in size.
    """
    folder = Path(folder)
    objects, scenes = (_classes(folder / kind / "train") for kind in ("obj", "scene"))
    parts = []
    for part, name in _PARTS.items():
        items = _items(folder, part, objects, scenes)
        masks = masks_of(folder, part, items, objects)
        parts.append(_read_part(folder, part, name, items, masks, objects, scenes, jobs))
    return Bam(*parts)


def _classes(root: Path) -> list[str]:
    names = sorted(p.name for p in root.iterdir() if p.is_dir()) if root.is_dir() else []
    if len(names) < 2:
        raise AttribevalError(f"Expected a folder for each class in {root}. Received: {names or 'none'}.")
    return names


def _items(folder: Path, part: str, objects: list[str], scenes: list[str]) -> list[Item]:
    """The composites of a part, by name; all sets must have them."""
    root = folder / "scene" / part
    names = sorted(
        f"{scene}/{file}" if part == "train" else file
        for scene in (scenes if part == "train" else [""])
        for file in (path.name for path in (root / scene).iterdir())
        if file.endswith((".jpg", ".png"))
    )
    items = [_parsed(name.rpartition("/")[2], objects, scenes, root) for name in names]
    if not items:
        raise AttribevalError(f"Expected images in {root}. Received none.")
    for kind in ("obj", "scene_only"):
        wanted = [_place(part, kind, item) for item in items]
        missing = sorted(set(wanted) - present(folder / kind, wanted))
        if missing:
            raise AttribevalError(
                f"Expected the {len(items):,} images of {root} in {folder / kind}, too. Received a folder without "
                f"{len(missing):,} of them: {some(missing)}."
            )
    if part == "val":
        for kind, names_of in (("obj", objects), ("scene", scenes), ("scene_only", scenes)):
            _check_labels(folder / kind / "val.txt", kind, items, names_of)
    return items


def _parsed(file: str, objects: list[str], scenes: list[str], root: Path) -> Item:
    parts = Path(file).stem.split("-")
    if len(parts) != 3 or parts[0] not in objects or parts[1] not in scenes or not parts[2].isdecimal():
        raise AttribevalError(
            f"Expected files <object>-<scene>-<number>.jpg of the classes of obj/train and scene/train in {root}. "
            f"Received: {file!r}."
        )
    return Item(file, parts[0], parts[1], int(parts[2]))


def _place(part: str, kind: str, item: Item) -> str:
    """Path of an item's image in one of the sets."""
    if part == "val":
        return f"val/{item.file}"
    return f"train/{item.object if kind == 'obj' else item.scene}/{item.file}"


def _check_labels(path: Path, kind: str, items: list[Item], names: list[str]) -> None:
    """The list of a set says of each image the class that its name says."""
    said = {}
    for number, line in enumerate(read_lines(path), 1):
        file, _, label = line.rpartition(" ")
        if not file or not label.isdecimal() or int(label) >= len(names):
            raise AttribevalError(
                f"Expected a file and a class below {len(names)} in line {number} of {path}. Received: {line[:80]!r}."
            )
        said[file] = names[int(label)]
    for item in items:
        wanted = item.object if kind == "obj" else item.scene
        if said.get(item.file) != wanted:
            raise AttribevalError(
                f"Expected {item.file} of class {wanted!r} in {path}, as its name says. Received: "
                f"{said.get(item.file, 'no such line')!r}."
            )


def _read_part(
    folder: Path,
    part: str,
    name: str,
    items: list[Item],
    draw: Callable[[Item, tuple], np.ndarray],
    objects: list[str],
    scenes: list[str],
    jobs: int | None,
) -> BamPart:
    size = image_size(folder / "scene" / _place(part, "scene", items[0]))
    shape = (len(items), *size)

    def pixels(kind: str, item: Item) -> np.ndarray:
        path = folder / kind / _place(part, kind, item)
        image = read_image(path)
        if image.shape[:2] != size:
            raise AttribevalError(f"Expected images of {size[1]} × {size[0]} pixels. Received {image.shape[1]} × "
                                  f"{image.shape[0]}: {path}.")  # fmt: skip
        return image

    arrays = {
        "images": _stored(folder, f"{part}-images", items, (*shape, 3), np.uint8, lambda i: pixels("scene", i), jobs),
        "scene_only": _stored(
            folder, f"{part}-scene_only", items, (*shape, 3), np.uint8, lambda i: pixels("scene_only", i), jobs
        ),
        "masks": _stored(folder, f"{part}-masks", items, shape, bool, lambda i: draw(i, size), jobs),
    }
    return BamPart(
        name,
        objects=np.array([objects.index(item.object) for item in items], np.int64),
        scenes=np.array([scenes.index(item.scene) for item in items], np.int64),
        object_names=tuple(objects),
        scene_names=tuple(scenes),
        **arrays,
    )


def _stored(
    folder: Path, name: str, items: list[Item], shape: tuple[int, ...], dtype: Any, read: Callable, jobs: int | None
) -> np.ndarray:
    """An array in a file, made once."""
    file = folder / "arrays" / f"{name}.npy"
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
