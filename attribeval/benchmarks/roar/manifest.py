"""The description of a set of records: a small file beside its shards, with a checksum."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from attribeval.benchmarks.roar.shard_file import write_whole
from attribeval.errors import AttribevalError
from attribeval.sealed import Damaged, json_bytes, read_json

_FORMAT = "attribeval records 1"


def declare(folder: str | PathLike, name: str, wanted: Mapping[str, Any]) -> None:
    """Write a description (count, shape, dtype and shard_records), or find that it is there and the same."""
    path = Path(folder) / f"{name}.json"
    if path.is_file() and not drop_damaged(path):
        found = read(folder, name)
        differ = [f"{key} {found.get(key)} instead of {wanted[key]}" for key in wanted if found.get(key) != wanted[key]]
        if differ:
            raise AttribevalError(
                f"Expected {path} to describe the same records. Received: {', '.join(differ)}. Choose another folder, "
                "or delete this one to start again."
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json_bytes({"format": _FORMAT, **wanted}))


def read(folder: str | PathLike, name: str) -> dict[str, Any]:
    """What `declare` wrote."""
    path = Path(folder) / f"{name}.json"
    if not path.is_file():
        raise AttribevalError(f"Expected records at {path}. Received no such file: create them first.")
    try:
        found = read_json(path.read_bytes())
        if found["format"] == _FORMAT:
            return {key: found[key] for key in ("count", "shape", "dtype", "shard_records")}
        what = f"format {found['format']!r}"
    except (ValueError, KeyError, TypeError) as error:
        what = f"a file without it ({error})"
    raise AttribevalError(f"Expected {path} to describe records. Received: {what}. Delete its folder to start again.")


def drop_damaged(path: Path) -> bool:
    """Delete a description that is not as it was written, so that it is made again; says so, and returns whether.

    Its shards have checksums of their own: those that are whole stay.
    """
    try:
        read_json(path.read_bytes())
        return False
    except Damaged as error:
        warnings.warn(f"{path} is damaged ({error}): it is made again.", stacklevel=4)
        path.unlink(missing_ok=True)
        return True
