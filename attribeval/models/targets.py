"""What a user passes as `targets=` and `class_names=`, as class indices and as names by index."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from attribeval.errors import AttribevalError


def read_targets(targets: Any, n: int, classes: int, names: Sequence[str] | None = None) -> np.ndarray | None:
    """Class indices from whatever says which classes are meant.

    Args:
        targets: One class for all images, or one for each as (n,) or (n, 1), by index or by name; or one-hot
            (n, classes), of numbers or booleans; or several for each, (n, T) with T ≥ 2, by index or by name. None: the
            predicted class.
        n: Number of images.
        classes: Number of classes.
        names: Names by class index, or None if they are not known.

    Returns:
        int32 (n,), or (n, T) for several, or None for the predicted class. Where (n, 1) could be one-hot of one class,
        it is read as indices.

    Raises:
        AttribevalError: If the shape is another one, a name is unknown or stands for several classes, or an index is
            out of range (the message names the image); or if ints (n, 2) of two classes may be one-hot or both.

    Example:
        >>> read_targets(["dog", "cat"], 2, 3, ["cat", "dog", "bird"])
        array([1, 0], dtype=int32)
        >>> read_targets([[0, 0, 1]], 1, 3)
        array([2], dtype=int32)
    """
    if targets is None:
        return None
    try:
        array = np.asarray(targets)
    except ValueError as error:
        raise AttribevalError(f"Expected targets of one shape. Received rows of different lengths: {error}.") from error
    if _is_one_hot(array, n, classes):
        return _from_one_hot(array)
    array = array[:, 0] if array.shape == (n, 1) else array
    array = np.full(n, array) if array.ndim == 0 else array
    if array.ndim not in (1, 2) or len(array) != n or array.dtype.kind not in "uiUSO" or array.size == 0:
        raise AttribevalError(
            f"Expected targets as one class index or name, {n} of them, several for each as ({n}, T), or one-hot "
            f"({n}, {classes}). Received: shape {array.shape} of dtype {array.dtype}."
        )
    if array.dtype.kind in "USO":
        places = np.ndindex(array.shape)
        found = [_index(target, i[0], names) for i, target in zip(places, array.ravel().tolist(), strict=True)]
        array = np.array(found, np.int64).reshape(array.shape)
    outside = np.argwhere((array < 0) | (array >= classes))
    if outside.size:
        at = tuple(outside[0])
        raise AttribevalError(f"Expected targets from 0 to {classes - 1}. Received: {array[at]} for image {at[0]}.")
    return array.astype(np.int32)


def _is_one_hot(array: np.ndarray, n: int, classes: int) -> bool:
    """Whether (n, classes) numbers are one-hot rows, not all classes of each image, which no row names twice."""
    if array.shape != (n, classes) or classes < 2 or array.dtype.kind not in "buif":
        return False
    if array.dtype.kind in "bf":
        return True
    zeros_and_ones = bool(((array == 0) | (array == 1)).all())
    if zeros_and_ones and classes == 2:
        raise AttribevalError(
            f"Expected targets that say one thing. Received whole numbers ({n}, 2) for two classes, one-hot rows or "
            "both classes of each image: give one-hot rows as floats or booleans, or the classes by name."
        )
    return zeros_and_ones


def _from_one_hot(array: np.ndarray) -> np.ndarray:
    bad = np.flatnonzero(~((array == 0) | (array == 1)).all(1) | (array.sum(1) != 1))
    if bad.size:
        raise AttribevalError(
            f"Expected one-hot targets with a single 1 per row. Received other values: {array[bad[0]].tolist()} for "
            f"image {bad[0]}."
        )
    return array.argmax(1).astype(np.int32)


def _index(target: Any, image: int, names: Sequence[str] | None) -> int:
    """A class by its name; whole numbers may stand among names."""
    if isinstance(target, int) and not isinstance(target, bool):
        return target
    name = target.decode() if isinstance(target, bytes) else target
    if not isinstance(name, str):
        raise AttribevalError(f"Expected targets as class indices or names. Received: {target!r} for image {image}.")
    if names is None:
        raise AttribevalError(
            f"Expected targets as indices, since this model's class names are not known. Received: {name!r} for image "
            f"{image}: give the Attributer class_names=[…] (on the command line --class-names FILE)."
        )
    found = [k for k, known in enumerate(names) if known == name]
    if not found:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
        known = f"Nearest: {', '.join(near)}" if near else f"The {len(names)} names begin: {', '.join(names[:5])}"
        raise AttribevalError(f"Unknown class name: {name!r} for image {image}. {known}.")
    if len(found) > 1:
        raise AttribevalError(f"Expected a name of one class. Received {name!r}, which classes {found} have.")
    return found[0]


def read_class_names(names: Any, classes: int) -> list[str] | None:
    """Names by class index from whatever says them.

    Args:
        names: A sequence or array of them, by index; a dictionary {index: name}, or {name: index} as Keras'
            `class_indices` (indices may be written as words, as in JSON); None: not known.
        classes: Number of classes; of one unit that says one of two classes, 2.

    Returns:
        One name per class, or None.

    Raises:
        AttribevalError: If a class has no name, or the number is another one.

    Example:
        >>> read_class_names({"dog": 1, "cat": 0}, 2), read_class_names({"0": "cat", "1": "dog"}, 2)
        (['cat', 'dog'], ['cat', 'dog'])
    """
    if names is None:
        return None
    if isinstance(names, Mapping):
        names = _by_index(names, classes)
    elif isinstance(names, (str, bytes)):
        raise AttribevalError(f"Expected {classes} class names. Received one string: {names!r}.")
    found = [name.decode() if isinstance(name, bytes) else str(name) for name in np.ravel(np.asarray(names)).tolist()]
    if len(found) != classes:
        two = ": the first for label 0, the second for label 1" if classes == 2 else ""
        several = "s" if classes > 1 else ""
        raise AttribevalError(f"Expected {classes} class name{several}{two}. Received: {len(found)}.")
    return found


def _by_index(names: Mapping[Any, Any], classes: int) -> list[str]:
    pairs = list(names.items())
    if not all(_is_index(key) for key, _ in pairs):
        pairs = [(value, key) for key, value in pairs]
    if not all(_is_index(key) for key, _ in pairs):
        raise AttribevalError("Expected class_names as {index: name} or {name: index}. Received neither.")
    by_index = {int(key): name for key, name in pairs}
    missing = [k for k in range(classes) if k not in by_index]
    if missing or len(pairs) != classes:
        why = f"none for class {missing[0]}" if missing else f"{len(pairs)}"
        raise AttribevalError(f"Expected class names for 0 to {classes - 1}, each once. Received: {why}.")
    return [by_index[k] for k in range(classes)]


def _is_index(key: Any) -> bool:
    return (isinstance(key, (int, np.integer)) and not isinstance(key, bool)) or (
        isinstance(key, str) and key.isdecimal()
    )
