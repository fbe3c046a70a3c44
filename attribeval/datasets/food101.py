"""Food-101 (Bossard et al. 2014) as its archive is unpacked."""

from __future__ import annotations

from os import PathLike

from attribeval.datasets.listed import check_images, find_root, parsed, part_of, read_lines
from attribeval.datasets.train_test import TrainTest


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
    root = find_root(root, "food-101", "meta/train.txt", "Food-101")
    classes = read_lines(root / "meta" / "classes.txt")
    places = {name: place for place, name in enumerate(classes)}

    def parse(line: str) -> tuple[str, int]:
        name = line.rpartition("/")[0]
        if name not in places:
            raise ValueError(f"no class {name!r}")
        return f"{line}.jpg", places[name]

    form = f"a class of classes.txt and a number, such as '{classes[0]}/1005649',"
    listed = {part: parsed(root / "meta" / f"{part}.txt", form, parse) for part in ("train", "test")}
    everything = [file for of_part in listed.values() for file, _ in of_part]
    check_images(root / "images", everything, "train.txt and test.txt")
    parts = []
    for part, of_part in listed.items():
        files, labels = zip(*of_part, strict=True)
        parts.append(part_of(root / "images", files, labels, classes, f"food101-{part}"))
    return TrainTest(*parts)
