"""A table for a README or an issue: Markdown as GitHub reads it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from attribeval.report.cells import Shown

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$&])")


def markdown_table(table: Shown, best: Collection[tuple[int, int]] = (), notes: Sequence[str] = ()) -> str:
    """A pipe table with the best cells (row, column) in bold, and notes below it.

    An interval stands in parentheses behind its value where the page has it below.
    """
    lines = [
        [_escape(column.name) for column in table.columns],
        ["--:" if column.number else "---" for column in table.columns],
        *[
            [_text(cell.text, (i, j) in best) for j, cell in enumerate(cells)]
            for i, (_, cells) in enumerate(table.rows)
        ],
    ]
    text = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return text + (f"\n{' '.join(map(_escape, notes))}\n" if notes else "")


def _text(text: str, best: bool) -> str:
    first, _, second = text.partition("\n")
    shown = f"**{_escape(first)}**" if best else _escape(first)
    return f"{shown} ({_escape(second)})" if second else shown


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split("\n")))
