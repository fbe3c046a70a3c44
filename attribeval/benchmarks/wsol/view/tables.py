"""A WSOL result for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attribeval.benchmarks.wsol.metrics import METRICS
from attribeval.report.terminal import terminal_width, text_table
from attribeval.results.numbers import number
from attribeval.runs.failures import COLUMN

if TYPE_CHECKING:
    from attribeval.results.result import Result

# What a terminal has room for, beside the first metric; the whole table is in table.csv and on the page.
_BESIDE = ("BoxAcc", "MaxBoxAccV2", "Top1Loc", "PxAP", "PixelAUC", "EnergyInBox", "PointingGame")


def wsol_text(result: Result, width: int | None = None) -> str:
    """A row per method, with the first metric's interval, and further metrics beside it.

    Args:
        result: Of `Evaluator.wsol`.
        width: Columns of the terminal; None: asked, 120 in a pipe. Metrics that do not fit are left out, and the last
            line says how many.

    Returns:
        Text.
    """
    table = result.table
    metrics = list(dict.fromkeys(table["metric"]))
    cells = {(row.method, row.metric): row for row in table.itertuples()}
    first = table[table["metric"] == metrics[0]]

    def value(method: str, metric: str) -> str:
        row = cells.get((method, metric))
        failed = row is not None and bool(getattr(row, COLUMN, ""))
        if row is None or row.value != row.value:
            return "failed" if failed else ""
        return METRICS[metric].unit.text(row.value) + (" !" if failed else "")

    def interval(row: Any) -> str:
        return METRICS[metrics[0]].unit.ends(row.low, row.high)

    header = ["method", "kind", metrics[0], "95 % interval", "threshold", "ms/image"]
    rows = [
        [
            row.method,
            row.kind,
            value(row.method, metrics[0]),
            interval(row),
            "" if row.threshold != row.threshold else number(int(row.threshold)),
            "" if row.kind == "baseline" else number(1000 * row.seconds_per_image),
        ]
        for row in first.itertuples()
    ]
    width = width or terminal_width() or 120
    room = width - len(text_table(header, rows, width=float("inf")).split("\n")[1])
    beside = [name for name in (_BESIDE if len(metrics) > len(_BESIDE) else metrics[1:]) if name in metrics[1:]]
    shown: list[str] = []
    for name in beside:
        room -= max(len(name), 6) + 2
        if room >= 0:
            shown.append(name)
    for row, of_first in zip(rows, first.itertuples(), strict=True):
        row[4:4] = [value(of_first.method, name) for name in shown]
    header[4:4] = shown
    text = text_table(header, rows, right=range(2, len(header)), width=width)
    more = len(metrics) - 1 - len(shown)
    return text + (f"\n({more} more metrics in the result's table)" if more else "")
