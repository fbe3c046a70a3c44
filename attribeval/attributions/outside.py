"""Maps that another program made, checked and in our form."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval.errors import AttribevalError


def checked_maps(values: Any) -> np.ndarray:
    """Finite maps, float32 (N, H, W, C), of an array or tensor (N, H, W) or (N, H, W, C); a copy."""
    array = np.array(values)
    if array.dtype.kind not in "buif" or array.ndim not in (3, 4) or array.size == 0:
        raise AttribevalError(
            f"Expected maps as real numbers (N, H, W) or (N, H, W, C). Received: {array.dtype}, {array.shape}."
        )
    if array.ndim == 4 and array.shape[1] in (1, 3) and min(array.shape[2:]) > 3:
        raise AttribevalError(
            f"Expected channels last, (N, H, W, C). Received: {array.shape}: np.moveaxis(values, 1, -1)."
        )
    array = array.astype(np.float32).reshape(*array.shape[:3], -1)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=(1, 2, 3)))
    if bad.size:
        raise AttribevalError(
            f"Expected finite maps, within float32. Received NaN or infinity in map {bad[0]}: repair or drop it."
        )
    return array


def checked_classes(targets: Any, n: int) -> np.ndarray:
    """The class that each of n maps explains, int32 (n,), of one int for all or n ints."""
    classes = np.asarray(targets)
    classes = np.full(n, classes) if classes.ndim == 0 else classes
    if classes.shape != (n,) or classes.dtype.kind not in "ui" or (classes < 0).any():
        raise AttribevalError(
            f"Expected targets as one class index, or {n}. Received: {classes.dtype} of shape "
            f"{classes.shape}{', some negative' if classes.dtype.kind == 'i' and (classes < 0).any() else ''}."
        )
    return classes.astype(np.int32)
