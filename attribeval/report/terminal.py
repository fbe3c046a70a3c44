"""Tables for the terminal: aligned text, readable in a pipe."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import Any


def terminal_width() -> int | None:
    """Columns of the terminal; None where output goes to a file or another program, which has no width."""
    if sys.stdout.isatty() or os.environ.get("COLUMNS"):
        return shutil.get_terminal_size().columns
    return None


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = (), width: float | None = None
) -> str:
    """Lay out a table whose columns `right`, by their numbers, are aligned to the right, as those of numbers are.

    It has `width` columns of characters; None: those of the terminal. Words are wrapped within their column, numbers
    are not; columns that still do not fit follow in a block of their own, which begins with the first column again.
    """
    cells = [list(header), *[[str(cell) for cell in row] for row in rows]]
    room = width if width is not None else terminal_width() or float("inf")
    columns = [_Column([row[i] for row in cells], i in right) for i in range(len(header))]
    blocks: list[str] = []
    left = columns[1:]
    while left or not blocks:
        block = columns[:1]
        while left and (len(block) == 1 or _width([*block, left[0]], narrow=True) <= room):
            block.append(left.pop(0))
        blocks.append(_laid_out(block, room))
    return "\n\n".join(blocks)


class _Column:
    """The cells of a column, header first, and how narrow it can be."""

    def __init__(self, cells: list[str], right: bool):
        self.cells, self.right = cells, right
        self.width = max(map(len, cells))
        words = max((len(word) for cell in cells for word in cell.split()), default=0)
        body = max(map(len, cells[1:]), default=0)
        heading = max(map(len, cells[0].split()), default=0)
        self.narrowest = max(body, heading) if right else min(self.width, max(words, 12))

    def lines(self, row: int, width: int) -> list[str]:
        wrapped = textwrap.wrap(self.cells[row], width) if len(self.cells[row]) > width else [self.cells[row]]
        return [line.rjust(width) if self.right else line.ljust(width) for line in wrapped]


def _width(columns: Sequence[_Column], narrow: bool = False) -> int:
    return sum(column.narrowest if narrow else column.width for column in columns) + 2 * (len(columns) - 1)


def _laid_out(columns: Sequence[_Column], room: float) -> str:
    """A block: columns that can give way do so, the broadest first, until it fits."""
    widths = [column.width for column in columns]
    while sum(widths) + 2 * (len(widths) - 1) > room:
        spare = [width - column.narrowest for width, column in zip(widths, columns, strict=True)]
        if max(spare) <= 0:
            break
        widths[max((i for i in range(len(widths)) if spare[i] > 0), key=widths.__getitem__)] -= 1
    text = []
    for row in range(len(columns[0].cells)):
        cells = [column.lines(row, width) for column, width in zip(columns, widths, strict=True)]
        for parts in itertools.zip_longest(*cells):
            padded = (part if part is not None else " " * width for part, width in zip(parts, widths, strict=True))
            text.append("  ".join(padded).rstrip())
        if row == 0:
            text.append("  ".join("─" * width for width in widths))
    return "\n".join(text)
