"""Where results lie: folders that `Result.save` wrote, among all that a run leaves behind."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from attribeval.errors import AttribevalError

_FILES = frozenset({"result.json", "table.csv", "arrays.npz"})


def find_results(paths: Iterable[str | os.PathLike]) -> list[Path]:
    """Find the folders of saved results.

    Args:
        paths: Folders that hold a result, or hold such folders at any depth; or a file of a result. Links to folders
            are not followed.

    Returns:
        The folders: in the order given, below each by name; each once.

    Raises:
        AttribevalError: If a path is not there, or there is no result in it or below it (naming it).
    """
    found: dict[Path, Path] = {}
    for path in map(Path, paths):
        folder = path.parent if path.is_file() and path.name in _FILES else path
        if not folder.is_dir():
            what = "a file" if path.exists() else "nothing there"
            raise AttribevalError(f"Expected a folder with a saved result. Received {str(path)!r}: {what}.")
        candidates = sorted(file.parent for file in folder.rglob("result.json"))
        below = [one for one in candidates if all((one / name).is_file() for name in _FILES)]
        if not below:
            raise AttribevalError(
                f"Expected a folder with {', '.join(sorted(_FILES))}, as Result.save writes them, in or below "
                f"{str(path)!r}. Received none: run a benchmark with an output folder, or save its result."
            )
        for one in below:
            found.setdefault(one.resolve(), one)
    return list(found.values())
