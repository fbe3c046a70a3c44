"""A method as the text that people type for it, where there is one."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from attribeval.errors import AttribevalError
from attribeval.methods.registered import registered
from attribeval.methods.registry import METHODS, build_method


def written(method: Any) -> str | None:
    """The text of which `build_method` makes this method again, options that are not the defaults in brackets.

    None if there is no such text: the class is in no registry, or an option is an array or another object.
    """
    name = method.card.name
    if (METHODS.get(name) or registered(name)) is not type(method):
        return None
    words: list[str | None] = []
    for field in dataclasses.fields(method):
        value = getattr(method, field.name)
        if field.name == "base":
            words.insert(0, written(value))
        elif field.init and not _same(value, field.default):
            words.append(f"{field.name}={list(value) if isinstance(value, tuple) else value!r}")
    told = [word for word in words if word is not None]
    if len(told) < len(words):
        return None
    text = f"{name}({', '.join(told)})" if told else name
    try:
        return text if build_method(text) == method else None
    except (AttribevalError, ValueError):
        return None


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(np.all(one == other))
