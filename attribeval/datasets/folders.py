"""Images in a folder per class: `<root>/<class>/*.jpg`, or `train` and `test` (or `val`) of such folders."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

import numpy as np

from attribeval.datasets.given import check_limit
from attribeval.datasets.listing import folders_in, images_in
from attribeval.datasets.samples import Samples
from attribeval.datasets.train_test import TrainTest
from attribeval.errors import AttribevalError


def folder(root: str | PathLike, *, limit: int | None = None) -> Samples:
    """Read one folder that has a folder for each class.

    Args:
        root: Holds the class folders. Classes are numbered by name. One called `train`, `test` or `val` that has
            folders of its own is a part, not a class: `folders` reads pairs of those.
        limit: Only so many images, as evenly from the classes as it goes: the first of each, the second of each, ….

    Returns:
        `Samples` of paths, named after the folder; ids are "class/file"; nothing is read yet.

    Raises:
        AttribevalError: If there is no such folder, no class in it, a class without images, or only parts.
    """
    root = Path(root)
    names = _classes(root)
    parts = [n for n in names if n in ("train", "test", "val") and any(p.is_dir() for p in (root / n).iterdir())]
    if parts and len(parts) == len(names):
        raise AttribevalError(
            f"Expected a folder for each class in {str(root)!r}. Received the parts {', '.join(parts)}: name one of "
            f"them, {str(root / parts[-1])!r}, or read the pair with datasets.folders."
        )
    check_limit(limit)
    samples = _part(root, names, root.resolve().name)
    rounds = np.arange(len(samples)) - np.searchsorted(samples.labels, samples.labels)  # labels come in order
    return samples if limit is None else samples[np.sort(np.lexsort([samples.labels, rounds])[:limit])]


def folders(root: str | PathLike) -> TrainTest:
    """Read a data set that has a folder for each class, as Food-101, Birdsnap and CUB are usually laid out.

    Args:
        root: Holds `train` and `test` (or `val`), each with the same class folders. Classes are numbered by name.

    Returns:
        `TrainTest` of `Samples` of paths, named after the folder; nothing is read yet.

    Raises:
        AttribevalError: If a part or a class is missing, or a class has no image.
    """
    root = Path(root)
    parts = {name: root / name for name in ("train", "test", "val") if (root / name).is_dir()}
    test = parts.get("test", parts.get("val"))
    if "train" not in parts or test is None:
        raise AttribevalError(
            f"Expected {root} to hold the folders train and test (or val). Received: {sorted(parts)}."
        )
    names = [_classes(part) for part in (parts["train"], test)]
    if names[0] != names[1]:
        odd = sorted(set(names[0]) ^ set(names[1]))[:5]
        raise AttribevalError(
            f"Expected the same class folders in {parts['train']} and {test}. Received: {odd} in one."
        )
    name = root.resolve().name
    return TrainTest(*(_part(part, names[0], f"{name}_{part.name}") for part in (parts["train"], test)))


def _classes(root: Path) -> list[str]:
    if not root.is_dir():
        what = "a file" if root.exists() else "no such folder"
        raise AttribevalError(f"Expected a folder with a folder for each class. Received {str(root)!r}: {what}.")
    names = folders_in(root)
    if not names:
        raise AttribevalError(f"Expected a folder for each class in {root}. Received none.")
    return names


def _part(root: Path, classes: list[str], name: str) -> Samples:
    paths, labels = [], []
    for label, one in enumerate(classes):
        found = images_in(root / one)
        if not found:
            raise AttribevalError(f"Expected images in {root / one}. Received none.")
        paths += found
        labels += [label] * len(found)
    ids = [path.relative_to(root).as_posix() for path in paths]
    return Samples(paths, labels, ids=ids, class_names=classes, exif=True, name=name)
