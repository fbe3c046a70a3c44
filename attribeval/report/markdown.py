"""A table for a README or an issue: Markdown as GitHub reads it."""

from __future__ import annotations

import re

from attribeval.report.cells import Shown

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def markdown_table(table: Shown) -> str:
    """A pipe table; an interval stands in parentheses behind its value where the page has it below.

    Args:
        table: As `cells.show` makes it.

    Returns:
        Markdown.
    """
    lines = [
        [_escape(name) for name, _ in table.columns],
        ["--:" if number else "---" for _, number in table.columns],
        *[[_text(cell.text) for cell in cells] for _, cells in table.rows],
    ]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(text: str) -> str:
    first, _, second = text.partition("\n")
    return f"{_escape(first)} ({_escape(second)})" if second else _escape(first)


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split("\n")))
