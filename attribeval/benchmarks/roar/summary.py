"""The answer of a ROAR or KAR run: one table, and what it says in words."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.benchmarks.roar.cells import cells_table
from attribeval.benchmarks.roar.grid import MASK_OF
from attribeval.benchmarks.roar.leakage import DEBIASED, LEAKAGE, debiased, leakage_sentences, leaks
from attribeval.benchmarks.roar.ranks import MODES
from attribeval.benchmarks.roar.sentences import sentences
from attribeval.benchmarks.roar.verdict import areas, curves
from attribeval.errors import AttribevalError
from attribeval.results.result import Result
from attribeval.runs import failures

if TYPE_CHECKING:
    import pandas as pd

_KEYS = ["kind", "estimator", "mode", "fraction"]


def summarise(
    records: Iterable[Mapping[str, Any]],
    settings: Mapping[str, Any],
    *,
    planned: Collection[str] = (),
    level: float = 0.95,
) -> Result:
    """The answer of a ROAR or KAR run, also of an unfinished one.

    Args:
        records: As for `cells_table`.
        settings: What made the run; goes into the result, and `level` with it.
        planned: Names of all cells of the run, so that those still missing are counted.
        level: Of the intervals, and 1 − α of verdicts and groups.

    Returns:
        `table`: first a row of metric "area vs random" per mode and estimator, best first, then a row of metric
        "accuracy" per mode, estimator and fraction in the same order, the unmodified model last. Columns: method; kind;
        mode; metric; fraction (NaN for areas); value; low; high; p, p_holm; verdict; group; repeats;
        without_retraining; difference; racu where it is known; error (why trainings of the row are missing, see
        `runs.failures`). See `verdict.areas` and `verdict.curves`. Where masks were asked, rows of metric "leakage" and
        "debiased area vs random" follow, and a column bits if `settings` have the class_entropy: see `leakage`.
        `arrays`: "<mode>/<estimator>/accuracy", float64 (repeats, fractions) with NaN for a missing cell, and
        "<mode>/fractions", "<mode>/repeats".

    Raises:
        AttribevalError: If no cell is finished, or a record is not what `cells_table` expects.
    """
    import pandas as pd

    records = list(records)
    cells = cells_table(records)
    if not (cells["status"] == "done").any():
        raise AttribevalError(
            f"Expected at least one finished cell. Received {len(cells)} failed ones: see their errors, run the grid."
        )
    by_area, by_fraction = areas(records, level), _with_failed(curves(records, level), cells)
    places = by_area[["mode", "estimator"]].assign(place=range(len(by_area)))
    ordered = by_fraction.merge(places, on=["mode", "estimator"], how="left")
    ordered["last"] = ordered["kind"].map({"leakage": 1, "unmodified": 2}).fillna(0)
    ordered = ordered.sort_values(["last", "place"], kind="stable")
    tables = [
        by_area.rename(columns={"area": "value"}).assign(metric="area vs random"),
        ordered.rename(columns={"accuracy": "value"}).assign(metric="accuracy", group=""),
    ]
    columns = ["method", "kind", "mode", "metric", "fraction", "value", "low", "high", "p", "p_holm", "verdict"]
    columns += ["group", "repeats", "without_retraining", "difference"]
    columns += ["racu"] if by_area["racu"].notna().any() else []
    settings = dict(settings) | {"level": level}
    leaking, without = leaks(cells, level, settings.get("class_entropy")), debiased(cells, level)
    if len(leaking):
        masks = leaking.assign(kind="leakage", method=MASK_OF + leaking["estimator"], metric=LEAKAGE)
        tables += [masks.drop(columns=["estimator", "fraction"]).rename(columns={"leakage": "value"})]
        tables += [without.rename(columns={"area": "value"}).assign(metric=DEBIASED)]
        columns += ["bits"] if leaking["bits"].notna().any() else []
    renamed = [table.rename(columns={"estimator": "method"}).reindex(columns=columns) for table in tables]
    table = pd.concat([part for part in renamed if len(part)], ignore_index=True)
    table.loc[table["kind"] == "unmodified", "method"] = "unmodified"
    table = _with_errors(table.replace("", np.nan), cells)  # nothing is NaN, as it is read back from a file
    done = by_fraction[by_fraction["repeats"] > 0]
    leaked = leakage_sentences(leaking, without, by_area, settings)
    fill = settings.get("fill")
    summary = sentences(by_area, done, cells, leaked=leaked, fill=fill, planned=planned, level=level)
    return Result("roar", table, settings, summary + failures.sentences(table), _arrays(cells))


def _arrays(cells: pd.DataFrame) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for mode, part in cells[(cells["status"] == "done") & cells["mode"].isin(MODES)].groupby("mode"):
        repeats, fractions = np.unique(part["repeat"]), np.unique(part["fraction"])
        arrays |= {f"{mode}/repeats": repeats, f"{mode}/fractions": fractions}
        for estimator, one in part.groupby("estimator"):
            by_repeat = one.pivot(index="repeat", columns="fraction", values="accuracy")
            arrays[f"{mode}/{estimator}/accuracy"] = by_repeat.reindex(index=repeats, columns=fractions).to_numpy()
    return arrays


def _with_failed(curves: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The curves with a row, without numbers, for what was trained at a fraction and failed every time."""
    import pandas as pd

    failed = cells[cells["status"] == "failed"].drop_duplicates(_KEYS)
    done = set(map(tuple, curves[_KEYS].to_numpy()))
    lost = failed[[tuple(key) not in done for key in failed[_KEYS].to_numpy()]]
    if lost.empty:
        return curves
    return pd.concat([curves, lost[_KEYS].assign(repeats=0, verdict="")], ignore_index=True)


def _with_errors(table: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """The table with the column that says why trainings are missing; of an area, those of every fraction."""
    named = cells.assign(method=cells["estimator"].where(cells["kind"] != "unmodified", "unmodified"))
    errors = []
    for row in table.itertuples():
        mine = (named["kind"] == row.kind) & (named["method"] == row.method) & (named["mode"] == row.mode)
        if row.fraction == row.fraction:
            mine &= named["fraction"] == row.fraction
        reasons = [_short(error) for error in named[mine & (named["status"] == "failed")]["error"]]
        errors.append(failures.row_text(reasons, int(mine.sum()), "trainings", kept=True))
    return table.assign(**{failures.COLUMN: errors})


def _short(error: str) -> str:
    """What a record says, in one line: of an error with its place in the code, the error."""
    lines = str(error).strip().splitlines() or [""]
    return lines[-1] if lines[0].startswith("Traceback") else lines[0]
