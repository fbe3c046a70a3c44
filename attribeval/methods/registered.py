"""Methods that other packages register: classes like ours, and functions."""

from __future__ import annotations

from typing import Any

from attribeval import plugins
from attribeval.methods.card import Card
from attribeval.methods.function import function_method


def registered(name: str) -> Any | None:
    """The class that another package registers under a name, or its function as a method; None if there is none.

    Args:
        name: As users type it.
    """
    called = "a method attribute(batch)"
    return plugins.load_class_or_function(plugins.METHODS, name, Card, ["attribute"], called, function_method)
