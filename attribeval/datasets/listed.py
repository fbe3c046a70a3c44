"""What official data sets come with: text files that list images, and folders that should hold what they list."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from attribeval.datasets.listing import ENDINGS, first_twice
from attribeval.errors import AttribevalError

_NAMED = 3  # of many, in a message


def find_root(root: str | PathLike, names: Sequence[str], file: str, what: str) -> Path:
    """The folder that holds `file`: the one given, or one of these names in it.

    Args:
        root: What the user names: the unpacked folder, or the one that it was unpacked in.
        names: What the unpacked folder is called.
        file: Relative path of a file or folder that tells it.
        what: The data set, for the message.

    Raises:
        AttribevalError: If there is none.
    """
    root = Path(root).expanduser()
    found = next((one for one in (root, *(root / name for name in names)) if (one / file).exists()), None)
    if found is None:
        seen = "no such folder" if not root.is_dir() else f"it has no {file}"
        raise AttribevalError(
            f"Expected {what} as it is unpacked, a folder with {file}. Received {str(root)!r}: {seen}."
        )
    return found


def read_lines(path: Path) -> list[str]:
    """The lines of a text file, without empty ones.

    Raises:
        AttribevalError: If it cannot be read, is not UTF-8, or has no lines.
    """
    try:
        lines = [line.rstrip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise AttribevalError(f"Expected a list, {path}. Received: {type(error).__name__}: {error}.") from error
    lines = [line for line in lines if line]
    if not lines:
        raise AttribevalError(f"Expected lines in {path}. Received an empty file: unpack the archive again.")
    return lines


def read_numbered(path: Path, form: type = str, values: int = 1) -> dict[int, list]:
    """A file of lines `<number> <value> …`, by number.

    Args:
        path: The file.
        form: Of the values: `str`, `int` or `float`; with `str` and one value it is the rest of the line.
        values: How many follow a number.

    Raises:
        AttribevalError: If a line is none such, or a number comes twice (naming the line).
    """
    found: dict[int, list] = {}
    for number, line in enumerate(read_lines(path), 1):
        parts = line.split(None, 1) if form is str and values == 1 else line.split()
        try:
            key, rest = int(parts[0]), [form(part) for part in parts[1:]]
            if len(rest) != values:
                raise ValueError(f"{len(rest)} values")
            if key in found:
                raise ValueError(f"number {key} for the second time")
        except ValueError as error:
            raise AttribevalError(
                f"Expected a number and {values} value{'s' * (values > 1)} in line {number} of {path}. Received "
                f"{line[:80]!r}: {error}."
            ) from error
        found[key] = rest
    return found


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
    """Refuse lists that name an image twice or one that is not there; say which images no list names.

    Args:
        root: Folder of the images, with folders of classes in it.
        names: Relative paths that the lists name, of all parts together.
        lists: The lists' names, for the messages.

    Raises:
        AttribevalError: If images are missing, or come twice.
    """
    check_twice(names, lists)
    missing = sorted(set(names) - present(root, names))
    if missing:
        raise AttribevalError(
            f"Expected the {len(names):,} images of {lists} in {root}. Received a folder without {len(missing):,} of "
            f"them: {some(missing)}. Unpack the archive again."
        )
    folders = {os.path.dirname(name) for name in names}  # noqa: PTH120
    extra = []
    for folder in folders | {entry.name for entry in os.scandir(root) if entry.is_dir()}:
        found = (f"{folder}/{one.name}" for one in os.scandir(root / folder) if one.is_file())
        extra += [name for name in found if Path(name).suffix.lower() in ENDINGS]
    extra = sorted(set(extra) - set(names))
    if extra:
        warnings.warn(
            f"{len(extra):,} images of {root} are in none of {lists} and left out: {some(extra)}.", stacklevel=3
        )


def check_twice(names: Sequence[str], lists: str) -> None:
    """Refuse a name that comes twice.

    Raises:
        AttribevalError: Naming it.
    """
    twice = first_twice(names)
    if twice is not None:
        raise AttribevalError(f"Expected every image once in {lists}. Received {twice!r} twice: a test image may not "
                              "be one to train on.")  # fmt: skip


def some(names: Sequence[str]) -> str:
    """The first few of many."""
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
