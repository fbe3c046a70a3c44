"""Map files of a folder: one for each image, read when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from attribeval.attributions import Attributions
from attribeval.errors import AttribevalError

ENDINGS = (".npy", ".npz")


class MapFiles:
    """Map files of a folder, read when they are indexed.

    Args:
        folder: Holds for each image `<name>.npy`, an array (H, W) or (H, W, C), or `<name>.npz`, one map as
            `Attributions.save` and `attribeval explain` write it; a name may hold folders of its own.
        names: Of each image, those that its file may have.
        name: What tables call the maps.

    Raises:
        AttribevalError: If the images have no ids, or files are missing, which are named.
    """

    def __init__(self, folder: Path, names: Sequence[tuple[str, ...]] | None, name: str):
        if names is None:
            raise AttribevalError(
                f"Expected images with names, by which the files of {name!r} are found. Received an array: pass "
                "Samples or paths, or the maps as an array."
            )
        found = [next((p for p in _candidates(folder, one) if p.is_file()), None) for one in names]
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
            return np.asarray(load(path))
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


def load(path: Path) -> np.ndarray:
    """An array of a `.npy` file, which stays there until it is used."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise AttribevalError(f"Expected {str(path)!r} to hold maps (N, H, W, C). Received: {error}.") from error


def _candidates(folder: Path, names: tuple[str, ...]) -> list[Path]:
    return [folder / f"{name}{ending}" for name in names for ending in ENDINGS]
