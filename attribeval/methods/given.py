"""Whatever a caller passes as methods, as methods with cards by label: the one way in of `explain` and every study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike, sep
from pathlib import Path, PurePath
from typing import Any, Literal

import numpy as np

from attribeval.attributions import Attributions
from attribeval.common.user_function import name_of
from attribeval.errors import AttribevalError
from attribeval.importable import function_in_file
from attribeval.methods.card import Method
from attribeval.methods.function import FORMS, FunctionMethod, function_method
from attribeval.methods.ready import ReadyMaps, ready_maps
from attribeval.methods.registry import build_method, written
from attribeval.methods.smoothgrad import SmoothGrad

Given = str | PathLike | Method | Any  # also a function, an array, `Attributions`
CONTROLS = ("random", "sobel")  # what every study measures beside the methods: they look at no score
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


def labelled(given: Any, kind: str = "method") -> dict[str, Any]:
    """What was passed, by label, as it is; see `methods_of`. Messages call one of it `kind`."""
    if isinstance(given, Mapping):
        for label in given:
            if not isinstance(label, str) or not label.strip():
                raise AttribevalError(f"Expected a name for each {kind}. Received: {label!r}.")
        found = dict(given)
    else:
        alone = isinstance(given, (*_PATHS, np.ndarray, Attributions, type)) or callable(given)
        several = [given] if alone or not isinstance(given, Iterable) or hasattr(given, "card") else list(given)
        found = {}
        for one in several:
            label, one = _split(one)
            if label in found and not (isinstance(one, str) and one == found[label]):
                raise AttribevalError(
                    f"Expected {kind}s with names of their own. Received {label!r} twice: pass a mapping, "
                    f"{{'name': {kind}, …}}."
                )
            found[label] = one
    if not found:
        raise AttribevalError(f"Expected at least one {kind}. Received none.")
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
    if hasattr(given, "card"):
        return given.card.name
    return name_of(given) if callable(given) else "maps"


def method_of(given: Any, label: str) -> Method:
    """One method, which tables call `label`; see `methods_of`."""
    if isinstance(given, str) and not _is_path(given):
        function = placed(given)
        return build_method(given) if function is None else function_method(function, label)
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


def with_controls(methods: Mapping[str, Method]) -> dict[str, Method]:
    """The methods, and those `CONTROLS` that are not among them.

    Raises:
        AttribevalError: If a control's name was given to something else.
    """
    found = dict(methods)
    for name in CONTROLS:
        control = build_method(name)
        if type(found.setdefault(name, control)) is not type(control):
            raise AttribevalError(f"Expected the label {name!r} to be the control's. Received it for another method.")
    return found


def kind_of(method: Method) -> Literal["control", "method"]:
    """ "control" or "method"."""
    return "control" if method.card.family == "control" else "method"


def ranking(method: Method) -> Literal["sum", "abs_sum"]:
    """How channels become one number that ranks places, a `reduce` of `Attributions.heatmap`.

    "sum" for shares of a score, of which a negative one speaks against the class; "abs_sum" for all others. The mean of
    noisy maps reads as its base does.
    """
    if isinstance(method, SmoothGrad):
        return ranking(method.base)
    return "sum" if method.card.shares else "abs_sum"


def is_name(text: str) -> bool:
    """Whether a text is the name of a method rather than of a file, a folder or a function of a file."""
    return not _is_path(text) and not _is_place(text)


def placed(text: str) -> Any | None:
    """The function of a text "file.py:function"; None for any other text."""
    if not _is_place(text):
        return None
    file, _, name = text.rpartition(":")
    return function_in_file(file, name)


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
