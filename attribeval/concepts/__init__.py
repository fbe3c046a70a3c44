"""What a model knows of human concepts: those that people show it (TCAV), and those found in its layers (CRAFT, ACE).

    from attribeval import concepts
    found = concepts.craft(attributer, images, "zebra")

Each is loaded when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import Any

HOMES = {
    "craft": "discovery.craft",
    "Craft": "discovery.craft",
    "ace": "discovery.ace",
    "Ace": "discovery.ace",
    "Concepts": "discovery.found",
}
__all__ = list(HOMES)


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(importlib.import_module(f"attribeval.concepts.{HOMES[name]}"), name)
    raise AttributeError(f"module 'attribeval.concepts' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
