"""Official data sets by name and folder, `food101:/data/food-101`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from attribeval.datasets.birdsnap import birdsnap
from attribeval.datasets.cifar10 import cifar10
from attribeval.datasets.cub import cub
from attribeval.datasets.food101 import food101
from attribeval.datasets.imagenet import imagenet
from attribeval.datasets.train_test import TrainTest
from attribeval.errors import AttribevalError, unknown


def _imagenet(root: Path) -> TrainTest:
    """Train and validation images of ILSVRC 2012; the test set has no public labels."""
    return TrainTest(*(imagenet(root, part, boxes=False) for part in ("train", "val")))


READERS: dict[str, Callable[[Path], TrainTest]] = {
    "birdsnap": birdsnap,
    "cifar10": cifar10,
    "cub": cub,
    "food101": food101,
    "imagenet": _imagenet,
}


def official_name(text: str) -> str | None:
    """The data set that `NAME:FOLDER` speaks of; None if it is another file or folder."""
    name, colon, folder = text.partition(":")
    if not colon or "/" in name or len(name) < 2 or Path(text).exists():  # one letter is a Windows drive
        return None
    if name not in READERS:
        raise unknown("official data set", name, READERS)
    if not folder:
        raise AttribevalError(
            f"Expected {name}:FOLDER, the folder that its archive was unpacked to. Received: {text!r}."
        )
    return name


def official(text: str) -> TrainTest:
    """Read an official data set, its official split.

    Args:
        text: `NAME:FOLDER`; names are those of `READERS`.

    Returns:
        As its reader says.

    Raises:
        AttribevalError: If there is no such reader, or the folder is not as the data set's archive unpacks.
    """
    name = official_name(text)
    if name is None:
        raise AttribevalError(
            f"Expected an official data set as NAME:FOLDER with a NAME of {', '.join(READERS)}. Received: {text!r}."
        )
    return READERS[name](Path(text.partition(":")[2]))
