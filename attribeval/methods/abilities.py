"""What methods can explain: all of them the caller's images, functions and ready maps not always more than these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import PurePath
from typing import Any

from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.methods.card import Method
from attribeval.methods.function import FunctionMethod
from attribeval.methods.ready import ReadyMaps

_PATHS = (str, PathLike)


def of_images(methods: Mapping[str, Method], images: Any, count: int) -> dict[str, Method]:
    """The same methods by label; ready maps among them are found for so many images, as the caller passed them.

    Raises:
        AttribevalError: If there is not one map for each image, naming the method.
    """
    names = names_of(images)
    return {label: _ready(method, lambda maps: maps.of_images(names, count)) for label, method in methods.items()}


def at(methods: Mapping[str, Method], rows: Any) -> dict[str, Method]:
    """The methods for some of the images that `of_images` knows, by their places: ready maps are those of these."""
    return {label: _ready(method, lambda maps: maps.at(rows)) for label, method in methods.items()}


def unable(method: Method, *, images: bool = False, model: bool = False) -> str | None:
    """Why a method, or what it wraps, cannot explain further images, or another or changed model; None if it can."""
    base = getattr(method, "base", None)
    if base is not None:
        return unable(base, images=images, model=model)
    what = "changed or other models" if model else "changed images"
    if isinstance(method, ReadyMaps) and (images or model):
        form = "f(model, images, targets, seed)" if model else "f(images, targets)"
        return f"{what} are explained, and ready maps are of one model and its images: give a function {form}"
    ignores = method.card.family == "control"  # it has nothing of any model
    if isinstance(method, FunctionMethod) and model and not method.takes_model and not ignores:
        return (
            f"{what} are explained, and a function f(images, targets) does not get the model: give one "
            "f(model, images, targets, seed)"
        )
    return None


def refuse(methods: Mapping[str, Method], study: str, *, images: bool = False, model: bool = False) -> None:
    """Raise if a study needs what a function or ready maps cannot give (`unable`), naming the form that is needed."""
    for label, method in methods.items():
        why = unable(method, images=images, model=model)
        if why is not None:
            raise AttribevalError(f"Expected methods that {study} can use. Received {label!r}: {why}.")


def needs_one_device(method: Method) -> bool:
    """Whether a method, or what it wraps, must be called by one thread alone."""
    base = getattr(method, "base", None)
    return getattr(method, "one_device", False) or (base is not None and needs_one_device(base))


def _ready(method: Any, change: Any) -> Any:
    if isinstance(method, ReadyMaps):
        return change(method)
    base = getattr(method, "base", None)
    changed = base if base is None else _ready(base, change)
    return method if changed is base else replace(method, base=changed)


def names_of(images: Any) -> list[tuple[str, ...]] | None:
    """Under which names the map file of each image may lie: its id, and the name of its file with and without ending.

    Arrays have no names, which is None.
    """
    several = [images] if isinstance(images, _PATHS) else images
    if isinstance(several, Samples):
        paths = several.images if isinstance(several.images, list) else [None] * len(several)
        return [(one, *_of_file(path)) for one, path in zip(several.ids, paths, strict=True)]
    if isinstance(several, Sequence) and several and all(isinstance(one, _PATHS) for one in several):
        return [_of_file(one) for one in several]
    return None


def _of_file(path: Any) -> tuple[str, ...]:
    return () if path is None else (PurePath(path).stem, PurePath(path).name)
