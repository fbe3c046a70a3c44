"""A run directory: records by name, checked when they are read; interrupted, continued, widened, and shared.

run.json    which study the folder belongs to, and in which version of this layout
locks/      who is at work: locks of the operating system, gone when their process is

The other names are the study's. A record's name holds a hash of all that determines it (`runs.keys`): what is there
may be used, and what other settings need lies beside it. A record that was damaged counts as not there.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from attribeval.errors import AttribevalError
from attribeval.files import write_bytes
from attribeval.sealed import Damaged, array_bytes, json_bytes, read_arrays, read_json

LAYOUT = 1
_POLL = 0.5  # seconds between looks at what another process is at


class Store:
    """A study's records by name; in memory, or in a folder if there is one, which `claim` may refuse."""

    def __init__(self, folder: str | PathLike | None, study: str):
        self.folder = None if folder is None else claim(folder, study)
        self._memory: dict[str, bytes] = {}
        self._warned = False

    def read(self, name: str) -> Any:
        """A record that `write` wrote, or None if it is not there or damaged."""
        return self._read(f"{name}.json", read_json)

    def write(self, name: str, record: Any) -> None:
        self._write(f"{name}.json", json_bytes(record))

    def read_arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """Arrays that `write_arrays` wrote, or None if they are not there or damaged."""
        return self._read(f"{name}.npz", read_arrays)

    def write_arrays(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        self._write(f"{name}.npz", array_bytes(arrays))

    def take(self, names: Sequence[str]) -> Iterator[int]:
        """See `take`."""
        return take(names, self.folder)

    def _read(self, name: str, decode: Callable[[bytes], Any]) -> Any:
        if self.folder is None:
            return decode(self._memory[name]) if name in self._memory else None
        try:
            return decode((self.folder / name).read_bytes())
        except FileNotFoundError:
            return None
        except Damaged as error:
            if not self._warned:  # once: a damaged disk has many
                self._warned = True
                warnings.warn(
                    f"{self.folder / name} is damaged ({error}): such parts are computed again.", stacklevel=3
                )
            return None

    def _write(self, name: str, data: bytes) -> None:
        if self.folder is None:
            self._memory[name] = data
            return
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(file, data)


def take(names: Sequence[str], folder: Path | None) -> Iterator[int]:
    """Numbers of all parts of a run, each while nobody else is at it; parts that others are at come later.

    Equal names are one lock, in the folder of the run, if it has one.
    """
    waiting = list(range(len(names)))
    while waiting:
        for number in list(waiting):
            file = f"locks/{names[number]}.lock"
            with nullcontext(True) if folder is None else try_lock(folder / file) as free:
                if free:
                    yield number
                    waiting.remove(number)
        if waiting:
            time.sleep(_POLL)


@contextmanager
def try_lock(file: Path) -> Iterator[bool]:
    """Try to take a lock, of a file in a folder that exists; yields whether it was free.

    Locks are the operating system's, and go with their process, however that ends.
    """
    lock = FileLock(file)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def claim(folder: str | PathLike, study: str) -> Path:
    """Make a folder, which need not be there, a study's, or make sure that it is.

    Raises:
        AttribevalError: If it belongs to another study or an older version, or cannot be written to.
    """
    folder = Path(folder)
    mine = {"study": study, "layout": LAYOUT}
    file = folder / "run.json"
    try:
        (folder / "locks").mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "locks" / "run.lock"):
            if not file.exists():
                _refuse_older(folder)
            try:
                theirs = read_json(file.read_bytes()) if file.exists() else None
            except Damaged as error:  # harmless: what lies beside it is known by names of its own
                warnings.warn(f"{file} is damaged ({error}): it is written again.", stacklevel=4)
                theirs = None
            if theirs is None:
                write_bytes(file, json_bytes(mine))
                theirs = mine
    except OSError as error:
        raise AttribevalError(f"Expected a folder to write to as run_dir. Received {folder}: {error}.") from error
    if theirs != mine:
        what = f"one of {theirs['study']}" if theirs["study"] != study else "one of another version"
        raise AttribevalError(
            f"Expected a new folder, or one of {study}, as run_dir. Received {folder}, {what}: choose another folder."
        )
    return folder


def _refuse_older(folder: Path) -> None:
    """Folders of before there was a run.json are known by what lies in them."""
    if any((folder / name).exists() for name in ("settings.json", "grid.json")) or any(folder.glob("*.npz")):
        raise AttribevalError(
            f"Expected a new folder as run_dir. Received {folder}, which an older version wrote: choose another, or "
            "delete this one. Its numbers do not say which settings they belong to."
        )
