"""Options of methods: checks, arrays that can be compared, and how a method is written down beside its maps."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from attribeval.errors import AttribevalError


class FrozenArray:
    """A read-only float32 copy of finite numbers, equal and hashable by its values, so that options can be compared."""

    def __init__(self, values: Any, name: str):
        try:
            array = np.array(values, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise AttribevalError(f"Expected {name} to be an array of numbers. Received: {error}.") from error
        if not np.isfinite(array).all():
            raise AttribevalError(f"Expected {name} to be finite. Received: NaN or infinity.")
        array.setflags(write=False)
        self.values = array
        self.hash = hashlib.blake2b(array.tobytes(), digest_size=8, key=str(array.shape).encode()).hexdigest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FrozenArray) and self.hash == other.hash

    def __hash__(self) -> int:
        return hash(self.hash)

    def __repr__(self) -> str:
        return f"FrozenArray(shape={self.values.shape}, hash={self.hash!r})"


def frozen(values: Any, name: str) -> FrozenArray:
    """An option as a `FrozenArray`, whether it is one already or not."""
    return values if isinstance(values, FrozenArray) else FrozenArray(values, name)


def check_count(name: str, value: Any, least: int) -> None:
    """Refuse a value that is not an int of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise AttribevalError(f"Expected {name} to be an int of {least} or more. Received: {value!r}.")


def check_positive(name: str, value: Any) -> None:
    """Refuse a value that is not a finite number above 0."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value <= 0:
        raise AttribevalError(f"Expected {name} to be a number above 0. Received: {value!r}.")


def check_share(name: str, value: Any) -> None:
    """Refuse a value that is not a number above 0 and below 1."""
    number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
    if not number or not 0 < value < 1:
        raise AttribevalError(f"Expected {name} between 0 and 1. Received: {value!r}.")


def check_least(name: str, value: Any, least: float) -> None:
    """Refuse a value that is not a finite number of at least `least`."""
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value < least:
        raise AttribevalError(f"Expected {name} to be {least:g} or more. Received: {value!r}.")


def check_flag(name: str, value: Any) -> None:
    """Refuse a value that is not True or False."""
    if not isinstance(value, bool):
        raise AttribevalError(f"Expected {name} to be True or False. Received: {value!r}.")


def check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    """Refuse a value that is not one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise AttribevalError(f"Expected {name} to be one of {', '.join(choices)}. Received: {value!r}.")


def options_of(method: Any) -> dict[str, Any]:
    """All options of a method, defaults and nested methods included, as plain values that JSON can hold.

    Arrays become {"shape": …, "hash": …}; a method inside a wrapper {"method": its name, and its options}.
    """
    if not dataclasses.is_dataclass(method):
        return {}
    described = [field.name for field in dataclasses.fields(method) if field.metadata.get("described", True)]
    return {name: _plain(getattr(method, name)) for name in described}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        value = FrozenArray(value, "an option")
    if isinstance(value, FrozenArray):
        return {"shape": list(value.values.shape), "hash": value.hash}
    if dataclasses.is_dataclass(value):
        card = getattr(value, "card", None)
        return ({"method": card.name} if card else {}) | options_of(value)
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(one) for one in value]
    return getattr(value, "__qualname__", None) or repr(value)
