"""A result's table as people read it: a row per method, numbers as in its sentences, an interval below its value.

The page, LaTeX and Markdown show the same cells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attribeval.results.numbers import NONE, NUMBER, Unit, missing, number, p_text
from attribeval.runs.failures import COLUMN

if TYPE_CHECKING:
    import pandas as pd

_HEADERS = {"seconds_per_image": "ms / image", "p_holm": "p (Holm)"}
_KEY = ("method", "metric")
_P = ("p", "p_holm", "p_random", "p_next")
_LEADING = re.compile(r"[-−+]?\d[\d\u202f,]*(\.\d+)?(e[-−+]?\d+)?(?![\w.])")


@dataclass(frozen=True)
class Mark:
    """Where an interval, its value and 0 lie, as shares (0 to 1) of the span that its column's intervals take."""

    low: float
    high: float
    value: float | None
    zero: float | None


@dataclass(frozen=True)
class Cell:
    """One cell: text (below a line break, what stands smaller), the exact value to sort by ("" if none), its mark."""

    text: str
    sort: str
    number: bool = False
    mark: Mark | None = None


@dataclass(frozen=True)
class Column:
    """A heading, and whether numbers stand below it."""

    name: str
    number: bool


@dataclass(frozen=True)
class Shown:
    """A table to show: columns, and rows as (kind of method, cells)."""

    columns: list[Column]
    rows: list[tuple[str, list[Cell]]]

    @property
    def marked(self) -> bool:
        """Whether any cell has a mark."""
        return any(cell.mark for _, cells in self.rows for cell in cells)


def show(table: pd.DataFrame, units: Mapping[str, Unit] | None = None) -> Shown:
    """Format a table; `low` and `high` stand below the number before them, and marks share one scale per metric.

    With a value and an interval per method and metric, a row is a method and a column a metric. Units are by column, or
    by metric where "value" is a metric's; other numbers are written plainly.
    """
    units = units or {}
    by_method = {*_KEY, "value", "low", "high"} <= set(table.columns) and not table.duplicated([*_KEY]).any()
    names, rows = (_by_method if by_method else _as_it_is)(table, units)
    numbers = [any(cells[i].number for _, cells in rows) for i in range(len(names))]
    return Shown([Column(name, is_number) for name, is_number in zip(names, numbers, strict=True)], rows)


def _as_it_is(table: pd.DataFrame, units: Mapping[str, Unit]) -> tuple[list[str], list[tuple[str, list[Cell]]]]:
    """A row per row."""
    names = [str(name) for name in table.columns]
    records = [dict(zip(names, row, strict=True)) for row in table.itertuples(index=False, name=None)]
    joined = {"low", "high"} <= set(names) and names.index("low") > 0
    estimate = names[names.index("low") - 1] if joined else ""
    shown = [name for name in names if not (joined and name in ("low", "high"))]
    whole = {name for name in names if _is_whole([record[name] for record in records])}
    scales = _scales(records, estimate) if joined else {}
    rows = []
    for record in records:
        cells = [
            _estimate(record, name, scales, units) if name == estimate else _plain(name, record, name in whole, units)
            for name in shown
        ]
        rows.append((str(record.get("kind", "")), cells))
    for i in range(1, len(shown)):
        _sort_by_leading_numbers(rows, i)
    return [_header(name) for name in shown], rows


def _by_method(table: pd.DataFrame, units: Mapping[str, Unit]) -> tuple[list[str], list[tuple[str, list[Cell]]]]:
    """A row per method in the order of the first metric, a column per metric; what belongs to the method behind."""
    metrics = list(dict.fromkeys(table["metric"]))
    records = {(r["method"], r["metric"]): r for r in table.to_dict("records")}
    about = {method: r for (method, _), r in reversed(records.items())}  # the first of each
    used = (*_KEY, "value", "low", "high", COLUMN)
    of_method = table.groupby("method", sort=False).nunique(dropna=False).max() <= 1
    # What differs between the metrics of a method, as thresholds do, belongs to none of the columns that are left.
    names = [name for name in table.columns if name not in used and (name == "images" or of_method[name])]
    whole = {name for name in names if _is_whole([record[name] for record in about.values()])}
    scales = _scales(list(records.values()), "value")
    rows = []
    for method in dict.fromkeys(table["method"]):
        cells = [cell(method)]
        for metric in metrics:
            record = records.get((method, metric))
            failed = record is not None and not missing(record.get(COLUMN)) and record[COLUMN] != ""
            if record is None or missing(record["value"]):
                cells.append(Cell("failed" if failed else NONE, ""))
            else:
                one = _estimate(record, "value", scales, units)
                cells.append(replace(one, text=f"{one.text} !") if failed else one)
        cells += [_plain(name, about[method], name in whole, units) for name in names]
        rows.append((str(about[method].get("kind", "")), cells))
    return ["method", *map(str, metrics), *map(_header, names)], rows


