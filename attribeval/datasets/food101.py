"""Food-101 (Bossard et al. 2014) as its archive is unpacked."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from attribeval.datasets.listed import check_images, find_root, read_lines
from attribeval.datasets.samples import Samples
from attribeval.datasets.train_test import TrainTest
from attribeval.errors import AttribevalError


def food101(root: str | PathLike) -> TrainTest:
    """Read Food-101 in its official split: 750 images of each class to train on, 250 to test on.

    Args:
        root: The unpacked `food-101` folder, or the one that it lies in: `images/<class>/<number>.jpg`,
            `meta/classes.txt`, `meta/train.txt` and `meta/test.txt` (lines `<class>/<number>`).

    Returns:
        `TrainTest` of `Samples` of paths in the lists' order, classes in the order of `classes.txt`; ids are the lists'
        lines. No image is read yet.

    Raises:
        AttribevalError: If a list is missing, names an unknown class, an image twice, or one that is not there.

    Warns:
        If the folder has images that no list names.
    """
    root = find_root(root, ["food-101"], "meta/train.txt", "Food-101")
    classes = read_lines(root / "meta" / "classes.txt")
    places = {name: place for place, name in enumerate(classes)}
    listed = {part: read_lines(root / "meta" / f"{part}.txt") for part in ("train", "test")}
    for part, lines in listed.items():
        for number, line in enumerate(lines, 1):
            if line.rpartition("/")[0] not in places:
                raise AttribevalError(
                    f"Expected a class of classes.txt and a number in line {number} of "
                    f"{root / 'meta' / part}.txt, such as '{classes[0]}/1005649'. Received: {line[:80]!r}."
                )
    check_images(
        root / "images", [f"{line}.jpg" for lines in listed.values() for line in lines], "train.txt and test.txt"
    )
    return TrainTest(*(_part(root / "images", lines, places, part) for part, lines in listed.items()))


def _part(images: Path, lines: list[str], places: dict[str, int], part: str) -> Samples:
    return Samples(
        [images / f"{line}.jpg" for line in lines],
        [places[line.rpartition("/")[0]] for line in lines],
        ids=lines,
        class_names=list(places),
        name=f"food101-{part}",
    )
