"""Images, labels, boxes and masks as a user gives them: read, or refused with the item named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from attribeval.datasets.masks import Mask
from attribeval.errors import AttribevalError, unknown


def stacked(images: Any) -> Any:
    """A list of arrays as one array; anything else as it is."""
    if not isinstance(images, (list, tuple)) or not images or not all(hasattr(one, "__array__") for one in images):
        return images
    return of_one_size([np.asarray(one) for one in images], "resize them, or pass paths")


def of_one_size(arrays: Sequence[np.ndarray], remedy: str) -> np.ndarray:
    """Images as one array, if they have one size."""
    shapes = sorted({array.shape for array in arrays})
    if len(shapes) > 1:
        raise AttribevalError(f"Expected images of one size. Received {shapes[:3]}: {remedy}.")
    return np.stack(arrays)


def check_limit(limit: int | None) -> None:
    """Refuse what is no number of images; None is all of them."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int | np.integer) or limit < 1):
        raise AttribevalError(f"Expected limit= as a positive int, 1 or more, or None for all. Received: {limit!r}.")


def class_indices(labels: Sequence[int] | Sequence[str] | np.ndarray, class_names: Sequence[str] | None) -> np.ndarray:
    array = np.array(labels)  # a copy: the caller's array may change later
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim == 1 and array.dtype.kind == "U" and class_names is not None:
        places = {name: place for place, name in enumerate(class_names)}
        other = next((i for i, name in enumerate(array.tolist()) if name not in places), None)
        if other is not None:
            raise unknown(f"class of image number {other}", str(array[other]), places)
        array = np.array([places[name] for name in array.tolist()])
    if array.size == 0:
        array = array.astype(np.int64)
    if array.ndim != 1 or array.dtype.kind not in "ui":
        raise AttribevalError(
            "Expected labels to be class indices, ints (N,). Received: "
            f"{array.dtype} of shape {array.shape}. Names need class_names=."
        )
    if (array < 0).any():
        i = int(array.argmin())
        raise AttribevalError(f"Expected labels from 0. Received {array[i]} for image number {i}: correct or drop it.")
    return array.astype(np.int64)


def box_array(boxes: np.ndarray, item: int) -> np.ndarray:
    array = np.array(boxes, dtype=np.float64)
    if array.size == 0:
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise AttribevalError(f"Expected boxes (k, 4) per image. Received {array.shape} for image number {item}.")
    return array


def check_masks(masks: Any, images: Any, ids: Sequence[str]) -> None:
    """Refuse masks that cannot be drawn, or that are of another size than their images."""
    if isinstance(masks, list):
        for name, mask in zip(ids, masks, strict=True):
            if not isinstance(mask, Mask):
                raise AttribevalError(
                    f"Expected masks with a method at(size). Received {type(mask).__name__} for image {name!r}: "
                    "wrap arrays in datasets.masks.ArrayMask."
                )
    elif masks is not None and (masks.dtype != bool or masks.shape != images.shape[:3]):
        raise AttribevalError(
            f"Expected masks of shape {images.shape[:3]}, bool. Received: {masks.shape}, {masks.dtype}."
        )


def check_boxes(boxes: Sequence[np.ndarray], ids: Sequence[str]) -> None:
    """Refuse boxes that are inverted or leave their image."""
    for name, of_one in zip(ids, boxes, strict=bool(boxes)):
        inside = (of_one[:, :2] >= 0).all(1) & (of_one[:, 2:] <= 1).all(1)
        bad = ~(inside & (of_one[:, :2] < of_one[:, 2:]).all(1))
        if bad.any():
            raise AttribevalError(
                f"Expected boxes x0 < x1, y0 < y1, relative to the image (0 to 1). Received "
                f"{of_one[bad][0].round(4).tolist()} for image {name!r}: correct or drop it."
            )
