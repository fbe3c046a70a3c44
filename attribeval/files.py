"""Files that are either whole or not there, and what to say where none can be written."""

from __future__ import annotations

import errno
import math
import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_MORE = 2**19  # bytes of a file of weights beside the weights


def write_atomic(path: Path, write: Callable[[Any], Any]) -> None:
    """Write a file under a temporary name and rename it, so that nobody ever reads half of it.

    Its folder exists. `write` is called with the open binary file.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, data: bytes) -> None:
    """`write_atomic` of what is known already."""
    write_atomic(path, lambda file: file.write(data))


def write_model(path: Path, model: Any, write: Callable[[Path], Any]) -> None:
    """`write_atomic` of a Keras model or its weights.

    Room for the variables is reserved before, because HDF5 takes the process down where the disk is full. `write` is
    called with the temporary path, which ends as `path` does.
    """
    temporary = path.with_name(f"partial-{uuid.uuid4().hex}-{path.name}")
    written = [*model.weights, *getattr(getattr(model, "optimizer", None), "variables", ())]
    size = 4 * sum(math.prod(variable.shape) for variable in written) + _MORE
    try:
        with open(temporary, "wb") as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_picture(figure: Any, path: Path, about: Mapping[str, str] | None = None) -> None:
    """Write a figure of matplotlib as PNG, whole or not at all; `about`: what it says of itself, by the keys of PNG."""
    write_atomic(path, lambda file: figure.savefig(file, format="png", dpi=150, metadata=about))


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, or what it was raised from, says that nothing more can be written."""
    while error is not None:
        if isinstance(error, OSError):
            hidden = f"errno = {errno.ENOSPC}" in str(error)  # h5py tells it in words
            if hidden or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS):
                return True
        error = error.__cause__
    return False
