"""One HTML page that explains itself: words first, then tables and pictures, then how to do it again.

The page is one file that asks the network for nothing; its own content policy forbids it. Everything that comes from
data (names of methods, classes and files, settings) is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np

from attribeval import __version__
from attribeval.errors import AttribevalError
from attribeval.files import write_atomic
from attribeval.report import leaderboard_terminal, roar_terminal, sanity_terminal
from attribeval.results.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

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
_TITLES = {
    "bam": "Relative feature importance (BAM)",
    "data_randomisation": "Sanity check: permuted labels",
    "leaderboard": "Leaderboard of methods",
    "roar": "Remove or keep, and retrain (ROAR, KAR)",
    "sanity": "Sanity checks: random weights",
    "wsol": "Weakly supervised object localisation",
}
_WIDE = {
    "data_randomisation": sanity_terminal.wide_table,
    "leaderboard": leaderboard_terminal.wide_table,
    "roar": roar_terminal.wide_table,
    "sanity": sanity_terminal.wide_table,
}  # tables that are shown another way than they are kept
_SEEDS, _VERSIONS = ("seed", "seeds"), "versions"


@dataclass(frozen=True)
class _Cell:
    text: str
    sort: str  # the exact value, which sorting and hovering use; "" where there is none
    number: bool = False


@dataclass(frozen=True)
class _Picture:
    name: str
    alt: str
    data: str  # base64 of a PNG
    width: int  # CSS pixels
    height: int


@dataclass(frozen=True)
class _Section:
    name: str
    heading: str
    summary: list[str]
    columns: list[tuple[str, bool]]  # header, whether its cells are numbers
    rows: list[tuple[str, list[_Cell]]]  # kind, cells
    plot: _Picture | None
    settings: list[tuple[str, str]]
    versions: list[tuple[str, str]]
    seeds: list[tuple[str, str]]
    cost: str | None


def write_report(
    path: str | os.PathLike,
    results: Sequence[Result],
    *,
    pictures: Mapping[str, Figure] | None = None,
    title: str = "attribeval report",
    command: str | None = None,
) -> Path:
    """Write one self-contained HTML page about some results, atomically.

    Args:
        path: The file; its folder is made if it is missing.
        results: What benchmarks returned, at least one, in the order wanted.
        pictures: Further figures (such as of `plots.overlays`) by the name to write below them.
        title: The page's heading.
        command: The command line or code that made the results, for the section on reproducing them.

    Returns:
        The path.

    Raises:
        AttribevalError: If there is no result, or a plot cannot be drawn from its result.
    """
    if not results:
        raise AttribevalError("Expected at least one result. Received none: run a benchmark first.")
    page = _template().render(
        title=title,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        sections=[_section(result) for result in results],
        pictures=[_picture(name, f"Picture: {name}", figure) for name, figure in (pictures or {}).items()],
        command=command,
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # File names may hold bytes that are no text; they are written as escapes rather than not at all.
    write_atomic(path, lambda file: file.write(page.encode("utf-8", "backslashreplace")))
    return path


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("attribeval.report", package_path="."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sha256"] = lambda text: base64.b64encode(hashlib.sha256(str(text).encode()).digest()).decode()
    return environment.get_template("page.html.j2")


def _section(result: Result) -> _Section:
    columns, rows = _table(_WIDE[result.benchmark](result) if result.benchmark in _WIDE else result.table)
    settings = dict(result.settings)
    seeds = {name: settings.pop(name) for name in _SEEDS if name in settings}
    versions = settings.pop(_VERSIONS, {})
    cost = settings.pop("cost", None)
    settings.pop("average_ranks", None)  # the table and the plot show them
    return _Section(
        name=result.benchmark,
        heading=_TITLES.get(result.benchmark, result.benchmark),
        summary=list(result.summary),
        columns=columns,
        rows=rows,
        plot=_plot(result),
        settings=list(_flat(settings)),
        versions=list(_flat(versions if isinstance(versions, dict) else {_VERSIONS: versions})),
        seeds=list(_flat(seeds)),
        cost=_cost(result.table) if cost is None else _cost_in_words(cost),
    )


# -- the table ---------------------------------------------------------------------------------------------------------


def _table(table: pd.DataFrame) -> tuple[list[tuple[str, bool]], list[tuple[str, list[_Cell]]]]:
    """Headers and formatted rows; `low` and `high` become one column, the interval; many metrics a column each."""
    if {"method", "metric", "value", "low", "high"} <= set(table.columns) and _is_wide(table):
        return _wide_table(table)
    names = [str(name) for name in table.columns]
    records = [dict(zip(names, row, strict=True)) for row in table.itertuples(index=False, name=None)]
    joined = {"low", "high"} <= set(names)
    shown = [name for name in names if not (joined and name == "high")]
    whole = {name for name in names if _is_whole([record[name] for record in records])}
    rows = []
    for record in records:
        percent = _is_fraction(record)
        cells = [
            _interval(record["low"], record["high"], percent)
            if joined and name == "low"
            else _cell(record[name], (percent and name in _ESTIMATES) or name.endswith("%"), name in whole)
            for name in shown
        ]
        rows.append((str(record.get("kind", "")), cells))
    numbers = [any(cells[i].number for _, cells in rows) for i in range(len(shown))]
    headers = [_header(name) if joined or name != "low" else name for name in shown]
    return list(zip(headers, numbers, strict=True)), rows


def _header(name: str) -> str:
    """A column's name in words; names of benchmarks, with their arrow, as they are typed."""
    return name if name.endswith(("↑", "↓")) else _HEADERS.get(name, name.replace("_", " "))


def _is_wide(table: pd.DataFrame) -> bool:
    """Whether a row per method reads better than a row per measurement: several metrics, each once per method."""
    return table["metric"].nunique() > 3 and not table.duplicated(["method", "metric"]).any()


