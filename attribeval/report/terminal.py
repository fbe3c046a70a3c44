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


# What a terminal has room for, beside the first metric; the whole table is in table.csv and on the page.
_BESIDE = ("BoxAcc", "MaxBoxAccV2", "Top1Loc", "PxAP", "PixelAUC", "EnergyInBox", "PointingGame")
_UNBOUNDED = ("SaliencyMetric",)


def wsol_table(table: Any, width: int = 120) -> str:
    """The table of a WSOL result: a row per method, with the first metric's interval, and further metrics beside it.

    Args:
        table: Of a result.
        width: Columns of the terminal; metrics that do not fit are left out, and the last line says how many.

    Returns:
        Text.
    """
    metrics = list(dict.fromkeys(table["metric"]))
    cells = {(row.method, row.metric): row for row in table.itertuples()}
    first = table[table["metric"] == metrics[0]]

    def number(method: str, metric: str) -> str:
        row = cells.get((method, metric))
        if row is None or row.value != row.value:
            return ""
        return f"{row.value:.2f}" if metric in _UNBOUNDED else f"{row.value:.1%}"

    def interval(row: Any) -> str:
        return f"{row.low:.2f} – {row.high:.2f}" if metrics[0] in _UNBOUNDED else f"{row.low:.1%} – {row.high:.1%}"

    header = ["method", "kind", metrics[0], "95 % interval", "threshold", "ms/image"]
    rows = [
        [
            row.method,
            row.kind,
            number(row.method, metrics[0]),
            interval(row),
            "" if row.threshold != row.threshold else f"{row.threshold / 255:.2f}",
            "" if row.kind == "baseline" else f"{row.seconds_per_image * 1000:.1f}",
        ]
        for row in first.itertuples()
    ]
    room = width - len(text_table(header, rows).split("\n")[1])
    beside = [name for name in (_BESIDE if len(metrics) > len(_BESIDE) else metrics[1:]) if name in metrics[1:]]
    shown: list[str] = []
    for name in beside:
        room -= max(len(name), 6) + 2
        if room >= 0:
            shown.append(name)
    for row, of_first in zip(rows, first.itertuples(), strict=True):
        row[4:4] = [number(of_first.method, name) for name in shown]
    header[4:4] = shown
    text = text_table(header, rows, right=range(2, len(header)))
    more = len(metrics) - 1 - len(shown)
    return text + (f"\n({more} more metrics in the result's table)" if more else "")
