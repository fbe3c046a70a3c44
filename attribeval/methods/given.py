"""Whatever a caller passes as methods, as methods with cards by label: the one way in of `explain` and every study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from os import PathLike, sep
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from attribeval.attributions import Attributions
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.importable import function_in_file
from attribeval.methods.card import Method
from attribeval.methods.function import FORMS, FunctionMethod, function_method, name_of
from attribeval.methods.reading import ranking
from attribeval.methods.ready import ReadyMaps, ready_maps
from attribeval.methods.registry import build_method, written

Given = str | PathLike | Method | Any  # also a function, an array, `Attributions`
_PATHS = (str, PathLike)


def methods_of(given: Given | Iterable[Given] | Mapping[str, Given]) -> dict[str, Method]:
    """Methods by label.

    Args:
        given: One, a list, or a mapping from labels, all kinds mixed: the name of a method, as `build_method` reads
            it; a method object; a function `f(images, targets)` or `f(model, images, targets, seed)`, see
            `function.method`, or where one stands, "file.py:function"; or ready maps, see `ready.ready_maps`, also as
            the path of a file or folder (a text with a slash, or one that ends in .npy or .npz, is a path).

    Returns:
        In the order given. In a list, functions go by their own names, files and folders by theirs, `Attributions` by
        their method, and a text "label=…" by its label.

    Raises:
        AttribevalError: If there is none, one is nothing of all this or unknown, or two share a label.
    """
    return {label: method_of(one, label) for label, one in labelled(given).items()}


def labelled(given: Any) -> dict[str, Any]:
    """What was passed, by label, as it is; see `methods_of`."""
    if isinstance(given, Mapping):
        for label in given:
            if not isinstance(label, str) or not label.strip():
                raise AttribevalError(f"Expected a name for each method. Received: {label!r}.")
        found = dict(given)
    else:
        alone = isinstance(given, (*_PATHS, np.ndarray, Attributions, type)) or callable(given)
        several = [given] if alone or not isinstance(given, Iterable) or _is_method(given) else list(given)
        found = {}
        for one in several:
            label, one = _split(one)
            if label in found and not (isinstance(one, str) and one == found[label]):
                raise AttribevalError(
                    f"Expected methods with names of their own. Received {label!r} twice: pass a mapping, "
                    "{'name': method, …}."
                )
            found[label] = one
    if not found:
        raise AttribevalError("Expected at least one method. Received none.")
    return found


def _split(given: Any) -> tuple[str, Any]:
    """A label, and what it stands for."""
    if isinstance(given, str):
        label, equals, rest = given.partition("=")
        if equals and not set(label) & set("(/" + sep):
            return label, rest
    return label_of(given), given


def label_of(given: Any) -> str:
    """What tables call a method that was given without a label."""
    if isinstance(given, str) and not _is_path(given):
        return given.rpartition(":")[2] if _is_place(given) else given
    if isinstance(given, _PATHS):
        path = PurePath(given)
        return path.stem if path.suffix in (".npy", ".npz") else path.name
    if isinstance(given, Attributions):
        return given.method
    if isinstance(given, FunctionMethod | ReadyMaps):
        return given.name
    if _is_method(given):
        return written(given) or given.card.name
    return name_of(given) if callable(given) else "maps"


def method_of(given: Any, label: str) -> Method:
    """One method; see `methods_of`.

    Args:
        given: What was passed.
        label: What tables call it.
    """
    if isinstance(given, str) and not _is_path(given):
        if _is_place(given):
            file, _, name = given.rpartition(":")
            return function_method(function_in_file(file, name), label)
        return build_method(given)
    if isinstance(given, type):
        raise AttribevalError(f"Expected a method for {label!r}. Received a class: make one, {given.__name__}().")
    if _is_method(given):
        return replace(given, name=label) if isinstance(given, FunctionMethod | ReadyMaps) else given
    if isinstance(given, Attributions):
        return replace(ready_maps(given, label), shares=_are_shares(given.method))
    if isinstance(given, (*_PATHS, np.ndarray)) or (hasattr(given, "__array__") and not callable(given)):
        return ready_maps(given, label)
    if callable(given):
        return function_method(given, label)
    raise AttribevalError(
        f"Expected {label!r} to be the name of a method, a method object, a function {FORMS}, or ready maps: an array, "
        f"Attributions, a file or a folder. Received: {type(given).__name__}."
    )


def with_controls(methods: Mapping[str, Method], controls: Sequence[str]) -> dict[str, Method]:
    """The methods, and those controls that are not among them.

    Raises:
        AttribevalError: If a control's name was given to something else.
    """
    found = dict(methods)
    for name in controls:
        control = build_method(name)
        if type(found.setdefault(name, control)) is not type(control):
            raise AttribevalError(f"Expected the label {name!r} to be the control's. Received it for another method.")
    return found


def kind_of(method: Method) -> str:
    """ "control" or "method"."""
    return "control" if method.card.family == "control" else "method"


# ------------------------------------------------------------------------------------------ what needs their images


def of_images(methods: Mapping[str, Method], images: Any, count: int) -> dict[str, Method]:
    """The same methods; ready maps among them are found for their images and counted.

    Args:
        methods: By label.
        images: As the caller passed them: their names find files of folders.
        count: How many there are.

    Raises:
        AttribevalError: If there is not one map for each image, naming the method.
    """
    ids = _ids(images)
    return {label: _ready(method, lambda maps: maps.of_images(ids, count)) for label, method in methods.items()}


def at(methods: Mapping[str, Method], rows: Any) -> dict[str, Method]:
    """The methods for some of the images that `of_images` knows: ready maps are those of these images.

    Args:
        methods: As `of_images` returned them.
        rows: Places of the images, ints or a slice.
    """
    return {label: _ready(method, lambda maps: maps.at(rows)) for label, method in methods.items()}


def unable(method: Method, *, images: bool = False, model: bool = False) -> str | None:
    """Why a method cannot explain further images, or another model; None if it can.

    Args:
        method: A method, or a wrapper of one.
        images: Whether images are explained that are not the caller's own.
        model: Whether the model is changed, or another one is explained.
    """
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
    """Raise if a study needs what a function or ready maps cannot give.

    Args:
        methods: By label.
        study: Its name, for the message.
        images, model: As in `unable`.

    Raises:
        AttribevalError: Naming the first such method and the form that is needed.
    """
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


def _ids(images: Any) -> list[str] | None:
    if isinstance(images, Samples):
        return images.ids
    several = [images] if isinstance(images, _PATHS) else images
    if isinstance(several, Sequence) and several and all(isinstance(one, _PATHS) for one in several):
        return [PurePath(one).stem for one in several]
    return None


def _is_method(given: Any) -> bool:
    return hasattr(given, "card") and hasattr(given, "attribute") and not isinstance(given, type)


def _is_place(text: str) -> bool:
    file, colon, name = text.rpartition(":")
    return bool(colon) and file.endswith(".py") and name.isidentifier()


def _is_path(text: str) -> bool:
    """Whether a text means a file or folder: names of methods have no slash, but their options may."""
    if _is_place(text) or ("(" in text and not Path(text).exists()):
        return False
    return text.endswith((".npy", ".npz")) or "/" in text or sep in text


def _are_shares(name: str) -> bool:
    """Whether maps by a method of ours are shares of a score; others say nothing of it."""
    try:
        return ranking(build_method(name)) == "sum"
    except AttribevalError:
        return False
