"""Images in a folder per class: `<root>/train/<class>/*.jpg` and `<root>/test/<class>/*.jpg` (or `val`)."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from attribeval.datasets.samples import Samples
from attribeval.datasets.train_test import TrainTest
from attribeval.errors import AttribevalError

_ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


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
    names = [
        sorted(p.name for p in part.iterdir() if p.is_dir() and p.name[0] != ".") for part in (parts["train"], test)
    ]
    if not names[0]:
        raise AttribevalError(f"Expected a folder for each class in {parts['train']}. Received none.")
    if names[0] != names[1]:
        odd = sorted(set(names[0]) ^ set(names[1]))[:5]
        raise AttribevalError(
            f"Expected the same class folders in {parts['train']} and {test}. Received: {odd} in one."
        )
    name = root.resolve().name
    return TrainTest(_part(parts["train"], names[0], name), _part(test, names[0], name))


def _part(folder: Path, classes: list[str], name: str) -> Samples:
    paths, labels = [], []
    for label, one in enumerate(classes):
        found = sorted(p for p in (folder / one).iterdir() if p.suffix.lower() in _ENDINGS and p.name[0] != ".")
        if not found:
            raise AttribevalError(f"Expected images in {folder / one}. Received none.")
        paths += found
        labels += [label] * len(found)
    ids = [path.relative_to(folder).as_posix() for path in paths]
    return Samples(paths, labels, ids=ids, class_names=classes, exif=True, name=f"{name}_{folder.name}")
