"""A BAM result for a terminal: figure 2, then a row per method with MCS, IDR and IIR."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.benchmarks.bam.sentences import UNITS
from attribeval.report.terminal import text_table
from attribeval.results.numbers import SHARE, number, share
from attribeval.runs.failures import COLUMN

if TYPE_CHECKING:
    from attribeval.results.result import Result

_SHOWN = ("MCS", "IDR", "IIR")


def bam_text(result: Result, width: int | None = None) -> str:
    """Both tables.

    Args:
        result: Of `Evaluator.bam`.
        width: Columns of the terminal; None: asked.

    Returns:
        Text. ± is the standard deviation over 10 trials of 100 images; "random" the same with a random region.
    """
    return f"{accuracy_text(result, width)}\n\n{metrics_text(result, width)}"


def accuracy_text(result: Result, width: int | None) -> str:
    """Figure 2: who needs what, and what must hold."""
    rows = [
        [r["model"], r["tested_on"], share(r["accuracy"]), SHARE.ends(r["low"], r["high"]), r["images"]]
        for r in result.settings["accuracy"]
    ]
    text = text_table(["model", "tested on", "accuracy", "95 % interval", "images"], rows, right=(2, 3, 4), width=width)
    checks = [f"{'holds' if holds else 'FAILS'}  {sentence}" for sentence, holds in result.settings["checks"]]
    return "\n".join([text, "", *checks])


def metrics_text(result: Result, width: int | None) -> str:
    """MCS, IDR and IIR with their intervals, and what belongs to them."""
    cells = {(row["method"], row["metric"]): row for row in result.table.to_dict("records")}
    methods = list(dict.fromkeys(result.table["method"]))
    header = ["method", "kind"]
    for metric in _SHOWN:
        header += [metric, "95 % interval", "±", "random"]
    header += ["ρ over k", "images", "ms/image"]
    rows = []
    for method in methods:
        row = [method, next(r["kind"] for (m, _), r in cells.items() if m == method)]
        for metric in _SHOWN:
            row += _cells(metric, cells.get((method, metric)))
        rho, first = cells.get((method, "MCSCorrelation")), cells.get((method, "MCS"))
        row.append("–" if rho is None else number(rho["value"]))
        row.append("–" if first is None else str(first["images"]))
        seconds = next((r["seconds_per_image"] for (m, _), r in cells.items() if m == method), float("nan"))
        row.append(number(1000 * seconds))
        rows.append(row)
    return text_table(header, rows, right=range(2, len(header)), width=width)


def _cells(metric: str, row: dict | None) -> list[str]:
    failed = row is not None and bool(row.get(COLUMN))
    if row is None or row["value"] != row["value"]:
        return ["failed" if failed else "–", "–", "–", "–"]
    value, spread, baseline = (UNITS[metric].text(row[name]) for name in ("value", "deviation", "baseline"))
    return [value + (" !" if failed else ""), UNITS[metric].ends(row["low"], row["high"]), spread, baseline]
