"""A function of the user in the place of a method or a metric: what the decorator was told, and how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class UserFunction:
    """What is known of a function of the user.

    Attributes:
        name: What tables and errors call it.
        code: Hash of what the function does, see `code.code_of`.
        facts: As the decorator was told.
        function: The function.
    """

    name: str
    code: str
    facts: dict[str, Any]
    function: Callable = field(metadata={"described": False})


def telling(kind: str, facts: dict[str, Any], check: Callable[[Callable, str], Any]) -> Callable[[Callable], Callable]:
    """A decorator that leaves facts, "name" among them, on a function, which stays what it was.

    `check` refuses a function of that name that cannot be called as a "method" or a "metric" must be.
    """

    def decorate(function: Callable) -> Callable:
        check(function, facts["name"] or name_of(function))
        setattr(function, f"attribeval_{kind}", facts)
        return function

    return decorate


def told(function: Any, kind: str) -> dict[str, Any]:
    """What the decorator of that kind has left; nothing on a function without it."""
    return getattr(function, f"attribeval_{kind}", {})


def name_of(function: Any) -> str:
    """What the user calls a function."""
    facts = told(function, "metric") | told(function, "method")
    name = str(facts.get("name") or getattr(function, "__name__", type(function).__name__))
    return "function" if name == "<lambda>" else name


def takes(signature: inspect.Signature, count: int) -> bool:
    """Whether so many arguments, by their places, are what a function needs."""
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True
