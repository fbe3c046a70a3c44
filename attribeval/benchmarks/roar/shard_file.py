"""The files of a set of records: a description with a checksum, and shards.

A shard is 256 bytes that say how many records follow and their checksum, then the records.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.files import is_disk_full, write_atomic
from attribeval.sealed import Damaged, checksum, json_bytes, read_json

HEADER_BYTES = 256
_FORMAT = "attribeval records 1"


def declare(folder: str | PathLike, name: str, wanted: Mapping[str, Any]) -> None:
    """Write a description (count, shape, dtype and shard_records), or find that it is there and the same."""
    path = Path(folder) / f"{name}.json"
    if path.is_file() and not drop_damaged(path):
        found = read_description(folder, name)
        differ = [f"{key} {found.get(key)} instead of {wanted[key]}" for key in wanted if found.get(key) != wanted[key]]
        if differ:
            raise AttribevalError(
                f"Expected {path} to describe the same records. Received: {', '.join(differ)}. Choose another folder, "
                "or delete this one to start again."
            )
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json_bytes({"format": _FORMAT, **wanted}))


def read_description(folder: str | PathLike, name: str) -> dict[str, Any]:
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


def write_records(path: Path, array: np.ndarray) -> None:
    """Write records (n, …), whole or not at all."""
    data = memoryview(np.ascontiguousarray(array)).cast("B")
    header = json.dumps({"records": len(array), "blake2b": checksum(data)}).encode().ljust(HEADER_BYTES)
    write_whole(path, header, data)


def fault(path: Path, records: int, record_bytes: int, checksums: bool = False) -> str | None:
    """What is wrong with a file, or None; without `checksums` only its length and its header are looked at."""
    expected = HEADER_BYTES + records * record_bytes
    try:
        with open(path, "rb") as file:
            header = _read_header(file.read(HEADER_BYTES))
            length = file.seek(0, 2)
            if length != expected:
                return f"{length} bytes instead of {expected}"
            if header.get("records") != records:
                return "a header that does not describe its records"
            file.seek(HEADER_BYTES)
            if checksums and header.get("blake2b") != hashlib.file_digest(file, _blake2b).hexdigest():
                return "other bytes than its checksum says"
    except FileNotFoundError:
        return "no such file"
    return None


def _read_header(raw: bytes) -> dict:
    try:
        header = json.loads(raw)
    except ValueError:
        return {}
    return header if isinstance(header, dict) else {}


def _blake2b() -> Any:
    return hashlib.blake2b(digest_size=16)


def write_whole(path: Path, *parts: bytes | memoryview) -> None:
    """Write a file whole, or say how much room it would have needed."""
    try:
        write_atomic(path, lambda file: [file.write(part) for part in parts])
    except OSError as error:
        if not is_disk_full(error):
            raise
        raise disk_full(f"for {sum(map(len, parts)):,} bytes at {path}", path.parent) from error


def disk_full(room: str, folder: Path) -> AttribevalError:
    """What to say then."""
    free = shutil.disk_usage(folder).free
    return AttribevalError(
        f"Expected room {room}. Received a full disk ({free:,} bytes free): free some and start the same command "
        "again; it goes on with what is missing."
    )