def _wide_table(table: pd.DataFrame) -> tuple[list[tuple[str, bool]], list[tuple[str, list[_Cell]]]]:
    """A row per method in the order of the first metric, a column per metric: the value, and below it its interval."""
    metrics = list(dict.fromkeys(table["metric"]))
    records = {(r["method"], r["metric"]): r for r in table.to_dict("records")}
    methods = list(dict.fromkeys(table["method"]))
    about = {method: next(r for (m, _), r in records.items() if m == method) for method in methods}
    extra = [name for name in ("images", "seconds_per_image") if name in table.columns]
    kinds = "kind" in table.columns
    headers = [("method", False), *([("kind", False)] if kinds else []), *[(metric, True) for metric in metrics]]
    headers += [(_HEADERS.get(name, name.replace("_", " ")), True) for name in extra]
    rows = []
    for method in methods:
        cells = [_cell(method), *([_cell(about[method]["kind"])] if kinds else [])]
        for metric in metrics:
            record = records.get((method, metric))
            if record is None or _missing(record["value"]):
                cells.append(_Cell("–", ""))
                continue
            percent = _is_fraction(record)
            value, interval = _cell(record["value"], percent), _interval(record["low"], record["high"], percent)
            text = value.text if not interval.sort else f"{value.text}\n{interval.text}"
            cells.append(_Cell(text, value.sort, number=True))
        cells += [_cell(about[method][name], whole=name == "images") for name in extra]
        rows.append((str(about[method].get("kind", "")), cells))
    return headers, rows


def _is_fraction(record: Mapping[str, Any]) -> bool:
    estimates = [record[name] for name in _ESTIMATES if name in record and not _missing(record[name])]
    return str(record.get("metric", "")) in FRACTIONS and all(0 <= value <= 1 for value in estimates)


def _is_whole(values: Sequence[Any]) -> bool:
    """Whether a column holds whole numbers (as floats, where one is missing)."""
    known = [value for value in values if not _missing(value)]
    return all(isinstance(value, int | float | np.number) and float(value).is_integer() for value in known)


def _missing(value: Any) -> bool:
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def _cell(value: Any, percent: bool = False, whole: bool = False) -> _Cell:
    if _missing(value):
        return _Cell("–", "")
    if isinstance(value, tuple):  # text, and a number to sort by
        return _Cell(value[0], "" if _missing(value[1]) else repr(float(value[1])), number=True)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bool):
        return _Cell("yes" if value else "no", str(int(value)))
    if isinstance(value, int | float):
        text = f"{100 * value:.1f} %" if percent else _number(int(value) if whole else value)
        return _Cell(text, repr(value), number=True)
    return _Cell(str(value), str(value))


def _number(value: int | float) -> str:
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


def _interval(low: Any, high: Any, percent: bool) -> _Cell:
    if _missing(low) or _missing(high):
        return _Cell("–", "")
    ends = [f"{100 * end:.1f}" if percent else _number(float(end)) for end in (low, high)]
    return _Cell(" to ".join(ends) + (" %" if percent else ""), f"{float(low)!r} to {float(high)!r}", number=True)


def _cost(table: pd.DataFrame) -> str | None:
    """The seconds spent on maps, from the table; None if it does not tell."""
    if not {"method", "images", "seconds_per_image"} <= set(table.columns):
        return None
    once = table.drop_duplicates("method")  # a method has a row per metric, but its maps are made once
    seconds = float((once["images"] * once["seconds_per_image"]).sum())
    return f"{_duration(seconds)} for all maps ({len(once)} rows of the table, seconds per image × images)."


def _cost_in_words(cost: Mapping[str, Any]) -> str:
    """A benchmark's own account; "seconds" and "…_seconds" become durations."""
    parts = []
    for name, value in cost.items():
        what = name.removesuffix("seconds").strip("_").replace("_", " ") or "in total"
        text = ", ".join(map(str, value)) if isinstance(value, list) else _cell(value).text
        parts.append(f"{what}: {_duration(value) if name.endswith('seconds') else text}")
    return "; ".join(parts) + "."


def _duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    return f"{hours:.1f} h" if hours >= 1 else f"{minutes:.1f} min" if minutes >= 1 else f"{seconds:.1f} s"


# -- pictures ----------------------------------------------------------------------------------------------------------


def _plot(result: Result) -> _Picture | None:
    """The benchmark's plot, with its numbers in words; None if there is none for this benchmark."""
    from attribeval.plots import RESULT_PLOTS, plot_result

    if result.benchmark not in RESULT_PLOTS:
        return None
    parts = []
    column = "metric" if "metric" in result.table.columns else "benchmark"
    metric = result.table[column].iloc[0]  # the first, of which a method has one row (in each mode)
    rows = result.table[result.table[column] == metric]
    if "step" in rows:  # a curve is told by its end
        rows = rows[rows["step"] == rows["step"].max()]
    for row in rows.to_dict("records"):
        percent = _is_fraction(row)
        value, interval = _cell(row["value"], percent), _interval(row["low"], row["high"], percent)
        name = f"{row['method']} ({row['mode']})" if "mode" in row else row["method"]
        parts.append(f"{name} {value.text}" + (f" ({interval.text})" if interval.sort else ""))
    alt = f"Plot of {result.benchmark}, {metric}: {'; '.join(parts)}."
    return _picture(result.benchmark, alt, plot_result(result))


def _picture(name: str, alt: str, figure: Figure) -> _Picture:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=160)
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    return _Picture(name, alt, base64.b64encode(file.getvalue()).decode(), width, height)


# -- settings ----------------------------------------------------------------------------------------------------------


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, text)."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
            yield f"{prefix}{name}", text
