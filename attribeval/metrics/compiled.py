"""Loops that NumPy has no function for, compiled."""

from __future__ import annotations

from collections.abc import Callable

from numba import njit


def compiled(function: Callable) -> Callable:
    """Compile with numba: kept on disk where a cache folder is writable, once per process where none is.

    The compiled function lets go of Python's lock, so that threads run it side by side.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError:  # what numba raises for "no cache folder can be written"
        return njit(nogil=True)(function)