def _header(name: str) -> str:
    """A column's name in words; names of benchmarks, with their arrow, as they are typed."""
    return name if name.endswith(("↑", "↓")) else _HEADERS.get(name, name.replace("_", " "))


def _estimate(
    record: Mapping[str, Any], name: str, scales: Mapping[Any, tuple[float, float]], units: Mapping[str, Unit]
) -> Cell:
    """A value, its interval below it, and the mark of both."""
    one = _plain(name, record, False, units)
    low, high = record["low"], record["high"]
    if missing(low) or missing(high) or not one.number:
        return one
    ends = (_unit(name, record, units) or NUMBER).ends(low, high)
    mark = _mark(record, name, scales.get(record.get("metric")))
    return replace(one, text=f"{one.text}\n{ends}", mark=mark)


def _plain(name: str, record: Mapping[str, Any], whole: bool, units: Mapping[str, Unit]) -> Cell:
    """One value, written as its column is."""
    value, unit = record[name], _unit(name, record, units)
    exact = _finite(value)
    if exact is None or isinstance(value, tuple):
        return cell(value, whole)
    if name == "seconds_per_image":
        return Cell(number(1000 * exact), repr(1000 * exact), number=True)
    if unit is not None:
        return Cell(unit.text(exact), repr(exact), number=True)
    return Cell(p_text(exact), repr(exact), number=True) if name in _P else cell(value, whole)


def _unit(name: str, record: Mapping[str, Any], units: Mapping[str, Unit]) -> Unit | None:
    return units.get(str(record.get("metric", ""))) if name == "value" else units.get(name)


def cell(value: Any, whole: bool = False) -> Cell:
    """A number (`whole`: a whole one, though a float), bool, text, or (text, number to sort by); a dash if missing."""
    if missing(value):
        return Cell(NONE, "")
    if isinstance(value, tuple):
        return Cell(value[0], "" if missing(value[1]) else repr(float(value[1])), number=True)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return Cell("yes" if value else "no", str(int(value)))
    if isinstance(value, int | float):
        text = number(int(value) if whole and math.isfinite(value) else value)
        return Cell(text, repr(value).replace("inf", "Infinity"), number=True)
    return Cell(str(value), str(value))


def _scales(records: Sequence[Mapping[str, Any]], estimate: str) -> dict[Any, tuple[float, float]]:
    """Metric → the smallest and the largest number that its marks show."""
    numbers: dict[Any, list[float]] = {}
    for record in records:
        found = (_finite(record[name]) for name in ("low", "high", estimate))
        numbers.setdefault(record.get("metric"), []).extend(one for one in found if one is not None)
    return {metric: (min(found), max(found)) for metric, found in numbers.items() if found}


def _mark(record: Mapping[str, Any], estimate: str, scale: tuple[float, float] | None) -> Mark | None:
    low, high, value = (_finite(record[name]) for name in ("low", "high", estimate))
    if scale is None or scale[0] == scale[1] or low is None or high is None:
        return None

    def place(number: float) -> float:
        return (number - scale[0]) / (scale[1] - scale[0])

    zero = place(0.0) if scale[0] < 0 < scale[1] else None
    return Mark(place(low), place(high), None if value is None else place(value), zero)


def _finite(value: Any) -> float | None:
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _sort_by_leading_numbers(rows: list[tuple[str, list[Cell]]], i: int) -> None:
    """Let a column of texts that begin with a number ("0.41\\n#3 ab") sort by it; what has none stands as missing."""
    texts = [cells[i].text for _, cells in rows if cells[i].sort and not cells[i].number]
    found = [_LEADING.match(text) for text in texts]
    others = [text for hit, text in zip(found, texts, strict=True) if not hit]
    if not any(found) or any(text[0].isalnum() and not text.startswith("failed") for text in others):
        return
    for _, cells in rows:
        hit = _LEADING.match(cells[i].text)
        if not cells[i].number:
            digits = re.sub("[\u202f,]", "", hit[0]).replace("−", "-") if hit else ""
            cells[i] = replace(cells[i], sort=digits, number=bool(hit))


def _is_whole(values: Sequence[Any]) -> bool:
    """Whether a column holds whole numbers (as floats, where one is missing)."""
    known = [value for value in values if not missing(value)]
    return all(isinstance(value, int | float | np.number) and float(value).is_integer() for value in known)
