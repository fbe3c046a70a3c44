"""Docstrings as Markdown: prose, and the tables that stand under Args, Attributes, Returns and Raises."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass, field
from typing import Any

from attribeval import metrics

_HEADING = re.compile(r"^(Args|Attributes|Returns|Yields|Raises|Example):$")
_ITEM = re.compile(r"^    (\*{0,2}\w[\w, *]*): (.*)$")


@dataclass
class Parts:
    """A docstring taken apart.

    Attributes:
        prose: What comes before the first heading.
        items: By heading, the text of each name, in order. Headings without names have one item, "".
        example: What stands under Example, a session of the interpreter.
    """

    prose: str = ""
    items: dict[str, dict[str, str]] = field(default_factory=dict)
    example: str = ""


def parts(obj: Any) -> Parts:
    """Take apart the docstring of a class or function; an object without one has no parts."""
    found, heading, name = Parts(), None, ""
    prose = []
    for line in (inspect.getdoc(obj) or "").splitlines():
        match = _HEADING.match(line)
        if heading is not None and not match and line[:1].strip():  # a paragraph below the headings
            heading = None
            prose.append("")
        if match:
            heading, name = match[1], ""
            if heading != "Example":
                found.items[heading] = {}
        elif heading is None:
            prose.append(line)
        elif heading == "Example":
            found.example += f"{line[4:]}\n"
        else:
            item = _ITEM.match(line) if heading in ("Args", "Attributes", "Raises") else None
            if item:
                name = item[1]
                found.items[heading][name] = item[2]
            elif line.strip():
                said = found.items[heading].get(name, "")
                found.items[heading][name] = f"{said} {line.strip()}".strip()
    found.prose = "\n".join(prose).strip()
    return found


def described(obj: Any, heading: str) -> dict[str, str]:
    """Text by name under a heading, of a class those of its bases too; "alpha, beta: …" describes both."""
    found = {}
    for one in reversed(obj.__mro__) if inspect.isclass(obj) else [obj]:
        for names, text in parts(one).items.get(heading, {}).items():
            found |= {name.strip(" *"): text for name in names.split(",")}
    return found


_SEE = re.compile(r"^See `([\w.]+)`\.")


def resolved(obj: Any, items: dict[str, str]) -> dict[str, str]:
    """Items in which "See `other`." is replaced by what `other` says of the same name.

    `other` is a function known in the module of `obj`, alone or after the name of its file, or one of the metrics.
    """
    found = {}
    for names, text in items.items():
        see = _SEE.match(text)
        if not see:
            found[names] = text
            continue
        called = see[1].split(".")[-1]
        other = vars(sys.modules[obj.__module__]).get(called) or getattr(metrics, called)
        said = described(other, "Args") | described(other, "Attributes")
        for name in names.split(","):
            found[name.strip(" *")] = f"{said[name.strip(' *')]}{text[see.end() :]}"
    return found


def markdown(text: str) -> str:
    """Escape what Markdown would read as markup, outside of `code` and indented code."""
    lines = []
    for line in text.split("\n"):
        if line.startswith(("    ", ">>>")):
            lines.append(line)
            continue
        pieces = re.split(r"(`+[^`]+`+)", line)
        lines.append(
            "".join(piece if piece.startswith("`") else re.sub(r"([*<>_])", r"\\\1", piece) for piece in pieces)
        )
    return "\n".join(re.sub(r"^\\\* ", "* ", line) for line in lines)


def cell(text: str) -> str:
    """Text that fits into a cell of a table."""
    return markdown(text).replace("\n", " ").replace("|", "\\|")


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
