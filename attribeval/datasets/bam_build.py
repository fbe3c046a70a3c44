"""BAM's images made of objects and scenes, in parallel, resumed where it was left."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from attribeval import progress as progress_bars
from attribeval.datasets.bam import Bam
from attribeval.datasets.bam_layout import item_of, read_bam
from attribeval.datasets.bam_sources import ObjectSource, check_enough
from attribeval.datasets.compositing import drawn_size, paste, resized
from attribeval.datasets.geometry import centre_crop
from attribeval.datasets.images import read_image
from attribeval.errors import AttribevalError
from attribeval.files import write_atomic, write_bytes

_KINDS = ("obj", "scene", "scene_only", "mask")


def build_bam(
    folder: str | PathLike, objects: Mapping[str, Sequence[ObjectSource]],
    scenes: Mapping[str, Sequence[str | PathLike]], *,
    size: int = 128, per_pair: int = 1000, test_share: float = 0.1, seed: int = 0, jobs: int | None = None,
    progress: bool | None = None,
) -> Bam:  # fmt: skip
    """Paste every object class into every scene class, and write the folders of the released data.

    Number i of an object class goes into number i of every scene class, and the last numbers are for testing: so no
    object and no scene is both in training and in test images. Scenes are resized (short side) and cut to the centred
    square. Sizes and places are drawn as in the released code (`compositing.drawn_size`).

    Args:
        folder: Where to write. A call with the same arguments goes on where an interrupted one stopped.
        objects: Objects by class, such as of `coco_objects`.
        scenes: Image files by class, such as of `scene_folders`.
        size: Side of the images in pixels.
        per_pair: Images per pair of classes; the article has 1000.
        test_share: Share of them for testing.
        seed: Of sizes and places.
        jobs: Threads; None: as many as cores.
        progress: Show a progress bar; None shows it on a terminal or in a notebook.

    Returns:
        The data, as `read_bam` reads it.

    Raises:
        AttribevalError: If a class has too few images, a scene is smaller than `size` (naming it), or the folder holds
            another data set.
    """
    check_enough(objects, per_pair, "objects")
    check_enough(scenes, per_pair, "scenes")
    tests = round(per_pair * test_share)
    if not 1 <= tests < per_pair:
        raise AttribevalError(
            f"Expected test_share to leave images to train and to test. Received: {test_share} of {per_pair} per pair."
        )
    folder = Path(folder)
    about: dict[str, Any] = {
        "objects": [_safe(name) for name in objects],
        "scenes": [_safe(name) for name in scenes],
        "size": size,
        "per_pair": per_pair,
        "tests": tests,
        "seed": seed,
        "object_sources": {_safe(name): [one.name for one in pool[:per_pair]] for name, pool in objects.items()},
        "scene_sources": {_safe(name): [Path(p).name for p in pool[:per_pair]] for name, pool in scenes.items()},
    }
    _claim(folder, about)
    numbers = [(o, i) for o in range(len(objects)) for i in range(per_pair)]
    pools, backgrounds = list(objects.values()), list(scenes.values())
    locations: dict[str, str] = {}

    def one_object(number: tuple[int, int]) -> dict[str, str]:
        o, i = number
        return _paste(folder, about, number, pools[o][i], [of_class[i] for of_class in backgrounds])

    with ThreadPoolExecutor(jobs or os.cpu_count()) as pool, progress_bars.bar(len(numbers), "bam", progress) as bar:
        try:
            for made in pool.map(one_object, numbers):
                locations |= made
                bar.update(1)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # the first error is enough
            raise
    _write_lists(folder, about, locations)
    return read_bam(folder)


def _paste(
    folder: Path, about: dict[str, Any], number: tuple[int, int], source: ObjectSource, scenes: Sequence[str | PathLike]
) -> dict[str, str]:
    """Write one object in a scene of each class, where that is not done yet; by file, where the object lies."""
    (o, i), cutout, made = number, None, {}
    for s, background in enumerate(scenes):
        item = item_of(about, o, s, i)
        files = {kind: folder / item.place(kind) for kind in _KINDS}
        if not all(file.is_file() for file in files.values()):
            cutout = cutout or source.load()
            scene = _scene(background, about["size"])
            u = np.random.default_rng([about["seed"], o, s, i]).random(3)
            drawn = resized(cutout, drawn_size(cutout.mask.shape, scene.shape[:2], u[0]))
            spare = [of - side + 1 for side, of in zip(drawn.mask.shape, scene.shape, strict=False)]
            image, mask = paste(scene, drawn, int(u[1] * spare[0]), int(u[2] * spare[1]))
            _write(files, image, scene, mask)
        made[item.file] = _location(files["mask"])
    return made


def _safe(name: str) -> str:
    """A class name that can be part of a file name; "-" separates object and scene there."""
    return name.replace("/", "_").replace(" ", "_").replace("-", "_")


def _claim(folder: Path, about: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    file, text = folder / "bam.json", json.dumps(about, indent=1)
    if not file.is_file():
        write_bytes(file, text.encode())
    elif file.read_text() != text:
        raise AttribevalError(
            f"Expected {folder} to hold BAM data of the same objects, scenes, size, number and seed. Received "
            "another set's folder: choose another, or delete this one."
        )


def _scene(path: str | PathLike, size: int) -> np.ndarray:
    image = read_image(path).astype(np.uint8)
    if min(image.shape[:2]) < size:
        raise AttribevalError(
            f"Expected scenes of at least {size} × {size} pixels. Received {image.shape[0]} × {image.shape[1]}: "
            f"{path}. Ask for a smaller size, or leave the scene out."
        )
    (height, width), top, left = centre_crop(image.shape[:2], size)
    shrunk = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(shrunk)[top : top + size, left : left + size]


def _write(files: dict[str, Path], image: np.ndarray, scene: np.ndarray, mask: np.ndarray) -> None:
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"obj": image, "scene_only": scene, "mask": mask.astype(np.uint8) * 255}
    for kind, array in arrays.items():
        write_atomic(files[kind], partial(Image.fromarray(array).save, format="PNG"))
    files["scene"].unlink(missing_ok=True)
    try:
        os.link(files["obj"], files["scene"])  # the same image under its other label takes no room
    except OSError:
        write_bytes(files["scene"], files["obj"].read_bytes())


def _location(mask: Path) -> str:
    with Image.open(mask) as image:
        left, top, right, bottom = image.getbbox() or (0, 0, 0, 0)
    return f"{top},{left},{bottom},{right}"


def _write_lists(folder: Path, about: dict[str, Any], locations: dict[str, str]) -> None:
    for kind, place in (("obj", 0), ("scene", 1), ("scene_only", 1)):
        names = about["objects" if kind == "obj" else "scenes"]
        tests = sorted(file.name for file in (folder / kind / "val").glob("*.png"))
        labels = [names.index(name.split("-")[place]) for name in tests]
        lists = {
            "val.txt": [f"{name} {label}" for name, label in zip(tests, labels, strict=True)],
            "val_loc.txt": [f"{name} {locations[name]}" for name in tests],
            "loc.txt": [f"{name} {where}" for name, where in sorted(locations.items())],
        }
        for file, lines in lists.items():
            write_bytes(folder / kind / file, ("\n".join(lines) + "\n").encode())
