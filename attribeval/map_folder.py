"""The folder that `attribeval explain` writes: `<method>/<id>.npz`, `pictures/<id>.png`, settings and table."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from attribeval.attributions import Attributions
from attribeval.errors import AttribevalError
from attribeval.files import write_atomic, write_picture
from attribeval.map_rows import map_rows
from attribeval.sealed import UNREADABLE

_PICTURES = "pictures"
_DIGEST = "image_digest"


class MapFolder:
    """Where maps of files are kept, a file for each image and method; one process at a time writes there.

    Args:
        root: The folder; made if it is not there.
        settings: All that changes a map, by name; plain values.
        methods: What changes the maps of each method beside that (its options), by the method's name.

    Raises:
        AttribevalError: If the folder holds maps made with other settings (naming them), another process writes
            there, or a method's name cannot be that of a folder.
    """

    def __init__(self, root: Path, settings: dict[str, Any], methods: dict[str, Any]):
        self.root = root
        for name in methods:
            if name == _PICTURES or name[:1] == "." or "/" in name or "\\" in name:
                raise AttribevalError(f"Expected methods whose names can be those of folders. Received: {name!r}.")
        self.methods = list(methods)
        root.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(root / ".lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise AttribevalError(f"Another process writes to {str(root)!r}: wait for it, or use another.") from error
        try:
            self._claim(json.loads(json.dumps(settings)), json.loads(json.dumps(methods)))
            for left in root.rglob(".*.tmp"):  # of a process that was killed; nobody else writes here
                left.unlink(missing_ok=True)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> MapFolder:
        return self

    def __exit__(self, *error: Any) -> None:
        self._lock.release()

    def _claim(self, settings: dict[str, Any], methods: dict[str, Any]) -> None:
        file = self.root / "settings.json"
        there: dict[str, Any] = {"settings": settings, "methods": {}}
        if file.is_file():
            try:
                there = json.loads(file.read_text(encoding="utf-8"))
                old, known = dict(there["settings"]), dict(there["methods"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise AttribevalError(
                    f"Expected {str(file)!r} to say how its maps were made. Received: {error}. Use another folder."
                ) from error
            before = old | {f"options of {name}": value for name, value in known.items() if name in methods}
            now = settings | {f"options of {name}": value for name, value in methods.items() if name in known}
            changed = [name for name in sorted(before | now) if before.get(name) != now.get(name)]
            if changed:
                listed = "; ".join(f"{name} was {before.get(name)!r}, is {now.get(name)!r}" for name in changed)
                raise AttribevalError(
                    f"Expected the settings that the maps in {str(self.root)!r} were made with. Received others: "
                    f"{listed}. Choose another folder, or delete this one."
                )
        there["methods"] = dict(there["methods"]) | methods
        self._settings: str | None = json.dumps(there, indent=1, ensure_ascii=False) + "\n"

    def _keep_settings(self) -> None:
        """Write the settings before the first file: a method that is refused leaves none behind."""
        text, self._settings = self._settings, None
        if text is not None:
            write_atomic(self.root / "settings.json", lambda f: f.write(text.encode()))

    def map_file(self, method: str, name: str) -> Path:
        """Where the map of an image is kept."""
        return self.root / method / f"{name}.npz"

    def picture_file(self, name: str) -> Path:
        """Where the picture of an image is kept."""
        return self.root / _PICTURES / f"{name}.png"

    def has_map(self, method: str, name: str, digest: str) -> bool:
        """Whether there is a map of this very image."""
        try:
            with np.load(self.map_file(method, name), allow_pickle=False) as data:
                arrays = {one: data[one] for one in data.files}  # all of it: reading is what finds a changed byte
                return str(arrays[_DIGEST]) == digest
        except UNREADABLE:
            return False  # not there, or damaged: it is made again

    def write_map(self, maps: Attributions, name: str, digest: str) -> None:
        """Keep the map or maps of one image; called by one thread."""
        self._keep_settings()
        file = self.map_file(maps.method, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = maps.arrays() | {_DIGEST: np.array(digest)}
        write_atomic(file, lambda f: np.savez(f, **arrays))  # a gradient's map hardly shrinks, and that takes longest

    def write_picture(self, figure: Any, name: str, digest: str) -> None:
        """Keep the picture of one image."""
        file = self.picture_file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_picture(figure, file, {"Source": self.picture_source(digest)})

    def write_table(self, names: Iterable[str]) -> Path:
        """Write `table.csv`, what the model said of images whose maps are there; these are read one by one."""
        file = self.root / "table.csv"

        def write(f: Any) -> None:
            text = io.TextIOWrapper(f, encoding="utf-8", newline="", write_through=True)
            rows = (row for name in names for row in map_rows(Attributions.load(self.map_file(self.methods[0], name))))
            first = next(rows)
            writer = csv.DictWriter(text, list(first), lineterminator="\n")
            writer.writeheader()
            writer.writerows(itertools.chain([first], rows))
            text.detach()

        write_atomic(file, write)
        return file

    def has_picture(self, name: str, digest: str) -> bool:
        """Whether there is a picture of this very image by these methods."""
        from PIL import Image, UnidentifiedImageError

        try:
            with Image.open(self.picture_file(name)) as image:
                return image.info.get("Source") == self.picture_source(digest)
        except (OSError, UnidentifiedImageError, SyntaxError, ValueError):
            return False

    def picture_source(self, digest: str) -> str:
        """What a picture says of itself: of which image, by which methods."""
        return f"{digest} {' '.join(self.methods)}"
