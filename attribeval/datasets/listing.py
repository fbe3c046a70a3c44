"""Image files as people name them: files, folders, patterns."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

from attribeval.errors import AttribevalError

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"})


def is_image(name: str) -> bool:
    """Whether a file's ending says so; a hidden one is none."""
    return name[0] != "." and os.path.splitext(name)[1].lower() in ENDINGS  # noqa: PTH122 - of 100,000 of them


def images_in(folder: Path) -> list[Path]:
    """The images of one folder, by name."""
    return sorted(path for path in folder.iterdir() if is_image(path.name))


def folders_in(root: Path) -> list[str]:
    """Names of the folders in a folder, but for hidden ones; none if it is not there."""
    if not root.is_dir():
        return []
    with os.scandir(root) as inner:
        return sorted(entry.name for entry in inner if entry.is_dir() and entry.name[0] != ".")


def first_twice(names: Iterable[str]) -> str | None:
    """The first name that comes again; None: each comes once."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def list_images(given: Sequence[str | PathLike], leave_out: Iterable[str | PathLike] = ()) -> dict[str, Path]:
    """The image files that are meant: path by id, in the order given, those of a folder by name.

    An id is the path, with its ending, below the deepest folder that holds all that is given; so the images of one
    folder are called as they are called in it.

    Args:
        given: Files, taken whatever their ending; folders, of which all files at any depth are taken whose ending says
            that they are images, but for hidden ones; patterns (`scans/**/*.png`, as `glob` reads them).
        leave_out: Folders in which no images are looked for, such as the one for the results.
    """
    hidden = {Path(folder).resolve() for folder in leave_out}
    found: dict[Path, None] = {}
    tops = []
    for one in [os.fspath(entry) for entry in given]:
        plain = Path(one).exists() or not glob.has_magic(one)
        matches = [one] if plain else sorted(glob.glob(one, recursive=True))  # noqa: PTH207 (of absolute ones, too)
        of_one: list[Path] = []
        for path in map(Path, matches):
            if not path.exists():
                raise AttribevalError(
                    f"Expected image files, folders or patterns. Received {str(path)!r}: no such file or folder."
                )
            tops.append(path.resolve() if path.is_dir() else path.resolve().parent)
            of_one += _below(path, hidden) if path.is_dir() else [path]
        if not of_one:
            raise AttribevalError(
                f"Expected images in or matching {one!r}. Received none ({', '.join(sorted(ENDINGS))})."
            )
        found |= dict.fromkeys(of_one)
    top = os.path.commonpath(tops) if tops else ""
    return {Path(os.path.relpath(path.parent.resolve() / path.name, top)).as_posix(): path for path in found}


def _below(folder: Path, hidden: set[Path]) -> list[Path]:
    files = []
    for here, inner, names in os.walk(folder):
        inner[:] = [one for one in inner if one[0] != "." and (Path(here) / one).resolve() not in hidden]
        files += [Path(here) / name for name in names if is_image(name)]
    return sorted(files)
