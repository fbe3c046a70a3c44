"""One HTML page that explains itself: the answer, its chart and pictures, the table, and how to do it again.

The page is one file that asks the network for nothing; its own content policy forbids it. Everything that comes from
data (names of methods, classes and files, settings) is escaped.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2

from attribeval import __version__
from attribeval.errors import AttribevalError
from attribeval.files import write_bytes
from attribeval.report.cells import cell
from attribeval.report.columns import hides, widths
from attribeval.report.pictures import picture
from attribeval.report.view import view_of
from attribeval.report.views import best_cells, shown_table, units_of
from attribeval.results.command import portable
from attribeval.results.numbers import NONE, NUMBER
from attribeval.results.result import Result

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SEEDS, _VERSIONS = ("seed", "seeds"), "versions"
_SAID = 6  # sentences that stand open; those below them are opened


def write_report(
    path: str | os.PathLike,
    results: Sequence[Result],
    *,
    pictures: Mapping[str, Figure] | Sequence[Mapping[str, Figure]] | None = None,
    title: str = "attribeval report",
    command: str | None = None,
    names: Sequence[str] | None = None,
) -> Path:
    """Write one self-contained HTML page about some results, atomically.

    Args:
        path: The file; its folder is made if it is missing.
        results: What benchmarks returned, at least one, in the order wanted.
        pictures: Further figures (such as of `plots.overlays`) by the caption to write below them; of several results,
            one mapping for each, or one for the page, which follows them.
        title: The page's heading.
        command: The command line or code that made the results, for the section on reproducing them; folders of this
            machine are left out of it. None: what each result knows of it (`Result.command`).
        names: What to call each result, such as its folder. None: by its benchmark, numbered where several are alike.

    Returns:
        The path.

    Raises:
        AttribevalError: If there is no result or not a name and pictures for each, or a plot cannot be drawn from its
            result.
    """
    if not results:
        raise AttribevalError("Expected at least one result. Received none: run a benchmark first.")
    names = _numbered([result.benchmark for result in results]) if names is None else list(names)
    if len(names) != len(results):
        raise AttribevalError(f"Expected a name for each of {len(results)} results. Received: {len(names)} names.")
    of_results, of_page = _shared_out(pictures, len(results))
    page = _template().render(
        title=title,
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        sections=[_section(*parts) for parts in zip(results, names, of_results, strict=True)],
        pictures=_drawn(of_page),
        command=None if command is None else portable(command),
        said=_SAID,
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # File names may hold bytes that are no text; they are written as escapes rather than not at all.
    write_bytes(path, page.encode("utf-8", "backslashreplace"))
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


def _numbered(names: Sequence[str]) -> list[str]:
    """Names that occur several times get a number: wsol 1, wsol 2."""
    several = [names.count(name) > 1 for name in names]
    return [f"{name} {names[: i + 1].count(name)}" if several[i] else name for i, name in enumerate(names)]


def _shared_out(
    pictures: Mapping[str, Figure] | Sequence[Mapping[str, Figure]] | None, results: int
) -> tuple[Sequence[Mapping[str, Figure]], Mapping[str, Figure]]:
    """Pictures of each result, and of the page."""
    if isinstance(pictures, Mapping) or pictures is None:
        pictures = pictures or {}
        return ([pictures], {}) if results == 1 else ([{}] * results, pictures)
    if len(pictures) != results:
        raise AttribevalError(f"Expected pictures for each of {results} results. Received: {len(pictures)}.")
    return pictures, {}


def _drawn(figures: Mapping[str, Figure]) -> list[dict[str, Any]]:
    return [picture(name, f"Picture: {name}", figure) for name, figure in figures.items()]


def _section(result: Result, name: str, pictures: Mapping[str, Figure]) -> dict[str, Any]:
    """What the template tells of a result."""
    settings = dict(result.settings)
    seeds = {name: settings.pop(name) for name in _SEEDS if name in settings}
    versions = settings.pop(_VERSIONS, {})
    cost = settings.pop("cost", None)
    view, table = view_of(result), shown_table(result)
    settings = {one: value for one, value in settings.items() if one not in view.unshown}
    columns = view.columns(result)
    headings = [column.name for column in table.columns]
    main = [one for one in headings if (columns[one].main if one in columns else view.others_main)]
    shown_from = widths(table, main)
    return {
        "benchmark": result.benchmark,
        "name": name,
        "heading": view.title,
        "summary": list(result.summary),
        "table": table,
        "widths": shown_from,  # from which on each column is shown
        "hides": hides(shown_from),
        "best": best_cells(result, table),  # (row, column)
        "low": {name for name, column in columns.items() if column.better == "low"},  # headings
        "notes": list(view.notes),
        "level": f"{100 * level:g} % " if isinstance(level := settings.get("level"), float) else "",  # of intervals
        "plot": _plot(result),
        "pictures": _drawn(pictures),
        "settings": list(_flat(settings)),
        "versions": list(_flat(versions if isinstance(versions, dict) else {_VERSIONS: versions})),
        "seeds": list(_flat(seeds)),
        "cost": _cost(result.table) if cost is None else _cost_in_words(cost),
        "command": None if result.command is None else portable(result.command),
    }


# -- cost --------------------------------------------------------------------------------------------------------------


def _cost(table: pd.DataFrame) -> str | None:
    """The seconds spent on maps, from the table; None if it does not tell."""
    if not {"method", "images", "seconds_per_image"} <= set(table.columns):
        return None
    once = table.drop_duplicates("method")  # a method has a row per metric, but its maps are made once
    seconds = float((once["images"] * once["seconds_per_image"]).sum())
    return f"{_duration(seconds)} for all maps ({len(once)} rows of the table, time per image × images)."


def _cost_in_words(cost: Mapping[str, Any]) -> str:
    """A benchmark's own account; "seconds" and "…_seconds" become durations."""
    parts = []
    for name, value in cost.items():
        what = name.removesuffix("seconds").strip("_").replace("_", " ") or "in total"
        text = ", ".join(map(str, value)) if isinstance(value, list) else cell(value).text
        parts.append(f"{what}: {_duration(value) if name.endswith('seconds') else text}")
    return "; ".join(parts) + "."


def _duration(seconds: float) -> str:
    minutes, hours = seconds / 60, seconds / 3600
    return f"{hours:.1f} h" if hours >= 1 else f"{minutes:.1f} min" if minutes >= 1 else f"{seconds:.1f} s"


# -- chart -------------------------------------------------------------------------------------------------------------


def _plot(result: Result) -> dict[str, Any] | None:
    """The benchmark's plot, with its numbers in words; None if there is none for this benchmark."""
    from attribeval.plots import plot_result

    view = view_of(result)
    if view.plot is None:
        return None
    parts = []
    column = view.scores
    metric = result.table[column].iloc[0]  # the first, of which a method has one row (in each mode)
    rows = result.table[result.table[column] == metric]
    if "step" in rows:  # a curve is told by its end
        rows = rows[rows["step"] == rows["step"].max()]
    unit = units_of(result).get(metric, NUMBER)
    for row in rows.to_dict("records"):
        ends = unit.ends(row["low"], row["high"])
        name = f"{row[view.rows]} ({row['mode']})" if "mode" in row else row[view.rows]
        parts.append(f"{name} {unit.text(row['value'])}" + (f" ({ends})" if ends != NONE else ""))
    alt = f"Plot of {result.benchmark}, {metric}: {'; '.join(parts)}."
    return picture(result.benchmark, alt, plot_result(result))


# -- settings ----------------------------------------------------------------------------------------------------------


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as (dotted name, text)."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
            yield f"{prefix}{name}", text
