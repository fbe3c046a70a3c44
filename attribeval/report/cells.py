"""A result's table as people read it: numbers with four digits, shares as percentages, an interval as one column.

The page, LaTeX and Markdown show the same cells.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

# Shares of images, written as percentages. By name, not by range: a correlation may lie in 0..1 by chance.
FRACTIONS = frozenset(
    {
        "accuracy", "MaxBoxAcc", "BoxAcc", "MaxBoxAccV2", "BoxAccV2", "MaxBoxAccLargest", "Top1Loc", "Top5Loc",
        "SalientRegion", "CAM20max", "CAM20abs", "CAM20quantile", "FongMean", "FongEnergy", "FongValue", "EnergyInBox",
        "PxAP", "MaxMaskIoU", "MaskIoU", "PixelAUC", "RelevanceMass", "RelevanceRank", "PointingGame", "ColourModel",
        "IDR", "IDRMoved", "IDRSmaller", "IIR",
    }
)  # fmt: skip
_ESTIMATES = ("value", "low", "high")
_HEADERS = {"low": "interval", "seconds_per_image": "seconds / image", "p_holm": "p (Holm)"}
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
class Shown:
    """A table to show: headers and whether their cells are numbers; rows as (kind of method, cells)."""

    columns: list[tuple[str, bool]]
    rows: list[tuple[str, list[Cell]]]

    @property
    def marked(self) -> bool:
        """Whether any cell has a mark."""
        return any(cell.mark for _, cells in self.rows for cell in cells)


def show(table: pd.DataFrame) -> Shown:
    """Format a table; `low` and `high` become one column, the interval; many metrics become a column each.

    Args:
        table: Any. With more than three metrics, each once per method, a row is a method.

    Returns:
        The cells; marks share one scale per metric.
    """
    if {"method", "metric", "value", "low", "high"} <= set(table.columns) and _is_wide(table):
        return _wide(table)
    names = [str(name) for name in table.columns]
    records = [dict(zip(names, row, strict=True)) for row in table.itertuples(index=False, name=None)]
    joined = {"low", "high"} <= set(names)
    shown = [name for name in names if not (joined and name == "high")]
    whole = {name for name in names if _is_whole([record[name] for record in records])}
    estimate = names[names.index("low") - 1] if joined and names.index("low") else None
    scales = _scales(records, estimate) if joined else {}
    rows = []
    for record in records:
        percent = is_fraction(record)
        cells = []
        for name in shown:
            if joined and name == "low":
                one = interval(record["low"], record["high"], percent)
                cells.append(replace(one, mark=_mark(record, estimate, scales.get(record.get("metric")))))
            else:
                cells.append(cell(record[name], (percent and name in _ESTIMATES) or name.endswith("%"), name in whole))
        rows.append((str(record.get("kind", "")), cells))
    for i in range(1, len(shown)):
        _sort_by_leading_numbers(rows, i)
    numbers = [any(cells[i].number for _, cells in rows) for i in range(len(shown))]
    headers = [_header(name) if joined or name != "low" else name for name in shown]
    return Shown(list(zip(headers, numbers, strict=True)), rows)


def _header(name: str) -> str:
    """A column's name in words; names of benchmarks, with their arrow, as they are typed."""
    return name if name.endswith(("↑", "↓")) else _HEADERS.get(name, name.replace("_", " "))


def _is_wide(table: pd.DataFrame) -> bool:
    """Whether a row per method reads better than a row per measurement: several metrics, each once per method."""
    return table["metric"].nunique() > 3 and not table.duplicated(["method", "metric"]).any()


