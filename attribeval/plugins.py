"""What other packages register: methods, metrics and studies, by entry points, found at first use and never before.

In the other package's pyproject.toml:

    [project.entry-points."attribeval.methods"]
    sharpened = "their_package.sharpened:Sharpened"
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any

METHODS, METRICS, STUDIES = "attribeval.methods", "attribeval.metrics", "attribeval.studies"
_broken: dict[tuple[str, str], str] = {}  # group and name → why it cannot be used


@functools.cache
def _registered(group: str) -> dict[str, Any]:
    """Entry points by name as users type it; of two with one name the first."""
    found: dict[str, Any] = {}
    for entry in importlib.metadata.entry_points(group=group):
        name = entry.name.lower().replace("-", "_")
        if name in found:
            _warn(entry, f"the name is also that of {found[name].value}, which is used")
        else:
            found[name] = entry
    return found


def names(group: str, ours: Collection[str]) -> list[str]:
    """Names that other packages register, in order; one of ours stays ours, and a warning says so once."""
    found = _registered(group)
    for name in sorted(found):
        if name in ours and (group, name) not in _broken:
            _broken[group, name] = "the name is one of attribeval's own"
            _warn(found[name], _broken[group, name])
    return sorted(set(found) - set(ours))


def load(group: str, name: str, check: Callable[[Any], str | None]) -> Any | None:
    """What a name stands for, imported once; None if there is no such name, or it is broken (one warning says so).

    `check` says what is wrong with what was imported, or None.
    """
    entry = _registered(group).get(name)
    if entry is None or (group, name) in _broken:
        return None
    try:
        loaded = entry.load()
        wrong = check(loaded)
    except Exception as error:  # other people's code, which must not take ours down
        wrong = f"{type(error).__name__}: {error}"
    if wrong is None:
        return loaded
    _broken[group, name] = wrong
    _warn(entry, wrong)
    return None


def load_class_or_function(
    group: str, name: str, card: type, asked: Sequence[str], called: str, wrap: Callable[..., Any]
) -> Any | None:
    """The class that another package registers under a name, or its function, wrapped; None if there is none.

    A class must have a `card` of that class and the methods `asked`, which messages call `called`. A function becomes
    one of ours by `wrap(function)` or `wrap(function, name)`, which raises if it cannot.
    """

    def check(loaded: Any) -> str | None:
        if not isinstance(loaded, type):
            wrap(loaded)
            return None
        if not dataclasses.is_dataclass(loaded) or not all(callable(getattr(loaded, one, None)) for one in asked):
            return f"{loaded.__name__} is no dataclass with {called}"
        return None if isinstance(getattr(loaded, "card", None), card) else f"{loaded.__name__}.card is no Card"

    found = load(group, name, check)
    return found if found is None or isinstance(found, type) else wrap(found, name)


def fault(group: str, name: str) -> str:
    """Why a registered name cannot be used, as the end of a sentence; "" if nothing is known."""
    why = _broken.get((group, name))
    return "" if why is None else f" The package that registers {name!r} cannot be used: {why}."


def _warn(entry: Any, why: str) -> None:
    whose = "" if entry.dist is None else f" of {entry.dist.name} {entry.dist.version}"
    warnings.warn(f"{entry.group} {entry.name!r}{whose} ({entry.value}) is left out: {why}.", stacklevel=3)
