"""Names of a package that are loaded when they are asked for, so that importing it costs nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Lazy = tuple[Callable[[str], Any], Callable[[], list[str]]]


def lazily(package: str, homes: Mapping[str, str], rooms: Iterable[str] = ()) -> Lazy:
    """The `__getattr__` and `__dir__` of a package: of names, by the file below it that each is in, and of rooms."""

    def get(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        if name in rooms:
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def names() -> list[str]:
        return sorted([*homes, *rooms, *{"__version__"} & vars(sys.modules[package]).keys()])

    return get, names
