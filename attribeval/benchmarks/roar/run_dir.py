"""The run directory: the one truth about a grid, shared by any number of processes and machines.

grid.json                   what is to be done
images/, labels.npz         the data set, as fixed-size records
maps/<estimator>/           rank levels of every image
models/                     weights of the unmodified models
cells/<cell>.json           one finished or failed training each
failures/<task>.json        why maps could not be made
locks/                      who is at work: locks of the operating system, gone when their process is
logs/                       what processes printed whose task failed
"""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from attribeval.benchmarks.roar.fills import channel_mean
from attribeval.benchmarks.roar.grid import Cell, Grid, file_name
from attribeval.benchmarks.roar.merged import merged
from attribeval.benchmarks.roar.records import Records
from attribeval.benchmarks.roar.shard_file import write_whole
from attribeval.errors import AttribevalError
from attribeval.runs.keys import file_digest
from attribeval.runs.store import claim, try_lock
from attribeval.sealed import Damaged, array_bytes, json_bytes, read_arrays, read_json

SPLITS = ("train", "test")
KEPT = ("unmodified", "recursive")  # kinds of cells whose weights are kept


class RunDir:
    """Reads and writes a run directory; holds no state of its own."""

    def __init__(self, path: str | PathLike):
        self.path = Path(path)

    @classmethod
    def existing(cls, path: str | PathLike) -> RunDir:
        """A folder that holds a grid."""
        run_dir = cls(path)
        if not run_dir.grid_file.is_file():
            raise AttribevalError(
                f"Expected a run directory of ROAR with a grid.json. Received: {path}, which has none."
            )
        return run_dir

    # --------------------------------------------------------------------------------------------------- grid

    @property
    def grid_file(self) -> Path:
        return self.path / "grid.json"

    def claim(self, grid: Grid) -> Grid:
        """Write the grid, or grow the one that is there; return the grid that the directory now holds."""
        claim(self.path, "roar")
        try:
            for folder in ("cells", "failures", "locks", "logs", "maps", "models"):
                (self.path / folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AttribevalError(
                f"Expected a folder to write to as run_dir. Received {self.path}: {error}."
            ) from error
        with self.lock("grid"):
            if self.grid_file.is_file():
                grid = merged(self.grid(), grid)
            write_whole(self.grid_file, json_bytes(grid.to_json()))
        return grid

    def grid(self) -> Grid:
        """The grid that the directory holds."""
        try:
            return Grid.from_json(read_json(self.grid_file.read_bytes()))
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise AttribevalError(
                f"Expected {self.grid_file} as a run of ROAR wrote it. Received: {type(error).__name__}: {error}."
            ) from error

    # -------------------------------------------------------------------------------------------------- locks

    def lock(self, name: str) -> AbstractContextManager[Any]:
        """Hold a lock, waiting for it as long as it takes."""
        return FileLock(self._lock_file(name))

    def try_lock(self, name: str) -> AbstractContextManager[bool]:
        """Try to take a lock; yields whether it was free."""
        return try_lock(self._lock_file(name))

    def is_locked(self, name: str) -> bool:
        """Whether some process is at work on a task. (Who asks holds the lock for a moment, and may be seen at it.)"""
        if not self._lock_file(name).exists():
            return False
        with self.try_lock(name) as free:
            return not free

    def _lock_file(self, name: str) -> Path:
        return self.path / "locks" / f"{name}.lock"

    # -------------------------------------------------------------------------------------------------- cells

    def record(self, cell: Cell) -> dict[str, Any] | None:
        """What is known of a training, or None."""
        return self._read_json(self.path / "cells" / f"{cell.name}.json")

    def is_done(self, cell: Cell) -> bool:
        record = self.record(cell)
        return record is not None and record["status"] == "done"

    def write_record(self, cell: Cell, record: dict[str, Any]) -> None:
        write_whole(self.path / "cells" / f"{cell.name}.json", json_bytes(record))

    def records(self) -> list[dict[str, Any]]:
        """The records of the grid's cells that there are, in the grid's order."""
        found = [self.record(cell) for cell in self.grid().cells()]
        return [record for record in found if record is not None]

    def weights_file(self, cell: Cell) -> Path:
        return self.path / "models" / f"{cell.name}.weights.h5"

    def drop_damaged_weights(self, cell: Cell) -> None:
        """Forget a training whose weights are not those that its record says, so that it is done again."""
        record = self.record(cell)
        wanted = None if record is None else record.get("weights")
        if wanted is not None and file_digest(self.weights_file(cell)) != wanted:
            warnings.warn(f"{self.weights_file(cell)} is missing or damaged: it is trained again.", stacklevel=4)
            (self.path / "cells" / f"{cell.name}.json").unlink(missing_ok=True)

    # --------------------------------------------------------------------------------------- images and maps

    def images(self, split: str) -> Records:
        return Records.open(self.path / "images", split)

    def labels(self, split: str) -> np.ndarray:
        """Class indices, int64 (N,)."""
        file = self.path / "labels.npz"
        try:
            return read_arrays(file.read_bytes())[split]
        except (FileNotFoundError, Damaged) as error:
            raise AttribevalError(
                f"Expected {file} as it was written. Received: {error}. Start the run again with its data set, which "
                "writes it anew."
            ) from error

    def channel_mean(self) -> np.ndarray:
        """The mean of the training images by channel, float32 (C,): computed once, by whoever asks first."""
        file = self.path / "images" / "mean.npz"
        try:
            return read_arrays(file.read_bytes())["mean"]
        except (FileNotFoundError, Damaged):
            mean = channel_mean(self.images("train"))
            write_whole(file, array_bytes({"mean": mean}))
            return mean

    def write_labels(self, **labels: np.ndarray) -> None:
        write_whole(self.path / "labels.npz", array_bytes(labels))

    def missing_images(self) -> bool:
        """Whether images or labels are still to be written: their shards are whole or not there."""
        try:
            self.labels("train")
            return any(self.images(split).missing() for split in SPLITS)
        except AttribevalError:
            return True

    def missing_ranks(self, label: str, split: str) -> list[int]:
        """Shards of a ranking that are not there; nothing is written."""
        try:
            return Records.open(self.ranks_folder(label), split).missing()
        except AttribevalError:  # not declared yet
            return list(range(self.images(split).shards))

    def ranks_folder(self, label: str) -> Path:
        return self.path / "maps" / file_name(label)

    def failure(self, task: str) -> dict[str, str] | None:
        """Errors by estimator of a task that makes maps, or None."""
        return self._read_json(self.path / "failures" / f"{task}.json")

    def write_failure(self, task: str, errors: dict[str, str]) -> None:
        file = self.path / "failures" / f"{task}.json"
        if errors:
            write_whole(file, json_bytes(errors))
        else:
            file.unlink(missing_ok=True)

    def failures(self) -> dict[str, str]:
        """The first error of each estimator whose maps could not be made."""
        found: dict[str, str] = {}
        for file in sorted((self.path / "failures").glob("*.json")):
            for label, error in (self._read_json(file) or {}).items():
                found.setdefault(label, error)
        return found

    # ------------------------------------------------------------------------------------------------- files

    def _read_json(self, file: Path) -> Any:
        try:
            return read_json(file.read_bytes())
        except FileNotFoundError:
            return None
        except Damaged as error:
            warnings.warn(f"{file} is damaged ({error}): its work is done again.", stacklevel=3)
            return None
