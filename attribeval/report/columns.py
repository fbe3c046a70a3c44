"""Which columns of a table a page shows unasked: as many of those that matter as fit a screen of each width."""

from __future__ import annotations

import re
from collections.abc import Collection

from attribeval.report.cells import Shown

# Room for a table, in rem: on a telephone of 390 px, from 48 rem (768 px) on, from 75 rem (1200 px) on.
_ROOM = (("", 21.0), ("tablet", 42.0), ("desk", 65.0))
_MARK, _PADDING, _LETTER, _SMALL = 5.0, 1.3, 0.53, 0.44  # widths in rem: of a mark, around a cell, of letters
_NAME = {"": 6.2, "tablet": 12.0, "desk": 16.0}  # of the first column, which breaks its lines
MORE = "more"  # shown only when asked for


def widths(table: Shown, main: Collection[str]) -> list[str]:
    """From which width on each column is shown: "" (always), "tablet", "desk"; MORE where its heading is not `main`."""
    found = [MORE] * len(table.columns)
    for size, room in reversed(_ROOM):
        left = room - _NAME[size]
        found[0] = size
        for i, column in enumerate(table.columns[1:], 1):
            if column.name not in main:
                continue
            left -= _width(table, i)
            if left < 0:
                break
            found[i] = size
    return found


def hides(found: Collection[str]) -> str:
    """Up to which width something is hidden: "" (nothing ever is), "phone", "tablet", or "always"."""
    if MORE in found:
        return "always"
    return "tablet" if "desk" in found else "phone" if "tablet" in found else ""


def _width(table: Shown, i: int) -> float:
    """At least what column i takes, in rem."""
    cells = [cells[i] for _, cells in table.rows]
    numbers = table.columns[i].number
    pieces = re.split(r"(?<=[_(,\s])", table.columns[i].name)  # where the page lets a heading break
    widest = max(len(piece.strip()) for piece in pieces) * _LETTER + 0.9  # and an arrow for sorting
    for cell in cells:
        first, _, second = cell.text.partition("\n")
        words = [first] if numbers else first.split()
        widest = max([widest, len(second) * _SMALL, *(len(word) * _LETTER for word in words)])
        widest = max(widest, _MARK if cell.mark else 0)
    return widest + _PADDING
