"""What official data sets come with: text files that list images, and folders that should hold what they list."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from attribeval.datasets.listing import first_twice, is_image
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError

Said = TypeVar("Said")


def find_root(root: str | PathLike, name: str, file: str, what: str) -> Path:
    """The folder that holds `file`: the one given, or the unpacked one, called `name`, in it."""
    root = Path(root).expanduser()
    found = next((one for one in (root, root / name) if (one / file).exists()), None)
    if found is None:
        seen = "no such folder" if not root.is_dir() else f"it has no {file}"
        raise AttribevalError(
            f"Expected {what} as it is unpacked, a folder with {file}. Received {str(root)!r}: {seen}."
        )
    return found


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without empty ones."""
    return parsed(path, "text", str)


def parsed(path: Path, form: str, parse: Callable[[str], Said], empty: bool = False) -> list[Said]:
    """What each line of a text file says, empty ones left out.

    Args:
        path: The file.
        form: What a line should be, for the message, which names the line.
        parse: Reads one; raises ValueError where it cannot.
        empty: Whether there may be no line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AttribevalError(f"Expected a list, {path}. Received: {type(error).__name__}: {error}.") from error
    found = []
    for number, line in enumerate(map(str.rstrip, lines), 1):
        try:
            found += [parse(line)] if line else []
        except (ValueError, OverflowError) as error:
            raise AttribevalError(
                f"Expected {form} in line {number} of {path}. Received {line[:80]!r}: {error}."
            ) from error
    if not found and not empty:
        raise AttribevalError(f"Expected lines in {path}. Received an empty file: fetch or unpack it again.")
    return found


def read_numbered(path: Path, form: type = str, values: int = 1) -> dict[int, Any]:
    """A file of lines `<number> <value> …`: by number the value, or the list of several.

    With `str` as the form the value is the rest of the line.
    """
    found: dict[int, Any] = {}

    def parse(line: str) -> None:
        key, *rest = line.split(None, 1) if form is str else line.split()
        if len(rest) != values:
            raise ValueError(f"{len(rest)} values")
        if int(key) in found:
            raise ValueError(f"number {key} for the second time")
        found[int(key)] = form(rest[0]) if values == 1 else [form(one) for one in rest]

    parsed(path, f"a number and {values} value{'s' * (values > 1)}", parse)
    return found


def part_of(
    folder: Path, names: Sequence[str], labels: Any, class_names: Sequence[str], name: str, **known: Any
) -> Samples:
    """Images by relative path, which without its ending is their id."""
    ids = [os.path.splitext(one)[0] for one in names]  # noqa: PTH122
    labels = np.array(labels, np.int64)
    return Samples([folder / one for one in names], labels, ids=ids, class_names=class_names, name=name, **known)


def present(root: Path, names: Iterable[str]) -> set[str]:
    """Which of some files there are, by relative path; every folder is read once."""
    names = list(names)
    there: set[str] = set()
    for folder in {os.path.dirname(name) for name in names}:  # noqa: PTH120 - 100,000 of them
        try:
            with os.scandir(root / folder) as entries:
                there |= {f"{folder}/{entry.name}" if folder else entry.name for entry in entries if entry.is_file()}
        except OSError:  # no such folder: its files are missing
            continue
    return there & set(names)


def check_images(root: Path, names: Sequence[str], lists: str) -> None:
    """Refuse lists that name an image twice or one that is not there; warn of images that no list names.

    `root` has folders of classes in it; `names` are relative paths of all parts together.
    """
    check_twice(names, lists)
    check_there(root, names, lists)
    folders = {os.path.dirname(name) for name in names}  # noqa: PTH120
    extra = []
    for folder in folders | {entry.name for entry in os.scandir(root) if entry.is_dir()}:
        extra += [f"{folder}/{one.name}" for one in os.scandir(root / folder) if one.is_file() and is_image(one.name)]
    extra = sorted(set(extra) - set(names))
    if extra:
        warnings.warn(
            f"{len(extra):,} images of {root} are in none of {lists} and left out: {some(extra)}.", stacklevel=3
        )


def check_there(root: Path, names: Sequence[str], lists: str) -> None:
    """Refuse a folder that lacks some of the images that are listed."""
    missing = sorted(set(names) - present(root, names))
    if missing:
        raise AttribevalError(
            f"Expected the {len(names):,} images of {lists} in {root}. Received a folder without {len(missing):,} of "
            f"them: {some(missing)}. Unpack the archive again."
        )


def check_twice(names: Sequence[str], lists: str) -> None:
    """Refuse a name that comes twice."""
    twice = first_twice(names)
    if twice is not None:
        raise AttribevalError(f"Expected every image once in {lists}. Received {twice!r} twice: a test image may not "
                              "be one to train on.")  # fmt: skip


def some(names: Sequence[str], count: int = 3) -> str:
    """The first few of many."""
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")
