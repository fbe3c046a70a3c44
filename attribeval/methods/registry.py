"""Names to methods. To add a method: write its file, add its class to `_CLASSES`."""

from __future__ import annotations

import dataclasses
from typing import Any

from attribeval.errors import AttribevalError, unknown
from attribeval.methods.card import Card, Method
from attribeval.methods.gradcam import GradCAM
from attribeval.methods.gradient import Gradient
from attribeval.methods.random import Random
from attribeval.methods.sobel import Sobel

_CLASSES: tuple[type, ...] = (Gradient, GradCAM, Random, Sobel)
METHODS: dict[str, type] = {cls.card.name: cls for cls in _CLASSES}


def cards() -> list[Card]:
    """The cards of all methods, in the order of the families."""
    return [cls.card for cls in _CLASSES]


def build_method(name: str, options: dict[str, Any] | None = None) -> Method:
    """Make a method from its name and options.

    Args:
        name: A name of `METHODS`.
        options: Values for the fields of the method's dataclass.

    Returns:
        The method.

    Raises:
        AttribevalError: If the name is unknown (nearest names listed) or an option is (valid names listed).
    """
    if name not in METHODS:
        raise unknown("method", name, METHODS)
    return make(METHODS[name], name, options or {})


def make(cls: type, name: str, options: dict[str, Any]) -> Method:
    """Make a method of class `cls`, called `name` in messages; an unknown option is an error that lists the valid ones."""
    valid = [field.name for field in dataclasses.fields(cls)]
    for option in options:
        if option not in valid:
            raise unknown(f"option of {name}", option, valid)
    try:
        return cls(**options)
    except TypeError as error:  # e.g. a required option is missing
        raise AttribevalError(f"Could not make method {name!r}: {error}.") from error
