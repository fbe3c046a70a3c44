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
import os
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.datasets.bam import Bam, BamPart
from attribeval.datasets.bam_released import is_released, read_released
from attribeval.datasets.images import read_image
from attribeval.errors import AttribevalError

_PARTS = {"train": "train", "val": "test"}


def name_of(about: dict[str, Any], o: int, s: int, i: int) -> str:
    """The file of object and scene number i of their classes."""
    return f"{about['objects'][o]}-{about['scenes'][s]}-{i:04d}.png"


def files_of(folder: Path, about: dict[str, Any], o: int, s: int, i: int) -> dict[str, Path]:
    """By kind of image, where that of object and scene number i of their classes is."""
    name = name_of(about, o, s, i)
    test = i >= about["per_pair"] - about["tests"]
    of_object, of_scene = ("", "") if test else (about["objects"][o], about["scenes"][s])
    part = "val" if test else "train"
    return {
        "obj": folder / "obj" / part / of_object / name,
        "scene": folder / "scene" / part / of_scene / name,
        "scene_only": folder / "scene_only" / part / of_scene / name,
        "mask": folder / "mask" / part / name,
    }


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
    return Bam(*(_read_part(folder, about, part, name, jobs) for part, name in _PARTS.items()))


def _read_part(folder: Path, about: dict[str, Any], part: str, name: str, jobs: int | None) -> BamPart:
    numbers = range(about["per_pair"] - about["tests"]) if part == "train" else range(
        about["per_pair"] - about["tests"], about["per_pair"]
    )  # fmt: skip
    pairs = [(o, s, i) for i in numbers for o in range(len(about["objects"])) for s in range(len(about["scenes"]))]
    arrays = {}
    shape = (len(pairs), about["size"], about["size"])
    for what, (kind, full, dtype) in {
        "images": ("scene", (*shape, 3), np.uint8),
        "scene_only": ("scene_only", (*shape, 3), np.uint8),
        "masks": ("mask", shape, bool),
    }.items():
        file = folder / "arrays" / f"{part}-{what}.npy"
        if not file.is_file():
            file.parent.mkdir(exist_ok=True)
            temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=dtype, shape=full)

            def decode(place: int, array: np.ndarray = array, kind: str = kind, dtype: Any = dtype) -> None:
                o, s, i = pairs[place]
                pixels = read_image(files_of(folder, about, o, s, i)[kind], channels=1 if dtype is bool else 3)
                array[place] = pixels[..., 0] > 127 if dtype is bool else pixels

            with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
                list(pool.map(decode, range(len(pairs))))
            array.flush()
            temporary.replace(file)
        arrays[what] = np.load(file, mmap_mode="r", allow_pickle=False)
    objects, scenes, _ = (np.array(column, np.int64) for column in zip(*pairs, strict=True))
    return BamPart(
        name, objects=objects, scenes=scenes,
        object_names=tuple(about["objects"]), scene_names=tuple(about["scenes"]), **arrays,
    )  # fmt: skip
