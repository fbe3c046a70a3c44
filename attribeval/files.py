"""Files that are either whole or not there."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomic(path: Path, write: Callable[[Any], Any]) -> None:
    """Write a file under a temporary name and rename it, so that nobody ever reads half of it.

    Args:
        path: The file; its folder exists.
        write: Called with the open binary file.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
