"""Data sets that hand out images one by one or in batches, read once: into memory, or into a temporary file.

`tf.data.Dataset` (also what `keras.utils.image_dataset_from_directory` and TensorFlow Datasets return), Keras'
`PyDataset`, and any other iterable of such elements. Neither library is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from PIL import Image

from attribeval.datasets.given import check_limit
from attribeval.datasets.images import from_pil, resize
from attribeval.datasets.spool import Spool
from attribeval.errors import AttribevalError


@dataclass(frozen=True)
class Arrays:
    """What a data set held: images (N, H, W, C) in their own dtype, labels int64 (N,) or None, names of classes."""

    images: np.ndarray
    labels: np.ndarray | None
    class_names: list[str] | None


def is_dataset(value: Any) -> bool:
    """Whether a value is a `tf.data.Dataset` or a Keras `PyDataset` (called `Sequence` before)."""
    return _is_tf_data(value) or _is_py_dataset(value)


def _is_tf_data(value: Any) -> bool:
    # Who has no TensorFlow loaded has none of its objects; asking the module keeps it unloaded.
    data = getattr(sys.modules.get("tensorflow"), "data", None)
    return data is not None and isinstance(value, data.Dataset)


def _is_py_dataset(value: Any) -> bool:
    utils = getattr(sys.modules.get("keras"), "utils", None)
    return utils is not None and isinstance(value, utils.PyDataset)


def read_dataset(dataset: Iterable[Any], size: tuple[int, int] | None = None, limit: int | None = None) -> Arrays:
    """Read a data set once, from its first element to its last.

    More than 64 MB of images go to an unnamed file in the folder for temporary files (TMPDIR), so that memory does not
    grow with their number.

    An element is an image, (image, label) or (image, label, weight), or a mapping with "image" and, if there are
    labels, "label", as TensorFlow Datasets has it; the image is (H, W, C), or a batch of them (B, H, W, C). Labels are
    class indices, or one-hot. Weights are not used.

    Args:
        dataset: `tf.data.Dataset`, `PyDataset`, or an iterable.
        size: (height, width) to resize to, 8-bit images as files are (PIL, bilinear, rounded to 8 bits), others
            without rounding. None: all images must have one size.
        limit: Read only the first so many images. None: all.

    Returns:
        The arrays; class names are those that `image_dataset_from_directory` attaches.

    Raises:
        AttribevalError: If the data set never ends and no limit is given, is empty, or an element is none of the above
            (naming it).
    """
    check_limit(limit)
    images = Spool()
    labels: list[np.ndarray] = []
    n = 0
    for number, element in enumerate(_elements(dataset, limit)):
        image, label = _parts(element, number)
        batch = _batch(image, number)
        images.add(np.stack([_resized(one, size) for one in batch]) if size is not None and len(batch) else batch)
        if label is not None:
            labels.append(_class_indices(label, len(batch), number, single=image.ndim == 3))
        n += len(batch)
        if limit is not None and n >= limit:
            break
    if n == 0:
        raise AttribevalError("Expected a data set with images. Received an empty one: was it used up before?")
    found = np.concatenate(labels) if labels else None
    if found is not None and len(found) != n:
        raise AttribevalError(f"Expected a label for every image, or for none. Received: {len(found)} for {n}.")
    names = getattr(dataset, "class_names", None)
    return Arrays(images.array(limit), None if found is None else found[:limit], None if names is None else list(names))


def _elements(dataset: Any, limit: int | None) -> Iterator[Any]:
    if _is_tf_data(dataset):
        if limit is None and int(dataset.cardinality()) == sys.modules["tensorflow"].data.INFINITE_CARDINALITY:
            raise AttribevalError(
                "Expected a data set with an end. Received a tf.data.Dataset of infinite cardinality: remove "
                ".repeat(), or take so many of its elements, dataset.take(n)."
            )
        return iter(dataset)
    if _is_py_dataset(dataset):
        if dataset.num_batches is None and limit is None:
            raise AttribevalError(
                "Expected a data set with an end. Received a PyDataset whose num_batches is None: give it a number."
            )
        steps = count() if dataset.num_batches is None else range(dataset.num_batches)
        return (dataset[i] for i in steps)
    if not isinstance(dataset, Iterable) or isinstance(dataset, str | bytes | Mapping):
        raise AttribevalError(
            "Expected a data set: tf.data.Dataset, keras.utils.PyDataset, or an iterable of images or of (image, "
            f"label). Received: {type(dataset).__name__}."
        )
    return iter(dataset)


def _parts(element: Any, number: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Image and label of an element, as arrays."""
    if isinstance(element, Mapping):
        if "image" not in element:
            raise AttribevalError(
                f'Expected elements with the keys "image" and "label". Received {sorted(map(str, element))} in element '
                f'{number}: rename them, dataset.map(lambda e: {{"image": e[…], "label": e[…]}}).'
            )
        image, label = element["image"], element.get("label")
    elif isinstance(element, tuple | list):
        if not 1 <= len(element) <= 3:
            raise AttribevalError(
                f"Expected elements image, (image, label) or (image, label, weight). Received {len(element)} parts in "
                f"element {number}."
            )
        image, label = element[0], element[1] if len(element) > 1 else None
    else:
        image, label = element, None
    return _array(image, "image", number), None if label is None else _array(label, "label", number)


def _array(value: Any, what: str, number: int) -> np.ndarray:
    dtype = getattr(value, "dtype", None)
    if not isinstance(value, Mapping | tuple) and not hasattr(value, "to_tensor"):  # a ragged tensor has it
        try:
            array = np.asarray(value)
        except ValueError as error:  # a list of lists of several lengths
            raise AttribevalError(f"Expected numbers as the {what} of element {number}. Received: {error}.") from error
        dtype = array.dtype
        if dtype.kind in "buif":
            return array
        if dtype.name == "bfloat16":
            return array.astype(np.float32)
    kind = type(value).__name__ + ("" if dtype is None else f" of dtype {dtype}")
    raise AttribevalError(
        f"Expected numbers as the {what} of element {number}. Received: {kind}: map the data set to dense arrays, "
        "images (H, W, C) and class indices."
    )


def _batch(image: np.ndarray, number: int) -> np.ndarray:
    if image.ndim not in (3, 4):
        raise AttribevalError(
            f"Expected images (H, W, C) or batches (B, H, W, C). Received {image.shape} in element {number}."
        )
    return image[None] if image.ndim == 3 else image


def _class_indices(label: np.ndarray, n: int, number: int, single: bool) -> np.ndarray:
    """Labels of a batch as int64 (n,), from indices, a column of indices, or one-hot rows."""
    array = label[None] if single else label
    if array.shape == (n, 1):
        array = array[:, 0]
    if array.ndim == 2 and len(array) == n:
        if not ((array == 0) | (array == 1)).all() or not (array.sum(1) == 1).all():
            raise AttribevalError(
                f"Expected one-hot labels, one 1 in a row of zeros. Received other numbers in element {number}: map "
                "them to class indices."
            )
        return array.argmax(1).astype(np.int64)
    if array.shape != (n,) or not (array == np.floor(array)).all():
        raise AttribevalError(
            f"Expected {n} class indices, whole numbers, or one-hot rows as the label of element {number}. Received: "
            f"{label.dtype} of shape {label.shape}."
        )
    return array.astype(np.int64)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.dtype == np.uint8 and image.shape[2] in (1, 3):
        picture = Image.fromarray(image if image.shape[2] == 3 else image[..., 0])
        return from_pil(picture, size=size, channels=image.shape[2]).astype(np.uint8)
    return resize(image, size)
