"""Methods that other packages register: classes like ours, and functions."""

from __future__ import annotations

import dataclasses
from typing import Any

from attribeval import plugins
from attribeval.methods.card import Card
from attribeval.methods.function import function_method


def registered(name: str) -> Any | None:
    """The class that another package registers under a name, or its function as a method; None if there is none.

    Args:
        name: As users type it.
    """
    found = plugins.load(plugins.METHODS, name, _fault)
    return found if found is None or isinstance(found, type) else function_method(found, name)


def _fault(loaded: Any) -> str | None:
    """What is wrong with something that a package registers as a method."""
    if not isinstance(loaded, type):
        function_method(loaded)
        return None
    if not dataclasses.is_dataclass(loaded) or not callable(getattr(loaded, "attribute", None)):
        return f"{loaded.__name__} is no dataclass with a method attribute(batch)"
    return None if isinstance(getattr(loaded, "card", None), Card) else f"{loaded.__name__}.card is no Card"
