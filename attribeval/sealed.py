"""Records as bytes with a checksum, so that one that was cut short or changed is noticed and never used."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

_MAGIC = b"attribeval-sealed"
_DIGEST = 16
_SEAL = len(_MAGIC) + _DIGEST


# What NumPy and zipfile raise where bytes of an .npz file are missing or changed.
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class Damaged(ValueError):
    """Bytes that are not what was written."""


def checksum(data: bytes | memoryview) -> str:
    """A short hash of bytes."""
    return hashlib.blake2b(data, digest_size=_DIGEST).hexdigest()


def seal(body: bytes) -> bytes:
    """Bytes followed by 33 that readers of .npy and .npz files pass over: a name and a checksum."""
    return body + _MAGIC + hashlib.blake2b(body, digest_size=_DIGEST).digest()


def unseal(data: bytes) -> bytes:
    """What was sealed, or `Damaged`."""
    body, magic, digest = data[:-_SEAL], data[-_SEAL:-_DIGEST], data[-_DIGEST:]
    if magic != _MAGIC:
        raise Damaged("cut short, or written by something else")
    if hashlib.blake2b(body, digest_size=_DIGEST).digest() != digest:
        raise Damaged("its checksum does not fit")
    return body


def json_bytes(record: Any) -> bytes:
    """A record as JSON that people can read, with the checksum beside it."""
    return json.dumps({"checksum": _checksum(record), "record": record}, indent=1).encode()


def read_json(data: bytes) -> Any:
    """The record of `json_bytes`, or `Damaged`."""
    try:
        found = json.loads(data)
        record, checksum = found["record"], found["checksum"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Damaged("cut short, or written by something else") from error
    if checksum != _checksum(record):
        raise Damaged("its checksum does not fit")
    return record


def array_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Arrays as a sealed .npz file."""
    file = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez_compressed(file, **named)
    return seal(file.getvalue())


def read_arrays(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of `array_bytes`, or `Damaged`."""
    with np.load(io.BytesIO(unseal(data)), allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def _checksum(record: Any) -> str:
    return checksum(json.dumps(record).encode())
