"""Who is at work: locks of the operating system, which go with their process, however that ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


@contextmanager
def try_lock(file: Path) -> Iterator[bool]:
    """Try to take a lock; yields whether it was free.

    Args:
        file: The lock's file; its folder exists.
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
