"""Classes by name: what files call a class, as the index that a model has for it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError, unknown


class ClassIndex:
    """Class indices by name, small and capital letters, blanks and underscores alike; several for one are refused."""

    def __init__(self, indices: Sequence[tuple[str, int]]):
        self._indices: dict[str, int | None] = {}
        self.names = [name for name, _ in indices]
        for name, index in indices:
            key = _key(name)
            self._indices[key] = index if self._indices.get(key, index) == index else None

    @classmethod
    def of(cls, names: ClassIndex | Sequence[str] | Mapping[str, int]) -> ClassIndex:
        """From names in the order of the classes, or a mapping to their indices."""
        if isinstance(names, ClassIndex):
            return names
        if isinstance(names, Mapping):
            return cls([(str(name), int(index)) for name, index in names.items()])
        return cls([(str(name), index) for index, name in enumerate(names)])

    def find(self, name: str) -> int | None:
        """The index, or None if no class is called so."""
        index = self._indices.get(_key(name), -1)
        if index is None:
            raise AttribevalError(f"Expected names of one class each. Received {name!r}, which several classes have.")
        return None if index < 0 else index

    def __getitem__(self, name: str) -> int:
        index = self.find(name)
        if index is None:
            raise unknown("class", name, self.names)
        return index


def read_class_index(path: str | PathLike) -> ClassIndex:
    """Read which class of a model has which name.

    Args:
        path: JSON: {"dog": 207, …}; or Keras' imagenet_class_index.json, {"0": ["n01440764", "tench"], …}, whose
            classes are found by name and by WNID; or ["tench", …].

    Returns:
        Indices by name, which readers of labels take.

    Raises:
        AttribevalError: If it is none of these.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        if isinstance(content, list):
            return ClassIndex([(_text(name), index) for index, name in enumerate(content)])
        if all(isinstance(value, list) for value in content.values()):
            return ClassIndex([(_text(name), _index(k)) for k, names in content.items() for name in names])
        return ClassIndex([(name, _index(index)) for name, index in content.items()])
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise AttribevalError(
            f'Expected {str(path)!r} to be JSON: {{"dog": 207}}, ["tench", …] or Keras\' imagenet_class_index.json. '
            f"Received: {type(error).__name__}: {error}."
        ) from error


def to_classes(samples: Samples, names: ClassIndex | Sequence[str] | Mapping[str, int]) -> Samples:
    """The same images with the labels that a model has for classes of these names.

    Args:
        samples: With `class_names`.
        names: The model's classes: in order, or index by name.

    Returns:
        `Samples` with other labels, without class names.

    Raises:
        AttribevalError: If a class is not among them (the nearest are named).
    """
    index = ClassIndex.of(names)
    if samples.class_names is None:
        raise AttribevalError(f"Expected images with class names. Received {samples!r} without.")
    mapped = np.array([index[name] if k in samples.labels else -1 for k, name in enumerate(samples.class_names)])
    return Samples(
        samples.images, mapped[samples.labels], boxes=samples.boxes, masks=samples.masks, ids=samples.ids,
        exif=samples.exif, name=samples.name,
    )  # fmt: skip


def _key(name: str) -> str:
    return " ".join(name.replace("_", " ").split()).casefold()


def _text(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"{name!r} is no name")
    return name


def _index(value: Any) -> int:
    if isinstance(value, (bool, float)) or int(value) < 0:
        raise ValueError(f"{value!r} is no class index")
    return int(value)
