"""Pickles of official data sets, read by an unpickler that knows NumPy's arrays and plain values, and nothing else.

A pickle can run any code when it is read: it names functions and has them called. Here every name is refused but the
three that make an array, which are replaced by functions of this file.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.errors import AttribevalError


class _Arrays(pickle.Unpickler):
    """Refuses every name but those of arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return _empty_array
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no data set needs")


def _empty_array(kind: type, shape: tuple[int, ...], dtype: bytes) -> np.ndarray:
    """What NumPy's `_reconstruct` makes of an array before its state is set."""
    if kind is not np.ndarray:
        raise pickle.UnpicklingError("it makes an array of another class")
    return np.ndarray((0,), "b")


def unpickled(content: bytes, what: str) -> Any:
    """What is pickled, text of Python 2 as bytes; `what` is the file, for the message."""
    try:
        return _Arrays(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # a corrupted pickle raises anything
        raise AttribevalError(
            f"Expected arrays and plain values in {what}. Received: {type(error).__name__}: {str(error).rstrip('.')}. "
            "Unpack the archive again."
        ) from error


def unpickled_array(path: Path) -> np.ndarray:
    """A `.npy` file of an array of numbers, or of objects, which are arrays and plain values."""
    try:
        with open(path, "rb") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            if dtype != np.dtype(object):
                file.seek(0)
                return np.lib.format.read_array(file, allow_pickle=False)
            content = file.read()
    except (OSError, ValueError, EOFError) as error:
        raise AttribevalError(
            f"Expected an array of NumPy in {path}. Received: {type(error).__name__}: {error}."
        ) from error
    array = np.asarray(unpickled(content, str(path)), object)
    if array.shape[: len(shape)] != shape:
        raise AttribevalError(f"Expected {shape} objects in {path}. Received: {array.shape}.")
    return array
