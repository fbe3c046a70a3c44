"""Tables for the terminal: aligned text, readable in a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def text_table(header: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> str:
    """Lay out a table.

    Args:
        header: Names of the columns.
        rows: Cells, turned into text with `str`.
        right: Indices of columns that are aligned to the right (numbers).

    Returns:
        The lines, without trailing blanks.
    """
    cells = [list(header), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]

    def line(row: Sequence[str]) -> str:
        return "  ".join(
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()

    rule = "  ".join("─" * width for width in widths)
    return "\n".join([line(cells[0]), rule, *map(line, cells[1:])])


def wsol_table(table: Any) -> str:
    """The table of a WSOL result: percentages, intervals, cost."""
    rows = [
        [
            row.method,
            row.kind,
            f"{row.value:.1%}",
            f"{row.low:.1%} – {row.high:.1%}",
            "" if row.kind == "baseline" else f"{row.threshold / 255:.2f}",
            "" if row.kind == "baseline" else f"{row.seconds_per_image * 1000:.1f}",
        ]
        for row in table.itertuples()
    ]
    header = ["method", "kind", "MaxBoxAcc", "95 % interval", "threshold", "ms/image"]
    return text_table(header, rows, right=(2, 3, 4, 5))
