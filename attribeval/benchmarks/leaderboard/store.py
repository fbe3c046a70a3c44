"""What a run leaves on disk, so that it can be interrupted, continued, widened, and shared by processes.

settings.json                            model, images, targets, seed: what all cells have in common
chunk-0000025/images.json                targets and predictions of the images 25, 26, …
chunk-0000025/<method>/maps.json         what its maps cost
chunk-0000025/<method>/<benchmark>.json  the scores of one cell, or why there are none
chunk-0000025/agreement-<methods>.npz    rank correlations between the methods' maps
locks/                                   who is at work: locks of the operating system, gone when their process is

Names of methods and benchmarks carry a hash of their options, so that further ones can be added to a run.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from attribeval.benchmarks.leaderboard.maps_cache import digest_of, method_key, slug
from attribeval.errors import AttribevalError
from attribeval.files import write_atomic


class Store:
    """Records by name; in memory, and in a folder if there is one.

    Args:
        folder: None keeps them in memory alone.
        settings: What every record in the folder must have in common.

    Raises:
        AttribevalError: If the folder belongs to a run with other settings, or cannot be written to.
    """

    def __init__(self, folder: str | PathLike | None, settings: Mapping[str, Any]):
        self.folder = None if folder is None else Path(folder)
        self._memory: dict[str, bytes] = {}
        if self.folder is None:
            return
        try:
            (self.folder / "locks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise AttribevalError(f"Expected a folder to write to as run_dir. Received {folder}: {error}.") from error
        mine = json.dumps(settings, indent=1)
        file = self.folder / "settings.json"
        with FileLock(self.folder / "locks" / "settings.lock"):
            if not file.is_file():
                write_atomic(file, lambda f: f.write(mine.encode()))
            elif file.read_text() != mine:
                raise AttribevalError(
                    f"Expected {self.folder} to hold a run of {_difference(file.read_text(), mine)}. Received another "
                    "run's folder: choose another run_dir, or delete this one to start again."
                )

    def read(self, name: str) -> Any:
        """A record that `write` wrote, or None; one that cannot be read counts as not there."""
        data = self._read(f"{name}.json")
        try:
            return None if data is None else json.loads(data)
        except ValueError:
            return None

    def write(self, name: str, record: Any) -> None:
        self._write(f"{name}.json", json.dumps(record).encode())

    def read_arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """Arrays that `write_arrays` wrote, or None."""
        data = self._read(f"{name}.npz")
        if data is None:
            return None
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return {key: arrays[key] for key in arrays.files}
        except (ValueError, OSError, KeyError):
            return None

    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        file = io.BytesIO()
        np.savez(file, **arrays)
        self._write(f"{name}.npz", file.getvalue())

    @contextmanager
    def try_lock(self, name: str) -> Iterator[bool]:
        """Try to take a lock; yields whether it was free. It goes with its process, however that ends."""
        if self.folder is None:
            yield True
            return
        lock = FileLock(self.folder / "locks" / f"{name}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def _read(self, name: str) -> bytes | None:
        if self.folder is None:
            return self._memory.get(name)
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, name: str, data: bytes) -> None:
        if self.folder is None:
            self._memory[name] = data
            return
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, lambda f: f.write(data))


def file_name(thing: Any) -> str:
    """The name of a method or benchmark in a run's folder: its card's name and a hash of all its options."""
    return f"{slug(thing.card.name)}-{digest_of(method_key(thing))}"


def _difference(theirs: str, mine: str) -> str:
    try:
        there, here = json.loads(theirs), json.loads(mine)
        names = [name for name in here if there.get(name) != here[name]]
    except (ValueError, AttributeError):
        names = []
    return f"the same {' and '.join(names)}" if names else "the same settings"
