"""Maps that somebody else made, checked before they are used: what is wrong is said of whoever made them."""

from __future__ import annotations

from typing import Any

import numpy as np

from attribeval.errors import AttribevalError


def checked(maps: Any, shape: tuple[int, ...], whose: str, first: int | None) -> np.ndarray:
    """Maps of images of a shape (B, H, W, C) as studies take them, float32 (B, H, W, C) or (B, H, W, 1).

    Messages say whose maps they are, and the number of the image, if that of the first is known.

    Raises:
        AttribevalError: If they are not real numbers, one finite map per image, of the images' size.
    """
    wanted = f"maps {shape}, {(*shape[:3], 1)} or {shape[:3]}"
    try:
        array = np.asarray(maps)
    except Exception as error:  # a list of arrays of several sizes, a tensor on another device
        raise AttribevalError(f"Expected {wanted} from {whose}. Received: {error}.") from error
    if array.dtype.kind not in "fiub":
        kind = type(maps).__name__ if array.dtype == object else array.dtype
        raise AttribevalError(f"Expected {wanted} from {whose}. Received: {kind}.")
    array = array[..., None] if array.ndim == 3 else array
    if array.ndim != 4 or array.shape[:3] != shape[:3] or array.shape[3] not in (1, shape[3]):
        raise AttribevalError(f"Expected {wanted} from {whose}. Received: {np.shape(maps)}.{_remedy(array, shape)}")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    bad = np.flatnonzero(~np.isfinite(array).all(axis=(1, 2, 3)))
    if bad.size:
        where = f"map {bad[0]} of {len(array)}" if first is None else f"image {first + bad[0]}"
        raise AttribevalError(f"Expected finite maps from {whose}. Received NaN or infinity for {where}.")
    return array


def _remedy(maps: np.ndarray, shape: tuple[int, ...]) -> str:
    if maps.ndim != 4:
        return " One map per image, with the images first."
    if len(maps) != shape[0]:
        return f" There are {shape[0]} images: a map for each, in their order."
    if maps.shape[1] in (1, shape[3]) and maps.shape[2:] == shape[1:3]:
        return " Channels come last: np.moveaxis(maps, 1, -1)."
    if maps.shape[1:3] != shape[1:3]:
        return f" Resize them: tf.image.resize(maps, {shape[1:3]})."
    return " Channels are the images', or one: sum over the others."
