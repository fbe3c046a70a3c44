"""What ranks the values: whatever the user gave as methods, written down so that other processes can make it again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attribeval.benchmarks.roar.grid import Estimator, spelt
from attribeval.common.options import options_of
from attribeval.datasets.samples import Samples
from attribeval.errors import AttribevalError
from attribeval.importable import function_in_file, place_of
from attribeval.methods import abilities, given
from attribeval.methods.card import Method
from attribeval.methods.function import FunctionMethod, function_method
from attribeval.methods.given import Given
from attribeval.methods.ready import ReadyMaps
from attribeval.methods.registry import build_method, written

Own = Method | dict[str, ReadyMaps]


def read_estimators(
    methods: Given | Sequence[Given] | Mapping[str, Given],
    splits: Mapping[str, Samples],
    shape: tuple[int, ...],
    explained: str,
    controls: Sequence[str],
) -> tuple[list[Estimator], dict[str, Own]]:
    """Estimators, and those of the user's methods that cannot leave this process.

    Methods as `methods.given.methods_of` takes them; ready maps are a pair, those of the training and those of the test
    images. What is no method, does not fit the images, or cannot explain the models that it has to is refused.
    """
    entries = given.labelled(methods)
    if not isinstance(methods, Mapping):
        entries = {spelt(label) if isinstance(one, str) else label: one for label, one in entries.items()}
    estimators, own = [], {}
    for label, one in entries.items():
        estimator, kept = _read(label, one, splits, shape)
        estimators.append(estimator)
        if kept is not None:
            own[label] = kept
        method = kept if kept is not None or isinstance(one, str) else given.method_of(one, label)
        if "recursive" in controls and estimator.kind == "method":
            _check_recursive(estimator, method)
        why = None if isinstance(method, dict | None) else abilities.unable(method, model=True)
        if why is not None and explained == "unmodified":
            raise AttribevalError(
                f"Expected methods that can explain the model that roar trains. Received {label!r}: {why}, or give the "
                "model that it explains as checkpoint=."
            )
    return estimators, own


def method_of(estimator: Estimator) -> Method:
    """The method of an estimator that any process can make; a function must be where and what it was."""
    if estimator.source == "method":
        return build_method(estimator.text)
    place, _, code = estimator.text.rpartition(" ")
    file, _, name = place.rpartition(":")
    method = function_method(function_in_file(file, name), estimator.label)
    if _identity(method) != code:
        raise AttribevalError(
            f"Expected the function {name} of {file} as it was when the run began. Received another one: give the "
            "method another name, or put the file back."
        )
    return method


def _read(label: str, one: Any, splits: Mapping[str, Samples], shape: tuple[int, ...]) -> tuple[Estimator, Own | None]:
    """An estimator, and what of it stays in this process."""
    if isinstance(one, (tuple, list)):
        pair = _pair(label, one, splits, shape)
        return Estimator(label, "method", "maps", f"arrays {' '.join(str(m.content) for m in pair.values())}"), pair
    method = given.method_of(one, label)
    if abilities.unable(method, images=True) is not None:
        raise AttribevalError(
            f"Expected ready maps of training and of test images. Received {label!r} as one: give a pair, "
            "(maps of train, maps of test), or a function f(model, images, targets, seed)."
        )
    kind = given.kind_of(method)
    if not isinstance(method, FunctionMethod):
        text = one if isinstance(one, str) else written(method)
        if text is not None:
            return Estimator(label, kind, "method", text), None
        about = f"{type(method).__module__}.{type(method).__qualname__} {json.dumps(options_of(method))}"
        return Estimator(label, kind, "maps", f"object {about}"), method
    place = _place(one, method)
    if place is not None:
        return Estimator(label, kind, "function", f"{place} {_identity(method)}"), None
    return Estimator(label, kind, "maps", f"function {_identity(method)}"), method


def _place(one: Any, method: FunctionMethod) -> str | None:
    """Where other processes find a function; None for those of a prompt, of the script itself, or within another."""
    if isinstance(one, str):
        file, _, name = one.rpartition(":")
        return f"{Path(file).resolve()}:{name}"
    if getattr(method.function, "__module__", None) == "__main__":  # other processes would run the script again
        return None
    place = place_of(method.function)
    return None if place is None else f"{place['file']}:{place['name']}"


def _identity(method: FunctionMethod) -> str:
    """What tells it from another function, without a space."""
    return f"{method.code}{'-each' if method.facts['one_by_one'] else ''}"


def _pair(label: str, halves: Sequence[Any], splits: Mapping[str, Samples], shape: tuple[int, ...]) -> dict[str, Any]:
    """Ready maps by split, checked against their images."""
    if len(halves) != 2:
        raise AttribevalError(
            f"Expected ready maps of {label!r} as a pair, those of the training and those of the test images. "
            f"Received: {len(halves)}."
        )
    found = {}
    for (split, samples), half in zip(splits.items(), halves, strict=True):
        maps = given.method_of(half, f"{label}, {split}")
        if not isinstance(maps, ReadyMaps):
            raise AttribevalError(f"Expected {split} maps of {label}. Received: {type(half).__name__}.")
        wanted, there = (len(samples), *shape), np.shape(maps.maps) if isinstance(maps.maps, np.ndarray) else None
        fits = there is None or (there[:3] == wanted[:3] and there[3:] in ((), (1,), wanted[3:]))
        if not fits:
            raise AttribevalError(
                f"Expected {split} maps of {label} of shape {wanted} or {(*wanted[:3], 1)}. Received: {there}."
            )
        found[split] = maps.of_images(abilities.names_of(samples), len(samples))
    return found


def _check_recursive(estimator: Estimator, method: Any) -> None:
    """Ranking again needs maps of retrained models, in any process."""
    why = None
    if isinstance(method, dict):
        why = "ready maps are of one model: give a function f(model, images, targets, seed)"
    elif method is not None:
        why = abilities.unable(method, model=True)
    if why is None and estimator.source == "maps":
        why = "other processes call it, and cannot find it: define it at the top of a .py file that is imported"
    if why is not None:
        raise AttribevalError(
            f"Expected methods that the control 'recursive' can rank again on retrained models. Received "
            f"{estimator.label!r}: {why}."
        )
