"""Cards as they stand in the files of methods and metrics: a heading, then a line for each fact."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Collection, Iterable
from typing import Any

from attribeval.errors import AttribevalError

_HEADING = re.compile(r"(\S+) \(([^()]+)\): (.+)")


def facts_of(text: str, needed: Collection[str], optional: Collection[str] = ()) -> dict[str, str]:
    """The facts that the text of a card states.

    It is "name (family): summary", then "fact: words" for each fact, in any order. A line that is indented deeper goes
    on with the one before.

    Returns:
        Fact → words, each on one line; "name", "family" and "summary" too.

    Raises:
        AttribevalError: If the heading has another form, or a fact is missing, empty, unknown or stated twice, naming
            the card.
    """
    heading, *lines = [" ".join(line.split()) for line in re.split(r"\n(?! )", inspect.cleandoc(text))]
    first = _HEADING.fullmatch(heading)
    if first is None:
        raise AttribevalError(f"Expected a card that begins with 'name (family): summary'. Received: {heading!r}.")
    said = {fact: words for fact, _, words in (line.partition(": ") for line in lines)}
    if len(said) < len(lines) or not all(said.values()) or not {*needed} <= {*said} <= {*needed, *optional}:
        raise AttribevalError(
            f"Expected the card of {first[1]!r} to state {', '.join(needed)}, each once"
            f"{''.join(f', {fact} if there are any' for fact in optional)}, and nothing else. Received the lines "
            f"{', '.join(repr(line) for line in lines)}."
        )
    return dict(zip(("name", "family", "summary"), first.groups(), strict=True)) | said


def classes_in(room: str, files: Iterable[str], card: type) -> list[type[Any]]:
    """The classes with a card in the files of a room of ours, in the order of the files and as they stand there."""
    found: list[type[Any]] = []
    for file in files:
        module = importlib.import_module(f"attribeval.{room}.{file}")
        own = (one for one in vars(module).values() if isinstance(one, type) and one.__module__ == module.__name__)
        found += [one for one in own if isinstance(getattr(one, "card", None), card)]
    return found
