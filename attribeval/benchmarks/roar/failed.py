"""Trainings that failed, in the table: a row for what has none that is done, and the reason where some are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attribeval.runs.failures import COLUMN, row_text

if TYPE_CHECKING:
    import pandas as pd

_KEYS = ["kind", "estimator", "mode", "fraction"]


def with_failed(curves: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The curves with a row, without numbers, for what was trained at a fraction and failed every time."""
    import pandas as pd

    failed = cells[cells["status"] == "failed"].drop_duplicates(_KEYS)
    done = set(map(tuple, curves[_KEYS].to_numpy()))
    lost = failed[[tuple(key) not in done for key in failed[_KEYS].to_numpy()]]
    if lost.empty:
        return curves
    return pd.concat([curves, lost[_KEYS].assign(repeats=0, verdict="")], ignore_index=True)


def with_errors(table: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The table with the column that says why trainings are missing; of an area, those of every fraction."""
    named = cells.assign(method=cells["estimator"].where(cells["kind"] != "unmodified", "unmodified"))
    errors = []
    for row in table.itertuples():
        mine = (named["kind"] == row.kind) & (named["method"] == row.method) & (named["mode"] == row.mode)
        if row.fraction == row.fraction:
            mine &= named["fraction"] == row.fraction
        reasons = [_short(error) for error in named[mine & (named["status"] == "failed")]["error"]]
        errors.append(row_text(reasons, int(mine.sum()), "trainings", kept=True))
    return table.assign(**{COLUMN: errors})


def _short(error: str) -> str:
    """What a record says, in one line: of an error with its place in the code, the error."""
    lines = str(error).strip().splitlines() or [""]
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]
