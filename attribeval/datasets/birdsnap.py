"""Birdsnap (Berg et al. 2014), version 1.1, as its archive and its download script leave it."""

from __future__ import annotations

import warnings
from os import PathLike
from pathlib import Path

from attribeval.datasets.listed import check_twice, find_root, parsed, part_of, present, read_lines, some
from attribeval.datasets.train_test import TrainTest
from attribeval.errors import AttribevalError

_IMAGES = ("download/images", "images", "")  # the script's folder, and what people rename it to


def birdsnap(root: str | PathLike) -> TrainTest:
    """Read Birdsnap in its official split: the images of `test_images.txt` to test on, all others to train on.

    The images are fetched one by one from their authors' pages, which vanish: those that are not there are left out,
    and counted in a warning.

    Args:
        root: The unpacked `birdsnap` folder, or the one that it lies in: tab-separated `species.txt` (id, common, …),
            `images.txt` (url, md5, path, species_id, …) and `test_images.txt` (path), with header lines; the images in
            `download/images/<species>/`, where get_birdsnap.py puts them, or in `images/`.

    Returns:
        `TrainTest` of `Samples` of paths in the order of `images.txt`, classes by species number.

    Raises:
        AttribevalError: If a list is missing or malformed (naming the line), an image is listed twice or tested and
            not listed, or no image of a part is there.

    Warns:
        If images are missing.
    """
    root = find_root(root, "birdsnap", "images.txt", "Birdsnap")
    names = {number: name for number, name in _table(root / "species.txt", ("id", "common"))}
    images = _table(root / "images.txt", ("path", "species_id"))
    tests = {path for (path,) in _table(root / "test_images.txt", ("path",))}
    paths = [path for path, _ in images]
    check_twice(paths, str(root / "images.txt"))
    unlisted = sorted(tests - set(paths))
    if unlisted:
        raise AttribevalError(
            f"Expected images of images.txt in {root / 'test_images.txt'}. Received: {some(unlisted)}."
        )
    places = {number: place for place, number in enumerate(sorted(names, key=_number))}
    for path, number in images:
        if number not in places:
            raise AttribevalError(
                f"Expected species of species.txt in {root / 'images.txt'}. Received {number!r} for {path!r}."
            )
    folder = next((root / place for place in _IMAGES if (root / place / paths[0]).parent.is_dir()), root / _IMAGES[0])
    there = present(folder, paths)
    if len(there) < len(paths):
        missing = [path for path in paths if path not in there]
        warnings.warn(
            f"{len(missing):,} of the {len(paths):,} images of Birdsnap are not in {folder} and left out: "
            f"{some(missing)}.",
            stacklevel=2,
        )
    parts = []
    for part in ("train", "test"):
        kept = [(path, number) for path, number in images if path in there and (path in tests) == (part == "test")]
        if not kept:
            raise AttribevalError(
                f"Expected images to {part} on in {folder}. Received none that images.txt lists: get_birdsnap.py "
                "fetches them."
            )
        files, labels = zip(*((path, places[number]) for path, number in kept), strict=True)
        parts.append(part_of(folder, files, labels, [names[number] for number in places], f"birdsnap-{part}"))
    return TrainTest(*parts)


def _number(text: str) -> tuple[int, str]:
    return (int(text), text) if text.isdecimal() else (0, text)


def _table(path: Path, columns: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Some columns of a tab-separated file with a header line."""
    header = read_lines(path)[0]
    names = header.split("\t")
    lacking = [name for name in columns if name not in names]
    if lacking:
        raise AttribevalError(
            f"Expected the columns {', '.join(columns)} in the first line of {path}, tab-separated. Received "
            f"{header[:80]!r}, without {lacking[0]}."
        )
    places = [names.index(name) for name in columns]

    def parse(line: str) -> tuple[str, ...]:
        cells = line.split("\t")
        if len(cells) <= max(places) or not all(cells[place] for place in places):
            raise ValueError(f"{len(cells)} values, or an empty one")
        return tuple(cells[place] for place in places)

    return parsed(path, f"{', '.join(columns)}, tab-separated,", parse)[1:]
