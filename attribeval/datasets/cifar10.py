"""CIFAR-10 (Krizhevsky 2009) as its archive is unpacked: the binary version, or the Python version.

The Python version is pickled, and read as `arrays_only` says.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.datasets.arrays_only import unpickled
from attribeval.datasets.listed import find_root, read_lines
from attribeval.datasets.samples import Samples
from attribeval.datasets.train_test import TrainTest
from attribeval.errors import AttribevalError

_SIDE, _PIXELS = 32, 3 * 32 * 32
_BATCHES = {"train": [f"data_batch_{k}" for k in range(1, 6)], "test": ["test_batch"]}
_BINARY, _PYTHON = "cifar-10-batches-bin", "cifar-10-batches-py"


def cifar10(root: str | PathLike) -> TrainTest:
    """Read CIFAR-10 in its official split: five batches to train on, one to test on.

    Args:
        root: The unpacked `cifar-10-batches-bin` (data_batch_1.bin … 5, test_batch.bin, batches.meta.txt: records of a
            label and 3 · 32 · 32 bytes) or `cifar-10-batches-py` (the same as pickles, batches.meta), or the folder
            that one of them lies in; of both, the binary one is read.

    Returns:
        `TrainTest` of `Samples`, images uint8 (N, 32, 32, 3) in memory, in the files' order.

    Raises:
        AttribevalError: If a file is missing, cut short or corrupted, a label is none of the classes, or a pickle asks
            for anything but arrays and plain values.
    """
    root = Path(root).expanduser()
    binary = any((one / "data_batch_1.bin").is_file() for one in (root, root / _BINARY))
    file = "data_batch_1.bin" if binary else "data_batch_1"
    root = find_root(root, _BINARY if binary else _PYTHON, file, "CIFAR-10")
    names = read_lines(root / "batches.meta.txt") if binary else _python_names(root)
    read = _read_binary if binary else _read_python
    parts = []
    for part, batches in _BATCHES.items():
        images, labels = zip(*(read(root, batch) for batch in batches), strict=True)
        for batch, of_batch in zip(batches, labels, strict=True):
            if of_batch.size and of_batch.max() >= len(names):
                raise AttribevalError(
                    f"Expected labels below {len(names)} in {root / batch}. Received: {of_batch.max()}."
                )
        planes = np.concatenate(images).reshape(-1, 3, _SIDE, _SIDE)
        pixels = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        parts.append(Samples(pixels, np.concatenate(labels), class_names=names, name=f"cifar10-{part}"))
    return TrainTest(*parts)


def _read_binary(root: Path, batch: str) -> tuple[np.ndarray, np.ndarray]:
    """Planes (N, 3072) and labels (N,)."""
    file = root / f"{batch}.bin"
    raw = np.frombuffer(_bytes(file), np.uint8)
    if not raw.size or raw.size % (_PIXELS + 1):
        raise AttribevalError(
            f"Expected records of {_PIXELS + 1:,} bytes in {file}. Received {raw.size:,} bytes: it is cut "
            "short; unpack the archive again."
        )
    records = raw.reshape(-1, _PIXELS + 1)
    return records[:, 1:], records[:, 0].astype(np.int64)


def _python_names(root: Path) -> list[str]:
    names = _unpickled(root / "batches.meta").get(b"label_names")
    if not isinstance(names, list) or not all(isinstance(name, bytes | str) for name in names):
        raise AttribevalError(f"Expected label_names in {root / 'batches.meta'}. Received: {type(names).__name__}.")
    return [name.decode() if isinstance(name, bytes) else name for name in names]


def _read_python(root: Path, batch: str) -> tuple[np.ndarray, np.ndarray]:
    file = root / batch
    found = _unpickled(file)
    try:
        data, labels = np.asarray(found.get(b"data")), np.asarray(found.get(b"labels"))
        good = data.dtype == np.uint8 and data.shape == (len(labels), _PIXELS) and labels.dtype.kind == "i"
        good = good and labels.ndim == 1 and len(labels) > 0 and bool(labels.min() >= 0)
    except (TypeError, ValueError):
        good = False
    if not good:
        raise AttribevalError(
            f"Expected data, uint8 (N, {_PIXELS}), and labels (N,) in {file}. Received: "
            f"{', '.join(sorted(str(key) for key in found)) or 'nothing'}: unpack the archive again."
        )
    return data, labels.astype(np.int64)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise AttribevalError(
            f"Expected {file.name} of CIFAR-10 in {file.parent}. Received: {type(error).__name__}: {error}."
        ) from error


def _unpickled(file: Path) -> dict[Any, Any]:
    found = unpickled(_bytes(file), f"{file}, a batch of CIFAR-10")
    if not isinstance(found, dict):
        raise AttribevalError(f"Expected a dictionary in {file}. Received: {type(found).__name__}.")
    return found