def _wide(table: pd.DataFrame) -> Shown:
    """A row per method in the order of the first metric, a column per metric: the value, and below it its interval."""
    metrics = list(dict.fromkeys(table["metric"]))
    records = {(r["method"], r["metric"]): r for r in table.to_dict("records")}
    methods = list(dict.fromkeys(table["method"]))
    about = {method: next(r for (m, _), r in records.items() if m == method) for method in methods}
    extra = [name for name in ("images", "seconds_per_image") if name in table.columns]
    kinds = "kind" in table.columns
    scales = _scales(list(records.values()), "value")
    headers = [("method", False), *([("kind", False)] if kinds else []), *[(metric, True) for metric in metrics]]
    headers += [(_header(name), True) for name in extra]
    rows = []
    for method in methods:
        cells = [cell(method), *([cell(about[method]["kind"])] if kinds else [])]
        for metric in metrics:
            record = records.get((method, metric))
            if record is None or missing(record["value"]):
                cells.append(Cell("–", ""))
                continue
            percent = is_fraction(record)
            value, ends = cell(record["value"], percent), interval(record["low"], record["high"], percent)
            text = value.text if not ends.sort else f"{value.text}\n{ends.text}"
            cells.append(Cell(text, value.sort, number=True, mark=_mark(record, "value", scales.get(metric))))
        cells += [cell(about[method][name], whole=name == "images") for name in extra]
        rows.append((str(about[method].get("kind", "")), cells))
    return Shown(headers, rows)


def _scales(records: Sequence[Mapping[str, Any]], estimate: str | None) -> dict[Any, tuple[float, float]]:
    """Metric → the smallest and the largest number that its marks show."""
    numbers: dict[Any, list[float]] = {}
    for record in records:
        found = (_finite(record.get(name)) for name in ("low", "high", estimate))
        numbers.setdefault(record.get("metric"), []).extend(number for number in found if number is not None)
    return {metric: (min(found), max(found)) for metric, found in numbers.items() if found}


def _mark(record: Mapping[str, Any], estimate: str | None, scale: tuple[float, float] | None) -> Mark | None:
    low, high = _finite(record["low"]), _finite(record["high"])
    if scale is None or scale[0] == scale[1] or low is None or high is None:
        return None

    def place(number: float | None) -> float | None:
        return None if number is None else (number - scale[0]) / (scale[1] - scale[0])

    value = _finite(record.get(estimate))
    return Mark(place(low), place(high), place(value), place(0.0) if scale[0] < 0 < scale[1] else None)


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


def is_fraction(record: Mapping[str, Any]) -> bool:
    """Whether a row's value and interval are shares, to be written as percentages."""
    estimates = [record[name] for name in _ESTIMATES if name in record and not missing(record[name])]
    return str(record.get("metric", "")) in FRACTIONS and all(0 <= value <= 1 for value in estimates)


def _is_whole(values: Sequence[Any]) -> bool:
    """Whether a column holds whole numbers (as floats, where one is missing)."""
    known = [value for value in values if not missing(value)]
    return all(isinstance(value, int | float | np.number) and float(value).is_integer() for value in known)


def missing(value: Any) -> bool:
    """Whether a value of a table is not there: None, NaN, pandas' NA and NaT."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or value != value


def cell(value: Any, percent: bool = False, whole: bool = False) -> Cell:
    """Format one value.

    Args:
        value: Number, bool, text, or (text, number to sort by); what is missing becomes a dash.
        percent: Whether a number is a share.
        whole: Whether a number is a whole one, though a float.

    Returns:
        The cell.
    """
    if missing(value):
        return Cell("–", "")
    if isinstance(value, tuple):
        return Cell(value[0], "" if missing(value[1]) else repr(float(value[1])), number=True)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return Cell("yes" if value else "no", str(int(value)))
    if isinstance(value, int | float):
        percent, whole = percent and math.isfinite(value), whole and math.isfinite(value)
        text = f"{100 * value:.1f} %" if percent else number(int(value) if whole else value)
        return Cell(text.replace("-", "−"), repr(value).replace("inf", "Infinity"), number=True)
    return Cell(str(value), str(value))


def number(value: int | float) -> str:
    """Integers in full, other numbers to four significant digits, both with thin spaces between thousands."""
    if value == 0:
        return "0"
    if isinstance(value, int):
        return f"{value:,}".replace(",", "\u202f").replace("-", "−")
    if not math.isfinite(value):
        return "∞" if value > 0 else "−∞"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.3e}".replace("-", "−")
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}".replace(",", "\u202f").replace("-", "−")


def interval(low: Any, high: Any, percent: bool) -> Cell:
    """Both ends of an interval as one cell, "63.0 to 69.2 %"; a dash if one is missing."""
    if missing(low) or missing(high):
        return Cell("–", "")
    ends = [f"{100 * end:.1f}" if percent else number(float(end)) for end in (low, high)]
    return Cell(" to ".join(ends) + (" %" if percent else ""), f"{float(low)!r} to {float(high)!r}", number=True)
