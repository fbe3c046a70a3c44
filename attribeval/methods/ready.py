"""Maps that are there already, as a method: an array, what `explain` returned, or a folder of files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.attributions import Attributions
from attribeval.errors import AttribevalError
from attribeval.methods.card import Card
from attribeval.methods.handed import checked

ENDINGS = (".npy", ".npz")


class MapFiles:
    """Map files of a folder, read when they are indexed.

    The folder holds for each image `<name>.npy`, an array (H, W) or (H, W, C), or `<name>.npz`, one map as
    `Attributions.save` and `attribeval explain` write it; a name may hold folders of its own. `names` are those that
    the file of each image may have.
    """

    def __init__(self, folder: Path, names: Sequence[tuple[str, ...]] | None, name: str):
        if names is None:
            raise AttribevalError(
                f"Expected images with names, by which the files of {name!r} are found. Received an array: pass "
                "Samples or paths, or the maps as an array."
            )
        candidates = [[folder / f"{stem}{ending}" for stem in one for ending in ENDINGS] for one in names]
        found = [next(filter(Path.is_file, paths), None) for paths in candidates]
        self._paths = [path for path in found if path is not None]
        missing = [one[0] for one, path in zip(names, found, strict=True) if path is None]
        if missing:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            raise AttribevalError(
                f"Expected a file <image id>.npy or .npz for each image below {str(folder)!r}. Received none for "
                f"{', '.join(missing[:5])}{more}."
            )

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> np.ndarray:
        path = self._paths[index]
        if path.suffix == ".npy":
            return np.asarray(_load(path))
        return self._saved(path).values[0]

    def targets(self) -> np.ndarray | None:
        """Classes that the maps explain, if all files say it."""
        if any(path.suffix == ".npy" for path in self._paths):
            return None
        return np.array([self._saved(path).targets[0] for path in self._paths])

    @staticmethod
    def _saved(path: Path) -> Attributions:
        saved = Attributions.load(path)
        if len(saved) != 1:
            raise AttribevalError(f"Expected one map in {str(path)!r}, that of its image. Received: {len(saved)}.")
        return saved


@dataclass(frozen=True, eq=False)
class ReadyMaps:
    """One map of each image, in the order of the images; `ready_maps` makes it.

    Attributes:
        name: What tables and errors call them.
        content: Hash of the maps; None for a folder that has not met its images (see `of_images`).
        maps: What holds them, indexed by image.
        targets: Classes that they explain, ints (N,); None: those that are asked for.
        rows: Which of them belong to the images that are explained; None: not known yet.
        shares: Whether values are shares of a score, see `Card`.
    """

    name: str
    content: str | None
    maps: Any = field(metadata={"described": False})
    targets: np.ndarray | None = field(default=None, metadata={"described": False})
    rows: np.ndarray | None = None
    shares: bool = False

    @property
    def card(self) -> Card:
        """What is known about them."""
        return Card(self.name, "own", raw=True, shares=self.shares)

    def of_images(self, names: Sequence[tuple[str, ...]] | None, count: int) -> ReadyMaps:
        """The same maps, known to belong to so many images, one to each; by `names` folders find files (`MapFiles`)."""
        if isinstance(self.maps, Path):
            files = MapFiles(self.maps, names, self.name)
            targets = files.targets()
            return replace(self, maps=files, content=_hash(files), targets=targets, rows=np.arange(len(files)))
        there = len(self.maps if self.rows is None else self.rows)
        if there != count:
            raise AttribevalError(
                f"Expected {count} maps in {self.name!r}, one for each image, in their order. Received: {there}."
            )
        return replace(self, rows=np.arange(count)) if self.rows is None else self

    def at(self, rows: Any) -> ReadyMaps:
        """Those of some of the images, by their places."""
        return self if self.rows is None else replace(self, rows=self.rows[rows])

    def attribute(self, batch: Any) -> np.ndarray:
        """Return the maps of the batch's images, (B, H, W, C) or (B, H, W, 1).

        Raises:
            AttribevalError: If they are asked for other images or classes, or are not of the images' size.
        """
        if batch.start is None or self.rows is None:
            raise AttribevalError(
                f"Expected a method that can explain other images. Received {self.name!r}, ready maps: give a function "
                "f(model, images, targets, seed)."
            )
        rows = self.rows[batch.start : batch.start + len(batch)]
        if self.targets is not None:
            asked = np.asarray(batch.targets)
            other = np.flatnonzero(self.targets[rows] != asked)
            if other.size:
                i = int(other[0])
                raise AttribevalError(
                    f"Expected maps of the classes that are explained. Received {self.name!r}, whose map of image "
                    f"{batch.start + i} is of class {self.targets[rows[i]]}, not {asked[i]}: explain these classes, or "
                    "pass the maps' values alone if they are right."
                )
        given = self.maps[rows] if isinstance(self.maps, np.ndarray) else [self.maps[int(row)] for row in rows]
        return checked(given, batch.raw.shape, f"the ready maps {self.name!r}", batch.start)


def ready_maps(given: Any, name: str) -> ReadyMaps:
    """Maps as a method.

    Args:
        given: Array or tensor (N, H, W) or (N, H, W, C); `Attributions`; the path of a file of `Attributions.save`, or
            of a `.npy` file with an array, or of a folder with a file for each image: see `MapFiles`.
        name: What tables call them.

    Raises:
        AttribevalError: If it is none of these.
    """
    if isinstance(given, (str, PathLike)):
        path = Path(given)
        if path.is_dir():
            return ReadyMaps(name, None, path)
        if path.suffix not in ENDINGS or not path.is_file():
            raise AttribevalError(
                f"Expected {name!r} to be a folder of map files, or a .npz or .npy file. Received {str(path)!r}, which "
                f"is {'neither' if path.exists() else 'not there'}."
            )
        given = Attributions.load(path) if path.suffix == ".npz" else _load(path)
    if isinstance(given, Attributions):
        return ReadyMaps(name, _hash(given.values), given.values, np.asarray(given.targets))
    try:
        array = np.asarray(given)
    except Exception as error:
        raise AttribevalError(f"Expected the maps {name!r} as an array (N, H, W, C). Received: {error}.") from error
    if array.dtype.kind not in "fiub" or array.ndim not in (3, 4) or array.size == 0:
        raise AttribevalError(
            f"Expected the maps {name!r} as real numbers (N, H, W) or (N, H, W, C). Received: {array.dtype}, "
            f"{array.shape}."
        )
    return ReadyMaps(name, _hash(array), array)


def _hash(maps: Any) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for i in range(len(maps)):
        one = np.ascontiguousarray(maps[i])
        digest.update(f"{one.dtype} {one.shape};".encode())
        digest.update(one)
    return digest.hexdigest()


def _load(path: Path) -> np.ndarray:
    """An array of a `.npy` file, which stays there until it is used."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise AttribevalError(f"Expected {str(path)!r} to hold maps (N, H, W, C). Received: {error}.") from error
